/* SPDX-License-Identifier: Apache-2.0 */
/* What the disk does without a log: the plain ways to make 128 bytes durable. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "say.h"

#define DISK_FILE_BYTES  ((uint64_t)16 << 20)
#define DISK_PIECE_BYTES 65536
#define DISK_PATH_BYTES  4200

struct disk_file {
    char path[DISK_PATH_BYTES];
    int fd;
    uint8_t *piece; /* DISK_PIECE_BYTES, aligned for direct I/O */
};

bool bench_disk_is_memory(const char *dir)
{
    struct statfs info;

    return statfs(dir, &info) == 0 && (info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC);
}

static int disk_close(struct disk_file *file, int rc)
{
    if (file->fd >= 0) {
        close(file->fd);
        unlink(file->path);
    }
    free(file->piece);
    return rc;
}

static int disk_open(struct disk_file *file, const char *dir)
{
    void *piece = NULL;

    *file = (struct disk_file){.fd = -1};
    if (posix_memalign(&piece, 4096, DISK_PIECE_BYTES))
        return say_system(dir, ENOMEM);
    memset(piece, 0, DISK_PIECE_BYTES);
    file->piece = piece;
    snprintf(file->path, sizeof file->path, "%s/sync", dir);
    file->fd = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return disk_close(file, say_system(file->path, errno));
    return EXIT_FINE;
}

/* Zeros to its end, on the disk. */
static int disk_fill(struct disk_file *file)
{
    for (uint64_t at = 0; at < DISK_FILE_BYTES; at += DISK_PIECE_BYTES) {
        if (pwrite(file->fd, file->piece, DISK_PIECE_BYTES, (off_t)at) != DISK_PIECE_BYTES)
            return say_system(file->path, errno);
    }
    return fsync(file->fd) == 0 ? EXIT_FINE : say_system(file->path, errno);
}

/* Asks by trying. */
unsigned bench_disk_sector(const char *dir)
{
    struct disk_file file;
    unsigned found = 0;

    if (disk_open(&file, dir) != EXIT_FINE)
        return 0;
    if (fcntl(file.fd, F_SETFL, O_DIRECT) == 0) {
        for (unsigned bytes = 512; bytes <= 4096 && found == 0; bytes *= 2) {
            if (pwrite(file.fd, file.piece, bytes, (off_t)bytes) == (ssize_t)bytes)
                found = bytes;
        }
    }
    disk_close(&file, EXIT_FINE);
    return found;
}

static ssize_t disk_write(struct disk_file *file, enum bench_sync way, size_t bytes, uint64_t at)
{
    struct iovec piece = {.iov_base = file->piece, .iov_len = bytes};
    ssize_t wrote;

    if (way == BENCH_SYNC_SECTOR || way == BENCH_SYNC_PAGE)
        return pwritev2(file->fd, &piece, 1, (off_t)at, RWF_DSYNC);
    wrote = pwrite(file->fd, file->piece, bytes, (off_t)at);
    return wrote == (ssize_t)bytes && fdatasync(file->fd) < 0 ? -1 : wrote;
}

static int disk_measure(struct disk_file *file, enum bench_sync way, size_t bytes, double seconds,
                        struct bench_figure *ret_figure)
{
    static struct bench_hist hist; /* large; one at a time */
    uint64_t began = bench_now_ns(), end = began + (uint64_t)(seconds * 1e9), now = began, at = 0;

    memset(&hist, 0, sizeof hist);
    while (now < end && !bench_stopped()) {
        uint64_t before = now;

        if (disk_write(file, way, bytes, at) != (ssize_t)bytes)
            return say_system(file->path, errno);
        now = bench_now_ns();
        bench_hist_add(&hist, now - before);
        at += bytes;
        if (way != BENCH_SYNC_APPEND && at + bytes > DISK_FILE_BYTES)
            at = 0;
    }
    ret_figure->per_s = (double)hist.count * 1e9 / (double)(now - began);
    ret_figure->p50_us = bench_hist_us(&hist, 50);
    ret_figure->p99_us = bench_hist_us(&hist, 99);
    return EXIT_FINE;
}

int bench_disk_sync(const char *dir, enum bench_sync way, unsigned sector_bytes, double seconds,
                    struct bench_figure *ret_figure)
{
    size_t bytes = way == BENCH_SYNC_SECTOR ? sector_bytes
                   : way == BENCH_SYNC_PAGE ? 4096
                                            : BENCH_RECORD_BYTES;
    struct disk_file file;
    int rc = disk_open(&file, dir);

    if (rc)
        return rc;
    if (way != BENCH_SYNC_APPEND)
        rc = disk_fill(&file);
    if (rc == EXIT_FINE && (way == BENCH_SYNC_SECTOR || way == BENCH_SYNC_PAGE) &&
        fcntl(file.fd, F_SETFL, O_DIRECT) < 0)
        rc = say_system(file.path, errno);
    if (rc == EXIT_FINE)
        rc = disk_measure(&file, way, bytes, seconds, ret_figure);
    return disk_close(&file, rc);
}

static int disk_remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

int bench_disk_remove(const char *dir)
{
    if (nftw(dir, disk_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 && errno != ENOENT)
        return say_system(dir, errno);
    return EXIT_FINE;
}
