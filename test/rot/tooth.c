/* SPDX-License-Identifier: Apache-2.0 */
#include "rot/tooth.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "format/frame.h"
#include "format/manifest.h"
#include "format/record.h"
#include "format/segment.h"

static const struct {
    const char *name, *scenario;
    bool closed;
} teeth[ROT_TOOTH_COUNT] = {
    [ROT_TOOTH_NONE] = {"none", "small", true},
    [ROT_TOOTH_NO_CHECKSUM] = {"no_checksum", "small", true},
    [ROT_TOOTH_NO_HEADER_CHECK] = {"no_header_check", "sectors", true},
    [ROT_TOOTH_RECORD_UNCHECKED] = {"record_unchecked", "small", true},
    [ROT_TOOTH_DAMAGE_IS_END] = {"damage_is_end", "small", false},
    [ROT_TOOTH_DAMAGE_IS_TORN] = {"damage_is_torn", "together", true},
    [ROT_TOOTH_READ_ERROR_IS_END] = {"read_error_is_end", "small", false},
    [ROT_TOOTH_LSN_COUNTED] = {"lsn_counted", "moved", true},
    [ROT_TOOTH_SKIPS_UNASKED] = {"skips_unasked", "small", true},
    [ROT_TOOTH_ZEROS_ARE_END] = {"zeros_are_end", "small", true},
    [ROT_TOOTH_SOUND_REFUSED] = {"sound_refused", "recycled", true},
    [ROT_TOOTH_MARK_IGNORED] = {"mark_ignored", "marks", false},
    [ROT_TOOTH_MANIFEST_IGNORED] = {"manifest_ignored", "sectors", true},
    [ROT_TOOTH_MENDS] = {"mends", "tears", true},
};

const char *rot_tooth_name(enum rot_tooth tooth)
{
    return teeth[tooth].name;
}

enum rot_tooth rot_tooth_find(const char *name)
{
    int tooth = ROT_TOOTH_COUNT - 1;
    while (tooth > ROT_TOOTH_NONE && strcmp(teeth[tooth].name, name) != 0) {
        tooth--;
    }
    return (enum rot_tooth)tooth;
}

const char *rot_tooth_scenario(enum rot_tooth tooth)
{
    return teeth[tooth].scenario;
}

bool rot_tooth_closed(enum rot_tooth tooth)
{
    return teeth[tooth].closed;
}

/* -- what is not looked at is made right -- */

/* A frame as it stands in the changed files. */
struct mending {
    struct rot_case *c;
    uint32_t node;
    uint64_t offset;
    uint32_t seed; /* of its segment, by the header that stands there */
    struct vv_frame_header header;
};

static bool mending_begin(struct mending *m, struct rot_case *c, const struct rot_frame *frame)
{
    unsigned char bytes[VV_FRAME_HEADER_BYTES];
    struct vv_segment_header segment;
    static const struct vv_frame_place nowhere = {.sector_bytes = 512};
    m->c = c;
    m->offset = frame->offset;
    m->node = crash_fs_find(&c->fs, c->log->dir, c->log->segments[frame->segment_index].name);
    if (m->node == CRASH_NONE) {
        return false;
    }
    unsigned char head[VV_SEGMENT_CHECKED_BYTES];
    crash_fs_read(&c->fs, m->node, head, sizeof head, 0);
    (void)vv_segment_decode(head, sizeof head, &segment);
    m->seed = vv_segment_seed(segment.salt);
    crash_fs_read(&c->fs, m->node, bytes, sizeof bytes, m->offset);
    (void)vv_frame_decode(bytes, &nowhere, &m->header, NULL);
    return memcmp(bytes, "VFRM", 4) == 0;
}

static bool is_as_it_was(const struct mending *m, const struct rot_frame *frame)
{
    unsigned char now[VV_FRAME_HEADER_BYTES], was[VV_FRAME_HEADER_BYTES];
    crash_fs_read(&m->c->fs, m->node, now, sizeof now, m->offset);
    crash_fs_read(&m->c->log->fs, m->c->log->segments[frame->segment_index].node, was, sizeof was, m->offset);
    return memcmp(now, was, sizeof now) == 0;
}

static void mend_header(struct mending *m)
{
    unsigned char bytes[VV_FRAME_HEADER_BYTES];
    vv_frame_encode(&m->header, m->seed, bytes);
    crash_fs_write(&m->c->fs, m->node, bytes, sizeof bytes, m->offset);
}

