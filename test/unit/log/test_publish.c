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

struct heard {
    _Atomic uint64_t calls, highest, running;
    struct test_gate *gate;
};

static void hear(void *arg, uint64_t durable_lsn)
{
    struct heard *heard = arg;
    atomic_fetch_add(&heard->running, 1);
    atomic_fetch_add(&heard->calls, 1);
    uint64_t old = atomic_load(&heard->highest);
    while (old < durable_lsn && !atomic_compare_exchange_weak(&heard->highest, &old, durable_lsn)) {
    }
    atomic_fetch_sub(&heard->running, 1);
}

static void test_publish__callback(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_GROUP, VARVE_STRICT, VARVE_BUFFERED, VARVE_INTERVAL};
    for (unsigned i = 0; i < 4; i++) {
        struct test_bed bed;
        struct heard heard = {.calls = 0}, other = {.calls = 0};
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){.durability = modes[i], .sync_interval_ms = 1, .slot_bytes = 4096},
                  100);
        assert_int_equal(varve_on_durable(bed.log, hear, &heard), 0);
        assert_int_equal(bed_crowd(&bed, 4, 100), 0);
        assert_int_equal(varve_sync(bed.log), 0);
        BED_UNTIL(atomic_load(&heard.highest) == 400);
        /* Another one takes its place. */
        assert_int_equal(varve_on_durable(bed.log, hear, &other), 0);
        uint64_t calls = atomic_load(&heard.calls);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
        assert_int_equal(varve_sync(bed.log), 0);
        BED_UNTIL(atomic_load(&other.highest) == 401);
        assert_int_equal(varve_on_durable(bed.log, NULL, NULL), 0);
        assert_int_equal(varve_on_durable(bed.log, NULL, NULL), 0);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
        assert_int_equal(bed_shut(&bed), 0);
        assert_int_equal(atomic_load(&heard.calls), calls);
        assert_int_equal(atomic_load(&other.highest), 401);
        bed_end(&bed);
    }
}

struct changer {
    struct test_bed *bed;
    _Atomic int stop;
    unsigned changes;
    bool broken;
};

/* After NULL has returned nothing is called: the context may go. */
static void *change(void *arg)
{
    struct changer *changer = arg;
    while (!atomic_load(&changer->stop)) {
        struct heard heard = {.calls = 0};
        changer->broken |= varve_on_durable(changer->bed->log, hear, &heard) != 0;
        changer->broken |= varve_on_durable(changer->bed->log, NULL, NULL) != 0;
        changer->broken |= atomic_load(&heard.running) != 0;
        uint64_t calls = atomic_load(&heard.calls);
        bed_pause();
        changer->broken |= atomic_load(&heard.calls) != calls;
        memset(&heard, 0xee, sizeof heard);
        changer->changes++;
    }
    return NULL;
}

static void test_publish__callback_comes_and_goes(void **state)
{
    (void)state;
    struct test_bed bed;
    pthread_t thread;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.writes_in_flight = 4, .slot_bytes = 4096}, 100);
    struct changer changer = {.bed = &bed};
    assert_int_equal(pthread_create(&thread, NULL, change, &changer), 0);
    assert_int_equal(bed_crowd(&bed, 4, 1000), 0);
    atomic_store(&changer.stop, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(changer.broken);
    assert_true(changer.changes > 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* Frames that are finished out of order are published in order: the durable LSN never passes a hole. */
static int hold_first(void *arg, const struct test_fault_call *call)
{
    struct test_gate *gate = arg;
    return call->op == TEST_OP_WRITE_DSYNC && call->offset == 4096 + 512 ? test_gate_hook(gate, call) : 0;
}

static void *append_one(void *arg)
{
    struct test_bed *bed = arg;
    return test_ledger_append(&bed->ledger, bed->log, VARVE_DURABILITY_DEFAULT, NULL) != 0 ? bed : NULL;
}

static void test_publish__no_hole(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_gate gate = {.op = TEST_OP_WRITE_DSYNC, .shut = 1};
    pthread_t threads[3];
    void *failed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.writes_in_flight = 4, .mark_idle_ms = 3600000}, 100);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    test_fault_set_hook(&bed.fault, hold_first, &gate);
    for (int i = 0; i < 3; i++) {
        uint64_t writes = test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC);
        assert_int_equal(pthread_create(&threads[i], NULL, append_one, &bed), 0);
        BED_UNTIL(test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC) == writes + 1);
    }
    /* Records 3 and 4 are on disk, each in its frame; 2 is not. */
    BED_UNTIL(atomic_load(&vv_slot_at(bed.log, 3)->progress) == VV_PROGRESS_DONE &&
              atomic_load(&vv_slot_at(bed.log, 4)->progress) == VV_PROGRESS_DONE);
    assert_int_equal(varve_durable_lsn(bed.log), 1);
    assert_int_equal(bed_stats(&bed).acked_lsn, 1);
    atomic_store(&gate.shut, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(varve_durable_lsn(bed.log), 4);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publish__callback),
        cmocka_unit_test(test_publish__callback_comes_and_goes),
        cmocka_unit_test(test_publish__no_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
