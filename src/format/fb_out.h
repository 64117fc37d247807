/* SPDX-License-Identifier: Apache-2.0 */
/* The other direction of fb.h: fields to bytes, into memory of a given size, counting also what does not fit.
 */
#ifndef VV_FORMAT_FB_OUT_H
#define VV_FORMAT_FB_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/payload.h"

struct vv_fb_out {
    uint8_t *at; /* NULL is allowed with a room of 0 */
    size_t room; /* left; 0 from the first field on that did not fit */
    size_t need; /* bytes of all fields; SIZE_MAX when that cannot be told any more */
    bool full;   /* something did not fit */
};

void vv_fb_out_init(struct vv_fb_out *out, void *at, size_t room);

void vv_fb_put_u8(struct vv_fb_out *out, uint8_t v);
void vv_fb_put_u32(struct vv_fb_out *out, uint32_t v);
void vv_fb_put_u64(struct vv_fb_out *out, uint64_t v);
void vv_fb_put(struct vv_fb_out *out, const void *bytes, size_t n);

/* Behind a length of 8 or 4 bytes. */
void vv_fb_put_bytes(struct vv_fb_out *out, struct varve_bytes bytes);
void vv_fb_put_bytes_u32(struct vv_fb_out *out, struct varve_bytes bytes);

/* 0 or TOO_LARGE; *ret_bytes in both cases. */
int vv_fb_out_end(const struct vv_fb_out *out, size_t *ret_bytes);

/* Whether these are UTF-8. */
bool vv_is_text(struct varve_bytes text);

#endif
