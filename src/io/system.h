/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the Linux backend share. Everybody else goes through the table of struct varve_io; what
 * each function must do is said there, how it is done and how it fails is said beside each body.
 */
#ifndef VV_IO_SYSTEM_H
#define VV_IO_SYSTEM_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "varve/io.h"

struct varve_dir {
    int fd; /* [const after open] */
};

struct varve_file {
    int fd;                      /* [const after open] */
    _Atomic uint64_t size_limit; /* [atomic: any writer] RLIMIT_FSIZE as it was when it was looked at last */
    _Atomic uint64_t limit_looked_us; /* [atomic: any writer] when that was, by the coarse clock */
    /* [atomic: any writer, only ever set] The file system does not know RWF_DSYNC. */
    _Atomic bool without_dsync;
};

/* system.c: whether `name` is one component of a path: not empty, no slash, not "." or "..", short enough. */
bool vv_system_name_is_plain(const char *name);

/* Moves a descriptor that took the place of standard input, output or error out of there, or closes it;
 * returns the one to use, or a negative errno. */
int vv_system_move_fd(int fd);

/* -EFBIG where `size_bytes` is past RLIMIT_FSIZE, without the SIGXFSZ that the kernel would send along. */
int vv_system_check_size(uint64_t size_bytes);
/* RLIMIT_FSIZE; UINT64_MAX where there is none. */
uint64_t vv_system_size_limit(void);

/* system_stat.c: `name` below `fd`, or `fd` itself with an empty name. */
int vv_system_stat_at(int fd, const char *name, struct varve_io_stat *ret_stat);

/* system_dir.c */
int vv_system_dir_open(struct varve_io *io, struct varve_dir *parent, const char *path, int create,
                       struct varve_dir **ret_dir, int *ret_created);
void vv_system_dir_close(struct varve_io *io, struct varve_dir *dir);
int vv_system_dir_list(struct varve_io *io, struct varve_dir *dir, varve_io_name_fn fn, void *arg);
int vv_system_dir_sync(struct varve_io *io, struct varve_dir *dir);
int vv_system_dir_sync_parent(struct varve_io *io, struct varve_dir *dir);
int vv_system_space(struct varve_io *io, struct varve_dir *dir, uint64_t *ret_free_bytes);

/* system_name.c */
int vv_system_rename(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to,
                     int replace);
int vv_system_unlink(struct varve_io *io, struct varve_dir *dir, const char *name);
int vv_system_stat_name(struct varve_io *io, struct varve_dir *dir, const char *name,
                        struct varve_io_stat *ret_stat);

/* system_open.c */
int vv_system_open(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                   struct varve_file **ret_file);
void vv_system_close(struct varve_io *io, struct varve_file *file);

/* system_file.c */
int vv_system_stat(struct varve_io *io, struct varve_file *file, struct varve_io_stat *ret_stat);
ssize_t vv_system_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len, uint64_t offset);
ssize_t vv_system_pwritev(struct varve_io *io, struct varve_file *file, const struct iovec *iov,
                          int iov_count, uint64_t offset, int dsync);
int vv_system_allocate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes);
int vv_system_sync(struct varve_io *io, struct varve_file *file);
int vv_system_lock(struct varve_io *io, struct varve_file *file, int exclusive);
int vv_system_truncate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes);

int vv_system_own(struct varve_io *io, struct varve_file *file, uint64_t size_bytes);

/* system_map.c */
int vv_system_map(struct varve_io *io, struct varve_file *file, uint64_t size_bytes, void **ret_map);
void vv_system_unmap(struct varve_io *io, void *map, uint64_t size_bytes);

/* system_clock.c */
uint64_t vv_system_realtime_us(struct varve_io *io);
uint64_t vv_system_monotonic_us(struct varve_io *io);
uint64_t vv_system_monotonic_coarse_us(struct varve_io *io);
int vv_system_random(struct varve_io *io, void *buf, size_t len);

#endif
