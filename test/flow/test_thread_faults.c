/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks that fail and disks that are slow, under load: nobody waits for something that will not come, and
 * nothing that was acknowledged is lost.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/crew.h"
#include "lib/fault.h"
#include "lib/memory.h"
#include "lib/rng.h"

enum {
    THREADS = 8,
    PAYLOAD_MAX = 20000
};

struct load {
    struct varve_log *log;
    struct test_crew_table acked;
    struct test_fault fault;
    struct test_memory memory;
    struct varve_options options;
    uint64_t seed;
    uint32_t ops;
    _Atomic uint32_t ids, stop;
    _Atomic uint64_t wrong, refused, pressed;
};

static void pause_us(long us)
{
    const struct timespec t = {0, us * 1000};

    nanosleep(&t, NULL);
}

static void wrong(struct load *l, const char *what, int rc)
{
    fprintf(stderr, "%s: %s\n", what, varve_error_name(rc));
    atomic_fetch_add(&l->wrong, 1);
}

static bool refuses(int rc)
{
    return rc == VARVE_E_SYNC || rc == VARVE_E_READONLY;
}

static int append(struct load *l, struct test_rng *rng, unsigned char *payload, size_t bytes,
                  uint64_t *ret_lsn, bool *ret_acked)
{
    const struct varve_record record = {.data = payload, .data_bytes = bytes};

    *ret_acked = l->options.durability >= VARVE_GROUP;
    switch (test_rng_below(rng, 8)) {
    case 0:
        *ret_acked = false;
        return varve_append_async(l->log, &record, ret_lsn);
    case 1:
        *ret_acked = true;
        return varve_append_record(l->log, &record, VARVE_STRICT, ret_lsn);
    default:
        return varve_append(l->log, payload, bytes, ret_lsn);
    }
}

static void *run_appender(void *arg)
{
    struct load *l = arg;
    uint32_t id = atomic_fetch_add(&l->ids, 1);
    unsigned char *payload = malloc(PAYLOAD_MAX);
    struct test_rng rng;

    test_rng_init(&rng, l->seed + id);
    for (uint32_t number = 0; number < l->ops;) {
        size_t bytes = (size_t)test_rng_range(&rng, TEST_CREW_PAYLOAD_MIN,
                                              test_rng_once_in(&rng, 30) ? PAYLOAD_MAX : 900);
        uint64_t lsn;
        bool acked;
        int rc;

        test_crew_fill(payload, bytes, id, number);
        rc = append(l, &rng, payload, bytes, &lsn, &acked);
        memset(payload, 0xee, bytes); /* nobody may look at it after the call */
        test_watchdog_alive();
        /* IO: the sync that failed was that of the next segment, which is made again. */
        if (rc == VARVE_E_BACKPRESSURE || rc == VARVE_E_IO) {
            atomic_fetch_add(&l->pressed, 1);
            pause_us(50);
            continue;
        }
        if (rc != 0) {
            if (!refuses(rc))
                wrong(l, "append", rc);
            atomic_fetch_add(&l->refused, 1);
            break;
        }
        if (acked) {
            if (varve_durable_lsn(l->log) < lsn)
                wrong(l, "acknowledged too early", 0);
            test_crew_table_note(&l->acked, lsn, id, number);
        }
        if (test_rng_once_in(&rng, 20)) {
            rc = test_rng_once_in(&rng, 2) ? varve_sync(l->log) : varve_wait(l->log, lsn, 3);
            if (rc != 0 && rc != VARVE_E_TIMEOUT && !refuses(rc))
                wrong(l, "wait", rc);
            if (rc == 0)
                test_crew_table_note(&l->acked, lsn, id, number);
        }
        number++;
    }
    free(payload);
    return NULL;
}

/* Follows while segments fail and frames move. */
static void *run_follower(void *arg)
{
    struct load *l = arg;
    struct varve_cursor *cursor;
    struct varve_entry e;
    uint64_t next = 1;
    int rc = varve_cursor_open(l->log, VARVE_POLICY_TRUNCATE, &cursor, NULL);

    while (rc == 0) {
        bool stop = atomic_load(&l->stop);
        uint32_t thread, number;

        rc = varve_cursor_follow(cursor, 2, &e);
        if (rc == 0 && (e.lsn != next++ || !test_crew_read(e.data, e.data_bytes, &thread, &number)))
            wrong(l, "the cursor gave something else", 0);
        if (rc == VARVE_END && !stop)
            rc = 0;
    }
    if (rc != VARVE_END) {
        struct varve_error error = {0};

        varve_cursor_error(cursor, &error);
        wrong(l, error.message, rc);
    }
    varve_cursor_close(cursor);
    return NULL;
}

