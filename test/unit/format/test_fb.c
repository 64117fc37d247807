/* SPDX-License-Identifier: Apache-2.0 */
#include "format/fb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hex.h"

static const char fields[] = "07"               /* u8 */
                             "01020304"         /* u32 */
                             "0102030405060708" /* u64 */
                             "0600000000000000" /* a text of 6 bytes */
                             "61d0bad0ba7a"     /* a, two letters of two bytes, z */
                             "ff00fe";          /* bytes */

/* Reads all of it, and the same whatever the pieces are. */
static void read_all(struct vv_fb *fb, bool contiguous)
{
    const uint8_t *text, *bytes;
    uint64_t len;

    assert_int_equal(vv_fb_u8(fb), 7);
    assert_int_equal(vv_fb_u32(fb), 0x04030201);
    assert_true(vv_fb_u64(fb) == UINT64_C(0x0807060504030201));
    len = vv_fb_u64(fb);
    assert_int_equal(len, 6);
    text = vv_fb_text(fb, len);
    bytes = vv_fb_bytes(fb, 3);
    assert_true(vv_fb_end(fb));
    assert_null(fb->error);
    assert_true(!contiguous || (text && bytes));
    if (text)
        assert_memory_equal(text, "a\xd0\xba\xd0\xbaz", 6);
    if (bytes)
        assert_memory_equal(bytes, "\xff\x00\xfe", 3);
}

static void test_fb__in_pieces(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t len = test_hex(fields, bytes);
    struct vv_fb fb;

    vv_fb_init_bytes(&fb, bytes, len);
    read_all(&fb, true);
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b++) {
            struct iovec pieces[5] = {
                {NULL, 0}, {bytes, a}, {bytes + a, b - a}, {bytes, 0}, {bytes + b, len - b}};
            vv_fb_init(&fb, pieces, 5);
            assert_int_equal(fb.left, len);
            read_all(&fb, false);
        }
    }
}

/* Ends anywhere: an error, zeros, and no byte beyond. */
static void test_fb__too_short(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t len = test_hex(fields, bytes);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut + 1), copy[8];
        struct vv_fb fb;
        memcpy(exact, bytes, cut);
        vv_fb_init_bytes(&fb, exact, cut);
        vv_fb_u8(&fb);
        vv_fb_u32(&fb);
        vv_fb_u64(&fb);
        vv_fb_text(&fb, vv_fb_u64(&fb));
        vv_fb_bytes(&fb, 3);
        assert_non_null(fb.error);
        assert_false(vv_fb_end(&fb));
        assert_int_equal(vv_fb_u8(&fb), 0);
        assert_int_equal(vv_fb_u64(&fb), 0);
        assert_null(vv_fb_bytes(&fb, 1));
        memset(copy, 0xee, sizeof copy);
        vv_fb_copy(&fb, copy, sizeof copy);
        assert_memory_equal(copy, "\0\0\0\0\0\0\0\0", 8);
        free(exact);
    }
}

static void test_fb__the_first_error_stays(void **state)
{
    (void)state;
    struct vv_fb fb;
    vv_fb_init_bytes(&fb, "\xff\xff\xff", 3);
    assert_null(vv_fb_text(&fb, 2));
    assert_string_equal(fb.error, "a text is not UTF-8");
    vv_fb_u64(&fb);
    vv_fb_fail(&fb, "another");
    assert_string_equal(fb.error, "a text is not UTF-8");
    assert_false(vv_fb_end(&fb));
}

/* A text must end where a character does. */
static void test_fb__texts_are_whole(void **state)
{
    (void)state;
    struct vv_fb fb;
    vv_fb_init_bytes(&fb, "\xd0\xba", 2);
    assert_null(vv_fb_text(&fb, 1));
    assert_non_null(fb.error);
    vv_fb_init_bytes(&fb, "\xd0\xba", 2);
    assert_non_null(vv_fb_text(&fb, 0));
    assert_non_null(vv_fb_text(&fb, 2));
    assert_true(vv_fb_end(&fb));
}

static void test_fb__counts_and_leftovers(void **state)
{
    (void)state;
    uint8_t bytes[40] = {0};
    struct vv_fb fb;
    vv_fb_init_bytes(&fb, bytes, sizeof bytes);
    assert_int_equal(vv_fb_count(&fb, 10, 4), 10);
    assert_null(fb.error);
    assert_int_equal(vv_fb_count(&fb, 11, 4), 0);
    assert_non_null(fb.error);
    vv_fb_init_bytes(&fb, bytes, sizeof bytes);
    assert_int_equal(vv_fb_count(&fb, UINT64_MAX, 1), 0);
    vv_fb_init_bytes(&fb, bytes, sizeof bytes);
    assert_null(vv_fb_bytes(&fb, UINT64_MAX));
    assert_non_null(fb.error);
    vv_fb_init_bytes(&fb, bytes, sizeof bytes);
    vv_fb_bytes(&fb, sizeof bytes - 1);
    assert_false(vv_fb_end(&fb));
    assert_string_equal(fb.error, "bytes are left behind the last field");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fb__in_pieces),
        cmocka_unit_test(test_fb__too_short),
        cmocka_unit_test(test_fb__the_first_error_stays),
        cmocka_unit_test(test_fb__texts_are_whole),
        cmocka_unit_test(test_fb__counts_and_leftovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
