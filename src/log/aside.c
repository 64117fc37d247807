/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aside: a record that an application cannot process -> lost/; and what lies there -> records.
 *
 * What is kept of a record is its frame, as it lies on disk, at its place behind the header of its segment: a
 * segment with a hole before the frame. So it is compressed and encrypted as it was, has its own checksums,
 * and is read by what reads segments, however long the log has been trimmed past it.
 *
 * The copy is durable, and was read again, before its line is written; a crash in between leaves a file that
 * no line names, and the next entry takes another name.
 *
 * Ways to fail: the record is not there, or not durable; no space; the index is full.
 */
#include "log/aside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "format/record.h"
#include "log/decode.h"
#include "log/inspect.h"
#include "log/options.h"
#include "log/salvage.h"
#include "log/stages.h"

struct search {
    uint64_t id, last_id;
    struct vv_lost_line *line;
    bool found;
};

static int look_for(void *arg, const struct vv_lost_line *line, const char *text, size_t len)
{
    struct search *s = arg;
    (void)text, (void)len;

    if (!line)
        return 0;
    if (line->id > s->last_id)
        s->last_id = line->id;
    if (line->id == s->id) {
        *s->line = *line;
        s->found = true;
    }
    return 0;
}

int vv_aside_find(struct varve_io *io, struct varve_dir *sub, uint64_t id, struct vv_lost_line *ret_line,
                  uint64_t *ret_last_id, struct varve_error *ret_error)
{
    struct search s = {.id = id, .line = ret_line};
    struct varve_error error;
    int rc = vv_lost_each(io, sub, look_for, &s, &error);

    if (rc != 0 && rc != VARVE_E_NOT_FOUND) {
        vv_error_copy(ret_error, &error);
        return rc;
    }
    if (ret_last_id)
        *ret_last_id = s.last_id;
    if (!s.found)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "nothing is set aside under %" PRIu64, id);
    return 0;
}

/* -- records of an entry -- */

static void fill(struct varve_entry *e, const struct vv_lost_line *line, const struct vv_record *record,
                 uint64_t lsn, uint64_t time_us)
{
    memset(e, 0, sizeof *e);
    e->lsn = lsn;
    e->time_us = e->time = time_us;
    e->data = record->payload;
    e->data_bytes = record->payload_bytes;
    e->type = record->type;
    e->flags = record->flags;
    e->txn_id = record->txn_id;
    if (record->origin)
        memcpy(e->origin, record->origin, sizeof e->origin);
    e->segment = line->segment;
    e->frame_offset = line->offset;
}

static int bad_copy(const struct vv_lost_line *line, struct varve_error *ret_error)
{
    return vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                        VV_LOST_DIR "/%s: the copy of the record does not check", line->file);
}

/* The one record of a frame that was set aside. The scan has its file open. */
static int give_aside(struct vv_scan *scan, const struct vv_chain *chain, const struct vv_lost_line *line,
                      varve_lost_record_fn fn, void *arg, struct varve_error *ret_error)
{
    uint32_t log_seed = vv_record_log_seed(chain->links[0].header.uuid);
    struct vv_scan_frame frame;
    enum vv_scan_status status;
    const uint8_t *body;
    uint64_t offset = 0;
    int rc;

    scan->offset = line->offset;
    rc = vv_scan_look(scan, &frame, &status, ret_error);
    if (rc == 0 && (status != VV_SCAN_FRAME || frame.header.first_lsn > line->first ||
                    line->first - frame.header.first_lsn >= frame.header.count))
        rc = bad_copy(line, ret_error);
    if (rc == 0)
        rc = vv_decode_body(scan, &frame, &body, ret_error);
    for (uint64_t lsn = rc == 0 ? frame.header.first_lsn : UINT64_MAX; lsn <= line->first; lsn++) {
        struct vv_record record;
        struct varve_entry entry;
        enum vv_record_status status_of = vv_record_decode(body, frame.header.raw_bytes, offset,
                                                           vv_record_seed(log_seed, lsn), &record, &offset);

        if (status_of == VV_RECORD_LOST || (lsn == line->first && status_of != VV_RECORD_OK))
            return bad_copy(line, ret_error);
        if (lsn == line->first) {
            fill(&entry, line, &record, lsn, frame.header.time_us + record.delta_us);
            rc = fn(arg, &entry);
        }
    }
    return rc;
}

