/* SPDX-License-Identifier: Apache-2.0 */
#include "log/stages.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"

static void expect_failed(struct test_bed *bed, int code, int sys_errno, const char *words)
{
    struct varve_error error = {0};
    uint64_t lsn = 77;
    int rc = code == VARVE_E_SYNC ? code : VARVE_E_READONLY;
    assert_int_equal(varve_error_first(bed->log, &error), code);
    assert_int_equal(error.code, code);
    assert_int_equal(error.sys_errno, sys_errno);
    if (strstr(error.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, words);
    }
    assert_int_equal(varve_append(bed->log, "x", 1, &lsn), rc);
    assert_int_equal(lsn, 77);
    assert_int_equal(varve_append_async(bed->log, &(struct varve_record){.data = NULL}, &lsn), rc);
    assert_int_equal(varve_append_batch(bed->log, &(struct varve_record){.data = NULL}, 1, 0, 1, &lsn), rc);
    assert_int_equal(lsn, 77);
    assert_int_equal(varve_wait(bed->log, UINT64_MAX, VARVE_WAIT_FOREVER), rc);
    assert_int_equal(varve_wait(bed->log, varve_durable_lsn(bed->log), VARVE_WAIT_FOREVER), 0);
    assert_int_equal(varve_sync(bed->log), rc);
    assert_int_equal(varve_trim(bed->log, 1, NULL), rc);
}

static void test_fail__second_failure(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.durability = VARVE_GROUP}, 300);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 20), 0);
    test_fault_fail_once(&bed.fault, TEST_OP_WRITE_DSYNC, 0, EIO);
    test_fault_fail_always(&bed.fault, TEST_OP_WRITE_DSYNC, 0, ENXIO);
    assert_int_equal(test_ledger_append(&bed.ledger, bed.log, 0, NULL), VARVE_E_SYNC);
    assert_int_equal(varve_durable_lsn(bed.log), 20);
    expect_failed(&bed, VARVE_E_SYNC, EIO, "segment 1");
    /* A later success does not clear it, and reading goes on. */
    test_fault_disarm(&bed.fault);
    expect_failed(&bed, VARVE_E_SYNC, EIO, "segment 1");
    test_ledger_check(&bed.ledger, bed.log);
    assert_int_equal(bed_shut(&bed), VARVE_E_SYNC);
    assert_int_equal(bed.error.code, VARVE_E_SYNC);
    assert_int_equal(bed.error.sys_errno, EIO);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_fail__no_segment_to_move_to(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_init(&bed, BED_MEMORY, &(struct varve_options){.durability = VARVE_GROUP}, 300);
    /* The first segment is made, no other one is. */
    test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = TEST_OP_CREATE,
                                                         .prefix = "new-0",
                                                         .after = 1,
                                                         .times = TEST_FAULT_FOREVER,
                                                         .error = ENOSPC});
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
    test_fault_fail_once(&bed.fault, TEST_OP_WRITE_DSYNC, 0, EIO);
    assert_int_equal(test_ledger_append(&bed.ledger, bed.log, 0, NULL), VARVE_E_SYNC);
    expect_failed(&bed, VARVE_E_SYNC, EIO, "segment 1");
    assert_int_equal(bed_shut(&bed), VARVE_E_SYNC);
    bed_check(&bed);
    bed_end(&bed);
}

struct waiter {
    struct test_bed *bed;
    int kind;
    uint64_t lsn;
    _Atomic int under_way;
    int rc;
};

static void *waiter_run(void *arg)
{
    struct waiter *waiter = arg;
    struct varve_log *log = waiter->bed->log;
    atomic_store(&waiter->under_way, 1);
    switch (waiter->kind) {
    case 0:
        waiter->rc = test_ledger_append(&waiter->bed->ledger, log, 0, NULL);
        break;
    case 1:
        waiter->rc = varve_wait(log, waiter->lsn, VARVE_WAIT_FOREVER);
        break;
    case 2:
        waiter->rc = varve_wait(log, waiter->lsn, 50000);
        break;
    case 3:
        waiter->rc = varve_sync(log);
        break;
    default:
        /* Until the ring is full, and then. */
        do {
            waiter->rc = test_ledger_append(&waiter->bed->ledger, log, 0, NULL);
        } while (waiter->rc == 0);
    }
    return NULL;
}

