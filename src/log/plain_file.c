/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_file: the files of a log in a format of others, for writing: made, named, one after the other.
 *
 * A file that grows is made when it is needed: with its header, durable, and its name durable, before it
 * takes a record. One of a fixed size is made ahead by the preparer, under a temporary name, which the
 * formats' own programs ignore: were it there under its own name, a torn tail in the file before it would no
 * longer be the log's last, and count as damage. It gets its name when it is needed.
 *
 * Ways to fail: no space, a name that is taken, a failed sync. The log is read-only then.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "log/plain_side.h"
#include "log/plain_write.h"
#include "log/prepare.h"
#include "log/space.h"
#include "log/stages.h"

#define TEMP_START "new-"
#define TEMP_END   ".tmp"

const char *vv_plain_file_name(const struct varve_log *log, uint64_t number, char *out)
{
    log->plain->format->name_put(number, out);
    return out;
}

static void temp_name(uint64_t number, char *out)
{
    snprintf(out, VARVE_FORMAT_FILE_NAME_BYTES, TEMP_START "%016" PRIx64 TEMP_END, number);
}

static int explain(int rc, const char *name, const char *what, struct varve_error *ret_error)
{
    return vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc, "%s: %s",
                        name, what);
}

/* -- one file -- */

static int write_header(struct varve_log *log, struct varve_file *file, uint64_t number)
{
    const struct varve_format *format = log->plain->format;
    struct varve_format_segment segment = {
        .number = number, .created_us = log->io->realtime_us(log->io), .bytes = log->options.segment_bytes};
    uint8_t header[VARVE_FORMAT_HEADER_MAX];
    uint64_t done = 0;

    if (format->header_bytes == 0)
        return 0;
    memcpy(segment.uuid, log->plain->writer->uuid, sizeof segment.uuid);
    format->header_put(&segment, header);
    while (done < format->header_bytes) {
        struct iovec iov = {header + done, format->header_bytes - done};
        ssize_t n = log->io->pwritev(log->io, file, &iov, 1, done, 0);

        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? -EIO : (int)n;
        done += (uint64_t)n;
    }
    return 0;
}

/* A new file of that name, complete and synced; gone again when that fails. */
static int make_file(struct varve_log *log, const char *name, uint64_t number, struct varve_file **ret_file)
{
    struct varve_io *io = log->io;
    struct varve_dir *folder = log->plain->files.folder;
    struct varve_file *file;
    int rc = io->open(io, folder, name, VARVE_IO_WRITE | VARVE_IO_CREATE, &file);

    if (rc != 0)
        return rc;
    if (vv_plain_fixed(log)) {
        rc = io->allocate(io, file, log->options.segment_bytes);
        /* Overwriting blocks that were written is twice as fast, where every frame is synced. */
        if (rc == 0 && log->leads)
            rc = vv_prepare_zeros(log, file, log->options.segment_bytes);
    }
    if (rc == 0)
        rc = write_header(log, file, number);
    if (rc == 0)
        rc = io->sync(io, file);
    if (rc != 0) {
        io->close(io, file);
        (void)io->unlink(io, folder, name);
        return rc;
    }
    *ret_file = file;
    return 0;
}

int vv_plain_map(struct varve_log *log, struct vv_segment *segment)
{
    void *map;
    int rc;

    if (log->options.backend != VARVE_BACKEND_MMAP)
        return 0;
    rc = log->io->map(log->io, segment->file, segment->capacity, &map);
    if (rc == 0)
        segment->map = map;
    return rc;
}

int vv_plain_create(struct varve_log *log, uint64_t number, struct vv_segment **ret_segment,
                    struct varve_error *ret_error)
{
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    struct vv_segment *segment = vv_prepare_segment(log);
    int rc;

    vv_plain_file_name(log, number, name);
    if (!segment)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", name);
    segment->number = number;
    segment->capacity = log->options.segment_bytes;
    rc = make_file(log, name, number, &segment->file);
    if (rc == 0)
        rc = vv_plain_map(log, segment);
    if (rc == 0)
        rc = log->io->dir_sync(log->io, log->plain->files.folder);
    if (rc != 0) {
        vv_prepare_discard(log, segment);
        return explain(rc, name, "the file cannot be made", ret_error);
    }
    *ret_segment = segment;
    return 0;
}

/* -- ahead of need -- */

