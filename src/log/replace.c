/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replace: a small file of facts is never written in place.
 *
 * A crash while it is written leaves the old one, whole: the new one stands under another name until it is
 * synced. What is left under that name is removed by the next one.
 */
#include "log/replace.h"

#include <errno.h>
#include <stdint.h>

int vv_replace_read(struct varve_io *io, struct varve_dir *dir, const char *name, char *buf, size_t room,
                    size_t *ret_len)
{
    struct varve_io_stat stat;
    struct varve_file *file;
    size_t len = 0;
    int rc = io->open(io, dir, name, VARVE_IO_READ, &file);

    /* Somebody may have made it just now; else what is there and cannot be opened must not pass for missing.
     */
    if (rc == -ENOENT) {
        int there = io->stat_name(io, dir, name, &stat);

        if (there != -ENOENT)
            rc = io->open(io, dir, name, VARVE_IO_READ, &file);
        if (rc == -ENOENT && there != -ENOENT)
            rc = there != 0 ? there : -EIO;
    }
    if (rc != 0)
        return rc;
    rc = io->stat(io, file, &stat);
    while (rc == 0 && len < room && len < stat.size_bytes) {
        ssize_t n = io->pread(io, file, buf + len, room - len, len);

        if (n > 0)
            len += (size_t)n;
        else if (n != -EINTR)
            rc = n == 0 ? -EIO : (int)n;
    }
    io->close(io, file);
    if (rc == 0)
        *ret_len = len;
    return rc;
}

static int write_text(struct varve_io *io, struct varve_file *file, const char *text, size_t len)
{
    size_t done = 0;

    while (done < len) {
        struct iovec iov = {(void *)(uintptr_t)(text + done), len - done};
        ssize_t n = io->pwritev(io, file, &iov, 1, done, 0);

        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? -EIO : (int)n;
        done += (size_t)n;
    }
    return io->sync(io, file);
}

int vv_replace_file(struct varve_io *io, struct varve_dir *dir, const char *temp, const char *name,
                    const char *text, size_t len)
{
    struct varve_file *file;
    int rc = io->unlink(io, dir, temp);

    if (rc == 0 || rc == -ENOENT)
        rc = io->open(io, dir, temp, VARVE_IO_WRITE | VARVE_IO_CREATE, &file);
    if (rc != 0)
        return rc;
    rc = write_text(io, file, text, len);
    io->close(io, file);
    if (rc == 0)
        rc = io->rename(io, dir, temp, name, 1);
    if (rc == 0)
        rc = io->dir_sync(io, dir);
    return rc;
}
