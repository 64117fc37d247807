/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect: everything that is there, sound or not, for a person to look at.
 *
 * In: a directory or one file. Out: calls of a visitor. It does not judge as recovery does; it shows, and
 * never stops at damage.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "format/record.h"
#include "log/chain.h"
#include "log/decode.h"
#include "log/failover.h"
#include "log/inspect.h"
#include "log/plain.h"
#include "log/scan.h"
#include "varve/inspect.h"

struct inspection {
    const struct varve_visitor *visitor;
    struct vv_chain chain;
    struct vv_scan scan;
    uint32_t log_seed;
    struct varve_error *ret_error;
};

static enum varve_segment_state public_state(enum vv_link_state state)
{
    switch (state) {
    case VV_LINK_SOUND:
        return VARVE_SEGMENT_SOUND;
    case VV_LINK_BLANK:
        return VARVE_SEGMENT_EMPTY;
    case VV_LINK_BAD:
        return VARVE_SEGMENT_DAMAGED;
    case VV_LINK_FOREIGN:
        return VARVE_SEGMENT_FOREIGN;
    case VV_LINK_UNKNOWN:
        return VARVE_SEGMENT_UNKNOWN;
    }
    return VARVE_SEGMENT_DAMAGED;
}

static int show_segment(const struct inspection *in, const struct vv_link *link, const char *name)
{
    const struct vv_segment_header *h = &link->header;
    struct varve_segment_info info = {
        .name = in->chain.only_name[0] ? in->chain.only_name : name,
        .number = link->number,
        .state = public_state(link->state),
        .file_bytes = link->file_bytes,
        .format_version = h->version,
        .sector_bytes = h->sector_bytes,
        .salt = h->salt,
        .capacity_bytes = h->capacity,
        .created_us = h->created_us,
        .base_lsn = h->base_lsn,
        .codec = h->codec,
        .flags = h->flags,
        .crc_stored = h->crc_stored,
        .crc_computed = h->crc_computed,
        .format = varve_format_at(0)->name,
    };

    memcpy(info.uuid, h->uuid, sizeof info.uuid);
    return in->visitor->segment ? in->visitor->segment(in->visitor->arg, &info) : 0;
}

static int show_record(const struct inspection *in, const struct vv_scan_frame *frame, uint64_t lsn,
                       uint64_t at, const struct vv_record *record, enum vv_record_status status)
{
    struct varve_record_info info = {
        .lsn = lsn,
        .offset = frame->offset + VV_FRAME_HEADER_BYTES + at,
        .sound = status == VV_RECORD_OK,
    };

    if (status != VV_RECORD_LOST) {
        info.time_us = frame->header.time_us + record->delta_us;
        info.type = record->type;
        info.flags = record->flags;
        info.txn_id = record->txn_id;
        info.data = record->payload;
        info.data_bytes = record->payload_bytes;
        info.crc_stored = record->crc;
        info.crc_computed = record->crc_computed;
        if (record->origin)
            memcpy(info.origin, record->origin, sizeof info.origin);
    }
    return in->visitor->record(in->visitor->arg, &info);
}

/* `trusted`: the frame's header checks. If not, only the records at its beginning that are sound in
 * themselves are shown, and nothing is said of the rest. */
static int show_records(struct inspection *in, const struct vv_scan_frame *frame, const uint8_t *body,
                        bool trusted)
{
    const struct vv_frame_header *h = &frame->header;
    uint64_t offset = 0;
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < h->count; i++) {
        uint64_t lsn = h->first_lsn + i, at = offset;
        struct vv_record record;
        enum vv_record_status status = vv_record_decode(body, trusted ? h->raw_bytes : h->stored_bytes, at,
                                                        vv_record_seed(in->log_seed, lsn), &record, &offset);

        if (!trusted && status != VV_RECORD_OK)
            break;
        rc = show_record(in, frame, lsn, at, &record, status);
        if (status == VV_RECORD_LOST)
            break;
    }
    return rc;
}

