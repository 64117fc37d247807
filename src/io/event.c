/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2), so that nothing else in the library needs a descriptor of its own. */
#include "io/event.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int vv_event_open(int *ret_fd)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

void vv_event_signal(int fd)
{
    uint64_t one = 1;
    int saved = errno;
    ssize_t n;

    do {
        n = write(fd, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
    errno = saved;
}

void vv_event_close(int fd)
{
    close(fd);
}
