/* SPDX-License-Identifier: Apache-2.0 */
/* A file with keys, anywhere in the file system: opened by its path, with what is to be known about it before
 * it is trusted. The one file of the library that is not in a log's directory. */
#ifndef VV_IO_KEYFILE_H
#define VV_IO_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct vv_keyfile {
    int fd;
    bool regular;
    bool private; /* nobody but its owner may read or write it */
    bool own;     /* it belongs to the process's user, or to root */
};

/* Follows links: what counts is the file that is read. Does not wait for anybody. Negative errno. */
int vv_keyfile_open(const char *path, struct vv_keyfile *ret_file);
void vv_keyfile_close(struct vv_keyfile *file);

/* Reads a descriptor to its end, at most `room` bytes. Returns how many there are; negative errno; -EFBIG
 * when there are more. */
ssize_t vv_keyfile_read(int fd, void *buf, size_t room);

#endif