/* While the disk stands still they all gather; then it fails, twice. */
static void wake_everybody(enum varve_durability durability, uint32_t writes_in_flight)
{
    struct test_bed bed;
    struct waiter waiters[12];
    pthread_t threads[12];
    struct pollfd poll_fd = {.events = POLLIN};
    struct test_gate gate = {.op = durability == VARVE_BUFFERED ? TEST_OP_SYNC : TEST_OP_WRITE_DSYNC};
    bed_start(&bed, BED_MEMORY,
              &(struct varve_options){.durability = durability,
                                      .writes_in_flight = writes_in_flight,
                                      .slot_count = 8,
                                      .slot_bytes = 4096},
              2000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
    assert_int_equal(varve_sync(bed.log), 0);
    assert_int_equal(varve_eventfd(bed.log, &poll_fd.fd), 0);
    atomic_store(&gate.shut, 1);
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    for (int i = 0; i < 12; i++) {
        int kind = i % 6 == 4 && durability != VARVE_BUFFERED ? 0 : i % 6;
        waiters[i] = (struct waiter){.bed = &bed, .kind = kind, .lsn = i < 6 ? 4 : 100000};
        assert_int_equal(pthread_create(&threads[i], NULL, waiter_run, &waiters[i]), 0);
    }
    BED_UNTIL(atomic_load(&gate.waiting) >= 1 && varve_last_lsn(bed.log) >= 4);
    atomic_store(&gate.refuse, EIO);
    atomic_store(&gate.shut, 0);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        /* A sync may have found nothing to do. */
        bool returns_early = durability == VARVE_BUFFERED && waiters[i].kind == 0;
        if (waiters[i].rc != VARVE_E_SYNC && waiters[i].kind != 3 && !returns_early) {
            fail_msg("waiter %d: %s", i, varve_error_name(waiters[i].rc));
        }
    }
    /* The waiters may have seen that it failed before the event was signalled. */
    assert_int_equal(poll(&poll_fd, 1, 20000), 1);
    expect_failed(&bed, VARVE_E_SYNC, EIO, "segment 1");
    assert_int_equal(bed_shut(&bed), VARVE_E_SYNC);
    bed_end(&bed);
}

static void test_fail__wakes_everybody(void **state)
{
    (void)state;
    wake_everybody(VARVE_GROUP, 1);
    wake_everybody(VARVE_GROUP, 4);
    wake_everybody(VARVE_STRICT, 2);
    wake_everybody(VARVE_BUFFERED, 1);
}

static void test_fail__under_load(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_GROUP, VARVE_STRICT, VARVE_BUFFERED, VARVE_INTERVAL};
    for (unsigned i = 0; i < 24; i++) {
        struct test_bed bed;
        enum varve_durability mode = modes[i % 4];
        bed_start(
            &bed, BED_MEMORY,
            &(struct varve_options){
                .durability = mode, .writes_in_flight = 1 + i % 4, .slot_bytes = 4096, .retry_count = 1},
            i % 3 == 0 ? 6000 : 300);
        /* In the modes that return before anything is durable only a sync promises something. */
        if (mode == VARVE_GROUP || mode == VARVE_STRICT) {
            test_fault_fail_always(&bed.fault, TEST_OP_WRITE_DSYNC, 10 + i, EIO);
            test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = TEST_OP_SYNC,
                                                                 .prefix = "new-",
                                                                 .after = 5 + i,
                                                                 .times = TEST_FAULT_FOREVER});
            assert_int_equal(bed_crowd(&bed, 6, 1000), 6);
        } else {
            assert_int_equal(bed_crowd(&bed, 6, 50), 0);
            assert_int_equal(varve_sync(bed.log), 0);
            test_fault_fail_always(&bed.fault, TEST_OP_SYNC, 0, EIO);
            test_fault_fail_always(&bed.fault, TEST_OP_WRITE_DSYNC, 0, EIO);
            assert_int_equal(varve_append(bed.log, "12345678", 8, NULL), 0);
            assert_int_equal(varve_sync(bed.log), VARVE_E_SYNC);
            bed.ledger.offered += (uint64_t)1 << 32;
        }
        assert_int_not_equal(varve_error_first(bed.log, NULL), 0);
        int rc = bed_shut(&bed);
        assert_int_equal(rc, bed.error.code);
        assert_true(rc == VARVE_E_SYNC || rc == VARVE_E_IO);
        if (mode == VARVE_GROUP || mode == VARVE_STRICT) {
            bed_check(&bed);
        }
        bed_end(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail__second_failure),
        cmocka_unit_test(test_fail__no_segment_to_move_to),
        cmocka_unit_test(test_fail__wakes_everybody),
        cmocka_unit_test(test_fail__under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
