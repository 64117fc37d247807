/* SPDX-License-Identifier: Apache-2.0 */
/* Fields to bytes. In: a struct's fields in order. Out: bytes, and how many there would be. */
#include "format/fb_out.h"

#include <string.h>

#include "base/bytes.h"
#include "base/utf8.h"
#include "varve/error.h"

void vv_fb_out_init(struct vv_fb_out *out, void *at, size_t room)
{
    *out = (struct vv_fb_out){.at = at, .room = room};
}

void vv_fb_put(struct vv_fb_out *out, const void *bytes, size_t n)
{
    out->need = n > SIZE_MAX - out->need ? SIZE_MAX : out->need + n;
    if (n > out->room || out->full) {
        out->full = true;
        return;
    }
    if (n > 0) {
        memcpy(out->at, bytes, n);
        out->at += n;
        out->room -= n;
    }
}

void vv_fb_put_u8(struct vv_fb_out *out, uint8_t v)
{
    vv_fb_put(out, &v, sizeof v);
}

void vv_fb_put_u32(struct vv_fb_out *out, uint32_t v)
{
    uint8_t bytes[4];

    vv_put_u32(bytes, v);
    vv_fb_put(out, bytes, sizeof bytes);
}

void vv_fb_put_u64(struct vv_fb_out *out, uint64_t v)
{
    uint8_t bytes[8];

    vv_put_u64(bytes, v);
    vv_fb_put(out, bytes, sizeof bytes);
}

void vv_fb_put_bytes(struct vv_fb_out *out, struct varve_bytes bytes)
{
    vv_fb_put_u64(out, bytes.bytes);
    vv_fb_put(out, bytes.data, bytes.bytes);
}

void vv_fb_put_bytes_u32(struct vv_fb_out *out, struct varve_bytes bytes)
{
    vv_fb_put_u32(out, (uint32_t)bytes.bytes);
    vv_fb_put(out, bytes.data, bytes.bytes);
}

int vv_fb_out_end(const struct vv_fb_out *out, size_t *ret_bytes)
{
    *ret_bytes = out->need;
    return out->full ? VARVE_E_TOO_LARGE : 0;
}

bool vv_is_text(struct varve_bytes text)
{
    struct vv_utf8 state = {0};

    return vv_utf8_feed(&state, text.data, text.bytes) && vv_utf8_whole(&state);
}
