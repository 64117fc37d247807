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

/* Fills every slot while the disk stands still. Returns what the append said that found no room. */
static int fill_ring(struct test_bed *bed, struct test_gate *gate)
{
    int rc;
    gate->op = TEST_OP_ANY_WRITE;
    gate->prefix = "new-";
    test_fault_set_hook(&bed->fault, test_gate_hook, gate);
    atomic_store(&gate->shut, 1);
    do {
        rc = test_ledger_append(&bed->ledger, bed->log, VARVE_DURABILITY_DEFAULT, NULL);
    } while (rc == 0);
    return rc;
}

static const struct varve_options small = {.durability = VARVE_BUFFERED,
                                           .slot_bytes = 4096,
                                           .slot_count = 8,
                                           .mark_idle_ms = 3600000,
                                           .backpressure_ms = 30};

static void test_reserve__backpressure_fails(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_options options = small;
    struct test_gate gate = {0};
    options.backpressure = VARVE_BACKPRESSURE_FAIL;
    bed_start(&bed, BED_MEMORY, &options, 500);
    assert_int_equal(fill_ring(&bed, &gate), VARVE_E_BACKPRESSURE);
    uint64_t last = varve_last_lsn(bed.log);
    assert_int_equal(last, bed.ledger.acked_count);
    assert_true(bed_stats(&bed).backpressure >= 1);
    atomic_store(&gate.shut, 0);
    assert_int_equal(varve_sync(bed.log), 0);
    /* What was refused is in no way in the log, and it goes on. */
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    assert_int_equal(varve_last_lsn(bed.log), last + 1);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_reserve__backpressure_waits(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_options options = small;
    struct test_gate gate = {0};
    options.backpressure = VARVE_BACKPRESSURE_WAIT;
    bed_start(&bed, BED_MEMORY, &options, 500);
    assert_int_equal(fill_ring(&bed, &gate), VARVE_E_BACKPRESSURE);
    uint64_t start = varve_io_system()->monotonic_us(varve_io_system());
    assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL),
                     VARVE_E_BACKPRESSURE);
    assert_true(varve_io_system()->monotonic_us(varve_io_system()) - start >= 30000);
    atomic_store(&gate.shut, 0);
    assert_int_equal(varve_sync(bed.log), 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

struct blocked {
    struct test_bed *bed;
    _Atomic unsigned done;
    int rc;
};

static void *blocked_run(void *arg)
{
    struct blocked *blocked = arg;
    for (int i = 0; i < 500 && blocked->rc == 0; i++) {
        blocked->rc =
            test_ledger_append(&blocked->bed->ledger, blocked->bed->log, VARVE_DURABILITY_DEFAULT, NULL);
        atomic_fetch_add(&blocked->done, 1);
    }
    return NULL;
}

static void test_reserve__backpressure_blocks(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_gate gate = {.op = TEST_OP_ANY_WRITE, .prefix = "new-", .shut = 1};
    pthread_t threads[3];
    bed_start(&bed, BED_MEMORY, &small, 500);
    struct blocked blocked[3] = {{.bed = &bed}, {.bed = &bed}, {.bed = &bed}};
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, blocked_run, &blocked[i]), 0);
    }
    BED_UNTIL(atomic_load(&bed.log->ring_waiters) == 3);
    uint64_t stuck = varve_last_lsn(bed.log);
    for (int i = 0; i < 30; i++) {
        bed_pause();
    }
    assert_int_equal(varve_last_lsn(bed.log), stuck);
    atomic_store(&gate.shut, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(blocked[i].rc, 0);
    }
    assert_int_equal(varve_last_lsn(bed.log), 1500);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* The ring goes round as fast as it can: no LSN is given twice, none is left out. The ledger knows. */
static void test_reserve__each_lsn_once(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_MEMORY, VARVE_BUFFERED, VARVE_GROUP};
    for (unsigned i = 0; i < 6; i++) {
        struct test_bed bed;
        struct varve_options options = {
            .durability = modes[i % 3], .slot_bytes = 4096, .slot_count = 4, .writes_in_flight = 1 + i % 2};
        unsigned count = modes[i % 3] == VARVE_MEMORY ? 10000 : 1500;
        bed_start(&bed, BED_MEMORY, &options, i < 3 ? 300 : 5000);
        assert_int_equal(bed_crowd(&bed, 6, count), 0);
        assert_int_equal(varve_last_lsn(bed.log), 6 * count);
        assert_int_equal(bed.ledger.acked_lsn, 6 * count);
        assert_int_equal(bed.ledger.acked_count, 6 * count);
        assert_int_equal(bed_shut(&bed), 0);
        if (modes[i % 3] != VARVE_MEMORY) {
            bed_check(&bed);
        }
        bed_end(&bed);
    }
}

/* No space for the next segment: told, not hung; and when there is some again it goes on by itself. */
static void test_reserve__no_space(void **state)
{
    (void)state;
    struct test_bed bed;
    int rc;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 16384, .slot_count = 8}, 60000);
    test_memory_set_space(&bed.memory, (3 << 20) + 65536);
    unsigned refused = 0;
    for (int i = 0; i < 200; i++) {
        rc = test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL);
        assert_true(rc == 0 || rc == VARVE_E_NOSPC);
        refused += rc != 0;
    }
    assert_true(refused > 0);
    assert_true(bed.ledger.acked_count > 40);
    assert_int_equal(varve_error_first(bed.log, NULL), 0);
    assert_int_equal(varve_sync(bed.log), 0);
    test_ledger_check(&bed.ledger, bed.log);
    test_memory_set_space(&bed.memory, UINT64_MAX);
    BED_UNTIL(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL) == 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 100), 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void *ask_last_lsn(void *arg)
{
    struct blocked *asking = arg;
    atomic_fetch_add(&asking->done, 1);
    asking->rc = (int)varve_last_lsn(asking->bed->log);
    return NULL;
}

/* Whoever opens a slot was held up between letting appenders in and saying that it is open. A record that
 * came in meanwhile has its LSN, and its appender may ask at once for all to be durable. */
static void test_reserve__last_lsn_of_a_slot_being_opened(void **state)
{
    (void)state;
    struct test_bed bed;
    pthread_t thread;
    bed_start(&bed, BED_MEMORY, &small, 100);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    uint64_t seq = atomic_load(&bed.log->open_seq);
    vv_reserve_close(bed.log, vv_slot_at(bed.log, seq));
    assert_int_equal(atomic_load(&bed.log->open_seq), seq + 1);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    atomic_store(&bed.log->open_seq, seq);
    struct blocked asking = {.bed = &bed};
    assert_int_equal(pthread_create(&thread, NULL, ask_last_lsn, &asking), 0);
    BED_UNTIL(atomic_load(&asking.done) == 1);
    for (int i = 0; i < 20; i++) {
        bed_pause();
    }
    atomic_store(&bed.log->open_seq, seq + 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(asking.rc, 2);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserve__backpressure_fails),
        cmocka_unit_test(test_reserve__backpressure_waits),
        cmocka_unit_test(test_reserve__backpressure_blocks),
        cmocka_unit_test(test_reserve__each_lsn_once),
        cmocka_unit_test(test_reserve__no_space),
        cmocka_unit_test(test_reserve__last_lsn_of_a_slot_being_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
