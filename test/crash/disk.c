/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/disk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    DISK_ALIGN = 512
};

struct disk_handle {
    uint32_t node;
    unsigned flags;
};

static struct disk_handle *handle_of(void *p)
{
    return p;
}

static struct disk_handle *handle_new(struct crash_disk *disk, uint32_t node, unsigned flags)
{
    struct disk_handle *handle = crash_need(sizeof *handle);
    *handle = (struct disk_handle){node, flags};
    disk->fs.nodes[node].handles++;
    return handle;
}

static void handle_free(struct crash_disk *disk, void *p)
{
    struct disk_handle *handle = p;
    if (handle == NULL) {
        return;
    }
    pthread_mutex_lock(&disk->lock);
    struct crash_node *node = &disk->fs.nodes[handle->node];
    node->handles--;
    if (node->locked == handle) {
        node->locked = NULL;
    }
    pthread_mutex_unlock(&disk->lock);
    free(handle);
}

static int disk_dir_open(struct varve_io *io, struct varve_dir *parent, const char *path, int create,
                         struct varve_dir **ret_dir, int *ret_created)
{
    struct crash_disk *disk = io->ctx;
    int rc = 0, created = 0;
    path += strspn(path, "/");
    pthread_mutex_lock(&disk->lock);
    uint32_t in = parent != NULL ? handle_of(parent)->node : CRASH_ROOT;
    uint32_t node = crash_fs_find(&disk->fs, in, path);
    if (strchr(path, '/') != NULL || strlen(path) >= CRASH_NAME) {
        rc = -EINVAL;
    } else if (node == CRASH_NONE && !create) {
        rc = -ENOENT;
    } else if (node == CRASH_NONE) {
        node = disk->fs.count;
        crash_fs_add_node(&disk->fs, node, true, in);
        crash_fs_set_name(&disk->fs, in, path, node);
        created = 1;
    } else if (!disk->fs.nodes[node].is_dir) {
        rc = -ENOTDIR;
    }
    if (rc == 0) {
        *ret_dir = (void *)handle_new(disk, node, 0);
        if (ret_created != NULL) {
            *ret_created = created;
        }
    }
    pthread_mutex_unlock(&disk->lock);
    return rc;
}

static void disk_dir_close(struct varve_io *io, struct varve_dir *dir)
{
    handle_free(io->ctx, dir);
}

static int disk_dir_list(struct varve_io *io, struct varve_dir *dir, varve_io_name_fn fn, void *arg)
{
    struct crash_disk *disk = io->ctx;
    pthread_mutex_lock(&disk->lock);
    const struct crash_node *node = &disk->fs.nodes[handle_of(dir)->node];
    size_t count = node->name_count;
    struct crash_name *names = crash_need(count * sizeof *names);
    if (count > 0) {
        memcpy(names, node->names, count * sizeof *names);
    }
    pthread_mutex_unlock(&disk->lock);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = fn(arg, names[i].name);
    }
    free(names);
    return rc;
}

static int disk_dir_sync(struct varve_io *io, struct varve_dir *dir)
{
    (void)io;
    (void)dir;
    return 0;
}

static int disk_rename(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to,
                       int replace)
{
    struct crash_disk *disk = io->ctx;
    uint32_t in = handle_of(dir)->node;
    int rc = 0;
    pthread_mutex_lock(&disk->lock);
    uint32_t old = crash_fs_find(&disk->fs, in, from), there = crash_fs_find(&disk->fs, in, to);
    if (old == CRASH_NONE) {
        rc = -ENOENT;
    } else if (there != CRASH_NONE && !replace) {
        rc = -EEXIST;
    } else if (there != old) {
        crash_fs_drop_name(&disk->fs, in, from);
        crash_fs_set_name(&disk->fs, in, to, old);
    }
    pthread_mutex_unlock(&disk->lock);
    return rc;
}

static int disk_unlink(struct varve_io *io, struct varve_dir *dir, const char *name)
{
    struct crash_disk *disk = io->ctx;
    uint32_t in = handle_of(dir)->node;
    pthread_mutex_lock(&disk->lock);
    uint32_t node = crash_fs_find(&disk->fs, in, name);
    int rc = node == CRASH_NONE ? -ENOENT : disk->fs.nodes[node].is_dir ? -EISDIR : 0;
    if (rc == 0) {
        crash_fs_drop_name(&disk->fs, in, name);
    }
    pthread_mutex_unlock(&disk->lock);
    return rc;
}

