/* SPDX-License-Identifier: Apache-2.0 */
/* Files for the runs: made ready, filled with zeros, read into the cache, removed. */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Zeros are written in pieces of this size: larger ones make small buffered writes to the same pages dearer
 * later. */
#define ZERO_PIECE_BYTES (64u << 10)

int bench_fail(int sys_errno, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("varve-bench: ", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    if (sys_errno != 0)
        fprintf(stderr, ": %s", strerror(sys_errno));
    fputc('\n', stderr);
    return -1;
}

void disk_path(const struct bench *bench, const char *name, char ret_path[BENCH_PATH_BYTES])
{
    int length = snprintf(ret_path, BENCH_PATH_BYTES, "%s/%s", bench->dir, name);
    if (length < 0 || length >= BENCH_PATH_BYTES)
        abort(); /* main has left room for our names */
}

int disk_write_all(int fd, const void *data, size_t bytes, uint64_t offset)
{
    const char *from = data;
    while (bytes > 0) {
        ssize_t wrote = pwrite(fd, from, bytes, (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return bench_fail(errno, "write");
        from += wrote;
        bytes -= (size_t)wrote;
        offset += (uint64_t)wrote;
    }
    return 0;
}

static int fill_with_zeros(const char *path, uint64_t bytes)
{
    struct stat there;
    if (stat(path, &there) == 0 && (uint64_t)there.st_size == bytes)
        return 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return bench_fail(errno, "%s", path);
    static const char zeros[ZERO_PIECE_BYTES];
    int failed = 0;
    for (uint64_t at = 0; at < bytes && !failed; at += sizeof zeros)
        failed = disk_write_all(fd, zeros, bytes - at < sizeof zeros ? bytes - at : sizeof zeros, at) < 0;
    if (!failed && fsync(fd) < 0)
        failed = bench_fail(errno, "fsync %s", path) < 0;
    close(fd);
    return failed ? -1 : 0;
}

int disk_open_zeroed(const struct bench *bench, const char *name, uint64_t bytes, int flags, int *ret_fd)
{
    char path[BENCH_PATH_BYTES];
    disk_path(bench, name, path);
    if (fill_with_zeros(path, bytes) < 0)
        return -1;
    int fd = open(path, O_RDWR | O_CLOEXEC | flags);
    if (fd < 0)
        return bench_fail(errno, "%s", path);
    *ret_fd = fd;
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

int disk_remove_tree(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 && errno != ENOENT)
        return bench_fail(errno, "remove %s", path);
    return 0;
}

int disk_remove(const struct bench *bench, const char *name)
{
    char path[BENCH_PATH_BYTES];
    disk_path(bench, name, path);
    if (disk_remove_tree(path) < 0)
        return -1;
    /* Freeing a large file goes on in the journal; the next run shall not pay for it. */
    int fd = open(bench->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return bench_fail(errno, "%s", bench->dir);
    int failed = fsync(fd) < 0 ? bench_fail(errno, "fsync %s", bench->dir) : 0;
    close(fd);
    return failed;
}

static int read_file(int dir, const char *name, uint64_t *bytes)
{
    static char piece[1u << 20];
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return bench_fail(errno, "open %s", name);
    ssize_t got;
    while ((got = read(fd, piece, sizeof piece)) > 0)
        *bytes += (uint64_t)got;
    close(fd);
    return got < 0 ? bench_fail(errno, "read %s", name) : 0;
}

int disk_read_tree(const char *path, uint64_t *ret_bytes)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return bench_fail(errno, "%s", path);
    uint64_t bytes = 0;
    int failed = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL && !failed; entry = readdir(dir)) {
        if (entry->d_type == DT_REG)
            failed = read_file(dirfd(dir), entry->d_name, &bytes) < 0;
    }
    closedir(dir);
    if (failed)
        return -1;
    *ret_bytes = bytes;
    return 0;
}

/* Asks by trying: the least piece that a direct write takes here. */
unsigned disk_direct_alignment(const char *dir)
{
    char path[BENCH_PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/align", dir) >= (int)sizeof path)
        return 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    void *zeros = NULL;
    unsigned found = 0;
    if (fd >= 0 && posix_memalign(&zeros, 65536, 65536) == 0) {
        memset(zeros, 0, 65536);
        for (unsigned bytes = 512; bytes <= 65536 && found == 0; bytes *= 2) {
            if (pwrite(fd, zeros, bytes, bytes) == (ssize_t)bytes)
                found = bytes;
        }
    }
    free(zeros);
    if (fd >= 0)
        close(fd);
    unlink(path);
    return found;
}

int disk_is_memory(const char *dir)
{
    struct statfs info;
    return statfs(dir, &info) == 0 && (info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC);
}
