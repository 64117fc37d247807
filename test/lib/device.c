/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of a directory or a file. */
struct handle {
    void *below;
    int which;
};

static struct test_device *device_of(struct varve_io *io)
{
    return (struct test_device *)io->ctx;
}

static struct handle *handle_of(void *p)
{
    return p;
}

static struct handle *handle_new(void *below, int which)
{
    struct handle *handle = malloc(sizeof *handle);
    if (handle == NULL) {
        abort();
    }
    *handle = (struct handle){below, which};
    return handle;
}

/* 0: make the call. */
static int reads(struct varve_io *io, int which)
{
    return atomic_load(&device_of(io)->at[which].state) == TEST_DEVICE_DEAD ? -EIO : 0;
}

static int changes(struct varve_io *io, int which)
{
    struct test_device *device = device_of(io);
    const struct timespec moment = {0, 500000};
    int state = atomic_load(&device->at[which].state);
    if (state == TEST_DEVICE_HANGS) {
        atomic_fetch_add(&device->at[which].hanging, 1);
        while (atomic_load(&device->at[which].state) == TEST_DEVICE_HANGS) {
            nanosleep(&moment, NULL);
        }
        atomic_fetch_sub(&device->at[which].hanging, 1);
        state = atomic_load(&device->at[which].state);
    }
    if (state == TEST_DEVICE_FAILS || state == TEST_DEVICE_DEAD) {
        return -EIO;
    }
    uint64_t most = atomic_load(&device->stop_after);
    if (most != 0 && atomic_load(&device->at[0].changes) + atomic_load(&device->at[1].changes) + 1 >= most) {
        return -EIO;
    }
    atomic_fetch_add(&device->at[which].changes, 1);
    return 0;
}

static int device_dir_open(struct varve_io *io, struct varve_dir *parent, const char *path, int create,
                           struct varve_dir **ret_dir, int *ret_created)
{
    struct varve_io *below = test_pass_below(io);
    const char *slash = strrchr(path, '/'), *name = slash != NULL && slash[1] != 0 ? slash + 1 : path;
    int which = parent != NULL ? handle_of(parent)->which : strcmp(name, "away") == 0;
    int rc = reads(io, which);
    if (rc == 0) {
        rc = below->dir_open(below, parent != NULL ? handle_of(parent)->below : NULL, name, create, ret_dir,
                             ret_created);
    }
    if (rc == 0) {
        *ret_dir = (void *)handle_new(*ret_dir, which);
    }
    return rc;
}

static void device_dir_close(struct varve_io *io, struct varve_dir *dir)
{
    struct varve_io *below = test_pass_below(io);
    if (dir != NULL) {
        below->dir_close(below, handle_of(dir)->below);
        free(dir);
    }
}

static int device_dir_list(struct varve_io *io, struct varve_dir *dir, varve_io_name_fn fn, void *arg)
{
    struct varve_io *below = test_pass_below(io);
    int rc = reads(io, handle_of(dir)->which);
    return rc != 0 ? rc : below->dir_list(below, handle_of(dir)->below, fn, arg);
}

static int device_dir_sync(struct varve_io *io, struct varve_dir *dir)
{
    struct varve_io *below = test_pass_below(io);
    int rc = changes(io, handle_of(dir)->which);
    return rc != 0 ? rc : below->dir_sync(below, handle_of(dir)->below);
}

static int device_dir_sync_parent(struct varve_io *io, struct varve_dir *dir)
{
    struct varve_io *below = test_pass_below(io);
    int rc = changes(io, handle_of(dir)->which);
    return rc != 0 ? rc : below->dir_sync_parent(below, handle_of(dir)->below);
}

static int device_rename(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to,
                         int replace)
{
    struct varve_io *below = test_pass_below(io);
    int rc = changes(io, handle_of(dir)->which);
    return rc != 0 ? rc : below->rename(below, handle_of(dir)->below, from, to, replace);
}

static int device_unlink(struct varve_io *io, struct varve_dir *dir, const char *name)
{
    struct varve_io *below = test_pass_below(io);
    int rc = changes(io, handle_of(dir)->which);
    return rc != 0 ? rc : below->unlink(below, handle_of(dir)->below, name);
}

static int device_stat_name(struct varve_io *io, struct varve_dir *dir, const char *name,
                            struct varve_io_stat *ret_stat)
{
    struct varve_io *below = test_pass_below(io);
    int rc = reads(io, handle_of(dir)->which);
    return rc != 0 ? rc : below->stat_name(below, handle_of(dir)->below, name, ret_stat);
}

