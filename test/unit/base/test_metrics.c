/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_metrics__bounds(void **state)
{
    (void)state;
    const struct vv_bounds *both[] = {&vv_bounds_us, &vv_bounds_count};
    assert_int_equal(vv_bounds_us.at[0], 10);
    assert_int_equal(vv_bounds_us.at[VV_HISTOGRAM_BUCKETS - 1], 10 * 1000 * 1000);
    for (unsigned b = 0; b < 2; b++) {
        struct vv_histogram histogram = {.sum = 0};
        uint64_t count[VV_HISTOGRAM_BUCKETS + 1] = {0}, sum = 0, expect = 0;
        for (unsigned i = 0; i < VV_HISTOGRAM_BUCKETS; i++) {
            assert_true(i == 0 || both[b]->at[i] > both[b]->at[i - 1]);
            /* A bound belongs to its own bucket, one more to the next. */
            vv_histogram_add(&histogram, both[b], both[b]->at[i]);
            vv_histogram_add(&histogram, both[b], both[b]->at[i] + 1);
            expect += 2 * both[b]->at[i] + 1;
        }
        vv_histogram_add(&histogram, both[b], 0);
        vv_histogram_read(&histogram, count, &sum);
        assert_int_equal(sum, expect);
        assert_int_equal(count[VV_HISTOGRAM_BUCKETS], 1);
        assert_int_equal(count[0], 2);
        for (unsigned i = 1; b == 0 && i < VV_HISTOGRAM_BUCKETS; i++) {
            assert_int_equal(count[i], 2);
        }
        /* Reading adds up. */
        vv_histogram_read(&histogram, count, &sum);
        assert_int_equal(sum, 2 * expect);
        assert_int_equal(count[VV_HISTOGRAM_BUCKETS], 2);
    }
}

static void test_metrics__text(void **state)
{
    (void)state;
    char buf[8];
    struct vv_text text = {.buf = buf, .room = sizeof buf};
    vv_text_print(&text, "%d", 123);
    vv_text_print(&text, "%s", "4567");
    assert_string_equal(buf, "1234567");
    assert_int_equal(text.len, 7);
    assert_int_equal(text.full, 0);
    vv_text_print(&text, "%s", "8");
    assert_int_equal(text.full, 1);
    assert_string_equal(buf, "1234567");
    vv_text_print(&text, "%s", "");
    assert_int_equal(text.len, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics__bounds),
        cmocka_unit_test(test_metrics__text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
