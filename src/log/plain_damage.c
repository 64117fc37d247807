/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_damage: a place that does not decode -> a torn tail, damage that stops the walk, or damage that it
 * passes over.
 *
 *              in the last file            truncate        halt     skip
 *   torn       yes                         end             TORN     end
 *   corrupt    any                         CORRUPT         CORRUPT  passed over, counted
 *   reordered  yes, format REORDERS        end, warning    TORN     passed over, counted
 *
 * Damage whose loss was accepted is passed over under every policy.
 *
 * Under `skip` nothing is judged, for that would read the rest of the file at each damage: what comes behind
 * is looked for, and where nothing comes in the last file it was a torn tail.
 */
#include "log/plain_damage.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

static const struct varve_format *format_of(const struct vv_plain_walk *walk)
{
    return walk->files->format;
}

bool vv_plain_damage_last(const struct vv_plain_walk *walk)
{
    size_t made = vv_plain_files_made(walk->files);

    return made == 0 || walk->files->items[made - 1].number <= walk->number;
}

/* -- telling -- */

/* Fills walk->damage: the bytes from `offset` to `end`, and that `lost` records are gone with them. */
VARVE_PRINTF(6, 7)
static void describe(struct vv_plain_walk *walk, enum varve_verdict verdict, uint64_t offset, uint64_t end,
                     uint64_t lost, const char *fmt, ...)
{
    struct vv_damage *d = &walk->damage;
    int len;
    va_list args;

    memset(d, 0, sizeof *d);
    d->verdict = verdict;
    d->segment = walk->number;
    d->file = walk->reader.name;
    d->offset = offset;
    d->end_offset = end;
    d->lsn_first = walk->next_lsn ? walk->next_lsn : 1;
    d->lsn_last = d->lsn_first + lost - 1;
    len = snprintf(d->message, sizeof d->message, "%s, byte %" PRIu64 ": ", d->file, offset);
    va_start(args, fmt);
    vsnprintf(d->message + len, sizeof d->message - (size_t)len, fmt, args);
    va_end(args);
}

static const char *alias(const struct vv_plain_walk *walk, int code)
{
    return format_of(walk)->error_alias ? format_of(walk)->error_alias(code) : NULL;
}

/* walk->damage is where reading ends. */
static int stop(struct vv_plain_walk *walk, struct varve_error *ret_error)
{
    int code = vv_walk_code(walk->damage.verdict);

    vv_error_set(ret_error, code, 0, "%s", walk->damage.message);
    if (alias(walk, code))
        vv_error_wrap(ret_error, "%s", alias(walk, code));
    return code;
}

/* walk->damage is passed over. */
static int pass(struct vv_plain_walk *walk)
{
    const struct vv_damage *d = &walk->damage;
    uint64_t lost = d->lsn_last + 1 - d->lsn_first;
    int rc = walk->damaged ? walk->damaged(walk->damaged_arg, d) : 0;

    if (rc != 0)
        return rc;
    walk->damages++;
    walk->lost += lost;
    walk->told = true;
    if (walk->next_lsn)
        walk->next_lsn += lost;
    memset(&walk->damage, 0, sizeof walk->damage);
    return 0;
}

/* Whether what walk->damage says was set aside before, and so is passed over whatever the policy. */
static bool accepted(const struct vv_plain_walk *walk)
{
    return walk->accepted && vv_lost_holds(walk->accepted, &walk->damage);
}

static bool passes(const struct vv_plain_walk *walk)
{
    return walk->policy == VARVE_POLICY_SKIP || walk->survey || accepted(walk);
}

/* How many LSNs a damaged region is taken for: records tell their own, where they have one. */
static uint64_t toll(const struct vv_plain_walk *walk)
{
    return format_of(walk)->carries & VARVE_FIELD_LSN ? 0 : 1;
}

/* -- a place -- */

