/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_op__bytes(void **state)
{
    static const uint8_t expected[] = {1, 1, 2, 0, 3, 0,   0,   0,   9,   0,  0,
                                       0, 0, 0, 0, 0, 'k', 'y', 'v', 'a', 'l'};
    const struct vv_op op = {
        .kind = VV_OP_SET, .expires_us = 9, .key = "ky", .key_bytes = 2, .value = "val", .value_bytes = 3};
    uint8_t out[sizeof expected];
    const uint8_t *at = out;
    struct vv_op got;
    (void)state;
    assert_int_equal(vv_op_bytes(&op), sizeof expected);
    assert_ptr_equal(vv_op_put(&op, out), out + sizeof out);
    assert_memory_equal(out, expected, sizeof out);
    assert_null(vv_op_get(&at, out + sizeof out, &got));
    assert_ptr_equal(at, out + sizeof out);
    assert_int_equal(got.kind, VV_OP_SET);
    assert_int_equal(got.expires_us, 9);
    assert_int_equal(got.key_bytes, 2);
    assert_memory_equal(got.value, "val", 3);
}

/* Cut off anywhere, in memory of just that length; and bytes that no operation has. */
static void test_op__strangers(void **state)
{
    static const uint8_t bad[][16] = {
        {0, 0, 1, 0, 0, 0, 0, 0, 'k'}, {10, 0, 1, 0, 0, 0, 0, 0, 'k'},
        {7, 0, 1, 0, 0, 0, 0, 0, 'k'}, {8, 0, 1, 0, 4, 0, 0, 0, 'k', 1},
        {7, 4, 1, 0, 0, 0, 0, 0, 'k'}, {1, 2, 1, 0, 0, 0, 0, 0, 'k'},
        {1, 0, 0, 0, 1, 0, 0, 0, 'k'}, {1, 0, 1, 0, 255, 255, 255, 255, 'k'},
        {1, 1, 0, 0, 0, 0, 0, 0, 1},
    };
    const struct vv_op op = {
        .kind = VV_OP_APPEND, .expires_us = 1, .key = "k", .key_bytes = 1, .value = "v", .value_bytes = 1};
    uint8_t whole[32];
    struct vv_op got;
    const uint8_t *at;
    size_t bytes = (size_t)(vv_op_put(&op, whole) - whole);
    (void)state;
    for (size_t n = 0; n < bytes; n++) {
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, whole, n);
        at = copy;
        assert_non_null(vv_op_get(&at, copy + n, &got));
        assert_ptr_equal(at, copy);
        free(copy);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        at = bad[i];
        assert_non_null(vv_op_get(&at, bad[i] + sizeof bad[i], &got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_op__bytes),
        cmocka_unit_test(test_op__strangers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
