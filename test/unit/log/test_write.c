/* SPDX-License-Identifier: Apache-2.0 */
#include "log/stages.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"

static const struct varve_options small = {
    .slot_bytes = 16384, .mark_idle_ms = 3600000, .retry_count = 4, .retry_first_ms = 1};

/* A write comes to an end in spite of what the system does. */
static void survive(int op, enum varve_durability durability, enum test_fault_action action, int error,
                    size_t bytes, long times, size_t bytes_max, uint64_t moves)
{
    struct test_bed bed;
    struct varve_options options = small;
    options.durability = durability;
    bed_start(&bed, BED_MEMORY, &options, bytes_max);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
    assert_int_equal(varve_sync(bed.log), 0);
    int rule = test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = op,
                                                                    .prefix = "new-",
                                                                    .after = 1,
                                                                    .times = times,
                                                                    .action = action,
                                                                    .error = error,
                                                                    .bytes = bytes});
    for (int i = 0; i < 6; i++) {
        assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL), 0);
        assert_int_equal(varve_sync(bed.log), 0);
    }
    assert_int_equal(test_fault_hits(&bed.fault, rule), times);
    assert_int_equal(bed_stats(&bed).moves, moves);
    if (moves == 0 && action != TEST_FAULT_SHORT && error != EINTR) {
        assert_int_equal(bed_stats(&bed).retries, (uint64_t)times);
    }
    assert_int_equal(varve_error_first(bed.log, NULL), 0);
    assert_int_equal(varve_durable_lsn(bed.log), 9);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_write__transient(void **state)
{
    (void)state;
    static const int errors[] = {EINTR, EAGAIN, ENOSPC, EDQUOT, ENOMEM};
    for (unsigned i = 0; i < 5; i++) {
        survive(TEST_OP_WRITE_DSYNC, VARVE_GROUP, TEST_FAULT_FAIL, errors[i], 0, 3, 300, 0);
        survive(TEST_OP_WRITE, VARVE_BUFFERED, TEST_FAULT_FAIL, errors[i], 0, 3, 300, 0);
    }
    survive(TEST_OP_WRITE, VARVE_BUFFERED, TEST_FAULT_FAIL, EIO, 0, 3, 300, 0);
}

/* One more than it tries: the frame moves. So it does at once when a write that syncs fails. */
static void test_write__for_good(void **state)
{
    (void)state;
    survive(TEST_OP_WRITE_DSYNC, VARVE_GROUP, TEST_FAULT_FAIL, ENOSPC, 0, 4, 300, 1);
    survive(TEST_OP_WRITE, VARVE_BUFFERED, TEST_FAULT_FAIL, EIO, 0, 4, 300, 1);
    survive(TEST_OP_WRITE_DSYNC, VARVE_GROUP, TEST_FAULT_FAIL, EIO, 0, 1, 300, 1);
    survive(TEST_OP_WRITE_DSYNC, VARVE_GROUP, TEST_FAULT_PARTIAL, EIO, 512, 1, 300, 1);
    survive(TEST_OP_SYNC, VARVE_BUFFERED, TEST_FAULT_FAIL, EIO, 0, 1, 300, 1);
    survive(TEST_OP_SYNC, VARVE_BUFFERED, TEST_FAULT_FAIL, ENOSPC, 0, 1, 300, 1);
    survive(TEST_OP_WRITE_DSYNC, VARVE_STRICT, TEST_FAULT_FAIL, ENXIO, 0, 1, 300, 1);
}

/* What is written in pieces is synced once more, as no single call vouches for all of it. */
static void test_write__short(void **state)
{
    (void)state;
    survive(TEST_OP_WRITE_DSYNC, VARVE_GROUP, TEST_FAULT_SHORT, 0, 512, 1, 9000, 0);
    survive(TEST_OP_WRITE_DSYNC, VARVE_GROUP, TEST_FAULT_SHORT, 0, 512, 3, 9000, 0);
    survive(TEST_OP_WRITE, VARVE_BUFFERED, TEST_FAULT_SHORT, 0, 512, 3, 9000, 0);
    survive(TEST_OP_WRITE, VARVE_GROUP, TEST_FAULT_SHORT, 0, 512, 3, 60000, 0);
    survive(TEST_OP_WRITE_DSYNC, VARVE_GROUP, TEST_FAULT_SHORT, 0, 0, 1, 9000, 1);
}

static void test_write__short_first_write(void **state)
{
    (void)state;
    for (size_t bytes = 512; bytes <= 8192; bytes += 512) {
        struct test_bed bed;
        bed_start(&bed, BED_MEMORY, &small, 9000);
        test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = TEST_OP_WRITE_DSYNC,
                                                             .action = TEST_FAULT_SHORT,
                                                             .bytes = bytes});
        uint64_t syncs = test_fault_calls(&bed.fault, TEST_OP_SYNC);
        bed.ledger.bytes_min = 8000;
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
        assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_SYNC), syncs + 1);
        assert_int_equal(bed_shut(&bed), 0);
        bed_check(&bed);
        bed_end(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write__transient),
        cmocka_unit_test(test_write__for_good),
        cmocka_unit_test(test_write__short),
        cmocka_unit_test(test_write__short_first_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
