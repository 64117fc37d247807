/* SPDX-License-Identifier: Apache-2.0 */
#include "rot/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rot/rules.h"

static const char *const outcome_names[ROT_OUTCOMES] = {
    [ROT_HARMLESS] = "harmless", [ROT_TORN] = "torn",       [ROT_UNVOUCHED] = "clean end",
    [ROT_CORRUPT] = "corrupt",   [ROT_HOLE] = "hole",       [ROT_MISSING] = "missing",
    [ROT_FOREIGN] = "foreign",   [ROT_REFUSED] = "refused", [ROT_UNREADABLE_IS] = "read error",
};

const char *rot_outcome_name(enum rot_outcome outcome)
{
    return outcome_names[outcome];
}

bool rot_broken(struct rot_check *k, const char *rule, const char *format, ...)
{
    va_list args;
    int at = snprintf(k->message, sizeof k->message, "%s: ", rule);
    va_start(args, format);
    (void)vsnprintf(k->message + at, sizeof k->message - (size_t)at, format, args);
    va_end(args);
    return false;
}

bool rot_record_is(const struct rot_record *record, const struct varve_entry *entry)
{
    return record != NULL && record->data != NULL && record->bytes == entry->data_bytes &&
           (record->bytes == 0 || memcmp(record->data, entry->data, record->bytes) == 0) &&
           record->type == entry->type && record->flags == entry->flags && record->txn_id == entry->txn_id &&
           memcmp(record->origin, entry->origin, sizeof record->origin) == 0;
}

/* -- what a cursor gives -- */

/* Without a MANIFEST of this log, what stands there may be another log's for all that can be told. */
static bool is_foreign(const struct rot_check *k, const struct varve_entry *entry)
{
    const struct rot_truth *t = k->truth;
    bool ours = t->manifest_valid && memcmp(t->manifest.uuid, k->c->log->uuid, sizeof t->manifest.uuid) == 0;
    return !ours && rot_record_is(rot_record_at(k->c->other, entry->lsn), entry);
}

/* Whether a frame lies there that holds the LSN: the one of the log, or one that it moved from. */
static bool is_place(const struct rot_log *log, const struct varve_entry *e)
{
    for (uint32_t i = 0; i < log->frame_count; i++) {
        const struct rot_frame *f = &log->frames[i];
        if (f->segment == e->segment && f->offset == e->frame_offset) {
            return e->lsn >= f->first_lsn && e->lsn - f->first_lsn < f->records;
        }
    }
    return false;
}

static bool take_entry(struct rot_check *k, enum varve_policy policy, const struct varve_entry *e)
{
    struct rot_seen *seen = &k->seen[policy];
    const struct rot_record *record = rot_record_at(k->c->log, e->lsn);
    if (!rot_record_is(record, e)) {
        if (is_foreign(k, e)) {
            return true;
        }
        return rot_broken(k, "other bytes", "policy %d gives LSN %" PRIu64 " with bytes it never had",
                          (int)policy, e->lsn);
    }
    if (seen->count > 0 && (policy == VARVE_POLICY_SKIP ? e->lsn <= seen->last : e->lsn != seen->last + 1)) {
        return rot_broken(k, "order", "policy %d gives LSN %" PRIu64 " after %" PRIu64, (int)policy, e->lsn,
                          seen->last);
    }
    if (policy != VARVE_POLICY_SKIP && (e->time_us != record->time_us || !is_place(k->c->log, e))) {
        return rot_broken(k, "other place or time", "LSN %" PRIu64 ": segment %" PRIu64 ", byte %" PRIu64,
                          e->lsn, e->segment, e->frame_offset);
    }
    if (seen->count++ == 0) {
        seen->first = e->lsn;
    }
    seen->last = e->lsn;
    seen->given[e->lsn] = true;
    return true;
}

static bool read_records(struct rot_check *k, struct varve_log *log, enum varve_policy policy)
{
    struct rot_seen *seen = &k->seen[policy];
    struct rot_reader reader;
    struct varve_entry entry;
    bool good = true;
    memset(seen, 0, sizeof *seen);
    seen->end = rot_reader_open(&reader, k->tooth, k->c, log, policy);
    if (seen->end != 0) {
        return true;
    }
    while (good && (seen->end = rot_reader_next(&reader, &entry)) == 0) {
        good = take_entry(k, policy, &entry);
    }
    if (good && seen->end < 0 && rot_reader_next(&reader, &entry) != seen->end) {
        good =
            rot_broken(k, "an error stays", "policy %d: %d, and then something else", (int)policy, seen->end);
    }
    seen->lost = varve_cursor_lost(reader.cursor);
    rot_reader_close(&reader);
    return good;
}

static bool look_with_cursors(struct rot_check *k)
{
    struct varve_log *log;
    struct varve_options options = k->options;
    bool good = true;
    options.flags = VARVE_OPEN_READ_ONLY;
    k->reader_rc = varve_open("log", &options, &log, NULL);
    if (k->reader_rc != 0) {
        return true;
    }
    for (int policy = VARVE_POLICY_TRUNCATE; good && policy <= VARVE_POLICY_SKIP; policy++) {
        if (policy != VARVE_POLICY_HALT || k->thorough) {
            good = read_records(k, log, (enum varve_policy)policy);
        }
    }
    if (!k->thorough) {
        k->seen[VARVE_POLICY_HALT] = k->seen[VARVE_POLICY_TRUNCATE];
    }
    (void)varve_close(log, NULL);
    return good;
}

