/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/trace.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"

struct trace_handle {
    void *below;
    uint32_t node;
};

static struct trace_handle *handle_of(void *p)
{
    return p;
}

static void *handle_new(void *below, uint32_t node)
{
    struct trace_handle *handle = crash_need(sizeof *handle);
    *handle = (struct trace_handle){below, node};
    return handle;
}

static void name_copy(char *to, const char *from)
{
    assert(strlen(from) < CRASH_NAME);
    memcpy(to, from, strlen(from) + 1);
}

static size_t op_begin(struct crash_trace *trace, const struct crash_op *op)
{
    pthread_mutex_lock(&trace->lock);
    trace->ops = crash_grow(trace->ops, &trace->room, trace->count + 1, sizeof *trace->ops);
    size_t number = trace->count++;
    trace->ops[number] = *op;
    trace->ops[number].begin = trace->clock++;
    trace->ops[number].end = CRASH_NEVER;
    pthread_mutex_unlock(&trace->lock);
    return number;
}

static int op_end(struct crash_trace *trace, size_t number, int rc)
{
    pthread_mutex_lock(&trace->lock);
    trace->ops[number].rc = rc;
    trace->ops[number].end = trace->clock++;
    pthread_mutex_unlock(&trace->lock);
    return rc;
}

uint64_t crash_trace_now(struct crash_trace *trace)
{
    pthread_mutex_lock(&trace->lock);
    uint64_t now = trace->clock++;
    pthread_mutex_unlock(&trace->lock);
    return now;
}

/* Just after something that should have made bytes durable has failed, if anything has. */
static uint64_t after_failure(const struct crash_trace *trace, struct test_rng *rng, uint64_t from)
{
    uint64_t found = 0, moment = 0;
    for (size_t i = 0; i < trace->count; i++) {
        const struct crash_op *op = &trace->ops[i];
        if ((op->kind == CRASH_SYNC || op->dsync) && op->rc != 0 && op->end != CRASH_NEVER &&
            op->end >= from && test_rng_once_in(rng, ++found)) {
            moment = op->end + 1;
        }
    }
    return moment;
}

uint64_t crash_trace_moment(const struct crash_trace *trace, struct test_rng *rng, uint64_t from)
{
    uint64_t failure = test_rng_once_in(rng, 4) ? after_failure(trace, rng, from) : 0;
    if (failure != 0) {
        return failure;
    }
    for (unsigned tries = 0; trace->count > 0 && tries < 20; tries++) {
        const struct crash_op *op = &trace->ops[test_rng_below(rng, trace->count)];
        uint64_t moment = test_rng_once_in(rng, 2) ? op->begin + 1 : op->end + 1;
        if (tries == 0 && test_rng_once_in(rng, 2)) {
            break;
        }
        if (op->kind != CRASH_WRITE && op->end != CRASH_NEVER && moment >= from && moment <= trace->clock) {
            return moment;
        }
    }
    return test_rng_range(rng, from, trace->clock > from ? trace->clock : from);
}

/* A disk takes its time: without that hardly anything would ever be under way beside something else. */
static void take_time(struct crash_trace *trace)
{
    if (trace->pace_us == 0) {
        return;
    }
    uint64_t chance = test_rng_mix(atomic_fetch_add(&trace->pace, 1));
    struct timespec time = {0, (long)(chance % (trace->pace_us * 1000))};
    (void)nanosleep(&time, NULL);
}

static struct crash_trace_name *name_find(struct crash_trace *trace, uint32_t dir, const char *name)
{
    for (size_t i = 0; i < trace->name_count; i++) {
        if (trace->names[i].dir == dir && strcmp(trace->names[i].name, name) == 0) {
            return &trace->names[i];
        }
    }
    return NULL;
}

static void name_drop(struct crash_trace *trace, uint32_t dir, const char *name)
{
    struct crash_trace_name *found = name_find(trace, dir, name);
    if (found != NULL) {
        *found = trace->names[--trace->name_count];
    }
}

static void name_set(struct crash_trace *trace, uint32_t dir, const char *name, uint32_t node)
{
    name_drop(trace, dir, name);
    trace->names = crash_grow(trace->names, &trace->name_room, trace->name_count + 1, sizeof *trace->names);
    struct crash_trace_name *added = &trace->names[trace->name_count++];
    *added = (struct crash_trace_name){.dir = dir, .node = node};
    name_copy(added->name, name);
}