static void reason_text(const struct varve_format_entry *entry, enum varve_found found, char *out,
                        size_t room)
{
    if (found == VARVE_FOUND_CHECKSUM)
        snprintf(out, room, "%s (stored %08" PRIx32 ", computed %08" PRIx32 ")", entry->reason,
                 entry->sum_stored, entry->sum_computed);
    else if (found == VARVE_FOUND_ZEROS)
        snprintf(out, room, "zeros, and bytes that are not zero behind them");
    else
        snprintf(out, room, "%s", entry->reason ? entry->reason : vv_format_found_name(found));
}

static int torn(struct vv_plain_walk *walk, const char *reason)
{
    char good[64] = "no record comes before it";

    if (walk->next_lsn > 1 && walk->records > 0)
        snprintf(good, sizeof good, "the last good record is LSN %" PRIu64, walk->next_lsn - 1);
    describe(walk, VARVE_VERDICT_TORN, walk->offset, walk->reader.bytes, 0,
             "torn tail of %" PRIu64 " bytes: %s; %s", walk->reader.bytes - walk->offset, reason, good);
    return VARVE_END;
}

static int torn_or_stop(struct vv_plain_walk *walk, const char *reason, struct varve_error *ret_error)
{
    (void)torn(walk, reason);
    return walk->policy == VARVE_POLICY_HALT && !walk->live && !walk->survey ? stop(walk, ret_error)
                                                                             : VARVE_END;
}

/* Whether nothing but the end of the file's records comes at `offset`. */
static int ends_at(struct vv_plain_walk *walk, uint64_t offset, bool *ret_ends, struct varve_error *ret_error)
{
    const struct varve_format *f = format_of(walk);

    *ret_ends = offset == walk->reader.bytes;
    if (*ret_ends || !(f->traits & VARVE_FORMAT_FIXED))
        return 0;
    if (walk->reader.bytes - offset < f->head_bytes) {
        *ret_ends = true;
        return 0;
    }
    return vv_plain_reader_zeros(&walk->reader, offset, ret_ends, ret_error);
}

/* How many records the damage before `next` took: where records have numbers, the one that stands there
 * tells. */
static int count_lost(struct vv_plain_walk *walk, uint64_t next, uint64_t *ret_lost,
                      struct varve_error *ret_error)
{
    const struct varve_format *f = format_of(walk);
    struct varve_format_entry entry = {.bytes = f->head_bytes};
    enum varve_found found = VARVE_FOUND_NEED;
    const uint8_t *bytes;
    size_t have;

    *ret_lost = toll(walk);
    while (found == VARVE_FOUND_NEED && (f->carries & VARVE_FIELD_LSN)) {
        int rc = vv_plain_reader_at(&walk->reader, next, (size_t)entry.bytes, &bytes, &have, ret_error);

        if (rc != 0)
            return rc;
        found = vv_format_decode(f, bytes, have, walk->reader.bytes - next, &entry);
    }
    if (found == VARVE_FOUND_RECORD && entry.lsn > walk->next_lsn && walk->next_lsn != 0)
        *ret_lost = entry.lsn - walk->next_lsn;
    return 0;
}

/* Where reading goes on behind the damage at walk->offset, which walk->damage tells then; *ret_ends: nowhere,
 * it is the tail. */
static int survey_here(struct vv_plain_walk *walk, enum varve_found found,
                       const struct varve_format_entry *entry, const char *reason, bool *ret_ends,
                       struct varve_error *ret_error)
{
    uint64_t offset = walk->offset, next = 0, lost;
    bool last = vv_plain_damage_last(walk), ends = false;
    int rc = 0;

    if ((found == VARVE_FOUND_CHECKSUM || found == VARVE_FOUND_CONTENT) &&
        entry->bytes <= walk->reader.bytes - offset) {
        next = offset + entry->bytes;
        if (last)
            rc = ends_at(walk, next, &ends, ret_error);
    } else {
        rc = vv_plain_reader_next(&walk->reader, format_of(walk), offset + 1, &next, ret_error);
        ends = rc == VARVE_END && last;
        if (rc == VARVE_END)
            next = walk->reader.bytes;
    }
    *ret_ends = ends;
    if (rc < 0 || ends)
        return rc < 0 ? rc : 0;
    if (walk->next_lsn == 0)
        walk->next_lsn = walk->files->meta.covered_lsn + 1;
    rc = count_lost(walk, next, &lost, ret_error);
    if (rc == 0)
        describe(walk, VARVE_VERDICT_CORRUPT, offset, next, lost, "%s; %" PRIu64 " bytes", reason,
                 next - offset);
    return rc;
}