/* The body, where its records are to be shown; NULL in *ret_body where they are not, or cannot be. */
static int take_body(struct inspection *in, const struct vv_scan_frame *frame, enum vv_scan_status status,
                     const uint8_t **ret_body, int *ret_unread)
{
    const struct vv_frame_header *h = &frame->header;
    uint64_t start = frame->offset + VV_FRAME_HEADER_BYTES;
    uint64_t room = in->scan.file_bytes > start ? in->scan.file_bytes - start : 0;
    int rc;

    *ret_body = NULL;
    *ret_unread = 0;
    if (!in->visitor->record || h->count == 0)
        return 0;
    if (status == VV_SCAN_BROKEN &&
        (h->codec != 0 || h->stored_bytes > VV_FRAME_BODY_MAX || h->stored_bytes > room))
        return 0;
    rc = vv_decode_body(&in->scan, frame, ret_body, in->ret_error);
    if (rc == 0 || rc == VARVE_E_IO || rc == VARVE_E_NOMEM)
        return rc;
    *ret_body = NULL;
    *ret_unread = rc;
    return 0;
}

static int show_frame(struct inspection *in, const struct vv_link *link, const struct vv_scan_frame *frame,
                      enum vv_scan_status status)
{
    const struct vv_frame_header *h = &frame->header;
    struct varve_frame_info info = {
        .segment = link->number,
        .offset = frame->offset,
        .state = status == VV_SCAN_FRAME      ? VARVE_FRAME_SOUND
                 : status == VV_SCAN_BAD_BODY ? VARVE_FRAME_BAD_BODY
                                              : VARVE_FRAME_BAD_HEADER,
        .frame_bytes = frame->bytes,
        .stored_bytes = h->stored_bytes,
        .raw_bytes = h->raw_bytes,
        .records = h->count,
        .first_lsn = h->first_lsn,
        .durable_lsn = h->durable_lsn,
        .time_us = h->time_us,
        .codec = h->codec,
        .flags = h->flags,
        .header_crc_stored = h->header_crc,
        .header_crc_computed = frame->header_crc,
        .body_crc_stored = h->body_crc,
        .body_crc_computed = frame->body_crc,
    };
    const uint8_t *body;
    int rc = take_body(in, frame, status, &body, &info.unread);

    if (info.state == VARVE_FRAME_SOUND && h->count != 0 && h->first_lsn >= link->end_lsn)
        info.state = VARVE_FRAME_SUPERSEDED;
    if (rc == 0 && in->visitor->frame)
        rc = in->visitor->frame(in->visitor->arg, &info);
    if (rc == 0 && body)
        rc = show_records(in, frame, body, status != VV_SCAN_BROKEN);
    return rc;
}

/* The scan stands where no sound frame begins: shows what there is up to the next one. Returns with the scan
 * behind it. */
static int show_gap(struct inspection *in, const struct vv_link *link, const struct vv_scan_frame *frame,
                    enum vv_scan_status status)
{
    uint64_t start = frame->offset, end = in->scan.place.capacity;
    enum varve_verdict verdict = VARVE_VERDICT_CLEAN_END;
    struct vv_scan_rest rest;
    int rc = vv_scan_beyond(&in->scan, UINT64_MAX, 0, 0, &rest, in->ret_error);

    if (rc != 0)
        return rc;
    if (rest.found) {
        end = rest.frame.offset;
        verdict = VARVE_VERDICT_CORRUPT;
        if (rest.vouched < rest.frame.header.first_lsn - 1 && link->end_lsn == UINT64_MAX)
            verdict = VARVE_VERDICT_TORN;
    } else if (status == VV_SCAN_BROKEN || status == VV_SCAN_BAD_BODY || (!rest.all_zero && !rest.others)) {
        verdict = VARVE_VERDICT_TORN;
    }
    in->scan.offset = end;
    return in->visitor->gap ? in->visitor->gap(in->visitor->arg, link->number, start, end - start, verdict)
                            : 0;
}

static int inspect_frames(struct inspection *in, const struct vv_link *link)
{
    int rc = vv_scan_open(&in->scan, &in->chain, link, in->ret_error);

    in->log_seed = vv_record_log_seed(link->header.uuid);
    while (rc == 0) {
        struct vv_scan_frame frame;
        enum vv_scan_status status;

        rc = vv_scan_look(&in->scan, &frame, &status, in->ret_error);
        if (rc != 0 || status == VV_SCAN_FULL)
            break;
        if (status != VV_SCAN_NONE && status != VV_SCAN_OTHER)
            rc = show_frame(in, link, &frame, status);
        if (rc == 0 && status == VV_SCAN_FRAME)
            in->scan.offset = frame.offset + frame.bytes;
        else if (rc == 0)
            rc = show_gap(in, link, &frame, status);
    }
    vv_scan_close(&in->scan);
    return rc;
}

