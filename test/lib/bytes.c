/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/bytes.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/rng.h"
#include "lib/tmp.h"

static _Noreturn void bytes_die(const char *what, const char *path)
{
    perror(path);
    fprintf(stderr, "test file: cannot %s\n", what);
    exit(1);
}

static int bytes_open(const char *dir, const char *name, int flags)
{
    char *path = test_tmp_join(dir != NULL ? dir : ".", name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0) {
        bytes_die("open", path);
    }
    free(path);
    return fd;
}

static uint64_t bytes_fd_size(int fd, const char *name)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        bytes_die("stat", name);
    }
    return (uint64_t)st.st_size;
}

static void bytes_fd_read(int fd, const char *name, uint64_t offset, void *buf, size_t len)
{
    unsigned char *at = buf;
    while (len > 0) {
        ssize_t got = pread(fd, at, len, (off_t)offset);
        if (got <= 0) {
            bytes_die("read", name);
        }
        at += got;
        offset += (uint64_t)got;
        len -= (size_t)got;
    }
}

static void bytes_fd_write(int fd, const char *name, uint64_t offset, const void *buf, size_t len)
{
    const unsigned char *at = buf;
    while (len > 0) {
        ssize_t put = pwrite(fd, at, len, (off_t)offset);
        if (put <= 0) {
            bytes_die("write", name);
        }
        at += put;
        offset += (uint64_t)put;
        len -= (size_t)put;
    }
}

static void *bytes_new(size_t bytes)
{
    void *p = calloc(1, bytes);
    if (p == NULL) {
        bytes_die("allocate", "memory");
    }
    return p;
}

uint64_t test_bytes_size(const char *dir, const char *name)
{
    int fd = bytes_open(dir, name, O_RDONLY);
    uint64_t size = bytes_fd_size(fd, name);
    close(fd);
    return size;
}

void *test_bytes_read(const char *dir, const char *name, size_t *ret_bytes)
{
    int fd = bytes_open(dir, name, O_RDONLY);
    size_t bytes = (size_t)bytes_fd_size(fd, name);
    void *content = bytes_new(bytes + 1);
    bytes_fd_read(fd, name, 0, content, bytes);
    close(fd);
    if (ret_bytes != NULL) {
        *ret_bytes = bytes;
    }
    return content;
}

void test_bytes_read_at(const char *dir, const char *name, uint64_t offset, void *buf, size_t len)
{
    int fd = bytes_open(dir, name, O_RDONLY);
    bytes_fd_read(fd, name, offset, buf, len);
    close(fd);
}

void test_bytes_write(const char *dir, const char *name, const void *buf, size_t len)
{
    int fd = bytes_open(dir, name, O_WRONLY | O_CREAT | O_TRUNC);
    bytes_fd_write(fd, name, 0, buf, len);
    close(fd);
}

void test_bytes_patch(const char *dir, const char *name, uint64_t offset, const void *buf, size_t len)
{
    int fd = bytes_open(dir, name, O_WRONLY);
    bytes_fd_write(fd, name, offset, buf, len);
    close(fd);
}

void test_bytes_fill(const char *dir, const char *name, uint64_t offset, uint64_t len, unsigned char value)
{
    unsigned char piece[4096];
    memset(piece, value, sizeof piece);
    int fd = bytes_open(dir, name, O_WRONLY);
    while (len > 0) {
        size_t bytes = len < sizeof piece ? (size_t)len : sizeof piece;
        bytes_fd_write(fd, name, offset, piece, bytes);
        offset += bytes;
        len -= bytes;
    }
    close(fd);
}

void test_bytes_flip(const char *dir, const char *name, uint64_t offset, unsigned bit)
{
    unsigned char byte;
    int fd = bytes_open(dir, name, O_RDWR);
    bytes_fd_read(fd, name, offset, &byte, 1);
    byte = (unsigned char)(byte ^ (1U << bit));
    bytes_fd_write(fd, name, offset, &byte, 1);
    close(fd);
}

void test_bytes_truncate(const char *dir, const char *name, uint64_t size_bytes)
{
    int fd = bytes_open(dir, name, O_WRONLY);
    if (ftruncate(fd, (off_t)size_bytes) != 0) {
        bytes_die("truncate", name);
    }
    close(fd);
}

/* Calls `fn` for each name in the directory, in no order. */
static void bytes_each(const char *dir, void (*fn)(void *arg, const char *dir, const char *name), void *arg)
{
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        bytes_die("list", dir);
    }
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            fn(arg, dir, entry->d_name);
        }
    }
    closedir(stream);
}

static struct stat bytes_lstat(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        bytes_die("stat", path);
    }
    return st;
}

