/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything at once: appenders of every kind, waiters, a cursor that follows, a trimmer, readers of
 * statistics, an eventfd and a callback, on slots and segments so small that the ring wraps and segments turn
 * all the time. Each record must get one LSN without a gap, keep it, and be there once and whole.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/crew.h"
#include "lib/memory.h"
#include "lib/rng.h"
#include "lib/tmp.h"

enum {
    APPENDERS = 16,
    LARGE_MAX = 40000,
    BATCH_MAX = 12
};

struct crew {
    struct varve_log *log;
    struct test_crew_table table;
    enum varve_durability mode;
    _Atomic uint32_t stop;
    _Atomic uint64_t wrong;
    _Atomic uint64_t told; /* largest durable LSN that the callback was told */
    _Atomic uint64_t followed;
    _Atomic uint64_t records;
    uint32_t ops; /* of each appender */
    uint64_t seed;
};

struct member {
    struct crew *crew;
    pthread_t thread;
    uint32_t id;
    uint32_t number; /* of the next record */
    uint64_t last_lsn;
    struct test_rng rng;
    unsigned char *buffer;
};

#define EXPECT(crew, condition, ...)                        \
    do {                                                    \
        if (!(condition)) {                                 \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
            fprintf(stderr, __VA_ARGS__);                   \
            fputc('\n', stderr);                            \
            atomic_fetch_add(&(crew)->wrong, 1);            \
        }                                                   \
    } while (0)

static void got_lsn(struct member *m, uint64_t lsn, uint32_t number)
{
    EXPECT(m->crew, lsn > m->last_lsn, "thread %u: LSN %" PRIu64 " after %" PRIu64, m->id, lsn, m->last_lsn);
    m->last_lsn = lsn;
    test_crew_table_note(&m->crew->table, lsn, m->id, number);
    atomic_fetch_add_explicit(&m->crew->records, 1, memory_order_relaxed);
    test_watchdog_alive();
}

static size_t draw_bytes(struct member *m)
{
    uint64_t kind = test_rng_below(&m->rng, 100);

    if (kind < 80)
        return (size_t)test_rng_range(&m->rng, TEST_CREW_PAYLOAD_MIN, 300);
    if (kind < 99)
        return (size_t)test_rng_range(&m->rng, 300, 3900);
    return (size_t)test_rng_range(&m->rng, 3900, LARGE_MAX);
}

static void append_batch(struct member *m)
{
    struct varve_record records[BATCH_MAX] = {{0}};
    struct crew *c = m->crew;
    size_t count = (size_t)test_rng_range(&m->rng, 1, BATCH_MAX), at = 0;
    bool wait = test_rng_once_in(&m->rng, 2);
    uint64_t lsn;
    int rc;

    for (size_t i = 0; i < count; i++) {
        size_t bytes = (size_t)test_rng_range(&m->rng, TEST_CREW_PAYLOAD_MIN, 200);

        test_crew_fill(m->buffer + at, bytes, m->id, m->number + (uint32_t)i);
        records[i].data = m->buffer + at;
        records[i].data_bytes = bytes;
        at += bytes;
    }
    rc = varve_append_batch(c->log, records, count, VARVE_DURABILITY_DEFAULT, wait, &lsn);
    EXPECT(c, rc == 0, "batch: %s", varve_error_name(rc));
    if (rc != 0)
        return;
    EXPECT(c, !wait || c->mode < VARVE_GROUP || varve_durable_lsn(c->log) >= lsn + count - 1,
           "a batch was acknowledged too early");
    for (size_t i = 0; i < count; i++)
        got_lsn(m, lsn + i, m->number + (uint32_t)i);
    m->number += (uint32_t)count;
}

static void append_one(struct member *m)
{
    struct crew *c = m->crew;
    size_t bytes = draw_bytes(m);
    struct iovec iov[2] = {{m->buffer, bytes / 3}, {m->buffer + bytes / 3, bytes - bytes / 3}};
    struct varve_record record = {.iov = iov, .iov_count = 2, .type = (uint8_t)m->id};
    enum varve_durability durability = VARVE_DURABILITY_DEFAULT;
    uint64_t kind = test_rng_below(&m->rng, 100), lsn = 0;
    bool durable = c->mode >= VARVE_GROUP;
    int rc;

    test_crew_fill(m->buffer, bytes, m->id, m->number);
    if (kind < 60) {
        rc = varve_append(c->log, m->buffer, bytes, &lsn);
    } else if (kind < 85) {
        rc = varve_append_async(c->log, &record, &lsn);
        durable = false;
    } else if (kind < 90 && c->mode != VARVE_MEMORY) {
        durability = test_rng_once_in(&m->rng, 2) ? VARVE_STRICT : VARVE_GROUP;
        if (durability < c->mode)
            durability = c->mode;
        rc = varve_append_record(c->log, &record, durability, &lsn);
        durable = true;
    } else {
        rc = varve_append_record(c->log, &record, durability, &lsn);
    }
    EXPECT(c, rc == 0, "append of %zu bytes: %s", bytes, varve_error_name(rc));
    if (rc != 0)
        return;
    EXPECT(c, !durable || varve_durable_lsn(c->log) >= lsn, "LSN %" PRIu64 " was acknowledged too early",
           lsn);
    got_lsn(m, lsn, m->number++);
    if (kind >= 85 && kind < 88 && c->mode != VARVE_MEMORY) {
        rc = varve_wait(c->log, lsn, 20000);
        EXPECT(c, rc == 0 && varve_durable_lsn(c->log) >= lsn, "wait: %s", varve_error_name(rc));
    }
}

