/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/watch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An open file: the one below, and where its name stands. */
struct fault_watch_handle {
    struct fault_watch_handle *next;
    struct varve_file *below;
    struct fault_watch_file file;
};

static struct varve_file *watch_below(struct varve_file *file)
{
    return ((struct fault_watch_handle *)(void *)file)->below;
}

static struct fault_watch_file watch_name(const struct varve_dir *dir, const char *name)
{
    struct fault_watch_file file = {.dir = dir};
    size_t bytes = strlen(name) + 1;
    assert(bytes <= sizeof file.name);
    memcpy(file.name, name, bytes);
    return file;
}

/* Its place in the list; failed_count when it is not there. */
static unsigned watch_find(const struct fault_watch *watch, const struct fault_watch_file *file)
{
    unsigned i = 0;
    while (i < watch->failed_count &&
           (watch->failed[i].dir != file->dir || strcmp(watch->failed[i].name, file->name) != 0)) {
        i++;
    }
    return i;
}

/* With the lock. */
static void watch_drop_locked(struct fault_watch *watch, const struct fault_watch_file *file)
{
    unsigned at = watch_find(watch, file);
    if (at < watch->failed_count) {
        watch->failed[at] = watch->failed[--watch->failed_count];
    }
}

static void watch_drop(struct fault_watch *watch, const struct varve_dir *dir, const char *name)
{
    struct fault_watch_file file = watch_name(dir, name);
    pthread_mutex_lock(&watch->lock);
    watch_drop_locked(watch, &file);
    pthread_mutex_unlock(&watch->lock);
}

/* Before something that syncs. */
static void watch_look(struct fault_watch *watch, const struct fault_watch_handle *handle)
{
    pthread_mutex_lock(&watch->lock);
    if (watch_find(watch, &handle->file) < watch->failed_count && watch->wrong[0] == '\0') {
        memcpy(watch->wrong, handle->file.name, sizeof watch->wrong);
    }
    pthread_mutex_unlock(&watch->lock);
}

static void watch_note(struct fault_watch *watch, const struct fault_watch_handle *handle)
{
    pthread_mutex_lock(&watch->lock);
    if (watch_find(watch, &handle->file) == watch->failed_count) {
        assert(watch->failed_count < FAULT_WATCH_FILES);
        watch->failed[watch->failed_count++] = handle->file;
    }
    pthread_mutex_unlock(&watch->lock);
}

static int watch_open(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                      struct varve_file **ret_file)
{
    struct fault_watch *watch = io->ctx;
    struct varve_io *below = watch->pass.below;
    struct varve_file *file;
    int rc = below->open(below, dir, name, flags, &file);
    if (rc != 0) {
        return rc;
    }
    if ((flags & VARVE_IO_CREATE) != 0) {
        watch_drop(watch, dir, name);
    }
    struct fault_watch_handle *handle = malloc(sizeof *handle);
    assert(handle != NULL);
    *handle = (struct fault_watch_handle){.below = file, .file = watch_name(dir, name)};
    pthread_mutex_lock(&watch->lock);
    handle->next = watch->open;
    watch->open = handle;
    pthread_mutex_unlock(&watch->lock);
    *ret_file = (struct varve_file *)(void *)handle;
    return 0;
}

static void watch_close(struct varve_io *io, struct varve_file *file)
{
    struct fault_watch *watch = io->ctx;
    struct fault_watch_handle *handle = (struct fault_watch_handle *)(void *)file;
    if (handle == NULL) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    struct fault_watch_handle **at = &watch->open;
    while (*at != handle) {
        at = &(*at)->next;
    }
    *at = handle->next;
    pthread_mutex_unlock(&watch->lock);
    watch->pass.below->close(watch->pass.below, handle->below);
    free(handle);
}

static int watch_stat(struct varve_io *io, struct varve_file *file, struct varve_io_stat *ret_stat)
{
    struct varve_io *below = test_pass_below(io);
    return below->stat(below, watch_below(file), ret_stat);
}

static ssize_t watch_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len,
                           uint64_t offset)
{
    struct varve_io *below = test_pass_below(io);
    return below->pread(below, watch_below(file), buf, len, offset);
}

