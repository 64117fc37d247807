/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/session.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crash/cut.h"
#include "crash/payload.h"
#include "log/open.h"

enum {
    BATCH = 3,
    FAULTS = 2 /* rules that are armed in a life */
};

/* One of the threads that append. */
struct worker {
    pthread_t thread;
    struct crash_session *session;
    struct varve_log *log;
    unsigned index;
    struct test_rng rng;
};

static void on_durable(void *arg, uint64_t durable_lsn)
{
    crash_history_ack(arg, durable_lsn);
}

static size_t choose_bytes(struct worker *w)
{
    const struct crash_scenario *s = w->session->scenario;
    size_t most = s->large_bytes != 0 && test_rng_once_in(&w->rng, 8) ? s->large_bytes : s->record_bytes;
    return (size_t)test_rng_range(&w->rng, CRASH_RECORD_MIN, most);
}

static void *new_record(struct worker *w, struct varve_record *ret_record, uint64_t *ret_number)
{
    size_t bytes = choose_bytes(w);
    uint64_t number = crash_history_append(&w->session->history, bytes);
    size_t payload_bytes;
    void *data = crash_payload_new(w->session->scenario->format, number, bytes, &payload_bytes);
    *ret_record = (struct varve_record){.data = data, .data_bytes = payload_bytes};
    *ret_number = number;
    return data;
}

static int append_one(struct worker *w, bool wait)
{
    struct crash_history *history = &w->session->history;
    struct varve_record record;
    uint64_t number, lsn;
    void *data = new_record(w, &record, &number);
    int rc = wait ? varve_append(w->log, record.data, record.data_bytes, &lsn)
                  : varve_append_async(w->log, &record, &lsn);
    free(data);
    if (rc != 0) {
        return rc;
    }
    crash_history_lsn(history, number, lsn);
    if (!wait) {
        rc = test_rng_once_in(&w->rng, 2) ? varve_wait(w->log, lsn, VARVE_WAIT_FOREVER) : VARVE_END;
    }
    if (rc == 0 && (!wait || w->session->scenario->durability >= VARVE_GROUP)) {
        crash_history_ack(history, lsn);
    }
    return rc == VARVE_END ? 0 : rc;
}

static int append_batch(struct worker *w)
{
    struct crash_history *history = &w->session->history;
    struct varve_record records[BATCH];
    uint64_t numbers[BATCH], first;
    void *data[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        data[i] = new_record(w, &records[i], &numbers[i]);
    }
    int rc = varve_append_batch(w->log, records, BATCH, VARVE_DURABILITY_DEFAULT, 1, &first);
    for (unsigned i = 0; i < BATCH; i++) {
        free(data[i]);
        if (rc == 0) {
            crash_history_lsn(history, numbers[i], first + i);
        }
    }
    if (rc == 0 && w->session->scenario->durability >= VARVE_GROUP) {
        crash_history_ack(history, first + BATCH - 1);
    }
    return rc == VARVE_E_TOO_LARGE ? 0 : rc;
}

static int sync_all(struct worker *w)
{
    uint64_t last = varve_last_lsn(w->log);
    int rc = varve_sync(w->log);
    if (rc == 0) {
        crash_history_ack(&w->session->history, last);
    }
    return rc;
}

