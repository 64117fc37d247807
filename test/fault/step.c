/* SPDX-License-Identifier: Apache-2.0 */
/* What stories are made of: appending, waiting, trimming, reading. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fault/run.h"
#include "log/log.h"
#include "log/prepare.h"

enum {
    BATCH = 3,
    AGAIN_MAX = 20000 /* milliseconds until a log must work again */
};

static void step_pause(void)
{
    const struct timespec millisecond = {0, 1000000};
    nanosleep(&millisecond, NULL);
}

/* What the preparer would do next, by the same facts that it looks at. */
static bool step_is_idle(struct varve_log *log)
{
    if (atomic_load(&log->failed) || atomic_load(&log->space_error) != 0) {
        return true;
    }
    bool wanted = atomic_load(&log->space_short) || atomic_load(&log->ready_wanted) > 1 ||
                  atomic_load(&log->room_bytes) < vv_prepare_threshold(log);
    return !wanted || atomic_load(&log->ready_count) >= atomic_load(&log->ready_wanted);
}

void fault_settle_log(struct varve_log *log)
{
    while (!log->read_only && !step_is_idle(log)) {
        step_pause();
    }
}

void fault_settle(struct fault_run *run)
{
    fault_settle_log(run->log);
}

static const int append_codes[] = {VARVE_E_NOSPC,    VARVE_E_IO, VARVE_E_NOMEM, VARVE_E_LIMIT, VARVE_E_SYNC,
                                   VARVE_E_READONLY, 0};

/* After a call that did not get its record into the log, or could not say so. True: it is worth another try,
 * for the log still accepts writes and nothing fails any more. */
static bool step_again(struct fault_run *run, int rc, const int *codes, unsigned *tries)
{
    if (*tries == 0) {
        fault_told(run, rc, NULL, codes);
    }
    bool failed = varve_error_first(run->log, NULL) != 0;
    if (failed != (rc == VARVE_E_SYNC || rc == VARVE_E_READONLY)) {
        fault_die(run, "%s, and the log %s", varve_error_name(rc), failed ? "has failed" : "accepts writes");
    }
    if (failed || !fault_passed(run)) {
        return false;
    }
    if (++*tries > AGAIN_MAX) {
        fault_die(run, "the fault has passed, and the log does not go on: %s", varve_error_name(rc));
    }
    step_pause();
    return true;
}

struct step_records {
    struct varve_record record[BATCH];
    uint64_t id[BATCH];
    unsigned count;
};

static void step_offer(struct test_ledger *ledger, struct step_records *records, unsigned count)
{
    *records = (struct step_records){.count = count};
    for (unsigned i = 0; i < count; i++) {
        struct varve_record *record = &records->record[i];
        void *data = malloc(ledger->bytes_max);
        assert(data != NULL);
        records->id[i] = test_ledger_offer(ledger, data, &record->data_bytes);
        record->data = data;
        record->type = (uint8_t)records->id[i];
    }
}

static int step_append(struct fault_run *run, enum fault_append how, struct step_records *records,
                       uint64_t *ret_lsn)
{
    switch (how) {
    case FAULT_APPEND_ASYNC:
        return varve_append_async(run->log, records->record, ret_lsn);
    case FAULT_APPEND_BATCH:
        return varve_append_batch(run->log, records->record, records->count, VARVE_DURABILITY_DEFAULT, 1,
                                  ret_lsn);
    default:
        return varve_append_record(run->log, records->record, VARVE_DURABILITY_DEFAULT, ret_lsn);
    }
}

/* They are in the log under these LSNs: as a promise, or not yet. */
static void step_note(struct fault_run *run, enum fault_append how, const struct step_records *records,
                      uint64_t lsn)
{
    bool promised = run->options.durability >= VARVE_GROUP && how != FAULT_APPEND_ASYNC;
    for (unsigned i = 0; i < records->count; i++) {
        if (promised) {
            test_ledger_ack(&run->base->ledger, lsn + i, records->id[i]);
        } else {
            assert(run->pending_count < FAULT_PENDING);
            run->pending[run->pending_count++] = (struct fault_pending){lsn + i, records->id[i]};
        }
    }
    if (promised && varve_durable_lsn(run->log) < lsn + records->count - 1) {
        fault_die(run, "LSN %" PRIu64 " is acknowledged and not durable", lsn);
    }
}

