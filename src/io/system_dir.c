/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Linux backend: directories. A directory is opened once, by path; everything after that is relative to
 * its descriptor, so that a directory that is moved or replaced meanwhile changes nothing.
 */
#include "io/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"

enum {
    SYSTEM_DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC
};

/* A descriptor, or a negative errno. Does not follow a link: -ELOOP. */
static int system_dir_fd(int base, const char *path)
{
    int fd;
    do {
        fd = openat(base, path, SYSTEM_DIR_FLAGS | O_NOFOLLOW);
    } while (fd < 0 && errno == EINTR);
    if (fd >= 0) {
        return vv_system_move_fd(fd);
    }
    int error = errno;
    struct stat st;
    /* With O_DIRECTORY the kernel calls a link no directory; the caller is told which of the two it is. */
    if (error == ENOTDIR && fstatat(base, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
        error = ELOOP;
    }
    return -error;
}

/* Makes the directory, with mode 0700 whatever the umask and whatever the parent's default ACL. */
static int system_dir_create(int base, const char *path)
{
    if (mkdirat(base, path, 0700) != 0) {
        /* Somebody was faster: then it is there, which is what was asked for, and not ours to change. */
        return errno == EEXIST ? system_dir_fd(base, path) : -errno;
    }
    int fd = system_dir_fd(base, path);
    if (fd == -EACCES && fchmodat(base, path, 0700, AT_SYMLINK_NOFOLLOW) == 0) {
        /* A umask that takes the owner's own rights away. */
        fd = system_dir_fd(base, path);
    }
    if (fd >= 0 && fchmod(fd, 0700) != 0) {
        int error = -errno;
        (void)close(fd);
        fd = error;
    }
    if (fd < 0) {
        (void)unlinkat(base, path, AT_REMOVEDIR);
    }
    return fd;
}

static int system_dir_open_at(int base, const char *path, int create, int *ret_created)
{
    int fd = system_dir_fd(base, path);
    if (fd != -ENOENT || !create) {
        return fd;
    }
    fd = system_dir_create(base, path);
    *ret_created = fd >= 0;
    return fd;
}

/*
 * Slashes at the end are taken off first: behind one a link would be followed. Directories above the last one
 * are not made. *ret_created is also set when somebody else made it at the same moment, which only costs a
 * sync more. Errors: -ENOENT -ENOTDIR -ELOOP (a link) -EACCES -ENAMETOOLONG -EMFILE -ENOSPC -ENOMEM. Source:
 * open(2), O_DIRECTORY and O_NOFOLLOW; mkdir(2).
 */
int vv_system_dir_open(struct varve_io *io, struct varve_dir *parent, const char *path, int create,
                       struct varve_dir **ret_dir, int *ret_created)
{
    (void)io;
    char name[PATH_MAX];
    size_t length = path != NULL ? strlen(path) : 0;
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    if (length == 0 || (parent != NULL && !vv_system_name_is_plain(path))) {
        return length == 0 && path != NULL ? -ENOENT : -EINVAL;
    }
    if (length >= sizeof name) {
        return -ENAMETOOLONG;
    }
    memcpy(name, path, length);
    name[length] = '\0';
    struct varve_dir *dir = vv_alloc(sizeof *dir);
    if (dir == NULL) {
        return -ENOMEM;
    }
    int created = 0;
    dir->fd = system_dir_open_at(parent != NULL ? parent->fd : AT_FDCWD, name, create, &created);
    if (dir->fd < 0) {
        int error = dir->fd;
        vv_free(dir);
        return error;
    }
    *ret_dir = dir;
    if (ret_created != NULL) {
        *ret_created = created;
    }
    return 0;
}

/* Cannot fail in a way that matters: nothing was written through the descriptor. NULL is allowed. */
void vv_system_dir_close(struct varve_io *io, struct varve_dir *dir)
{
    (void)io;
    if (dir != NULL) {
        (void)close(dir->fd);
        vv_free(dir);
    }
}

static int system_dir_walk(DIR *stream, varve_io_name_fn fn, void *arg)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            return -errno;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        int rc = fn(arg, entry->d_name);
        if (rc != 0) {
            return rc;
        }
    }
}

/* Reads through a descriptor of its own, so that two walks do not share a position. Names that come or go
 * meanwhile may or may not be seen. Errors: -EMFILE -ENOMEM -EIO. Source: readdir(3). */
int vv_system_dir_list(struct varve_io *io, struct varve_dir *dir, varve_io_name_fn fn, void *arg)
{
    (void)io;
    int fd = openat(dir->fd, ".", SYSTEM_DIR_FLAGS);
    if (fd < 0) {
        return -errno;
    }
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    int rc = system_dir_walk(stream, fn, arg);
    (void)closedir(stream);
    return rc;
}

static int system_dir_fsync(int fd)
{
    int rc;
    do {
        rc = fsync(fd);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : -errno;
}

/* A file system that cannot sync a directory (-EINVAL) cannot make a name durable: that is told, not passed
 * over. Errors: -EIO -ENOSPC -EINVAL. Source: fsync(2), on directory entries. */
int vv_system_dir_sync(struct varve_io *io, struct varve_dir *dir)
{
    (void)io;
    return system_dir_fsync(dir->fd);
}

/* A parent that may be passed through but not read (mode 0711) cannot be opened; then the whole file system
 * is synced, which is dear and happens once. Errors: -EIO -ENOSPC -EINVAL -EMFILE. Source: fsync(2),
 * syncfs(2). */
int vv_system_dir_sync_parent(struct varve_io *io, struct varve_dir *dir)
{
    (void)io;
    int fd = openat(dir->fd, "..", SYSTEM_DIR_FLAGS);
    if (fd < 0 && errno == EACCES) {
        return syncfs(dir->fd) == 0 ? 0 : -errno;
    }
    if (fd < 0) {
        return -errno;
    }
    int rc = system_dir_fsync(fd);
    (void)close(fd);
    return rc;
}

/* Without what is kept for the administrator. Does not know of quotas. Errors: -EIO. Source: statvfs(3),
 * f_bavail. */
int vv_system_space(struct varve_io *io, struct varve_dir *dir, uint64_t *ret_free_bytes)
{
    (void)io;
    struct statvfs fs;
    int rc;
    do {
        rc = fstatvfs(dir->fd, &fs);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        return -errno;
    }
    uint64_t bytes;
    if (__builtin_mul_overflow((uint64_t)fs.f_bavail, (uint64_t)fs.f_frsize, &bytes)) {
        bytes = UINT64_MAX;
    }
    *ret_free_bytes = bytes;
    return 0;
}
