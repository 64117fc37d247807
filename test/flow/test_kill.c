/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer is killed with SIGKILL at a random moment, while segments turn and are trimmed; then everything
 * that it knew to be durable is there: intact, under its LSN, without a gap, and the log goes on. In all
 * durable modes, on both backends. The writer tells of every record and of the durable LSN through shared
 * memory.
 */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "lib/crew.h"
#include "lib/rng.h"
#include "lib/tmp.h"

enum {
    THREADS = 4,
    TOLD_MAX = 1 << 16, /* records of one writer's life, for each thread */
    PAYLOAD_MAX = 20000,
    TABLE_ROOM = 1 << 21
};

struct told {
    uint64_t lsn;
    uint32_t number;
};

/* Written by the writer, read by the test once that is dead. */
struct shared {
    _Atomic uint64_t durable; /* the highest LSN that it saw as durable */
    _Atomic uint64_t trimmed; /* the highest LSN that it asked to trim below */
    _Atomic uint32_t counts[THREADS];
    _Atomic uint32_t trouble;
    struct told told[THREADS][TOLD_MAX];
};

struct writer {
    struct shared *shared;
    struct varve_log *log;
    uint32_t first_id; /* of its threads, in payloads */
    uint64_t seed;
    _Atomic uint32_t ids;
};

static void raise_to(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t old = atomic_load(word);

    while (old < value && !atomic_compare_exchange_weak(word, &old, value))
        ;
}

static int append(struct writer *w, struct test_rng *rng, unsigned char *payload, size_t bytes,
                  uint64_t *ret_lsn)
{
    const struct varve_record record = {.data = payload, .data_bytes = bytes};

    switch (test_rng_below(rng, 10)) {
    case 0:
    case 1:
        return varve_append_async(w->log, &record, ret_lsn);
    case 2:
        return varve_append_record(w->log, &record, VARVE_STRICT, ret_lsn);
    default:
        return varve_append(w->log, payload, bytes, ret_lsn);
    }
}

static void *run_writer_thread(void *arg)
{
    struct writer *w = arg;
    uint32_t at = atomic_fetch_add(&w->ids, 1), id = w->first_id + at;
    static unsigned char payloads[THREADS][PAYLOAD_MAX];
    struct test_rng rng;

    test_rng_init(&rng, w->seed + at);
    for (uint32_t number = 0; number < TOLD_MAX; number++) {
        uint64_t max = test_rng_once_in(&rng, 100) ? PAYLOAD_MAX
                       : test_rng_once_in(&rng, 4) ? 4000
                                                   : 300,
                 lsn;
        size_t bytes = (size_t)test_rng_range(&rng, TEST_CREW_PAYLOAD_MIN, max);

        test_crew_fill(payloads[at], bytes, id, number);
        if (append(w, &rng, payloads[at], bytes, &lsn) != 0)
            atomic_store(&w->shared->trouble, 1);
        w->shared->told[at][number] = (struct told){lsn, number};
        atomic_store(&w->shared->counts[at], number + 1);
        if (test_rng_once_in(&rng, 50) && varve_sync(w->log) != 0)
            atomic_store(&w->shared->trouble, 2);
        raise_to(&w->shared->durable, varve_durable_lsn(w->log));
        if (test_rng_once_in(&rng, 40)) {
            uint64_t durable = varve_durable_lsn(w->log), before = durable > 200 ? durable - 200 : 0;

            raise_to(&w->shared->trimmed, before);
            if (varve_trim(w->log, before, NULL) != 0)
                atomic_store(&w->shared->trouble, 3);
        }
    }
    return NULL;
}

/* The child: never returns. */
static void be_writer(struct shared *shared, const char *dir, const struct varve_options *options,
                      uint32_t first_id, uint64_t seed)
{
    struct writer w = {.shared = shared, .first_id = first_id, .seed = seed};
    pthread_t threads[THREADS];

    if (varve_open(dir, options, &w.log, NULL) != 0)
        _exit(1);
    for (unsigned i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, run_writer_thread, &w) != 0)
            _exit(2);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pause(); /* appended all that it may: waits to be killed */
}

/* Reads the whole log, and notes what it holds: from now on that must stay. */
static void read_and_note(struct varve_log *log, struct test_crew_table *table, uint64_t last)
{
    struct varve_cursor *cursor;
    struct varve_entry e;
    uint64_t next = varve_first_lsn(log);
    int rc;

    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, NULL), 0);
    while ((rc = varve_cursor_next(cursor, &e)) == 0) {
        uint32_t thread, number;

        assert_int_equal(e.lsn, next++);
        assert_true(test_crew_read(e.data, e.data_bytes, &thread, &number));
        if (!test_crew_table_fits(table, e.lsn, thread, number))
            fail_msg("LSN %" PRIu64 " holds record %u of thread %u", e.lsn, number, thread);
        test_crew_table_note(table, e.lsn, thread, number);
    }
    assert_int_equal(rc, VARVE_END);
    assert_int_equal(next, last + 1);
    varve_cursor_close(cursor);
}