int vv_plain_make(struct varve_log *log, struct varve_error *ret_error)
{
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    struct vv_segment *segment = NULL;
    size_t facts;
    int rc = vv_prepare_fact_room(log, &facts);

    if (rc != 0)
        return vv_error_set(ret_error, rc, 0, "the list of files");
    if (facts + atomic_load(&log->ready_count) >= VV_SEGMENTS_MAX)
        return vv_error_set(ret_error, VARVE_E_LIMIT, 0, "the log has %u files", VV_SEGMENTS_MAX);
    rc = vv_space_allow(log, ret_error);
    if (rc != 0)
        return rc;
    segment = vv_prepare_segment(log);
    temp_name(log->next_number, name);
    if (!segment)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", name);
    segment->number = log->next_number++;
    segment->capacity = log->options.segment_bytes;
    /* Its number is not known yet, and stands in no header of a format with a fixed size. */
    rc = make_file(log, name, 0, &segment->file);
    if (rc == 0)
        rc = vv_plain_map(log, segment);
    if (rc != 0) {
        if (segment->file)
            (void)log->io->unlink(log->io, log->plain->files.folder, name);
        vv_prepare_discard(log, segment);
        return vv_space_explain(log, rc, name, ret_error);
    }
    vv_space_made(log);
    vv_prepare_add(log, segment);
    return 0;
}

int vv_plain_name(struct varve_log *log, struct vv_segment *segment, uint64_t number,
                  struct varve_error *ret_error)
{
    char from[VARVE_FORMAT_FILE_NAME_BYTES], to[VARVE_FORMAT_FILE_NAME_BYTES];
    struct varve_dir *folder = log->plain->files.folder;
    int rc;

    temp_name(segment->number, from);
    vv_plain_file_name(log, number, to);
    rc = log->io->rename(log->io, folder, from, to, 0);
    if (rc == 0) {
        segment->number = number;
        rc = log->io->dir_sync(log->io, folder);
    }
    return rc == 0 ? 0 : explain(rc, to, "the next file cannot get its name", ret_error);
}

struct sweep {
    struct varve_log *log;
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    unsigned skip;
};

static int match_temp(void *arg, const char *name)
{
    struct sweep *sweep = arg;
    size_t len = strlen(name), start = sizeof TEMP_START - 1, end = sizeof TEMP_END - 1;
    uint64_t number;

    if (len >= sizeof sweep->name)
        return 0;
    if ((len != start + 16 + end || strncmp(name, TEMP_START, start) != 0 ||
         strcmp(name + len - end, TEMP_END) != 0) &&
        sweep->log->plain->format->name_get(name, &number) != VARVE_NAME_LEFTOVER)
        return 0;
    memcpy(sweep->name, name, len + 1);
    return 1;
}

void vv_plain_sweep(struct varve_log *log)
{
    struct varve_io *io = log->io;
    struct sweep sweep = {.log = log};

    /* One at a time: a directory that is changed while it is listed may show anything. */
    while (log->plain->files.folder && io->dir_list(io, log->plain->files.folder, match_temp, &sweep) == 1) {
        if (io->unlink(io, log->plain->files.folder, sweep.name) != 0)
            break;
    }
}

/* -- one after the other -- */

void vv_plain_adopt(struct varve_log *log, struct vv_segment *segment, uint64_t at, uint64_t lsn,
                    uint64_t created_us)
{
    segment->base_lsn = lsn;
    log->current = segment;
    atomic_store(&log->plain->writer->at, at);
    if (vv_plain_fixed(log))
        atomic_store(&log->room_bytes, segment->capacity - at);
    pthread_mutex_lock(&log->segments_mutex);
    if (log->fact_count == 0 || log->facts[log->fact_count - 1].number != segment->number) {
        assert(log->fact_count < log->fact_room);
        log->facts[log->fact_count++] = (struct vv_segment_fact){
            .number = segment->number, .base_lsn = lsn, .bytes = at, .created_us = created_us};
    }
    if (vv_plain_fixed(log))
        log->facts[log->fact_count - 1].bytes = segment->capacity;
    pthread_mutex_unlock(&log->segments_mutex);
}

/* The name that the full active file gets: the second, or the next one that is free and above all others. No
 * file is ever replaced, however many are full within one second. */
static int rename_active(struct varve_log *log, uint64_t *ret_number, struct varve_error *ret_error)
{
    char from[VARVE_FORMAT_FILE_NAME_BYTES], to[VARVE_FORMAT_FILE_NAME_BYTES];
    struct varve_dir *folder = log->plain->files.folder;
    const struct vv_side *side = &log->plain->files.side; /* as it was at opening; all zero: there was none */
    uint64_t number = log->io->realtime_us(log->io) / 1000000;
    int rc;

    pthread_mutex_lock(&log->segments_mutex);
    if (log->fact_count > 1)
        number = vv_max_u64(number, log->facts[log->fact_count - 2].number + 1);
    pthread_mutex_unlock(&log->segments_mutex);
    number = vv_max_u64(number, log->plain->writer->anchor + 1);
    /* A clock that was set back since an earlier life must not give it a number below the log's first: the
     * file would count as trimmed. */
    number = vv_max_u64(number, side->anchor + 1);
    if (side->first != VARVE_FORMAT_ACTIVE)
        number = vv_max_u64(number, side->first);
    vv_plain_file_name(log, VARVE_FORMAT_ACTIVE, from);
    for (;; number++) {
        vv_plain_file_name(log, number, to);
        rc = log->io->rename(log->io, folder, from, to, 0);
        if (rc != -EEXIST)
            break;
    }
    *ret_number = number;
    return rc == 0 ? 0 : explain(rc, from, "the full file cannot be renamed", ret_error);
}

