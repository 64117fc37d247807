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

static const uint32_t never = 3600000;

/* Durable writes and syncs of segments. The marks stay away. */
static uint64_t syncs(struct test_bed *bed)
{
    return test_fault_calls(&bed->fault, TEST_OP_WRITE_DSYNC) + test_fault_calls(&bed->fault, TEST_OP_SYNC);
}

/* Beside the log's own thread, which makes the next segment, only when that has what it wants. */
static void settle(struct test_bed *bed)
{
    BED_UNTIL(atomic_load(&bed->log->ready_count) > 0 || atomic_load(&bed->log->room_bytes) > 800000);
    bed_pause();
}

static void test_flush__memory_writes_nothing(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.durability = VARVE_MEMORY, .slot_bytes = 4096}, 300);
    test_fault_reset_calls(&bed.fault);
    assert_int_equal(bed_crowd(&bed, 4, 2000), 0);
    assert_int_equal(varve_last_lsn(bed.log), 8000);
    assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_ANY), 0);
    assert_int_equal(varve_durable_lsn(bed.log), 0);
    assert_int_equal(varve_wait(bed.log, 1, 0), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_sync(bed.log), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_append_record(bed.log, &(struct varve_record){.data = "x", .data_bytes = 1},
                                         VARVE_GROUP, NULL),
                     VARVE_E_UNSUPPORTED);
    assert_int_equal(bed_shut(&bed), 0);
    assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_ANY_CHANGE), 0);
    bed_end(&bed);
}

static void test_flush__group_syncs_each_frame(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = never}, 100);
    uint64_t before = test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC);
    for (uint64_t i = 1; i <= 50; i++) {
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
        assert_int_equal(varve_durable_lsn(bed.log), i);
        assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC), before + i);
    }
    /* A batch is one frame. */
    struct varve_record records[20] = {{.data = NULL}};
    assert_int_equal(varve_append_batch(bed.log, records, 20, 0, 1, NULL), 0);
    assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC), before + 51);
    assert_int_equal(bed_stats(&bed).frames, 51);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static void test_flush__group_shares_a_frame(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_gate gate = {.op = TEST_OP_WRITE_DSYNC};
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = never, .writes_in_flight = 1}, 100);
    uint64_t before = test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC);
    /* The disk stands still under the first record; what comes meanwhile goes out together. */
    atomic_store(&gate.shut, 1);
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    const struct varve_record record = {.data = "12345678", .data_bytes = 8};
    assert_int_equal(varve_append_async(bed.log, &record, NULL), 0);
    BED_UNTIL(atomic_load(&gate.waiting) == 1);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(varve_append_async(bed.log, &record, NULL), 0);
    }
    assert_int_equal(varve_durable_lsn(bed.log), 0);
    assert_int_equal(varve_wait(bed.log, 101, 0), VARVE_E_TIMEOUT);
    atomic_store(&gate.shut, 0);
    assert_int_equal(varve_wait(bed.log, 101, VARVE_WAIT_FOREVER), 0);
    assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC), before + 2);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static void test_flush__strict_syncs_each_record(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = never, .durability = VARVE_STRICT},
              100);
    uint64_t before = test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC);
    assert_int_equal(bed_crowd(&bed, 4, 50), 0);
    assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC), before + 200);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(varve_append_async(bed.log, &(struct varve_record){.data = NULL}, NULL), 0);
    }
    assert_int_equal(varve_sync(bed.log), 0);
    assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC), before + 250);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* Each asynchronous record of a strict log closes a slot: the thread of the log must lead them in order. */
static void *async_run(void *arg)
{
    struct test_bed *bed = arg;
    for (int i = 0; i < 3000; i++) {
        if (varve_append_async(bed->log, &(struct varve_record){.data = NULL}, NULL) != 0) {
            return bed;
        }
    }
    return NULL;
}