/* -- opening: in `memory` mode that recovers as for writing, and leaves the files alone -- */

static void look_by_opening(struct rot_check *k)
{
    for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_SKIP; policy++) {
        struct varve_options options = k->options;
        struct varve_log *log;
        if (policy == VARVE_POLICY_HALT && !k->thorough) {
            /* As truncate does, but for a tear. */
            bool torn = k->open_rc[VARVE_POLICY_TRUNCATE] == 0 &&
                        k->recovery[VARVE_POLICY_TRUNCATE].verdict == VARVE_VERDICT_TORN;
            k->open_rc[policy] = torn ? VARVE_E_TORN : k->open_rc[VARVE_POLICY_TRUNCATE];
            k->open_last[policy] = k->open_last[VARVE_POLICY_TRUNCATE];
            continue;
        }
        options.durability = VARVE_MEMORY;
        options.policy = (enum varve_policy)policy;
        k->open_rc[policy] = rot_tooth_open(k->tooth, k->c, &options, &log);
        if (k->open_rc[policy] == 0) {
            varve_recovery_stats(log, &k->recovery[policy]);
            k->open_first[policy] = varve_first_lsn(log);
            k->open_last[policy] = varve_last_lsn(log);
            (void)varve_close(log, NULL);
        }
    }
}

/* -- inspect -- */

struct inspecting {
    struct rot_check *k;
    bool ours; /* the segment is this log's */
    bool good;
};

static int see_segment(void *arg, const struct varve_segment_info *info)
{
    struct inspecting *in = arg;
    in->ours =
        info->state == VARVE_SEGMENT_SOUND && memcmp(info->uuid, in->k->c->log->uuid, sizeof info->uuid) == 0;
    return 0;
}

static int see_frame(void *arg, const struct varve_frame_info *info)
{
    struct inspecting *in = arg;
    const struct rot_log *log = in->k->c->log;
    if (!in->ours || (info->state != VARVE_FRAME_SOUND && info->state != VARVE_FRAME_SUPERSEDED)) {
        return 0;
    }
    for (uint32_t i = 0; i < log->frame_count; i++) {
        const struct rot_frame *f = &log->frames[i];
        if (f->segment == info->segment && f->offset == info->offset) {
            in->k->shown[i] = true;
            in->good = in->k->truth->frame_same[i];
            break;
        }
    }
    return in->good ? 0 : 1;
}

static int see_record(void *arg, const struct varve_record_info *info)
{
    struct inspecting *in = arg;
    const struct rot_log *log = in->k->c->log;
    const struct varve_entry entry = {
        .lsn = info->lsn,
        .data = info->data,
        .data_bytes = info->data_bytes,
        .type = info->type,
        .flags = info->flags,
        .txn_id = info->txn_id,
    };
    struct varve_entry e = entry;
    memcpy(e.origin, info->origin, sizeof e.origin);
    if (!in->ours || !info->sound || rot_record_is(rot_record_at(log, e.lsn), &e) || is_foreign(in->k, &e)) {
        return 0;
    }
    for (unsigned i = 0; i < log->older_count; i++) {
        if (e.lsn < ROT_RECORDS && rot_record_is(&log->older[i][e.lsn], &e)) {
            return 0;
        }
    }
    in->good = false;
    return 1;
}

static bool look_by_inspecting(struct rot_check *k)
{
    struct inspecting in = {.k = k, .good = true};
    const struct varve_visitor visitor = {
        .size = sizeof visitor, .arg = &in, .segment = see_segment, .frame = see_frame, .record = see_record};
    memset(k->shown, 0, sizeof k->shown);
    k->inspect_rc = varve_inspect("log", &k->glass.pass.io, &visitor, NULL);
    return in.good || rot_broken(k, "inspect", "it calls something sound that is not as it was written");
}

/* -- all of it -- */

static bool look(struct rot_check *k)
{
    k->verify = (struct varve_verify_result){.size = sizeof k->verify};
    k->verify_rc = rot_tooth_verify(k->tooth, &k->options, &k->verify);
    if (!look_with_cursors(k)) {
        return false;
    }
    look_by_opening(k);
    k->inspect_rc = VARVE_E_IO;
    return !k->thorough || look_by_inspecting(k);
}

bool rot_check(struct rot_check *k, const struct rot_case *c, const struct rot_truth *truth,
               enum rot_tooth tooth, bool thorough)
{
    struct crash_fs copy;
    k->thorough = thorough;
    k->c = c;
    k->truth = truth;
    k->tooth = tooth;
    k->message[0] = '\0';
    crash_fs_copy(&c->fs, &copy);
    crash_disk_init(&k->disk, &copy, c->number);
    rot_glass_init(&k->glass, &k->disk.io, c, tooth);
    k->options = (struct varve_options){
        .size = sizeof k->options,
        .slot_bytes = 8192,
        .slot_count = 8,
        .sector_bytes = c->log->sector_bytes,
        .mark_idle_ms = UINT32_MAX,
        .io = &k->glass.pass.io,
    };
    bool good = look(k) && rot_rules(k);
    crash_disk_close(&k->disk);
    return good;
}
