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

#include <poll.h>
#include <unistd.h>

static const struct varve_record nothing = {.data = NULL};

static uint64_t now_us(void)
{
    return varve_io_system()->monotonic_us(varve_io_system());
}

static void test_wait__time_limits(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_GROUP, VARVE_STRICT, VARVE_BUFFERED, VARVE_INTERVAL};
    for (unsigned i = 0; i < 4; i++) {
        struct test_bed bed;
        struct test_gate gate = {.op = modes[i] >= VARVE_GROUP ? TEST_OP_WRITE_DSYNC : TEST_OP_SYNC};
        uint64_t lsn;
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){
                      .durability = modes[i], .mark_idle_ms = 3600000, .sync_interval_ms = 3600000},
                  100);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
        assert_int_equal(varve_sync(bed.log), 0);
        test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
        atomic_store(&gate.shut, 1);
        assert_int_equal(varve_append_async(bed.log, &nothing, &lsn), 0);
        assert_int_equal(lsn, 2);
        /* The disk stands still. */
        assert_int_equal(varve_wait(bed.log, 1, 0), 0);
        assert_int_equal(varve_wait(bed.log, 0, 0), 0);
        assert_int_equal(varve_wait(bed.log, 2, 0), VARVE_E_TIMEOUT);
        uint64_t start = now_us();
        assert_int_equal(varve_wait(bed.log, 2, 30), VARVE_E_TIMEOUT);
        assert_true(now_us() - start >= 30000);
        assert_int_equal(varve_wait(bed.log, 3, 5), VARVE_E_TIMEOUT);
        BED_UNTIL(atomic_load(&gate.waiting) == 1);
        atomic_store(&gate.shut, 0);
        assert_int_equal(varve_wait(bed.log, 2, 20000), 0);
        assert_int_equal(varve_durable_lsn(bed.log), 2);
        /* Without one. */
        assert_int_equal(varve_append_async(bed.log, &nothing, &lsn), 0);
        assert_int_equal(varve_wait(bed.log, 3, VARVE_WAIT_FOREVER), 0);
        assert_int_equal(varve_append_async(bed.log, &nothing, &lsn), 0);
        assert_int_equal(varve_wait(bed.log, 4, 20000), 0);
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
    }
}

struct waiter {
    struct varve_log *log;
    uint64_t lsn;
    int timeout_ms;
    _Atomic int begun;
    int rc;
};

static void *wait_run(void *arg)
{
    struct waiter *waiter = arg;
    atomic_store(&waiter->begun, 1);
    waiter->rc = varve_wait(waiter->log, waiter->lsn, waiter->timeout_ms);
    return NULL;
}

/* An LSN that is not given yet is waited for too, in every mode, whoever appends it. */
static void test_wait__not_given_yet(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_GROUP, VARVE_STRICT, VARVE_BUFFERED, VARVE_INTERVAL};
    for (unsigned i = 0; i < 8; i++) {
        struct test_bed bed;
        pthread_t thread;
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){
                      .durability = modes[i % 4], .mark_idle_ms = 3600000, .sync_interval_ms = 3600000},
                  100);
        struct waiter waiter = {.log = bed.log, .lsn = 5, .timeout_ms = i < 4 ? VARVE_WAIT_FOREVER : 30000};
        assert_int_equal(pthread_create(&thread, NULL, wait_run, &waiter), 0);
        BED_UNTIL(atomic_load(&waiter.begun));
        BED_UNTIL(atomic_load(&bed.log->durable_waiters) == 1);
        for (int n = 0; n < 5; n++) {
            assert_int_equal(varve_append_async(bed.log, &nothing, NULL), 0);
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (waiter.rc != 0) {
            fail_msg("mode %u: %s", i, varve_error_name(waiter.rc));
        }
        assert_true(varve_durable_lsn(bed.log) >= 5);
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
    }
}

/* Asking once for what may never come does not make every later record wait for the disk. */
static void test_wait__far_ahead(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY,
              &(struct varve_options){.durability = VARVE_BUFFERED, .mark_idle_ms = 3600000}, 100);
    assert_int_equal(varve_wait(bed.log, UINT64_MAX, 0), VARVE_E_TIMEOUT);
    assert_int_equal(varve_wait(bed.log, 1000000, 1), VARVE_E_TIMEOUT);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 10), 0);
    assert_int_equal(varve_sync(bed.log), 0);
    uint64_t syncs = bed_stats(&bed).syncs;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
        bed_pause();
    }
    assert_int_equal(bed_stats(&bed).syncs, syncs);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static void test_wait__eventfd(void **state)
{
    (void)state;
    struct test_bed bed;
    struct pollfd poll_fd = {.events = POLLIN};
    uint64_t count;
    int again;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = 3600000}, 100);
    assert_int_equal(varve_eventfd(bed.log, &poll_fd.fd), 0);
    assert_int_equal(varve_eventfd(bed.log, &again), 0);
    assert_int_equal(again, poll_fd.fd);
    assert_int_equal(poll(&poll_fd, 1, 0), 0);
    assert_int_equal(varve_append_async(bed.log, &nothing, NULL), 0);
    assert_int_equal(poll(&poll_fd, 1, 20000), 1);
    assert_int_equal(read(poll_fd.fd, &count, sizeof count), sizeof count);
    assert_int_equal(varve_durable_lsn(bed.log), 1);
    assert_int_equal(poll(&poll_fd, 1, 0), 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait__time_limits),
        cmocka_unit_test(test_wait__not_given_yet),
        cmocka_unit_test(test_wait__far_ahead),
        cmocka_unit_test(test_wait__eventfd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