/* Goes on behind the damage at walk->offset, or finds that it is the tail. */
static int pass_here(struct vv_plain_walk *walk, enum varve_found found,
                     const struct varve_format_entry *entry, const char *reason,
                     struct varve_error *ret_error)
{
    uint64_t next;
    bool ends;
    int rc = survey_here(walk, found, entry, reason, &ends, ret_error);

    if (rc != 0)
        return rc;
    if (ends)
        return torn_or_stop(walk, reason, ret_error);
    next = walk->damage.end_offset;
    rc = pass(walk);
    if (rc == 0)
        walk->offset = next;
    return rc;
}

/* *ret_passed: what stands at walk->offset is a loss that was accepted, and is behind the walk now. */
static int pass_accepted(struct vv_plain_walk *walk, enum varve_found found,
                         const struct varve_format_entry *entry, const char *reason, bool *ret_passed,
                         struct varve_error *ret_error)
{
    uint64_t offset = walk->offset, lsn = walk->next_lsn;
    bool ends = false;
    int rc = 0;

    *ret_passed = false;
    if (!walk->accepted || walk->accepted->count == 0)
        return 0;
    rc = survey_here(walk, found, entry, reason, &ends, ret_error);
    *ret_passed = rc == 0 && !ends && accepted(walk);
    if (*ret_passed) {
        walk->offset = walk->damage.end_offset;
        rc = pass(walk);
    }
    if (!*ret_passed || rc != 0) {
        walk->offset = offset;
        walk->next_lsn = lsn;
    }
    return rc;
}

/* Says in walk->damage what the judgement is. */
static int judged(struct vv_plain_walk *walk, const struct vv_format_judgement *j, const char *reason,
                  struct varve_error *ret_error)
{
    bool cut = j->reordered && (format_of(walk)->traits & VARVE_FORMAT_REORDERS);
    char more[256] = "";

    if (j->verdict == VARVE_VERDICT_TORN)
        return torn_or_stop(walk, reason, ret_error);
    if (cut)
        snprintf(more, sizeof more,
                 "%s; blocks were not written in order, and %" PRIu64 " record%s behind them %s given up",
                 reason, j->records_beyond, j->records_beyond == 1 ? "" : "s",
                 j->records_beyond == 1 ? "is" : "are");
    if (cut)
        return torn_or_stop(walk, more, ret_error);
    if (j->records_beyond > 0)
        snprintf(more, sizeof more, "; %" PRIu64 " sound record%s behind it: %s", j->records_beyond,
                 j->records_beyond == 1 ? " lies" : "s lie",
                 j->reordered ? "a block is lost, or was never written" : "this is no torn tail");
    describe(walk, VARVE_VERDICT_CORRUPT, walk->offset, walk->reader.bytes, toll(walk), "%s%s", reason, more);
    return 0;
}

int vv_plain_damage_here(struct vv_plain_walk *walk, enum varve_found found,
                         const struct varve_format_entry *entry, struct varve_error *ret_error)
{
    bool last = vv_plain_damage_last(walk);
    struct vv_format_judgement j;
    char reason[128];
    bool passed;
    int rc;

    reason_text(entry, found, reason, sizeof reason);
    if (found == VARVE_FOUND_VERSION)
        return vv_error_set(ret_error, VARVE_E_VERSION, 0, "%s, byte %" PRIu64 ": %s", walk->reader.name,
                            walk->offset, reason);
    if (last && walk->live && (walk->next_lsn == 0 || walk->next_lsn > walk->durable_lsn))
        return torn(walk, reason);
    if (last && !walk->again) {
        walk->again = true;
        return vv_plain_reader_refresh(&walk->reader, ret_error);
    }
    if (walk->policy == VARVE_POLICY_SKIP || (walk->survey && (!last || walk->judged)))
        return pass_here(walk, found, entry, reason, ret_error);
    rc = pass_accepted(walk, found, entry, reason, &passed, ret_error);
    if (rc != 0 || passed)
        return rc;
    rc = vv_plain_reader_judge(&walk->reader, format_of(walk), walk->offset, last, &j, ret_error);
    if (rc == 0)
        rc = judged(walk, &j, reason, ret_error);
    if (rc != 0)
        return rc;
    walk->judged = last;
    return walk->survey ? pass_here(walk, found, entry, reason, ret_error) : stop(walk, ret_error);
}

