/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MANIFEST <-> its file.
 *
 * A crash while it is written leaves the old one, whole: the new one stands under another name until it is
 * synced. What is left under that name is overwritten by the next one.
 */
#include "log/manifest.h"

#include <errno.h>
#include <stdint.h>

#include "base/error.h"

int vv_manifest_read(struct varve_io *io, struct varve_dir *dir, struct vv_manifest *ret_manifest,
                     struct varve_error *ret_error)
{
    char text[VV_MANIFEST_BYTES_MAX + 1];
    struct varve_file *file;
    size_t len = 0;
    ssize_t n;
    int rc = io->open(io, dir, VV_MANIFEST_NAME, VARVE_IO_READ, &file);

    if (rc == -ENOENT)
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "there is no " VV_MANIFEST_NAME);
    if (rc == -ELOOP || rc == -EMEDIUMTYPE)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, VV_MANIFEST_NAME ": not a regular file");
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, VV_MANIFEST_NAME ": cannot be opened");
    do {
        n = io->pread(io, file, text + len, sizeof text - len, len);
        if (n > 0)
            len += (size_t)n;
    } while (n == -EINTR || (n > 0 && len < sizeof text));
    io->close(io, file);
    if (n < 0)
        return vv_error_set(ret_error, VARVE_E_IO, (int)-n, VV_MANIFEST_NAME ": cannot be read");
    return vv_manifest_decode(text, len, ret_manifest, ret_error);
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

int vv_manifest_write(struct varve_io *io, struct varve_dir *dir, const struct vv_manifest *manifest,
                      struct varve_error *ret_error)
{
    char text[VV_MANIFEST_BYTES_MAX];
    size_t len = vv_manifest_encode(manifest, text);
    struct varve_file *file;
    int rc = io->unlink(io, dir, VV_MANIFEST_TEMP);

    if (rc == 0 || rc == -ENOENT)
        rc = io->open(io, dir, VV_MANIFEST_TEMP, VARVE_IO_WRITE | VARVE_IO_CREATE, &file);
    if (rc == 0) {
        rc = write_text(io, file, text, len);
        io->close(io, file);
        if (rc == 0)
            rc = io->rename(io, dir, VV_MANIFEST_TEMP, VV_MANIFEST_NAME, 1);
        if (rc == 0)
            rc = io->dir_sync(io, dir);
    }
    if (rc != 0)
        return vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                            VV_MANIFEST_NAME ": cannot be written");
    return 0;
}
