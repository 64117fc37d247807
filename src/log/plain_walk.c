/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_walk: the files of a log in a format of others -> its records, in order, each checked.
 *
 * In: files in order. Out: records; at the end, where writing goes on. A file is left for the next one only
 * when the list that names the next one is older than the size that was read to: a file that has a successor
 * does not grow.
 *
 * Ways to fail: damage (plain_damage.c); a read error; a file that was trimmed while it was to be read.
 */
#include "log/plain_walk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "log/plain_damage.h"

enum varve_policy vv_plain_policy(const struct varve_format *format, enum varve_policy asked)
{
    return asked == VARVE_POLICY_DEFAULT ? format->policy : asked;
}

void vv_plain_walk_init(struct vv_plain_walk *walk, struct vv_plain_files *files, enum varve_policy policy)
{
    memset(walk, 0, sizeof *walk);
    walk->files = files;
    walk->policy = vv_plain_policy(files->format, policy);
    walk->stop_after = UINT64_MAX;
    vv_plain_reader_init(&walk->reader, files->io);
}

void vv_plain_walk_free(struct vv_plain_walk *walk)
{
    vv_plain_reader_free(&walk->reader);
}

void vv_plain_walk_seek(struct vv_plain_walk *walk, uint64_t lsn)
{
    const struct vv_plain_files *files = walk->files;
    size_t at = 0;

    vv_plain_reader_close(&walk->reader);
    memset(&walk->damage, 0, sizeof walk->damage);
    walk->begun = walk->jumped = walk->again = walk->judged = walk->told = walk->tail_told = false;
    walk->next_lsn = 0;
    for (size_t i = 1; i < files->count; i++) {
        if (files->items[i].first_lsn != 0 && files->items[i].first_lsn <= lsn)
            at = i;
    }
    if (at == 0)
        return;
    walk->begun = walk->jumped = true;
    walk->number = files->items[at].number - 1;
    walk->next_lsn = files->items[at].first_lsn;
}

/* -- the first LSN -- */

/* Counts what a walk counts, from the first file up to `number`. */
static int count_up_to(struct vv_plain_walk *walk, uint64_t number, uint64_t *ret_count,
                       struct varve_error *ret_error)
{
    struct vv_plain_record record;
    struct vv_plain_walk count;
    int rc;

    vv_plain_walk_init(&count, walk->files, VARVE_POLICY_SKIP);
    count.next_lsn = 1;
    count.stop_after = number;
    while ((rc = vv_plain_walk_next(&count, &record, ret_error)) == 0)
        ;
    *ret_count = count.records + count.lost;
    walk->reader.bytes_read += count.reader.bytes_read;
    vv_plain_walk_free(&count);
    /* What it found of files was counted from 1. */
    for (size_t i = 0; i < walk->files->count; i++)
        walk->files->items[i].first_lsn = 0;
    return rc == VARVE_END ? 0 : rc;
}

/* Whether the file is the one that came next when the anchor was set. */
static bool follows_anchor(const struct vv_plain_files *files, uint64_t number)
{
    /* A writer sets the anchor in the rotation itself: at most one file was closed since. */
    if (files->format->layout == VARVE_LAYOUT_RENAMED)
        return number == VARVE_FORMAT_ACTIVE || files->count == 1 ||
               files->items[1].number == VARVE_FORMAT_ACTIVE;
    return number == files->side.anchor + 1;
}

/* Sets walk->next_lsn to the LSN of the first record of the first file. */
static int first_lsn(struct vv_plain_walk *walk, struct varve_error *ret_error)
{
    const struct vv_plain_files *files = walk->files;
    const struct vv_side *side = &files->side;
    uint64_t lowest = files->items[0].number, count;
    int rc;

    if (files->format->carries & VARVE_FIELD_LSN)
        return 0;
    walk->next_lsn = 1;
    if (files->side_rc != 0)
        return 0;
    if (lowest == side->first) {
        walk->next_lsn = side->first_lsn;
        return 0;
    }
    if (side->anchor_lsn == 0)
        return vv_plain_damage_start(walk, ret_error);
    if (lowest > side->anchor) {
        walk->next_lsn = side->anchor_lsn;
        return follows_anchor(files, lowest) ? 0 : vv_plain_damage_start(walk, ret_error);
    }
    rc = count_up_to(walk, side->anchor, &count, ret_error);
    if (rc == 0 && count >= side->anchor_lsn)
        rc = vv_plain_damage_start(walk, ret_error);
    else if (rc == 0)
        walk->next_lsn = side->anchor_lsn - count;
    return rc;
}

/* -- from file to file -- */

