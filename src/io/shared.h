/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small file that one process maps to write and others read: not part of a log, and never waited for.
 * Source: mmap(2), fcntl(2) F_OFD_SETLK.
 */
#ifndef VV_IO_SHARED_H
#define VV_IO_SHARED_H

#include <stddef.h>

struct vv_shared {
    void *bytes; /* mapped for writing */
    size_t size;
    int fd;
};

/* Makes the file where there is none (mode 0600), owns its blocks, maps `size` bytes. Follows no link.
 * Negative errno: -EAGAIN where another process has it, -EMEDIUMTYPE where it is no regular file. */
int vv_shared_open(struct vv_shared *shared, const char *path, size_t size);
/* The file stays. */
void vv_shared_close(struct vv_shared *shared);

/* Reads up to `room` bytes of such a file, without taking its lock. Negative errno as above. */
int vv_shared_read(const char *path, void *buf, size_t room, size_t *ret_len);

#endif
