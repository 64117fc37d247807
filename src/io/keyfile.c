/* SPDX-License-Identifier: Apache-2.0 */
/* Files with keys. Source: open(2), stat(2). */
#include "io/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int vv_keyfile_open(const char *path, struct vv_keyfile *ret_file)
{
    struct stat st;
    /* O_NONBLOCK: a FIFO or a device is refused afterwards, and not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) != 0) {
        int rc = -errno;

        (void)close(fd);
        return rc;
    }
    *ret_file = (struct vv_keyfile){
        .fd = fd,
        .regular = S_ISREG(st.st_mode),
        .private = (st.st_mode & (S_IRWXG | S_IRWXO)) == 0,
        .own = st.st_uid == geteuid() || st.st_uid == 0,
    };
    return 0;
}

void vv_keyfile_close(struct vv_keyfile *file)
{
    (void)close(file->fd);
    file->fd = -1;
}

ssize_t vv_keyfile_read(int fd, void *buf, size_t room)
{
    char *at = buf, more;
    size_t got = 0;

    for (;;) {
        ssize_t n = got < room ? read(fd, at + got, room - got) : read(fd, &more, 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return (ssize_t)got;
        if (got == room)
            return -EFBIG;
        got += (size_t)n;
    }
}