static int trace_dir_open(struct varve_io *io, struct varve_dir *parent, const char *path, int create,
                          struct varve_dir **ret_dir, int *ret_created)
{
    struct crash_trace *trace = io->ctx;
    struct varve_io *below = trace->pass.below;
    uint32_t in = parent != NULL ? handle_of(parent)->node : CRASH_ROOT;
    struct varve_dir *dir;
    int created = 0;
    path += strspn(path, "/");
    pthread_mutex_lock(&trace->names_lock);
    struct crash_trace_name *found = name_find(trace, in, path);
    struct crash_op op = {.kind = CRASH_MKDIR, .dir = in, .node = trace->next_node};
    name_copy(op.name, path);
    size_t number = found == NULL && create ? op_begin(trace, &op) : SIZE_MAX;
    int rc = below->dir_open(below, parent != NULL ? handle_of(parent)->below : NULL, path, create, &dir,
                             &created);
    if (number != SIZE_MAX) {
        (void)op_end(trace, number, rc);
    }
    if (rc == 0 && number != SIZE_MAX) {
        name_set(trace, in, path, trace->next_node++);
        found = name_find(trace, in, path);
    }
    if (rc == 0) {
        *ret_dir = handle_new(dir, found->node);
        if (ret_created != NULL) {
            *ret_created = created;
        }
    }
    pthread_mutex_unlock(&trace->names_lock);
    return rc;
}

static void trace_dir_close(struct varve_io *io, struct varve_dir *dir)
{
    struct varve_io *below = test_pass_below(io);
    if (dir != NULL) {
        below->dir_close(below, handle_of(dir)->below);
        free(dir);
    }
}

static int trace_dir_list(struct varve_io *io, struct varve_dir *dir, varve_io_name_fn fn, void *arg)
{
    struct varve_io *below = test_pass_below(io);
    return below->dir_list(below, handle_of(dir)->below, fn, arg);
}

static int trace_dir_sync(struct varve_io *io, struct varve_dir *dir)
{
    struct crash_trace *trace = io->ctx;
    struct crash_op op = {.kind = CRASH_DIR_SYNC, .dir = handle_of(dir)->node};
    size_t number = op_begin(trace, &op);
    take_time(trace);
    return op_end(trace, number, trace->pass.below->dir_sync(trace->pass.below, handle_of(dir)->below));
}

static int trace_dir_sync_parent(struct varve_io *io, struct varve_dir *dir)
{
    struct crash_trace *trace = io->ctx;
    /* Directories lie in the root, or in one of those; only of these the parent is ever synced. */
    struct crash_op op = {.kind = CRASH_DIR_SYNC, .dir = CRASH_ROOT};
    size_t number = op_begin(trace, &op);
    take_time(trace);
    return op_end(trace, number,
                  trace->pass.below->dir_sync_parent(trace->pass.below, handle_of(dir)->below));
}

static int trace_rename(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to,
                        int replace)
{
    struct crash_trace *trace = io->ctx;
    uint32_t in = handle_of(dir)->node;
    pthread_mutex_lock(&trace->names_lock);
    struct crash_trace_name *found = name_find(trace, in, from);
    struct crash_op op = {.kind = CRASH_RENAME, .dir = in, .node = found ? found->node : CRASH_NONE};
    name_copy(op.name, from);
    name_copy(op.to, to);
    size_t number = op_begin(trace, &op);
    int rc = trace->pass.below->rename(trace->pass.below, handle_of(dir)->below, from, to, replace);
    (void)op_end(trace, number, rc);
    if (rc == 0) {
        name_drop(trace, in, from);
        name_set(trace, in, to, op.node);
    }
    pthread_mutex_unlock(&trace->names_lock);
    return rc;
}

static int trace_unlink(struct varve_io *io, struct varve_dir *dir, const char *name)
{
    struct crash_trace *trace = io->ctx;
    uint32_t in = handle_of(dir)->node;
    pthread_mutex_lock(&trace->names_lock);
    struct crash_trace_name *found = name_find(trace, in, name);
    struct crash_op op = {.kind = CRASH_UNLINK, .dir = in, .node = found ? found->node : CRASH_NONE};
    name_copy(op.name, name);
    size_t number = op_begin(trace, &op);
    int rc = trace->pass.below->unlink(trace->pass.below, handle_of(dir)->below, name);
    (void)op_end(trace, number, rc);
    if (rc == 0) {
        name_drop(trace, in, name);
    }
    pthread_mutex_unlock(&trace->names_lock);
    return rc;
}

static int trace_stat_name(struct varve_io *io, struct varve_dir *dir, const char *name,
                           struct varve_io_stat *ret_stat)
{
    struct varve_io *below = test_pass_below(io);
    return below->stat_name(below, handle_of(dir)->below, name, ret_stat);
}

static int trace_space(struct varve_io *io, struct varve_dir *dir, uint64_t *ret_free_bytes)
{
    struct varve_io *below = test_pass_below(io);
    return below->space(below, handle_of(dir)->below, ret_free_bytes);
}

