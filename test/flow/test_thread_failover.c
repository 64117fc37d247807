/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log whose device fails or hangs goes on in its second directory, and comes home: by threads that append
 * all the while, and by what is read back of both directories.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "lib/device.h"
#include "varve/health.h"
#include "varve/inspect.h"
#include "varve/pin.h"

#define STALL_MS 150

struct ear {
    _Atomic unsigned failovers, overs, stalls, ends;
    _Atomic uint64_t stall_us, failover_us;
};

struct scene {
    struct test_bed bed;
    struct test_device device;
    struct ear ear;
    _Atomic unsigned rounds; /* there and back; messages of more than five are held back */
};

static void on_message(void *arg, const struct varve_message *message)
{
    struct ear *ear = arg;
    struct varve_io *io = varve_io_system();
    uint64_t now = io->monotonic_us(io);
    switch (message->event) {
    case VARVE_EVENT_FAILOVER:
        if (atomic_fetch_add(&ear->failovers, 1) == 0) {
            atomic_store(&ear->failover_us, now);
        }
        break;
    case VARVE_EVENT_FAILOVER_OVER:
        atomic_fetch_add(&ear->overs, 1);
        break;
    case VARVE_EVENT_STALL:
        if (atomic_fetch_add(&ear->stalls, 1) == 0) {
            atomic_store(&ear->stall_us, now);
        }
        break;
    case VARVE_EVENT_STALL_OVER:
        atomic_fetch_add(&ear->ends, 1);
        break;
    default:
        break;
    }
}

static void begin(struct scene *s, const struct varve_options *options)
{
    struct varve_options o = *options;
    memset(&s->ear, 0, sizeof s->ear);
    atomic_store(&s->rounds, 0);
    o.failover_dir = "/away";
    o.stall_ms = o.stall_ms ? o.stall_ms : STALL_MS;
    o.slot_bytes = o.slot_bytes ? o.slot_bytes : 8192;
    o.breaker_first_ms = 5;
    o.breaker_max_ms = 20;
    o.health_recent_ms = 1;
    o.message = on_message;
    o.message_arg = &s->ear;
    bed_init(&s->bed, BED_MEMORY, &o, 700);
    test_device_init(&s->device, &s->bed.fault.pass.io);
    s->bed.options.io = &s->device.pass.io;
    if (bed_open(&s->bed) != 0) {
        fail_msg("%s", s->bed.error.message);
    }
}

/* What a power cut leaves at this moment opens, and has all that was acknowledged. */
static void check_cut(struct scene *s)
{
    struct varve_options options = s->bed.options;
    struct test_memory cut;
    struct test_device device;
    test_memory_crash(&s->bed.memory, TEST_CRASH_NOTHING, NULL, &cut);
    test_device_init(&device, &cut.io);
    options.io = &device.pass.io;
    options.message = NULL;
    options.failover_dir = NULL; /* MANIFEST says where it is */
    test_ledger_reopen(&s->bed.ledger, s->bed.path, &options);
    test_ledger_reopen(&s->bed.ledger, s->bed.path, &options);
    test_memory_close(&cut);
}

static void end(struct scene *s)
{
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_options options = {.size = sizeof options, .io = &s->device.pass.io};
    if (s->bed.log != NULL) {
        assert_int_equal(varve_sync(s->bed.log), 0);
    }
    check_cut(s);
    if (s->bed.log != NULL) {
        assert_int_equal(bed_shut(&s->bed), 0);
    }
    test_device_set(&s->device, 0, TEST_DEVICE_WELL);
    test_device_set(&s->device, 1, TEST_DEVICE_WELL);
    check_cut(s);
    assert_int_equal(varve_verify(s->bed.path, &options, NULL, NULL, &result, NULL), 0);
    assert_int_equal(result.damages, 0);
    s->bed.options.failover_dir = NULL;
    test_ledger_reopen(&s->bed.ledger, s->bed.path, &s->bed.options);
    bed_end(&s->bed);
}

static uint32_t reasons(struct scene *s)
{
    struct varve_health_report health = {.size = sizeof health};
    assert_int_equal(varve_health(s->bed.log, &health), 0);
    assert_int_not_equal(health.state, VARVE_HEALTH_READ_ONLY);
    return health.reasons;
}

