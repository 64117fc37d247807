/* SPDX-License-Identifier: Apache-2.0 */
#include "log/shape.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bed.h"

static const struct varve_options small = {.slot_bytes = 16384, .slot_count = 16, .mark_idle_ms = 3600000};

/* The writer and who reads beside it see the same segments, and about the same end. */
static void test_shape__from_both_sides(void **state)
{
    (void)state;
    struct test_bed bed;
    struct vv_shape own, other;
    struct varve_log *reader;
    bed_start(&bed, BED_MEMORY, &small, 100000);
    assert_int_equal(vv_shape_load(bed.log, &own, NULL), 0);
    assert_int_equal(own.count, 0);
    assert_int_equal(own.durable_lsn, 0);
    assert_int_equal(vv_shape_bytes_from(&own, 0), 0);
    vv_shape_free(&own);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 100), 0);
    assert_int_equal(varve_trim(bed.log, 30, NULL), 0);
    assert_int_equal(vv_shape_load(bed.log, &own, NULL), 0);
    struct varve_options options = bed.options;
    options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(varve_open("log", &options, &reader, NULL), 0);
    assert_int_equal(vv_shape_load(reader, &other, NULL), 0);
    assert_int_equal(other.count, own.count);
    assert_true(own.count >= 3);
    for (size_t i = 0; i < own.count; i++) {
        assert_int_equal(other.facts[i].number, own.facts[i].number);
        assert_int_equal(other.facts[i].base_lsn, own.facts[i].base_lsn);
        assert_int_equal(other.facts[i].bytes, own.facts[i].bytes);
        assert_int_equal(other.facts[i].created_us, own.facts[i].created_us);
        assert_true(i == 0 || own.facts[i].created_us >= own.facts[i - 1].created_us);
    }
    assert_int_equal(other.first_lsn, own.first_lsn);
    assert_int_equal(other.end_bytes, own.end_bytes);
    assert_int_equal(own.durable_lsn, 100);
    assert_int_equal(varve_close(reader, NULL), 0);

    uint64_t last = own.facts[own.count - 1].number;
    assert_int_equal(vv_shape_bytes_from(&own, own.count - 2), 2 << 20);
    assert_int_equal(vv_shape_bytes_behind(&own, last, 4096), own.end_bytes - 4096);
    assert_int_equal(vv_shape_bytes_behind(&own, last, 1 << 20), 0);
    assert_int_equal(vv_shape_bytes_behind(&own, last + 1, 0), 0);
    assert_int_equal(vv_shape_bytes_behind(&own, last - 1, 1000), (1 << 20) - 1000 + own.end_bytes);
    vv_shape_free(&own);
    vv_shape_free(&other);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_shape__no_memory(void **state)
{
    (void)state;
    struct test_bed bed;
    struct vv_shape shape = {.count = 77};
    struct varve_error error;
    bed_start(&bed, BED_MEMORY, &small, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
    vv_alloc_fail_after(0);
    assert_int_equal(vv_shape_load(bed.log, &shape, &error), VARVE_E_NOMEM);
    assert_int_equal(error.code, VARVE_E_NOMEM);
    assert_int_equal(shape.count, 77);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(bed_open(&bed), 0);
    for (long n = 0; n < 3; n++) {
        vv_alloc_fail_after(n);
        assert_int_equal(vv_shape_load(bed.log, &shape, &error), VARVE_E_NOMEM);
    }
    vv_alloc_fail_after(-1);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape__from_both_sides),
        cmocka_unit_test(test_shape__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
