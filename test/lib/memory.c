/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/memory.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMORY_BLOCK = 4096
};

/* A name in a directory. Holds a reference on the node. */
struct memory_name {
    struct memory_name *next;
    struct memory_node *node;
    char name[NAME_MAX + 1];
};

/* A change of names that is not durable. `to` is empty for a removal, `from` for a creation. Holds a
 * reference. */
struct memory_change {
    struct memory_change *next;
    struct memory_node *node;
    char from[NAME_MAX + 1];
    char to[NAME_MAX + 1];
};

/* A file or directory. Lives while a name, durable or not, or something open refers to it. */
struct memory_node {
    bool is_dir;
    int references;
    struct memory_node *parent; /* directories: outlives them, for none is ever removed */
    struct memory_name *names;  /* directories: as they are, as they are durable, and what lies between */
    struct memory_name *names_durable;
    struct memory_change *changes;
    struct memory_data data;            /* files */
    const struct memory_handle *locked; /* files: who holds the lock */
};

/* Something open. */
struct memory_handle {
    struct memory_node *node;
    unsigned flags;
    char name[NAME_MAX + 1]; /* as it was opened */
};

static void *memory_new(size_t bytes)
{
    void *p = calloc(1, bytes);
    if (p == NULL) {
        abort();
    }
    return p;
}

static void memory_name_copy(char *to, const char *from)
{
    size_t length = strlen(from);
    assert(length <= NAME_MAX);
    memcpy(to, from, length + 1);
}

static uint64_t memory_blocks(uint64_t bytes)
{
    return (bytes + MEMORY_BLOCK - 1) / MEMORY_BLOCK * MEMORY_BLOCK;
}

static void memory_unref(struct test_memory *memory, struct memory_node *node);

static void memory_names_free(struct test_memory *memory, struct memory_name **list)
{
    while (*list != NULL) {
        struct memory_name *entry = *list;
        *list = entry->next;
        memory_unref(memory, entry->node);
        free(entry);
    }
}

static void memory_changes_free(struct test_memory *memory, struct memory_node *dir)
{
    while (dir->changes != NULL) {
        struct memory_change *change = dir->changes;
        dir->changes = change->next;
        memory_unref(memory, change->node);
        free(change);
    }
}

static struct memory_node *memory_ref(struct memory_node *node)
{
    node->references++;
    return node;
}

static void memory_unref(struct test_memory *memory, struct memory_node *node)
{
    assert(node->references > 0);
    if (--node->references > 0) {
        return;
    }
    memory_names_free(memory, &node->names);
    memory_names_free(memory, &node->names_durable);
    memory_changes_free(memory, node);
    memory->used_bytes -= memory_blocks(node->data.size_now);
    memory_data_free(&node->data);
    free(node);
}

static struct memory_name **memory_find(struct memory_name **list, const char *name)
{
    while (*list != NULL && strcmp((*list)->name, name) != 0) {
        list = &(*list)->next;
    }
    return list;
}

static void memory_add(struct memory_name **list, const char *name, struct memory_node *node)
{
    struct memory_name *entry = memory_new(sizeof *entry);
    memory_name_copy(entry->name, name);
    entry->node = memory_ref(node);
    entry->next = *list;
    *list = entry;
}

static void memory_drop(struct test_memory *memory, struct memory_name **list, const char *name)
{
    struct memory_name **at = memory_find(list, name);
    struct memory_name *entry = *at;
    if (entry != NULL) {
        *at = entry->next;
        memory_unref(memory, entry->node);
        free(entry);
    }
}

/* One change of names, done on a list: the durable one, or that of a crashed copy. */
static void memory_change_apply(struct test_memory *memory, struct memory_name **list,
                                const struct memory_change *change, struct memory_node *node)
{
    memory_ref(node);
    if (change->from[0] != '\0') {
        memory_drop(memory, list, change->from);
    }
    if (change->to[0] != '\0') {
        memory_drop(memory, list, change->to);
        memory_add(list, change->to, node);
    }
    memory_unref(memory, node);
}

/* Changes the names as they are, and notes it for later. */
static void memory_change(struct test_memory *memory, struct memory_node *dir, struct memory_node *node,
                          const char *from, const char *to)
{
    struct memory_change *change = memory_new(sizeof *change);
    memory_name_copy(change->from, from);
    memory_name_copy(change->to, to);
    change->node = memory_ref(node);
    struct memory_change **end = &dir->changes;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = change;
    memory_change_apply(memory, &dir->names, change, node);
}