/* -- it fails -- */

static void fails(const struct varve_options *options, enum test_device_state state)
{
    struct scene s;
    begin(&s, options);
    assert_int_equal(bed_crowd(&s.bed, 4, 50), 0);
    test_device_set(&s.device, 0, state);
    assert_int_equal(bed_crowd(&s.bed, 4, 100), 0);
    assert_int_equal(varve_sync(s.bed.log), 0);
    BED_UNTIL(atomic_load(&s.ear.failovers) >= 1);
    assert_true(reasons(&s) & VARVE_HEALTH_FAILOVER);
    if (state != TEST_DEVICE_DEAD) {
        test_ledger_check(&s.bed.ledger, s.bed.log);
    }
    check_cut(&s);
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    BED_UNTIL(atomic_load(&s.ear.overs) >= 1);
    assert_false(reasons(&s) & VARVE_HEALTH_FAILOVER);
    check_cut(&s);
    assert_int_equal(bed_crowd(&s.bed, 4, 50), 0);
    assert_int_equal(varve_sync(s.bed.log), 0);
    test_ledger_check(&s.bed.ledger, s.bed.log);
    assert_int_equal(varve_error_first(s.bed.log, NULL), 0);
    end(&s);
}

static void test_thread_failover__writes_fail(void **state)
{
    (void)state;
    fails(&(struct varve_options){.durability = VARVE_GROUP}, TEST_DEVICE_FAILS);
}

static void test_thread_failover__several_in_flight(void **state)
{
    (void)state;
    fails(&(struct varve_options){.writes_in_flight = 4}, TEST_DEVICE_FAILS);
}

static void test_thread_failover__all_fails(void **state)
{
    (void)state;
    fails(&(struct varve_options){.durability = VARVE_STRICT}, TEST_DEVICE_DEAD);
}

static void test_thread_failover__syncs_fail(void **state)
{
    (void)state;
    fails(&(struct varve_options){.durability = VARVE_INTERVAL, .sync_interval_ms = 5}, TEST_DEVICE_FAILS);
}

static void test_thread_failover__nobody_watches(void **state)
{
    (void)state;
    fails(&(struct varve_options){.stall_ms = UINT32_MAX}, TEST_DEVICE_FAILS);
}

/* -- it hangs -- */

/* Whether that was told in time; a busy machine may be late now and then. */
static bool hangs(const struct varve_options *options)
{
    struct scene s;
    struct varve_io *io = varve_io_system();
    begin(&s, options);
    assert_int_equal(bed_crowd(&s.bed, 4, 20), 0);
    assert_int_equal(varve_sync(s.bed.log), 0);
    test_device_set(&s.device, 0, TEST_DEVICE_HANGS);
    uint64_t began = io->monotonic_us(io);
    assert_int_equal(bed_crowd(&s.bed, 4, 100), 0);
    assert_int_equal(varve_sync(s.bed.log), 0);
    BED_UNTIL(atomic_load(&s.ear.failovers) >= 1);
    /* All that is acknowledged, while what hung still hangs. */
    assert_true(atomic_load(&s.device.at[0].hanging) >= 1);
    assert_true(atomic_load(&s.ear.stalls) >= 1);
    assert_true(reasons(&s) & VARVE_HEALTH_FAILOVER);
    test_ledger_check(&s.bed.ledger, s.bed.log);
    check_cut(&s);
    bool late = atomic_load(&s.ear.stall_us) - began > (STALL_MS + 100) * 1000;
    /* It comes back, late: nothing is changed by that. */
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    BED_UNTIL(atomic_load(&s.ear.overs) >= 1);
    assert_true(atomic_load(&s.ear.ends) >= 1);
    test_ledger_check(&s.bed.ledger, s.bed.log);
    check_cut(&s);
    assert_int_equal(bed_crowd(&s.bed, 4, 50), 0);
    assert_int_equal(varve_sync(s.bed.log), 0);
    test_ledger_check(&s.bed.ledger, s.bed.log);
    assert_int_equal(varve_error_first(s.bed.log, NULL), 0);
    end(&s);
    return !late;
}

static void hangs_in_time(const struct varve_options *options)
{
    for (int i = 0; i < 4; i++) {
        if (hangs(options)) {
            return;
        }
    }
    fail_msg("a call that hangs was told of too late, each time");
}