static void begin(struct load *l)
{
    struct varve_error error = {0};

    test_memory_init(&l->memory, 512);
    test_fault_init(&l->fault, &l->memory.io);
    l->options.size = sizeof l->options;
    l->options.io = &l->fault.pass.io;
    l->options.segment_bytes = 1 << 20;
    l->options.slot_bytes = 4096;
    if (varve_open("log", &l->options, &l->log, &error) != 0)
        fail_msg("%s", error.message);
    test_crew_table_init(&l->acked, (uint64_t)l->ops * THREADS + 2);
    test_watchdog_log(l->log);
}

static void run(struct load *l)
{
    pthread_t threads[THREADS], follower;

    assert_int_equal(pthread_create(&follower, NULL, run_follower, l), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_appender, l), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&l->stop, 1);
    pthread_join(follower, NULL);
}

/* Closes, mends the disk, opens again: what was acknowledged is there. */
static void end(struct load *l, bool may_fail)
{
    struct varve_error error = {0};
    uint64_t last;
    int rc;

    test_watchdog_log(NULL);
    rc = varve_close(l->log, &error);
    /* IO: one of the syncs that fail was that of MANIFEST. */
    assert_true(rc == 0 || (may_fail && (refuses(rc) || rc == VARVE_E_IO)));
    test_fault_disarm(&l->fault);
    test_fault_set_hook(&l->fault, NULL, NULL);
    if (varve_open("log", &l->options, &l->log, &error) != 0)
        fail_msg("%s", error.message);
    last = varve_last_lsn(l->log);
    for (uint64_t lsn = last + 1; lsn < l->acked.room; lsn++)
        assert_int_equal(atomic_load(&l->acked.owners[lsn]), 0);
    assert_int_equal(test_crew_read_log(l->log, 0, &l->acked), last);
    assert_int_equal(varve_close(l->log, &error), 0);
    assert_int_equal(atomic_load(&l->wrong), 0);
    assert_int_equal(atomic_load(&l->fault.open_files), 0);
    test_crew_table_free(&l->acked);
    test_fault_close(&l->fault);
    test_memory_close(&l->memory);
}

static unsigned rounds(unsigned few)
{
    return getenv("VARVE_SOAK") ? few * 20 : few;
}

static uint32_t ops(uint32_t many)
{
    const char *sanitize = getenv("VARVE_SANITIZE");

    return sanitize && *sanitize ? many / 3 : many;
}

/* `faults` failing syncs at random moments; the disk works in between. */
static void fail_syncs(enum varve_durability durability, enum varve_backend backend, long times, bool partial)
{
    uint64_t seed = test_rng_seed(), moves = 0;
    struct test_rng rng;

    test_rng_init(&rng, seed);
    test_watchdog_start("failing syncs", 20);
    /* The moments are drawn, and how many syncs there are is the machine's: now and then none is met. */
    for (unsigned i = 0; i < rounds(6) || (moves == 0 && i < rounds(60)); i++) {
        struct load l = {.seed = seed + i * 100, .ops = ops(250)};
        struct varve_stats stats = {.size = sizeof stats};
        int op = durability >= VARVE_GROUP ? TEST_OP_WRITE_DSYNC : TEST_OP_SYNC;

        l.options.durability = durability;
        l.options.backend = backend;
        l.options.writes_in_flight = 4;
        l.options.slot_count = 16;
        l.options.mark_idle_ms = 1;
        l.options.sync_interval_ms = 2;
        begin(&l);
        for (int k = 0; k < 4; k++) {
            struct test_fault_rule rule = {
                .op = op,
                .after = (long)test_rng_range(&rng, 3, 120) * (k + 1),
                .times = times,
                .action = partial ? TEST_FAULT_PARTIAL : TEST_FAULT_FAIL,
                .bytes = partial ? 512 * (size_t)test_rng_below(&rng, 9) : 0,
            };

            test_fault_arm(&l.fault, &rule);
        }
        run(&l);
        assert_int_equal(varve_stats_get(l.log, &stats), 0);
        moves += stats.moves;
        end(&l, true);
    }
    test_watchdog_stop();
    assert_true(moves > 0);
}

static void test_thread_faults__group_sync_fails(void **state)
{
    (void)state;
    fail_syncs(VARVE_GROUP, VARVE_BACKEND_DIRECT, 1, false);
    fail_syncs(VARVE_GROUP, VARVE_BACKEND_BUFFERED, 1, true);
}

