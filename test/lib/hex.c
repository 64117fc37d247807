/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

size_t test_hex_within(const char *text, void *out, size_t room)
{
    unsigned char *bytes = out;
    size_t count = 0;
    while (*text != '\0') {
        if (*text == ' ') {
            text++;
            continue;
        }
        char pair[3] = {text[0], text[1], '\0'}, *end;
        unsigned long byte = strtoul(pair, &end, 16);
        assert_true(end == pair + 2 && count < room);
        bytes[count++] = (unsigned char)byte;
        text += 2;
    }
    return count;
}

size_t test_hex(const char *text, void *out)
{
    return test_hex_within(text, out, SIZE_MAX);
}
