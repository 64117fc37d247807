/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/pass.h"

#include <stddef.h>

struct varve_io *test_pass_below(struct varve_io *io)
{
    return ((struct test_pass *)io->ctx)->below;
}

static int pass_dir_open(struct varve_io *io, struct varve_dir *parent, const char *path, int create,
                         struct varve_dir **ret_dir, int *ret_created)
{
    struct varve_io *below = test_pass_below(io);
    return below->dir_open(below, parent, path, create, ret_dir, ret_created);
}

static void pass_dir_close(struct varve_io *io, struct varve_dir *dir)
{
    struct varve_io *below = test_pass_below(io);
    below->dir_close(below, dir);
}

static int pass_dir_list(struct varve_io *io, struct varve_dir *dir, varve_io_name_fn fn, void *arg)
{
    struct varve_io *below = test_pass_below(io);
    return below->dir_list(below, dir, fn, arg);
}

static int pass_dir_sync(struct varve_io *io, struct varve_dir *dir)
{
    struct varve_io *below = test_pass_below(io);
    return below->dir_sync(below, dir);
}

static int pass_dir_sync_parent(struct varve_io *io, struct varve_dir *dir)
{
    struct varve_io *below = test_pass_below(io);
    return below->dir_sync_parent(below, dir);
}

static int pass_rename(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to,
                       int replace)
{
    struct varve_io *below = test_pass_below(io);
    return below->rename(below, dir, from, to, replace);
}

static int pass_unlink(struct varve_io *io, struct varve_dir *dir, const char *name)
{
    struct varve_io *below = test_pass_below(io);
    return below->unlink(below, dir, name);
}

static int pass_stat_name(struct varve_io *io, struct varve_dir *dir, const char *name,
                          struct varve_io_stat *ret_stat)
{
    struct varve_io *below = test_pass_below(io);
    return below->stat_name(below, dir, name, ret_stat);
}

static int pass_space(struct varve_io *io, struct varve_dir *dir, uint64_t *ret_free_bytes)
{
    struct varve_io *below = test_pass_below(io);
    return below->space(below, dir, ret_free_bytes);
}

static int pass_open(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                     struct varve_file **ret_file)
{
    struct varve_io *below = test_pass_below(io);
    return below->open(below, dir, name, flags, ret_file);
}

static void pass_close(struct varve_io *io, struct varve_file *file)
{
    struct varve_io *below = test_pass_below(io);
    below->close(below, file);
}

static int pass_stat(struct varve_io *io, struct varve_file *file, struct varve_io_stat *ret_stat)
{
    struct varve_io *below = test_pass_below(io);
    return below->stat(below, file, ret_stat);
}

static ssize_t pass_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len,
                          uint64_t offset)
{
    struct varve_io *below = test_pass_below(io);
    return below->pread(below, file, buf, len, offset);
}

static ssize_t pass_pwritev(struct varve_io *io, struct varve_file *file, const struct iovec *iov,
                            int iov_count, uint64_t offset, int dsync)
{
    struct varve_io *below = test_pass_below(io);
    return below->pwritev(below, file, iov, iov_count, offset, dsync);
}

static int pass_allocate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    struct varve_io *below = test_pass_below(io);
    return below->allocate(below, file, size_bytes);
}

static int pass_sync(struct varve_io *io, struct varve_file *file)
{
    struct varve_io *below = test_pass_below(io);
    return below->sync(below, file);
}

static int pass_lock(struct varve_io *io, struct varve_file *file, int exclusive)
{
    struct varve_io *below = test_pass_below(io);
    return below->lock(below, file, exclusive);
}

static int pass_truncate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    struct varve_io *below = test_pass_below(io);
    return below->truncate(below, file, size_bytes);
}

static uint64_t pass_realtime_us(struct varve_io *io)
{
    struct varve_io *below = test_pass_below(io);
    return below->realtime_us(below);
}

static uint64_t pass_monotonic_us(struct varve_io *io)
{
    struct varve_io *below = test_pass_below(io);
    return below->monotonic_us(below);
}

static uint64_t pass_monotonic_coarse_us(struct varve_io *io)
{
    struct varve_io *below = test_pass_below(io);
    return below->monotonic_coarse_us(below);
}

static int pass_random(struct varve_io *io, void *buf, size_t len)
{
    struct varve_io *below = test_pass_below(io);
    return below->random(below, buf, len);
}

void test_pass_init(struct test_pass *pass, struct varve_io *below)
{
    pass->below = below != NULL ? below : varve_io_system();
    /* Without own and map: what a file is below, a decorator that has files of its own does not hand on. */
    pass->io = (struct varve_io){
        .size = sizeof pass->io,
        .ctx = pass,
        .dir_open = pass_dir_open,
        .dir_close = pass_dir_close,
        .dir_list = pass_dir_list,
        .dir_sync = pass_dir_sync,
        .dir_sync_parent = pass_dir_sync_parent,
        .rename = pass_rename,
        .unlink = pass_unlink,
        .stat_name = pass_stat_name,
        .space = pass_space,
        .open = pass_open,
        .close = pass_close,
        .stat = pass_stat,
        .pread = pass_pread,
        .pwritev = pass_pwritev,
        .allocate = pass_allocate,
        .sync = pass_sync,
        .lock = pass_lock,
        .truncate = pass_truncate,
        .realtime_us = pass_realtime_us,
        .monotonic_us = pass_monotonic_us,
        .random = pass_random,
        .monotonic_coarse_us = pass->below->monotonic_coarse_us != NULL ? pass_monotonic_coarse_us : NULL,
    };
}
