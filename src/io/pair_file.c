/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair: open files. Each knows its side; what is done with it is done there, and is guarded where the
 * pair is.
 *
 * Ways to fail: as the table below fails; -ETIMEDOUT where a call was left behind; -ENODEV for what writes at
 * HOME after that was given up.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "io/pair_impl.h"

static struct vv_pair *pair_of(struct varve_io *io)
{
    return (struct vv_pair *)(void *)io;
}

static struct vv_held_file *held_of(struct varve_file *file)
{
    return (struct vv_held_file *)(void *)file;
}

static long ask(struct varve_io *io, struct vv_held_file *held, struct vv_call *call)
{
    call->held = held;
    if (held->apart || held->reads)
        return vv_call_run(pair_of(io)->below, call);
    return vv_pair_ask(pair_of(io), held->side, call);
}

static int open_below(struct vv_pair *p, struct vv_held_file *held, struct varve_dir *dir, const char *name,
                      unsigned flags, bool forced)
{
    struct vv_call call;
    int rc = vv_pair_call(VV_CALL_OPEN, name, &call);

    if (rc != 0)
        return rc;
    call.dir = dir;
    call.flags = flags;
    call.forced = forced;
    rc = (int)(held->apart || held->reads ? vv_call_run(p->below, &call) : vv_pair_ask(p, held->side, &call));
    if (rc == 0)
        held->file = call.ret_file;
    return rc;
}

int vv_pair_open_file(struct vv_pair *p, enum vv_half side, struct varve_dir *dir, const char *name,
                      unsigned flags, bool forced, struct varve_file **ret_file)
{
    struct vv_held_file *held = vv_alloc_zero(sizeof *held);
    int rc;

    if (!held)
        return -ENOMEM;
    atomic_store(&held->holders, 1);
    held->side = (uint8_t)side;
    held->reads = !(flags & VARVE_IO_WRITE);
    held->apart = dir != NULL;
    if (side == VV_AWAY && p->away_buffered)
        flags &= ~(unsigned)VARVE_IO_DIRECT;
    rc = open_below(p, held, dir ? dir : p->dirs[side], name, flags, forced);
    if (rc != 0) {
        vv_free(held);
        return rc;
    }
    if (!dir && (flags & VARVE_IO_CREATE)) {
        vv_pair_changed(p, side);
        if (side == VV_AWAY)
            vv_pair_remember(p, name);
    }
    *ret_file = (struct varve_file *)(void *)held;
    return 0;
}

/* Some file systems write when a file is closed: that is left to a thread that may hang. A process that was
 * forked has no such threads. */
static void pair_close(struct varve_io *io, struct varve_file *file)
{
    struct vv_pair *p = pair_of(io);
    struct vv_held_file *held = held_of(file);
    struct vv_patience *patience = p->patience[held->side];
    struct vv_call call = {.op = VV_CALL_CLOSE, .file = held->file};

    /* Where a call that was left behind has it too, that one closes it. */
    if (!patience || held->reads || held->apart || held->twin || atomic_load(&p->forked) ||
        atomic_load(&held->holders) != 1) {
        vv_held_release(p->below, held);
        return;
    }
    held->file = NULL;
    vv_held_release(p->below, held);
    vv_patience_post(patience, &call);
}

static int pair_stat(struct varve_io *io, struct varve_file *file, struct varve_io_stat *ret_stat)
{
    struct vv_call call = {.op = VV_CALL_STAT};
    int rc = (int)ask(io, held_of(file), &call);

    if (rc == 0)
        *ret_stat = call.ret_stat;
    return rc;
}

static ssize_t pair_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len,
                          uint64_t offset)
{
    struct varve_io *below = pair_of(io)->below;

    return below->pread(below, held_of(file)->file, buf, len, offset);
}

static ssize_t pair_pwritev(struct varve_io *io, struct varve_file *file, const struct iovec *iov,
                            int iov_count, uint64_t offset, int dsync)
{
    struct vv_call call = {.op = VV_CALL_WRITE, .offset = offset, .flag = dsync, .iov_count = iov_count};

    if (iov_count > VV_CALL_IOV_MAX)
        return -EINVAL;
    for (int i = 0; i < iov_count; i++)
        call.iov[i] = iov[i];
    return (ssize_t)ask(io, held_of(file), &call);
}

static int with_bytes(struct varve_io *io, struct varve_file *file, enum vv_call_op op, uint64_t bytes)
{
    struct vv_call call = {.op = op, .bytes = bytes};

    return (int)ask(io, held_of(file), &call);
}

static int pair_allocate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    return with_bytes(io, file, VV_CALL_ALLOCATE, size_bytes);
}

static int pair_own(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    return with_bytes(io, file, VV_CALL_OWN, size_bytes);
}

static int pair_sync(struct varve_io *io, struct varve_file *file)
{
    return with_bytes(io, file, VV_CALL_SYNC, 0);
}

static int pair_truncate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    return with_bytes(io, file, VV_CALL_TRUNCATE, size_bytes);
}

/* LOCK of both sides, or none: it goes with the open files. */
static int pair_lock(struct varve_io *io, struct varve_file *file, int exclusive)
{
    struct vv_pair *p = pair_of(io);
    struct vv_held_file *held = held_of(file);
    int rc = p->below->lock(p->below, held->file, exclusive);

    if (rc != 0 || !exclusive || held->apart)
        return rc;
    rc = vv_pair_open_on(p, VV_AWAY, VV_PAIR_LOCK, VARVE_IO_WRITE, &file);
    if (rc == -ENOENT)
        rc = vv_pair_open_on(p, VV_AWAY, VV_PAIR_LOCK, VARVE_IO_WRITE | VARVE_IO_CREATE, &file);
    if (rc != 0)
        return rc;
    held->twin = held_of(file)->file;
    vv_free(held_of(file));
    return p->below->lock(p->below, held->twin, exclusive);
}

void vv_pair_file_table(struct varve_io *io)
{
    io->close = pair_close;
    io->stat = pair_stat;
    io->pread = pair_pread;
    io->pwritev = pair_pwritev;
    io->allocate = pair_allocate;
    io->own = pair_own;
    io->sync = pair_sync;
    io->truncate = pair_truncate;
    io->lock = pair_lock;
}