static void *run_appender(void *arg)
{
    struct member *m = arg;

    for (uint32_t i = 0; i < m->crew->ops; i++) {
        if (test_rng_once_in(&m->rng, 12))
            append_batch(m);
        else
            append_one(m);
    }
    return NULL;
}

static void *run_waiter(void *arg)
{
    struct member *m = arg;
    struct crew *c = m->crew;

    while (!atomic_load(&c->stop)) {
        uint64_t last = varve_last_lsn(c->log), target = last + test_rng_below(&m->rng, 20);
        int rc;

        (void)poll(NULL, 0, (int)test_rng_below(&m->rng, 3));
        if (test_rng_once_in(&m->rng, 3)) {
            rc = varve_sync(c->log);
            EXPECT(c, rc == 0 && varve_durable_lsn(c->log) >= last, "sync: %s", varve_error_name(rc));
        } else {
            /* Also LSNs that are not given yet. */
            rc = varve_wait(c->log, target, (int)test_rng_below(&m->rng, 4));
            EXPECT(c, rc == VARVE_E_TIMEOUT || (rc == 0 && varve_durable_lsn(c->log) >= target), "wait: %s",
                   varve_error_name(rc));
        }
    }
    return NULL;
}

static void *run_follower(void *arg)
{
    struct member *m = arg;
    struct crew *c = m->crew;
    struct varve_cursor *cursor;
    struct varve_error error = {0};
    uint64_t next = 0;
    int rc = varve_cursor_open(c->log, VARVE_POLICY_TRUNCATE, &cursor, &error);

    EXPECT(c, rc == 0, "cursor: %s", error.message);
    while (rc == 0) {
        struct varve_entry e;
        uint32_t thread, number;
        bool stop = atomic_load(&c->stop);

        rc = varve_cursor_follow(cursor, stop ? 0 : 5, &e);
        if (rc == 0) {
            EXPECT(c, next == 0 || e.lsn == next, "the cursor gave LSN %" PRIu64 ", not %" PRIu64, e.lsn,
                   next);
            EXPECT(c, varve_durable_lsn(c->log) >= e.lsn, "LSN %" PRIu64 " is not durable", e.lsn);
            EXPECT(c, test_crew_read(e.data, e.data_bytes, &thread, &number), "LSN %" PRIu64 " changed",
                   e.lsn);
            EXPECT(c, test_crew_table_fits(&c->table, e.lsn, thread, number), "LSN %" PRIu64 " moved", e.lsn);
            next = e.lsn + 1;
            atomic_fetch_add(&c->followed, 1);
        } else if (rc == VARVE_E_TRIMMED) {
            uint64_t first = varve_first_lsn(c->log);

            EXPECT(c, first > next || next == 0, "trimmed at %" PRIu64 ", and the first is %" PRIu64, next,
                   first);
            next = first;
            rc = varve_cursor_seek_lsn(cursor, first);
            if (rc == VARVE_E_TRIMMED) /* once more, meanwhile */
                rc = 0;
        } else if (rc == VARVE_END) {
            rc = stop ? VARVE_END : 0;
        } else {
            varve_cursor_error(cursor, &error);
            EXPECT(c, false, "cursor at %" PRIu64 ": %s", next, error.message);
        }
    }
    EXPECT(c, rc != VARVE_END || next == 0 || next == varve_last_lsn(c->log) + 1,
           "the cursor stopped at %" PRIu64, next);
    varve_cursor_close(cursor);
    return NULL;
}

static void *run_trimmer(void *arg)
{
    struct member *m = arg;
    struct crew *c = m->crew;
    uint64_t before = 0;

    while (!atomic_load(&c->stop)) {
        uint64_t durable = varve_durable_lsn(c->log), first;
        uint64_t back = test_rng_once_in(&m->rng, 3) ? 0 : test_rng_below(&m->rng, 3000);
        int rc;

        (void)varve_wait(c->log, durable + 200, 5);
        rc = varve_trim(c->log, durable > back ? durable - back : 0, &first);
        EXPECT(c, rc == 0, "trim: %s", varve_error_name(rc));
        EXPECT(c, first >= before && first <= durable + 1, "first LSN %" PRIu64 " after %" PRIu64, first,
               before);
        before = first;
    }
    return NULL;
}

