/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/hex.h"

#include <assert.h>

static unsigned digit(char c)
{
    assert((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
}

size_t test_hex(const char *text, uint8_t *out)
{
    size_t n = 0;

    while (*text != 0) {
        if (*text == ' ') {
            text++;
            continue;
        }
        out[n++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
        text += 2;
    }
    return n;
}
