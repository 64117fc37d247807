/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of logs that are read, and of damaged ones. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fault/base.h"
#include "fault/story.h"
#include "lib/bytes.h"

/* -- sound logs -- */

void fault_prepare_read(struct fault_base *base)
{
    base->options = fault_options_wide(VARVE_GROUP);
    fault_base_init(base, FAULT_BIG - 2000, FAULT_BIG);
    fault_base_fill(base, 12, false);
}

/* Frames larger than the window that segments are read through. */
void fault_prepare_huge(struct fault_base *base)
{
    base->options = fault_options(VARVE_GROUP, VARVE_BACKEND_DIRECT);
    base->options.segment_bytes = 2 << 20;
    base->options.slot_bytes = 65536;
    fault_base_init(base, FAULT_HUGE, FAULT_HUGE + 5000);
    fault_base_fill(base, 1, false);
}

static void no_change(struct fault_run *run)
{
    uint64_t changes = test_fault_calls(&run->faults, TEST_OP_ANY_CHANGE);
    if (changes != 0) {
        fault_die(run, "reading has changed the disk %" PRIu64 " times", changes);
    }
}

void fault_story_read(struct fault_run *run)
{
    if (fault_open(run, VARVE_OPEN_READ_ONLY, VARVE_POLICY_TRUNCATE)) {
        fault_read(run, VARVE_POLICY_HALT);
        fault_close(run);
    }
    no_change(run);
}

/* -- beside a writer -- */

void fault_prepare_beside(struct fault_base *base)
{
    base->options = fault_options(VARVE_BUFFERED, VARVE_BACKEND_BUFFERED);
    base->options.slot_count = 16;
    base->options.sync_bytes = 131072;
    fault_base_init(base, 14000, 14000);
    fault_base_fill(base, 2, true);
}

/* A writer that has synced some records, and has written three more frames and not synced them. */
void fault_begin_beside(struct fault_run *run)
{
    struct varve_options options = run->base->options;
    struct varve_stats stats = {.size = sizeof stats};
    const struct timespec millisecond = {0, 1000000};
    options.size = sizeof options;
    options.io = &run->base->memory.io;
    if (varve_open(FAULT_LOG, &options, &run->writer, NULL) != 0) {
        fault_die(run, "the writer does not open the log");
    }
    run->log = run->writer;
    fault_append(run, FAULT_APPEND_WAIT, 3);
    fault_sync(run);
    fault_append(run, FAULT_APPEND_WAIT, 4);
    while (varve_stats_get(run->log, &stats) == 0 && stats.written_lsn < stats.reserved_lsn - 1) {
        nanosleep(&millisecond, NULL);
    }
    if (stats.durable_lsn != run->base->ledger.acked_lsn) {
        fault_die(run, "the writer has synced more than it should");
    }
    run->limit = stats.durable_lsn;
    run->log = NULL;
}

void fault_end_beside(struct fault_run *run)
{
    run->log = run->writer;
    run->durable = 0;
    fault_sync(run);
    fault_close(run);
}

/* -- verifying -- */

static const int verify_codes[] = {VARVE_E_NOMEM,   VARVE_E_IO,          VARVE_E_NOT_FOUND, VARVE_E_FORMAT,
                                   VARVE_E_VERSION, VARVE_E_NOT_REGULAR, VARVE_E_TRIMMED,   0};

struct sight {
    struct fault_run *run;
    uint64_t records, damages;
};

static void see_damage(void *arg, enum varve_verdict verdict, uint64_t segment, uint64_t offset,
                       uint64_t first, uint64_t last, const char *message)
{
    struct sight *sight = arg;
    (void)segment;
    (void)offset;
    (void)first;
    (void)last;
    sight->damages += verdict > VARVE_VERDICT_TORN;
    if (message[0] == '\0') {
        fault_die(sight->run, "damage without a message");
    }
}

static int see_record(void *arg, const struct varve_record_info *info)
{
    struct sight *sight = arg;
    sight->records += info->sound != 0;
    return 0;
}

