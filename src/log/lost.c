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
#include "base/crc.h"
#include "base/error.h"
#include "format/segment.h"
#include "log/open.h"
#include "log/walk.h"

enum {
    COPY_BYTES = 65536,
    LINE_BYTES = 256
};

static int error_code(int rc)
{
    return rc == -ENOMEM ? VARVE_E_NOMEM : rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO;
}

static int add_range(struct vv_lost *lost, uint64_t first, uint64_t last)
{
    if (lost->count == lost->room) {
        size_t room = lost->room ? lost->room * 2 : 16;
        struct vv_lost_range *ranges = vv_realloc(lost->ranges, room * sizeof *ranges);

        if (!ranges)
            return VARVE_E_NOMEM;
        lost->ranges = ranges;
        lost->room = room;
    }
    lost->ranges[lost->count++] = (struct vv_lost_range){first, last};
    return 0;
}

/* A line ends in the checksum of what stands before that. */
static int take_line(struct vv_lost *lost, const char *line, size_t len)
{
    const size_t tail = strlen(" crc32c 00000000");
    char copy[LINE_BYTES], expected[32];
    uint64_t first, last;

    if (len >= sizeof copy || len <= tail)
        return 0;
    memcpy(copy, line, len);
    copy[len] = 0;
    snprintf(expected, sizeof expected, " crc32c %08" PRIx32, vv_crc32c(0, line, len - tail));
    if (strcmp(copy + len - tail, expected) != 0 ||
        sscanf(copy, "lsn %" SCNu64 " to %" SCNu64, &first, &last) != 2)
        return 0;
    return add_range(lost, first, last);
}

static int read_index(struct vv_lost *lost, struct varve_io *io, struct varve_file *file,
                      struct varve_error *ret_error)
{
    char buf[4096];
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
        while ((end = memchr(line, '\n', have - (size_t)(line - buf)))) {
            if (take_line(lost, line, (size_t)(end - line)) != 0)
                return vv_error_set(ret_error, VARVE_E_NOMEM, 0, VV_LOST_DIR "/" VV_LOST_INDEX);
            line = end + 1;
        }
        have -= (size_t)(line - buf);
        if (n == 0)
            return 0;
        if (have == sizeof buf)
            have = 0; /* not a line of ours */
        else
            memmove(buf, line, have);
    }
}

/* Opening it has given `rc`: is there no such file? What is there must not pass for missing. */
static bool is_missing(struct varve_io *io, struct varve_dir *dir, const char *name, int rc)
{
    struct varve_io_stat stat;

    return rc == -ENOENT && io->stat_name(io, dir, name, &stat) == -ENOENT;
}

int vv_lost_load(struct vv_lost *lost, struct varve_io *io, struct varve_dir *dir,
                 struct varve_error *ret_error)
{
    struct varve_io_stat stat;
    struct varve_dir *sub;
    struct varve_file *file;
    int rc;

    memset(lost, 0, sizeof *lost);
    rc = io->stat_name(io, dir, VV_LOST_DIR, &stat);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0)
        rc = io->dir_open(io, dir, VV_LOST_DIR, 0, &sub, NULL);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, VV_LOST_DIR ": cannot be opened");
    rc = io->open(io, sub, VV_LOST_INDEX, VARVE_IO_READ, &file);
    if (rc == 0) {
        rc = read_index(lost, io, file, ret_error);
        io->close(io, file);
    } else if (is_missing(io, sub, VV_LOST_INDEX, rc)) {
        rc = 0;
    } else {
        rc = vv_error_set(ret_error, VARVE_E_IO, -rc, VV_LOST_DIR "/" VV_LOST_INDEX ": cannot be opened");
    }
    io->dir_close(io, sub);
    if (rc != 0)
        vv_lost_free(lost);
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

uint64_t vv_lost_from(const struct vv_lost *lost, uint64_t first)
{
    uint64_t last = 0;

    for (size_t i = 0; i < lost->count; i++) {
        if (lost->ranges[i].first == first && lost->ranges[i].last >= first)
            last = vv_max_u64(last, lost->ranges[i].last);
    }
    return last;
}

/* Copies bytes of one open file to another, as far as there are any. Negative errno. */
static int copy_bytes(struct varve_io *io, struct varve_file *from, uint64_t offset, uint64_t end,
                      struct varve_file *to)
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
            ssize_t w = io->pwritev(io, to, &iov, 1, at - offset + done, 0);

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

