/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small file that one process writes again and again and others read: not part of a log, and never waited
 * for. It is written, not mapped: a mapping of a file that somebody cuts off ends the process (SIGBUS).
 * Source: pwrite(2), fcntl(2) F_OFD_SETLK.
 */
#ifndef VV_IO_SHARED_H
#define VV_IO_SHARED_H

#include <stddef.h>

struct vv_shared {
    int fd; /* -1: closed */
};

/* Makes the file where there is none (mode 0600) and owns the blocks of `size` bytes. Follows no link.
 * Negative errno: -EAGAIN where another process has it, -EMEDIUMTYPE where it is no regular file. */
int vv_shared_open(struct vv_shared *shared, const char *path, size_t size);
/* Writes it anew from its beginning, however long it is by now. Who reads meanwhile may see parts of both.
 * Negative errno. */
int vv_shared_write(struct vv_shared *shared, const void *buf, size_t len);
/* The file stays. Closing what is closed does nothing. */
void vv_shared_close(struct vv_shared *shared);

/* Reads up to `room` bytes of such a file, without taking its lock. Negative errno as above. */
int vv_shared_read(const char *path, void *buf, size_t room, size_t *ret_len);

#endif
