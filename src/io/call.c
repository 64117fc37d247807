/* SPDX-License-Identifier: Apache-2.0 */
/* call: from data to the function of the table that it stands for. */
#include "io/call.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

static int keep_name(void *arg, const char *name)
{
    struct vv_call_names *n = arg;
    size_t len = strlen(name) + 1;

    if (n->used + len > n->room) {
        size_t room = (n->room ? n->room * 2 : 1024) + len;
        char *text = vv_realloc(n->text, room);

        if (!text)
            return -ENOMEM;
        n->text = text;
        n->room = room;
    }
    memcpy(n->text + n->used, name, len);
    n->used += len;
    return 0;
}

static long run_on_file(struct varve_io *io, struct vv_call *c)
{
    struct varve_file *file = c->held->file;

    switch (c->op) {
    case VV_CALL_STAT:
        return io->stat(io, file, &c->ret_stat);
    case VV_CALL_WRITE:
        return io->pwritev(io, file, c->iov, c->iov_count, c->offset, c->flag);
    case VV_CALL_ALLOCATE:
        return io->allocate(io, file, c->bytes);
    case VV_CALL_OWN:
        return io->own ? io->own(io, file, c->bytes) : -EOPNOTSUPP;
    case VV_CALL_SYNC:
        return io->sync(io, file);
    default:
        return io->truncate(io, file, c->bytes);
    }
}

static long run_on_dir(struct varve_io *io, struct vv_call *c)
{
    switch (c->op) {
    case VV_CALL_OPEN:
        return io->open(io, c->dir, c->name, c->flags, &c->ret_file);
    case VV_CALL_RENAME:
        return io->rename(io, c->dir, c->name, c->other, c->flag);
    case VV_CALL_UNLINK:
        return io->unlink(io, c->dir, c->name);
    case VV_CALL_STAT_NAME:
        return io->stat_name(io, c->dir, c->name, &c->ret_stat);
    case VV_CALL_SPACE:
        return io->space(io, c->dir, &c->ret_bytes);
    case VV_CALL_DIR_LIST:
        return io->dir_list(io, c->dir, keep_name, &c->names);
    case VV_CALL_DIR_SYNC:
        return io->dir_sync(io, c->dir);
    default:
        return io->dir_sync_parent(io, c->dir);
    }
}

long vv_call_run(struct varve_io *io, struct vv_call *call)
{
    if (call->op == VV_CALL_CLOSE) {
        io->close(io, call->file);
        return 0;
    }
    return call->held ? run_on_file(io, call) : run_on_dir(io, call);
}

void vv_call_drop(struct varve_io *io, struct vv_call *call)
{
    if (call->ret_file)
        io->close(io, call->ret_file);
    call->ret_file = NULL;
    vv_free(call->names.text);
    call->names = (struct vv_call_names){NULL, 0, 0};
}

void vv_held_release(struct varve_io *io, struct vv_held_file *held)
{
    if (atomic_fetch_sub(&held->holders, 1) != 1)
        return;
    if (held->twin)
        io->close(io, held->twin);
    if (held->file)
        io->close(io, held->file);
    vv_free(held);
}

const char *vv_call_name(enum vv_call_op op)
{
    static const char *const names[] = {
        "opening a file",  "closing a file",    "asking for a file's size",
        "a write",         "allocating",        "allocating",
        "a sync",          "cutting a file",    "renaming a file",
        "removing a file", "asking for a name", "asking for free space",
        "listing",         "syncing directory", "syncing directory",
    };

    return (size_t)op < sizeof names / sizeof *names ? names[op] : "a call";
}