static bool memory_name_is_plain(const char *name)
{
    return name != NULL && name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strchr(name, '/') == NULL && strlen(name) <= NAME_MAX;
}

static struct memory_handle *memory_handle_new(struct memory_node *node, unsigned flags, const char *name)
{
    struct memory_handle *handle = memory_new(sizeof *handle);
    handle->node = memory_ref(node);
    handle->flags = flags;
    memory_name_copy(handle->name, name);
    return handle;
}

static struct memory_node *memory_dir_node(const struct varve_dir *dir)
{
    return ((const struct memory_handle *)(const void *)dir)->node;
}

static struct memory_handle *memory_handle(struct varve_file *file)
{
    return (struct memory_handle *)(void *)file;
}

/* The directory `name` in `dir`, or an error. */
static int memory_enter(struct test_memory *memory, struct memory_node *dir, const char *name, bool create,
                        struct memory_node **ret_node, int *ret_created)
{
    struct memory_name *entry = *memory_find(&dir->names, name);
    if (entry != NULL) {
        *ret_node = entry->node;
        return entry->node->is_dir ? 0 : -ENOTDIR;
    }
    if (!create) {
        return -ENOENT;
    }
    struct memory_node *node = memory_new(sizeof *node);
    node->is_dir = true;
    node->parent = dir;
    memory_change(memory, dir, node, "", name);
    *ret_node = node;
    *ret_created = 1;
    return 0;
}

static int memory_walk(struct test_memory *memory, struct memory_node *at, const char *path, int create,
                       struct memory_node **ret_node, char *ret_name, int *ret_created)
{
    memory_name_copy(ret_name, ".");
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        const char *rest = path + length + strspn(path + length, "/");
        if (length > NAME_MAX) {
            return -ENAMETOOLONG;
        }
        if (length > 0 && !(length == 1 && path[0] == '.')) {
            memcpy(ret_name, path, length);
            ret_name[length] = '\0';
            int rc = memory_enter(memory, at, ret_name, create && *rest == '\0', &at, ret_created);
            if (rc != 0) {
                return rc;
            }
        }
        path = rest;
    }
    *ret_node = at;
    return 0;
}

static int memory_dir_open(struct varve_io *io, struct varve_dir *parent, const char *path, int create,
                           struct varve_dir **ret_dir, int *ret_created)
{
    struct test_memory *memory = io->ctx;
    if (parent != NULL && !memory_name_is_plain(path)) {
        return -EINVAL;
    }
    pthread_mutex_lock(&memory->lock);
    struct memory_node *node = parent != NULL ? memory_dir_node(parent) : memory->root;
    char name[NAME_MAX + 1];
    int created = 0;
    int rc = path[0] == '\0' ? -ENOENT : memory_walk(memory, node, path, create, &node, name, &created);
    if (rc == 0) {
        *ret_dir = (struct varve_dir *)(void *)memory_handle_new(node, 0, name);
        if (ret_created != NULL) {
            *ret_created = created;
        }
    }
    pthread_mutex_unlock(&memory->lock);
    return rc;
}

static void memory_handle_free(struct test_memory *memory, struct memory_handle *handle)
{
    pthread_mutex_lock(&memory->lock);
    if (handle->node->locked == handle) {
        handle->node->locked = NULL;
    }
    memory_unref(memory, handle->node);
    pthread_mutex_unlock(&memory->lock);
    free(handle);
}

static void memory_dir_close(struct varve_io *io, struct varve_dir *dir)
{
    if (dir != NULL) {
        memory_handle_free(io->ctx, (struct memory_handle *)(void *)dir);
    }
}

/* The names are copied first, so that `fn` may call anything. */
static int memory_dir_list(struct varve_io *io, struct varve_dir *dir, varve_io_name_fn fn, void *arg)
{
    struct test_memory *memory = io->ctx;
    pthread_mutex_lock(&memory->lock);
    size_t count = 0;
    for (struct memory_name *entry = memory_dir_node(dir)->names; entry != NULL; entry = entry->next) {
        count++;
    }
    char(*names)[NAME_MAX + 1] = memory_new((count + 1) * sizeof *names);
    count = 0;
    for (struct memory_name *entry = memory_dir_node(dir)->names; entry != NULL; entry = entry->next) {
        memory_name_copy(names[count++], entry->name);
    }
    pthread_mutex_unlock(&memory->lock);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = fn(arg, names[i]);
    }
    free(names);
    return rc;
}

