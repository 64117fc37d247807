/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the format lfwal <-> payloads. */
#include <string.h>

#include "format/fb.h"
#include "format/fb_out.h"

static bool has_key(enum varve_lfwal_type type)
{
    return type == VARVE_LFWAL_INSERT || type == VARVE_LFWAL_UPDATE || type == VARVE_LFWAL_DELETE;
}

int varve_lfwal_put(const struct varve_lfwal_entry *e, void *out, size_t room, size_t *ret_bytes)
{
    struct vv_fb_out fb;

    if (!has_key(e->type) && e->type != VARVE_LFWAL_COMMIT && e->type != VARVE_LFWAL_ABORT)
        return VARVE_E_INVALID;
    if (has_key(e->type) && (e->key.bytes == 0 || !vv_is_text(e->key)))
        return VARVE_E_INVALID;
    vv_fb_out_init(&fb, out, room);
    vv_fb_put_u32(&fb, e->type);
    vv_fb_put_u64(&fb, e->tx);
    vv_fb_put_u64(&fb, e->time_s);
    if (has_key(e->type))
        vv_fb_put_bytes(&fb, e->key);
    if (e->type == VARVE_LFWAL_UPDATE || e->type == VARVE_LFWAL_DELETE)
        vv_fb_put_bytes(&fb, e->old_value);
    if (e->type == VARVE_LFWAL_UPDATE || e->type == VARVE_LFWAL_INSERT)
        vv_fb_put_bytes(&fb, e->value);
    return vv_fb_out_end(&fb, ret_bytes);
}

static struct varve_bytes get_bytes(struct vv_fb *fb)
{
    struct varve_bytes b;

    b.bytes = vv_fb_u64(fb);
    b.data = vv_fb_bytes(fb, b.bytes);
    return b;
}

int varve_lfwal_get(const void *payload, size_t bytes, struct varve_lfwal_entry *e)
{
    struct vv_fb fb;
    uint32_t type;

    memset(e, 0, sizeof *e);
    vv_fb_init_bytes(&fb, payload, bytes);
    type = vv_fb_u32(&fb);
    e->tx = vv_fb_u64(&fb);
    e->time_s = vv_fb_u64(&fb);
    if (type > VARVE_LFWAL_ABORT)
        return VARVE_E_CORRUPT;
    e->type = (enum varve_lfwal_type)type;
    if (has_key(e->type)) {
        e->key.bytes = vv_fb_u64(&fb);
        e->key.data = vv_fb_text(&fb, e->key.bytes);
        if (e->key.bytes == 0)
            return VARVE_E_CORRUPT;
    }
    if (e->type == VARVE_LFWAL_UPDATE || e->type == VARVE_LFWAL_DELETE)
        e->old_value = get_bytes(&fb);
    if (e->type == VARVE_LFWAL_UPDATE || e->type == VARVE_LFWAL_INSERT)
        e->value = get_bytes(&fb);
    return vv_fb_end(&fb) ? 0 : VARVE_E_CORRUPT;
}
