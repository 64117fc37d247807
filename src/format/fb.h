/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded cursor over a payload in pieces, for the little-endian fields of fixed width that several formats
 * are made of: integers; strings and byte arrays behind their length; alternatives behind their index. The
 * first error stays, and everything after it reads as zero, so that a decoder checks once, at its end.
 *
 * No length and no count is used before it is held against the bytes that are left.
 */
#ifndef VV_FORMAT_FB_H
#define VV_FORMAT_FB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/format.h"

struct vv_fb {
    const struct iovec *next; /* the piece behind the one that is being read */
    int pieces;               /* from there on */
    const uint8_t *at;
    size_t here;       /* bytes left in this piece */
    uint64_t left;     /* in all */
    const char *error; /* static; NULL = none */
};

void vv_fb_init(struct vv_fb *fb, const struct iovec *pieces, int count);
/* The same over one piece. */
void vv_fb_init_bytes(struct vv_fb *fb, const void *bytes, size_t len);

/* Keeps the first. */
void vv_fb_fail(struct vv_fb *fb, const char *error);

uint8_t vv_fb_u8(struct vv_fb *fb);
uint32_t vv_fb_u32(struct vv_fb *fb);
uint64_t vv_fb_u64(struct vv_fb *fb);

/* Reads `n` bytes to `out`; zeros after an error. */
void vv_fb_copy(struct vv_fb *fb, void *out, size_t n);

/* Passes over `n` bytes. Returns where they are, or NULL when they are not in one piece or there was an
 * error: of bytes in one piece it always tells. */
const uint8_t *vv_fb_bytes(struct vv_fb *fb, uint64_t n);
/* The same, and they must be UTF-8. */
const uint8_t *vv_fb_text(struct vv_fb *fb, uint64_t n);

/* A count of things that take at least `each` bytes: an error when they cannot be there. */
uint64_t vv_fb_count(struct vv_fb *fb, uint64_t count, uint64_t each);

/* An error when bytes are left. True when there was none at all. */
bool vv_fb_end(struct vv_fb *fb);

#endif