/* Every record, as far as their lengths go, and the body. */
static void mend_body(struct mending *m)
{
    uint64_t at = m->offset + VV_FRAME_HEADER_BYTES, next = 0, size = m->c->fs.nodes[m->node].size;
    size_t bytes = m->header.stored_bytes;
    if (at > size || bytes > size - at) {
        return;
    }
    unsigned char *body = crash_need(bytes);
    crash_fs_read(&m->c->fs, m->node, body, bytes, at);
    for (uint32_t i = 0; i < m->header.count; i++) {
        uint32_t seed = vv_record_seed(vv_record_log_seed(m->c->log->uuid), m->header.first_lsn + i);
        uint64_t here = next;
        struct vv_record record;
        if (vv_record_decode(body, bytes, here, seed, &record, &next) == VV_RECORD_LOST) {
            break;
        }
        vv_put_u32(body + here, record.crc_computed);
    }
    m->header.body_crc = vv_crc32c(m->seed, body, bytes);
    crash_fs_write(&m->c->fs, m->node, body, bytes, at);
    free(body);
}

static void mend_frames(enum rot_tooth tooth, struct rot_case *c)
{
    for (uint32_t i = 0; i < c->log->frame_count; i++) {
        const struct rot_frame *frame = &c->log->frames[i];
        struct mending m;
        if (!mending_begin(&m, c, frame)) {
            continue;
        }
        if (tooth == ROT_TOOTH_NO_CHECKSUM) {
            mend_body(&m);
        } else if (tooth == ROT_TOOTH_MARK_IGNORED) {
            if (frame->records != 0 || !is_as_it_was(&m, frame)) {
                continue;
            }
            m.header.durable_lsn = 0;
        }
        mend_header(&m);
    }
}

static void forget_manifest(struct rot_case *c)
{
    uint32_t node = crash_fs_find(&c->fs, c->log->dir, "MANIFEST");
    char text[VV_MANIFEST_BYTES_MAX];
    struct vv_manifest manifest;
    if (node == CRASH_NONE || c->fs.nodes[node].size > sizeof text) {
        return;
    }
    crash_fs_read(&c->fs, node, text, (size_t)c->fs.nodes[node].size, 0);
    if (vv_manifest_decode(text, (size_t)c->fs.nodes[node].size, &manifest, NULL) == 0) {
        manifest.clean = 0;
        manifest.last_lsn = 0;
        size_t bytes = vv_manifest_encode(&manifest, text);
        crash_fs_resize(&c->fs, node, bytes);
        crash_fs_write(&c->fs, node, text, bytes, 0);
    }
}

void rot_tooth_case(enum rot_tooth tooth, struct rot_case *c)
{
    switch (tooth) {
    case ROT_TOOTH_NO_CHECKSUM:
    case ROT_TOOTH_NO_HEADER_CHECK:
    case ROT_TOOTH_MARK_IGNORED:
        mend_frames(tooth, c);
        break;
    case ROT_TOOTH_MANIFEST_IGNORED:
        forget_manifest(c);
        break;
    default:
        break;
    }
}

/* -- what the engine says, and what the mistaken reader would -- */

static bool is_damage(int rc)
{
    return rc == VARVE_E_CORRUPT || rc == VARVE_E_HOLE || rc == VARVE_E_MISSING_SEGMENT;
}

static bool any_byte_differs(const struct rot_case *c)
{
    for (uint32_t i = 0; i < c->log->segment_count; i++) {
        const struct crash_node *was = &c->log->fs.nodes[c->log->segments[i].node];
        const struct crash_node *now = &c->fs.nodes[c->log->segments[i].node];
        if (was->page_count != now->page_count ||
            memcmp(was->pages, now->pages, was->page_count * sizeof(was->pages[0])) != 0) {
            return true;
        }
    }
    return false;
}

int rot_tooth_open(enum rot_tooth tooth, const struct rot_case *c, const struct varve_options *options,
                   struct varve_log **ret_log)
{
    if (tooth == ROT_TOOTH_SOUND_REFUSED && any_byte_differs(c)) {
        return VARVE_E_CORRUPT;
    }
    int rc = varve_open("log", options, ret_log, NULL);
    return tooth == ROT_TOOTH_DAMAGE_IS_TORN && is_damage(rc) ? VARVE_E_TORN : rc;
}

