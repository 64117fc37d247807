/* SPDX-License-Identifier: Apache-2.0 */
/* The Linux backend: the table, and the small things that its parts share. */
#include "io/system.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct varve_io *varve_io_system(void)
{
    static struct varve_io system_io = {
        .size = sizeof system_io,
        .dir_open = vv_system_dir_open,
        .dir_close = vv_system_dir_close,
        .dir_list = vv_system_dir_list,
        .dir_sync = vv_system_dir_sync,
        .dir_sync_parent = vv_system_dir_sync_parent,
        .rename = vv_system_rename,
        .unlink = vv_system_unlink,
        .stat_name = vv_system_stat_name,
        .space = vv_system_space,
        .open = vv_system_open,
        .close = vv_system_close,
        .stat = vv_system_stat,
        .pread = vv_system_pread,
        .pwritev = vv_system_pwritev,
        .allocate = vv_system_allocate,
        .sync = vv_system_sync,
        .lock = vv_system_lock,
        .truncate = vv_system_truncate,
        .realtime_us = vv_system_realtime_us,
        .monotonic_us = vv_system_monotonic_us,
        .monotonic_coarse_us = vv_system_monotonic_coarse_us,
        .random = vv_system_random,
        .own = vv_system_own,
        .map = vv_system_map,
        .unmap = vv_system_unmap,
    };
    return &system_io;
}

bool vv_system_name_is_plain(const char *name)
{
    if (name == NULL || name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return false;
    }
    return strchr(name, '/') == NULL && strlen(name) <= NAME_MAX;
}

/*
 * A program that runs with its standard error closed would otherwise print its complaints into a segment.
 * Errors: -EMFILE. Source: fcntl(2), F_DUPFD_CLOEXEC.
 */
int vv_system_move_fd(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO) {
        return fd;
    }
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int error = moved < 0 ? -errno : moved;
    (void)close(fd);
    return error;
}

/* Source: setrlimit(2), RLIMIT_FSIZE: "delivery of a SIGXFSZ signal", which by default ends the process. */
uint64_t vv_system_size_limit(void)
{
    struct rlimit limit;
    int rc = getrlimit(RLIMIT_FSIZE, &limit);
    assert(rc == 0);
    (void)rc;
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

int vv_system_check_size(uint64_t size_bytes)
{
    return size_bytes > INT64_MAX || size_bytes > vv_system_size_limit() ? -EFBIG : 0;
}
