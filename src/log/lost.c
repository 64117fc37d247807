/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost: bytes that a skip policy passes over -> lost/.
 *
 * The copy is durable before the line is, and the line before the log goes on: so a crash in between makes
 * the next open do it again.
 */
#include "log/lost.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "format/segment.h"
#include "log/open.h"
#include "log/replace.h"
#include "log/walk.h"

enum {
    COPY_BYTES = 65536,
    READ_BYTES = 4096
};
_Static_assert((int)READ_BYTES > (int)VV_LOST_LINE_BYTES, "a line fits");

static int error_code(int rc)
{
    return rc == -ENOMEM ? VARVE_E_NOMEM : rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO;
}

static int add_range(struct vv_lost *lost, const struct vv_lost_line *line)
{
    if (lost->count == lost->room) {
        size_t room = lost->room ? lost->room * 2 : 16;
        struct vv_lost_range *ranges = vv_realloc(lost->ranges, room * sizeof *ranges);

        if (!ranges)
            return VARVE_E_NOMEM;
        lost->ranges = ranges;
        lost->room = room;
    }
    lost->ranges[lost->count++] = (struct vv_lost_range){.first = line->first,
                                                         .last = line->last,
                                                         .segment = line->segment,
                                                         .offset = line->offset,
                                                         .repaired = line->repaired};
    return 0;
}

static int take_line(void *arg, const struct vv_lost_line *line, const char *text, size_t len)
{
    struct vv_lost *lost = arg;
    (void)text;

    lost->index_bytes += len + 1;
    if (!line) {
        lost->unread++;
        return 0;
    }
    lost->last_id = vv_max_u64(lost->last_id, line->id);
    return line->what == VV_LOST_SET_ASIDE ? 0 : add_range(lost, line);
}

static int give_line(vv_lost_line_fn fn, void *arg, const char *text, size_t len)
{
    struct vv_lost_line line;

    return fn(arg, vv_lost_decode(text, len, &line) ? &line : NULL, text, len);
}

/* A line that is longer than any of ours is given in pieces, none of which checks. */
static int read_index(struct varve_io *io, struct varve_file *file, vv_lost_line_fn fn, void *arg,
                      struct varve_error *ret_error)
{
    char buf[READ_BYTES];
    size_t have = 0;
    uint64_t offset = 0;
    struct varve_io_stat stat;
    int rc = io->stat(io, file, &stat);

    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, VV_LOST_DIR "/" VV_LOST_INDEX ": cannot be read");
    for (;;) {
        ssize_t n = io->pread(io, file, buf + have, sizeof buf - have, offset);
        char *line = buf, *end;

        if (n == -EINTR)
            continue;
        if (n == 0 && offset < stat.size_bytes)
            n = -EIO; /* the file has more */
        if (n < 0)
            return vv_error_set(ret_error, VARVE_E_IO, (int)-n,
                                VV_LOST_DIR "/" VV_LOST_INDEX ": cannot be read");
        offset += (uint64_t)n;
        have += (size_t)n;
        while (rc == 0 && (end = memchr(line, '\n', have - (size_t)(line - buf)))) {
            rc = give_line(fn, arg, line, (size_t)(end - line));
            line = end + 1;
        }
        have -= (size_t)(line - buf);
        if (rc == 0 && have != 0 && (n == 0 || have == sizeof buf)) {
            rc = give_line(fn, arg, line, have);
            have = 0;
        }
        if (rc != 0)
            return rc;
        if (n == 0)
            return 0;
        memmove(buf, line, have);
    }
}

/* Opening it has given `rc`: is there no such file? What is there must not pass for missing. */
static bool is_missing(struct varve_io *io, struct varve_dir *dir, const char *name, int rc)
{
    struct varve_io_stat stat;

    return rc == -ENOENT && io->stat_name(io, dir, name, &stat) == -ENOENT;
}

int vv_lost_open(struct varve_io *io, struct varve_dir *dir, bool create, struct varve_dir **ret_sub,
                 struct varve_error *ret_error)
{
    struct varve_io_stat stat;
    int created = 0, rc = create ? 0 : io->stat_name(io, dir, VV_LOST_DIR, &stat);

