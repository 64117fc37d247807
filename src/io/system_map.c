/* SPDX-License-Identifier: Apache-2.0 */
/* The Linux backend: a file as memory. Pages are there before the first store, so that storing waits for no
 * disk and meets no error of reading one. */
#include "io/system.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

/* Errors: -ENOMEM -EACCES -ENODEV (the file system cannot map) -EINVAL (no bytes). Source: mmap(2). */
int vv_system_map(struct varve_io *io, struct varve_file *file, uint64_t size_bytes, void **ret_map)
{
    (void)io;
    if (size_bytes == 0 || size_bytes > SIZE_MAX) {
        return -EINVAL;
    }
    void *map =
        mmap(NULL, (size_t)size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file->fd, 0);
    if (map == MAP_FAILED) {
        return -errno;
    }
    *ret_map = map;
    return 0;
}

void vv_system_unmap(struct varve_io *io, void *map, uint64_t size_bytes)
{
    (void)io;
    int rc = munmap(map, (size_t)size_bytes);
    assert(rc == 0);
    (void)rc;
}
