/* SPDX-License-Identifier: Apache-2.0 */
#include "io/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/system.h"

/* The descriptor of a regular file, or a negative errno. */
static int open_regular(const char *path, int flags)
{
    struct stat st;
    int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0)
        return -errno;
    fd = vv_system_move_fd(fd);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -EMEDIUMTYPE;
    }
    return fd;
}

int vv_shared_open(struct vv_shared *shared, const char *path, size_t size)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open_regular(path, O_RDWR | O_CREAT), rc;

    if (fd < 0)
        return fd;
    rc = vv_system_check_size(size);
    if (rc == 0 && fcntl(fd, F_OFD_SETLK, &lock) != 0)
        rc = errno == EACCES ? -EAGAIN : -errno;
    /* So that a full disk is met here, and not one line of metrics at a time. */
    if (rc == 0)
        rc = -posix_fallocate(fd, 0, (off_t)size);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    *shared = (struct vv_shared){.fd = fd};
    return 0;
}

int vv_shared_write(struct vv_shared *shared, const void *buf, size_t len)
{
    size_t done = 0;
    int rc = vv_system_check_size(len);

    while (rc == 0 && done < len) {
        ssize_t n = pwrite(shared->fd, (const uint8_t *)buf + done, len - done, (off_t)done);

        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            rc = n == 0 ? -EIO : -errno;
    }
    return rc;
}

void vv_shared_close(struct vv_shared *shared)
{
    if (shared->fd >= 0)
        close(shared->fd);
    shared->fd = -1;
}

int vv_shared_read(const char *path, void *buf, size_t room, size_t *ret_len)
{
    int fd = open_regular(path, O_RDONLY), rc = 0;
    size_t len = 0;

    if (fd < 0)
        return fd;
    while (rc == 0 && len < room) {
        ssize_t n = pread(fd, (uint8_t *)buf + len, room - len, (off_t)len);

        if (n > 0)
            len += (size_t)n;
        else if (n == 0)
            break;
        else if (errno != EINTR)
            rc = -errno;
    }
    close(fd);
    if (rc == 0)
        *ret_len = len;
    return rc;
}
