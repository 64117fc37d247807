/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/cut.h"
#include "crash/disk.h"
#include "crash/payload.h"
#include "log/open.h"
#include "varve/varve.h"

#define CHECK_PATH "log"

enum {
    APPENDS = 3
};

struct found_record {
    uint64_t lsn, number;
    size_t bytes;
};

/* What a log turned out to hold. */
struct found {
    struct found_record *records;
    size_t count, room;
    uint64_t first, last;
    enum varve_verdict verdict;
};

VARVE_PRINTF(2, 3)
static bool wrong(struct crash_check *check, const char *fmt, ...)
{
    va_list args;
    if (check->message[0] == '\0') {
        va_start(args, fmt);
        (void)vsnprintf(check->message, sizeof check->message, fmt, args);
        va_end(args);
    }
    return false;
}

static void found_clear(struct found *found)
{
    free(found->records);
    *found = (struct found){.records = NULL};
}

static struct varve_options options_of(const struct crash_check *check, struct varve_io *io)
{
    struct varve_options options = {
        .size = sizeof options,
        .segment_bytes = check->one_file ? 0 : 1 << 20,
        .slot_bytes = 4096,
        .slot_count = 4,
        .format = check->format,
        .policy = VARVE_POLICY_TRUNCATE,
        .mark_idle_ms = check->seed % 16 == 0 && !check->format ? 1 : UINT32_MAX,
        .durability = check->single          ? VARVE_STRICT
                      : check->seed % 8 == 1 ? VARVE_BUFFERED
                      : check->seed % 8 == 2 ? VARVE_STRICT
                                             : VARVE_GROUP,
        .backend = check->format          ? VARVE_BACKEND_BUFFERED
                   : check->seed % 4 == 3 ? VARVE_BACKEND_BUFFERED
                                          : VARVE_BACKEND_DIRECT,
        .io = io,
    };
    return options;
}

/* Reads everything the log holds. */
static bool read_log(struct crash_check *check, struct varve_log *log, struct found *ret_found)
{
    struct varve_recovery recovery;
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct varve_error error;
    int rc = varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, &error);
    *ret_found = (struct found){.records = NULL};
    if (rc != 0) {
        return wrong(check, "no cursor: %s", error.message);
    }
    varve_recovery_stats(log, &recovery);
    ret_found->verdict = recovery.verdict;
    ret_found->first = varve_first_lsn(log);
    ret_found->last = varve_last_lsn(log);
    bool good = true;
    while (good && (rc = varve_cursor_next(cursor, &entry)) == 0) {
        uint64_t number;
        size_t bytes;
        if (entry.lsn != ret_found->first + ret_found->count) {
            good = wrong(check, "LSN %" PRIu64 " where %" PRIu64 " should come", entry.lsn,
                         ret_found->first + ret_found->count);
        } else if (!crash_payload_number(check->format, entry.data, entry.data_bytes, &number, &bytes)) {
            good = wrong(check, "LSN %" PRIu64 ": bytes that were never appended", entry.lsn);
        } else {
            ret_found->records = crash_grow(ret_found->records, &ret_found->room, ret_found->count + 1,
                                            sizeof *ret_found->records);
            ret_found->records[ret_found->count++] = (struct found_record){entry.lsn, number, bytes};
        }
    }
    if (good && rc != VARVE_END) {
        varve_cursor_error(cursor, &error);
        good = wrong(check, "reading fails with %s: %s", varve_error_name(rc), error.message);
    }
    if (good && ret_found->first + ret_found->count != ret_found->last + 1) {
        good = wrong(check, "%zu records from LSN %" PRIu64 " on, but the last is %" PRIu64, ret_found->count,
                     ret_found->first, ret_found->last);
    }
    varve_cursor_close(cursor);
    return good;
}

/* Whether what was found may be there, and all is there that must be. */
static bool judge(struct crash_check *check, const struct found *found)
{
    uint64_t acked = crash_history_acked(check->history, check->moment), low, high;
    crash_history_first(check->history, check->moment, &low, &high);
    if (found->verdict > VARVE_VERDICT_TORN) {
        return wrong(check, "the verdict is %s", varve_verdict_name(found->verdict));
    }
    if (found->last < acked) {
        return wrong(check, "LSN %" PRIu64 " was acknowledged, and the last one is %" PRIu64, acked,
                     found->last);
    }
    if (found->first < low || found->first > high) {
        return wrong(check, "the first LSN is %" PRIu64 " and may be %" PRIu64 " to %" PRIu64, found->first,
                     low, high);
    }
    for (size_t i = 0; i < found->count; i++) {
        const struct found_record *r = &found->records[i];
        const char *why;
        if (!crash_history_allows(check->history, check->moment, r->lsn, r->number, r->bytes, &why)) {
            return wrong(check, "LSN %" PRIu64 ": record %" PRIu64 " %s", r->lsn, r->number, why);
        }
    }
    return true;
}

