/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_start: a directory with a log in a format of others, or for one -> a log that can be written.
 *
 * In: log->dir and the format. Out: the log's end is known, a torn tail is gone, the file to go on in is
 * open, the ring and the threads are there. In this order: options, lock, files, recovery; only when the log
 * is known to be sound is anything changed: leftovers of an interrupted creation or rotation, the torn tail,
 * what a new log needs.
 *
 * In the mode `memory` nothing is changed or made, not even the directory: what is there only says which LSN
 * comes next.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "log/lock.h"
#include "log/open.h"
#include "log/options.h"
#include "log/pin.h"
#include "log/plain_write.h"
#include "log/prepare.h"
#include "log/stages.h"
#include "log/tell.h"

/* What recovery found. */
struct ending {
    struct vv_plain_end end;
    uint64_t next_lsn, last_us;
};

static int io_error(struct varve_error *ret_error, int rc, const char *name, const char *what)
{
    return vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc, "%s: %s",
                        name, what);
}

/* -- before anything is changed -- */

static int fill_options(struct varve_log *log, struct varve_error *ret_error)
{
    int rc;

    log->asked.format = log->plain->format->name;
    rc = vv_options_fill(&log->asked, &log->options, ret_error);
    log->leads = log->options.durability >= VARVE_GROUP;
    log->in_memory = log->options.durability == VARVE_MEMORY;
    if (rc == 0 && log->options.backend == VARVE_BACKEND_MMAP && !log->io->map)
        return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, 0,
                            "option backend: these files cannot be mapped");
    return rc;
}

static bool exists(const struct vv_plain_files *files)
{
    return files->count > 0 || files->meta_rc != VARVE_E_NOT_FOUND || files->side_rc != VARVE_E_NOT_FOUND;
}

static int load(struct varve_log *log, struct varve_error *ret_error)
{
    struct vv_plain_files *files = &log->plain->files;
    unsigned flags = log->options.flags;
    int rc;

    if (!log->dir) {
        files->format = log->plain->format;
        files->io = log->io;
        files->meta_rc = files->side_rc = VARVE_E_NOT_FOUND;
        return 0;
    }
    if (flags & VARVE_OPEN_MUST_EXIST) {
        /* Before the lock: where there must be a log and is none, nothing is left behind. */
        rc = vv_plain_files_load(files, log->plain->format, log->io, log->dir, ret_error);
        if (rc == 0 && !exists(files))
            rc = vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "there is no log in the directory");
        if (rc == 0)
            vv_plain_files_free(files);
        if (rc != 0)
            return rc;
    }
    rc = log->in_memory ? 0 : vv_lock_enter(log, ret_error);
    if (rc == 0)
        rc = vv_plain_files_load(files, log->plain->format, log->io, log->dir, ret_error);
    if (rc == 0 && (flags & VARVE_OPEN_MUST_CREATE) && exists(files))
        rc = vv_error_set(ret_error, VARVE_E_EXISTS, 0, "there is a log already");
    return rc;
}

/* Whether the file holds its header and no record. */
static int is_empty(struct varve_log *log, const struct vv_plain_file *item, bool *ret_empty,
                    struct varve_error *ret_error)
{
    struct vv_plain_reader reader;
    int rc;

    vv_plain_reader_init(&reader, log->io);
    rc = vv_plain_reader_open(&reader, log->plain->files.folder, item->name, ret_error);
    if (rc == 0)
        rc = vv_plain_reader_zeros(&reader, log->plain->format->header_bytes, ret_empty, ret_error);
    vv_plain_reader_free(&reader);
    return rc;
}

/*
 * The newest file as a crash may leave it that came before its making was synced: with its header, and
 * shorter than the others, or than what is asked for. No record was put into it yet, so it counts as never
 * made.
 */
