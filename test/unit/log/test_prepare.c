/* SPDX-License-Identifier: Apache-2.0 */
#include "log/prepare.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"

#include "log/stages.h"

struct listing {
    const char *prefix;
    unsigned count;
};

static int list_name(void *arg, const char *name)
{
    struct listing *listing = arg;
    listing->count += strncmp(name, listing->prefix, strlen(listing->prefix)) == 0;
    return 0;
}

static unsigned count_names(struct test_bed *bed, const char *prefix)
{
    struct varve_io *io = &bed->memory.io;
    struct listing listing = {prefix, 0};
    struct varve_dir *dir;
    assert_int_equal(io->dir_open(io, NULL, "log", 0, &dir, NULL), 0);
    assert_int_equal(io->dir_list(io, dir, list_name, &listing), 0);
    io->dir_close(io, dir);
    return listing.count;
}

/* Appends until a segment is wanted and cannot be had. */
static void append_until(struct test_bed *bed, int expect)
{
    int rc;
    unsigned count = 0;
    do {
        rc = test_ledger_append(&bed->ledger, bed->log, VARVE_DURABILITY_DEFAULT, NULL);
    } while (rc == 0 && ++count < 10000);
    assert_int_equal(rc, expect);
}

/* Making the next segment fails, and is tried again, at each step of it. */
static void test_prepare__tries_again(void **state)
{
    (void)state;
    static const struct test_fault_rule steps[] = {
        {.op = TEST_OP_UNLINK, .prefix = "new-", .times = 1000000},
        {.op = TEST_OP_CREATE, .prefix = "new-", .times = 1000000, .error = EMFILE},
        {.op = TEST_OP_ALLOCATE, .prefix = "new-", .times = 1000000},
        {.op = TEST_OP_WRITE, .prefix = "new-", .after = 2, .times = 1000000},
        {.op = TEST_OP_WRITE, .prefix = "new-", .after = 2, .times = 1000000, .error = EAGAIN},
        {.op = TEST_OP_SYNC, .prefix = "new-", .times = 1000000},
        {.op = TEST_OP_RANDOM, .times = 1000000},
        {.op = TEST_OP_RENAME, .prefix = "new-", .times = 1000000},
        {.op = TEST_OP_DIR_SYNC, .times = 1000000},
        {.op = TEST_OP_ALLOCATE, .prefix = "new-", .times = 1000000, .error = ENOSPC},
        {.op = TEST_OP_ALLOCATE, .prefix = "new-", .times = 1000000, .error = EFBIG},
    };
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct test_bed bed;
        bed_start(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 16384, .mark_idle_ms = 3600000},
                  15000);
        int rule = test_fault_arm(&bed.fault, &steps[i]);
        append_until(&bed, steps[i].error == ENOSPC || steps[i].error == EFBIG ? VARVE_E_NOSPC : VARVE_E_IO);
        assert_int_equal(varve_error_first(bed.log, NULL), 0);
        assert_true(test_fault_hits(&bed.fault, rule) >= 1);
        test_fault_disarm(&bed.fault);
        BED_UNTIL(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL) == 0);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 100), 0);
        assert_int_equal(bed_shut(&bed), 0);
        bed_check(&bed);
        bed_end(&bed);
    }
}

static void test_prepare__failing_leaves_nothing(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 16384, .mark_idle_ms = 3600000}, 15000);
    int rule = test_fault_fail_always(&bed.fault, TEST_OP_DIR_SYNC, 0, EIO);
    append_until(&bed, VARVE_E_IO);
    BED_UNTIL(test_fault_hits(&bed.fault, rule) >= 6);
    assert_true(count_names(&bed, "wal-") <= 2);
    assert_true(count_names(&bed, "new-") <= 1);
    test_fault_disarm(&bed.fault);
    BED_UNTIL(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL) == 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_prepare__is_spare(void **state)
{
    (void)state;
    char longer[200];
    assert_true(vv_prepare_is_spare("spare-0000000000000001.seg"));
    assert_true(vv_prepare_is_spare("spare-x.seg"));
    assert_false(vv_prepare_is_spare("spare-.seg"));
    assert_false(vv_prepare_is_spare("spare-1.sega"));
    assert_false(vv_prepare_is_spare("aspare-1.seg"));
    assert_false(vv_prepare_is_spare(""));
    memset(longer, 'x', sizeof longer);
    memcpy(longer, "spare-", 6);
    memcpy(longer + sizeof longer - 5, ".seg", 5);
    assert_false(vv_prepare_is_spare(longer));
}

/* Until a segment is there an append waits or is refused, and nothing else happens. */
static void test_prepare__slow(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_gate gate = {.op = TEST_OP_ALLOCATE, .prefix = "new-", .shut = 1};
    bed_start(&bed, BED_MEMORY,
              &(struct varve_options){.slot_bytes = 16384,
                                      .mark_idle_ms = 3600000,
                                      .backpressure = VARVE_BACKPRESSURE_WAIT,
                                      .backpressure_ms = 20},
              15000);
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    append_until(&bed, VARVE_E_BACKPRESSURE);
    assert_int_equal(atomic_load(&gate.waiting), 1);
    assert_true(bed.ledger.acked_count > 50);
    assert_int_equal(varve_durable_lsn(bed.log), bed.ledger.acked_count);
    atomic_store(&gate.shut, 0);
    BED_UNTIL(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL) == 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* A name that was given, and the call said that it could not be: the next try finds it taken. */
static void test_prepare__name_is_taken(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 16384, .mark_idle_ms = 3600000}, 15000);
    const struct test_fault_rule rule = {
        .op = TEST_OP_RENAME, .prefix = "new-", .action = TEST_FAULT_PARTIAL, .error = EIO};
    int number = test_fault_arm(&bed.fault, &rule);
    for (int i = 0; i < 300; i++) {
        BED_UNTIL(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL) == 0);
    }
    assert_int_equal(test_fault_hits(&bed.fault, number), 1);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* Makes the preparer meet, before each segment, a log that has taken all those that there were. */
static int when_all_are_taken(void *arg, const struct test_fault_call *call)
{
    struct test_bed *bed = arg;
    if (call->op == TEST_OP_ALLOCATE && strncmp(call->name, "new-", 4) == 0) {
        while (atomic_load(&bed->log->ready_count) > 0 && !atomic_load(&bed->log->stop_prepare)) {
            bed_pause();
        }
    }
    return 0;
}

/* Writers that take segments as fast as they are made: those behind are closed and removed all the same. */
static void test_prepare__writers_never_rest(void **state)
{
    (void)state;
    struct test_bed bed;
    long open_most = 0;
    bed_start(&bed, BED_MEMORY,
              &(struct varve_options){.slot_bytes = 16384, .mark_idle_ms = 3600000, .keep_segments = 2},
              15000);
    atomic_store(&bed.log->ready_wanted, 2);
    test_fault_set_hook(&bed.fault, when_all_are_taken, &bed);
    for (int i = 0; i < 4000; i++) {
        assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL), 0);
        long now = atomic_load(&bed.fault.open_files);
        open_most = now > open_most ? now : open_most;
    }
    assert_true(varve_durable_lsn(bed.log) - varve_first_lsn(bed.log) < 1500);
    assert_true(open_most < 12);
    test_fault_set_hook(&bed.fault, NULL, NULL);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prepare__name_is_taken), cmocka_unit_test(test_prepare__writers_never_rest),
        cmocka_unit_test(test_prepare__tries_again),   cmocka_unit_test(test_prepare__failing_leaves_nothing),
        cmocka_unit_test(test_prepare__is_spare),      cmocka_unit_test(test_prepare__slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
