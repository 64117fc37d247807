/* SPDX-License-Identifier: Apache-2.0 */
/* A write or a sync that hangs, in another thread, is told of while it hangs, and in time. */
#include "log/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bed.h"
#include "log/stages.h"
#include "varve/health.h"

#define STALL_MS 200

/* Hears of the call that is held, by its segment and its bytes: on a machine that is busy with other things
 * others may take as long. */
struct ear {
    struct varve_io *io;
    uint64_t segment, bytes;
    _Atomic unsigned stalls, overs, slow;
    _Atomic uint64_t told_us; /* monotonic, when the first stall was told */
    struct varve_message stall;
};

static void on_message(void *arg, const struct varve_message *message)
{
    struct ear *ear = arg;
    if ((message->event == VARVE_EVENT_STALL || message->event == VARVE_EVENT_STALL_OVER) &&
        (message->segment != ear->segment || message->bytes != ear->bytes)) {
        return;
    }
    if (message->event == VARVE_EVENT_STALL && atomic_load(&ear->stalls) == 0) {
        atomic_store(&ear->told_us, ear->io->monotonic_us(ear->io));
        ear->stall = *message;
    }
    if (message->event == VARVE_EVENT_STALL) {
        atomic_fetch_add(&ear->stalls, 1);
    }
    if (message->event == VARVE_EVENT_STALL_OVER) {
        atomic_fetch_add(&ear->overs, 1);
    }
    if (message->event == VARVE_EVENT_SLOW_SYNC) {
        atomic_fetch_add(&ear->slow, 1);
    }
}

static struct varve_health_report health_of(struct test_bed *bed)
{
    struct varve_health_report health = {.size = sizeof health};
    assert_int_equal(varve_health(bed->log, &health), 0);
    return health;
}

/* What hangs, and what is told of it. Returns whether that was in time: a machine that is busy with other
 * things may let the watcher wait now and then, or be slow before anything hangs, and one that is late by
 * itself is late each time. */