/* -- files and numbers -- */

int vv_plain_damage_header(struct vv_plain_walk *walk, const struct vv_plain_file *item,
                           struct varve_error *ret_error)
{
    if (item->state == VARVE_HEADER_VERSION)
        return vv_error_set(ret_error, VARVE_E_VERSION, 0, "%s: %s", item->name, item->reason);
    walk->number = item->number;
    snprintf(walk->reader.name, sizeof walk->reader.name, "%s", item->name);
    if (item->state == VARVE_HEADER_SOUND)
        describe(walk, VARVE_VERDICT_FOREIGN, 0, item->bytes, 0, "the file belongs to another log");
    else
        describe(walk, VARVE_VERDICT_CORRUPT, 0, item->bytes, toll(walk), "its header is damaged: %s",
                 item->reason);
    return passes(walk) ? pass(walk) : stop(walk, ret_error);
}

int vv_plain_damage_missing(struct vv_plain_walk *walk, uint64_t number, bool at_end,
                            struct varve_error *ret_error)
{
    struct vv_damage *d = &walk->damage;
    char name[VARVE_FORMAT_FILE_NAME_BYTES];

    format_of(walk)->name_put(number, name);
    describe(walk, VARVE_VERDICT_MISSING_SEGMENT, 0, 0, toll(walk), "-");
    d->segment = number;
    if (at_end)
        snprintf(d->message, sizeof d->message,
                 "%s is missing: %s says that there was one of that number or above", name,
                 format_of(walk)->meta_name);
    else
        snprintf(d->message, sizeof d->message, "%s is missing, and there are files before and behind it",
                 name);
    return passes(walk) ? pass(walk) : stop(walk, ret_error);
}

int vv_plain_damage_lsn(struct vv_plain_walk *walk, const struct varve_format_entry *entry, bool *ret_take,
                        struct varve_error *ret_error)
{
    uint64_t want = walk->next_lsn;
    bool above = entry->lsn > want;
    int rc = 0;

    *ret_take = above && passes(walk);
    /* What was lost in a damage that was told is known now. */
    if (above && walk->told) {
        walk->lost += entry->lsn - want;
        walk->next_lsn = entry->lsn;
        *ret_take = true;
        return 0;
    }
    describe(walk, VARVE_VERDICT_CORRUPT, walk->offset, walk->offset + (above ? 0 : entry->bytes),
             above ? entry->lsn - want : 0,
             "the record has the number %" PRIu64 ", and %" PRIu64 " should come", entry->lsn, want);
    if (!passes(walk))
        return stop(walk, ret_error);
    rc = pass(walk);
    if (rc == 0 && !above)
        walk->offset += entry->bytes;
    return rc;
}

int vv_plain_damage_start(struct vv_plain_walk *walk, struct varve_error *ret_error)
{
    const struct vv_plain_files *files = walk->files;

    snprintf(walk->reader.name, sizeof walk->reader.name, "%s", files->items[0].name);
    walk->number = files->items[0].number;
    walk->next_lsn = 1;
    if (files->side_rc == 0)
        walk->next_lsn = files->side.anchor_lsn ? files->side.anchor_lsn : files->side.first_lsn;
    describe(walk, VARVE_VERDICT_MISSING_SEGMENT, 0, 0, 1,
             "files before it were removed by another program, and which LSN it begins with cannot be told");
    return passes(walk) ? pass(walk) : stop(walk, ret_error);
}