/* The log ends where the walk stands. */
static int at_end(struct vv_plain_walk *walk, uint64_t torn)
{
    struct vv_plain_end *end = &walk->end;

    memset(end, 0, sizeof *end);
    end->none = !walk->reader.file;
    if (walk->reader.file) {
        end->number = walk->number;
        end->offset = walk->offset;
        end->bytes = walk->reader.bytes;
        end->torn = torn;
    }
    if (walk->next_lsn == 0)
        walk->next_lsn = 1;
    /* Every file is gone: at least these LSNs were given. */
    if (!walk->begun && walk->files->side_rc == 0)
        walk->next_lsn = vv_max_u64(walk->files->side.first_lsn, walk->files->side.anchor_lsn);
    if (walk->files->format->carries & VARVE_FIELD_LSN)
        walk->next_lsn = vv_max_u64(walk->next_lsn, walk->files->meta.covered_lsn + 1);
    if (walk->first_lsn == 0)
        walk->first_lsn = walk->next_lsn;
    return VARVE_END;
}

/* Behind the last file: does the meta file name one that is not there? */
static int check_newest(struct vv_plain_walk *walk, struct varve_error *ret_error)
{
    const struct vv_plain_files *files = walk->files;
    uint64_t newest = files->count > 0 ? files->items[files->count - 1].number : 0;

    if (files->format->layout != VARVE_LAYOUT_NUMBERED || files->meta_rc != 0 || walk->tail_told ||
        files->meta.last_segment <= vv_max_u64(newest, 1))
        return 0;
    walk->tail_told = true;
    return vv_plain_damage_missing(walk, newest + 1, true, ret_error);
}

/* Numbers between the last file and this one are not there. */
static int check_gap(struct vv_plain_walk *walk, const struct vv_plain_file *item,
                     struct varve_error *ret_error)
{
    const struct vv_plain_files *files = walk->files;
    uint64_t missing = walk->number + 1;

    if (!walk->begun || walk->jumped || !vv_plain_files_gap(files, walk->number, item->number))
        return 0;
    if (files->side_rc == 0 && files->side.first > missing)
        return vv_error_set(ret_error, VARVE_E_TRIMMED, 0, "files up to %s were trimmed while they were read",
                            item->name);
    return vv_plain_damage_missing(walk, missing, false, ret_error);
}

/* Opens a file whose header checks. It may be gone, or have another name by now: then nothing is open, and
 * the list is a new one. */
static int open_file(struct vv_plain_walk *walk, size_t index, struct varve_error *ret_error)
{
    struct vv_plain_files *files = walk->files;
    uint64_t number = files->items[index].number;
    struct varve_error error;
    int rc = vv_plain_reader_open(&walk->reader, files->folder, files->items[index].name, &error);
    bool gone = rc == VARVE_E_IO && error.sys_errno == ENOENT;

    if (rc != 0 && !gone) {
        vv_error_copy(ret_error, &error);
        return rc;
    }
    /* Under the active file's name another one may stand by now. */
    rc = gone || number == VARVE_FORMAT_ACTIVE ? vv_plain_files_reload(files, ret_error) : 0;
    if (rc != 0 || gone || (number == VARVE_FORMAT_ACTIVE && files->rotated != 0)) {
        vv_plain_reader_close(&walk->reader);
        return rc;
    }
    walk->number = number;
    walk->begun = true;
    walk->jumped = walk->judged = walk->again = false;
    walk->offset = files->format->header_bytes;
    index = vv_plain_files_find(files, number);
    if (index < files->count)
        files->items[index].first_lsn = walk->next_lsn;
    walk->segments++;
    return 0;
}

/* Goes to the next file. VARVE_END: there is none. */
static int enter(struct vv_plain_walk *walk, struct varve_error *ret_error)
{
    struct vv_plain_files *files = walk->files;
    size_t i = walk->begun ? vv_plain_files_find(files, walk->number + 1) : 0;
    const struct vv_plain_file *item;
    int rc;

    if (walk->begun && walk->number == UINT64_MAX)
        i = files->count;
    if (i >= vv_plain_files_made(files) || files->items[i].number > walk->stop_after)
        return VARVE_END;
    if (!walk->begun && walk->next_lsn == 0) {
        rc = first_lsn(walk, ret_error);
        walk->first_lsn = walk->next_lsn;
        /* Counting may have looked at the directory again: so does this. */
        if (rc != 0 || !(files->format->carries & VARVE_FIELD_LSN))
            return rc;
    }
    item = &files->items[i];
    rc = check_gap(walk, item, ret_error);
    if (rc != 0)
        return rc;
    if (item->state == VARVE_HEADER_SOUND && !vv_plain_files_foreign(files, i))
        return open_file(walk, i, ret_error);
    rc = vv_plain_damage_header(walk, item, ret_error);
    walk->begun = walk->begun || rc == 0;
    walk->jumped = false;
    return rc;
}

/* The open file has no more records. */
static int leave(struct vv_plain_walk *walk, struct varve_error *ret_error)
{
    size_t i =
        walk->number == UINT64_MAX ? walk->files->count : vv_plain_files_find(walk->files, walk->number + 1);
    int rc;

    if (i < vv_plain_files_made(walk->files) && walk->files->items[i].number <= walk->stop_after) {
        vv_plain_reader_close(&walk->reader);
        return 0;
    }
    rc = walk->stop_after == UINT64_MAX ? check_newest(walk, ret_error) : 0;
    return rc != 0 ? rc : at_end(walk, 0);
}