static void async_crowd(enum varve_durability durability, uint32_t mark_idle_ms, uint32_t writes_in_flight)
{
    struct test_bed bed;
    pthread_t threads[4];
    void *failed;
    bed_start(&bed, BED_MEMORY,
              &(struct varve_options){.mark_idle_ms = mark_idle_ms,
                                      .durability = durability,
                                      .slot_bytes = 4096,
                                      .slot_count = 8,
                                      .writes_in_flight = writes_in_flight},
              100);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, async_run, &bed), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    /* Nobody waits by leading: the log's thread has to bring them all to disk. */
    BED_UNTIL(varve_durable_lsn(bed.log) == 12000);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static void test_flush__async_needs_no_waiter(void **state)
{
    (void)state;
    async_crowd(VARVE_STRICT, never, 1);
    async_crowd(VARVE_STRICT, 1, 4);
    async_crowd(VARVE_GROUP, 1, 1);
    async_crowd(VARVE_GROUP, never, 4);
}

static void test_flush__buffered_syncs_by_bytes(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(
        &bed, BED_MEMORY,
        &(struct varve_options){
            .mark_idle_ms = never, .durability = VARVE_BUFFERED, .slot_bytes = 16384, .sync_bytes = 65536},
        100);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 20), 0);
    settle(&bed);
    assert_int_equal(varve_durable_lsn(bed.log), 0);
    assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC), 0);
    /* Two times sync_bytes, and a slot. */
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 2 * 65536 / 8 / 4 + 500), 0);
    BED_UNTIL(varve_durable_lsn(bed.log) > 0);
    assert_int_equal(varve_sync(bed.log), 0);
    assert_int_equal(varve_durable_lsn(bed.log), varve_last_lsn(bed.log));
    assert_true(bed_stats(&bed).syncs <= 12);
    uint64_t before = bed_stats(&bed).syncs;
    assert_int_equal(varve_sync(bed.log), 0);
    assert_int_equal(bed_stats(&bed).syncs, before);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* A frame of its own that nobody waits for: its slot is closed from the beginning, so nobody who comes later
 * closes it and says so. */
static void test_flush__buffered_hears_of_a_strict_batch(void **state)
{
    (void)state;
    struct test_bed bed;
    const struct varve_options options = {
        .durability = VARVE_BUFFERED,
        .slot_bytes = 4096,
        .slot_count = 4,
        .mark_idle_ms = never,
        .backpressure = VARVE_BACKPRESSURE_WAIT,
        .backpressure_ms = 20000,
    };
    const struct varve_record records[2] = {{.data = "a", .data_bytes = 1}, {.data = "b", .data_bytes = 1}};
    bed_start(&bed, BED_MEMORY, &options, 100);
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(varve_append_batch(bed.log, records, 2, VARVE_STRICT, 0, NULL), 0);
    }
    assert_int_equal(varve_sync(bed.log), 0);
    assert_int_equal(varve_durable_lsn(bed.log), 16);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static void test_flush__interval(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(
        &bed, BED_MEMORY,
        &(struct varve_options){.mark_idle_ms = never, .durability = VARVE_INTERVAL, .sync_interval_ms = 20},
        100);
    struct varve_io *io = bed.log->io;
    for (int i = 0; i < 5; i++) {
        uint64_t start = io->monotonic_us(io);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 10), 0);
        uint64_t last = varve_last_lsn(bed.log);
        BED_UNTIL(varve_durable_lsn(bed.log) >= last);
        assert_true(io->monotonic_us(io) - start >= 10000);
    }
    assert_true(bed_stats(&bed).syncs <= 15);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* While it dozes towards a mark that is far away, the interval still counts. */
