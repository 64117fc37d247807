/* SPDX-License-Identifier: Apache-2.0 */
/* Copies a store, so that each round meets the same one. */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 8

static int copy_bytes(int from, int to, const char *name)
{
    struct stat info;
    if (fstat(from, &info) < 0)
        return bench_fail(errno, "%s", name);
    off_t left = info.st_size;
    while (left > 0) {
        ssize_t copied = copy_file_range(from, NULL, to, NULL, (size_t)left, 0);
        if (copied <= 0)
            return bench_fail(copied < 0 ? errno : 0, "copy %s", name);
        left -= copied;
    }
    return fsync(to) == 0 ? 0 : bench_fail(errno, "fsync %s", name);
}

static int copy_file(int from_dir, int to_dir, const char *name)
{
    int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0)
        return bench_fail(errno, "%s", name);
    int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int failed = to < 0 ? bench_fail(errno, "%s", name) : copy_bytes(from, to, name);
    if (to >= 0)
        close(to);
    close(from);
    return failed;
}

static int copy_dir(int from, int to, unsigned depth);

static int copy_sub(int from_dir, int to_dir, const char *name, unsigned depth)
{
    if (depth == DEPTH_MAX)
        return bench_fail(0, "%s: too deep", name);
    if (mkdirat(to_dir, name, 0700) < 0)
        return bench_fail(errno, "%s", name);
    int from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = from < 0 || to < 0 ? bench_fail(errno, "%s", name) : copy_dir(from, to, depth + 1);
    if (to >= 0)
        close(to);
    if (from >= 0)
        close(from);
    return failed;
}

/* A socket, which a server that was killed has left, is not copied. */
static int copy_dir(int from, int to, unsigned depth)
{
    DIR *dir = fdopendir(dup(from));
    if (dir == NULL)
        return bench_fail(errno, "opendir");
    int failed = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL && failed == 0; entry = readdir(dir)) {
        if (entry->d_type == DT_REG)
            failed = copy_file(from, to, entry->d_name);
        else if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
                 strcmp(entry->d_name, "..") != 0)
            failed = copy_sub(from, to, entry->d_name, depth);
    }
    closedir(dir);
    if (failed == 0 && fsync(to) < 0)
        failed = bench_fail(errno, "fsync");
    return failed;
}

int disk_copy_tree(const char *from, const char *to)
{
    if (mkdir(to, 0700) < 0)
        return bench_fail(errno, "%s", to);
    int from_fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int to_fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = from_fd < 0 || to_fd < 0 ? bench_fail(errno, "%s", from) : copy_dir(from_fd, to_fd, 0);
    if (to_fd >= 0)
        close(to_fd);
    if (from_fd >= 0)
        close(from_fd);
    return failed;
}