static int pass_unfinished(struct varve_log *log, struct varve_error *ret_error)
{
    struct vv_plain_files *files = &log->plain->files;
    size_t made = vv_plain_files_made(files);
    struct vv_plain_file *newest = made > 0 ? &files->items[made - 1] : NULL;
    uint64_t whole = made > 1 ? files->items[made - 2].bytes : log->asked.segment_bytes;
    bool empty = false;
    int rc;

    if (!newest || newest->state != VARVE_HEADER_SOUND || newest->bytes >= whole)
        return 0;
    rc = is_empty(log, newest, &empty, ret_error);
    newest->blank = empty;
    return rc;
}

/* Files of a fixed size have that of the newest: it is what the caller gets, unless he asks for another. */
static int settle_size(struct varve_log *log, struct varve_error *ret_error)
{
    const struct vv_plain_files *files = &log->plain->files;
    size_t made;
    uint64_t bytes;
    int rc;

    if (!vv_plain_fixed(log))
        return 0;
    rc = pass_unfinished(log, ret_error);
    made = vv_plain_files_made(files);
    if (rc != 0 || made == 0)
        return rc;
    bytes = files->items[made - 1].bytes;
    if (log->asked.segment_bytes == 0) {
        log->asked.segment_bytes = bytes;
        rc = vv_options_fill(&log->asked, &log->options, ret_error);
        if (rc != 0)
            return rc;
    }
    if (log->options.segment_bytes == bytes)
        return 0;
    return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                        "segment size mismatch: %s has %" PRIu64 " bytes, option segment_bytes is %" PRIu64,
                        files->items[made - 1].name, bytes, log->options.segment_bytes);
}

static int recover(struct varve_log *log, struct ending *ret, struct varve_error *ret_error)
{
    struct vv_plain_walk walk;
    int rc;

    memset(ret, 0, sizeof *ret);
    ret->end.none = true;
    ret->next_lsn = 1;
    log->recovery.first_lsn = 1;
    if (!log->dir)
        return 0;
    vv_plain_walk_init(&walk, &log->plain->files, log->asked.policy);
    rc = vv_plain_recover(log, &walk, &ret->last_us, ret_error);
    if (rc == 0) {
        ret->end = walk.end;
        ret->next_lsn = walk.next_lsn;
        if (walk.damage.verdict == VARVE_VERDICT_TORN && !log->in_memory)
            vv_tell(log, TORN_TAIL, VV_ABOUT(.segment = walk.damage.segment, .offset = walk.damage.offset),
                    "%s; removed", walk.damage.message);
    }
    vv_plain_walk_free(&walk);
    return rc;
}

/* -- putting in order -- */

static int cut_tail(struct varve_log *log, struct vv_segment *segment, const struct vv_plain_end *end,
                    struct varve_error *ret_error)
{
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t done = 0;
    int rc = 0;

    if (end->torn == 0)
        return 0;
    if (log->plain->format->removal == VARVE_REMOVE_CUT)
        rc = log->io->truncate(log->io, segment->file, end->offset);
    while (rc == 0 && log->plain->format->removal == VARVE_REMOVE_ZERO && done < end->torn) {
        struct iovec iov = {log->zeros, vv_min_u64(end->torn - done, VV_PREPARE_ZERO_BYTES)};
        ssize_t n = log->io->pwritev(log->io, segment->file, &iov, 1, end->offset + done, 0);

        if (n < 0 && n != -EINTR)
            rc = (int)n;
        else if (n == 0)
            rc = -EIO;
        done += n > 0 ? (uint64_t)n : 0;
    }
    return rc == 0 ? 0
                   : io_error(ret_error, rc, vv_plain_file_name(log, segment->number, name),
                              "the torn tail cannot be removed");
}

