/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault/words.h"
#include "format/manifest.h"
#include "lib/bytes.h"

/* -- what vouches -- */

static int vouch_segment(void *arg, const struct varve_segment_info *info)
{
    uint64_t *vouched = arg;
    if (info->state == VARVE_SEGMENT_SOUND && info->base_lsn > *vouched + 1) {
        *vouched = info->base_lsn - 1;
    }
    return 0;
}

static int vouch_frame(void *arg, const struct varve_frame_info *info)
{
    uint64_t *vouched = arg;
    if ((info->state == VARVE_FRAME_SOUND || info->state == VARVE_FRAME_SUPERSEDED) &&
        info->durable_lsn > *vouched) {
        *vouched = info->durable_lsn;
    }
    return 0;
}

static void vouch_manifest(struct test_memory *memory, uint64_t *vouched)
{
    struct varve_io *io = &memory->io;
    struct vv_manifest manifest;
    struct varve_io_stat st;
    struct varve_dir *dir;
    int created;
    if (io->dir_open(io, NULL, FAULT_LOG, 0, &dir, &created) != 0) {
        return;
    }
    if (io->stat_name(io, dir, "MANIFEST", &st) == 0) {
        size_t bytes;
        void *text = test_bytes_io_read(io, dir, "MANIFEST", &bytes);
        if (vv_manifest_decode(text, bytes, &manifest, NULL) == 0 && manifest.last_lsn > *vouched) {
            *vouched = manifest.last_lsn;
        }
        free(text);
    }
    io->dir_close(io, dir);
}

uint64_t fault_vouched(struct test_memory *memory)
{
    uint64_t vouched = 0;
    const struct varve_visitor visitor = {
        .size = sizeof visitor, .arg = &vouched, .segment = vouch_segment, .frame = vouch_frame};
    (void)varve_inspect(FAULT_LOG, &memory->io, &visitor, NULL);
    vouch_manifest(memory, &vouched);
    return vouched;
}

/* -- one disk -- */

struct check {
    struct fault_run *run;
    struct fault_found *found;
    struct test_memory *memory;
    struct test_ledger ledger; /* a copy: what is appended here is promised here only */
    const char *name;
};

static int check_open(struct check *check, enum varve_policy policy, unsigned flags,
                      struct varve_log **ret_log, struct varve_error *ret_error)
{
    struct varve_options options = check->run->base->options;
    options.size = sizeof options;
    options.io = &check->memory->io;
    options.policy = policy;
    options.flags = flags;
    return varve_open(FAULT_LOG, &options, ret_log, ret_error);
}

static bool check_is_damage(int code)
{
    return code == VARVE_E_CORRUPT || code == VARVE_E_HOLE || code == VARVE_E_MISSING_SEGMENT ||
           code == VARVE_E_FOREIGN;
}

/* The log ends before what was acknowledged. */
static void check_loss(struct check *check, uint64_t last, uint64_t vouched)
{
    struct fault_run *run = check->run;
    if (!fault_case_lies(run->fault)) {
        fault_die(run, "%s: the log ends with LSN %" PRIu64 " and %" PRIu64 " was acknowledged", check->name,
                  last, check->ledger.acked_lsn);
    }
    if (vouched > last) {
        fault_die(run, "%s: the log ends with LSN %" PRIu64 ", and what is on the disk vouches for %" PRIu64,
                  check->name, last, vouched);
    }
    check->found->blind++;
    check->ledger.acked_lsn = last;
    memset(check->ledger.acked + last + 1, 0,
           (check->ledger.acked_room - last - 1) * sizeof *check->ledger.acked);
}

static void check_first(struct check *check, struct varve_log *log)
{
    uint64_t first = varve_first_lsn(log), trimmed = check->run->base->trimmed;
    if (first > (trimmed != 0 ? trimmed : 1)) {
        fault_die(check->run, "%s: the log begins with LSN %" PRIu64 ", and was to be trimmed below %" PRIu64,
                  check->name, first, trimmed);
    }
}

/* Reads from where the cursor stands, `from`, to the end. */
static void check_read(struct check *check, struct varve_cursor *cursor, uint64_t from, uint64_t last)
{
    struct varve_error error = {.code = 0};
    int rc;
    uint64_t next = fault_read_from(check->run, cursor, &check->ledger, from, &rc);
    if (rc != VARVE_END || next != last + 1) {
        varve_cursor_error(cursor, &error);
        fault_die(check->run, "%s: reading ends at LSN %" PRIu64 " of %" PRIu64 ": %s, %s", check->name,
                  next - 1, last, varve_error_name(rc), error.message);
    }
}

/* Reads all of it, appends a record, and reads that. */
static void check_records(struct check *check, struct varve_log *log, uint64_t last)
{
    /* The buffered modes promise nothing before a sync: there this record asks for it. */
    enum varve_durability own = check->run->options.durability,
                          durability = own < VARVE_GROUP ? VARVE_GROUP : own;
    struct varve_error error = {.code = 0};
    struct varve_cursor *cursor;
    uint64_t lsn = 0;
    int rc = varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, &error);
    if (rc != 0) {
        fault_die(check->run, "%s: no cursor: %s", check->name, error.message);
    }
    check_read(check, cursor, varve_first_lsn(log), last);
    rc = test_ledger_append(&check->ledger, log, durability, &lsn);
    if (rc != 0 || lsn != last + 1) {
        fault_die(check->run, "%s: appending behind LSN %" PRIu64 " gives %s, LSN %" PRIu64, check->name,
                  last, varve_error_name(rc), lsn);
    }
    check_read(check, cursor, lsn, lsn);
    varve_cursor_close(cursor);
}