static int read_aside(struct varve_io *io, struct varve_dir *dir, struct varve_dir *sub,
                      struct varve_keys *keys, const struct vv_lost_line *line, varve_lost_record_fn fn,
                      void *arg, struct varve_error *ret_error)
{
    const struct vv_chain home = {.io = io, .dir = dir, .keys = keys};
    struct vv_chain chain;
    struct vv_scan scan;
    int rc = vv_chain_load_file(&chain, io, sub, line->file, ret_error);

    if (rc != 0)
        return rc;
    chain.keys = keys;
    rc = vv_scan_init(&scan, io);
    if (rc != 0) {
        vv_chain_free(&chain);
        return vv_error_set(ret_error, rc, 0, VV_LOST_DIR "/%s", line->file);
    }
    if (chain.links[0].state != VV_LINK_SOUND)
        rc = bad_copy(line, ret_error);
    if (rc == 0)
        rc = vv_scan_open(&scan, &chain, &chain.links[0], ret_error);
    /* Dictionaries are where the log is. */
    if (rc == 0)
        vv_decode_begin(&scan, &home, &chain.links[0]);
    if (rc == 0)
        rc = give_aside(&scan, &chain, line, fn, arg, ret_error);
    vv_scan_free(&scan);
    vv_chain_free(&chain);
    return rc;
}

/* Damaged bytes give what is sound in them. Who reads them a second time must find the same: so what they
 * were judged by stands in the line. */
static int read_damage(struct varve_io *io, struct varve_dir *dir, struct varve_dir *sub,
                       struct varve_keys *keys, const struct vv_lost_line *line, varve_lost_record_fn fn,
                       void *arg, struct varve_error *ret_error)
{
    struct vv_damage damage = {
        .verdict = (enum varve_verdict)line->what,
        .segment = line->segment,
        .offset = line->offset,
        .end_offset = UINT64_MAX,
        .lsn_first = line->first,
        .lsn_last = line->last,
        .trust = (enum vv_trust)line->trust,
        .seed = line->sector_bytes != 0 ? vv_segment_seed(line->salt) : 0,
        .sector_bytes = line->sector_bytes,
    };
    struct vv_link link = {.number = line->segment, .state = VV_LINK_BAD, .header = {.salt = line->salt}};
    struct vv_salvage salvage = {.bytes = NULL};
    struct vv_salvaged record;
    struct vv_chain chain;
    struct vv_scan scan;
    int rc = vv_chain_load(&chain, io, dir, ret_error);

    if (rc != 0)
        return rc;
    chain.keys = keys;
    rc = vv_scan_init(&scan, io);
    if (rc != 0) {
        vv_chain_free(&chain);
        return vv_error_set(ret_error, rc, 0, VV_LOST_DIR "/%s", line->file);
    }
    vv_decode_begin(&scan, &chain, &link);
    rc = vv_salvage_read_copy(&salvage, &scan, sub, line->file, &damage,
                              vv_record_log_seed(chain.manifest.uuid), ret_error);
    while (rc == 0 && vv_salvage_next(&salvage, &record)) {
        struct varve_entry entry;

        fill(&entry, line, &record.record, record.lsn, 0);
        entry.frame_offset = record.frame_offset;
        entry.record_offset = record.record_offset;
        rc = fn(arg, &entry);
    }
    vv_salvage_clear(&salvage);
    vv_scan_free(&scan);
    vv_chain_free(&chain);
    return rc;
}

int vv_aside_records(struct varve_io *io, struct varve_dir *dir, struct varve_dir *sub,
                     struct varve_keys *keys, const struct vv_lost_line *line, varve_lost_record_fn fn,
                     void *arg, struct varve_error *ret_error)
{
    if (!line->file[0] || line->state == VV_LOST_DROPPED)
        return 0;
    return line->what == VV_LOST_SET_ASIDE ? read_aside(io, dir, sub, keys, line, fn, arg, ret_error)
                                           : read_damage(io, dir, sub, keys, line, fn, arg, ret_error);
}