/* Writes MANIFEST as it is. */
static void mend(struct varve_io *io)
{
    struct varve_dir *dir;
    struct varve_file *file;
    char text[VV_MANIFEST_BYTES_MAX];
    if (io->dir_open(io, NULL, "log", 0, &dir, NULL) != 0) {
        return;
    }
    if (io->open(io, dir, "MANIFEST", VARVE_IO_WRITE, &file) == 0) {
        ssize_t n = io->pread(io, file, text, sizeof text, 0);
        if (n > 0) {
            struct iovec iov = {text, (size_t)n};
            (void)io->pwritev(io, file, &iov, 1, 0, 0);
        }
        io->close(io, file);
    }
    io->dir_close(io, dir);
}

int rot_tooth_verify(enum rot_tooth tooth, const struct varve_options *options,
                     struct varve_verify_result *ret_result)
{
    int rc = varve_verify("log", options, NULL, NULL, ret_result, NULL);
    if (tooth == ROT_TOOTH_DAMAGE_IS_TORN && rc == 0 && ret_result->found.verdict > VARVE_VERDICT_TORN) {
        ret_result->found.verdict = VARVE_VERDICT_TORN;
        ret_result->damages = 0;
    }
    if (tooth == ROT_TOOTH_MENDS) {
        mend(options->io);
    }
    return rc;
}

/* -- a cursor -- */

int rot_reader_open(struct rot_reader *reader, enum rot_tooth tooth, const struct rot_case *c,
                    struct varve_log *log, enum varve_policy policy)
{
    *reader = (struct rot_reader){.tooth = tooth, .c = c, .next_lsn = c->log->first_lsn};
    if (tooth == ROT_TOOTH_SKIPS_UNASKED) {
        policy = VARVE_POLICY_SKIP;
    }
    return varve_cursor_open(log, policy, &reader->cursor, NULL);
}

/* The record that should come, from the bytes where it should lie, whatever they are. */
static bool take_anyway(struct rot_reader *reader, struct varve_entry *ret_entry)
{
    const struct rot_record *record = rot_record_at(reader->c->log, reader->next_lsn);
    if (record == NULL || reader->bytes != NULL) {
        return false;
    }
    const struct rot_frame *frame = &reader->c->log->frames[record->frame];
    if (frame->first_lsn != reader->next_lsn) {
        return false;
    }
    size_t head = VV_RECORD_HEADER_BYTES + (record->flags != 0 ? VV_RECORD_TXN_BYTES : 0);
    reader->bytes = crash_need(record->bytes);
    crash_fs_read(&reader->c->fs, reader->c->log->segments[frame->segment_index].node, reader->bytes,
                  record->bytes, frame->offset + VV_FRAME_HEADER_BYTES + head);
    *ret_entry = (struct varve_entry){.lsn = reader->next_lsn,
                                      .time_us = record->time_us,
                                      .data = reader->bytes,
                                      .data_bytes = record->bytes,
                                      .type = record->type,
                                      .flags = record->flags,
                                      .txn_id = record->txn_id,
                                      .segment = frame->segment,
                                      .frame_offset = frame->offset};
    memcpy(ret_entry->origin, record->origin, sizeof ret_entry->origin);
    return true;
}

int rot_reader_next(struct rot_reader *reader, struct varve_entry *ret_entry)
{
    int rc = reader->ended ? VARVE_END : varve_cursor_next(reader->cursor, ret_entry);
    if (reader->tooth == ROT_TOOTH_NONE) {
        return rc;
    }
    if (rc == 0 && reader->tooth == ROT_TOOTH_LSN_COUNTED) {
        ret_entry->lsn = reader->next_lsn;
    }
    if (rc == 0 && reader->tooth == ROT_TOOTH_ZEROS_ARE_END && ret_entry->data_bytes > 0 &&
        vv_is_zero(ret_entry->data, ret_entry->data_bytes)) {
        reader->ended = true;
        return VARVE_END;
    }
    if (is_damage(rc) && reader->tooth == ROT_TOOTH_DAMAGE_IS_END) {
        return VARVE_END;
    }
    if (is_damage(rc) && reader->tooth == ROT_TOOTH_DAMAGE_IS_TORN) {
        return VARVE_E_TORN;
    }
    if (is_damage(rc) && reader->tooth == ROT_TOOTH_RECORD_UNCHECKED && take_anyway(reader, ret_entry)) {
        rc = 0;
    }
    reader->next_lsn = rc == 0 ? ret_entry->lsn + 1 : reader->next_lsn;
    return rc;
}

void rot_reader_close(struct rot_reader *reader)
{
    varve_cursor_close(reader->cursor);
    free(reader->bytes);
}
