/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool whole(const void *bytes, size_t n)
{
    struct vv_utf8 state = {0};
    return vv_utf8_feed(&state, bytes, n) && vv_utf8_whole(&state);
}

static bool piecewise(const unsigned char *bytes, size_t n)
{
    struct vv_utf8 state = {0};
    for (size_t i = 0; i < n; i++) {
        if (!vv_utf8_feed(&state, bytes + i, 1))
            return false;
    }
    return vv_utf8_whole(&state);
}

/* The code point as it is encoded, also where it must not be. */
static size_t encode(uint32_t code, size_t bytes, unsigned char *out)
{
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (bytes == 1) {
        out[0] = (unsigned char)code;
        return 1;
    }
    for (size_t i = bytes - 1; i > 0; i--) {
        out[i] = (unsigned char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (unsigned char)(first[bytes] | code);
    return bytes;
}

static size_t shortest(uint32_t code)
{
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/* Every code point in its shortest form, and in those that are longer. */
static void test_utf8__every_code_point(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x200000; code++) {
        bool allowed = code < 0x110000 && (code < 0xd800 || code > 0xdfff);
        unsigned char bytes[4];
        for (size_t n = shortest(code); n <= 4; n++) {
            encode(code, n, bytes);
            bool expected = allowed && n == shortest(code);
            if (whole(bytes, n) != expected || piecewise(bytes, n) != expected)
                fail_msg("U+%X in %zu bytes", code, n);
        }
    }
}

/* Every one and two bytes. */
static void test_utf8__first_bytes(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        unsigned char bytes[2] = {(unsigned char)first, 0};
        assert_int_equal(whole(bytes, 1), first < 0x80);
        for (unsigned second = 0; second < 256; second++) {
            bytes[1] = (unsigned char)second;
            bool two = first >= 0xc2 && first <= 0xdf && second >= 0x80 && second <= 0xbf;
            assert_int_equal(whole(bytes, 2), two || (first < 0x80 && second < 0x80));
        }
    }
}

/* Around the steps of eight bytes. */
static void test_utf8__long_texts(void **state)
{
    (void)state;
    unsigned char text[64];
    assert_true(whole("", 0));
    for (size_t at = 0; at + 4 <= sizeof text; at++) {
        memset(text, 'a', sizeof text);
        memcpy(text + at, "\xf0\x9f\x8e\x89", 4);
        assert_true(whole(text, sizeof text));
        for (size_t cut = at + 1; cut < at + 4; cut++)
            assert_false(whole(text, cut));
        text[at + 3] = 'a';
        assert_false(whole(text, sizeof text));
        text[at] = 0xff;
        assert_false(whole(text, sizeof text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8__every_code_point),
        cmocka_unit_test(test_utf8__first_bytes),
        cmocka_unit_test(test_utf8__long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