/* -- setting aside -- */

/* Where the record lies, by reading it: then it is sound, too. */
static int locate(struct varve_log *log, uint64_t lsn, struct vv_lost_line *line,
                  struct varve_error *ret_error)
{
    struct varve_cursor *cursor;
    struct varve_entry entry;
    int rc = varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, ret_error);

    if (rc != 0)
        return rc;
    rc = varve_cursor_seek_lsn(cursor, lsn);
    if (rc == 0)
        rc = varve_cursor_next(cursor, &entry);
    if (rc < 0)
        varve_cursor_error(cursor, ret_error);
    /* Passed over: an accepted loss. */
    else if (rc == VARVE_END || entry.lsn != lsn)
        rc = vv_error_set(ret_error, VARVE_E_INVALID, 0, "LSN %" PRIu64 " is not in the log", lsn);
    if (rc == 0) {
        line->first = line->last = lsn;
        line->segment = entry.segment;
        line->offset = entry.frame_offset;
    }
    varve_cursor_close(cursor);
    return rc;
}

/* How many bytes the frame takes; it is still the one that was read. */
static int measure(struct varve_log *log, const struct vv_lost_line *line, uint64_t *ret_bytes,
                   struct varve_error *ret_error)
{
    struct vv_scan_frame frame;
    enum vv_scan_status status;
    struct vv_chain chain;
    struct vv_scan scan;
    int rc = vv_chain_load(&chain, log->io, log->dir, ret_error);

    if (rc != 0)
        return rc;
    rc = vv_scan_init(&scan, log->io);
    if (rc != 0) {
        vv_chain_free(&chain);
        return vv_error_set(ret_error, rc, 0, "LSN %" PRIu64, line->first);
    }
    *ret_bytes = 0;
    for (size_t i = 0; rc == 0 && i < chain.count; i++) {
        if (chain.links[i].number != line->segment || chain.links[i].state != VV_LINK_SOUND)
            continue;
        rc = vv_scan_open(&scan, &chain, &chain.links[i], ret_error);
        scan.offset = line->offset;
        if (rc == 0)
            rc = vv_scan_look(&scan, &frame, &status, ret_error);
        if (rc == 0 && status == VV_SCAN_FRAME)
            *ret_bytes = frame.bytes;
    }
    if (rc == 0 && *ret_bytes == 0)
        rc =
            vv_error_set(ret_error, VARVE_E_TRIMMED, 0, "LSN %" PRIu64 " was trimmed meanwhile", line->first);
    vv_scan_free(&scan);
    vv_chain_free(&chain);
    return rc;
}

static int copy_frame(struct varve_log *log, struct varve_dir *sub, const struct vv_lost_line *line,
                      uint64_t bytes, struct varve_file *to)
{
    struct varve_io *io = log->io;
    char name[VV_SEGMENT_NAME_BYTES];
    struct varve_file *from;
    int rc;

    vv_segment_name(line->segment, name);
    rc = io->open(io, log->dir, name, VARVE_IO_READ, &from);
    if (rc != 0)
        return rc;
    rc = vv_lost_copy(io, from, 0, VV_SEGMENT_HEADER_BYTES, to, 0);
    if (rc == 0)
        rc = vv_lost_copy(io, from, line->offset, line->offset + bytes, to, line->offset);
    io->close(io, from);
    if (rc == 0)
        rc = io->sync(io, to);
    return rc == 0 ? io->dir_sync(io, sub) : rc;
}

/* Makes the copy, under a name that nothing has: a line that is damaged may still mean a file. */
static int keep_frame(struct varve_log *log, struct varve_dir *sub, uint64_t bytes, struct vv_lost_line *line,
                      struct varve_error *ret_error)
{
    struct varve_io *io = log->io;
    struct varve_file *to;
    int rc = -EEXIST;