    if (rc == -ENOENT)
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0,
                            "nothing is set aside: there is no " VV_LOST_DIR);
    if (rc == 0)
        rc = io->dir_open(io, dir, VV_LOST_DIR, create, ret_sub, &created);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, VV_LOST_DIR ": cannot be opened");
    /* Also where it is there: who made it may not have got so far. */
    rc = create ? io->dir_sync(io, dir) : 0;
    if (rc != 0) {
        io->dir_close(io, *ret_sub);
        return vv_error_set(ret_error, VARVE_E_IO, -rc, VV_LOST_DIR ": its name cannot be made durable");
    }
    return 0;
}

int vv_lost_each(struct varve_io *io, struct varve_dir *sub, vv_lost_line_fn fn, void *arg,
                 struct varve_error *ret_error)
{
    struct varve_file *file;
    int rc = io->open(io, sub, VV_LOST_INDEX, VARVE_IO_READ, &file);

    if (is_missing(io, sub, VV_LOST_INDEX, rc))
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "nothing is set aside");
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, VV_LOST_DIR "/" VV_LOST_INDEX ": cannot be opened");
    rc = read_index(io, file, fn, arg, ret_error);
    io->close(io, file);
    return rc;
}

int vv_lost_load(struct vv_lost *lost, struct varve_io *io, struct varve_dir *dir,
                 struct varve_error *ret_error)
{
    struct varve_error error;
    struct varve_dir *sub;
    int rc;

    memset(lost, 0, sizeof *lost);
    vv_error_clear(&error);
    rc = vv_lost_open(io, dir, false, &sub, &error);
    if (rc == 0) {
        rc = vv_lost_each(io, sub, take_line, lost, &error);
        io->dir_close(io, sub);
    }
    if (rc == VARVE_E_NOT_FOUND)
        return 0;
    if (rc != 0)
        vv_lost_free(lost);
    if (rc == VARVE_E_NOMEM)
        return vv_error_set(ret_error, rc, 0, VV_LOST_DIR "/" VV_LOST_INDEX);
    if (rc != 0)
        vv_error_copy(ret_error, &error);
    return rc;
}

void vv_lost_free(struct vv_lost *lost)
{
    vv_free(lost->ranges);
    memset(lost, 0, sizeof *lost);
}

bool vv_lost_has(const struct vv_lost *lost, uint64_t first, uint64_t last)
{
    for (size_t i = 0; i < lost->count; i++) {
        if (lost->ranges[i].first == first && lost->ranges[i].last == last)
            return true;
    }
    return false;
}

bool vv_lost_repaired(const struct vv_lost *lost, uint64_t first, uint64_t last)
{
    for (size_t i = 0; i < lost->count; i++) {
        if (lost->ranges[i].first == first && lost->ranges[i].last == last)
            return lost->ranges[i].repaired;
    }
    return false;
}

bool vv_lost_holds(const struct vv_lost *lost, const struct vv_damage *damage)
{
    for (size_t i = 0; i < lost->count; i++) {
        const struct vv_lost_range *range = &lost->ranges[i];

        if (range->first == damage->lsn_first && range->last == damage->lsn_last &&
            range->segment == damage->segment && range->offset == damage->offset)
            return true;
    }
    return false;
}

uint64_t vv_lost_from(const struct vv_lost *lost, uint64_t first)
{
    uint64_t last = 0;

    for (size_t i = 0; i < lost->count; i++) {
        if (lost->ranges[i].first == first && lost->ranges[i].last >= first)
            last = vv_max_u64(last, lost->ranges[i].last);
    }
    return last;
}

int vv_lost_copy(struct varve_io *io, struct varve_file *from, uint64_t offset, uint64_t end,
                 struct varve_file *to, uint64_t to_offset)
{
    uint8_t *buf = vv_alloc(COPY_BYTES);
    uint64_t at = offset;
    struct varve_io_stat stat;
    int rc = buf ? io->stat(io, from, &stat) : -ENOMEM;