/* So that neither a write nor a store into a mapping meets a full disk. What is behind `at` is zero. */
static int own_rest(struct varve_log *log, struct vv_segment *segment, uint64_t at)
{
    int rc = log->io->own ? log->io->own(log->io, segment->file, segment->capacity) : -EOPNOTSUPP;

    if (rc != -EOPNOTSUPP)
        return rc;
    for (rc = 0; rc == 0 && at < segment->capacity;) {
        struct iovec iov = {log->zeros, vv_min_u64(segment->capacity - at, VV_PREPARE_ZERO_BYTES)};
        ssize_t n = log->io->pwritev(log->io, segment->file, &iov, 1, at, 0);

        rc = n > 0 ? 0 : n == 0 ? -EIO : n == -EINTR ? 0 : (int)n;
        at += n > 0 ? (uint64_t)n : 0;
    }
    return rc;
}

/* The file that the log ends in is opened, and ends where its last good record does. */
static int go_on(struct varve_log *log, const struct ending *ending, struct varve_error *ret_error)
{
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    struct vv_segment *segment = vv_prepare_segment(log);
    int rc;

    vv_plain_file_name(log, ending->end.number, name);
    if (!segment)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", name);
    segment->number = ending->end.number;
    segment->capacity = log->options.segment_bytes;
    log->current = segment; /* closing frees it */
    rc = log->io->open(log->io, log->plain->files.folder, name, VARVE_IO_WRITE, &segment->file);
    if (rc != 0)
        return io_error(ret_error, rc, name, "cannot be opened for writing");
    rc = cut_tail(log, segment, &ending->end, ret_error);
    if (rc != 0)
        return rc;
    /* Whoever wrote it may have been killed before he synced it, or its name: what this log says to be
     * durable must be so. */
    rc = log->io->sync(log->io, segment->file);
    if (rc == 0)
        rc = log->io->dir_sync(log->io, log->plain->files.folder);
    if (rc != 0)
        return io_error(ret_error, rc, name, "what was read of it cannot be made durable");
    if (vv_plain_fixed(log))
        rc = own_rest(log, segment, ending->end.offset);
    if (rc == 0)
        rc = vv_plain_map(log, segment);
    if (rc != 0)
        return io_error(ret_error, rc, name, "its space cannot be had");
    vv_plain_adopt(log, segment, ending->end.offset, ending->next_lsn, 0);
    return 0;
}

/* The number of the file that a log without one to go on in begins. */
static uint64_t new_number(const struct varve_log *log)
{
    const struct vv_plain_files *files = &log->plain->files;
    uint64_t number = 1;

    if (files->format->layout == VARVE_LAYOUT_RENAMED)
        return VARVE_FORMAT_ACTIVE;
    if (files->format->layout == VARVE_LAYOUT_ONE_FILE)
        return 1;
    if (vv_plain_files_made(files) > 0)
        number = files->items[vv_plain_files_made(files) - 1].number + 1;
    if (files->side_rc == 0)
        number = vv_max_u64(number, vv_max_u64(files->side.first, files->side.anchor + 1));
    return number;
}

/* Removes what an interrupted creation or rotation left, and finishes the rotation. */
static int tidy(struct varve_log *log, struct varve_error *ret_error)
{
    struct vv_plain_files *files = &log->plain->files;
    char from[VARVE_FORMAT_FILE_NAME_BYTES], to[VARVE_FORMAT_FILE_NAME_BYTES];
    size_t made = vv_plain_files_made(files);
    struct varve_io *io = log->io;
    bool changed = files->unborn || files->borne || made < files->count;
    int rc = 0;

    vv_plain_sweep(log);
    vv_plain_file_name(log, files->format->layout == VARVE_LAYOUT_RENAMED ? VARVE_FORMAT_UNBORN : 1, from);
    if (files->unborn && files->unborn_bytes > files->format->header_bytes)
        return vv_error_set(ret_error, VARVE_E_EXISTS, 0,
                            "%s holds records beside the active file; move it away", from);
    if (files->unborn)
        rc = io->unlink(io, files->folder, from);
    for (size_t i = made; i < files->count && rc == 0; i++)
        rc = io->unlink(io, files->folder, files->items[i].name);
    if (rc == 0 && files->borne && made == files->count)
        rc = io->rename(io, files->folder, from, vv_plain_file_name(log, VARVE_FORMAT_ACTIVE, to), 0);
    if (rc == 0 && changed)
        rc = io->dir_sync(io, files->folder);
    return rc == 0 ? 0
                   : io_error(ret_error, rc, log->path, "what an interrupted rotation left is in the way");
}

