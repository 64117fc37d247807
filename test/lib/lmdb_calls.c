/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/lmdb_calls.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    _Atomic bool armed;
    _Atomic long count;
    long pass;
    int error, forever;
} rule;

void test_lmdb_arm(long pass, int error, int forever)
{
    rule.pass = pass;
    rule.error = error;
    rule.forever = forever;
    atomic_store(&rule.count, 0);
    atomic_store(&rule.armed, true);
}

long test_lmdb_disarm(void)
{
    atomic_store(&rule.armed, false);
    return atomic_load(&rule.count);
}

static bool is_data(int fd)
{
    char link[64], path[4096];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 9) {
        return false;
    }
    path[n] = '\0';
    return strcmp(path + n - 9, "/data.mdb") == 0;
}

/* Whether this call is to fail, with errno set. */
static bool fails(int fd)
{
    if (!atomic_load(&rule.armed) || !is_data(fd)) {
        return false;
    }
    long number = atomic_fetch_add(&rule.count, 1);
    if (number < rule.pass || (number > rule.pass && !rule.forever)) {
        return false;
    }
    if (rule.error == 0) {
        (void)kill(getpid(), SIGKILL);
    }
    errno = rule.error;
    return true;
}

/* Under the names that LMDB asks for. */
#define CAUGHT __attribute__((visibility("default"), used))

CAUGHT ssize_t caught_write(int fd, const void *data, size_t bytes) __asm__("write");
CAUGHT ssize_t caught_writev(int fd, const struct iovec *iov, int count) __asm__("writev");
CAUGHT ssize_t caught_pwrite(int fd, const void *data, size_t bytes, off_t offset) __asm__("pwrite");
CAUGHT int caught_fdatasync(int fd) __asm__("fdatasync");
CAUGHT int caught_fsync(int fd) __asm__("fsync");

ssize_t caught_write(int fd, const void *data, size_t bytes)
{
    return fails(fd) ? -1 : (ssize_t)syscall(SYS_write, fd, data, bytes);
}

ssize_t caught_writev(int fd, const struct iovec *iov, int count)
{
    return fails(fd) ? -1 : (ssize_t)syscall(SYS_writev, fd, iov, count);
}

ssize_t caught_pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    return fails(fd) ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, data, bytes, offset);
}

int caught_fdatasync(int fd)
{
    return fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int caught_fsync(int fd)
{
    return fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}