static int verify_once(struct fault_run *run, struct varve_error *error)
{
    struct varve_verify_result result = {.size = sizeof result};
    struct sight sight = {.run = run};
    uint64_t wanted = run->base->ledger.acked_count;
    int rc = varve_verify(FAULT_LOG, &run->options, see_damage, &sight, &result, error);
    if (rc != 0 || fault_case_lies(run->fault)) {
        return rc;
    }
    if ((run->base->code != 0) != (result.damages > 0) || result.damages != sight.damages) {
        fault_die(run, "verify finds %" PRIu64 " damages in a log that is %s", result.damages,
                  run->base->code != 0 ? "damaged" : "sound");
    }
    if (run->base->code == 0 &&
        (result.found.verdict != VARVE_VERDICT_CLEAN_END || result.found.records != wanted)) {
        fault_die(run, "verify finds %" PRIu64 " records of %" PRIu64, result.found.records, wanted);
    }
    return 0;
}

static int inspect_once(struct fault_run *run, struct varve_error *error)
{
    struct sight sight = {.run = run};
    const struct varve_visitor visitor = {.size = sizeof visitor, .arg = &sight, .record = see_record};
    uint64_t wanted = run->base->ledger.acked_count;
    int rc = varve_inspect(FAULT_LOG, run->options.io, &visitor, error);
    if (rc == 0 && !fault_case_lies(run->fault) && run->base->code == 0 && sight.records != wanted) {
        fault_die(run, "inspect shows %" PRIu64 " sound records of %" PRIu64, sight.records, wanted);
    }
    return rc;
}

static int info_once(struct fault_run *run, struct varve_error *error)
{
    struct varve_info info = {.size = sizeof info};
    int rc = varve_info_get(FAULT_LOG, run->options.io, &info, error);
    if (rc == 0 && !fault_case_lies(run->fault) && run->base->code == 0 &&
        (info.last_lsn != run->base->ledger.acked_lsn || info.verdict != VARVE_VERDICT_CLEAN_END)) {
        fault_die(run, "info says that the last LSN is %" PRIu64, info.last_lsn);
    }
    return rc;
}

static void look_by(struct fault_run *run, const char *name,
                    int (*once)(struct fault_run *run, struct varve_error *error))
{
    fault_step(run, name);
    for (int tries = 0;; tries++) {
        struct varve_error error = {.code = 0};
        int rc = once(run, &error);
        if (rc == 0) {
            return;
        }
        fault_told(run, rc, &error, verify_codes);
        if (!fault_passed(run)) {
            return;
        }
        if (tries > 0) {
            fault_die(run, "the fault has passed, and it fails again");
        }
    }
}

void fault_story_verify(struct fault_run *run)
{
    look_by(run, "verify", verify_once);
    look_by(run, "inspect", inspect_once);
    look_by(run, "info", info_once);
    no_change(run);
}

/* -- damage that is passed over -- */

void fault_prepare_skip(struct fault_base *base)
{
    base->options = fault_options_wide(VARVE_GROUP);
    fault_base_init(base, FAULT_BIG - 2000, FAULT_BIG);
    fault_base_fill(base, 10, false);
    base->code = VARVE_E_CORRUPT;
    base->skip = true;
    base->gone_first = base->gone_last = 5;
    base->gone = (struct fault_place){.lsn = 5};
    (void)fault_base_find(base, &base->gone);
    fault_base_flip_record(base, 5);
}

void fault_story_skip(struct fault_run *run)
{
    struct varve_recovery recovery;
    if (!fault_open(run, 0, VARVE_POLICY_SKIP)) {
        return;
    }
    run->accepted = true;
    varve_recovery_stats(run->log, &recovery);
    if (!fault_case_lies(run->fault) &&
        (recovery.verdict != VARVE_VERDICT_CORRUPT || recovery.lost_records != 1 ||
         recovery.lost_first != run->base->gone_first)) {
        fault_die(run, "opening says that %" PRIu64 " records are gone, from LSN %" PRIu64,
                  recovery.lost_records, recovery.lost_first);
    }
    fault_settle(run);
    fault_read(run, VARVE_POLICY_TRUNCATE);
    fault_read(run, VARVE_POLICY_SKIP);
    fault_append(run, FAULT_APPEND_WAIT, 1);
    fault_close(run);
}

