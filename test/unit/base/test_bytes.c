/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_bytes__little_endian_at_any_address(void **state)
{
    (void)state;
    unsigned char buf[16];
    for (size_t at = 0; at < 8; at++) {
        memset(buf, 0xff, sizeof buf);
        vv_put_u64(buf + at, UINT64_C(0x0102030405060708));
        assert_memory_equal(buf + at, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
        assert_true(vv_get_u64(buf + at) == UINT64_C(0x0102030405060708));
        assert_int_equal(vv_get_u32(buf + at), 0x05060708);
        assert_int_equal(vv_get_u16(buf + at), 0x0708);
        assert_int_equal(buf[at + 8], 0xff);
        vv_put_u32(buf + at, 0xa0b0c0d0);
        assert_memory_equal(buf + at, "\xd0\xc0\xb0\xa0\x04", 5);
        vv_put_u16(buf + at, 0x1122);
        assert_memory_equal(buf + at, "\x22\x11\xb0", 3);
    }
}

static void test_bytes__big_endian_at_any_address(void **state)
{
    (void)state;
    unsigned char buf[16];
    for (size_t at = 0; at < 8; at++) {
        memset(buf, 0xff, sizeof buf);
        vv_put_u64_be(buf + at, UINT64_C(0x0102030405060708));
        assert_memory_equal(buf + at, "\x01\x02\x03\x04\x05\x06\x07\x08\xff", 9);
        assert_true(vv_get_u64_be(buf + at) == UINT64_C(0x0102030405060708));
        assert_int_equal(vv_get_u32_be(buf + at), 0x01020304);
        vv_put_u32_be(buf + at, 0xa0b0c0d0);
        assert_memory_equal(buf + at, "\xa0\xb0\xc0\xd0\x05", 5);
    }
}

static void test_bytes__round(void **state)
{
    (void)state;
    assert_int_equal(vv_round_up(0, 512), 0);
    assert_int_equal(vv_round_up(1, 512), 512);
    assert_int_equal(vv_round_up(512, 512), 512);
    assert_int_equal(vv_round_up(513, 512), 1024);
    assert_int_equal(vv_round_up(7, 1), 7);
    assert_int_equal(vv_round_down(511, 512), 0);
    assert_int_equal(vv_round_down(1023, 512), 512);
    assert_true(vv_round_up(UINT64_MAX - 511, 512) == UINT64_MAX - 511);
    uint64_t v = 5;
    assert_false(vv_round_up_checked(UINT64_MAX - 510, 512, &v));
    assert_int_equal(v, 5);
    assert_true(vv_round_up_checked(9, 8, &v));
    assert_int_equal(v, 16);
    assert_false(vv_is_power_of_two(0));
    assert_true(vv_is_power_of_two(1));
    assert_false(vv_is_power_of_two(6));
    assert_true(vv_is_power_of_two(UINT64_C(1) << 63));
}

static void test_bytes__checked(void **state)
{
    (void)state;
    uint64_t v = 5;
    assert_false(vv_add_checked(UINT64_MAX, 1, &v));
    assert_false(vv_mul_checked(UINT64_C(1) << 32, UINT64_C(1) << 32, &v));
    assert_int_equal(v, 5);
    assert_true(vv_add_checked(UINT64_MAX - 1, 1, &v));
    assert_true(v == UINT64_MAX);
    assert_true(vv_mul_checked(UINT64_C(1) << 32, UINT64_C(1) << 31, &v));
    assert_true(v == UINT64_C(1) << 63);
    assert_int_equal(vv_min_u64(3, 2), 2);
    assert_int_equal(vv_max_u64(3, 2), 3);
}

static void test_bytes__is_zero(void **state)
{
    (void)state;
    unsigned char buf[100] = {0};
    assert_true(vv_is_zero(buf, 0));
    for (size_t bytes = 1; bytes < sizeof buf; bytes++) {
        assert_true(vv_is_zero(buf, bytes));
        for (size_t at = 0; at < bytes; at++) {
            buf[at] = 0x80;
            assert_false(vv_is_zero(buf, bytes));
            buf[at] = 0;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes__little_endian_at_any_address),
        cmocka_unit_test(test_bytes__big_endian_at_any_address),
        cmocka_unit_test(test_bytes__round),
        cmocka_unit_test(test_bytes__checked),
        cmocka_unit_test(test_bytes__is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