static uint64_t verify(struct shared *shared, const char *dir, const struct varve_options *options,
                       struct test_crew_table *table, uint32_t first_id, uint64_t *first_lsn)
{
    struct varve_error error = {0};
    struct varve_log *log;
    uint64_t durable = atomic_load(&shared->durable), last, lsn, told = 0;
    int rc = varve_open(dir, options, &log, &error);

    if (rc != 0)
        fail_msg("after the kill: %s", error.message);
    assert_int_equal(atomic_load(&shared->trouble), 0);
    last = varve_last_lsn(log);
    if (last < durable)
        fail_msg("LSN %" PRIu64 " was durable, and the log ends at %" PRIu64, durable, last);
    assert_true(varve_first_lsn(log) <= vv_max_u64(*first_lsn, atomic_load(&shared->trimmed)));
    *first_lsn = varve_first_lsn(log);
    for (uint32_t t = 0; t < THREADS; t++) {
        uint64_t before = 0;

        for (uint32_t i = 0; i < atomic_load(&shared->counts[t]); i++) {
            const struct told *r = &shared->told[t][i];

            assert_true(r->lsn > before);
            before = r->lsn;
            if (r->lsn <= durable)
                test_crew_table_note(table, r->lsn, first_id + t, r->number);
            told++;
        }
    }
    assert_int_equal(atomic_load(&table->doubles), 0);
    read_and_note(log, table, last);
    assert_int_equal(atomic_load(&table->doubles), 0);
    /* It goes on. */
    {
        unsigned char payload[100];

        test_crew_fill(payload, sizeof payload, first_id + THREADS, 0);
        assert_int_equal(varve_append_record(log, &(struct varve_record){.data = payload, .data_bytes = 100},
                                             VARVE_STRICT, &lsn),
                         0);
        assert_int_equal(lsn, last + 1);
        test_crew_table_note(table, lsn, first_id + THREADS, 0);
    }
    assert_int_equal(varve_close(log, &error), 0);
    return told;
}

static void run_kills(enum varve_durability durability, enum varve_backend backend, unsigned kills)
{
    struct varve_options options = {
        .size = sizeof options,
        .durability = durability,
        .backend = backend,
        .slot_bytes = 4096,
        .slot_count = 8,
        .segment_bytes = 1 << 20,
        .writes_in_flight = 1 + kills % 3,
        .sync_interval_ms = 2,
        .mark_idle_ms = 1,
    };
    uint64_t seed = test_rng_seed(), told = 0, first_lsn = 1;
    struct test_crew_table table;
    struct test_rng rng;
    struct shared *shared;
    char *dir = test_tmp_new();

    if (getenv("VARVE_SOAK") || getenv("VARVE_TEST_LONG"))
        kills *= 10;
    test_rng_init(&rng, seed + (unsigned)durability * 8 + (unsigned)backend);
    test_crew_table_init(&table, TABLE_ROOM);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    for (unsigned i = 0; i < kills; i++) {
        const struct timespec life = {0, (long)test_rng_range(&rng, 200000, 240000000)};
        uint32_t first_id = i * (THREADS + 1);
        int status;
        pid_t pid;

        memset(shared, 0, offsetof(struct shared, told));
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            be_writer(shared, dir, &options, first_id, seed + i * 1000);
        nanosleep(&life, NULL); /* the moment is what chance decides */
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        told += verify(shared, dir, &options, &table, first_id, &first_lsn);
    }
    print_message("%u kills, %" PRIu64 " records\n", kills, told);
    assert_true(told > 0);
    munmap(shared, sizeof *shared);
    test_crew_table_free(&table);
    test_tmp_free(dir);
}

static void test_kill__strict(void **state)
{
    (void)state;
    run_kills(VARVE_STRICT, VARVE_BACKEND_DIRECT, 6);
    run_kills(VARVE_STRICT, VARVE_BACKEND_BUFFERED, 5);
}

static void test_kill__group(void **state)
{
    (void)state;
    run_kills(VARVE_GROUP, VARVE_BACKEND_DIRECT, 7);
    run_kills(VARVE_GROUP, VARVE_BACKEND_BUFFERED, 6);
}

static void test_kill__interval(void **state)
{
    (void)state;
    run_kills(VARVE_INTERVAL, VARVE_BACKEND_DIRECT, 6);
    run_kills(VARVE_INTERVAL, VARVE_BACKEND_BUFFERED, 5);
}

static void test_kill__buffered(void **state)
{
    (void)state;
    run_kills(VARVE_BUFFERED, VARVE_BACKEND_DIRECT, 6);
    run_kills(VARVE_BUFFERED, VARVE_BACKEND_BUFFERED, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill__strict),
        cmocka_unit_test(test_kill__group),
        cmocka_unit_test(test_kill__interval),
        cmocka_unit_test(test_kill__buffered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