static bool same(struct crash_check *check, const struct found *before, const struct found *after,
                 const char *what)
{
    if (after->first != before->first || after->last != before->last) {
        return wrong(check, "%s gives LSN %" PRIu64 " to %" PRIu64 ", and before %" PRIu64 " to %" PRIu64,
                     what, after->first, after->last, before->first, before->last);
    }
    for (size_t i = 0; i < before->count; i++) {
        if (before->records[i].number != after->records[i].number) {
            return wrong(check, "%s gives another record under LSN %" PRIu64, what, before->records[i].lsn);
        }
    }
    return true;
}

static int open_log(struct crash_check *check, const struct varve_options *options,
                    struct varve_log **ret_log, struct varve_error *ret_error)
{
    check->tally->opens++;
    return varve_open(CHECK_PATH, options, ret_log, ret_error);
}

/* The policy halt opens only a clean end, and leaves everything as it was. */
static bool try_halt(struct crash_check *check, struct crash_disk *disk, struct found *ret_found,
                     bool *ret_clean)
{
    struct varve_options options = options_of(check, &disk->io);
    struct varve_error error;
    struct varve_log *log;
    options.policy = VARVE_POLICY_HALT;
    int rc = open_log(check, &options, &log, &error);
    *ret_clean = rc == 0;
    *ret_found = (struct found){.records = NULL};
    if (rc == VARVE_E_TORN) {
        return true;
    }
    if (rc != 0) {
        return wrong(check, "policy halt: does not open: %s: %s", varve_error_name(rc), error.message);
    }
    bool good = read_log(check, log, ret_found);
    vv_close_free(log); /* as if the process died: nothing is noted */
    return good && judge(check, ret_found);
}

/* Appends a few records, with what the history is to know of them. */
static bool append_some(struct crash_check *check, struct varve_log *log, struct crash_history *history,
                        struct found *found)
{
    for (unsigned i = 0; i < APPENDS; i++) {
        size_t bytes = i == 1 && check->seed % 8 == 0 ? 30000 : 8 + (size_t)(check->seed >> (8 * i)) % 1200;
        uint64_t number = crash_history_append(history, bytes), lsn;
        size_t payload_bytes;
        void *data = crash_payload_new(check->format, number, bytes, &payload_bytes);
        int rc = varve_append(log, data, payload_bytes, &lsn);
        free(data);
        if (rc != 0) {
            return wrong(check, "appending after recovery fails with %s", varve_error_name(rc));
        }
        crash_history_lsn(history, number, lsn);
        if (check->seed % 8 != 1) {
            crash_history_ack(history, lsn);
        }
        if (lsn != found->last + 1) {
            return wrong(check, "the first append gets LSN %" PRIu64 " after %" PRIu64, lsn, found->last);
        }
        found->records = crash_grow(found->records, &found->room, found->count + 1, sizeof *found->records);
        found->records[found->count++] = (struct found_record){lsn, number, bytes};
        found->last = lsn;
    }
    return true;
}

/* Opens, compares with what halt found, appends, closes. *found is what is there then. */
static bool go_on(struct crash_check *check, struct varve_io *io, struct crash_history *history, bool clean,
                  struct found *found)
{
    struct varve_options options = options_of(check, io);
    struct varve_error error;
    struct varve_log *log;
    struct found again;
    int rc = open_log(check, &options, &log, &error);
    if (rc != 0) {
        return wrong(check, "does not open: %s: %s", varve_error_name(rc), error.message);
    }
    bool good = read_log(check, log, &again) && judge(check, &again);
    if (good && clean != (again.verdict == VARVE_VERDICT_CLEAN_END)) {
        good = wrong(check, "policy halt %s, and the verdict is %s", clean ? "opens" : "refuses",
                     varve_verdict_name(again.verdict));
    }
    if (good && clean) {
        good = same(check, found, &again, "opening again");
    }
    found_clear(found);
    *found = again;
    check->tally->torn += again.verdict == VARVE_VERDICT_TORN;
    check->tally->empty += again.count == 0;
    if (good) {
        history->base_first = again.first;
        for (size_t i = 0; i < again.count; i++) {
            crash_history_base(history, again.records[i].number, again.records[i].bytes,
                               again.records[i].lsn);
        }
        history->base_last = again.last;
        good = append_some(check, log, history, found);
    }
    if (!good || check->seed % 3 == 0) {
        uint64_t last = good ? found->last : 0;
        if (good && varve_wait(log, last, VARVE_WAIT_FOREVER) != 0) {
            good = wrong(check, "waiting for what was appended after recovery fails");
        }
        vv_close_free(log);
        return good;
    }
    rc = varve_close(log, &error);
    if (rc != 0) {
        return wrong(check, "closing fails: %s", error.message);
    }
    crash_history_ack(history, found->last);
    return true;
}

