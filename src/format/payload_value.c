/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the format dbkv <-> bytes, one level at a time: what a list or a map holds stays encoded. */
#include <string.h>

#include "format/dbkv.h"
#include "format/fb_out.h"

static bool is_nested(enum varve_dbkv_kind kind)
{
    return kind == VARVE_DBKV_LIST || kind == VARVE_DBKV_MAP;
}

static bool is_bytes(enum varve_dbkv_kind kind)
{
    return kind == VARVE_DBKV_DECIMAL || kind == VARVE_DBKV_TEXT || kind == VARVE_DBKV_BYTES;
}

/* Passes over `count` values of a list or a map, with their keys in a map. */
static void pass(struct vv_fb *fb, uint64_t count, bool keyed)
{
    for (; count > 0 && !fb->error; count--) {
        if (keyed)
            vv_fb_text(fb, vv_fb_u64(fb));
        vv_dbkv_check_value(fb, 1);
    }
}

static bool allowed(const struct varve_dbkv_value *v)
{
    struct vv_fb fb;

    switch (v->kind) {
    case VARVE_DBKV_DECIMAL:
        return v->bytes.bytes <= VARVE_DBKV_DECIMAL_MAX && vv_dbkv_is_decimal(v->bytes.data, v->bytes.bytes);
    case VARVE_DBKV_TEXT:
        return vv_is_text(v->bytes);
    case VARVE_DBKV_LIST:
    case VARVE_DBKV_MAP:
        vv_fb_init_bytes(&fb, v->listed.data, v->listed.bytes);
        pass(&fb, v->count, v->kind == VARVE_DBKV_MAP);
        return vv_fb_end(&fb);
    case VARVE_DBKV_INT:
    case VARVE_DBKV_FLOAT:
    case VARVE_DBKV_BYTES:
    case VARVE_DBKV_NULL:
        return true;
    }
    return false;
}

int varve_dbkv_value_put(const struct varve_dbkv_value *v, void *out, size_t room, size_t *ret_bytes)
{
    struct vv_fb_out fb;
    uint64_t bits;

    if (!allowed(v))
        return VARVE_E_INVALID;
    vv_fb_out_init(&fb, out, room);
    vv_fb_put_u32(&fb, v->kind);
    if (v->kind == VARVE_DBKV_INT)
        vv_fb_put_u64(&fb, (uint64_t)v->integer);
    if (v->kind == VARVE_DBKV_FLOAT) {
        memcpy(&bits, &v->real, sizeof bits);
        vv_fb_put_u64(&fb, bits);
    }
    if (is_bytes(v->kind))
        vv_fb_put_bytes(&fb, v->bytes);
    if (is_nested(v->kind)) {
        vv_fb_put_u64(&fb, v->count);
        vv_fb_put(&fb, v->listed.data, v->listed.bytes);
    }
    return vv_fb_out_end(&fb, ret_bytes);
}

int varve_dbkv_value_get(const void *encoded, size_t bytes, struct varve_dbkv_value *v)
{
    struct vv_fb fb;
    uint64_t bits;

    memset(v, 0, sizeof *v);
    vv_fb_init_bytes(&fb, encoded, bytes);
    vv_dbkv_check_value(&fb, 0);
    if (!vv_fb_end(&fb))
        return VARVE_E_CORRUPT;
    vv_fb_init_bytes(&fb, encoded, bytes);
    v->kind = (enum varve_dbkv_kind)vv_fb_u32(&fb);
    if (v->kind == VARVE_DBKV_INT)
        v->integer = (int64_t)vv_fb_u64(&fb);
    if (v->kind == VARVE_DBKV_FLOAT) {
        bits = vv_fb_u64(&fb);
        memcpy(&v->real, &bits, sizeof bits);
    }
    if (is_bytes(v->kind)) {
        v->bytes.bytes = vv_fb_u64(&fb);
        v->bytes.data = vv_fb_bytes(&fb, v->bytes.bytes);
    }
    if (is_nested(v->kind)) {
        v->count = vv_fb_u64(&fb);
        v->listed.data = fb.at;
        v->listed.bytes = (size_t)fb.left;
    }
    return 0;
}

int varve_dbkv_value_next(struct varve_dbkv_value *v, struct varve_bytes *ret_key,
                          struct varve_bytes *ret_value)
{
    struct varve_bytes key = {0}, value;
    struct vv_fb fb;

    if (v->count == 0 || !is_nested(v->kind))
        return VARVE_END;
    vv_fb_init_bytes(&fb, v->listed.data, v->listed.bytes);
    if (v->kind == VARVE_DBKV_MAP) {
        key.bytes = vv_fb_u64(&fb);
        key.data = vv_fb_text(&fb, key.bytes);
    }
    value.data = fb.at;
    value.bytes = (size_t)fb.left;
    vv_dbkv_check_value(&fb, 0);
    if (fb.error)
        return VARVE_E_CORRUPT;
    value.bytes -= (size_t)fb.left;
    v->count--;
    v->listed.data = fb.at;
    v->listed.bytes = (size_t)fb.left;
    *ret_key = key;
    *ret_value = value;
    return 0;
}
