/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_inspect: everything that lies in the files of a log in a format of others, sound or not, for
 * varve_inspect. Records are shown without frames; where a record's length is possible and its content is
 * not, it is shown as damaged, and what comes behind it next; all else that is no record is a gap.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "log/inspect.h"
#include "log/plain.h"

struct inspection {
    const struct varve_visitor *visitor;
    struct vv_plain_files files;
    struct vv_plain_reader reader;
    struct varve_error *ret_error;
    uint64_t lsn; /* of the next record */
};

static const struct varve_format *format_of(const struct inspection *in)
{
    return in->files.format;
}

static enum varve_segment_state public_state(const struct inspection *in, size_t index)
{
    switch (in->files.items[index].state) {
    case VARVE_HEADER_SOUND:
        return vv_plain_files_foreign(&in->files, index) ? VARVE_SEGMENT_FOREIGN : VARVE_SEGMENT_SOUND;
    case VARVE_HEADER_UNMADE:
        return in->files.items[index].blank ? VARVE_SEGMENT_EMPTY : VARVE_SEGMENT_DAMAGED;
    case VARVE_HEADER_BAD:
        return VARVE_SEGMENT_DAMAGED;
    case VARVE_HEADER_VERSION:
        return VARVE_SEGMENT_UNKNOWN;
    }
    return VARVE_SEGMENT_DAMAGED;
}

static int show_segment(const struct inspection *in, size_t index)
{
    const struct vv_plain_file *item = &in->files.items[index];
    struct varve_segment_info info = {
        .name = item->name,
        .number = item->number,
        .state = public_state(in, index),
        .file_bytes = item->bytes,
        .format_version = item->state == VARVE_HEADER_SOUND && format_of(in)->header_bytes ? 1 : 0,
        .capacity_bytes = format_of(in)->traits & VARVE_FORMAT_FIXED ? item->bytes : 0,
        .created_us = item->header.created_us,
        .base_lsn = in->lsn,
        .format = format_of(in)->name,
        .reason = item->state == VARVE_HEADER_SOUND ? NULL : item->reason,
    };

    memcpy(info.uuid, item->header.uuid, sizeof info.uuid);
    return in->visitor->segment ? in->visitor->segment(in->visitor->arg, &info) : 0;
}

static int show_record(struct inspection *in, uint64_t offset, enum varve_found found,
                       const struct varve_format_entry *entry, const uint8_t *bytes)
{
    const struct varve_format *f = format_of(in);
    struct varve_record_info info = {
        .offset = offset,
        .time_us = varve_format_time_us(f, entry->time),
        .sound = found == VARVE_FOUND_RECORD,
        .type = entry->type,
        .flags = entry->flags,
        .txn_id = entry->txn_id,
        .data = bytes + f->head_bytes,
        .data_bytes = (size_t)entry->payload_bytes,
        .crc_stored = entry->sum_stored,
        .crc_computed = entry->sum_computed,
        .reason = entry->reason,
    };

    memcpy(info.origin, entry->origin, sizeof info.origin);
    if ((f->carries & VARVE_FIELD_LSN) && info.sound)
        in->lsn = entry->lsn;
    info.lsn = in->lsn++;
    return in->visitor->record ? in->visitor->record(in->visitor->arg, &info) : 0;
}

/* No record begins here: shows what there is up to the next one. *ret_next: where that is. */
static int show_gap(struct inspection *in, const struct vv_plain_file *item, bool last, uint64_t offset,
                    enum varve_found found, uint64_t *ret_next)
{
    enum varve_verdict verdict = VARVE_VERDICT_CORRUPT;
    struct vv_format_judgement j;
    bool zeros = false;
    int rc = 0;

