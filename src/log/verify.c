/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify and info: the whole log read, nothing changed.
 *
 * In: a directory. Out: what it holds and every place that is not as it should be. Both read as recovery
 * does, under the policy skip, so that one damage does not hide the next.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/record.h"
#include "log/decode.h"
#include "log/inspect.h"
#include "log/lock.h"
#include "log/lost.h"
#include "log/options.h"
#include "log/walk.h"
#include "varve/inspect.h"

struct reading {
    struct varve_io *io;
    struct varve_dir *dir;
    struct vv_chain chain;
    struct vv_walk walk;
    struct vv_lost lost;
    varve_damage_fn damage;
    void *damage_arg;
    struct varve_verify_result *result;
    struct varve_recovery *found;
    uint32_t log_seed;
};

/* r->dir is open. */
static int open_reading(struct reading *r, const char *path, struct varve_keys *keys,
                        struct varve_error *ret_error)
{
    bool live = false;
    int rc;

    rc = vv_chain_load(&r->chain, r->io, r->dir, ret_error);
    r->chain.keys = keys;
    if (rc == 0 && r->chain.manifest_rc == VARVE_E_NOT_FOUND && r->chain.count == 0)
        rc = vv_error_set(ret_error, VARVE_E_FORMAT, 0, "there is no log in the directory");
    if (rc == 0)
        rc = vv_chain_refuse(&r->chain, ret_error);
    /* A foreign segment is a finding, which verify tells; what is of this log is read all the same. */
    if (rc == VARVE_E_FOREIGN)
        rc = 0;
    if (rc == 0)
        rc = vv_lock_held(r->io, r->dir, &live, NULL, ret_error);
    if (rc == 0)
        rc = vv_lost_load(&r->lost, r->io, r->dir, ret_error);
    if (rc == 0 && vv_walk_init(&r->walk, &r->chain, 0, VARVE_POLICY_SKIP) != 0)
        rc = vv_error_set(ret_error, VARVE_E_NOMEM, 0, "reading the log");
    if (rc != 0) {
        vv_error_wrap(ret_error, "%s", path);
        vv_lost_free(&r->lost);
        vv_chain_free(&r->chain);
        r->io->dir_close(r->io, r->dir);
        return rc;
    }
    r->walk.live = live;
    r->log_seed = vv_record_log_seed(r->chain.manifest.uuid);
    return 0;
}

static void close_reading(struct reading *r)
{
    vv_walk_free(&r->walk);
    vv_lost_free(&r->lost);
    vv_chain_free(&r->chain);
    r->io->dir_close(r->io, r->dir);
}

static void tell(struct reading *r, const struct vv_damage *d)
{
    struct varve_recovery *f = r->found;

    if (f->verdict <= VARVE_VERDICT_TORN || d->verdict == VARVE_VERDICT_FOREIGN) {
        f->verdict = d->verdict;
        f->segment = d->segment;
        f->offset = d->offset;
    }
    if (d->lsn_last >= d->lsn_first) {
        if (f->lost_records == 0)
            f->lost_first = d->lsn_first;
        f->lost_records += d->lsn_last + 1 - d->lsn_first;
        f->lost_last = d->lsn_last;
    }
    r->result->damages++;
    if (r->damage)
        r->damage(r->damage_arg, d->verdict, d->segment, d->offset, d->lsn_first, d->lsn_last, d->message);
}

static int on_damage(void *arg, const struct vv_damage *damage)
{
    struct reading *r = arg;

    if (vv_lost_repaired(&r->lost, damage->lsn_first, damage->lsn_last)) {
        r->result->repaired++;
        r->result->repaired_records += damage->lsn_last + 1 - damage->lsn_first;
    } else {
        tell(r, damage);
    }
    return 0;
}

/* What is gone by a repair: its range ends where the log went on, which nothing else may say. */
static void see_repairs(struct reading *r)
{
    for (size_t i = 0; i < r->lost.count; i++) {
        if (r->lost.ranges[i].repaired)
            r->walk.accepted = &r->lost;
    }
}

/* Damage that is no break in the order of frames. */
VARVE_PRINTF(6, 7)
static void tell_of(struct reading *r, enum varve_verdict verdict, uint64_t segment, uint64_t offset,
                    uint64_t lsn, const char *fmt, ...)
{
    struct vv_damage d = {.verdict = verdict,
                          .segment = segment,
                          .offset = offset,
                          .lsn_first = lsn,
                          .lsn_last = lsn ? lsn : 0};
    va_list args;

    if (lsn == 0)
        d.lsn_first = 1; /* an empty range: nothing is gone */
    va_start(args, fmt);
    vsnprintf(d.message, sizeof d.message, fmt, args);
    va_end(args);
    tell(r, &d);
}