static void bytes_copy_one(void *arg, const char *dir, const char *name)
{
    char *from = test_tmp_join(dir, name);
    char *to = test_tmp_join(arg, name);
    if (S_ISDIR(bytes_lstat(from).st_mode)) {
        test_bytes_copy_dir(from, to);
    } else {
        size_t bytes;
        void *content = test_bytes_read(dir, name, &bytes);
        test_bytes_write(arg, name, content, bytes);
        free(content);
    }
    free(from);
    free(to);
}

void test_bytes_copy_dir(const char *from, const char *to)
{
    if (mkdir(to, 0700) != 0) {
        bytes_die("make", to);
    }
    char *target = strdup(to);
    bytes_each(from, bytes_copy_one, target);
    free(target);
}

static uint64_t bytes_hash(uint64_t sum, const void *buf, size_t len)
{
    const unsigned char *at = buf;
    for (size_t i = 0; i < len; i++) {
        sum = (sum ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return sum;
}

static void bytes_sum_one(void *arg, const char *dir, const char *name)
{
    uint64_t *total = arg;
    char *path = test_tmp_join(dir, name);
    struct stat st = bytes_lstat(path);
    uint64_t facts[2] = {st.st_mode, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0};
    uint64_t sum = bytes_hash(UINT64_C(0xcbf29ce484222325), name, strlen(name) + 1);
    sum = bytes_hash(sum, facts, sizeof facts);
    if (S_ISDIR(st.st_mode)) {
        uint64_t below = test_bytes_dir_sum(path);
        sum = bytes_hash(sum, &below, sizeof below);
    } else if (S_ISREG(st.st_mode)) {
        size_t bytes;
        void *content = test_bytes_read(dir, name, &bytes);
        sum = bytes_hash(sum, content, bytes);
        free(content);
    }
    /* Added up, so that the order of the names does not matter. */
    *total += test_rng_mix(sum);
    free(path);
}

uint64_t test_bytes_dir_sum(const char *dir)
{
    uint64_t total = 0;
    bytes_each(dir, bytes_sum_one, &total);
    return total;
}

struct bytes_count {
    const char *prefix;
    unsigned count;
};

static void bytes_count_one(void *arg, const char *dir, const char *name)
{
    struct bytes_count *count = arg;
    (void)dir;
    count->count += strncmp(name, count->prefix, strlen(count->prefix)) == 0;
}

unsigned test_bytes_count(const char *dir, const char *prefix)
{
    struct bytes_count count = {prefix, 0};
    bytes_each(dir, bytes_count_one, &count);
    return count.count;
}

static struct varve_file *bytes_io_open(struct varve_io *io, struct varve_dir *dir, const char *name,
                                        unsigned flags)
{
    struct varve_file *file;
    if (io->open(io, dir, name, flags, &file) != 0) {
        bytes_die("open through the table", name);
    }
    return file;
}

void *test_bytes_io_read(struct varve_io *io, struct varve_dir *dir, const char *name, size_t *ret_bytes)
{
    struct varve_file *file = bytes_io_open(io, dir, name, VARVE_IO_READ);
    struct varve_io_stat st;
    if (io->stat(io, file, &st) != 0) {
        bytes_die("stat through the table", name);
    }
    size_t bytes = (size_t)st.size_bytes;
    unsigned char *content = bytes_new(bytes + 1);
    for (size_t at = 0; at < bytes;) {
        ssize_t got = io->pread(io, file, content + at, bytes - at, at);
        if (got <= 0) {
            bytes_die("read through the table", name);
        }
        at += (size_t)got;
    }
    io->close(io, file);
    if (ret_bytes != NULL) {
        *ret_bytes = bytes;
    }
    return content;
}

void test_bytes_io_patch(struct varve_io *io, struct varve_dir *dir, const char *name, uint64_t offset,
                         const void *buf, size_t len)
{
    struct varve_file *file = bytes_io_open(io, dir, name, VARVE_IO_WRITE);
    for (size_t at = 0; at < len;) {
        struct iovec iov = {(unsigned char *)(uintptr_t)buf + at, len - at};
        ssize_t put = io->pwritev(io, file, &iov, 1, offset + at, 0);
        if (put <= 0) {
            bytes_die("write through the table", name);
        }
        at += (size_t)put;
    }
    if (io->sync(io, file) != 0) {
        bytes_die("sync through the table", name);
    }
    io->close(io, file);
}

void test_bytes_io_flip(struct varve_io *io, struct varve_dir *dir, const char *name, uint64_t offset,
                        unsigned bit)
{
    struct varve_file *file = bytes_io_open(io, dir, name, VARVE_IO_READ);
    unsigned char byte;
    if (io->pread(io, file, &byte, 1, offset) != 1) {
        bytes_die("read through the table", name);
    }
    io->close(io, file);
    byte = (unsigned char)(byte ^ (1U << bit));
    test_bytes_io_patch(io, dir, name, offset, &byte, 1);
}