/* What was appended is there in the end. */
static bool look_back(struct crash_check *check, struct crash_disk *disk, const struct found *found)
{
    struct varve_options options = options_of(check, &disk->io);
    struct varve_error error;
    struct varve_log *log;
    struct found last;
    options.check = check->seed % 2 == 0 ? VARVE_CHECK_FULL : VARVE_CHECK_TAIL;
    int rc = open_log(check, &options, &log, &error);
    if (rc != 0) {
        return wrong(check, "does not open after appending: %s: %s", varve_error_name(rc), error.message);
    }
    bool good = read_log(check, log, &last);
    if (good && last.verdict != VARVE_VERDICT_CLEAN_END) {
        good =
            wrong(check, "after appending and closing the verdict is %s", varve_verdict_name(last.verdict));
    }
    good = good && same(check, found, &last, "opening after appending");
    found_clear(&last);
    vv_close_free(log);
    return good;
}

/* Crashes on top of the crash: at moments of the recovery that was traced. */
static bool crash_again(struct crash_check *check, const struct crash_trace *trace,
                        struct crash_history *history)
{
    struct test_rng rng;
    bool good = true;
    test_rng_init(&rng, check->seed);
    crash_history_seal(history);
    for (unsigned i = 0; good && i < check->nested; i++) {
        uint64_t moment = crash_trace_moment(trace, &rng, 1);
        struct crash_cut cut;
        crash_cut_init(&cut, trace, moment, check->sector_bytes);
        uint64_t systematic = crash_cut_systematic(&cut);
        uint64_t number = cut.count > 8 && test_rng_once_in(&rng, 2)
                              ? systematic + test_rng_below(&rng, UINT32_MAX - systematic)
                              : test_rng_below(&rng, systematic);
        struct crash_check below = *check;
        below.history = history;
        below.moment = moment;
        below.seed = test_rng_next(&rng);
        below.depth--;
        below.nested = 1;
        struct crash_fs fs;
        crash_cut_state(&cut, number, &fs);
        check->tally->nested++;
        if (!crash_check_state(&below, &fs)) {
            good = wrong(check, "after a crash on top, at %" PRIu64 " as state %" PRIu64 ": %s", moment,
                         number, below.message);
            crash_cut_explain(&cut, number);
        }
        crash_cut_close(&cut);
    }
    return good;
}

bool crash_check_state(struct crash_check *check, struct crash_fs *fs)
{
    struct crash_disk disk;
    struct crash_trace trace;
    struct crash_history history;
    struct found found;
    struct crash_fs before;
    bool clean;
    check->message[0] = '\0';
    check->tally->states++;
    crash_disk_init(&disk, fs, check->seed);
    bool good = try_halt(check, &disk, &found, &clean);
    if (good) {
        crash_disk_copy(&disk, &before);
        crash_trace_init(&trace, &disk.io, &before);
        crash_fs_free(&before);
        crash_history_init(&history, &trace);
        /* Numbers go on behind those of the history before, so that each is one append's only. */
        if (check->history->append_count > 0) {
            crash_history_base(&history, check->history->append_count - 1, 0, 0);
            history.appends[check->history->append_count - 1].begin = CRASH_NEVER;
        }
        good = go_on(check, check->depth > 0 ? &trace.pass.io : &disk.io, &history, clean, &found);
        good = good && look_back(check, &disk, &found);
        if (good && check->depth > 0) {
            good = crash_again(check, &trace, &history);
        }
        crash_history_close(&history);
        crash_trace_close(&trace);
    }
    found_clear(&found);
    crash_disk_close(&disk);
    return good;
}