static void test_flush__interval_beside_a_mark(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(
        &bed, BED_MEMORY,
        &(struct varve_options){.mark_idle_ms = never, .durability = VARVE_INTERVAL, .sync_interval_ms = 10},
        100);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
        BED_UNTIL(varve_durable_lsn(bed.log) == i);
        bed_pause();
    }
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static void test_flush__mark_vouches(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_GROUP, VARVE_BUFFERED, VARVE_INTERVAL, VARVE_STRICT};
    for (unsigned i = 0; i < 4; i++) {
        struct test_bed bed;
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){.mark_idle_ms = 2, .durability = modes[i], .sync_interval_ms = 5},
                  100);
        for (uint64_t round = 1; round <= 3; round++) {
            assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
            assert_int_equal(varve_sync(bed.log), 0);
            BED_UNTIL(bed_stats(&bed).marks >= round);
            BED_UNTIL(atomic_load(&bed.log->vouched_lsn) == 3 * round);
        }
        /* In a quiet log there is no second one. */
        uint64_t marks = bed_stats(&bed).marks;
        for (int ms = 0; ms < 10; ms++) {
            bed_pause();
        }
        assert_int_equal(bed_stats(&bed).marks, marks);
        assert_int_equal(bed_shut(&bed), 0);
        bed_check(&bed);
        bed_end(&bed);
    }
}

/* Strict records take a slot each and come when a mark is due: the mark must not get before them. */
static void test_flush__marks_between_records(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_BUFFERED, VARVE_INTERVAL, VARVE_GROUP};
    for (unsigned i = 0; i < 3; i++) {
        struct test_bed bed;
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){.mark_idle_ms = 1, .durability = modes[i], .sync_interval_ms = 1},
                  100);
        for (int n = 0; n < 400; n++) {
            assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_STRICT, NULL), 0);
            if (n % 4 == 0) {
                bed_pause();
            }
        }
        assert_int_equal(bed_shut(&bed), 0);
        bed_check(&bed);
        bed_end(&bed);
    }
}

/* Records that nobody waits for come one by one, some of them when a mark is due. */
static void *trickle_run(void *arg)
{
    struct test_bed *bed = arg;
    for (int i = 0; i < 300; i++) {
        (void)varve_append_async(bed->log, &(struct varve_record){.data = NULL}, NULL);
        (void)varve_append_async(bed->log, &(struct varve_record){.data = NULL}, NULL);
        if (i % 3 == 0) {
            bed_pause();
        }
    }
    return NULL;
}

static void test_flush__marks_between_async(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct test_bed bed;
        pthread_t threads[3];
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){.mark_idle_ms = 1,
                                          .durability = i < 2 ? VARVE_STRICT : VARVE_GROUP,
                                          .writes_in_flight = 1 + i % 2},
                  100);
        for (int t = 0; t < 3; t++) {
            assert_int_equal(pthread_create(&threads[t], NULL, trickle_run, &bed), 0);
        }
        for (int t = 0; t < 3; t++) {
            assert_int_equal(pthread_join(threads[t], NULL), 0);
        }
        BED_UNTIL(varve_durable_lsn(bed.log) == 1800);
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
    }
}

static void test_flush__stronger_in_buffered(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = never, .durability = VARVE_BUFFERED},
              100);
    uint64_t before = syncs(&bed);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 9), 0);
    assert_int_equal(varve_durable_lsn(bed.log), 0);
    assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_GROUP, NULL), 0);
    assert_int_equal(varve_durable_lsn(bed.log), 10);
    assert_int_equal(syncs(&bed), before + 1);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 9), 0);
    assert_int_equal(varve_durable_lsn(bed.log), 10);
    assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_STRICT, NULL), 0);
    assert_int_equal(varve_durable_lsn(bed.log), 20);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flush__memory_writes_nothing),
        cmocka_unit_test(test_flush__group_syncs_each_frame),
        cmocka_unit_test(test_flush__group_shares_a_frame),
        cmocka_unit_test(test_flush__strict_syncs_each_record),
        cmocka_unit_test(test_flush__async_needs_no_waiter),
        cmocka_unit_test(test_flush__buffered_syncs_by_bytes),
        cmocka_unit_test(test_flush__buffered_hears_of_a_strict_batch),
        cmocka_unit_test(test_flush__interval),
        cmocka_unit_test(test_flush__interval_beside_a_mark),
        cmocka_unit_test(test_flush__mark_vouches),
        cmocka_unit_test(test_flush__marks_between_records),
        cmocka_unit_test(test_flush__marks_between_async),
        cmocka_unit_test(test_flush__stronger_in_buffered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