static int trace_open(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                      struct varve_file **ret_file)
{
    struct crash_trace *trace = io->ctx;
    struct varve_io *below = trace->pass.below;
    uint32_t in = handle_of(dir)->node;
    struct varve_file *file;
    pthread_mutex_lock(&trace->names_lock);
    struct crash_op op = {.kind = CRASH_CREATE, .dir = in, .node = trace->next_node};
    name_copy(op.name, name);
    size_t number = (flags & VARVE_IO_CREATE) != 0 ? op_begin(trace, &op) : SIZE_MAX;
    int rc = below->open(below, handle_of(dir)->below, name, flags, &file);
    if (number != SIZE_MAX) {
        (void)op_end(trace, number, rc);
    }
    if (rc == 0 && number != SIZE_MAX) {
        name_set(trace, in, name, trace->next_node++);
    }
    if (rc == 0) {
        *ret_file = handle_new(file, name_find(trace, in, name)->node);
    }
    pthread_mutex_unlock(&trace->names_lock);
    return rc;
}

static void trace_close(struct varve_io *io, struct varve_file *file)
{
    struct varve_io *below = test_pass_below(io);
    if (file != NULL) {
        below->close(below, handle_of(file)->below);
        free(file);
    }
}

static int trace_stat(struct varve_io *io, struct varve_file *file, struct varve_io_stat *ret_stat)
{
    struct varve_io *below = test_pass_below(io);
    return below->stat(below, handle_of(file)->below, ret_stat);
}

static ssize_t trace_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len,
                           uint64_t offset)
{
    struct varve_io *below = test_pass_below(io);
    return below->pread(below, handle_of(file)->below, buf, len, offset);
}

static ssize_t trace_pwritev(struct varve_io *io, struct varve_file *file, const struct iovec *iov,
                             int iov_count, uint64_t offset, int dsync)
{
    struct crash_trace *trace = io->ctx;
    struct crash_op op = {
        .kind = CRASH_WRITE, .node = handle_of(file)->node, .offset = offset, .dsync = dsync != 0};
    for (int i = 0; i < iov_count; i++) {
        op.bytes += iov[i].iov_len;
    }
    op.data = malloc(op.bytes > 0 ? op.bytes : 1);
    if (op.data == NULL) {
        abort();
    }
    size_t at = 0;
    for (int i = 0; i < iov_count; i++) {
        if (iov[i].iov_len > 0) {
            memcpy(op.data + at, iov[i].iov_base, iov[i].iov_len);
        }
        at += iov[i].iov_len;
    }
    if (vv_is_zero(op.data, at)) {
        free(op.data);
        op.data = NULL;
    }
    size_t number = op_begin(trace, &op);
    if (dsync) {
        take_time(trace);
    }
    ssize_t n =
        trace->pass.below->pwritev(trace->pass.below, handle_of(file)->below, iov, iov_count, offset, dsync);
    if (n >= 0) {
        pthread_mutex_lock(&trace->lock);
        trace->ops[number].bytes = (uint64_t)n;
        pthread_mutex_unlock(&trace->lock);
    }
    (void)op_end(trace, number, n < 0 ? (int)n : 0);
    return n;
}

static int trace_allocate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    struct crash_trace *trace = io->ctx;
    struct crash_op op = {.kind = CRASH_SIZE, .node = handle_of(file)->node, .bytes = size_bytes};
    size_t number = op_begin(trace, &op);
    return op_end(trace, number,
                  trace->pass.below->allocate(trace->pass.below, handle_of(file)->below, size_bytes));
}

static int trace_sync(struct varve_io *io, struct varve_file *file)
{
    struct crash_trace *trace = io->ctx;
    struct crash_op op = {.kind = CRASH_SYNC, .node = handle_of(file)->node};
    size_t number = op_begin(trace, &op);
    take_time(trace);
    return op_end(trace, number, trace->pass.below->sync(trace->pass.below, handle_of(file)->below));
}

static int trace_lock(struct varve_io *io, struct varve_file *file, int exclusive)
{
    struct varve_io *below = test_pass_below(io);
    return below->lock(below, handle_of(file)->below, exclusive);
}

static int trace_truncate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    struct crash_trace *trace = io->ctx;
    struct crash_op op = {.kind = CRASH_SIZE, .node = handle_of(file)->node, .bytes = size_bytes};
    size_t number = op_begin(trace, &op);
    return op_end(trace, number,
                  trace->pass.below->truncate(trace->pass.below, handle_of(file)->below, size_bytes));
}

