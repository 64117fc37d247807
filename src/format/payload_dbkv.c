/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of the format dbkv <-> payloads. What put allows is what check in dbkv.c does. */
#include <string.h>

#include "format/builtin.h"
#include "format/dbkv.h"
#include "format/fb_out.h"

static bool key_good(struct varve_bytes key)
{
    return key.bytes > 0 && key.bytes <= VARVE_DBKV_KEY_MAX && vv_is_text(key);
}

static bool value_good(struct varve_bytes value)
{
    struct vv_fb fb;

    vv_fb_init_bytes(&fb, value.data, value.bytes);
    vv_dbkv_check_value(&fb, 0);
    return vv_fb_end(&fb);
}

static bool is_list(enum varve_dbkv_type type)
{
    return type == VARVE_DBKV_MSET || type == VARVE_DBKV_MDEL;
}

static bool has_owner(enum varve_dbkv_type type)
{
    return type == VARVE_DBKV_LOCK || type == VARVE_DBKV_UNLOCK || type == VARVE_DBKV_EXTEND_LOCK;
}

/* set, setnx, mset: there or not. */
static bool may_expire(enum varve_dbkv_type type)
{
    return type == VARVE_DBKV_SET || type == VARVE_DBKV_SETNX || type == VARVE_DBKV_MSET;
}

static bool must_expire(enum varve_dbkv_type type)
{
    return type == VARVE_DBKV_LOCK || type == VARVE_DBKV_EXTEND_LOCK;
}

static bool allowed(const struct varve_dbkv_operation *o)
{
    if ((unsigned)o->type < VARVE_DBKV_SET || (unsigned)o->type > VARVE_DBKV_EXTEND_LOCK)
        return false;
    if (o->ttl_ns > 999999999 && (must_expire(o->type) || (may_expire(o->type) && o->has_ttl)))
        return false;
    if (!is_list(o->type) && !key_good(o->key))
        return false;
    if (has_owner(o->type) && !vv_is_text(o->owner))
        return false;
    if ((o->type == VARVE_DBKV_SET || o->type == VARVE_DBKV_SETNX) && !value_good(o->value))
        return false;
    for (uint64_t i = 0; is_list(o->type) && i < o->count; i++) {
        if (!key_good(o->pairs[i].key) || (o->type == VARVE_DBKV_MSET && !value_good(o->pairs[i].value)))
            return false;
    }
    return true;
}

static void put_list(struct vv_fb_out *fb, const struct varve_dbkv_operation *o)
{
    vv_fb_put_u64(fb, o->count);
    for (uint64_t i = 0; i < o->count; i++) {
        vv_fb_put_bytes(fb, o->pairs[i].key);
        if (o->type == VARVE_DBKV_MSET)
            vv_fb_put(fb, o->pairs[i].value.data, o->pairs[i].value.bytes);
    }
}

int varve_dbkv_put(const struct varve_dbkv_operation *o, void *out, size_t room, size_t *ret_bytes)
{
    struct vv_fb_out fb;

    if (!allowed(o))
        return VARVE_E_INVALID;
    vv_fb_out_init(&fb, out, room);
    vv_fb_put_u32(&fb, (uint32_t)o->type - 1);
    if (is_list(o->type))
        put_list(&fb, o);
    else
        vv_fb_put_bytes(&fb, o->key);
    if (o->type == VARVE_DBKV_SET || o->type == VARVE_DBKV_SETNX)
        vv_fb_put(&fb, o->value.data, o->value.bytes);
    if (o->type == VARVE_DBKV_INCR || o->type == VARVE_DBKV_DECR)
        vv_fb_put_u64(&fb, (uint64_t)o->delta);
    if (has_owner(o->type))
        vv_fb_put_bytes(&fb, o->owner);
    if (may_expire(o->type))
        vv_fb_put_u8(&fb, o->has_ttl != 0);
    if (must_expire(o->type) || (may_expire(o->type) && o->has_ttl)) {
        vv_fb_put_u64(&fb, o->ttl_s);
        vv_fb_put_u32(&fb, o->ttl_ns);
    }
    return vv_fb_out_end(&fb, ret_bytes);
}

static struct varve_bytes get_text(struct vv_fb *fb)
{
    struct varve_bytes text;

    text.bytes = vv_fb_u64(fb);
    text.data = vv_fb_text(fb, text.bytes);
    return text;
}

static struct varve_bytes get_value(struct vv_fb *fb)
{
    struct varve_bytes value = {.data = fb->at};
    uint64_t left = fb->left;

    vv_dbkv_check_value(fb, 0);
    value.bytes = fb->error ? 0 : (size_t)(left - fb->left);
    return value;
}

static void get_pair(struct vv_fb *fb, enum varve_dbkv_type type, struct varve_dbkv_pair *pair)
{
    memset(pair, 0, sizeof *pair);
    pair->key = get_text(fb);
    if (type == VARVE_DBKV_MSET)
        pair->value = get_value(fb);
}

static void get_list(struct vv_fb *fb, struct varve_dbkv_operation *o)
{
    struct varve_dbkv_pair ignored;
    uint64_t left;

    o->count = vv_fb_u64(fb);
    o->listed.data = fb->at;
    left = fb->left;
    for (uint64_t i = 0; i < o->count && !fb->error; i++)
        get_pair(fb, o->type, &ignored);
    o->listed.bytes = fb->error ? 0 : (size_t)(left - fb->left);
}

int varve_dbkv_get(const void *payload, size_t bytes, struct varve_dbkv_operation *o)
{
    struct varve_format_entry entry = {.type = 0};
    const struct iovec whole = {(void *)(uintptr_t)payload, bytes};
    struct vv_fb fb;

    memset(o, 0, sizeof *o);
    /* All rules are there; what follows only takes it apart. */
    if (vv_format_dbkv.check(&whole, 1, &entry) != 0)
        return VARVE_E_CORRUPT;
    o->type = (enum varve_dbkv_type)entry.type;
    vv_fb_init_bytes(&fb, payload, bytes);
    vv_fb_u32(&fb);
    if (is_list(o->type))
        get_list(&fb, o);
    else
        o->key = get_text(&fb);
    if (o->type == VARVE_DBKV_SET || o->type == VARVE_DBKV_SETNX)
        o->value = get_value(&fb);
    if (o->type == VARVE_DBKV_INCR || o->type == VARVE_DBKV_DECR)
        o->delta = (int64_t)vv_fb_u64(&fb);
    if (has_owner(o->type))
        o->owner = get_text(&fb);
    o->has_ttl = must_expire(o->type) || (may_expire(o->type) && vv_fb_u8(&fb) == 1);
    if (o->has_ttl) {
        o->ttl_s = vv_fb_u64(&fb);
        o->ttl_ns = vv_fb_u32(&fb);
    }
    return vv_fb_end(&fb) ? 0 : VARVE_E_CORRUPT;
}

int varve_dbkv_next(struct varve_dbkv_operation *o, struct varve_dbkv_pair *ret_pair)
{
    struct vv_fb fb;

    if (o->count == 0 || !is_list(o->type))
        return VARVE_END;
    vv_fb_init_bytes(&fb, o->listed.data, o->listed.bytes);
    get_pair(&fb, o->type, ret_pair);
    if (fb.error)
        return VARVE_E_CORRUPT;
    o->count--;
    o->listed.data = fb.at;
    o->listed.bytes = (size_t)fb.left;
    return 0;
}