/* It opened. Reads it, goes on, and opens it again. */
static void check_goes_on(struct check *check, struct varve_log *log, uint64_t vouched)
{
    struct varve_recovery recovery;
    struct varve_error error = {.code = 0};
    uint64_t last = varve_last_lsn(log);
    check_first(check, log);
    if (last < check->ledger.acked_lsn) {
        check_loss(check, last, vouched);
    }
    check_records(check, log, last);
    int rc = varve_close(log, &error);
    if (rc != 0) {
        fault_die(check->run, "%s: it does not close: %s", check->name, error.message);
    }
    rc = check_open(check, VARVE_POLICY_HALT, VARVE_OPEN_READ_ONLY, &log, &error);
    if (rc != 0) {
        fault_die(check->run, "%s: it does not open again: %s", check->name, error.message);
    }
    varve_recovery_stats(log, &recovery);
    if (varve_last_lsn(log) != last + 1 ||
        (recovery.verdict != VARVE_VERDICT_CLEAN_END && !check->run->accepted)) {
        fault_die(check->run, "%s: opened again it ends with LSN %" PRIu64 ", %s", check->name,
                  varve_last_lsn(log), varve_verdict_name(recovery.verdict));
    }
    (void)varve_close(log, NULL);
}

/* No record of it is another than was appended. */
static void check_right(struct check *check, struct varve_log *log)
{
    struct varve_cursor *cursor;
    int rc = varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, NULL);
    if (rc == 0) {
        (void)fault_read_from(check->run, cursor, &check->ledger, varve_first_lsn(log), &rc);
        varve_cursor_close(cursor);
    }
    (void)varve_close(log, NULL);
}

static void check_disk(struct fault_run *run, struct test_memory *memory, const char *name,
                       struct fault_found *found)
{
    struct check check = {.run = run, .found = found, .memory = memory, .name = name};
    enum varve_policy policy =
        run->base->code != 0 && !run->accepted && run->base->skip ? VARVE_POLICY_SKIP : VARVE_POLICY_TRUNCATE;
    struct varve_error error = {.code = 0};
    struct varve_log *log = NULL;
    uint64_t vouched = fault_case_lies(run->fault) ? fault_vouched(memory) : 0;
    fault_step(run, name);
    test_ledger_copy(&run->base->ledger, &check.ledger);
    int rc = check_open(&check, policy, 0, &log, &error);
    bool refused = run->base->code != 0 && !run->base->skip;
    if (run->blind) {
        /* It went on from there. What it gives is right all the same. */
        found->blind++;
        if (rc == 0) {
            check_right(&check, log);
        }
    } else if (rc != 0 && fault_case_lies(run->fault) && check_is_damage(rc)) {
        found->detected++;
    } else if (refused && rc != run->base->code) {
        fault_die(run, "%s: says %s, and not %s: %s", name, varve_error_name(rc),
                  varve_error_name(run->base->code), error.message);
    } else if (!refused && rc != 0) {
        fault_die(run, "%s: does not open: %s", name, error.message);
    } else if (!refused) {
        if (run->scenario->look != NULL) {
            run->scenario->look(run, memory);
        }
        check_goes_on(&check, log, vouched);
    }
    test_ledger_free(&check.ledger);
}

static void check_copy(struct fault_run *run, enum test_crash how, uint64_t seed, const char *name,
                       struct fault_found *found)
{
    struct test_memory copy;
    struct test_rng rng;
    test_rng_init(&rng, seed);
    test_memory_crash(&run->base->memory, how, &rng, &copy);
    check_disk(run, &copy, name, found);
    test_memory_close(&copy);
}

/* The story went on, and tells nothing of what was promised when the process was killed. */
static void check_killed(struct fault_run *run, struct fault_found *found)
{
    struct test_ledger ledger = run->base->ledger;
    uint64_t trimmed = run->base->trimmed;
    bool accepted = run->accepted;
    if (!run->killed.taken) {
        return;
    }
    run->base->ledger = run->killed.ledger;
    run->base->trimmed = run->killed.trimmed;
    run->accepted = run->killed.accepted;
    check_disk(run, &run->killed.memory, "what a kill leaves", found);
    run->base->ledger = ledger;
    run->base->trimmed = trimmed;
    run->accepted = accepted;
    test_ledger_free(&run->killed.ledger);
    test_memory_close(&run->killed.memory);
}

void fault_check(struct fault_run *run, uint64_t seed, struct fault_found *ret_found)
{
    struct fault_found found = {.struck = run->struck, .errors = run->errors, .read_only = run->failed};
    for (size_t i = 0; i < run->said_bytes; i++) {
        found.said = test_rng_mix(found.said ^ (unsigned char)run->said[i]);
    }
    fault_words_check(run);
    if (run->fault->way == FAULT_KILL) {
        check_killed(run, &found);
        *ret_found = found;
        return;
    }
    /* A disk that was only read is what it was: it was looked at when the calls were counted. */
    bool changed = run->writer != NULL || test_fault_calls(&run->faults, TEST_OP_ANY_CHANGE) != 0;
    if (!changed && run->fault->way != FAULT_NOTHING) {
        *ret_found = found;
        return;
    }
    if (changed) {
        check_copy(run, TEST_CRASH_NOTHING, seed, "what a power cut leaves", &found);
    }
    if (fault_case_changes(run->fault)) {
        check_copy(run, TEST_CRASH_CHANCE, seed, "what a power cut may leave", &found);
    }
    check_disk(run, &run->base->memory, "what is there", &found);
    *ret_found = found;
}