/* -- a new log -- */

static int make_folder(struct varve_log *log, struct varve_error *ret_error)
{
    struct vv_plain_files *files = &log->plain->files;
    int created, rc;

    /* Also for a directory that was there: an earlier try may have made it and got no further. */
    rc = log->io->dir_sync_parent(log->io, log->dir);
    if (rc == 0 && !files->folder)
        rc = log->io->dir_open(log->io, log->dir, files->format->folder, 1, &files->folder, &created);
    if (rc == 0 && files->folder != log->dir)
        rc = log->io->dir_sync(log->io, log->dir);
    return rc == 0 ? 0 : io_error(ret_error, rc, files->format->folder, "the directory cannot be made");
}

static int make_meta(struct varve_log *log, struct varve_error *ret_error)
{
    struct vv_plain_writer *w = log->plain->writer;

    memset(&w->meta, 0, sizeof w->meta);
    memcpy(w->meta.uuid, w->uuid, sizeof w->meta.uuid);
    memcpy(w->meta.codec, "identity", sizeof "identity");
    w->meta.last_segment = 1;
    w->has_meta = true;
    return vv_plain_write_meta(log, &w->meta, ret_error);
}

/* Which log the files belong to. A bare folder of files has no meta file, and gets none. */
static int settle_meta(struct varve_log *log, struct varve_error *ret_error)
{
    const struct vv_plain_files *files = &log->plain->files;
    struct vv_plain_writer *w = log->plain->writer;
    int rc;

    w->meta = files->meta;
    w->has_meta = files->meta_rc == 0 && files->format->meta_put;
    if (files->meta_rc == 0)
        memcpy(w->uuid, files->meta.uuid, sizeof w->uuid);
    else if (files->count > 0)
        memcpy(w->uuid, files->items[0].header.uuid, sizeof w->uuid);
    if (files->count > 0 || files->meta_rc == 0 || !(files->format->carries & VARVE_FIELD_UUID))
        return 0;
    rc = log->io->random(log->io, w->uuid, sizeof w->uuid);
    if (rc != 0)
        return io_error(ret_error, rc, log->path, "no random bytes for the log's UUID");
    w->uuid[6] = (uint8_t)((w->uuid[6] & 0x0f) | 0x40); /* RFC 9562, version 4 */
    w->uuid[8] = (uint8_t)((w->uuid[8] & 0x3f) | 0x80);
    return files->format->meta_put ? make_meta(log, ret_error) : 0;
}

/* -- the parts -- */

/* A file to go on in is the log's last one, whatever a policy has passed over. */
static bool has_file(const struct varve_log *log, const struct ending *ending)
{
    const struct vv_plain_files *files = &log->plain->files;
    size_t made = vv_plain_files_made(files);

    return !ending->end.none && made > 0 && files->items[made - 1].number == ending->end.number &&
           (files->format->layout != VARVE_LAYOUT_RENAMED || ending->end.number == VARVE_FORMAT_ACTIVE);
}