    for (line->id--; rc == -EEXIST;) {
        snprintf(line->file, sizeof line->file, "record-%" PRIu64 ".seg", ++line->id);
        rc = io->open(io, sub, line->file, VARVE_IO_WRITE | VARVE_IO_CREATE, &to);
    }
    if (rc == 0) {
        rc = copy_frame(log, sub, line, bytes, to);
        io->close(io, to);
        if (rc != 0)
            (void)io->unlink(io, sub, line->file);
    }
    if (rc != 0)
        return vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                            VV_LOST_DIR "/%s: LSN %" PRIu64 " cannot be set aside", line->file, line->first);
    return 0;
}

static int give_nothing(void *arg, const struct varve_entry *record)
{
    (void)record;
    *(bool *)arg = true;
    return 0;
}

/* lost_mutex is held. */
static int set_aside(struct varve_log *log, struct varve_dir *sub, struct vv_lost_line *line,
                     struct varve_error *ret_error)
{
    struct varve_io *io = log->io;
    struct vv_lost lost;
    uint64_t bytes = 0;
    bool read = false;
    int rc = vv_lost_load(&lost, io, log->dir, ret_error);

    if (rc != 0)
        return rc;
    line->id = lost.last_id + 1;
    if (lost.index_bytes + VV_LOST_LINE_BYTES > VV_LOST_INDEX_MAX)
        rc = vv_error_set(ret_error, VARVE_E_LIMIT, 0,
                          VV_LOST_DIR "/" VV_LOST_INDEX " is full: drop entries that are done with");
    vv_lost_free(&lost);
    if (rc == 0)
        rc = measure(log, line, &bytes, ret_error);
    if (rc == 0)
        rc = keep_frame(log, sub, bytes, line, ret_error);
    if (rc != 0)
        return rc;
    /* The segment may have been trimmed, and used again, while it was copied. */
    rc = vv_aside_records(io, log->dir, sub, log->options.keys, line, give_nothing, &read, ret_error);
    if (rc == VARVE_E_CORRUPT)
        rc =
            vv_error_set(ret_error, VARVE_E_TRIMMED, 0, "LSN %" PRIu64 " was trimmed meanwhile", line->first);
    if (rc == 0) {
        rc = vv_lost_append(io, sub, line);
        if (rc != 0)
            rc = vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                              VV_LOST_DIR "/" VV_LOST_INDEX ": cannot be written");
    }
    if (rc != 0)
        (void)io->unlink(io, sub, line->file);
    return rc;
}

int varve_set_aside(struct varve_log *log, uint64_t lsn, const char *reason, uint64_t *ret_id,
                    struct varve_error *ret_error)
{
    struct vv_lost_line line = {.what = VV_LOST_SET_ASIDE};
    struct varve_dir *sub;
    int rc = vv_aside_check(log, ret_error);

    if (rc != 0)
        return rc;
    if (reason && !vv_lost_reason_ok(reason))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "a reason is one line of UTF-8, of 255 bytes at most");
    if (lsn == 0 || lsn > varve_durable_lsn(log))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "LSN %" PRIu64 " is not durable; the last one that is, is %" PRIu64, lsn,
                            varve_durable_lsn(log));
    snprintf(line.reason, sizeof line.reason, "%s", reason ? reason : "");
    line.time_us = log->io->realtime_us(log->io);
    rc = locate(log, lsn, &line, ret_error);
    if (rc == 0)
        rc = vv_lost_open(log->io, log->dir, true, &sub, ret_error);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&log->lost_mutex);
    rc = set_aside(log, sub, &line, ret_error);
    pthread_mutex_unlock(&log->lost_mutex);
    log->io->dir_close(log->io, sub);
    if (rc == 0 && ret_id)
        *ret_id = line.id;
    return rc;
}

/* -- for any process -- */

struct listing {
    struct varve_io *io;
    struct varve_dir *sub;
    varve_lost_fn fn;
    void *arg;
    uint64_t unread;
};