/* -- a record -- */

static enum varve_found decode(struct vv_plain_walk *walk, const uint8_t **ret_bytes,
                               struct varve_format_entry *entry, int *ret_rc, struct varve_error *ret_error)
{
    const struct varve_format *f = walk->files->format;
    enum varve_found found;
    size_t want = f->head_bytes, have;

    do {
        *ret_rc = vv_plain_reader_at(&walk->reader, walk->offset, want, ret_bytes, &have, ret_error);
        if (*ret_rc != 0)
            return VARVE_FOUND_END;
        found = vv_format_decode(f, *ret_bytes, have, walk->reader.bytes - walk->offset, entry);
        want = (size_t)entry->bytes;
    } while (found == VARVE_FOUND_NEED);
    return found;
}

/* 0: it is to be given. 1: it is not. */
static int take(struct vv_plain_walk *walk, const struct varve_format_entry *entry,
                struct varve_error *ret_error)
{
    uint64_t covered = walk->files->meta.covered_lsn;
    bool held = false;
    int rc;

    if (!(walk->files->format->carries & VARVE_FIELD_LSN))
        return 0;
    /* The first one may be any that the snapshot covers, or the next. */
    if (walk->next_lsn == 0)
        walk->next_lsn = entry->lsn >= 1 && entry->lsn <= covered ? entry->lsn : covered + 1;
    if (entry->lsn != walk->next_lsn) {
        rc = vv_plain_damage_lsn(walk, entry, &held, ret_error);
        if (rc != 0 || !held)
            return rc != 0 ? rc : 1;
    }
    if (entry->lsn <= covered) {
        walk->covered++;
        walk->next_lsn++;
        walk->offset += entry->bytes;
        return 1;
    }
    if (walk->first_lsn == 0)
        walk->first_lsn = entry->lsn;
    return 0;
}

static void give(struct vv_plain_walk *walk, const struct varve_format_entry *entry, const uint8_t *bytes,
                 struct vv_plain_record *out)
{
    out->entry = *entry;
    out->data = bytes + walk->files->format->head_bytes;
    out->lsn = walk->next_lsn++;
    out->number = walk->number;
    out->offset = walk->offset;
    walk->offset += entry->bytes;
    walk->records++;
    walk->again = walk->told = false;
}

/* The place at walk->offset. 0 and *ret_given: a record; 0: look again. */
static int step(struct vv_plain_walk *walk, struct vv_plain_record *ret_record, bool *ret_given,
                struct varve_error *ret_error)
{
    struct varve_format_entry entry;
    const uint8_t *bytes = NULL;
    bool zeros = false;
    int rc;
    enum varve_found found = decode(walk, &bytes, &entry, &rc, ret_error);

    if (rc != 0)
        return rc;
    if (found == VARVE_FOUND_RECORD) {
        rc = take(walk, &entry, ret_error);
        if (rc == 0)
            give(walk, &entry, bytes, ret_record);
        *ret_given = rc == 0;
        return rc == 1 ? 0 : rc;
    }
    if (found == VARVE_FOUND_ZEROS)
        rc = vv_plain_reader_zeros(&walk->reader, walk->offset, &zeros, ret_error);
    if (rc != 0)
        return rc;
    if (zeros || found == VARVE_FOUND_END)
        return leave(walk, ret_error);
    rc = vv_plain_damage_here(walk, found, &entry, ret_error);
    return rc == VARVE_END ? at_end(walk, walk->reader.bytes - walk->offset) : rc;
}

int vv_plain_walk_next(struct vv_plain_walk *walk, struct vv_plain_record *ret_record,
                       struct varve_error *ret_error)
{
    bool given = false;
    int rc = 0;

    memset(&walk->damage, 0, sizeof walk->damage);
    while (rc == 0 && !given) {
        if (walk->reader.file) {
            rc = step(walk, ret_record, &given, ret_error);
            continue;
        }
        rc = enter(walk, ret_error);
        if (rc != VARVE_END)
            continue;
        rc = walk->stop_after == UINT64_MAX ? check_newest(walk, ret_error) : 0;
        return rc != 0 ? rc : at_end(walk, 0);
    }
    return rc;
}

int vv_plain_walk_refresh(struct vv_plain_walk *walk, struct varve_error *ret_error)
{
    int rc = vv_plain_files_reload(walk->files, ret_error);

    if (rc != 0)
        return rc;
    if (walk->begun && walk->number == VARVE_FORMAT_ACTIVE && walk->files->rotated != 0)
        walk->number = walk->files->rotated;
    walk->tail_told = walk->tail_told && walk->files->meta_rc == 0;
    return walk->reader.file ? vv_plain_reader_refresh(&walk->reader, ret_error) : 0;
}