static void memory_call_hook(struct test_memory *memory, const char *name)
{
    pthread_mutex_lock(&memory->lock);
    test_memory_hook hook = memory->hook;
    void *arg = memory->hook_arg;
    pthread_mutex_unlock(&memory->lock);
    if (hook != NULL) {
        hook(arg, name);
    }
}

static void memory_sync_names(struct test_memory *memory, struct memory_node *dir)
{
    pthread_mutex_lock(&memory->lock);
    for (struct memory_change *change = dir->changes; change != NULL; change = change->next) {
        memory_change_apply(memory, &dir->names_durable, change, change->node);
    }
    memory_changes_free(memory, dir);
    pthread_mutex_unlock(&memory->lock);
}

static int memory_dir_sync(struct varve_io *io, struct varve_dir *dir)
{
    struct test_memory *memory = io->ctx;
    memory_call_hook(memory, ((struct memory_handle *)(void *)dir)->name);
    memory_sync_names(memory, memory_dir_node(dir));
    return 0;
}

static int memory_dir_sync_parent(struct varve_io *io, struct varve_dir *dir)
{
    struct test_memory *memory = io->ctx;
    struct memory_node *parent = memory_dir_node(dir)->parent;
    memory_call_hook(memory, ((struct memory_handle *)(void *)dir)->name);
    if (parent != NULL) {
        memory_sync_names(memory, parent);
    }
    return 0;
}

static int memory_rename(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to,
                         int replace)
{
    struct test_memory *memory = io->ctx;
    if (!memory_name_is_plain(from) || !memory_name_is_plain(to)) {
        return -EINVAL;
    }
    pthread_mutex_lock(&memory->lock);
    struct memory_node *node = memory_dir_node(dir);
    struct memory_name *old = *memory_find(&node->names, from);
    struct memory_name *new = *memory_find(&node->names, to);
    int rc = 0;
    if (old == NULL) {
        rc = -ENOENT;
    } else if (new != NULL && !replace) {
        rc = -EEXIST;
    } else if (new != NULL &&new->node->is_dir != old->node->is_dir) {
        rc = new->node->is_dir ? -EISDIR : -ENOTDIR;
    } else if (new != NULL &&new->node->is_dir && old != new) {
        rc = -ENOTEMPTY;
    } else if (old != new) {
        memory_change(memory, node, old->node, from, to);
    }
    pthread_mutex_unlock(&memory->lock);
    return rc;
}

static int memory_unlink(struct varve_io *io, struct varve_dir *dir, const char *name)
{
    struct test_memory *memory = io->ctx;
    if (!memory_name_is_plain(name)) {
        return -EINVAL;
    }
    pthread_mutex_lock(&memory->lock);
    struct memory_node *node = memory_dir_node(dir);
    struct memory_name *entry = *memory_find(&node->names, name);
    int rc = entry == NULL ? -ENOENT : entry->node->is_dir ? -EISDIR : 0;
    if (rc == 0) {
        memory_change(memory, node, entry->node, name, "");
    }
    pthread_mutex_unlock(&memory->lock);
    return rc;
}

static void memory_node_stat(const struct test_memory *memory, const struct memory_node *node,
                             struct varve_io_stat *ret_stat)
{
    *ret_stat = (struct varve_io_stat){
        .kind = node->is_dir ? VARVE_IO_KIND_DIR : VARVE_IO_KIND_FILE,
        .size_bytes = node->data.size_now,
        .direct_align = node->is_dir ? 0 : memory->direct_align,
    };
}

static int memory_stat_name(struct varve_io *io, struct varve_dir *dir, const char *name,
                            struct varve_io_stat *ret_stat)
{
    struct test_memory *memory = io->ctx;
    if (!memory_name_is_plain(name)) {
        return -EINVAL;
    }
    pthread_mutex_lock(&memory->lock);
    const struct memory_name *entry = *memory_find(&memory_dir_node(dir)->names, name);
    if (entry != NULL) {
        memory_node_stat(memory, entry->node, ret_stat);
    }
    pthread_mutex_unlock(&memory->lock);
    return entry != NULL ? 0 : -ENOENT;
}

static int memory_space(struct varve_io *io, struct varve_dir *dir, uint64_t *ret_free_bytes)
{
    struct test_memory *memory = io->ctx;
    (void)dir;
    pthread_mutex_lock(&memory->lock);
    *ret_free_bytes = memory->space_bytes > memory->used_bytes ? memory->space_bytes - memory->used_bytes : 0;
    pthread_mutex_unlock(&memory->lock);
    return 0;
}