    if (rc == 0)
        end = vv_min_u64(end, stat.size_bytes);
    while (rc == 0 && at < end) {
        ssize_t n = io->pread(io, from, buf, vv_min_u64(COPY_BYTES, end - at), at);
        size_t done = 0;

        if (n == -EINTR)
            continue;
        if (n <= 0) {
            rc = n == 0 ? -EIO : (int)n;
            break;
        }
        while (rc == 0 && done < (size_t)n) {
            struct iovec iov = {buf + done, (size_t)n - done};
            ssize_t w = io->pwritev(io, to, &iov, 1, to_offset + (at - offset) + done, 0);

            if (w > 0)
                done += (size_t)w;
            else if (w != -EINTR)
                rc = w == 0 ? -EIO : (int)w;
        }
        at += (uint64_t)n;
    }
    vv_free(buf);
    return rc;
}

static int set_aside(struct varve_io *io, struct varve_dir *from_dir, struct varve_dir *sub,
                     const struct vv_damage *damage, const char *name)
{
    char segment[VV_SEGMENT_NAME_BYTES];
    const char *source = damage->file ? damage->file : segment;
    struct varve_file *from, *to;
    int rc;

    vv_segment_name(damage->segment, segment);
    rc = io->open(io, from_dir, source, VARVE_IO_READ, &from);
    if (rc != 0)
        return is_missing(io, from_dir, source, rc) ? 0 : rc;
    rc = io->unlink(io, sub, name);
    if (rc == 0 || rc == -ENOENT)
        rc = io->open(io, sub, name, VARVE_IO_WRITE | VARVE_IO_CREATE, &to);
    if (rc == 0) {
        rc = vv_lost_copy(io, from, damage->offset, damage->end_offset, to, 0);
        if (rc == 0)
            rc = io->sync(io, to);
        io->close(io, to);
    }
    io->close(io, from);
    return rc == 0 ? io->dir_sync(io, sub) : rc;
}

/* Whether the file ends in the middle of a line, as a power cut may leave it. */
static int ends_torn(struct varve_io *io, struct varve_file *file, uint64_t bytes, bool *ret_torn)
{
    char last = '\n';
    ssize_t n = 1;

    while (bytes > 0 && (n = io->pread(io, file, &last, 1, bytes - 1)) == -EINTR)
        ;
    *ret_torn = n == 1 && last != '\n';
    return n == 1 ? 0 : n < 0 ? (int)n : -EIO;
}

int vv_lost_append(struct varve_io *io, struct varve_dir *sub, const struct vv_lost_line *line)
{
    char text[VV_LOST_LINE_BYTES];
    struct varve_io_stat stat;
    struct varve_file *file;
    struct iovec iov[2] = {{"\n", 1}, {text, 0}};
    bool torn = false;
    ssize_t n;
    size_t len;
    int rc;

    rc = io->open(io, sub, VV_LOST_INDEX, VARVE_IO_WRITE, &file);
    if (rc == -ENOENT)
        rc = io->open(io, sub, VV_LOST_INDEX, VARVE_IO_WRITE | VARVE_IO_CREATE, &file);
    if (rc != 0)
        return rc;
    len = vv_lost_encode(line, text);
    iov[1].iov_len = len;
    rc = io->stat(io, file, &stat);
    if (rc == 0)
        rc = ends_torn(io, file, stat.size_bytes, &torn);
    if (rc == 0) {
        n = io->pwritev(io, file, torn ? iov : iov + 1, torn ? 2 : 1, stat.size_bytes, 0);
        if (n == (ssize_t)len + torn)
            rc = io->sync(io, file);
        else
            rc = n < 0 ? (int)n : -EIO;
        /* A line that did not get there whole, or may not be durable, does not count. */
        if (rc != 0)
            (void)io->truncate(io, file, stat.size_bytes);
    }
    io->close(io, file);
    return rc == 0 ? io->dir_sync(io, sub) : rc;
}

