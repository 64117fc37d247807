/* SPDX-License-Identifier: Apache-2.0 */
/* While the disk has nothing to give, it is probed by one thread at a time, and the log goes on by itself. */
#include "log/breaker.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "log/stages.h"
#include "varve/cursor.h"
#include "varve/health.h"

struct ear {
    _Atomic unsigned opened, closed, moves;
};

static void on_message(void *arg, const struct varve_message *message)
{
    struct ear *ear = arg;
    if (message->event == VARVE_EVENT_BREAKER_OPEN) {
        atomic_fetch_add(&ear->opened, 1);
    } else if (message->event == VARVE_EVENT_BREAKER_CLOSED) {
        atomic_fetch_add(&ear->closed, 1);
    } else if (message->event == VARVE_EVENT_FRAMES_MOVE) {
        atomic_fetch_add(&ear->moves, 1);
    }
}

static struct varve_options small(struct ear *ear)
{
    return (struct varve_options){.slot_bytes = 16384,
                                  .slot_count = 8,
                                  .mark_idle_ms = UINT32_MAX,
                                  .retry_count = 6,
                                  .retry_first_ms = 1,
                                  .breaker_failures = 3,
                                  .breaker_first_ms = 20,
                                  .breaker_max_ms = 80,
                                  .message = on_message,
                                  .message_arg = ear};
}

static struct varve_health_report health_of(struct test_bed *bed)
{
    struct varve_health_report health = {.size = sizeof health};
    assert_int_equal(varve_health(bed->log, &health), 0);
    return health;
}

static void *crowd(void *arg)
{
    return (void *)(uintptr_t)bed_crowd(arg, 6, 20);
}

