/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader beside a writer in another process: it is never given a record that the writer does not know to be
 * durable, it sees all of them once and in order while segments turn, it comes to a clean end when the writer
 * is killed, and what is trimmed under it is called trimmed and never corrupt.
 */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/crew.h"
#include "lib/fault.h"
#include "lib/rng.h"
#include "lib/tmp.h"

enum {
    THREADS = 3,
    PAYLOAD_MAX = 9000
};

struct shared {
    _Atomic uint64_t durable; /* what the writer knew as durable before it last touched a file */
    _Atomic uint32_t open;
    _Atomic uint32_t trouble;
};

struct writer {
    struct shared *shared;
    struct test_fault fault;
    _Atomic(struct varve_log *) log;
    bool trims;
    uint64_t seed;
    _Atomic uint32_t ids;
};

/* Before each call on a file: what is written now can vouch for no more than this. */
static int before_call(void *arg, const struct test_fault_call *call)
{
    struct writer *w = arg;
    struct varve_log *log = atomic_load(&w->log);
    uint64_t durable, old = atomic_load(&w->shared->durable);

    (void)call;
    if (!log)
        return 0;
    durable = varve_durable_lsn(log);
    while (old < durable && !atomic_compare_exchange_weak(&w->shared->durable, &old, durable))
        ;
    return 0;
}

static void *run_appender(void *arg)
{
    struct writer *w = arg;
    struct varve_log *log = atomic_load(&w->log);
    uint32_t id = atomic_fetch_add(&w->ids, 1);
    unsigned char *payload = malloc(PAYLOAD_MAX);
    struct test_rng rng;

    test_rng_init(&rng, w->seed + id);
    for (uint32_t number = 0;; number++) {
        size_t bytes = (size_t)test_rng_range(&rng, TEST_CREW_PAYLOAD_MIN,
                                              test_rng_once_in(&rng, 9) ? PAYLOAD_MAX : 2000);

        test_crew_fill(payload, bytes, id, number);
        if (varve_append(log, payload, bytes, NULL) != 0)
            atomic_store(&w->shared->trouble, 1);
        if (w->trims && number % 100 == 99 && varve_trim(log, varve_durable_lsn(log), NULL) != 0)
            atomic_store(&w->shared->trouble, 2);
        if (number % 50 == 49) {
            const struct timespec breath = {0, 2000000}; /* the reader is to reach the end now and then */

            nanosleep(&breath, NULL);
        }
    }
    return NULL;
}

static void be_writer(struct shared *shared, const char *dir, struct varve_options *options, bool trims,
                      uint64_t seed)
{
    static struct writer w;
    struct varve_log *log;
    pthread_t threads[THREADS];

    w.shared = shared;
    w.trims = trims;
    w.seed = seed;
    test_fault_init(&w.fault, NULL);
    test_fault_set_hook(&w.fault, before_call, &w);
    options->io = &w.fault.pass.io;
    if (varve_open(dir, options, &log, NULL) != 0)
        _exit(1);
    atomic_store(&w.log, log);
    for (unsigned i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, run_appender, &w) != 0)
            _exit(2);
    }
    atomic_store(&shared->open, 1);
    for (;;)
        pause();
}

static void pause_ms(long ms)
{
    const struct timespec t = {0, ms * 1000000};

    nanosleep(&t, NULL);
}

struct reading {
    struct shared *shared;
    struct varve_cursor *cursor;
    uint64_t next; /* 0: whatever comes */
    uint64_t records;
    uint64_t trimmed;
    uint64_t segments, segment;
    bool lags; /* rests now and then, so that trimming overtakes it */
};

/* One record, or nothing. `alive`: the writer is. */
static int read_one(struct reading *r, bool alive, int timeout_ms)
{
    struct varve_error error = {0};
    struct varve_entry e;
    uint32_t thread, number;
    int rc = varve_cursor_follow(r->cursor, timeout_ms, &e);

    if (rc == VARVE_E_TRIMMED) {
        r->trimmed++;
        r->next = 0;
        rc = varve_cursor_seek_lsn(r->cursor, 0);
        return rc == VARVE_E_TRIMMED ? VARVE_END : rc != 0 ? rc : VARVE_END;
    }
    if (rc < 0) {
        varve_cursor_error(r->cursor, &error);
        fail_msg("at LSN %" PRIu64 ": %s", r->next, error.message);
    }
    if (rc != 0)
        return rc;
    if (alive && atomic_load(&r->shared->durable) < e.lsn)
        fail_msg("LSN %" PRIu64 " was given, and the writer has %" PRIu64 " as durable", e.lsn,
                 atomic_load(&r->shared->durable));
    if (r->next != 0)
        assert_int_equal(e.lsn, r->next);
    assert_true(test_crew_read(e.data, e.data_bytes, &thread, &number));
    r->next = e.lsn + 1;
    r->records++;
    r->segments += e.segment != r->segment;
    r->segment = e.segment;
    return 0;
}

