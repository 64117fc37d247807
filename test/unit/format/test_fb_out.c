/* SPDX-License-Identifier: Apache-2.0 */
#include "format/fb_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hex.h"
#include "varve/error.h"

static void put_all(struct vv_fb_out *out)
{
    vv_fb_put_u8(out, 7);
    vv_fb_put_u32(out, 0x04030201);
    vv_fb_put_u64(out, UINT64_C(0x0807060504030201));
    vv_fb_put_bytes(out, (struct varve_bytes){"az", 2});
    vv_fb_put_bytes_u32(out, (struct varve_bytes){NULL, 0});
    vv_fb_put(out, "!", 1);
}

/* Into any room: exactly it, and the length in any case. */
static void test_fb_out__any_room(void **state)
{
    (void)state;
    uint8_t expected[64];
    size_t whole = test_hex("07 01020304 0102030405060708 0200000000000000 617a 00000000 21", expected);
    for (size_t room = 0; room <= whole + 3; room++) {
        uint8_t *exact = malloc(room + 1);
        struct vv_fb_out out;
        size_t bytes = 0;
        vv_fb_out_init(&out, room > 0 ? exact : NULL, room);
        put_all(&out);
        assert_int_equal(vv_fb_out_end(&out, &bytes), room < whole ? VARVE_E_TOO_LARGE : 0);
        assert_int_equal(bytes, whole);
        if (room >= whole)
            assert_memory_equal(exact, expected, whole);
        free(exact);
    }
}

/* Once something did not fit, nothing behind it is written, however short. */
static void test_fb_out__nothing_after_a_gap(void **state)
{
    (void)state;
    uint8_t room[4] = {0xee, 0xee, 0xee, 0xee};
    struct vv_fb_out out;
    size_t bytes;
    vv_fb_out_init(&out, room, sizeof room);
    vv_fb_put_u64(&out, 0);
    vv_fb_put_u8(&out, 0);
    assert_int_equal(room[0], 0xee);
    assert_int_equal(vv_fb_out_end(&out, &bytes), VARVE_E_TOO_LARGE);
    assert_int_equal(bytes, 9);
}

static void test_fb_out__lengths_do_not_wrap(void **state)
{
    (void)state;
    struct vv_fb_out out;
    size_t bytes;
    vv_fb_out_init(&out, NULL, 0);
    for (int i = 0; i < 3; i++)
        vv_fb_put(&out, NULL, SIZE_MAX / 2);
    assert_int_equal(vv_fb_out_end(&out, &bytes), VARVE_E_TOO_LARGE);
    assert_true(bytes == SIZE_MAX);
}

static void test_fb_out__texts(void **state)
{
    (void)state;
    assert_true(vv_is_text((struct varve_bytes){NULL, 0}));
    assert_true(vv_is_text((struct varve_bytes){"\xd0\xba", 2}));
    assert_false(vv_is_text((struct varve_bytes){"\xd0\xba", 1}));
    assert_false(vv_is_text((struct varve_bytes){"\xff", 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fb_out__any_room),
        cmocka_unit_test(test_fb_out__nothing_after_a_gap),
        cmocka_unit_test(test_fb_out__lengths_do_not_wrap),
        cmocka_unit_test(test_fb_out__texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