static int rotate_renamed(struct varve_log *log, struct vv_segment **ret_segment, uint64_t *ret_closed,
                          struct varve_error *ret_error)
{
    char unborn[VARVE_FORMAT_FILE_NAME_BYTES], active[VARVE_FORMAT_FILE_NAME_BYTES];
    struct varve_dir *folder = log->plain->files.folder;
    struct vv_segment *segment;
    int rc = vv_plain_create(log, VARVE_FORMAT_UNBORN, &segment, ret_error);

    if (rc != 0)
        return rc;
    segment->number = VARVE_FORMAT_ACTIVE;
    vv_plain_file_name(log, VARVE_FORMAT_UNBORN, unborn);
    vv_plain_file_name(log, VARVE_FORMAT_ACTIVE, active);
    rc = rename_active(log, ret_closed, ret_error);
    if (rc == 0) {
        /* Names reach the disk in any order: were the new file's there and the full one's not, nothing would
         * name the full one any more. */
        rc = log->io->dir_sync(log->io, folder);
        if (rc == 0)
            rc = log->io->rename(log->io, folder, unborn, active, 0);
        if (rc == 0)
            rc = log->io->dir_sync(log->io, folder);
        if (rc != 0)
            rc = explain(rc, unborn, "the next file cannot get its name", ret_error);
    }
    if (rc != 0) {
        vv_prepare_discard(log, segment);
        return rc;
    }
    *ret_segment = segment;
    return 0;
}

/* What is known of the file that was left, and what VARVE will say of it. */
static void note_closed(struct varve_log *log, uint64_t number, uint64_t bytes, uint64_t lsn)
{
    struct vv_plain_writer *w = log->plain->writer;

    pthread_mutex_lock(&log->segments_mutex);
    log->facts[log->fact_count - 1].number = number;
    if (!vv_plain_fixed(log))
        log->facts[log->fact_count - 1].bytes = bytes;
    w->anchor = number;
    w->anchor_lsn = lsn;
    w->facts_due = true;
    pthread_mutex_unlock(&log->segments_mutex);
}

static int next_file(struct varve_log *log, struct vv_segment **ret_segment, uint64_t *ret_closed,
                     struct varve_error *ret_error)
{
    uint64_t number = log->current->number;
    int rc;

    *ret_closed = number;
    if (log->plain->format->layout == VARVE_LAYOUT_RENAMED)
        return rotate_renamed(log, ret_segment, ret_closed, ret_error);
    if (!vv_plain_fixed(log))
        return vv_plain_create(log, number + 1, ret_segment, ret_error);
    rc = vv_prepare_take(log, ret_segment, ret_error);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&log->segments_mutex);
    log->taken_count--;
    pthread_mutex_unlock(&log->segments_mutex);
    rc = vv_plain_name(log, *ret_segment, number + 1, ret_error);
    if (rc != 0)
        vv_prepare_discard(log, *ret_segment);
    return rc;
}

int vv_plain_rotate(struct varve_log *log, struct vv_slot *slot, uint64_t lsn, struct varve_error *ret_error)
{
    struct vv_segment *old = log->current, *segment;
    uint64_t closed, bytes = atomic_load(&log->plain->writer->at);
    size_t facts;
    int rc = vv_prepare_fact_room(log, &facts);

    if (rc != 0)
        return vv_error_set(ret_error, rc, 0, "the list of files");
    if (facts >= VV_SEGMENTS_MAX)
        return vv_error_set(ret_error, VARVE_E_LIMIT, 0, "the log has %u files", VV_SEGMENTS_MAX);
    rc = vv_write_sync(log, old, &slot->flight, ret_error);
    if (rc == 0)
        rc = next_file(log, &segment, &closed, ret_error);
    if (rc != 0)
        return rc;
    note_closed(log, closed, bytes, lsn);
    VV_COUNT(log, segments_opened, 1);
    vv_plain_adopt(log, segment, log->plain->format->header_bytes, lsn, log->io->realtime_us(log->io));
    /* A name that is the time tells nobody what came before: the facts go with it. */
    if (log->plain->format->layout == VARVE_LAYOUT_RENAMED)
        vv_plain_tell_facts(log);
    vv_prepare_retire(log, old);
    return 0;
}
