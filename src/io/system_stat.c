/* SPDX-License-Identifier: Apache-2.0 */
/* The Linux backend: what a name or an open file is, and what direct I/O on it needs. */
#include "io/system.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

/* Linux 6.1; the headers of a libc may be older. The answer lies at a fixed place of the struct in any case.
 */
#ifdef STATX_DIOALIGN
static_assert(offsetof(struct statx, stx_dio_offset_align) == 0x9c, "where the kernel puts the alignment");
#else
#define STATX_DIOALIGN 0x00002000U
#endif

enum {
    STATX_DIO_OFFSET_ALIGN_AT = 0x9c
};

static enum varve_io_kind system_kind(mode_t mode)
{
    return S_ISREG(mode) ? VARVE_IO_KIND_FILE : S_ISDIR(mode) ? VARVE_IO_KIND_DIR : VARVE_IO_KIND_OTHER;
}

/* Tells of the name itself, never of what a link points to. Errors: -ENOENT -EACCES -EIO and others of statx.
 * Source: statx(2), stx_dio_offset_align: 0, or not reported, where direct I/O is not possible or not known.
 */
int vv_system_stat_at(int fd, const char *name, struct varve_io_stat *ret_stat)
{
    struct statx sx;
    int flags = AT_SYMLINK_NOFOLLOW | AT_STATX_SYNC_AS_STAT | (name[0] == '\0' ? AT_EMPTY_PATH : 0);
    memset(&sx, 0, sizeof sx);
    if (statx(fd, name, flags, STATX_TYPE | STATX_SIZE | STATX_DIOALIGN, &sx) != 0) {
        return -errno;
    }
    uint32_t align = 0;
    if ((sx.stx_mask & STATX_DIOALIGN) != 0) {
        memcpy(&align, (const char *)&sx + STATX_DIO_OFFSET_ALIGN_AT, sizeof align);
    }
    ret_stat->kind = system_kind(sx.stx_mode);
    ret_stat->size_bytes = sx.stx_size;
    ret_stat->direct_align = align;
    return 0;
}