/* A frame whose checksum is right, and whose records cannot be had. Errors: those that say something of this
 * reading and not of the frame. */
static int note_unread(struct reading *r, const struct vv_scan_frame *frame, int rc,
                       struct varve_error *error, struct varve_error *ret_error)
{
    const struct vv_frame_header *h = &frame->header;
    struct varve_verify_result *result = r->result;
    struct vv_damage d = {.verdict = VARVE_VERDICT_CORRUPT,
                          .segment = r->walk.end_segment,
                          .offset = frame->offset,
                          .lsn_first = h->first_lsn,
                          .lsn_last = h->first_lsn + h->count - 1};

    if (rc == VARVE_E_CORRUPT) {
        snprintf(d.message, sizeof d.message, "%.*s", (int)sizeof d.message - 1, error->message);
        tell(r, &d);
        return 0;
    }
    if (!vv_decode_is_unreadable(rc)) {
        vv_error_copy(ret_error, error);
        return rc;
    }
    if (result->unread_frames == 0) {
        result->unread_code = rc;
        snprintf(result->unread_why, sizeof result->unread_why, "%.*s", (int)sizeof result->unread_why - 1,
                 error->message);
    }
    result->unread_frames++;
    result->unread_records += h->count;
    return 0;
}

static int check_records(struct reading *r, const struct vv_scan_frame *frame, struct varve_error *ret_error)
{
    uint64_t offset = 0, raw = frame->header.raw_bytes;
    const uint8_t *body;
    struct varve_error error;
    int rc = vv_decode_body(&r->walk.scan, frame, &body, &error);

    if (rc != 0)
        return note_unread(r, frame, rc, &error, ret_error);
    for (uint32_t i = 0; rc == 0 && i < frame->header.count; i++) {
        uint64_t lsn = frame->header.first_lsn + i;
        struct vv_record record;
        enum vv_record_status status =
            vv_record_decode(body, raw, offset, vv_record_seed(r->log_seed, lsn), &record, &offset);

        if (status != VV_RECORD_OK)
            tell_of(r, VARVE_VERDICT_CORRUPT, r->walk.end_segment, frame->offset, lsn,
                    "segment %" PRIu64 ", byte %" PRIu64 ": record %" PRIu64
                    " does not check in a frame that does",
                    r->walk.end_segment, frame->offset, lsn);
        if (status == VV_RECORD_LOST)
            return 0;
    }
    if (rc == 0 && offset != raw)
        tell_of(r, VARVE_VERDICT_CORRUPT, r->walk.end_segment, frame->offset, 0,
                "segment %" PRIu64 ", byte %" PRIu64 ": %" PRIu64 " bytes behind the last record of a frame",
                r->walk.end_segment, frame->offset, raw - offset);
    return rc;
}

/* What the chain itself shows: MANIFEST, files of other logs, damaged headers that nothing depends on. */
static void check_chain(struct reading *r)
{
    const struct vv_chain *chain = &r->chain;

    if (chain->manifest_rc != 0)
        tell_of(r, VARVE_VERDICT_CORRUPT, 0, 0, 0, "%s", chain->manifest_error.message);
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->links[i].state == VV_LINK_FOREIGN)
            tell_of(r, VARVE_VERDICT_FOREIGN, chain->links[i].number, 0, 0,
                    "segment %" PRIu64 " belongs to another log", chain->links[i].number);
    }
}

static int count_superseded(struct reading *r, struct varve_error *ret_error)
{
    struct vv_scan_frame frame;
    enum vv_scan_status status;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < r->chain.count; i++) {
        const struct vv_link *link = &r->chain.links[i];

        /* Only where a later segment starts before this one is full can something be left behind. */
        if (link->state != VV_LINK_SOUND || link->end_lsn == UINT64_MAX ||
            link->header.base_lsn < link->end_lsn)
            continue;
        rc = vv_scan_open(&r->walk.scan, &r->chain, link, ret_error);
        /* Removed meanwhile. */
        if (rc == VARVE_E_TRIMMED) {
            rc = 0;
            continue;
        }
        while (rc == 0 && (rc = vv_scan_look(&r->walk.scan, &frame, &status, ret_error)) == 0 &&
               status == VV_SCAN_FRAME) {
            r->result->superseded_frames++;
            r->walk.scan.offset += frame.bytes;
        }
        vv_scan_close(&r->walk.scan);
    }
    return rc;
}

