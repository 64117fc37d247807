/* SPDX-License-Identifier: Apache-2.0 */
/* device: what the file system below the log can do -> backend and sector size. Source: open(2), statx(2). */
#include "log/device.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "log/failover.h"

#define PROBE_NAME "new-probe.tmp"

/* Tries a direct write of 4096 bytes: where the system does not say what it needs, only trying tells. */
static int probe(struct varve_log *log, uint32_t *ret_align)
{
    struct varve_io *io = log->io;
    struct varve_io_stat stat;
    struct varve_file *file;
    uint8_t *page;
    int rc = io->unlink(io, log->dir, PROBE_NAME);

    if (rc != 0 && rc != -ENOENT)
        return rc;
    rc = io->open(io, log->dir, PROBE_NAME, VARVE_IO_WRITE | VARVE_IO_CREATE | VARVE_IO_DIRECT, &file);
    if (rc != 0)
        return rc;
    rc = io->stat(io, file, &stat);
    page = vv_alloc_aligned(4096, 4096);
    if (!page)
        rc = -ENOMEM;
    if (rc == 0 && stat.direct_align == 0) {
        struct iovec iov = {page, 4096};
        ssize_t n;

        memset(page, 0, 4096);
        n = io->pwritev(io, file, &iov, 1, 0, 0);
        rc = n < 0 ? (int)n : 0;
        stat.direct_align = 4096;
    }
    vv_free(page);
    io->close(io, file);
    (void)io->unlink(io, log->dir, PROBE_NAME);
    if (rc == 0)
        *ret_align = stat.direct_align;
    return rc;
}

int vv_device_choose(struct varve_log *log, struct varve_error *ret_error)
{
    struct varve_options *o = &log->options;
    uint32_t align = 512;
    int rc = 0;

    if (log->in_memory || o->backend == VARVE_BACKEND_BUFFERED) {
        log->direct = false;
    } else {
        rc = probe(log, &align);
        log->direct = rc == 0 && align <= VV_SECTOR_BYTES_MAX;
        if (rc != 0 && rc != -EINVAL && rc != -EOPNOTSUPP)
            return vv_error_set(ret_error, rc == -ENOSPC ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                                "a file cannot be made in the directory");
        if (!log->direct && o->backend == VARVE_BACKEND_DIRECT)
            return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, rc != 0 ? -rc : EINVAL,
                                "backend direct: the file system cannot bypass the page cache");
    }
    vv_failover_device(log, &align);
    if (!log->direct || align < 512)
        align = 512;
    /* An error of writing back pages is told once, to whoever syncs the file next, for whichever pages it
     * was. Were two syncs under way, the other could be told that all is well of pages that were lost. */
    if (!log->direct)
        o->writes_in_flight = 1;
    o->backend = log->direct ? VARVE_BACKEND_DIRECT : VARVE_BACKEND_BUFFERED;
    if (o->sector_bytes == 0)
        o->sector_bytes = align;
    if (o->sector_bytes < align)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option sector_bytes: %" PRIu32 ", and the device writes no less than %" PRIu32,
                            o->sector_bytes, align);
    log->sector_bytes = o->sector_bytes;
    return 0;
}