static void trim(struct worker *w)
{
    uint64_t durable = varve_durable_lsn(w->log), first = varve_first_lsn(w->log);
    uint64_t asked = first + (durable > first ? (durable - first) * 7 / 8 : 0), now_first;
    size_t number = crash_history_trim(&w->session->history, asked);
    if (varve_trim(w->log, asked, &now_first) == 0) {
        crash_history_trimmed(&w->session->history, number, now_first);
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    const struct crash_scenario *s = w->session->scenario;
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < s->appends; i++) {
        uint64_t chance = test_rng_below(&w->rng, 16);
        rc = chance < 2 && !s->single ? append_batch(w) : append_one(w, chance < 12);
        if (rc == 0 && s->durability < VARVE_GROUP && test_rng_once_in(&w->rng, 12)) {
            rc = sync_all(w);
        }
        if (rc == 0 && w->index == 0 && s->trim_every != 0 && i % s->trim_every == s->trim_every - 1) {
            trim(w);
        }
        if (s->mark_idle_ms != 0 && test_rng_once_in(&w->rng, 8)) {
            struct timespec pause = {0, (long)s->mark_idle_ms * 2000000};
            (void)nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

static struct varve_options options_of(struct crash_session *session)
{
    const struct crash_scenario *s = session->scenario;
    return (struct varve_options){
        .size = sizeof(struct varve_options),
        .durability = s->durability,
        .backend = s->backend,
        .policy = VARVE_POLICY_TRUNCATE,
        .segment_bytes = s->one_file ? 0 : 1 << 20,
        .slot_bytes = s->slot_bytes,
        .slot_count = s->slot_count,
        .writes_in_flight = s->writes_in_flight,
        .mark_idle_ms = s->mark_idle_ms != 0 ? s->mark_idle_ms : UINT32_MAX,
        .sync_interval_ms = s->sync_interval_ms,
        .format = s->format,
        .codec = s->codec && varve_codec_get(s->codec) ? s->codec : NULL,
        .spare_segments = s->format ? 0 : (uint32_t)test_rng_range(&session->rng, 1, 2),
        .retry_count = 2,
        .failover_dir = s->away ? "/away" : NULL,
        .breaker_first_ms = s->away ? 1 : 0,
        .breaker_max_ms = s->away ? 4 : 0,
        .io = &session->tooth.pass.io,
    };
}

static void arm_faults(struct crash_session *session)
{
    test_fault_disarm(&session->fault);
    for (int i = 0; session->scenario->faults && i < FAULTS; i++) {
        bool sync = session->scenario->durability < VARVE_GROUP;
        (void)test_fault_arm(&session->fault,
                             &(struct test_fault_rule){
                                 .op = sync ? TEST_OP_SYNC : TEST_OP_WRITE_DSYNC,
                                 .prefix = session->scenario->away ? NULL : "wal-",
                                 .after = (long)test_rng_below(&session->rng, sync ? 10 : 60),
                                 .times = test_rng_once_in(&session->rng, 8) ? 3 : 1,
                                 .action = test_rng_once_in(&session->rng, 2) ? TEST_FAULT_FAIL
                                                                              : TEST_FAULT_PARTIAL,
                                 .bytes = (size_t)test_rng_below(&session->rng, 6) * 512,
                             });
    }
}

bool crash_session_has_bug;

/* Only a bug keeps a log that is being recorded from opening. One that was put in is found by that. */
static _Noreturn void give_up(const struct varve_error *error)
{
    fprintf(stderr, "a log that is recorded does not open: %s\n", error->message);
    if (crash_session_has_bug) {
        (void)fflush(NULL);
        _exit(CRASH_SESSION_FOUND);
    }
    abort();
}

/* One life up to its end, which comes with all threads at rest. */
static struct varve_log *live(struct crash_session *session)
{
    const struct crash_scenario *s = session->scenario;
    struct varve_options options = options_of(session);
    struct worker *workers = crash_need(s->threads * sizeof *workers);
    struct varve_error error;
    struct varve_log *log;
    int rc = varve_open("log", &options, &log, &error);
    if (rc != 0) {
        give_up(&error);
    }
    /* What is given out now must stay, wherever it was found. */
    crash_history_ack(&session->history, varve_last_lsn(log));
    rc = varve_on_durable(log, on_durable, &session->history);
    assert(rc == 0);
    arm_faults(session);
    for (unsigned i = 0; i < s->threads; i++) {
        workers[i].session = session;
        workers[i].log = log;
        workers[i].index = i;
        test_rng_init(&workers[i].rng, test_rng_next(&session->rng));
        rc = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        assert(rc == 0);
    }
    for (unsigned i = 0; i < s->threads; i++) {
        (void)pthread_join(workers[i].thread, NULL);
    }
    for (int i = 0; s->faults && i < FAULTS; i++) {
        session->faults += (uint64_t)test_fault_hits(&session->fault, i);
    }
    test_fault_disarm(&session->fault);
    free(workers);
    return log;
}

/* Everything goes on over this file system; nothing is open. */
static void use_fs(struct crash_session *session, struct crash_fs *fs)
{
    crash_disk_close(&session->disk);
    crash_disk_init(&session->disk, fs, test_rng_next(&session->rng));
}

void crash_session_record(struct crash_session *session)
{
    unsigned lives = (unsigned)test_rng_range(&session->rng, 1, session->scenario->lives);
    for (unsigned i = 0; i < lives; i++) {
        uint64_t begin = crash_trace_now(&session->trace);
        struct varve_log *log = live(session);
        unsigned once_in = session->scenario->kill_once_in != 0 ? session->scenario->kill_once_in : 2;
        if (i + 1 < lives && test_rng_once_in(&session->rng, once_in)) {
            struct crash_fs fs;
            vv_close_free(log);
            uint64_t moment = crash_trace_moment(&session->trace, &session->rng, begin);
            crash_trace_kill(&session->trace, moment, &session->rng, &fs);
            crash_history_kill(&session->history, moment);
            use_fs(session, &fs);
            continue;
        }
        uint64_t last = varve_last_lsn(log);
        if (varve_close(log, NULL) == 0) {
            crash_history_ack(&session->history, last);
        }
    }
    crash_history_seal(&session->history);
}

void crash_session_init(struct crash_session *session, const struct crash_scenario *scenario,
                        enum crash_tooth_kind tooth, uint64_t seed)
{
    struct crash_fs fs;
    session->scenario = scenario;
    session->faults = 0;
    test_rng_init(&session->rng, seed);
    crash_fs_init(&fs);
    struct crash_fs empty;
    crash_fs_copy(&fs, &empty);
    crash_disk_init(&session->disk, &fs, test_rng_next(&session->rng));
    test_fault_init(&session->fault, &session->disk.io);
    crash_trace_init(&session->trace, &session->fault.pass.io, &empty);
    crash_tooth_init(&session->tooth, &session->trace.pass.io, tooth);
    crash_fs_free(&empty);
    session->trace.pace_us = 100;
    crash_history_init(&session->history, &session->trace);
}

void crash_session_close(struct crash_session *session)
{
    crash_history_close(&session->history);
    crash_trace_close(&session->trace);
    test_fault_close(&session->fault);
    crash_disk_close(&session->disk);
}

/* What a log in `fs` holds becomes the beginning of the history. */
static void load_base(struct crash_session *session, const struct crash_fs *fs, struct crash_history *history,
                      uint64_t numbers)
{
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct varve_error error;
    struct varve_log *log;
    struct crash_disk disk;
    struct crash_fs copy;
    crash_fs_copy(fs, &copy);
    crash_disk_init(&disk, &copy, test_rng_next(&session->rng));
    struct varve_options options = {.size = sizeof options,
                                    .segment_bytes = session->scenario->one_file ? 0 : 1 << 20,
                                    .policy = VARVE_POLICY_TRUNCATE,
                                    .io = &disk.io,
                                    .format = session->scenario->format};
    if (varve_open("log", &options, &log, &error) != 0 ||
        varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, &error) != 0) {
        give_up(&error);
    }
    if (numbers > 0) {
        crash_history_base(history, numbers - 1, 0, 0);
        history->appends[numbers - 1].begin = CRASH_NEVER;
    }
    history->base_first = varve_first_lsn(log);
    while (varve_cursor_next(cursor, &entry) == 0) {
        uint64_t number;
        size_t bytes = 0;
        bool known =
            crash_payload_number(session->scenario->format, entry.data, entry.data_bytes, &number, &bytes);
        assert(known);
        (void)known;
        crash_history_base(history, number, bytes, entry.lsn);
    }
    history->base_last = varve_last_lsn(log);
    varve_cursor_close(cursor);
    vv_close_free(log);
    crash_disk_close(&disk);
}

void crash_session_power_failure(struct crash_session *session, size_t sector_bytes)
{
    struct crash_cut cut;
    struct crash_fs fs;
    uint64_t moment = crash_trace_moment(&session->trace, &session->rng, session->trace.clock / 2);
    crash_cut_init(&cut, &session->trace, moment, sector_bytes);
    uint64_t systematic = crash_cut_systematic(&cut);
    uint64_t number = cut.count <= 8 || test_rng_once_in(&session->rng, 2)
                          ? test_rng_below(&session->rng, systematic)
                          : systematic + test_rng_below(&session->rng, UINT32_MAX - systematic);
    crash_cut_state(&cut, number, &fs);
    crash_cut_close(&cut);
    uint64_t numbers = session->history.append_count;
    crash_history_close(&session->history);
    crash_trace_close(&session->trace);
    crash_trace_init(&session->trace, &session->fault.pass.io, &fs);
    session->trace.pace_us = 100;
    crash_history_init(&session->history, &session->trace);
    load_base(session, &fs, &session->history, numbers);
    use_fs(session, &fs);
}