static void *run_reader_of_stats(void *arg)
{
    struct member *m = arg;
    struct crew *c = m->crew;
    uint64_t durable = 0;

    while (!atomic_load(&c->stop)) {
        struct varve_stats s = {.size = sizeof s};

        (void)varve_stats_get(c->log, &s);
        EXPECT(c,
               s.reserved_lsn >= s.encoded_lsn && s.encoded_lsn >= s.written_lsn &&
                   s.written_lsn >= s.durable_lsn && s.durable_lsn >= s.acked_lsn,
               "positions %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, s.reserved_lsn,
               s.encoded_lsn, s.written_lsn, s.durable_lsn, s.acked_lsn);
        EXPECT(c, s.durable_lsn >= durable, "the durable LSN went back");
        durable = s.durable_lsn;
        (void)poll(NULL, 0, 1);
    }
    return NULL;
}

static void *run_event_consumer(void *arg)
{
    struct member *m = arg;
    struct crew *c = m->crew;
    uint64_t seen = 0;
    int fd = -1, rc = varve_eventfd(c->log, &fd);

    EXPECT(c, rc == 0, "eventfd: %s", varve_error_name(rc));
    while (rc == 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        bool stop = atomic_load(&c->stop);
        uint64_t count, durable;

        if (poll(&p, 1, stop ? 0 : 10) == 1)
            EXPECT(c, read(fd, &count, sizeof count) == sizeof count, "eventfd: %s", strerror(errno));
        durable = varve_durable_lsn(c->log);
        EXPECT(c, durable >= seen, "the durable LSN went back");
        seen = durable;
        if (stop)
            break;
    }
    return NULL;
}

static void told(void *arg, uint64_t durable)
{
    struct crew *c = arg;
    uint64_t old = atomic_load(&c->told);

    while (old < durable && !atomic_compare_exchange_weak(&c->told, &old, durable))
        ;
}

static const struct {
    const char *name;
    void *(*run)(void *);
    bool in_memory; /* there is something for it to do in `memory` mode */
} others[] = {
    {"waiter", run_waiter, false},        {"waiter", run_waiter, false},
    {"follower", run_follower, false},    {"trimmer", run_trimmer, false},
    {"stats", run_reader_of_stats, true}, {"eventfd", run_event_consumer, false},
};

enum {
    OTHERS = sizeof others / sizeof *others
};

static void start(struct crew *c, struct member *m, uint32_t id, void *(*run)(void *))
{
    *m = (struct member){.crew = c, .id = id, .buffer = malloc(LARGE_MAX + 8)};
    assert_non_null(m->buffer);
    test_rng_init(&m->rng, c->seed + id * 7919u);
    assert_int_equal(pthread_create(&m->thread, NULL, run, m), 0);
}

static void join(struct member *m)
{
    pthread_join(m->thread, NULL);
    free(m->buffer);
}

static void reopen_and_compare(struct crew *c, const char *dir, const struct varve_options *options,
                               uint64_t last)
{
    struct varve_error error = {0};
    struct varve_log *log;

    assert_int_equal(varve_open(dir, options, &log, &error), 0);
    assert_int_equal(varve_last_lsn(log), last);
    assert_int_equal(test_crew_read_log(log, 0, &c->table), last);
    assert_int_equal(varve_close(log, &error), 0);
}

/* One life of a log with the whole crew. */
static void run_crew(const char *dir, const struct varve_options *options, uint32_t ops, uint64_t seed,
                     struct varve_stats *ret_stats)
{
    struct crew c = {.mode = options->durability, .ops = ops, .seed = seed};
    struct member appenders[APPENDERS], crew[OTHERS];
    struct varve_error error = {0};
    uint64_t last;