bool fault_append(struct fault_run *run, enum fault_append how, unsigned count)
{
    bool all = true;
    for (unsigned i = 0; i < count; i++) {
        struct step_records records;
        unsigned tries = 0;
        uint64_t lsn = 0;
        int rc;
        fault_step(run, "append");
        step_offer(&run->base->ledger, &records, how == FAULT_APPEND_BATCH ? BATCH : 1);
        do {
            rc = step_append(run, how, &records, &lsn);
        } while (rc != 0 && step_again(run, rc, append_codes, &tries));
        if (rc == 0) {
            step_note(run, how, &records, lsn);
        }
        all = all && rc == 0;
        for (unsigned k = 0; k < records.count; k++) {
            /* Whoever looks at it after the call finds something else. */
            memset((void *)(uintptr_t)records.record[k].data, 0xee, run->base->ledger.bytes_max);
            free((void *)(uintptr_t)records.record[k].data);
        }
        fault_settle(run);
    }
    return all;
}

static const int wait_codes[] = {VARVE_E_SYNC, VARVE_E_READONLY, 0};

static bool step_waited(struct fault_run *run, int rc)
{
    unsigned tries = 0;
    if (rc != 0) {
        (void)step_again(run, rc, wait_codes, &tries);
        return false;
    }
    for (unsigned i = 0; i < run->pending_count; i++) {
        test_ledger_ack(&run->base->ledger, run->pending[i].lsn, run->pending[i].id);
    }
    run->pending_count = 0;
    return true;
}

bool fault_wait(struct fault_run *run)
{
    fault_step(run, "wait");
    return run->pending_count == 0 ||
           step_waited(run,
                       varve_wait(run->log, run->pending[run->pending_count - 1].lsn, VARVE_WAIT_FOREVER));
}

bool fault_sync(struct fault_run *run)
{
    fault_step(run, "sync");
    return step_waited(run, varve_sync(run->log));
}

static const int trim_codes[] = {VARVE_E_IO, VARVE_E_NOSPC, VARVE_E_SYNC, VARVE_E_READONLY, 0};

bool fault_trim(struct fault_run *run, uint64_t lsn)
{
    uint64_t first = 0;
    unsigned tries = 0;
    int rc;
    fault_step(run, "trim");
    run->base->trimmed = lsn;
    do {
        rc = varve_trim(run->log, lsn, &first);
    } while (rc != 0 && step_again(run, rc, trim_codes, &tries));
    if (rc == 0 && (first > lsn || first != varve_first_lsn(run->log))) {
        fault_die(run, "trimmed below %" PRIu64 ", and the first LSN is %" PRIu64, lsn, first);
    }
    fault_settle(run);
    return rc == 0;
}

/* -- reading -- */

static const int cursor_codes[] = {VARVE_E_CORRUPT,
                                   VARVE_E_TORN,
                                   VARVE_E_HOLE,
                                   VARVE_E_MISSING_SEGMENT,
                                   VARVE_E_FOREIGN,
                                   VARVE_E_IO,
                                   VARVE_E_TRIMMED,
                                   VARVE_E_NOMEM,
                                   VARVE_E_VERSION,
                                   VARVE_E_NOT_REGULAR,
                                   0};

static bool step_is_gone(const struct fault_base *base, uint64_t first, uint64_t last)
{
    return base->gone_first != 0 && first >= base->gone_first && last <= base->gone_last;
}

