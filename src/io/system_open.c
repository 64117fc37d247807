/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Linux backend: opening files. Nothing but a regular file is ever opened for use: what stands there is
 * looked at before (opening a device can do things) and, because it may be exchanged in between, after.
 */
#include "io/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

static int system_check_regular(mode_t mode)
{
    return S_ISREG(mode) ? 0 : S_ISLNK(mode) ? -ELOOP : -EMEDIUMTYPE;
}

static int system_open_existing(int dir_fd, const char *name, int flags)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return -errno;
    }
    int rc = system_check_regular(st.st_mode);
    if (rc != 0) {
        return rc;
    }
    int fd;
    do {
        /* O_NONBLOCK: should it have become a FIFO meanwhile, this does not wait for the other end. */
        fd = openat(dir_fd, name, flags | O_NONBLOCK);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* The rest of opening, on a descriptor. O_DIRECT is set here and not by openat, because with O_CREAT openat
 * would leave the new file behind where the file system refuses O_DIRECT. */
static int system_open_finish(int fd, unsigned flags)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    int rc = system_check_regular(st.st_mode);
    if (rc != 0) {
        return rc;
    }
    if ((flags & VARVE_IO_CREATE) != 0 && fchmod(fd, 0600) != 0) {
        return -errno;
    }
    int status = (flags & VARVE_IO_DIRECT) != 0 ? O_DIRECT : 0;
    return fcntl(fd, F_SETFL, status) == 0 ? 0 : -errno;
}

static int system_open_fd(int dir_fd, const char *name, unsigned flags)
{
    int access = (flags & VARVE_IO_WRITE) != 0 ? O_RDWR : O_RDONLY;
    int common = access | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;
    bool create = (flags & VARVE_IO_CREATE) != 0;
    int fd;
    if (create) {
        fd = openat(dir_fd, name, common | O_CREAT | O_EXCL, 0600);
        fd = fd < 0 ? -errno : fd;
    } else {
        fd = system_open_existing(dir_fd, name, common);
    }
    bool created = create && fd >= 0;
    fd = vv_system_move_fd(fd);
    int rc = fd < 0 ? fd : system_open_finish(fd, flags);
    if (rc == 0) {
        return fd;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (created) {
        (void)unlinkat(dir_fd, name, 0);
    }
    return rc;
}

/*
 * Errors: -EINVAL (the name, the flags, or direct I/O that the file system cannot) -ENOENT -EEXIST -ELOOP (a
 * link) -EMEDIUMTYPE (FIFO, device, socket, directory) -EACCES -EROFS -EMFILE -ENFILE -ENOSPC -EDQUOT -ENOMEM
 * -EIO. A file that was created is gone again when this fails. Source: open(2), fcntl(2) F_SETFL.
 */
int vv_system_open(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                   struct varve_file **ret_file)
{
    (void)io;
    const unsigned known = VARVE_IO_WRITE | VARVE_IO_CREATE | VARVE_IO_DIRECT;
    if (!vv_system_name_is_plain(name) || (flags & ~known) != 0) {
        return -EINVAL;
    }
    struct varve_file *file = vv_alloc(sizeof *file);
    if (file == NULL) {
        return -ENOMEM;
    }
    int fd = system_open_fd(dir->fd, name, flags);
    if (fd < 0) {
        vv_free(file);
        return fd;
    }
    file->fd = fd;
    atomic_init(&file->size_limit, vv_system_size_limit());
    atomic_init(&file->limit_looked_us, vv_system_monotonic_coarse_us(NULL));
    atomic_init(&file->without_dsync, false);
    *ret_file = file;
    return 0;
}

/* Makes nothing durable; what a close could tell, a sync has told before. The descriptor is gone also when
 * close reports EINTR. NULL is allowed. Source: close(2). */
void vv_system_close(struct varve_io *io, struct varve_file *file)
{
    (void)io;
    if (file != NULL) {
        (void)close(file->fd);
        vv_free(file);
    }
}