static int read_all(struct reading *r, const struct varve_options *o, struct varve_error *ret_error)
{
    uint64_t total = 0, told = 0;
    struct vv_scan_frame frame;
    int rc;

    for (size_t i = 0; i < r->chain.count; i++)
        total += r->chain.links[i].state == VV_LINK_SOUND ? r->chain.links[i].file_bytes : 0;
    while ((rc = vv_walk_next(&r->walk, &frame, ret_error)) == 0) {
        rc = check_records(r, &frame, ret_error);
        if (rc != 0)
            return rc;
        if (o->progress && r->walk.scan.bytes_read - told >= (UINT64_C(8) << 20)) {
            told = r->walk.scan.bytes_read;
            if (o->progress(o->progress_arg, vv_min_u64(told, total), total) != 0)
                return vv_error_set(ret_error, VARVE_E_CLOSED, 0, "stopped by the caller");
        }
    }
    return rc == VARVE_END ? 0 : rc;
}

static void finish_found(struct reading *r, uint64_t start_us)
{
    const struct vv_walk *walk = &r->walk;
    struct varve_recovery *f = r->found;

    f->segments = walk->segments;
    f->frames = walk->frames;
    f->marks = walk->marks;
    f->records = walk->records;
    f->bytes = walk->scan.bytes_read;
    f->first_lsn = r->chain.manifest.first_lsn ? r->chain.manifest.first_lsn : 1;
    f->last_lsn = walk->expected > f->first_lsn ? walk->expected - 1 : 0;
    f->duration_us = r->io->monotonic_us(r->io) - start_us;
    if (f->verdict == VARVE_VERDICT_CLEAN_END && walk->damage.verdict == VARVE_VERDICT_TORN) {
        f->verdict = VARVE_VERDICT_TORN;
        f->segment = walk->damage.segment;
        f->offset = walk->damage.offset;
        if (r->damage)
            r->damage(r->damage_arg, VARVE_VERDICT_TORN, f->segment, f->offset, walk->damage.lsn_first,
                      walk->damage.lsn_last, walk->damage.message);
    }
}

static int give_result(const char *path, int rc, struct varve_verify_result *result,
                       struct varve_verify_result *ret_result, struct varve_error *ret_error)
{
    if (rc == 0) {
        result->size = ret_result->size;
        memcpy(ret_result, result, vv_min_u64(ret_result->size, sizeof *result));
    } else {
        vv_error_wrap(ret_error, "%s", path);
    }
    return rc;
}

int varve_verify(const char *path, const struct varve_options *options, varve_damage_fn damage,
                 void *damage_arg, struct varve_verify_result *ret_result, struct varve_error *ret_error)
{
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_options known;
    struct reading r = {
        .damage = damage,
        .damage_arg = damage_arg,
        .result = &result,
        .found = &result.found,
    };
    const struct varve_format *format;
    uint64_t start_us;
    int rc;

    if (!path || !*path || !ret_result || ret_result->size < sizeof ret_result->size)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "a path and a place for the result are needed");
    vv_options_copy(options, &known);
    r.io = known.io ? known.io : varve_io_system();
    start_us = r.io->monotonic_us(r.io);
    rc = vv_inspect_find(path, &r.io, known.format, &r.dir, &format, ret_error);
    if (rc != 0)
        return rc;
    if (format) {
        rc = vv_plain_verify(r.io, r.dir, format, &known, damage, damage_arg, &result, ret_error);
        r.io->dir_close(r.io, r.dir);
        return give_result(path, rc, &result, ret_result, ret_error);
    }
    rc = open_reading(&r, path, known.keys, ret_error);
    if (rc != 0)
        return rc;
    r.walk.damaged = on_damage;
    r.walk.damaged_arg = &r;
    see_repairs(&r);
    check_chain(&r);
    rc = read_all(&r, &known, ret_error);
    if (rc == 0) {
        finish_found(&r, start_us);
        result.clean_shutdown = r.chain.manifest_rc == 0 && r.chain.manifest.clean;
        result.writer_alive = r.walk.live;
        rc = count_superseded(&r, ret_error);
    }
    snprintf(result.format, sizeof result.format, "%s", varve_format_at(0)->name);
    close_reading(&r);
    return give_result(path, rc, &result, ret_result, ret_error);
}

/* -- info -- */