static void read_beside(const char *dir, struct reading *r, uint64_t want_segments, pid_t writer)
{
    struct varve_options read_only = {.size = sizeof read_only, .flags = VARVE_OPEN_READ_ONLY};
    struct varve_error error = {0};
    struct varve_log *log;
    uint64_t idle = 0, last;
    int rc, status;

    if (varve_open(dir, &read_only, &log, &error) != 0)
        fail_msg("%s", error.message);
    rc = varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &r->cursor, &error);
    if (rc != 0)
        fail_msg("%s", error.message);
    for (uint64_t n = 0; r->segments < want_segments || (r->lags && r->trimmed < 2); n++) {
        idle = read_one(r, true, 100) == 0 ? 0 : idle + 1;
        if (idle > 200)
            fail_msg("no record after LSN %" PRIu64 " in %" PRIu64 " tries", r->next, idle);
        if (r->lags && n % 400 == 399)
            pause_ms(60);
    }
    assert_int_equal(atomic_load(&r->shared->trouble), 0);
    kill(writer, SIGKILL);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    while (read_one(r, false, 0) == 0)
        ;
    while ((rc = read_one(r, false, 0)) == 0)
        ;
    assert_int_equal(rc, VARVE_END);
    varve_cursor_close(r->cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    /* What the reader came to is where the next writer goes on. */
    assert_int_equal(varve_open(dir, NULL, &log, &error), 0);
    last = varve_last_lsn(log);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(r->next, last + 1);
}

static void run(enum varve_durability durability, enum varve_backend backend, uint32_t in_flight, bool trims)
{
    struct varve_options options = {
        .size = sizeof options,
        .durability = durability,
        .backend = backend,
        .writes_in_flight = in_flight,
        .slot_bytes = 4096,
        .slot_count = 8,
        .segment_bytes = 1 << 20,
        .sync_interval_ms = 2,
        .mark_idle_ms = 1,
    };
    uint64_t seed = test_rng_seed();
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct reading r = {.shared = shared, .lags = trims};
    char *dir = test_tmp_new();
    pid_t pid;

    assert_true(shared != MAP_FAILED);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        be_writer(shared, dir, &options, trims, seed);
    while (!atomic_load(&shared->open)) {
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        pause_ms(1);
    }
    read_beside(dir, &r, getenv("VARVE_SOAK") ? 60 : 5, pid);
    print_message("%" PRIu64 " records of %" PRIu64 " segments, trimmed %" PRIu64 " times\n", r.records,
                  r.segments, r.trimmed);
    munmap(shared, sizeof *shared);
    test_tmp_free(dir);
}

static void test_beside__group(void **state)
{
    (void)state;
    run(VARVE_GROUP, VARVE_BACKEND_DIRECT, 1, false);
    run(VARVE_GROUP, VARVE_BACKEND_DIRECT, 4, false);
    run(VARVE_GROUP, VARVE_BACKEND_BUFFERED, 4, false);
}

static void test_beside__buffered(void **state)
{
    (void)state;
    run(VARVE_BUFFERED, VARVE_BACKEND_DIRECT, 1, false);
    run(VARVE_INTERVAL, VARVE_BACKEND_BUFFERED, 1, false);
}

static void test_beside__trimmed(void **state)
{
    (void)state;
    run(VARVE_GROUP, VARVE_BACKEND_DIRECT, 4, true);
    run(VARVE_INTERVAL, VARVE_BACKEND_DIRECT, 1, true);
    run(VARVE_GROUP, VARVE_BACKEND_BUFFERED, 2, true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside__group),
        cmocka_unit_test(test_beside__buffered),
        cmocka_unit_test(test_beside__trimmed),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