static bool hang(enum varve_durability durability, int op, bool sync)
{
    struct test_bed bed;
    struct ear ear = {.io = varve_io_system(), .segment = 1, .bytes = sync ? 0 : 512};
    struct test_gate gate = {.op = op};
    const struct varve_options options = {.durability = durability,
                                          .slot_bytes = 16384,
                                          .mark_idle_ms = UINT32_MAX,
                                          .stall_ms = STALL_MS,
                                          .slow_sync_ms = 50,
                                          .message = on_message,
                                          .message_arg = &ear};
    bed_start(&bed, BED_MEMORY, &options, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
    assert_int_equal(varve_sync(bed.log), 0);
    if (atomic_load(&ear.slow) != 0 || health_of(&bed).reasons != 0) {
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
        return false;
    }
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    atomic_store(&gate.shut, 1);
    struct varve_record record = {.data = "x", .data_bytes = 1};
    uint64_t began = ear.io->monotonic_us(ear.io), lsn;
    assert_int_equal(varve_append_async(bed.log, &record, &lsn), 0);
    assert_int_equal(varve_wait(bed.log, lsn, 1), VARVE_E_TIMEOUT);
    BED_UNTIL(atomic_load(&ear.stalls) >= 1);
    assert_int_equal(atomic_load(&gate.waiting), 1); /* it hangs still */
    uint64_t took = atomic_load(&ear.told_us) - began;
    assert_true(took >= STALL_MS * 1000);
    assert_true(ear.stall.duration_us >= STALL_MS * 1000);
    assert_true((ear.stall.offset != 0) != sync);
    struct varve_health_report health = health_of(&bed);
    assert_int_equal(health.state, VARVE_HEALTH_DEGRADED);
    assert_int_equal(health.reasons, VARVE_HEALTH_STALL);
    assert_true(health.stalled_us >= STALL_MS * 1000);
    assert_int_equal(health.stalled_segment, 1);
    assert_int_equal(health.stalled_bytes, sync ? 0 : 512);
    /* Told again when it has hung for twice as long. */
    BED_UNTIL(atomic_load(&ear.stalls) >= 2);
    assert_int_equal(atomic_load(&ear.overs), 0);
    atomic_store(&gate.shut, 0);
    assert_int_equal(varve_wait(bed.log, lsn, 10000), 0);
    test_fault_set_hook(&bed.fault, NULL, NULL);
    BED_UNTIL(atomic_load(&ear.overs) == 1);
    health = health_of(&bed);
    assert_int_equal(health.stalled_us, 0);
    assert_int_equal(health.reasons, VARVE_HEALTH_SLOW_SYNC);
    assert_true(health.last_sync_took_us >= 2 * STALL_MS * 1000);
    BED_UNTIL(atomic_load(&ear.slow) == 1);
    assert_int_equal(atomic_load(&bed.log->counters.stalls), 1);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
    return took <= (STALL_MS + 100) * 1000;
}

static void hang_in_time(enum varve_durability durability, int op, bool sync)
{
    for (unsigned tries = 0; tries < 5; tries++) {
        if (hang(durability, op, sync)) {
            return;
        }
    }
    fail_msg("told later than %u ms each time", STALL_MS + 100);
}

static void test_watch__write(void **state)
{
    (void)state;
    hang_in_time(VARVE_GROUP, TEST_OP_WRITE_DSYNC, false);
}

static void test_watch__sync(void **state)
{
    (void)state;
    hang_in_time(VARVE_INTERVAL, TEST_OP_SYNC, true);
}

/* A log that was quiet, so that nobody looks, is watched from the next write on. */
static bool after_a_rest(void)
{
    struct test_bed bed;
    struct ear ear = {.io = varve_io_system(), .segment = 1, .bytes = 512};
    struct test_gate gate = {.op = TEST_OP_WRITE_DSYNC};
    const struct varve_options options = {.slot_bytes = 16384,
                                          .mark_idle_ms = UINT32_MAX,
                                          .stall_ms = STALL_MS,
                                          .message = on_message,
                                          .message_arg = &ear};
    bed_start(&bed, BED_MEMORY, &options, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    BED_UNTIL(atomic_load(&bed.log->watch_sleeps) == 1);
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    atomic_store(&gate.shut, 1);
    struct varve_record record = {.data = "x", .data_bytes = 1};
    uint64_t began = ear.io->monotonic_us(ear.io);
    assert_int_equal(varve_append_async(bed.log, &record, NULL), 0);
    BED_UNTIL(atomic_load(&ear.stalls) >= 1);
    uint64_t took = atomic_load(&ear.told_us) - began;
    assert_true(took >= STALL_MS * 1000);
    atomic_store(&gate.shut, 0);
    assert_int_equal(varve_sync(bed.log), 0);
    test_fault_set_hook(&bed.fault, NULL, NULL);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
    return took <= (STALL_MS + 100) * 1000;
}

static void test_watch__after_a_rest(void **state)
{
    (void)state;
    for (unsigned tries = 0; tries < 5; tries++) {
        if (after_a_rest()) {
            return;
        }
    }
    fail_msg("told later than %u ms each time", STALL_MS + 100);
}

/* What makes the next segment is looked at too: an append may soon wait for it. */
static void test_watch__preparing(void **state)
{
    (void)state;
    struct test_bed bed;
    struct ear ear = {.io = varve_io_system(), .segment = 2};
    struct test_gate gate = {.op = TEST_OP_SYNC, .prefix = "new-"};
    const struct varve_options options = {
        .slot_bytes = 16384, .stall_ms = STALL_MS, .message = on_message, .message_arg = &ear};
    bed_start(&bed, BED_MEMORY, &options, 10000);
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    atomic_store(&gate.shut, 1);
    /* A quarter of the segment, so that the next one is made, and no append comes to wait for it. */
    do {
        assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL), 0);
    } while (atomic_load(&bed.log->room_bytes) > 600000);
    BED_UNTIL(atomic_load(&gate.waiting) == 1);
    BED_UNTIL(atomic_load(&ear.stalls) >= 1);
    struct varve_health_report health = health_of(&bed);
    assert_true(health.reasons & VARVE_HEALTH_STALL);
    assert_int_equal(health.preparer, VARVE_THREAD_STUCK);
    atomic_store(&gate.shut, 0);
    BED_UNTIL(atomic_load(&ear.overs) == 1);
    test_fault_set_hook(&bed.fault, NULL, NULL);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* Nobody looks where nobody was asked to, and opening ends in order when it cannot start to. */
static void test_watch__none(void **state)
{
    (void)state;
    struct test_bed bed;
    struct ear ear = {.io = varve_io_system()};
    struct test_gate gate = {.op = TEST_OP_WRITE_DSYNC};
    const struct varve_options options = {.slot_bytes = 16384,
                                          .mark_idle_ms = UINT32_MAX,
                                          .stall_ms = UINT32_MAX,
                                          .message = on_message,
                                          .message_arg = &ear};
    bed_start(&bed, BED_MEMORY, &options, 1000);
    assert_null(bed.log->watch);
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    atomic_store(&gate.shut, 1);
    struct varve_record record = {.data = "x", .data_bytes = 1};
    assert_int_equal(varve_append_async(bed.log, &record, NULL), 0);
    BED_UNTIL(atomic_load(&gate.waiting) == 1);
    for (unsigned i = 0; i < 300; i++) {
        bed_pause();
    }
    assert_int_equal(health_of(&bed).reasons, 0);
    atomic_store(&gate.shut, 0);
    assert_int_equal(varve_sync(bed.log), 0);
    test_fault_set_hook(&bed.fault, NULL, NULL);
    assert_int_equal(atomic_load(&ear.stalls), 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch__write),        cmocka_unit_test(test_watch__sync),
        cmocka_unit_test(test_watch__after_a_rest), cmocka_unit_test(test_watch__preparing),
        cmocka_unit_test(test_watch__none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