static void info_links(const struct reading *r, struct varve_info *info)
{
    const struct vv_chain *chain = &r->chain;

    memcpy(info->uuid, chain->manifest.uuid, sizeof info->uuid);
    info->created_us = chain->manifest.created_us;
    info->spares = chain->spares;
    info->disk_bytes = chain->disk_bytes;
    info->clean_shutdown = chain->manifest_rc == 0 && chain->manifest.clean;
    info->first_lsn = chain->manifest.first_lsn ? chain->manifest.first_lsn : 1;
    info->codec = chain->manifest.codec;
    info->dictionary = chain->manifest.dictionary;
    snprintf(info->codec_name, sizeof info->codec_name, "%s",
             info->codec ? chain->manifest.codec_name : varve_codec_name(0));
    for (size_t i = 0; i < chain->count; i++) {
        const struct vv_link *link = &chain->links[i];

        if (link->state == VV_LINK_BLANK) {
            info->segments_ready++;
            /* An empty log will begin in it. */
            if (info->segments == 0)
                info->segment_bytes = link->file_bytes;
        }
        if (link->state != VV_LINK_SOUND)
            continue;
        if (info->segments++ == 0) {
            info->first_segment = link->number;
            info->first_time_us = link->header.created_us;
        }
        info->last_segment = link->number;
        info->segment_bytes = link->header.capacity;
        info->sector_bytes = link->header.sector_bytes;
    }
}

static int info_frames(struct reading *r, struct varve_info *info, struct varve_error *ret_error)
{
    struct vv_scan_frame frame;
    uint64_t segment = 0, end = 0;
    int rc;

    while ((rc = vv_walk_next(&r->walk, &frame, ret_error)) == 0) {
        if (r->walk.end_segment != segment) {
            info->used_bytes += end;
            segment = r->walk.end_segment;
        }
        end = r->walk.end_offset;
        info->body_bytes += frame.header.raw_bytes;
        info->stored_bytes += frame.header.stored_bytes;
        info->encoded_frames += frame.header.codec != 0;
        info->last_time_us = frame.header.time_us;
    }
    if (rc != VARVE_END)
        return rc;
    info->used_bytes += vv_max_u64(end, r->walk.end_segment == segment ? r->walk.end_offset : end);
    info->frames = r->walk.frames;
    info->marks = r->walk.marks;
    info->records = r->walk.records;
    info->last_lsn = r->walk.records > 0 ? r->walk.expected - 1 : 0;
    info->durable_lsn = vv_min_u64(r->walk.vouched, info->last_lsn);
    if (r->walk.end_segment == info->last_segment && info->segment_bytes > r->walk.end_offset)
        info->tail_free_bytes = info->segment_bytes - r->walk.end_offset;
    info->verdict = r->found->verdict != VARVE_VERDICT_CLEAN_END ? r->found->verdict : r->walk.damage.verdict;
    return 0;
}

static int give_info(const char *path, int rc, struct varve_info *info, struct varve_info *ret_info,
                     struct varve_error *ret_error)
{
    if (rc == 0) {
        info->size = ret_info->size;
        memcpy(ret_info, info, vv_min_u64(ret_info->size, sizeof *info));
    } else {
        vv_error_wrap(ret_error, "%s", path);
    }
    return rc;
}

int varve_info_read(const char *path, const struct varve_options *options, struct varve_info *ret_info,
                    struct varve_error *ret_error)
{
    struct varve_verify_result result = {.size = sizeof result};
    struct reading r = {.result = &result, .found = &result.found};
    struct varve_info info = {.size = 0};
    bool alive;
    const struct varve_format *format;
    struct varve_options known;
    int rc;

    if (!path || !*path || !ret_info || ret_info->size < sizeof ret_info->size)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "a path and a place for the result are needed");
    vv_options_copy(options, &known);
    r.io = known.io ? known.io : varve_io_system();
    rc = vv_inspect_find(path, &r.io, known.format, &r.dir, &format, ret_error);
    if (rc != 0)
        return rc;
    if (format) {
        rc = vv_plain_info(r.io, r.dir, format, &info, ret_error);
        r.io->dir_close(r.io, r.dir);
        return give_info(path, rc, &info, ret_info, ret_error);
    }
    rc = open_reading(&r, path, NULL, ret_error);
    if (rc != 0)
        return rc;
    r.walk.damaged = on_damage;
    r.walk.damaged_arg = &r;
    see_repairs(&r);
    check_chain(&r);
    info_links(&r, &info);
    rc = vv_lock_held(r.io, r.dir, &alive, &info.writer_pid, ret_error);
    info.writer_alive = alive;
    if (rc == 0)
        rc = info_frames(&r, &info, ret_error);
    snprintf(info.format, sizeof info.format, "%s", varve_format_at(0)->name);
    close_reading(&r);
    return give_info(path, rc, &info, ret_info, ret_error);
}

int varve_info_get(const char *path, struct varve_io *io, struct varve_info *ret_info,
                   struct varve_error *ret_error)
{
    const struct varve_options options = {.size = sizeof options, .io = io};

    return varve_info_read(path, &options, ret_info, ret_error);
}
