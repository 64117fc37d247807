/* SPDX-License-Identifier: Apache-2.0 */
/* Is it UTF-8? In pieces, as a payload may come. Source: RFC 3629; surrogates and overlong forms are not. */
#ifndef VV_BASE_UTF8_H
#define VV_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero at the beginning of a text. */
struct vv_utf8 {
    uint8_t missing;   /* bytes that the character under way still wants */
    uint8_t low, high; /* the range of the next one of them */
};

/* Reads on. false: these bytes cannot follow, and the state means nothing any more. */
bool vv_utf8_feed(struct vv_utf8 *state, const void *bytes, size_t n);

/* Whether a text may end here. */
static inline bool vv_utf8_whole(const struct vv_utf8 *state)
{
    return state->missing == 0;
}

#endif