static int memory_open_node(struct test_memory *memory, struct memory_node *dir, const char *name,
                            unsigned flags, struct memory_node **ret_node)
{
    struct memory_name *entry = *memory_find(&dir->names, name);
    if ((flags & VARVE_IO_CREATE) == 0) {
        if (entry == NULL) {
            return -ENOENT;
        }
        *ret_node = entry->node;
        return entry->node->is_dir ? -EMEDIUMTYPE : 0;
    }
    if (entry != NULL) {
        return -EEXIST;
    }
    struct memory_node *node = memory_new(sizeof *node);
    memory_change(memory, dir, node, "", name);
    *ret_node = node;
    return 0;
}

static int memory_open(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                       struct varve_file **ret_file)
{
    struct test_memory *memory = io->ctx;
    const unsigned known = VARVE_IO_WRITE | VARVE_IO_CREATE | VARVE_IO_DIRECT;
    if (!memory_name_is_plain(name) || (flags & ~known) != 0 ||
        ((flags & VARVE_IO_DIRECT) != 0 && memory->direct_align == 0)) {
        return -EINVAL;
    }
    pthread_mutex_lock(&memory->lock);
    struct memory_node *node;
    int rc = memory_open_node(memory, memory_dir_node(dir), name, flags, &node);
    if (rc == 0) {
        *ret_file = (struct varve_file *)(void *)memory_handle_new(node, flags, name);
    }
    pthread_mutex_unlock(&memory->lock);
    return rc;
}

static void memory_close(struct varve_io *io, struct varve_file *file)
{
    if (file != NULL) {
        memory_handle_free(io->ctx, memory_handle(file));
    }
}

static int memory_stat(struct varve_io *io, struct varve_file *file, struct varve_io_stat *ret_stat)
{
    struct test_memory *memory = io->ctx;
    pthread_mutex_lock(&memory->lock);
    memory_node_stat(memory, memory_handle(file)->node, ret_stat);
    pthread_mutex_unlock(&memory->lock);
    return 0;
}

static bool memory_aligned(const struct test_memory *memory, const struct memory_handle *handle,
                           const void *buf, size_t len, uint64_t offset)
{
    uint64_t all = (uint64_t)(uintptr_t)buf | len | offset;
    return (handle->flags & VARVE_IO_DIRECT) == 0 || (all & (memory->direct_align - 1)) == 0;
}

static ssize_t memory_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len,
                            uint64_t offset)
{
    struct test_memory *memory = io->ctx;
    struct memory_handle *handle = memory_handle(file);
    if (!memory_aligned(memory, handle, buf, len, offset) || offset > INT64_MAX) {
        return -EINVAL;
    }
    size_t done = 0;
    while (done < len) {
        size_t bytes = MEMORY_SECTOR - (size_t)((offset + done) % MEMORY_SECTOR);
        bytes = bytes < len - done ? bytes : len - done;
        pthread_mutex_lock(&memory->lock);
        uint64_t size = handle->node->data.size_now;
        uint64_t left = size > offset + done ? size - (offset + done) : 0;
        bytes = bytes < left ? bytes : (size_t)left;
        memory_data_read(&handle->node->data, (unsigned char *)buf + done, bytes, offset + done);
        pthread_mutex_unlock(&memory->lock);
        if (bytes == 0) {
            break;
        }
        done += bytes;
    }
    return (ssize_t)done;
}

/* Takes the space that a file of this size needs. Called with the lock. */
static int memory_take_space(struct test_memory *memory, const struct memory_node *node, uint64_t size_bytes)
{
    uint64_t before = memory_blocks(node->data.size_now);
    uint64_t after = memory_blocks(size_bytes);
    if (after > before && memory->used_bytes + (after - before) > memory->space_bytes) {
        return -ENOSPC;
    }
    memory->used_bytes = memory->used_bytes - before + after;
    return 0;
}