static int set_aside(struct varve_io *io, struct varve_dir *dir, struct varve_dir *sub,
                     const struct vv_damage *damage, const char *name)
{
    char segment[VV_SEGMENT_NAME_BYTES];
    struct varve_file *from, *to;
    int rc;

    vv_segment_name(damage->segment, segment);
    rc = io->open(io, dir, segment, VARVE_IO_READ, &from);
    if (rc != 0)
        return is_missing(io, dir, segment, rc) ? 0 : rc;
    rc = io->unlink(io, sub, name);
    if (rc == 0 || rc == -ENOENT)
        rc = io->open(io, sub, name, VARVE_IO_WRITE | VARVE_IO_CREATE, &to);
    if (rc == 0) {
        rc = copy_bytes(io, from, damage->offset, damage->end_offset, to);
        if (rc == 0)
            rc = io->sync(io, to);
        io->close(io, to);
    }
    io->close(io, from);
    return rc;
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

static int add_line(struct varve_io *io, struct varve_dir *sub, const struct vv_damage *damage,
                    const char *name)
{
    char line[LINE_BYTES];
    struct varve_io_stat stat;
    struct varve_file *file;
    struct iovec iov[2] = {{"\n", 1}, {line, 0}};
    bool torn = false;
    ssize_t n;
    int len, rc;

    rc = io->open(io, sub, VV_LOST_INDEX, VARVE_IO_WRITE, &file);
    if (rc == -ENOENT)
        rc = io->open(io, sub, VV_LOST_INDEX, VARVE_IO_WRITE | VARVE_IO_CREATE, &file);
    if (rc != 0)
        return rc;
    len = snprintf(line, sizeof line,
                   "lsn %" PRIu64 " to %" PRIu64 " segment %" PRIu64 " offset %" PRIu64 " %s file %s",
                   damage->lsn_first, damage->lsn_last, damage->segment, damage->offset,
                   varve_verdict_name(damage->verdict), name);
    len += snprintf(line + len, sizeof line - (size_t)len, " crc32c %08" PRIx32 "\n",
                    vv_crc32c(0, line, (size_t)len));
    iov[1].iov_len = (size_t)len;
    rc = io->stat(io, file, &stat);
    if (rc == 0)
        rc = ends_torn(io, file, stat.size_bytes, &torn);
    if (rc == 0) {
        n = io->pwritev(io, file, torn ? iov : iov + 1, torn ? 2 : 1, stat.size_bytes, 0);
        if (n == len + torn)
            rc = io->sync(io, file);
        else
            rc = n < 0 ? (int)n : -EIO;
        /* A line that did not get there whole, or may not be durable, does not count. */
        if (rc != 0)
            (void)io->truncate(io, file, stat.size_bytes);
    }
    io->close(io, file);
    return rc;
}

int vv_lost_add(struct vv_lost *lost, struct varve_io *io, struct varve_dir *dir,
                const struct vv_damage *damage, struct varve_error *ret_error)
{
    char name[96] = "-";
    struct varve_dir *sub;
    int created, rc;

    if (vv_lost_has(lost, damage->lsn_first, damage->lsn_last))
        return 0;
    rc = io->dir_open(io, dir, VV_LOST_DIR, 1, &sub, &created);
    if (rc == 0 && created) {
        rc = io->dir_sync(io, dir);
        if (rc != 0)
            io->dir_close(io, sub);
    }
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, VV_LOST_DIR ": cannot be made");
    if (damage->end_offset > damage->offset) {
        snprintf(name, sizeof name, "wal-%016" PRIx64 "-%" PRIu64 ".bin", damage->segment, damage->offset);
        rc = set_aside(io, dir, sub, damage, name);
    }
    if (rc == 0)
        rc = add_line(io, sub, damage, name);
    if (rc == 0)
        rc = io->dir_sync(io, sub);
    io->dir_close(io, sub);
    if (rc != 0)
        return vv_error_set(ret_error, error_code(rc), -rc,
                            VV_LOST_DIR ": the damaged bytes cannot be set aside");
    if (add_range(lost, damage->lsn_first, damage->lsn_last) != 0)
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