/* Whether the first frame of a segment without a sound header begins where it should. */
static bool has_frame(struct inspection *in, const struct vv_link *link)
{
    struct vv_link guess = vv_chain_guess(link);
    struct vv_scan_frame frame;
    enum vv_scan_status status = VV_SCAN_NONE;

    if (link->file_bytes < 2 * VV_SEGMENT_HEADER_BYTES ||
        vv_scan_open(&in->scan, &in->chain, &guess, NULL) != 0)
        return false;
    if (vv_scan_look(&in->scan, &frame, &status, NULL) != 0)
        status = VV_SCAN_NONE;
    vv_scan_close(&in->scan);
    return status != VV_SCAN_NONE && status != VV_SCAN_FULL;
}

/* A segment whose header does not check: whatever looks like a frame, sector by sector. Where the salt is
 * damaged no frame checks, and its records still may. */
static int inspect_headless(struct inspection *in, const struct vv_link *link)
{
    struct vv_link guess = vv_chain_guess(link);
    int rc;

    if (!has_frame(in, link))
        return 0;
    rc = vv_scan_open(&in->scan, &in->chain, &guess, in->ret_error);
    in->log_seed =
        vv_record_log_seed(in->chain.manifest_rc == 0 ? in->chain.manifest.uuid : link->header.uuid);
    while (rc == 0) {
        struct vv_scan_frame frame;
        enum vv_scan_status status;

        rc = vv_scan_look(&in->scan, &frame, &status, in->ret_error);
        if (rc != 0 || status == VV_SCAN_FULL)
            break;
        if (status != VV_SCAN_NONE && status != VV_SCAN_OTHER)
            rc = show_frame(in, link, &frame, status);
        in->scan.offset =
            frame.offset + (status == VV_SCAN_FRAME ? frame.bytes : in->scan.place.sector_bytes);
    }
    vv_scan_close(&in->scan);
    return rc;
}

static int inspect_link(struct inspection *in, const struct vv_link *link)
{
    char name[VV_SEGMENT_NAME_BYTES];
    int rc;

    vv_segment_name(link->number, name);
    rc = show_segment(in, link, name);
    if (rc == 0 && (link->state == VV_LINK_SOUND || link->state == VV_LINK_FOREIGN))
        rc = inspect_frames(in, link);
    else if (rc == 0 && link->state == VV_LINK_BAD)
        rc = inspect_headless(in, link);
    return rc == VARVE_E_TRIMMED ? 0 : rc;
}

int vv_inspect_open_own(const char *path, struct varve_io *io, struct varve_dir **ret_dir,
                        struct varve_error *ret_error)
{
    int created = 0, rc = io->dir_open(io, NULL, path, 0, ret_dir, &created);

    if (rc == -ENOENT)
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "%s: there is no such file or directory", path);
    if (rc == -ENOTDIR || rc == -ELOOP)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "%s: not a directory, or a link", path);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be opened", path);
    return 0;
}

int vv_inspect_open_dir(const char *path, struct varve_io **io, struct varve_dir **ret_dir,
                        struct varve_error *ret_error)
{
    struct varve_dir *dir;
    int rc = vv_inspect_open_own(path, *io, &dir, ret_error);

    if (rc != 0)
        return rc;
    rc = vv_failover_follow(io, &dir, ret_error);
    if (rc != 0) {
        vv_error_wrap(ret_error, "%s", path);
        (*io)->dir_close(*io, dir);
        return rc;
    }
    *ret_dir = dir;
    return 0;
}

int vv_inspect_find(const char *path, struct varve_io **io, const char *asked, struct varve_dir **ret_dir,
                    const struct varve_format **ret_format, struct varve_error *ret_error)
{
    struct varve_io *before = *io;
    struct varve_dir *dir;
    int rc = vv_inspect_open_dir(path, io, &dir, ret_error);

    if (rc != 0)
        return rc;
    rc = vv_plain_find(*io, dir, asked, ret_format, ret_error);
    if (rc != 0) {
        vv_error_wrap(ret_error, "%s", path);
        (*io)->dir_close(*io, dir);
        *io = before;
        return rc;
    }
    *ret_dir = dir;
    return 0;
}