static void stat_fill(const struct crash_node *node, struct varve_io_stat *ret_stat)
{
    *ret_stat = (struct varve_io_stat){
        .kind = node->is_dir ? VARVE_IO_KIND_DIR : VARVE_IO_KIND_FILE,
        .size_bytes = node->size,
        .direct_align = DISK_ALIGN,
    };
}

static int disk_stat_name(struct varve_io *io, struct varve_dir *dir, const char *name,
                          struct varve_io_stat *ret_stat)
{
    struct crash_disk *disk = io->ctx;
    pthread_mutex_lock(&disk->lock);
    uint32_t node = crash_fs_find(&disk->fs, handle_of(dir)->node, name);
    if (node != CRASH_NONE) {
        stat_fill(&disk->fs.nodes[node], ret_stat);
    }
    pthread_mutex_unlock(&disk->lock);
    return node == CRASH_NONE ? -ENOENT : 0;
}

static int disk_space(struct varve_io *io, struct varve_dir *dir, uint64_t *ret_free_bytes)
{
    (void)io;
    (void)dir;
    *ret_free_bytes = UINT64_C(1) << 40;
    return 0;
}

static int disk_open(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                     struct varve_file **ret_file)
{
    struct crash_disk *disk = io->ctx;
    uint32_t in = handle_of(dir)->node;
    int rc = 0;
    pthread_mutex_lock(&disk->lock);
    uint32_t node = crash_fs_find(&disk->fs, in, name);
    if (node != CRASH_NONE && (flags & VARVE_IO_CREATE) != 0) {
        rc = -EEXIST;
    } else if (node != CRASH_NONE && disk->fs.nodes[node].is_dir) {
        rc = -EMEDIUMTYPE;
    } else if (node == CRASH_NONE && (flags & VARVE_IO_CREATE) == 0) {
        rc = -ENOENT;
    } else if (node == CRASH_NONE) {
        node = disk->fs.count;
        crash_fs_add_node(&disk->fs, node, false, in);
        crash_fs_set_name(&disk->fs, in, name, node);
    }
    if (rc == 0) {
        *ret_file = (void *)handle_new(disk, node, flags);
    }
    pthread_mutex_unlock(&disk->lock);
    return rc;
}

static void disk_close(struct varve_io *io, struct varve_file *file)
{
    handle_free(io->ctx, file);
}

static int disk_stat(struct varve_io *io, struct varve_file *file, struct varve_io_stat *ret_stat)
{
    struct crash_disk *disk = io->ctx;
    pthread_mutex_lock(&disk->lock);
    stat_fill(&disk->fs.nodes[handle_of(file)->node], ret_stat);
    pthread_mutex_unlock(&disk->lock);
    return 0;
}

static bool aligned(const struct disk_handle *handle, const void *buf, size_t len, uint64_t offset)
{
    uint64_t all = (uint64_t)(uintptr_t)buf | len | offset;
    return (handle->flags & VARVE_IO_DIRECT) == 0 || all % DISK_ALIGN == 0;
}

static ssize_t disk_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len,
                          uint64_t offset)
{
    struct crash_disk *disk = io->ctx;
    const struct disk_handle *handle = handle_of(file);
    if (!aligned(handle, buf, len, offset)) {
        return -EINVAL;
    }
    pthread_mutex_lock(&disk->lock);
    uint64_t size = disk->fs.nodes[handle->node].size;
    uint64_t left = size > offset ? size - offset : 0;
    len = len < left ? len : (size_t)left;
    crash_fs_read(&disk->fs, handle->node, buf, len, offset);
    pthread_mutex_unlock(&disk->lock);
    return (ssize_t)len;
}