static void test_thread_faults__strict_sync_fails(void **state)
{
    (void)state;
    fail_syncs(VARVE_STRICT, VARVE_BACKEND_DIRECT, 1, true);
}

static void test_thread_faults__several_syncs_fail(void **state)
{
    (void)state;
    fail_syncs(VARVE_GROUP, VARVE_BACKEND_DIRECT, 3, false);
}

static void test_thread_faults__buffered_sync_fails(void **state)
{
    (void)state;
    fail_syncs(VARVE_BUFFERED, VARVE_BACKEND_DIRECT, 1, false);
    fail_syncs(VARVE_INTERVAL, VARVE_BACKEND_BUFFERED, 1, false);
}

/* Every sync from some moment on: the log turns read-only and everybody is told. */
static void test_thread_faults__disk_is_gone(void **state)
{
    static const enum varve_durability modes[] = {VARVE_BUFFERED, VARVE_INTERVAL, VARVE_GROUP, VARVE_STRICT};
    uint64_t seed = test_rng_seed();

    (void)state;
    test_watchdog_start("a disk that is gone", 20);
    for (unsigned i = 0; i < 4; i++) {
        struct load l = {.seed = seed + i * 100, .ops = 1000000};

        l.options.durability = modes[i];
        l.options.writes_in_flight = 4;
        l.options.slot_count = 8;
        l.options.sync_interval_ms = 2;
        begin(&l);
        test_fault_fail_always(&l.fault, TEST_OP_WRITE_DSYNC, 50, EIO);
        test_fault_fail_always(&l.fault, TEST_OP_SYNC, 50, EIO);
        run(&l);
        assert_int_equal(atomic_load(&l.refused), THREADS);
        assert_int_not_equal(varve_error_first(l.log, NULL), 0);
        end(&l, true);
    }
    test_watchdog_stop();
}

/* -- slow -- */

static int slow_write(void *arg, const struct test_fault_call *call)
{
    (void)arg;
    if (call->op == TEST_OP_WRITE || call->op == TEST_OP_WRITE_DSYNC || call->op == TEST_OP_SYNC)
        pause_us(100 + (long)(test_rng_mix(call->offset) % 700));
    return 0;
}

static void run_slow(enum varve_backpressure backpressure)
{
    static const enum varve_durability modes[] = {VARVE_BUFFERED, VARVE_INTERVAL, VARVE_GROUP, VARVE_STRICT};
    uint64_t seed = test_rng_seed(), pressed = 0;

    test_watchdog_start("a slow disk", 20);
    for (unsigned i = 0; i < 8; i++) {
        struct load l = {.seed = seed + i * 100, .ops = 120};
        struct varve_stats stats = {.size = sizeof stats};

        l.options.durability = modes[i % 4];
        l.options.backpressure = backpressure;
        l.options.backpressure_ms = 1;
        l.options.writes_in_flight = i < 4 ? 1 : 2;
        l.options.slot_count = 4;
        begin(&l);
        test_fault_set_hook(&l.fault, slow_write, NULL);
        run(&l);
        assert_int_equal(varve_stats_get(l.log, &stats), 0);
        pressed += stats.backpressure;
        assert_int_equal(atomic_load(&l.refused), 0);
        assert_true(backpressure != VARVE_BACKPRESSURE_BLOCK || atomic_load(&l.pressed) == 0);
        end(&l, false);
    }
    test_watchdog_stop();
    assert_true(pressed > 0);
}

static void test_thread_faults__slow_disk_blocks(void **state)
{
    (void)state;
    run_slow(VARVE_BACKPRESSURE_BLOCK);
}

static void test_thread_faults__slow_disk_waits(void **state)
{
    (void)state;
    run_slow(VARVE_BACKPRESSURE_WAIT);
}

static void test_thread_faults__slow_disk_fails(void **state)
{
    (void)state;
    run_slow(VARVE_BACKPRESSURE_FAIL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_faults__group_sync_fails),
        cmocka_unit_test(test_thread_faults__strict_sync_fails),
        cmocka_unit_test(test_thread_faults__several_syncs_fail),
        cmocka_unit_test(test_thread_faults__buffered_sync_fails),
        cmocka_unit_test(test_thread_faults__disk_is_gone),
        cmocka_unit_test(test_thread_faults__slow_disk_blocks),
        cmocka_unit_test(test_thread_faults__slow_disk_waits),
        cmocka_unit_test(test_thread_faults__slow_disk_fails),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