/* What write.c tries again: of these the kernel says that it did not begin. */
static bool watch_is_transient(ssize_t rc)
{
    return rc == -EINTR || rc == -EAGAIN || rc == -ENOSPC || rc == -EDQUOT || rc == -ENOMEM;
}

static ssize_t watch_pwritev(struct varve_io *io, struct varve_file *file, const struct iovec *iov,
                             int iov_count, uint64_t offset, int dsync)
{
    struct fault_watch *watch = io->ctx;
    struct fault_watch_handle *handle = (struct fault_watch_handle *)(void *)file;
    if (dsync) {
        watch_look(watch, handle);
    }
    ssize_t n = watch->pass.below->pwritev(watch->pass.below, handle->below, iov, iov_count, offset, dsync);
    if (dsync && n < 0 && !watch_is_transient(n)) {
        watch_note(watch, handle);
    }
    return n;
}

static int watch_allocate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    struct varve_io *below = test_pass_below(io);
    return below->allocate(below, watch_below(file), size_bytes);
}

static int watch_sync(struct varve_io *io, struct varve_file *file)
{
    struct fault_watch *watch = io->ctx;
    struct fault_watch_handle *handle = (struct fault_watch_handle *)(void *)file;
    watch_look(watch, handle);
    int rc = watch->pass.below->sync(watch->pass.below, handle->below);
    if (rc != 0) {
        watch_note(watch, handle);
    }
    return rc;
}

static int watch_lock(struct varve_io *io, struct varve_file *file, int exclusive)
{
    struct varve_io *below = test_pass_below(io);
    return below->lock(below, watch_below(file), exclusive);
}

static int watch_truncate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    struct varve_io *below = test_pass_below(io);
    return below->truncate(below, watch_below(file), size_bytes);
}

static int watch_unlink(struct varve_io *io, struct varve_dir *dir, const char *name)
{
    struct fault_watch *watch = io->ctx;
    int rc = watch->pass.below->unlink(watch->pass.below, dir, name);
    if (rc == 0) {
        watch_drop(watch, dir, name);
    }
    return rc;
}

/* What is known of the file goes with it to its new name. */
static void watch_move(struct fault_watch *watch, const struct fault_watch_file *from,
                       const struct fault_watch_file *to)
{
    pthread_mutex_lock(&watch->lock);
    watch_drop_locked(watch, to);
    unsigned at = watch_find(watch, from);
    if (at < watch->failed_count) {
        watch->failed[at] = *to;
    }
    for (struct fault_watch_handle *h = watch->open; h != NULL; h = h->next) {
        if (h->file.dir == from->dir && strcmp(h->file.name, from->name) == 0) {
            h->file = *to;
        }
    }
    pthread_mutex_unlock(&watch->lock);
}

static int watch_rename(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to,
                        int replace)
{
    struct fault_watch *watch = io->ctx;
    int rc = watch->pass.below->rename(watch->pass.below, dir, from, to, replace);
    if (rc == 0) {
        struct fault_watch_file old = watch_name(dir, from), new = watch_name(dir, to);
        watch_move(watch, &old, &new);
    }
    return rc;
}

void fault_watch_init(struct fault_watch *watch, struct varve_io *below)
{
    memset(watch, 0, sizeof *watch);
    test_pass_init(&watch->pass, below);
    struct varve_io *io = &watch->pass.io;
    io->open = watch_open;
    io->close = watch_close;
    io->stat = watch_stat;
    io->pread = watch_pread;
    io->pwritev = watch_pwritev;
    io->allocate = watch_allocate;
    io->sync = watch_sync;
    io->lock = watch_lock;
    io->truncate = watch_truncate;
    io->unlink = watch_unlink;
    io->rename = watch_rename;
    pthread_mutex_init(&watch->lock, NULL);
}

void fault_watch_close(struct fault_watch *watch)
{
    pthread_mutex_destroy(&watch->lock);
}

void fault_watch_forget(struct fault_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->failed_count = 0;
    pthread_mutex_unlock(&watch->lock);
}

bool fault_watch_is_fine(struct fault_watch *watch, char *ret_name)
{
    pthread_mutex_lock(&watch->lock);
    memcpy(ret_name, watch->wrong, FAULT_WATCH_NAME);
    pthread_mutex_unlock(&watch->lock);
    return ret_name[0] == '\0';
}