    if (varve_open(dir, options, &c.log, &error) != 0)
        fail_msg("%s", error.message);
    test_watchdog_log(c.log);
    test_crew_table_init(&c.table, (uint64_t)APPENDERS * ops * BATCH_MAX + 2);
    assert_int_equal(varve_on_durable(c.log, told, &c), 0);
    for (uint32_t i = 0; i < APPENDERS; i++)
        start(&c, &appenders[i], i, run_appender);
    for (uint32_t i = 0; i < OTHERS; i++) {
        if (c.mode != VARVE_MEMORY || others[i].in_memory)
            start(&c, &crew[i], APPENDERS + i, others[i].run);
    }
    for (uint32_t i = 0; i < APPENDERS; i++)
        join(&appenders[i]);
    last = varve_last_lsn(c.log);
    assert_int_equal(last, atomic_load(&c.records)); /* no gap: as many LSNs as records */
    if (c.mode != VARVE_MEMORY) {
        assert_int_equal(varve_sync(c.log), 0);
        assert_int_equal(varve_durable_lsn(c.log), last);
    }
    atomic_store(&c.stop, 1);
    for (uint32_t i = 0; i < OTHERS; i++) {
        if (c.mode != VARVE_MEMORY || others[i].in_memory)
            join(&crew[i]);
    }
    for (uint64_t lsn = 1; lsn <= last; lsn++)
        assert_int_not_equal(atomic_load(&c.table.owners[lsn]), 0);
    /* The last call may come a moment after those who waited were woken; the watchdog looks after it. */
    while (c.mode != VARVE_MEMORY && atomic_load(&c.told) < last)
        (void)poll(NULL, 0, 1);
    assert_int_equal(varve_on_durable(c.log, NULL, NULL), 0);
    if (c.mode != VARVE_MEMORY)
        assert_int_equal(atomic_load(&c.told), last);
    ret_stats->size = sizeof *ret_stats;
    assert_int_equal(varve_stats_get(c.log, ret_stats), 0);
    test_watchdog_log(NULL);
    assert_int_equal(varve_close(c.log, &error), 0);
    if (c.mode != VARVE_MEMORY)
        reopen_and_compare(&c, dir, options, last);
    assert_int_equal(atomic_load(&c.wrong), 0);
    assert_int_equal(atomic_load(&c.table.doubles), 0);
    test_crew_table_free(&c.table);
}

static bool slow_build(void)
{
    const char *sanitize = getenv("VARVE_SANITIZE");

    return sanitize && *sanitize;
}

/* On a disk, or in memory, where segments turn as fast as the processor allows. */
static void run_all(enum varve_durability mode, uint32_t ops, bool on_disk)
{
    static const uint32_t in_flight[] = {1, 2, 4, 8};
    static const enum varve_backend backends[] = {VARVE_BACKEND_DIRECT, VARVE_BACKEND_BUFFERED};
    uint64_t seed = test_rng_seed(), frames = 0, segments = 0, spares = 0;

    if (getenv("VARVE_SOAK"))
        ops *= 10;
    if (slow_build())
        ops = ops / 4 + 1;
    for (unsigned i = 0; i < 8; i++) {
        struct test_memory memory;
        struct varve_options options = {
            .size = sizeof options,
            .durability = mode,
            .backend = backends[i % 2],
            .writes_in_flight = in_flight[i / 2],
            .slot_bytes = 4096,
            .slot_count = i / 2 == 3   ? 16
                          : i / 2 == 0 ? 4
                                       : 8,
            .segment_bytes = 1 << 20,
            .sync_interval_ms = 3,
            .mark_idle_ms = 1,
            .group_wait_us = i == 3 ? 200 : 0,
        };
        char name[100], *dir = test_tmp_new();
        struct varve_stats stats;

        snprintf(name, sizeof name, "mode %d, %s, %s, %u in flight", (int)mode, on_disk ? "disk" : "memory",
                 i % 2 ? "buffered" : "direct", options.writes_in_flight);
        test_watchdog_start(name, 20);
        test_memory_init(&memory, 512);
        if (!on_disk)
            options.io = &memory.io;
        run_crew(on_disk ? dir : "log", &options, ops, seed + i, &stats);
        frames += stats.frames;
        segments += stats.segments_opened;
        spares += stats.spares_used;
        test_memory_close(&memory);
        test_watchdog_stop();
        test_tmp_free(dir);
    }
    print_message("%" PRIu64 " frames, %" PRIu64 " segments, %" PRIu64 " of them from spares\n", frames,
                  segments, spares);
}

static void test_thread_crew__memory_mode(void **state)
{
    (void)state;
    run_all(VARVE_MEMORY, 2000, true);
}

static void test_thread_crew__buffered(void **state)
{
    (void)state;
    run_all(VARVE_BUFFERED, 240, false);
    run_all(VARVE_BUFFERED, 80, true);
}

static void test_thread_crew__interval(void **state)
{
    (void)state;
    run_all(VARVE_INTERVAL, 240, false);
    run_all(VARVE_INTERVAL, 80, true);
}

static void test_thread_crew__group(void **state)
{
    (void)state;
    run_all(VARVE_GROUP, 240, false);
    run_all(VARVE_GROUP, 80, true);
}

static void test_thread_crew__strict(void **state)
{
    (void)state;
    run_all(VARVE_STRICT, 100, false);
    run_all(VARVE_STRICT, 40, true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_crew__memory_mode), cmocka_unit_test(test_thread_crew__buffered),
        cmocka_unit_test(test_thread_crew__interval),    cmocka_unit_test(test_thread_crew__group),
        cmocka_unit_test(test_thread_crew__strict),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