/* What was passed over lies in lost/, all of it. */
void fault_look_skip(struct fault_run *run, struct test_memory *memory)
{
    struct varve_io *io = &memory->io;
    const struct fault_place *gone = &run->base->gone;
    struct varve_dir *dir, *lost;
    char name[96], segment[32];
    size_t kept_bytes, segment_bytes;
    int created;
    if (!run->accepted || fault_case_lies(run->fault)) {
        return;
    }
    snprintf(segment, sizeof segment, "wal-%016" PRIx64 ".seg", gone->segment);
    snprintf(name, sizeof name, "wal-%016" PRIx64 "-%" PRIu64 ".bin", gone->segment, gone->offset);
    if (io->dir_open(io, NULL, FAULT_LOG, 0, &dir, &created) != 0 ||
        io->dir_open(io, dir, "lost", 0, &lost, &created) != 0) {
        fault_die(run, "there is no lost/");
    }
    unsigned char *kept = test_bytes_io_read(io, lost, name, &kept_bytes);
    unsigned char *all = test_bytes_io_read(io, dir, segment, &segment_bytes);
    if (kept_bytes != gone->bytes || memcmp(kept, all + gone->offset, kept_bytes) != 0) {
        fault_die(run, "lost/ holds %zu bytes, and not the %" PRIu64 " that are damaged", kept_bytes,
                  gone->bytes);
    }
    free(kept);
    free(all);
    io->dir_close(io, lost);
    io->dir_close(io, dir);
}

/* -- damage that is refused -- */

static void prepare_damaged(struct fault_base *base, bool closed, int code, uint64_t gone_first)
{
    base->options = fault_options_wide(VARVE_GROUP);
    fault_base_init(base, FAULT_BIG - 2000, FAULT_BIG);
    fault_base_fill(base, 12, closed);
    base->code = code;
    base->gone_first = gone_first;
    base->gone_last = gone_first != 0 ? base->ledger.acked_lsn : 0;
}

void fault_prepare_refuse_record(struct fault_base *base)
{
    prepare_damaged(base, true, VARVE_E_CORRUPT, 3);
    fault_base_flip_record(base, 3);
}

void fault_prepare_refuse_header(struct fault_base *base)
{
    prepare_damaged(base, true, VARVE_E_CORRUPT, 1);
    fault_base_flip_header(base, 1);
}

/* The first LSN of the last segment. */
static uint64_t last_begins(struct fault_base *base, uint64_t *ret_segment)
{
    struct fault_place place = {.lsn = base->ledger.acked_lsn};
    *ret_segment = fault_base_last_segment(base);
    while (fault_base_find(base, &place) && place.segment == *ret_segment) {
        place.lsn--;
    }
    return place.lsn + 1;
}

void fault_prepare_refuse_last(struct fault_base *base)
{
    uint64_t segment;
    prepare_damaged(base, false, VARVE_E_CORRUPT, 1);
    base->gone_first = last_begins(base, &segment);
    fault_base_flip_header(base, segment);
}

void fault_prepare_refuse_blank(struct fault_base *base)
{
    uint64_t segment;
    prepare_damaged(base, false, VARVE_E_CORRUPT, 1);
    base->gone_first = last_begins(base, &segment);
    fault_base_blank_header(base, segment);
}

void fault_prepare_refuse_missing(struct fault_base *base)
{
    prepare_damaged(base, true, VARVE_E_MISSING_SEGMENT, 1);
    fault_base_remove(base, 1);
}

void fault_prepare_refuse_foreign(struct fault_base *base)
{
    prepare_damaged(base, true, VARVE_E_FOREIGN, 0);
    fault_base_make_foreign(base, 2);
}

void fault_prepare_refuse_manifest(struct fault_base *base)
{
    prepare_damaged(base, true, VARVE_E_CORRUPT, 0);
    /* Of what comes behind the last record nobody can tell whether it was all. */
    base->gone_first = base->gone_last = base->ledger.acked_lsn + 1;
    fault_base_truncate(base, "MANIFEST", 100);
}

void fault_story_refuse(struct fault_run *run)
{
    static const int ops[] = {TEST_OP_RENAME, TEST_OP_UNLINK, TEST_OP_SYNC, TEST_OP_WRITE_DSYNC,
                              TEST_OP_ALLOCATE};
    (void)fault_open(run, VARVE_OPEN_MUST_EXIST, VARVE_POLICY_TRUNCATE);
    if (run->blind) {
        return;
    }
    if (fault_open(run, VARVE_OPEN_READ_ONLY, VARVE_POLICY_TRUNCATE)) {
        fault_read(run, VARVE_POLICY_TRUNCATE);
        fault_close(run);
    }
    look_by(run, "verify", verify_once);
    look_by(run, "inspect", inspect_once);
    for (unsigned i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (test_fault_calls(&run->faults, ops[i]) != 0) {
            fault_die(run, "a log that is refused was changed: %s", test_op_name((enum test_op)ops[i]));
        }
    }
}