    *ret_next = in->reader.bytes;
    if (found == VARVE_FOUND_ZEROS)
        rc = vv_plain_reader_zeros(&in->reader, offset, &zeros, in->ret_error);
    if (rc == 0 && (zeros || found == VARVE_FOUND_END)) {
        verdict = VARVE_VERDICT_CLEAN_END;
    } else if (rc == 0) {
        rc = vv_plain_reader_judge(&in->reader, format_of(in), offset, last, &j, in->ret_error);
        if (rc == 0)
            verdict = j.verdict;
        if (rc == 0 && verdict != VARVE_VERDICT_TORN)
            rc = vv_plain_reader_next(&in->reader, format_of(in), offset + 1, ret_next, in->ret_error);
        if (rc == VARVE_END) {
            *ret_next = in->reader.bytes;
            rc = 0;
        }
    }
    if (rc != 0)
        return rc;
    if (verdict == VARVE_VERDICT_CORRUPT && !(format_of(in)->carries & VARVE_FIELD_LSN))
        in->lsn++;
    return in->visitor->gap
               ? in->visitor->gap(in->visitor->arg, item->number, offset, *ret_next - offset, verdict)
               : 0;
}

static int show_records(struct inspection *in, const struct vv_plain_file *item, bool last)
{
    const struct varve_format *f = format_of(in);
    uint64_t offset = f->header_bytes;
    int rc = vv_plain_reader_open(&in->reader, in->files.folder, item->name, in->ret_error);

    while (rc == 0 && offset < in->reader.bytes) {
        struct varve_format_entry entry;
        enum varve_found found = VARVE_FOUND_NEED;
        size_t want = f->head_bytes, have;
        const uint8_t *bytes;

        while (rc == 0 && found == VARVE_FOUND_NEED) {
            rc = vv_plain_reader_at(&in->reader, offset, want, &bytes, &have, in->ret_error);
            if (rc == 0)
                found = vv_format_decode(f, bytes, have, in->reader.bytes - offset, &entry);
            want = (size_t)entry.bytes;
        }
        if (rc != 0)
            break;
        if (found == VARVE_FOUND_RECORD || found == VARVE_FOUND_CHECKSUM || found == VARVE_FOUND_CONTENT ||
            found == VARVE_FOUND_VERSION) {
            rc = show_record(in, offset, found, &entry, bytes);
            offset += entry.bytes;
        } else {
            rc = show_gap(in, item, last, offset, found, &offset);
        }
    }
    vv_plain_reader_close(&in->reader);
    return rc;
}

/* The LSN of the first record: what a walk begins with. */
static int first_lsn(struct inspection *in)
{
    struct vv_plain_record record;
    struct varve_error error;
    struct vv_plain_walk walk;
    int rc;

    vv_plain_walk_init(&walk, &in->files, VARVE_POLICY_SKIP);
    rc = vv_plain_walk_next(&walk, &record, &error);
    in->lsn = walk.first_lsn ? walk.first_lsn : 1;
    vv_plain_walk_free(&walk);
    return rc == VARVE_E_IO || rc == VARVE_E_NOMEM ? vv_error_set(in->ret_error, rc, 0, "%s", error.message)
                                                   : 0;
}

int vv_plain_inspect(struct varve_io *io, struct varve_dir *dir, const char *name,
                     const struct varve_format *format, const struct varve_visitor *visitor,
                     struct varve_error *ret_error)
{
    struct inspection in = {.visitor = visitor, .ret_error = ret_error, .lsn = 1};
    int rc = name ? vv_plain_files_load_one(&in.files, format, io, dir, name, ret_error)
                  : vv_plain_files_load(&in.files, format, io, dir, ret_error);
    size_t made;

    if (rc != 0)
        return rc;
    vv_plain_reader_init(&in.reader, io);
    if (in.files.count == 0)
        rc = vv_error_set(ret_error, VARVE_E_FORMAT, 0, "there is no log in the directory");
    if (rc == 0 && !name)
        rc = first_lsn(&in);
    made = vv_plain_files_made(&in.files);
    for (size_t i = 0; rc == 0 && i < in.files.count; i++) {
        rc = show_segment(&in, i);
        if (rc == 0 && !in.files.items[i].blank)
            rc = show_records(&in, &in.files.items[i], i + 1 == made);
    }
    vv_plain_reader_free(&in.reader);
    vv_plain_files_free(&in.files);
    return rc;
}