static int list_facts(struct varve_log *log, const struct ending *ending, struct varve_error *ret_error)
{
    const struct vv_plain_files *files = &log->plain->files;
    size_t made = vv_plain_files_made(files), room;
    uint64_t lsn = ending->next_lsn, now_us = log->io->realtime_us(log->io);

    log->facts = vv_alloc_array(made + 256, sizeof *log->facts);
    if (!log->facts)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%zu files", made);
    log->fact_room = made + 256;
    log->fact_count = made;
    /* A file without a record begins where the next one does. One whose header does not tell its age counts
     * as made now: keep_ms may keep it for too long, never for too short a time. */
    for (size_t i = made; i-- > 0;) {
        const struct vv_plain_file *item = &files->items[i];

        lsn = item->first_lsn != 0 ? item->first_lsn : lsn;
        log->facts[i] = (struct vv_segment_fact){
            .number = item->number,
            .base_lsn = lsn,
            .bytes = item->bytes,
            .created_us = item->header.created_us ? item->header.created_us : now_us};
        atomic_fetch_add(&log->plain->writer->disk_bytes, item->bytes);
    }
    /* What the last file follows upon, or the next one will. */
    if (made > (has_file(log, ending) ? 1u : 0u)) {
        size_t closed = made - (has_file(log, ending) ? 2 : 1);

        log->plain->writer->anchor = log->facts[closed].number;
        log->plain->writer->anchor_lsn =
            closed + 1 < made ? log->facts[closed + 1].base_lsn : ending->next_lsn;
    }
    return vv_prepare_fact_room(log, &room);
}

static int open_file(struct varve_log *log, const struct ending *ending, struct varve_error *ret_error)
{
    const struct vv_plain_files *files = &log->plain->files;
    size_t made = vv_plain_files_made(files);
    struct vv_segment *segment;
    uint64_t number;
    int rc = tidy(log, ret_error);

    if (rc != 0)
        return rc;
    if (has_file(log, ending))
        return go_on(log, ending, ret_error);
    number = new_number(log);
    /* One that is damaged as a whole and was passed over keeps its name in all other layouts. */
    if (number == VARVE_FORMAT_ACTIVE && made > 0 && files->items[made - 1].number == number)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "%s: its header is damaged; move it away",
                            files->items[made - 1].name);
    rc = vv_plain_create(log, number, &segment, ret_error);
    if (rc != 0)
        return rc;
    atomic_fetch_add(&log->plain->writer->disk_bytes, files->format->header_bytes);
    vv_plain_adopt(log, segment, files->format->header_bytes, ending->next_lsn,
                   log->io->realtime_us(log->io));
    return 0;
}

static int make_parts(struct varve_log *log, const struct ending *ending, struct varve_error *ret_error)
{
    int rc;

    log->opened_lsn = ending->next_lsn - 1;
    atomic_store(&log->first_lsn, log->recovery.first_lsn);
    atomic_store(&log->durable_lsn, log->opened_lsn);
    atomic_store(&log->acked_lsn, log->opened_lsn);
    atomic_store(&log->vouched_lsn, log->opened_lsn);
    atomic_store(&log->plain->writer->granted, VV_PLAIN_LEASE_BYTES);
    vv_open_clock(log, ending->last_us);
    rc = vv_open_slots(log, ending->next_lsn, ret_error);
    if (rc != 0 || log->in_memory)
        return rc;
    log->next_number = 1;
    rc = make_folder(log, ret_error);
    if (rc == 0)
        rc = settle_meta(log, ret_error);
    if (rc == 0)
        rc = list_facts(log, ending, ret_error);
    if (rc == 0)
        rc = open_file(log, ending, ret_error);
    if (rc == 0)
        vv_pin_fit(log, ending->next_lsn);
    return rc;
}

int vv_plain_start(struct varve_log *log, struct varve_error *ret_error)
{
    struct ending ending;
    int rc = fill_options(log, ret_error);

    if (rc != 0)
        return rc;
    log->plain->writer = vv_alloc_zero(sizeof *log->plain->writer);
    if (!log->plain->writer)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "opening the log");
    rc = load(log, ret_error);
    if (rc == 0)
        rc = settle_size(log, ret_error);
    if (rc == 0 && log->dir)
        rc = vv_pin_load(log, ret_error);
    if (rc == 0)
        rc = recover(log, &ending, ret_error);
    if (rc == 0)
        log->plain->writer->side = log->plain->files.side;
    if (rc == 0)
        rc = make_parts(log, &ending, ret_error);
    return rc == 0 ? vv_open_running(log, ret_error) : rc;
}

void vv_plain_finish(struct varve_log *log)
{
    vv_plain_tell_facts(log);
    vv_plain_sweep(log);
}