static ssize_t memory_write(struct test_memory *memory, struct memory_handle *handle, const void *buf,
                            size_t len, uint64_t offset, int dsync)
{
    struct memory_node *node = handle->node;
    pthread_mutex_lock(&memory->lock);
    uint64_t end = offset + len > node->data.size_now ? offset + len : node->data.size_now;
    int rc = memory_take_space(memory, node, end);
    if (rc != 0) {
        pthread_mutex_unlock(&memory->lock);
        return rc;
    }
    /* The space was taken for this size; another writer must not take it again. */
    if (node->data.size_now < end) {
        node->data.size_now = end;
    }
    struct memory_write *write = memory_data_begin(&node->data, buf, len, offset);
    size_t sectors = write->sectors;
    for (size_t i = 0; i < sectors; i++) {
        memory_data_put(&node->data, write, i);
        /* A reader may come in between two sectors. */
        pthread_mutex_unlock(&memory->lock);
        pthread_mutex_lock(&memory->lock);
    }
    pthread_mutex_unlock(&memory->lock);
    if (dsync) {
        memory_call_hook(memory, handle->name);
    }
    pthread_mutex_lock(&memory->lock);
    memory_data_end(&node->data, write, dsync);
    pthread_mutex_unlock(&memory->lock);
    return (ssize_t)len;
}

static ssize_t memory_pwritev(struct varve_io *io, struct varve_file *file, const struct iovec *iov,
                              int iov_count, uint64_t offset, int dsync)
{
    struct test_memory *memory = io->ctx;
    struct memory_handle *handle = memory_handle(file);
    if ((handle->flags & VARVE_IO_WRITE) == 0) {
        return -EBADF;
    }
    size_t len = 0;
    for (int i = 0; i < iov_count; i++) {
        if (!memory_aligned(memory, handle, iov[i].iov_base, iov[i].iov_len, offset)) {
            return -EINVAL;
        }
        len += iov[i].iov_len;
    }
    if (iov_count < 0 || iov_count > IOV_MAX || offset > (uint64_t)INT64_MAX - len) {
        return -EINVAL;
    }
    if (len == 0) {
        return 0;
    }
    unsigned char *copy = memory_new(len);
    size_t at = 0;
    for (int i = 0; i < iov_count; i++) {
        if (iov[i].iov_len > 0) {
            memcpy(copy + at, iov[i].iov_base, iov[i].iov_len);
        }
        at += iov[i].iov_len;
    }
    ssize_t put = memory_write(memory, handle, copy, len, offset, dsync);
    free(copy);
    return put;
}

/* Gives the file this size; `fresh`: after emptying it. */
static int memory_resize(struct test_memory *memory, struct memory_handle *handle, uint64_t size_bytes,
                         bool fresh)
{
    if ((handle->flags & VARVE_IO_WRITE) == 0) {
        return -EINVAL;
    }
    if (size_bytes > INT64_MAX) {
        return -EFBIG;
    }
    pthread_mutex_lock(&memory->lock);
    int rc = memory_take_space(memory, handle->node, size_bytes);
    if (rc == 0) {
        if (fresh) {
            memory_data_resize(&handle->node->data, 0);
        }
        memory_data_resize(&handle->node->data, size_bytes);
    }
    pthread_mutex_unlock(&memory->lock);
    return rc;
}

static int memory_allocate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    return memory_resize(io->ctx, memory_handle(file), size_bytes, true);
}

static int memory_truncate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    return memory_resize(io->ctx, memory_handle(file), size_bytes, false);
}

static int memory_sync(struct varve_io *io, struct varve_file *file)
{
    struct test_memory *memory = io->ctx;
    struct memory_handle *handle = memory_handle(file);
    memory_call_hook(memory, handle->name);
    pthread_mutex_lock(&memory->lock);
    memory_data_sync(&handle->node->data);
    pthread_mutex_unlock(&memory->lock);
    return 0;
}

static int memory_lock(struct varve_io *io, struct varve_file *file, int exclusive)
{
    struct test_memory *memory = io->ctx;
    struct memory_handle *handle = memory_handle(file);
    if (exclusive && (handle->flags & VARVE_IO_WRITE) == 0) {
        return -EBADF;
    }
    pthread_mutex_lock(&memory->lock);
    bool held = handle->node->locked != NULL && handle->node->locked != handle;
    if (!held && exclusive) {
        handle->node->locked = handle;
    }
    pthread_mutex_unlock(&memory->lock);
    return held ? -EAGAIN : 0;
}

static uint64_t memory_realtime_us(struct varve_io *io)
{
    (void)io;
    return varve_io_system()->realtime_us(varve_io_system());
}

static uint64_t memory_monotonic_us(struct varve_io *io)
{
    (void)io;
    return varve_io_system()->monotonic_us(varve_io_system());
}