static ssize_t disk_pwritev(struct varve_io *io, struct varve_file *file, const struct iovec *iov,
                            int iov_count, uint64_t offset, int dsync)
{
    struct crash_disk *disk = io->ctx;
    const struct disk_handle *handle = handle_of(file);
    uint64_t at = offset;
    (void)dsync;
    if ((handle->flags & VARVE_IO_WRITE) == 0) {
        return -EBADF;
    }
    for (int i = 0; i < iov_count; i++) {
        if (!aligned(handle, iov[i].iov_base, iov[i].iov_len, offset)) {
            return -EINVAL;
        }
    }
    pthread_mutex_lock(&disk->lock);
    for (int i = 0; i < iov_count; i++) {
        if (iov[i].iov_len > 0) {
            crash_fs_write(&disk->fs, handle->node, iov[i].iov_base, iov[i].iov_len, at);
        }
        at += iov[i].iov_len;
    }
    if (disk->fs.nodes[handle->node].size < at) {
        disk->fs.nodes[handle->node].size = at;
    }
    pthread_mutex_unlock(&disk->lock);
    return (ssize_t)(at - offset);
}

static int disk_resize(struct varve_io *io, struct varve_file *file, uint64_t size_bytes, bool fresh)
{
    struct crash_disk *disk = io->ctx;
    const struct disk_handle *handle = handle_of(file);
    if ((handle->flags & VARVE_IO_WRITE) == 0) {
        return -EINVAL;
    }
    pthread_mutex_lock(&disk->lock);
    if (fresh) {
        crash_fs_resize(&disk->fs, handle->node, 0);
    }
    crash_fs_resize(&disk->fs, handle->node, size_bytes);
    pthread_mutex_unlock(&disk->lock);
    return 0;
}

static int disk_allocate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    return disk_resize(io, file, size_bytes, true);
}

static int disk_truncate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    return disk_resize(io, file, size_bytes, false);
}

static int disk_sync(struct varve_io *io, struct varve_file *file)
{
    (void)io;
    (void)file;
    return 0;
}

static int disk_lock(struct varve_io *io, struct varve_file *file, int exclusive)
{
    struct crash_disk *disk = io->ctx;
    struct disk_handle *handle = handle_of(file);
    pthread_mutex_lock(&disk->lock);
    struct crash_node *node = &disk->fs.nodes[handle->node];
    bool held = node->locked != NULL && node->locked != handle;
    if (!held && exclusive) {
        node->locked = handle;
    }
    pthread_mutex_unlock(&disk->lock);
    return held ? -EAGAIN : 0;
}

static uint64_t disk_realtime_us(struct varve_io *io)
{
    (void)io;
    return varve_io_system()->realtime_us(varve_io_system());
}

static uint64_t disk_monotonic_us(struct varve_io *io)
{
    (void)io;
    return varve_io_system()->monotonic_us(varve_io_system());
}

static int disk_random(struct varve_io *io, void *buf, size_t len)
{
    struct crash_disk *disk = io->ctx;
    pthread_mutex_lock(&disk->lock);
    test_rng_fill(&disk->rng, buf, len);
    pthread_mutex_unlock(&disk->lock);
    return 0;
}

void crash_disk_init(struct crash_disk *disk, struct crash_fs *fs, uint64_t seed)
{
    disk->io = (struct varve_io){
        .size = sizeof disk->io,
        .ctx = disk,
        .dir_open = disk_dir_open,
        .dir_close = disk_dir_close,
        .dir_list = disk_dir_list,
        .dir_sync = disk_dir_sync,
        .dir_sync_parent = disk_dir_sync,
        .rename = disk_rename,
        .unlink = disk_unlink,
        .stat_name = disk_stat_name,
        .space = disk_space,
        .open = disk_open,
        .close = disk_close,
        .stat = disk_stat,
        .pread = disk_pread,
        .pwritev = disk_pwritev,
        .allocate = disk_allocate,
        .sync = disk_sync,
        .lock = disk_lock,
        .truncate = disk_truncate,
        .realtime_us = disk_realtime_us,
        .monotonic_us = disk_monotonic_us,
        .random = disk_random,
    };
    pthread_mutex_init(&disk->lock, NULL);
    disk->fs = *fs;
    *fs = (struct crash_fs){.nodes = NULL};
    test_rng_init(&disk->rng, seed);
}

void crash_disk_close(struct crash_disk *disk)
{
    for (uint32_t i = 0; i < disk->fs.count; i++) {
        assert(disk->fs.nodes[i].handles == 0);
    }
    crash_fs_free(&disk->fs);
    pthread_mutex_destroy(&disk->lock);
}

void crash_disk_copy(struct crash_disk *disk, struct crash_fs *ret_copy)
{
    pthread_mutex_lock(&disk->lock);
    crash_fs_copy(&disk->fs, ret_copy);
    pthread_mutex_unlock(&disk->lock);
}