uint64_t fault_read_from(struct fault_run *run, struct varve_cursor *cursor, struct test_ledger *ledger,
                         uint64_t from, int *ret_code)
{
    struct varve_entry entry;
    uint64_t next = from;
    /* When the disk lies about a damaged log, nothing may say where that begins and what is missing. */
    bool loose = run->base->code != 0 && fault_case_lies(run->fault);
    while ((*ret_code = varve_cursor_next(cursor, &entry)) == 0) {
        bool behind = entry.lsn < next && !(loose && next == from);
        bool beyond = entry.lsn > next && !loose && !step_is_gone(run->base, next, entry.lsn - 1);
        if (behind || beyond) {
            fault_die(run, "LSN %" PRIu64 " comes where %" PRIu64 " should", entry.lsn, next);
        }
        test_ledger_see(ledger, &entry);
        next = entry.lsn + 1;
    }
    return next;
}

static bool step_cursor(struct fault_run *run, enum varve_policy policy, struct varve_cursor **ret_cursor)
{
    for (int tries = 0;; tries++) {
        struct varve_error error = {.code = 0};
        int rc = varve_cursor_open(run->log, policy, ret_cursor, &error);
        if (rc == 0) {
            return true;
        }
        fault_told(run, rc, &error, cursor_codes);
        if (!fault_passed(run)) {
            return false;
        }
        if (tries > 0) {
            fault_die(run, "the fault has passed, and there is no cursor");
        }
    }
}

/* What the end of reading says of the log. True: there is nothing more to say. */
static bool step_read_ended(struct fault_run *run, const struct varve_cursor *cursor,
                            enum varve_policy policy, uint64_t from, uint64_t next, int rc)
{
    const struct fault_base *base = run->base;
    bool refuses = base->gone_first != 0 && policy != VARVE_POLICY_SKIP && !run->accepted;
    struct varve_error error = {.code = 0};
    if (rc == VARVE_END) {
        if (!fault_case_lies(run->fault) && (refuses || next <= base->ledger.acked_lsn)) {
            fault_die(run, "reading ends in order at LSN %" PRIu64 ", and %" PRIu64 " was acknowledged",
                      next - 1, base->ledger.acked_lsn);
        }
        return true;
    }
    varve_cursor_error(cursor, &error);
    fault_told(run, rc, &error, cursor_codes);
    if (refuses && rc == base->code && next != base->gone_first && from <= base->gone_first &&
        !fault_case_lies(run->fault)) {
        fault_die(run, "damage begins at LSN %" PRIu64 ", and reading stops at %" PRIu64, base->gone_first,
                  next);
    }
    return (refuses && rc == base->code) || !fault_passed(run);
}

static void step_read(struct fault_run *run, struct varve_cursor *cursor, enum varve_policy policy,
                      uint64_t from)
{
    uint64_t next = from;
    int rc;
    for (int tries = 0;; tries++) {
        next = fault_read_from(run, cursor, &run->base->ledger, next, &rc);
        if (step_read_ended(run, cursor, policy, from, next, rc)) {
            return;
        }
        if (tries > 0 || varve_cursor_seek_lsn(cursor, next) != 0) {
            fault_die(run, "the fault has passed, and LSN %" PRIu64 " cannot be read", next);
        }
    }
}

void fault_read(struct fault_run *run, enum varve_policy policy)
{
    struct varve_cursor *cursor;
    fault_step(run, "cursor");
    if (!step_cursor(run, policy, &cursor)) {
        return;
    }
    uint64_t first = varve_first_lsn(run->log), middle = first + (varve_last_lsn(run->log) + 1 - first) / 2;
    fault_step(run, "read");
    step_read(run, cursor, policy, first);
    fault_step(run, "seek");
    for (int tries = 0;; tries++) {
        struct varve_error error = {.code = 0};
        int rc = varve_cursor_seek_lsn(cursor, middle);
        if (rc == 0) {
            fault_step(run, "read from the middle");
            step_read(run, cursor, policy, middle);
            break;
        }
        varve_cursor_error(cursor, &error);
        fault_told(run, rc, &error, cursor_codes);
        if (!fault_passed(run)) {
            break;
        }
        if (tries > 0) {
            fault_die(run, "the fault has passed, and the cursor does not move");
        }
    }
    varve_cursor_close(cursor);
}
