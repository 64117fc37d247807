/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything outside the process, as a table of functions: files, directories, clocks, randomness. The log
 * touches the world through one of these and nothing else, so that a test can stand between the two (faults,
 * traces, crashes) and an embedder can bring another.
 *
 * Every function returns a negative errno (-EIO ...) on failure. All must be callable from any thread at
 * once. Names are single path components, relative to a directory that was opened with `dir_open`: no path is
 * ever looked up from the root again after opening.
 */
#ifndef VARVE_IO_H
#define VARVE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "varve/export.h"

#ifdef __cplusplus
extern "C" {
#endif

struct varve_io;
struct varve_file; /* an open file; what is in it is the table's own business */
struct varve_dir;  /* an open directory */

enum varve_io_open_flags {
    VARVE_IO_READ = 0,        /* read only */
    VARVE_IO_WRITE = 1 << 0,  /* read and write */
    VARVE_IO_CREATE = 1 << 1, /* create; fails with -EEXIST where something has that name (O_EXCL) */
    VARVE_IO_DIRECT = 1 << 2, /* bypass the page cache; -EINVAL where the file system cannot */
};

enum varve_io_kind {
    VARVE_IO_KIND_FILE = 1,
    VARVE_IO_KIND_DIR = 2,
    VARVE_IO_KIND_OTHER = 3, /* link, FIFO, socket, device */
};

struct varve_io_stat {
    enum varve_io_kind kind;
    uint64_t size_bytes;
    uint32_t direct_align; /* smallest size and offset of direct I/O, in bytes; 0 = not known */
};

/* Called once for each name in a directory, in no order; "." and ".." are left out. A non-zero return ends
 * the walk and is returned. */
typedef int (*varve_io_name_fn)(void *arg, const char *name);

struct varve_io {
    size_t size; /* sizeof(struct varve_io) */
    void *ctx;   /* for the table's own use */

    /* Opens a directory by path (relative to the working directory), or by a single name within `parent` when
     * that is not NULL. `create`: make it with mode 0700 if it is not there; *ret_created says whether it
     * was. Fails with -ENOTDIR or -ELOOP on anything else. */
    int (*dir_open)(struct varve_io *io, struct varve_dir *parent, const char *path, int create,
                    struct varve_dir **ret_dir, int *ret_created);
    void (*dir_close)(struct varve_io *io, struct varve_dir *dir);
    int (*dir_list)(struct varve_io *io, struct varve_dir *dir, varve_io_name_fn fn, void *arg);
    /* Makes the names in the directory durable. */
    int (*dir_sync)(struct varve_io *io, struct varve_dir *dir);
    /* Makes the directory's own name durable, in the directory above it. */
    int (*dir_sync_parent)(struct varve_io *io, struct varve_dir *dir);
    /* Renames within the directory. `replace` = 0: fails with -EEXIST where `to` exists. */
    int (*rename)(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to, int replace);
    int (*unlink)(struct varve_io *io, struct varve_dir *dir, const char *name);
    /* What has that name, without following a link. */
    int (*stat_name)(struct varve_io *io, struct varve_dir *dir, const char *name,
                     struct varve_io_stat *ret_stat);
    /* Bytes that an ordinary user may still write to the file system. */
    int (*space)(struct varve_io *io, struct varve_dir *dir, uint64_t *ret_free_bytes);

    /* Opens a regular file, mode 0600 when created, never following a link, never hanging on a FIFO: anything
     * but a regular file fails with -ELOOP (link) or -EFTYPE-like -EMEDIUMTYPE (other). */
    int (*open)(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                struct varve_file **ret_file);
    void (*close)(struct varve_io *io, struct varve_file *file);
    int (*stat)(struct varve_io *io, struct varve_file *file, struct varve_io_stat *ret_stat);
    /* Bytes read (0 at the end of the file), or negative errno. May be short. */
    ssize_t (*pread)(struct varve_io *io, struct varve_file *file, void *buf, size_t len, uint64_t offset);
    /* Bytes written, or negative errno. May be short. `dsync`: the data is durable when this returns, as with
     * RWF_DSYNC. */
    ssize_t (*pwritev)(struct varve_io *io, struct varve_file *file, const struct iovec *iov, int iov_count,
                       uint64_t offset, int dsync);
    /* Owns blocks for bytes 0..size, which then read as zeros, and sets the size. */
    int (*allocate)(struct varve_io *io, struct varve_file *file, uint64_t size_bytes);
    /* Makes the file's data durable (and, when it has just been created or has grown, what is needed to find
     * it). */
    int (*sync)(struct varve_io *io, struct varve_file *file);
    /* Takes the exclusive lock of this open file (it goes with the open file, not with the process).
     * -EAGAIN: somebody else holds it. `exclusive` = 0 takes nothing and only asks: 0 = free, -EAGAIN = held.
     */
    int (*lock)(struct varve_io *io, struct varve_file *file, int exclusive);
    /* Cuts or extends the file. Never called for a segment of the native format. */
    int (*truncate)(struct varve_io *io, struct varve_file *file, uint64_t size_bytes);

    /* Microseconds since 1970 UTC; may jump. */
    uint64_t (*realtime_us)(struct varve_io *io);
    /* Microseconds since some moment; never goes back. */
    uint64_t (*monotonic_us)(struct varve_io *io);
    /* Fills `buf` with random bytes. */
    int (*random)(struct varve_io *io, void *buf, size_t len);

    /* The same clock as monotonic_us, a few milliseconds behind at most, never ahead, and cheap. May be NULL.
     */
    uint64_t (*monotonic_coarse_us)(struct varve_io *io);

    /* Owns blocks for bytes 0..size and leaves what the file holds. -EOPNOTSUPP where it cannot, which NULL
     * says too: then zeros are written. */
    int (*own)(struct varve_io *io, struct varve_file *file, uint64_t size_bytes);
    /* Maps bytes 0..size of a file that is open for writing: what is stored there is in the file for every
     * reader at once, and durable after `sync`. The file has that size, owns its blocks, and is not cut as
     * long as it is mapped. Closing it leaves the mapping. Both may be NULL: there is no backend mmap then.
     */
    int (*map)(struct varve_io *io, struct varve_file *file, uint64_t size_bytes, void **ret_map);
    void (*unmap)(struct varve_io *io, void *map, uint64_t size_bytes);
};

/* The system's own: Linux files. Static, never to be freed. Any thread. */
VARVE_API struct varve_io *varve_io_system(void);

#ifdef __cplusplus
}
#endif

#endif
