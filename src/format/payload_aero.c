/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of the format aero <-> payloads: five fields, each behind its length. */
#include "format/fb.h"
#include "format/fb_out.h"

enum {
    TEXTS = 4
};

int varve_aero_put(const struct varve_aero_document *d, void *out, size_t room, size_t *ret_bytes)
{
    const struct varve_bytes texts[TEXTS] = {d->collection, d->document, d->schema, d->schema_version};
    struct vv_fb_out fb;

    if (d->body.bytes > UINT32_MAX)
        return VARVE_E_INVALID;
    vv_fb_out_init(&fb, out, room);
    for (int i = 0; i < TEXTS; i++) {
        if (texts[i].bytes > UINT32_MAX || !vv_is_text(texts[i]))
            return VARVE_E_INVALID;
        vv_fb_put_bytes_u32(&fb, texts[i]);
    }
    vv_fb_put_bytes_u32(&fb, d->body);
    return vv_fb_out_end(&fb, ret_bytes);
}

int varve_aero_get(const void *payload, size_t bytes, struct varve_aero_document *d)
{
    struct varve_bytes *texts[TEXTS] = {&d->collection, &d->document, &d->schema, &d->schema_version};
    struct vv_fb fb;

    vv_fb_init_bytes(&fb, payload, bytes);
    for (int i = 0; i < TEXTS; i++) {
        texts[i]->bytes = vv_fb_u32(&fb);
        texts[i]->data = vv_fb_text(&fb, texts[i]->bytes);
    }
    d->body.bytes = vv_fb_u32(&fb);
    d->body.data = vv_fb_bytes(&fb, d->body.bytes);
    return vv_fb_end(&fb) ? 0 : VARVE_E_CORRUPT;
}
