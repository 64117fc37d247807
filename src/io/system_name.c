/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Linux backend: names in a directory. None of this is durable before dir_sync. A name that is more than
 * one component of a path is refused with -EINVAL.
 */
#include "io/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * For file systems without RENAME_NOREPLACE. A second name and then the removal of the first is as safe: link
 * fails with -EEXIST by itself. A crash between the two leaves both names. Where there are no links either,
 * looking first must do; the log's lock keeps others of its kind out of that gap.
 */
static int system_rename_new(int fd, const char *from, const char *to)
{
    if (linkat(fd, from, fd, to, 0) == 0) {
        return unlinkat(fd, from, 0) == 0 ? 0 : -errno;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) {
        return -errno;
    }
    struct stat st;
    if (fstatat(fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        return -EEXIST;
    }
    if (errno != ENOENT) {
        return -errno;
    }
    return renameat(fd, from, fd, to) == 0 ? 0 : -errno;
}

/* Errors: -EEXIST (not `replace`) -ENOENT -EACCES -EISDIR -ENOSPC -EROFS -EIO. Source: rename(2). */
int vv_system_rename(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to,
                     int replace)
{
    (void)io;
    if (!vv_system_name_is_plain(from) || !vv_system_name_is_plain(to)) {
        return -EINVAL;
    }
    if (replace) {
        return renameat(dir->fd, from, dir->fd, to) == 0 ? 0 : -errno;
    }
    if (renameat2(dir->fd, from, dir->fd, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    /* EINVAL is how a file system says that it does not know the flag. */
    return errno == EINVAL || errno == ENOSYS ? system_rename_new(dir->fd, from, to) : -errno;
}

/* Errors: -ENOENT -EISDIR (a directory) -EACCES -EROFS -EIO. Source: unlink(2). */
int vv_system_unlink(struct varve_io *io, struct varve_dir *dir, const char *name)
{
    (void)io;
    if (!vv_system_name_is_plain(name)) {
        return -EINVAL;
    }
    return unlinkat(dir->fd, name, 0) == 0 ? 0 : -errno;
}

/* Errors: as vv_system_stat_at. */
int vv_system_stat_name(struct varve_io *io, struct varve_dir *dir, const char *name,
                        struct varve_io_stat *ret_stat)
{
    (void)io;
    if (!vv_system_name_is_plain(name)) {
        return -EINVAL;
    }
    return vv_system_stat_at(dir->fd, name, ret_stat);
}
