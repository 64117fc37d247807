/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect_same(const struct vv_control *a, const struct vv_control *b)
{
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->begin_lsn, b->begin_lsn);
    assert_int_equal(a->parts, b->parts);
    assert_int_equal(a->units, b->units);
    assert_int_equal(a->bytes, b->bytes);
}

static void test_control__commit(void **state)
{
    const struct vv_control control = {.begin_lsn = 7, .parts = 3, .units = 12, .bytes = 4000};
    static const uint8_t expected[VV_CONTROL_COMMIT_BYTES] = {
        1, 0, 0, 0, 0, 0, 0, 0,  7, 0, 0, 0, 0, 0, 0, 0,    3,
        0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0xa0, 0x0f,
    };
    uint8_t out[VV_CONTROL_BYTES_MAX];
    struct vv_control got;
    const char *why = NULL;
    (void)state;
    assert_int_equal(vv_control_put(VV_CONTROL_COMMIT, &control, out), sizeof expected);
    assert_memory_equal(out, expected, sizeof expected);
    assert_int_equal(vv_control_get(VV_CONTROL_COMMIT, out, sizeof expected, &got, &why), 0);
    expect_same(&got, &control);
}

static void test_control__abort(void **state)
{
    const struct vv_control control = {.reason = VV_ABORT_TIME, .begin_lsn = 9};
    uint8_t out[VV_CONTROL_BYTES_MAX];
    struct vv_control got;
    const char *why = NULL;
    (void)state;
    assert_int_equal(vv_control_put(VV_CONTROL_ABORT, &control, out), VV_CONTROL_ABORT_BYTES);
    assert_int_equal(vv_control_get(VV_CONTROL_ABORT, out, VV_CONTROL_ABORT_BYTES, &got, &why), 0);
    expect_same(&got, &control);
}

static void test_control__strangers(void **state)
{
    const struct vv_control control = {.begin_lsn = 9};
    uint8_t out[VV_CONTROL_BYTES_MAX + 1] = {0};
    struct vv_control got = {.begin_lsn = 77};
    const char *why = NULL;
    size_t bytes;
    (void)state;
    for (int type = VV_CONTROL_BEGIN; type <= VV_CONTROL_ABORT; type++) {
        if (type == VV_CONTROL_PART)
            continue;
        bytes = vv_control_put((enum vv_control_type)type, &control, out);
        for (size_t n = 0; n <= sizeof out; n++) {
            if (n != bytes) {
                why = NULL;
                assert_int_equal(vv_control_get((enum vv_control_type)type, out, n, &got, &why),
                                 VARVE_E_CORRUPT);
                assert_non_null(why);
            }
        }
        out[0] = 2;
        assert_int_equal(vv_control_get((enum vv_control_type)type, out, bytes, &got, &why), VARVE_E_VERSION);
    }
    assert_int_equal(got.begin_lsn, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control__commit),
        cmocka_unit_test(test_control__abort),
        cmocka_unit_test(test_control__strangers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
