/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands between a process and the C library, and counts what makes bytes durable. In this program the linker
 * binds every library to these functions; in a server it is loaded first (LD_PRELOAD). sync_file_range is not
 * counted: it makes nothing durable.
 *
 * The functions are called before main and from every thread; a descriptor's flag is written by open only.
 */
#undef _FILE_OFFSET_BITS /* both sets of names are defined here */
#include "syncs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PUBLIC     __attribute__((visibility("default")))
#define SAME(name) __attribute__((visibility("default"), alias(#name)))
#define FDS        65536

static struct sync_counts here;
static struct sync_counts *counts = &here;    /* [const after the constructor] */
static _Atomic unsigned char durable_fd[FDS]; /* opened with O_DSYNC or O_SYNC */

const struct sync_counts *syncs_here(void)
{
    return counts;
}

void syncs_add_writes(uint64_t count)
{
    atomic_fetch_add_explicit(&counts->writes, count, memory_order_relaxed);
}

uint64_t syncs_total(const struct sync_counts *of)
{
    return atomic_load_explicit(&of->syncs, memory_order_relaxed) +
           atomic_load_explicit(&of->writes, memory_order_relaxed);
}

__attribute__((constructor)) static void share(void)
{
    const char *text = getenv(SYNCS_FD_VARIABLE);
    char *end = NULL;
    long fd = text != NULL ? strtol(text, &end, 10) : -1;
    if (text == NULL || end == text || *end != '\0' || fd < 0 || fd >= FDS)
        return;
    void *shared = mmap(NULL, sizeof here, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
    if (shared != MAP_FAILED)
        counts = shared;
}

static void count_sync(void)
{
    atomic_fetch_add_explicit(&counts->syncs, 1, memory_order_relaxed);
}

static void count_write(int fd, int flags)
{
    int by_fd = fd >= 0 && fd < FDS && atomic_load_explicit(&durable_fd[fd], memory_order_relaxed);
    if (by_fd || (flags & (RWF_DSYNC | RWF_SYNC)) != 0)
        syncs_add_writes(1);
}

static int note_fd(int fd, int flags)
{
    if (fd >= 0 && fd < FDS)
        atomic_store_explicit(&durable_fd[fd], (flags & O_DSYNC) != 0, memory_order_relaxed);
    return fd;
}

static int open_at(int dir, const char *path, int flags, va_list args)
{
    unsigned mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, unsigned) : 0;
    return note_fd((int)syscall(SYS_openat, dir, path, flags, mode), flags);
}

PUBLIC int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int fd = open_at(AT_FDCWD, path, flags, args);
    va_end(args);
    return fd;
}

PUBLIC int openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int fd = open_at(dir, path, flags, args);
    va_end(args);
    return fd;
}

PUBLIC int close(int fd)
{
    note_fd(fd, 0);
    return (int)syscall(SYS_close, fd);
}

PUBLIC int fsync(int fd)
{
    count_sync();
    return (int)syscall(SYS_fsync, fd);
}

PUBLIC int fdatasync(int fd)
{
    count_sync();
    return (int)syscall(SYS_fdatasync, fd);
}

PUBLIC int syncfs(int fd)
{
    count_sync();
    return (int)syscall(SYS_syncfs, fd);
}

PUBLIC int msync(void *at, size_t bytes, int flags)
{
    if ((flags & MS_SYNC) != 0)
        count_sync();
    return (int)syscall(SYS_msync, at, bytes, flags);
}

PUBLIC ssize_t write(int fd, const void *data, size_t bytes)
{
    count_write(fd, 0);
    return syscall(SYS_write, fd, data, bytes);
}

PUBLIC ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    count_write(fd, 0);
    return syscall(SYS_writev, fd, pieces, count);
}

PUBLIC ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    count_write(fd, 0);
    return syscall(SYS_pwrite64, fd, data, bytes, offset);
}

/* The kernel takes the offset in two halves; on machines of 64 bits the first is all of it. */
PUBLIC ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
    count_write(fd, 0);
    return syscall(SYS_pwritev, fd, pieces, count, offset, 0);
}

PUBLIC ssize_t pwritev2(int fd, const struct iovec *pieces, int count, off_t offset, int flags)
{
    count_write(fd, flags);
    return syscall(SYS_pwritev2, fd, pieces, count, offset, 0, flags);
}

_Static_assert(sizeof(long) == 8, "offsets are handed on in one register");

int open64(const char *path, int flags, ...) SAME(open);
int openat64(int dir, const char *path, int flags, ...) SAME(openat);
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset) SAME(pwrite);
ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off64_t offset) SAME(pwritev);
ssize_t pwritev64v2(int fd, const struct iovec *pieces, int count, off64_t offset, int flags) SAME(pwritev2);