/* Opens, probes rarely, lets readers go on, and closes; what was appended meanwhile is durable. */
static void come_back(enum varve_durability durability, uint32_t writes_in_flight, int op, int error)
{
    struct test_bed bed;
    struct ear ear = {0};
    struct varve_options options = small(&ear);
    pthread_t thread;
    void *failed;
    options.durability = durability;
    options.writes_in_flight = writes_in_flight;
    bed_start(&bed, BED_MEMORY, &options, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
    assert_int_equal(varve_sync(bed.log), 0);
    test_fault_arm(&bed.fault, &(struct test_fault_rule){
                                   .op = op, .prefix = "new-", .times = TEST_FAULT_FOREVER, .error = error});
    assert_int_equal(pthread_create(&thread, NULL, crowd, &bed), 0);
    BED_UNTIL(atomic_load(&ear.opened) == 1);
    struct varve_health_report health = health_of(&bed);
    assert_int_equal(health.state, VARVE_HEALTH_DEGRADED);
    assert_true(health.reasons & VARVE_HEALTH_BREAKER);
    assert_true(health.reasons & VARVE_HEALTH_RETRY);
    assert_true(health.failures_in_a_row >= 3 && health.breaker_open_us > 0);
    /* It is not hammered: in a second at 80 ms each there are 12 probes. */
    uint64_t calls = test_fault_calls(&bed.fault, op), now = varve_io_system()->monotonic_us(NULL), end;
    do {
        bed_pause();
        end = varve_io_system()->monotonic_us(NULL);
    } while (end - now < 1000000);
    assert_true(test_fault_calls(&bed.fault, op) > calls);
    assert_true(test_fault_calls(&bed.fault, op) - calls <= (end - now) / 80000 + 4);
    /* More than retry_count, and nothing was given up. */
    assert_true(test_fault_calls(&bed.fault, op) - calls + 3 > options.retry_count);
    assert_int_equal(varve_error_first(bed.log, NULL), 0);
    struct varve_cursor *cursor;
    struct varve_entry entry;
    assert_int_equal(varve_cursor_open(bed.log, VARVE_POLICY_HALT, &cursor, NULL), 0);
    for (uint64_t lsn = 1; lsn <= 5; lsn++) {
        assert_int_equal(varve_cursor_next(cursor, &entry), 0);
        assert_int_equal(entry.lsn, lsn);
    }
    varve_cursor_close(cursor);
    test_fault_disarm(&bed.fault);
    pthread_join(thread, &failed);
    assert_null(failed);
    assert_int_equal(varve_sync(bed.log), 0);
    assert_int_equal(atomic_load(&ear.opened), 1);
    assert_int_equal(atomic_load(&ear.closed), 1);
    assert_int_equal(atomic_load(&ear.moves), 0);
    health = health_of(&bed);
    assert_int_equal(health.breaker_open_us, 0);
    assert_int_equal(health.failures_in_a_row, 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_breaker__comes_back(void **state)
{
    (void)state;
    come_back(VARVE_GROUP, 1, TEST_OP_WRITE_DSYNC, ENOSPC);
    come_back(VARVE_GROUP, 4, TEST_OP_WRITE_DSYNC, EAGAIN);
    come_back(VARVE_INTERVAL, 1, TEST_OP_WRITE, EDQUOT);
}

/* It opens in the middle of a move as well: after fewer failures than that the segment is given up first. */
static void test_breaker__while_moving(void **state)
{
    (void)state;
    struct test_bed bed;
    struct ear ear = {0};
    struct varve_options options = small(&ear);
    options.retry_count = 2;
    bed_start(&bed, BED_MEMORY, &options, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
    test_fault_arm(&bed.fault, &(struct test_fault_rule){
                                   .op = TEST_OP_WRITE_DSYNC, .times = TEST_FAULT_FOREVER, .error = ENOMEM});
    struct varve_record record = {.data = "12345678", .data_bytes = 8};
    uint64_t lsn;
    assert_int_equal(varve_append_async(bed.log, &record, &lsn), 0);
    BED_UNTIL(atomic_load(&ear.opened) == 1);
    assert_int_equal(atomic_load(&ear.moves), 1);
    assert_true(health_of(&bed).reasons & VARVE_HEALTH_MOVED);
    test_fault_disarm(&bed.fault);
    assert_int_equal(varve_wait(bed.log, lsn, 10000), 0);
    assert_int_equal(atomic_load(&ear.closed), 1);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* Whoever closes the log does not wait for a disk that may never come back. */
static void test_breaker__closing(void **state)
{
    (void)state;
    struct test_bed bed;
    struct ear ear = {0};
    struct varve_options options = small(&ear);
    options.breaker_first_ms = options.breaker_max_ms = 3600000;
    bed_start(&bed, BED_MEMORY, &options, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
    test_fault_fail_always(&bed.fault, TEST_OP_WRITE_DSYNC, 0, ENOSPC);
    struct varve_record record = {.data = "12345678", .data_bytes = 8};
    assert_int_equal(varve_append_async(bed.log, &record, NULL), 0);
    BED_UNTIL(atomic_load(&ear.opened) == 1);
    assert_int_equal(bed_shut(&bed), VARVE_E_SYNC);
    assert_int_equal(bed.error.sys_errno, ENOSPC);
    test_fault_disarm(&bed.fault);
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(varve_last_lsn(bed.log), 5);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* What is final is final: a failed sync is not waited for, and neither is anything where nobody wants it. */
static void test_breaker__final(void **state)
{
    (void)state;
    static const int errors[] = {EIO, ENXIO, ENOSPC};
    for (unsigned i = 0; i < 3; i++) {
        struct test_bed bed;
        struct ear ear = {0};
        struct varve_options options = small(&ear);
        options.breaker_failures = errors[i] == ENOSPC ? UINT32_MAX : 1;
        bed_start(&bed, BED_MEMORY, &options, 1000);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
        test_fault_fail_always(&bed.fault, TEST_OP_WRITE_DSYNC, 0, errors[i]);
        assert_int_equal(varve_append(bed.log, "12345678", 8, NULL), VARVE_E_SYNC);
        assert_int_equal(atomic_load(&ear.opened), 0);
        assert_int_equal(health_of(&bed).state, VARVE_HEALTH_READ_ONLY);
        assert_int_equal(health_of(&bed).first_error.sys_errno, errors[i]);
        assert_int_equal(bed_shut(&bed), VARVE_E_SYNC);
        test_fault_disarm(&bed.fault);
        bed_end(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_breaker__comes_back),
        cmocka_unit_test(test_breaker__while_moving),
        cmocka_unit_test(test_breaker__closing),
        cmocka_unit_test(test_breaker__final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
