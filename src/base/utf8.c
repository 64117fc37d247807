/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, byte by byte with a state, and eight bytes at a time where all are ASCII. */
#include "base/utf8.h"

#include <string.h>

/* The first byte of a character of several: how many follow, and what the second may be. false: no such
 * byte. */
static bool begin(struct vv_utf8 *s, uint8_t c)
{
    s->low = 0x80;
    s->high = 0xbf;
    if (c >= 0xc2 && c <= 0xdf) {
        s->missing = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
        s->missing = 2;
        if (c == 0xe0)
            s->low = 0xa0; /* below: two bytes would do */
        if (c == 0xed)
            s->high = 0x9f; /* above: surrogates */
    } else if (c >= 0xf0 && c <= 0xf4) {
        s->missing = 3;
        if (c == 0xf0)
            s->low = 0x90;
        if (c == 0xf4)
            s->high = 0x8f; /* above: past U+10FFFF */
    } else {
        return false;
    }
    return true;
}

bool vv_utf8_feed(struct vv_utf8 *state, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;

    while (n > 0) {
        if (state->missing == 0 && n >= 8) {
            uint64_t eight;

            memcpy(&eight, at, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += 8;
                n -= 8;
                continue;
            }
        }
        if (state->missing == 0) {
            if (*at >= 0x80 && !begin(state, *at))
                return false;
        } else {
            if (*at < state->low || *at > state->high)
                return false;
            state->missing--;
            state->low = 0x80;
            state->high = 0xbf;
        }
        at++;
        n--;
    }
    return true;
}