static int give_entry(void *arg, const struct vv_lost_line *line, const char *text, size_t len)
{
    struct listing *l = arg;
    struct varve_lost_entry entry;
    struct varve_io_stat stat;
    (void)text, (void)len;

    if (!line) {
        l->unread++;
        return 0;
    }
    memset(&entry, 0, sizeof entry);
    entry.id = line->id;
    entry.kind = line->what == VV_LOST_SET_ASIDE ? VARVE_LOST_SET_ASIDE : VARVE_LOST_DAMAGE;
    entry.state = (enum varve_lost_state)line->state;
    entry.first_lsn = line->first;
    entry.last_lsn = line->last;
    entry.segment = line->segment;
    entry.offset = line->offset;
    entry.verdict =
        entry.kind == VARVE_LOST_DAMAGE ? (enum varve_verdict)line->what : VARVE_VERDICT_CLEAN_END;
    entry.time_us = line->time_us;
    entry.requeued_first = line->state == VV_LOST_REQUEUED ? line->from : 0;
    entry.requeued_last = line->state == VV_LOST_REQUEUED ? line->to : 0;
    entry.repaired = line->repaired;
    memcpy(entry.reason, line->reason, sizeof entry.reason);
    if (line->file[0] && l->io->stat_name(l->io, l->sub, line->file, &stat) == 0 &&
        stat.kind == VARVE_IO_KIND_FILE) {
        memcpy(entry.file, line->file, sizeof entry.file);
        entry.bytes = stat.size_bytes;
    }
    return l->fn(l->arg, &entry);
}

/* Opens a log's directory and its lost/; *ret_sub is NULL where there is none. */
static int open_both(struct varve_io *io, const char *path, struct varve_dir **ret_dir,
                     struct varve_dir **ret_sub, struct varve_error *ret_error)
{
    struct varve_error error;
    int rc;

    if (!path || !*path)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "a path is needed");
    rc = vv_inspect_open_own(path, io, ret_dir, ret_error);
    if (rc != 0)
        return rc;
    *ret_sub = NULL;
    rc = vv_lost_open(io, *ret_dir, false, ret_sub, &error);
    if (rc == 0 || rc == VARVE_E_NOT_FOUND)
        return 0;
    io->dir_close(io, *ret_dir);
    vv_error_wrap(&error, "%s", path);
    vv_error_copy(ret_error, &error);
    return rc;
}

int varve_lost_list(const char *path, struct varve_io *io, varve_lost_fn fn, void *arg, uint64_t *ret_unread,
                    struct varve_error *ret_error)
{
    struct listing l = {.io = io ? io : varve_io_system(), .fn = fn, .arg = arg};
    struct varve_error error;
    struct varve_dir *dir;
    int rc;

    if (!fn)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "a function is needed");
    rc = open_both(l.io, path, &dir, &l.sub, ret_error);
    if (rc != 0)
        return rc;
    vv_error_clear(&error);
    if (l.sub) {
        rc = vv_lost_each(l.io, l.sub, give_entry, &l, &error);
        l.io->dir_close(l.io, l.sub);
    }
    l.io->dir_close(l.io, dir);
    if (rc == VARVE_E_NOT_FOUND)
        rc = 0;
    if (rc == 0 && ret_unread)
        *ret_unread = l.unread;
    if (rc != 0 && error.code == rc) {
        vv_error_wrap(&error, "%s", path);
        vv_error_copy(ret_error, &error);
    }
    return rc;
}

int varve_lost_read(const char *path, const struct varve_options *options, uint64_t id,
                    varve_lost_record_fn fn, void *arg, struct varve_error *ret_error)
{
    struct varve_options known;
    struct vv_lost_line line;
    struct varve_dir *dir, *sub;
    struct varve_error error;
    struct varve_io *io;
    int rc;

    if (!fn)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "a function is needed");
    vv_options_copy(options, &known);
    io = known.io ? known.io : varve_io_system();
    rc = open_both(io, path, &dir, &sub, ret_error);
    if (rc != 0)
        return rc;
    vv_error_clear(&error);
    if (!sub)
        rc = vv_error_set(&error, VARVE_E_INVALID, 0, "nothing is set aside under %" PRIu64, id);
    else
        rc = vv_aside_find(io, sub, id, &line, NULL, &error);
    if (rc == 0)
        rc = vv_aside_records(io, dir, sub, known.keys, &line, fn, arg, &error);
    if (rc != 0 && error.code == rc) {
        vv_error_wrap(&error, "%s", path);
        vv_error_copy(ret_error, &error);
    }
    if (sub)
        io->dir_close(io, sub);
    io->dir_close(io, dir);
    return rc;
}