/* One file: its directory and its name. Its own header says which number it has, whatever it is called. */
static int inspect_file(struct inspection *in, struct varve_io *io, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t len = slash ? (size_t)(slash - path) : 0;
    char *parent = vv_alloc(len + 2);
    const struct varve_format *format;
    struct varve_dir *dir;
    int rc;

    if (!parent)
        return vv_error_set(in->ret_error, VARVE_E_NOMEM, 0, "%s", path);
    memcpy(parent, slash ? path : ".", slash ? len : 1);
    parent[slash ? len : 1] = 0;
    if (slash && len == 0)
        memcpy(parent, "/", 2);
    rc = vv_inspect_open_own(parent, io, &dir, in->ret_error);
    vv_free(parent);
    if (rc != 0)
        return rc;
    rc = vv_plain_find_file(io, dir, name, in->visitor->format, &format, in->ret_error);
    if (rc != 0 || format) {
        rc = rc != 0 ? rc : vv_plain_inspect(io, dir, name, format, in->visitor, in->ret_error);
        io->dir_close(io, dir);
        return rc;
    }
    rc = vv_chain_load_file(&in->chain, io, dir, name, in->ret_error);
    if (rc == 0 && in->chain.links[0].state == VV_LINK_BAD && !has_frame(in, &in->chain.links[0]))
        rc = vv_error_set(in->ret_error, VARVE_E_FORMAT, 0, "%s: not a segment of a log", name);
    in->chain.keys = in->visitor->keys;
    if (rc == 0)
        rc = inspect_link(in, &in->chain.links[0]);
    vv_chain_free(&in->chain);
    io->dir_close(io, dir);
    return rc;
}

static int inspect_dir(struct inspection *in, struct varve_io *io, const char *path)
{
    const struct varve_format *format;
    struct varve_dir *dir;
    int rc = vv_inspect_find(path, &io, in->visitor->format, &dir, &format, in->ret_error);

    if (rc != 0)
        return rc;
    if (format) {
        rc = vv_plain_inspect(io, dir, NULL, format, in->visitor, in->ret_error);
        io->dir_close(io, dir);
        return rc;
    }
    in->scan.io = io;
    rc = vv_chain_load(&in->chain, io, dir, in->ret_error);
    in->chain.keys = in->visitor->keys;
    if (rc == 0 && in->chain.manifest_rc == VARVE_E_NOT_FOUND && in->chain.count == 0)
        rc = vv_error_set(in->ret_error, VARVE_E_FORMAT, 0, "%s: there is no log in the directory", path);
    for (size_t i = 0; rc == 0 && i < in->chain.count; i++)
        rc = inspect_link(in, &in->chain.links[i]);
    vv_chain_free(&in->chain);
    io->dir_close(io, dir);
    return rc;
}

int varve_inspect(const char *path, struct varve_io *io, const struct varve_visitor *visitor,
                  struct varve_error *ret_error)
{
    struct varve_visitor filled = {.size = sizeof filled};
    struct inspection in = {.visitor = &filled, .ret_error = ret_error};
    struct varve_error error;
    struct varve_dir *dir;
    int created, rc;

    if (!path || !*path || !visitor || visitor->size < sizeof visitor->size)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "a path and a visitor are needed");
    memcpy(&filled, visitor, vv_min_u64(visitor->size, sizeof filled));
    if (!io)
        io = varve_io_system();
    in.ret_error = &error;
    vv_error_clear(&error);
    rc = vv_scan_init(&in.scan, io);
    if (rc != 0)
        return vv_error_set(ret_error, rc, 0, "%s", path);
    rc = io->dir_open(io, NULL, path, 0, &dir, &created);
    if (rc == 0)
        io->dir_close(io, dir);
    rc = rc == -ENOTDIR ? inspect_file(&in, io, path) : inspect_dir(&in, io, path);
    vv_scan_free(&in.scan);
    if (rc < 0 && error.code == rc)
        vv_error_copy(ret_error, &error);
    return rc;
}