static int device_space(struct varve_io *io, struct varve_dir *dir, uint64_t *ret_free_bytes)
{
    struct varve_io *below = test_pass_below(io);
    int rc = reads(io, handle_of(dir)->which);
    return rc != 0 ? rc : below->space(below, handle_of(dir)->below, ret_free_bytes);
}

static int device_open(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                       struct varve_file **ret_file)
{
    struct varve_io *below = test_pass_below(io);
    int which = handle_of(dir)->which;
    int rc = flags & VARVE_IO_CREATE ? changes(io, which) : reads(io, which);
    if (rc == 0) {
        rc = below->open(below, handle_of(dir)->below, name, flags, ret_file);
    }
    if (rc == 0) {
        *ret_file = (void *)handle_new(*ret_file, which);
    }
    return rc;
}

static void device_close(struct varve_io *io, struct varve_file *file)
{
    struct varve_io *below = test_pass_below(io);
    if (file != NULL) {
        below->close(below, handle_of(file)->below);
        free(file);
    }
}

static int device_stat(struct varve_io *io, struct varve_file *file, struct varve_io_stat *ret_stat)
{
    struct varve_io *below = test_pass_below(io);
    int rc = reads(io, handle_of(file)->which);
    return rc != 0 ? rc : below->stat(below, handle_of(file)->below, ret_stat);
}

static ssize_t device_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len,
                            uint64_t offset)
{
    struct varve_io *below = test_pass_below(io);
    int rc = reads(io, handle_of(file)->which);
    return rc != 0 ? rc : below->pread(below, handle_of(file)->below, buf, len, offset);
}

static ssize_t device_pwritev(struct varve_io *io, struct varve_file *file, const struct iovec *iov,
                              int iov_count, uint64_t offset, int dsync)
{
    struct varve_io *below = test_pass_below(io);
    int rc = changes(io, handle_of(file)->which);
    return rc != 0 ? rc : below->pwritev(below, handle_of(file)->below, iov, iov_count, offset, dsync);
}

static int device_allocate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    struct varve_io *below = test_pass_below(io);
    int which = handle_of(file)->which, rc = changes(io, which);
    if (rc == 0 && atomic_load(&device_of(io)->at[which].state) == TEST_DEVICE_FULL) {
        rc = -ENOSPC;
    }
    return rc != 0 ? rc : below->allocate(below, handle_of(file)->below, size_bytes);
}

static int device_sync(struct varve_io *io, struct varve_file *file)
{
    struct varve_io *below = test_pass_below(io);
    int rc = changes(io, handle_of(file)->which);
    return rc != 0 ? rc : below->sync(below, handle_of(file)->below);
}

static int device_lock(struct varve_io *io, struct varve_file *file, int exclusive)
{
    struct varve_io *below = test_pass_below(io);
    int rc = reads(io, handle_of(file)->which);
    return rc != 0 ? rc : below->lock(below, handle_of(file)->below, exclusive);
}

static int device_truncate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    struct varve_io *below = test_pass_below(io);
    int rc = changes(io, handle_of(file)->which);
    return rc != 0 ? rc : below->truncate(below, handle_of(file)->below, size_bytes);
}

void test_device_init(struct test_device *device, struct varve_io *below)
{
    memset(device, 0, sizeof *device);
    test_pass_init(&device->pass, below);
    struct varve_io *io = &device->pass.io;
    io->dir_open = device_dir_open;
    io->dir_close = device_dir_close;
    io->dir_list = device_dir_list;
    io->dir_sync = device_dir_sync;
    io->dir_sync_parent = device_dir_sync_parent;
    io->rename = device_rename;
    io->unlink = device_unlink;
    io->stat_name = device_stat_name;
    io->space = device_space;
    io->open = device_open;
    io->close = device_close;
    io->stat = device_stat;
    io->pread = device_pread;
    io->pwritev = device_pwritev;
    io->allocate = device_allocate;
    io->sync = device_sync;
    io->lock = device_lock;
    io->truncate = device_truncate;
    io->own = NULL;
    io->map = NULL;
    io->unmap = NULL;
}

void test_device_set(struct test_device *device, int which, enum test_device_state state)
{
    atomic_store(&device->at[which].state, state);
}
