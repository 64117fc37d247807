/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions that users of the format wlog keep in its records <-> payloads. A header of 40 bytes, 8 bytes
 * of padding that older programs left out, a counted list of operations with a checksum of their own.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "format/fb.h"
#include "format/fb_out.h"

enum {
    AT_TIME = 16,
    AT_COUNT = 24,
    AT_BYTES = 28,
    AT_SUM = 32,
    AT_RESERVED = 36,
    HEAD_BYTES = 40,
    PADDED_BYTES = 48,
    /* Index and document: the least of an operation. */
    OPERATION_MIN = 20,
};

static bool allowed(const struct varve_wlog_operation *o)
{
    if ((unsigned)o->type > VARVE_WLOG_DELETE_TEXT)
        return false;
    if (o->type == VARVE_WLOG_ADD_POSTING)
        return o->floats.bytes % 4 == 0;
    return o->type != VARVE_WLOG_STORE_TEXT || vv_is_text(o->text);
}

static void put_operation(struct vv_fb_out *fb, const struct varve_wlog_operation *o)
{
    vv_fb_put_u32(fb, o->type);
    vv_fb_put(fb, o->document, sizeof o->document);
    if (o->type == VARVE_WLOG_ADD_POSTING) {
        vv_fb_put_u32(fb, o->start);
        vv_fb_put_u32(fb, o->length);
        vv_fb_put_u64(fb, o->floats.bytes / 4);
        vv_fb_put(fb, o->floats.data, o->floats.bytes);
    }
    if (o->type == VARVE_WLOG_STORE_TEXT)
        vv_fb_put_bytes(fb, o->text);
}

int varve_wlog_put(const struct varve_wlog_transaction *t, void *out, size_t room, size_t *ret_bytes)
{
    static const uint8_t blank[PADDED_BYTES];
    struct vv_fb_out fb;
    uint8_t *head = out;

    vv_fb_out_init(&fb, out, room);
    vv_fb_put(&fb, blank, sizeof blank);
    vv_fb_put_u64(&fb, t->count);
    for (uint32_t i = 0; i < t->count; i++) {
        if (!allowed(&t->operations[i]))
            return VARVE_E_INVALID;
        put_operation(&fb, &t->operations[i]);
    }
    if (fb.need - PADDED_BYTES > UINT32_MAX)
        return VARVE_E_INVALID;
    if (!fb.full) {
        uint32_t listed = (uint32_t)(fb.need - PADDED_BYTES);

        memcpy(head, t->id, sizeof t->id);
        vv_put_u64(head + AT_TIME, t->time_us);
        vv_put_u32(head + AT_COUNT, t->count);
        vv_put_u32(head + AT_BYTES, listed);
        vv_put_u32(head + AT_SUM, vv_crc32(0, head + PADDED_BYTES, listed));
    }
    return vv_fb_out_end(&fb, ret_bytes);
}

static void get_operation(struct vv_fb *fb, struct varve_wlog_operation *o)
{
    uint32_t type = vv_fb_u32(fb);

    memset(o, 0, sizeof *o);
    vv_fb_copy(fb, o->document, sizeof o->document);
    switch (type) {
    case VARVE_WLOG_ADD_POSTING:
        o->start = vv_fb_u32(fb);
        o->length = vv_fb_u32(fb);
        o->floats.bytes = 4 * vv_fb_count(fb, vv_fb_u64(fb), 4);
        o->floats.data = vv_fb_bytes(fb, o->floats.bytes);
        break;
    case VARVE_WLOG_STORE_TEXT:
        o->text.bytes = vv_fb_u64(fb);
        o->text.data = vv_fb_text(fb, o->text.bytes);
        break;
    case VARVE_WLOG_REMOVE_DOCUMENT:
    case VARVE_WLOG_DELETE_TEXT:
        break;
    default:
        vv_fb_fail(fb, "an operation of no known kind");
        return;
    }
    o->type = (enum varve_wlog_type)type;
}

int varve_wlog_get(const void *payload, size_t bytes, struct varve_wlog_transaction *t)
{
    const uint8_t *at = payload;
    struct vv_fb fb;
    uint64_t listed, count;

    memset(t, 0, sizeof *t);
    if (bytes < HEAD_BYTES)
        return VARVE_E_CORRUPT;
    listed = vv_get_u32(at + AT_BYTES);
    if ((bytes != HEAD_BYTES + listed && bytes != PADDED_BYTES + listed) || listed < 8 ||
        vv_get_u32(at + AT_RESERVED) != 0)
        return VARVE_E_CORRUPT;
    memcpy(t->id, at, sizeof t->id);
    t->time_us = vv_get_u64(at + AT_TIME);
    t->count = vv_get_u32(at + AT_COUNT);
    if (vv_crc32(0, at + bytes - listed, listed) != vv_get_u32(at + AT_SUM))
        return VARVE_E_CORRUPT;
    vv_fb_init_bytes(&fb, at + bytes - listed, listed);
    count = vv_fb_count(&fb, vv_fb_u64(&fb), OPERATION_MIN);
    t->listed.data = at + bytes - listed + 8;
    t->listed.bytes = listed - 8;
    if (count != t->count)
        return VARVE_E_CORRUPT;
    for (uint64_t i = 0; i < count && !fb.error; i++) {
        struct varve_wlog_operation ignored;

        get_operation(&fb, &ignored);
    }
    return vv_fb_end(&fb) ? 0 : VARVE_E_CORRUPT;
}

int varve_wlog_next(struct varve_wlog_transaction *t, struct varve_wlog_operation *ret_operation)
{
    struct vv_fb fb;

    if (t->count == 0)
        return VARVE_END;
    vv_fb_init_bytes(&fb, t->listed.data, t->listed.bytes);
    get_operation(&fb, ret_operation);
    if (fb.error)
        return VARVE_E_CORRUPT;
    t->count--;
    t->listed.data = fb.at;
    t->listed.bytes = (size_t)fb.left;
    return 0;
}