static void names_load(struct crash_trace *trace, const struct crash_fs *fs)
{
    trace->name_count = 0;
    for (uint32_t dir = 0; dir < fs->count; dir++) {
        for (size_t i = 0; i < fs->nodes[dir].name_count; i++) {
            name_set(trace, dir, fs->nodes[dir].names[i].name, fs->nodes[dir].names[i].node);
        }
    }
}

void crash_trace_init(struct crash_trace *trace, struct varve_io *below, const struct crash_fs *base)
{
    memset(trace, 0, sizeof *trace);
    test_pass_init(&trace->pass, below);
    struct varve_io *io = &trace->pass.io;
    io->ctx = trace;
    io->dir_open = trace_dir_open;
    io->dir_close = trace_dir_close;
    io->dir_list = trace_dir_list;
    io->dir_sync = trace_dir_sync;
    io->dir_sync_parent = trace_dir_sync_parent;
    io->rename = trace_rename;
    io->unlink = trace_unlink;
    io->stat_name = trace_stat_name;
    io->space = trace_space;
    io->open = trace_open;
    io->close = trace_close;
    io->stat = trace_stat;
    io->pread = trace_pread;
    io->pwritev = trace_pwritev;
    io->allocate = trace_allocate;
    io->sync = trace_sync;
    io->lock = trace_lock;
    io->truncate = trace_truncate;
    pthread_mutex_init(&trace->lock, NULL);
    pthread_mutex_init(&trace->names_lock, NULL);
    crash_fs_copy(base, &trace->base);
    names_load(trace, base);
    trace->next_node = base->count;
    trace->clock = 1;
}

void crash_trace_close(struct crash_trace *trace)
{
    for (size_t i = 0; i < trace->count; i++) {
        free(trace->ops[i].data);
    }
    free(trace->ops);
    free(trace->names);
    crash_fs_free(&trace->base);
    pthread_mutex_destroy(&trace->lock);
    pthread_mutex_destroy(&trace->names_lock);
}

/* An operation that the process's death has cut off: how much of it was done. false: nothing. */
static bool cut_short(struct crash_op *op, uint64_t moment, struct test_rng *rng)
{
    op->rc = 0;
    op->end = moment;
    op->dsync = false;
    if (op->kind == CRASH_SYNC || op->kind == CRASH_DIR_SYNC || !test_rng_once_in(rng, 2)) {
        return false;
    }
    if (op->kind == CRASH_WRITE && test_rng_once_in(rng, 2)) {
        op->bytes = test_rng_below(rng, op->bytes / 512 + 1) * 512;
    }
    return true;
}

/* Does an operation for good, whether it would last or not. */
static void apply(struct crash_fs *fs, const struct crash_op *op)
{
    switch (op->kind) {
    case CRASH_CREATE:
    case CRASH_MKDIR:
        crash_fs_add_node(fs, op->node, op->kind == CRASH_MKDIR, op->dir);
        crash_fs_set_name(fs, op->dir, op->name, op->node);
        break;
    case CRASH_RENAME:
        crash_fs_drop_name(fs, op->dir, op->name);
        crash_fs_set_name(fs, op->dir, op->to, op->node);
        break;
    case CRASH_UNLINK:
        crash_fs_drop_name(fs, op->dir, op->name);
        break;
    case CRASH_WRITE:
        crash_fs_write(fs, op->node, op->data, op->bytes, op->offset);
        if (fs->nodes[op->node].size < op->offset + op->bytes) {
            fs->nodes[op->node].size = op->offset + op->bytes;
        }
        break;
    case CRASH_SIZE:
        crash_fs_resize(fs, op->node, op->bytes);
        break;
    case CRASH_DIR_SYNC:
    case CRASH_SYNC:
        break;
    }
}

void crash_trace_kill(struct crash_trace *trace, uint64_t moment, struct test_rng *rng,
                      struct crash_fs *ret_fs)
{
    size_t kept = 0;
    crash_fs_copy(&trace->base, ret_fs);
    for (size_t i = 0; i < trace->count; i++) {
        struct crash_op *op = &trace->ops[i];
        bool keep = op->begin < moment && (op->end < moment || cut_short(op, moment, rng));
        if (keep && op->rc == 0) {
            apply(ret_fs, op);
        }
        if (keep) {
            trace->ops[kept++] = *op;
        } else {
            free(op->data);
        }
    }
    trace->count = kept;
    trace->clock = moment + 1;
    names_load(trace, ret_fs);
    crash_fs_sweep(ret_fs);
}

const char *crash_op_name(enum crash_op_kind kind)
{
    static const char *const names[] = {"create",   "mkdir", "rename", "unlink",
                                        "dir_sync", "write", "size",   "sync"};
    return names[kind];
}