static void test_thread_failover__write_hangs(void **state)
{
    (void)state;
    hangs_in_time(&(struct varve_options){.durability = VARVE_GROUP});
}

static void test_thread_failover__several_hang(void **state)
{
    (void)state;
    hangs_in_time(&(struct varve_options){.writes_in_flight = 4});
}

static void test_thread_failover__sync_hangs(void **state)
{
    (void)state;
    hangs_in_time(&(struct varve_options){.durability = VARVE_INTERVAL, .sync_interval_ms = 5});
}

/* A log that is closed while a call hangs ends when that does, and everything is there. */
static void *let_go(void *arg)
{
    struct scene *s = arg;
    for (int i = 0; i < 50; i++) {
        bed_pause();
    }
    test_device_set(&s->device, 0, TEST_DEVICE_WELL);
    return NULL;
}

static void test_thread_failover__closed_while_it_hangs(void **state)
{
    (void)state;
    struct scene s;
    pthread_t thread;
    begin(&s, &(struct varve_options){.durability = VARVE_GROUP});
    assert_int_equal(bed_crowd(&s.bed, 2, 20), 0);
    test_device_set(&s.device, 0, TEST_DEVICE_HANGS);
    assert_int_equal(bed_crowd(&s.bed, 2, 20), 0);
    assert_int_equal(pthread_create(&thread, NULL, let_go, &s), 0);
    assert_int_equal(bed_shut(&s.bed), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    end(&s);
}

/* -- again and again -- */

static void *disturb(void *arg)
{
    struct scene *s = arg;
    for (int i = 0; i < 8; i++) {
        test_device_set(&s->device, 0, i % 4 == 3 ? TEST_DEVICE_HANGS : TEST_DEVICE_FAILS);
        BED_UNTIL(reasons(s) & VARVE_HEALTH_FAILOVER);
        test_device_set(&s->device, 0, TEST_DEVICE_WELL);
        BED_UNTIL((reasons(s) & VARVE_HEALTH_FAILOVER) == 0);
        atomic_fetch_add(&s->rounds, 1);
    }
    return NULL;
}

static void *trim(void *arg)
{
    struct scene *s = arg;
    while (atomic_load(&s->rounds) < 8) {
        uint64_t durable = varve_durable_lsn(s->bed.log);
        (void)varve_trim(s->bed.log, durable > 300 ? durable - 300 : 0, NULL);
        (void)varve_pin_move(s->bed.log, "reader", durable > 250 ? durable - 250 : 1, 0, NULL);
        bed_pause();
    }
    return NULL;
}

static void *append(void *arg)
{
    struct scene *s = arg;
    while (atomic_load(&s->rounds) < 8) {
        assert_int_equal(test_ledger_fill(&s->bed.ledger, s->bed.log, 10), 0);
    }
    return NULL;
}

static void test_thread_failover__there_and_back(void **state)
{
    (void)state;
    struct scene s;
    pthread_t threads[4];
    begin(&s, &(struct varve_options){.writes_in_flight = 2, .slot_bytes = 16384, .stall_ms = 60});
    assert_int_equal(test_ledger_fill(&s.bed.ledger, s.bed.log, 10), 0);
    struct varve_pin pin = {.size = sizeof pin, .name = "reader", .lsn = 1};
    assert_int_equal(varve_pin_set(s.bed.log, &pin, NULL), 0);
    assert_int_equal(pthread_create(&threads[0], NULL, disturb, &s), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, append, &s), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, append, &s), 0);
    assert_int_equal(pthread_create(&threads[3], NULL, trim, &s), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(varve_error_first(s.bed.log, NULL), 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_failover__writes_fail),
        cmocka_unit_test(test_thread_failover__several_in_flight),
        cmocka_unit_test(test_thread_failover__all_fails),
        cmocka_unit_test(test_thread_failover__syncs_fail),
        cmocka_unit_test(test_thread_failover__nobody_watches),
        cmocka_unit_test(test_thread_failover__write_hangs),
        cmocka_unit_test(test_thread_failover__several_hang),
        cmocka_unit_test(test_thread_failover__sync_hangs),
        cmocka_unit_test(test_thread_failover__closed_while_it_hangs),
        cmocka_unit_test(test_thread_failover__there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
