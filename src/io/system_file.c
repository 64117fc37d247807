/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Linux backend: bytes of an open file. What stands on the commit path (pread, pwritev, sync) allocates
 * nothing and looks up no path. EINTR is tried again here only where nothing was moved; a count that is short
 * is handed back.
 */
#include "io/system.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

/* Zeros are written in pieces of this size: larger ones make small buffered writes dearer later. */
enum {
    SYSTEM_ZERO_BYTES = 64 * 1024,
    SYSTEM_ZERO_ALIGN = 4096
};

/* Errors: -EIO. */
int vv_system_stat(struct varve_io *io, struct varve_file *file, struct varve_io_stat *ret_stat)
{
    (void)io;
    return vv_system_stat_at(file->fd, "", ret_stat);
}

/* Errors: -EIO -EINVAL (direct I/O that is not aligned; an offset past the largest there is) -EBADMSG and
 * others that a file system has for damage. Source: pread(2). */
ssize_t vv_system_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len, uint64_t offset)
{
    (void)io;
    if (offset > INT64_MAX) {
        return -EINVAL;
    }
    ssize_t got;
    do {
        got = pread(file->fd, buf, len, (off_t)offset);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static ssize_t system_write(int fd, const struct iovec *iov, int iov_count, uint64_t offset, int flags)
{
    ssize_t put;
    do {
        put = flags != 0 ? pwritev2(fd, iov, iov_count, (off_t)offset, flags)
                         : pwritev(fd, iov, iov_count, (off_t)offset);
    } while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

enum {
    SYSTEM_LIMIT_US = 1000 /* how old what is known of the limit may be; in fact a tick of the coarse clock */
};

/* The kernel sends SIGXFSZ for a write past RLIMIT_FSIZE also where the file is that large already. Somebody
 * may lower the limit under way: it is looked at again with each tick of the coarse clock, which saves a call
 * at nearly each write; within a tick (4 ms, 10 at most) of a limit that is lowered the signal can still
 * come. */
static int system_check_end(struct varve_file *file, const struct iovec *iov, int iov_count, uint64_t offset)
{
    uint64_t end = offset, now = vv_system_monotonic_coarse_us(NULL);
    if (now - atomic_load_explicit(&file->limit_looked_us, memory_order_relaxed) >= SYSTEM_LIMIT_US) {
        atomic_store_explicit(&file->size_limit, vv_system_size_limit(), memory_order_relaxed);
        atomic_store_explicit(&file->limit_looked_us, now, memory_order_relaxed);
    }
    for (int i = 0; i < iov_count; i++) {
        if (__builtin_add_overflow(end, iov[i].iov_len, &end)) {
            return -EFBIG;
        }
    }
    return end > atomic_load_explicit(&file->size_limit, memory_order_relaxed) ? vv_system_check_size(end)
                                                                               : 0;
}

/*
 * Errors: -EIO -ENOSPC -EDQUOT -EFBIG (also where RLIMIT_FSIZE would end the process; not where it was
 * lowered a few milliseconds ago) -EAGAIN -EINVAL (direct I/O that is not aligned, more than IOV_MAX
 * pieces, an offset past the largest there is). With `dsync` an error says nothing of whether the bytes are
 * there, or durable: the kernel gives one code for a write that failed and a sync that failed. Writing all of
 * it again is sound then, for that hands every byte to the kernel anew; a sync alone would not be.
 *
 * Source: pwritev2(2), RWF_DSYNC. Where the file system or the kernel does not have it (-EOPNOTSUPP, -ENOSYS)
 * a write and fdatasync take its place for the rest of this file's time.
 */
ssize_t vv_system_pwritev(struct varve_io *io, struct varve_file *file, const struct iovec *iov,
                          int iov_count, uint64_t offset, int dsync)
{
    int rc = offset > INT64_MAX ? -EINVAL : system_check_end(file, iov, iov_count, offset);
    if (rc != 0) {
        return rc;
    }
    if (!dsync) {
        return system_write(file->fd, iov, iov_count, offset, 0);
    }
    if (!atomic_load_explicit(&file->without_dsync, memory_order_relaxed)) {
        ssize_t put = system_write(file->fd, iov, iov_count, offset, RWF_DSYNC);
        if (put != -EOPNOTSUPP && put != -ENOSYS) {
            return put;
        }
        atomic_store_explicit(&file->without_dsync, true, memory_order_relaxed);
    }
    ssize_t put = system_write(file->fd, iov, iov_count, offset, 0);
    if (put <= 0) {
        return put;
    }
    rc = vv_system_sync(io, file);
    return rc != 0 ? rc : put;
}

static int system_set_size(int fd, uint64_t size_bytes)
{
    int rc = vv_system_check_size(size_bytes);
    if (rc != 0) {
        return rc;
    }
    do {
        rc = ftruncate(fd, (off_t)size_bytes);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : -errno;
}

static int system_write_zeros(int fd, uint64_t size_bytes)
{
    void *zeros = vv_alloc_aligned(SYSTEM_ZERO_ALIGN, SYSTEM_ZERO_BYTES);
    if (zeros == NULL) {
        return -ENOMEM;
    }
    memset(zeros, 0, SYSTEM_ZERO_BYTES);
    int rc = 0;
    for (uint64_t at = 0; at < size_bytes && rc == 0;) {
        uint64_t left = size_bytes - at;
        struct iovec iov = {zeros, left < SYSTEM_ZERO_BYTES ? (size_t)left : SYSTEM_ZERO_BYTES};
        ssize_t put = system_write(fd, &iov, 1, at, 0);
        if (put > 0) {
            at += (uint64_t)put;
        } else {
            rc = put < 0 ? (int)put : -EIO;
        }
    }
    vv_free(zeros);
    return rc;
}

/*
 * What the file held before is gone. The blocks are owned but, where fallocate can do it, not written: the
 * first write of each still costs the file system a change of its own books. Not durable before sync. When it
 * fails the size is anything. Errors: -ENOSPC -EDQUOT -EFBIG (also where RLIMIT_FSIZE would end the process)
 * -EIO -ENOMEM. Source: fallocate(2), mode 0.
 */
int vv_system_allocate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    (void)io;
    int rc = vv_system_check_size(size_bytes);
    if (rc == 0) {
        rc = system_set_size(file->fd, 0);
    }
    if (rc != 0 || size_bytes == 0) {
        return rc;
    }
    do {
        rc = fallocate(file->fd, 0, 0, (off_t)size_bytes);
    } while (rc != 0 && errno == EINTR);
    if (rc == 0) {
        return 0;
    }
    return errno == EOPNOTSUPP || errno == ENOSYS ? system_write_zeros(file->fd, size_bytes) : -errno;
}

/* Errors: those of allocate, and -EOPNOTSUPP. Source: fallocate(2), mode 0. */
int vv_system_own(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    (void)io;
    int rc = vv_system_check_size(size_bytes);
    if (rc != 0 || size_bytes == 0) {
        return rc;
    }
    do {
        rc = fallocate(file->fd, 0, 0, (off_t)size_bytes);
    } while (rc != 0 && errno == EINTR);
    if (rc == 0) {
        return 0;
    }
    return errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

/*
 * fdatasync, also for a new file: it leaves out only what is not needed to read the data back (times), never
 * the size or where the blocks are; the name is dir_sync's. EINTR means that the call ended before it was
 * done and reported nothing (no error of the file is taken back by it), so it is no failure and is called
 * again. Any other error is final for this file: the kernel may have marked the pages clean, and a later
 * success would not mean them. Errors: -EIO -ENOSPC -EDQUOT. Source: fdatasync(2).
 */
int vv_system_sync(struct varve_io *io, struct varve_file *file)
{
    (void)io;
    int rc;
    do {
        rc = fdatasync(file->fd);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : -errno;
}

/*
 * A lock of the open file: a second open in the same process meets it too, closing another descriptor of the
 * file does not lose it, and it ends with the last copy of this descriptor (a child of fork holds one until
 * it execs or exits). Errors: -EAGAIN -EBADF (opened only for reading) -ENOLCK. Source: fcntl(2), F_OFD_SETLK
 * and F_OFD_GETLK.
 */
int vv_system_lock(struct varve_io *io, struct varve_file *file, int exclusive)
{
    (void)io;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int rc;
    do {
        rc = fcntl(file->fd, exclusive ? F_OFD_SETLK : F_OFD_GETLK, &whole);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        return errno == EACCES ? -EAGAIN : -errno;
    }
    return exclusive || whole.l_type == F_UNLCK ? 0 : -EAGAIN;
}

/* Errors: -EFBIG (also where RLIMIT_FSIZE would end the process) -ENOSPC -EINVAL (not open for writing) -EIO.
 * Source: ftruncate(2). */
int vv_system_truncate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    (void)io;
    return system_set_size(file->fd, size_bytes);
}