int vv_lost_add(struct vv_lost *lost, struct varve_io *io, struct varve_dir *dir, struct varve_dir *from,
                const struct vv_damage *damage, struct varve_error *ret_error)
{
    struct vv_lost_line line = {
        .id = lost->last_id + 1,
        .first = damage->lsn_first,
        .last = damage->lsn_last,
        .segment = damage->segment,
        .offset = damage->offset,
        .what = (enum vv_lost_what)damage->verdict,
        .trust = (uint32_t)damage->trust,
        .salt = damage->salt,
        .sector_bytes = damage->sector_bytes,
        .time_us = io->realtime_us(io),
    };
    struct varve_dir *sub;
    int rc;

    if (damage->file ? vv_lost_holds(lost, damage) : vv_lost_has(lost, damage->lsn_first, damage->lsn_last))
        return 0;
    rc = vv_lost_open(io, dir, true, &sub, ret_error);
    if (rc != 0)
        return rc;
    if (damage->end_offset > damage->offset) {
        if (damage->file)
            snprintf(line.file, sizeof line.file, "%s-%" PRIu64 ".bin", damage->file, damage->offset);
        else
            snprintf(line.file, sizeof line.file, "wal-%016" PRIx64 "-%" PRIu64 ".bin", damage->segment,
                     damage->offset);
        rc = set_aside(io, from, sub, damage, line.file);
    }
    if (rc == 0)
        rc = vv_lost_append(io, sub, &line);
    io->dir_close(io, sub);
    if (rc != 0)
        return vv_error_set(ret_error, error_code(rc), -rc,
                            VV_LOST_DIR ": the damaged bytes cannot be set aside");
    lost->last_id++;
    if (add_range(lost, &line) != 0)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, VV_LOST_DIR);
    return 0;
}

int vv_lost_keep(struct varve_io *io, struct varve_dir *dir, struct varve_error *ret_error)
{
    struct varve_dir *sub;
    int rc = io->dir_open(io, dir, VV_LOST_DIR, 0, &sub, NULL);

    if (rc == 0) {
        rc = vv_open_write_again(io, sub, VV_LOST_INDEX, 0, UINT64_MAX);
        if (rc == 0)
            rc = io->dir_sync(io, sub);
        io->dir_close(io, sub);
    }
    if (rc == 0)
        rc = io->dir_sync(io, dir);
    if (rc != 0)
        return vv_error_set(ret_error, error_code(rc), -rc,
                            VV_LOST_DIR "/" VV_LOST_INDEX ": cannot be made durable");
    return 0;
}

/* -- the index written anew -- */

struct edit {
    vv_lost_edit_fn fn;
    void *arg;
    char *text;
    size_t len, room;
};

static int put(struct edit *e, const char *text, size_t len)
{
    if (e->room - e->len < len + 1) {
        size_t room = (e->len + len + 1) * 2;
        char *grown = vv_realloc(e->text, room);

        if (!grown)
            return VARVE_E_NOMEM;
        e->text = grown;
        e->room = room;
    }
    memcpy(e->text + e->len, text, len);
    e->len += len;
    return 0;
}

static int edit_line(void *arg, const struct vv_lost_line *line, const char *text, size_t len)
{
    struct edit *e = arg;
    char again[VV_LOST_LINE_BYTES];
    struct vv_lost_line changed;
    int rc;

    if (!line) {
        rc = put(e, text, len);
        return rc ? rc : put(e, "\n", 1);
    }
    changed = *line;
    return e->fn(e->arg, &changed) ? put(e, again, vv_lost_encode(&changed, again)) : 0;
}

int vv_lost_edit(struct varve_io *io, struct varve_dir *sub, vv_lost_edit_fn fn, void *arg,
                 struct varve_error *ret_error)
{
    struct edit e = {.fn = fn, .arg = arg};
    int rc = vv_lost_each(io, sub, edit_line, &e, ret_error);

    if (rc == VARVE_E_NOMEM)
        rc = vv_error_set(ret_error, rc, 0, VV_LOST_DIR "/" VV_LOST_INDEX);
    if (rc == 0) {
        rc = vv_replace_file(io, sub, VV_LOST_INDEX_TEMP, VV_LOST_INDEX, e.text ? e.text : "", e.len);
        if (rc != 0)
            rc = vv_error_set(ret_error, error_code(rc), -rc,
                              VV_LOST_DIR "/" VV_LOST_INDEX ": cannot be written");
    }
    vv_free(e.text);
    return rc;
}
