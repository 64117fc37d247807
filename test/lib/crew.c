/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crew.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/rng.h"

static uint64_t crew_word(uint32_t thread, uint32_t number, size_t at)
{
    return test_rng_mix((uint64_t)thread << 32 | number) + at * UINT64_C(0x9e3779b97f4a7c15);
}

void test_crew_fill(void *payload, size_t bytes, uint32_t thread, uint32_t number)
{
    unsigned char *out = payload;
    uint32_t head[4] = {0x57455243, thread, number, (uint32_t)bytes};

    assert(bytes >= sizeof head);
    memcpy(out, head, sizeof head);
    for (size_t at = sizeof head; at < bytes; at += 8) {
        uint64_t word = crew_word(thread, number, at);

        memcpy(out + at, &word, bytes - at < 8 ? bytes - at : 8);
    }
}

bool test_crew_read(const void *payload, size_t bytes, uint32_t *ret_thread, uint32_t *ret_number)
{
    const unsigned char *in = payload;
    uint32_t head[4];

    if (bytes < sizeof head)
        return false;
    memcpy(head, in, sizeof head);
    if (head[0] != 0x57455243 || head[3] != bytes)
        return false;
    for (size_t at = sizeof head; at < bytes; at += 8) {
        uint64_t word = crew_word(head[1], head[2], at);

        if (memcmp(in + at, &word, bytes - at < 8 ? bytes - at : 8) != 0)
            return false;
    }
    *ret_thread = head[1];
    *ret_number = head[2];
    return true;
}

void test_crew_table_init(struct test_crew_table *table, uint64_t room)
{
    table->owners = calloc(room, sizeof *table->owners);
    assert(table->owners != NULL);
    table->room = room;
    atomic_store(&table->doubles, 0);
}

void test_crew_table_free(struct test_crew_table *table)
{
    free(table->owners);
    table->owners = NULL;
}

void test_crew_table_note(struct test_crew_table *table, uint64_t lsn, uint32_t thread, uint32_t number)
{
    uint64_t none = 0, mine = (uint64_t)thread << 32 | (number + 1);

    assert(lsn > 0 && lsn < table->room);
    if (!atomic_compare_exchange_strong(&table->owners[lsn], &none, mine) && none != mine) {
        fprintf(stderr, "LSN %" PRIu64 " was given to record %u of thread %u, and to %u of %u before\n", lsn,
                number, thread, (unsigned)(none & UINT32_MAX) - 1, (unsigned)(none >> 32));
        atomic_fetch_add(&table->doubles, 1);
    }
}

bool test_crew_table_fits(struct test_crew_table *table, uint64_t lsn, uint32_t thread, uint32_t number)
{
    uint64_t owner = lsn < table->room ? atomic_load(&table->owners[lsn]) : UINT64_MAX;

    return owner == 0 || owner == ((uint64_t)thread << 32 | (number + 1));
}

uint64_t test_crew_read_log(struct varve_log *log, uint64_t from, struct test_crew_table *table)
{
    struct varve_error error = {0};
    struct varve_cursor *cursor;
    struct varve_entry e;
    uint64_t last = 0;
    int rc = varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, &error);

    if (rc == 0 && from != 0)
        rc = varve_cursor_seek_lsn(cursor, from);
    while (rc == 0 && (rc = varve_cursor_next(cursor, &e)) == 0) {
        uint32_t thread, number;

        if (last == 0 && e.lsn != (from ? from : varve_first_lsn(log))) {
            fprintf(stderr, "the first record has LSN %" PRIu64 "\n", e.lsn);
            rc = -1;
        } else if (last != 0 && e.lsn != last + 1) {
            fprintf(stderr, "LSN %" PRIu64 " after %" PRIu64 "\n", e.lsn, last);
            rc = -1;
        } else if (!test_crew_read(e.data, e.data_bytes, &thread, &number)) {
            fprintf(stderr, "LSN %" PRIu64 ": not what was appended\n", e.lsn);
            rc = -1;
        } else if (table && !test_crew_table_fits(table, e.lsn, thread, number)) {
            fprintf(stderr, "LSN %" PRIu64 " holds record %u of thread %u\n", e.lsn, number, thread);
            rc = -1;
        }
        last = e.lsn;
    }
    if (rc < -1) {
        varve_cursor_error(cursor, &error);
        fprintf(stderr, "after LSN %" PRIu64 ": %s: %s\n", last, varve_error_name(rc), error.message);
    }
    varve_cursor_close(cursor);
    return rc == VARVE_END ? last : 0;
}

/* -- watchdog -- */

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool runs;
    bool stop; /* [lock] */
    char name[128];
    unsigned seconds;
    _Atomic uint64_t beats;
    _Atomic(struct varve_log *) log;
} dog = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void dump_log(struct varve_log *log)
{
    struct varve_stats s = {.size = sizeof s};

    if (!log || varve_stats_get(log, &s) != 0)
        return;
    fprintf(stderr,
            "reserved %" PRIu64 " encoded %" PRIu64 " written %" PRIu64 " durable %" PRIu64 " acked %" PRIu64
            " frames %" PRIu64 " marks %" PRIu64 " backpressure %" PRIu64 " segments %" PRIu64
            " moves %" PRIu64 " error %s\n",
            s.reserved_lsn, s.encoded_lsn, s.written_lsn, s.durable_lsn, s.acked_lsn, s.frames, s.marks,
            s.backpressure, s.segments_opened, s.moves, varve_error_name(varve_error_first(log, NULL)));
}

/* Where each thread sleeps in the kernel. */
static void dump_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char path[300], text[200] = "";
        FILE *file;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/syscall", entry->d_name);
        file = fopen(path, "r");
        if (file && fgets(text, sizeof text, file))
            fprintf(stderr, "thread %s: %s", entry->d_name, text);
        if (file)
            fclose(file);
    }
    if (dir)
        closedir(dir);
}

static void *watch(void *arg)
{
    uint64_t seen = atomic_load(&dog.beats);

    (void)arg;
    pthread_mutex_lock(&dog.lock);
    while (!dog.stop) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += dog.seconds;
        if (pthread_cond_timedwait(&dog.changed, &dog.lock, &until) == 0 || dog.stop)
            continue;
        if (atomic_load(&dog.beats) == seen) {
            fprintf(stderr, "%s: no progress in %u s\n", dog.name, dog.seconds);
            dump_log(atomic_load(&dog.log));
            dump_threads();
            abort();
        }
        seen = atomic_load(&dog.beats);
    }
    pthread_mutex_unlock(&dog.lock);
    return NULL;
}

void test_watchdog_start(const char *name, unsigned seconds)
{
    int rc;

    if (dog.runs) /* the test before this one failed */
        test_watchdog_stop();
    snprintf(dog.name, sizeof dog.name, "%s", name);
    dog.seconds = seconds;
    dog.stop = false;
    rc = pthread_create(&dog.thread, NULL, watch, NULL);
    assert(rc == 0);
    (void)rc;
    dog.runs = true;
}

void test_watchdog_log(struct varve_log *log)
{
    atomic_store(&dog.log, log);
}

void test_watchdog_alive(void)
{
    atomic_fetch_add_explicit(&dog.beats, 1, memory_order_relaxed);
}

void test_watchdog_stop(void)
{
    pthread_mutex_lock(&dog.lock);
    dog.stop = true;
    pthread_cond_signal(&dog.changed);
    pthread_mutex_unlock(&dog.lock);
    pthread_join(dog.thread, NULL);
    dog.runs = false;
    atomic_store(&dog.log, NULL);
}