static int memory_random(struct varve_io *io, void *buf, size_t len)
{
    (void)io;
    return varve_io_system()->random(varve_io_system(), buf, len);
}

void test_memory_init(struct test_memory *memory, uint32_t direct_align)
{
    assert(direct_align == 0 || (direct_align >= MEMORY_SECTOR && (direct_align & (direct_align - 1)) == 0));
    memset(memory, 0, sizeof *memory);
    memory->io = (struct varve_io){
        .size = sizeof memory->io,
        .ctx = memory,
        .dir_open = memory_dir_open,
        .dir_close = memory_dir_close,
        .dir_list = memory_dir_list,
        .dir_sync = memory_dir_sync,
        .dir_sync_parent = memory_dir_sync_parent,
        .rename = memory_rename,
        .unlink = memory_unlink,
        .stat_name = memory_stat_name,
        .space = memory_space,
        .open = memory_open,
        .close = memory_close,
        .stat = memory_stat,
        .pread = memory_pread,
        .pwritev = memory_pwritev,
        .allocate = memory_allocate,
        .sync = memory_sync,
        .lock = memory_lock,
        .truncate = memory_truncate,
        .realtime_us = memory_realtime_us,
        .monotonic_us = memory_monotonic_us,
        .random = memory_random,
    };
    pthread_mutex_init(&memory->lock, NULL);
    memory->direct_align = direct_align;
    memory->space_bytes = UINT64_MAX;
    memory->root = memory_new(sizeof *memory->root);
    memory->root->is_dir = true;
    memory_ref(memory->root);
}

void test_memory_close(struct test_memory *memory)
{
    memory_unref(memory, memory->root);
    assert(memory->used_bytes == 0);
    pthread_mutex_destroy(&memory->lock);
}

void test_memory_set_space(struct test_memory *memory, uint64_t bytes)
{
    pthread_mutex_lock(&memory->lock);
    memory->space_bytes = bytes;
    pthread_mutex_unlock(&memory->lock);
}

void test_memory_set_hook(struct test_memory *memory, test_memory_hook hook, void *arg)
{
    pthread_mutex_lock(&memory->lock);
    memory->hook = hook;
    memory->hook_arg = arg;
    pthread_mutex_unlock(&memory->lock);
}

/* What a crash takes from one file system to the other. */
struct memory_crash {
    struct test_memory *from, *to;
    enum test_crash how;
    struct test_rng *rng;
};

/* Puts into the empty directory `to` what is left of `from`. Directories lie only a few deep. */
static void memory_crash_dir(const struct memory_crash *crash, const struct memory_node *from,
                             struct memory_node *to)
{
    struct memory_name *names = NULL;
    for (struct memory_name *entry = from->names_durable; entry != NULL; entry = entry->next) {
        memory_add(&names, entry->name, entry->node);
    }
    size_t left = 0;
    for (const struct memory_change *change = from->changes; change != NULL; change = change->next) {
        left++;
    }
    if (crash->how == TEST_CRASH_CHANCE) {
        left = (size_t)test_rng_below(crash->rng, left + 1);
    }
    left = crash->how == TEST_CRASH_NOTHING ? 0 : left;
    for (const struct memory_change *change = from->changes; left > 0; change = change->next, left--) {
        memory_change_apply(crash->from, &names, change, change->node);
    }
    for (struct memory_name *entry = names; entry != NULL; entry = entry->next) {
        struct memory_node *node = memory_new(sizeof *node);
        node->is_dir = entry->node->is_dir;
        node->parent = node->is_dir ? to : NULL;
        memory_add(&to->names, entry->name, node);
        memory_add(&to->names_durable, entry->name, node);
        if (node->is_dir) {
            memory_crash_dir(crash, entry->node, node);
        } else {
            memory_data_crash(&entry->node->data, crash->how, crash->rng, &node->data);
            crash->to->used_bytes += memory_blocks(node->data.size_now);
        }
    }
    memory_names_free(crash->from, &names);
}

void test_memory_crash(struct test_memory *memory, enum test_crash how, struct test_rng *rng,
                       struct test_memory *ret_memory)
{
    test_memory_init(ret_memory, memory->direct_align);
    pthread_mutex_lock(&memory->lock);
    ret_memory->space_bytes = memory->space_bytes;
    memory_crash_dir(&(struct memory_crash){memory, ret_memory, how, rng}, memory->root, ret_memory->root);
    pthread_mutex_unlock(&memory->lock);
}
