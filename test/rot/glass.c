/* SPDX-License-Identifier: Apache-2.0 */
#include "rot/glass.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A file of the table below, and which one it is. */
struct glass_file {
    struct varve_file *below;
    uint32_t node;
    bool is_lock;
};

static struct glass_file *glass_of(struct varve_file *file)
{
    return (struct glass_file *)(void *)file;
}

static struct rot_glass *glass_in(struct varve_io *io)
{
    return (struct rot_glass *)io->ctx;
}

static int glass_open(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                      struct varve_file **ret_file)
{
    struct rot_glass *glass = glass_in(io);
    struct varve_io *below = glass->pass.below;
    struct varve_file *file;
    int rc = below->open(below, dir, name, flags, &file);
    if (rc != 0) {
        return rc;
    }
    struct glass_file *g = crash_need(sizeof *g);
    g->below = file;
    g->is_lock = strcmp(name, "LOCK") == 0;
    g->node = crash_fs_find(&glass->c->fs, glass->c->log->dir, name);
    if ((flags & VARVE_IO_CREATE) != 0 && !g->is_lock) {
        glass->changes++;
    }
    *ret_file = (struct varve_file *)(void *)g;
    return 0;
}

static void glass_close(struct varve_io *io, struct varve_file *file)
{
    struct varve_io *below = test_pass_below(io);
    if (file != NULL) {
        below->close(below, glass_of(file)->below);
        free(glass_of(file));
    }
}

static int glass_stat(struct varve_io *io, struct varve_file *file, struct varve_io_stat *ret_stat)
{
    struct varve_io *below = test_pass_below(io);
    return below->stat(below, glass_of(file)->below, ret_stat);
}

/* How many of `len` bytes can be read before a bad sector comes. */
static size_t readable(const struct rot_glass *glass, const struct glass_file *g, size_t len, uint64_t offset)
{
    for (unsigned i = 0; i < glass->c->unreadable_count; i++) {
        const struct rot_unreadable *u = &glass->c->unreadable[i];
        if (u->node != g->node || u->offset >= offset + len ||
            (u->bytes != UINT64_MAX && u->offset + u->bytes <= offset)) {
            continue;
        }
        len = u->offset > offset ? (size_t)(u->offset - offset) : 0;
    }
    return len;
}

static ssize_t glass_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len,
                           uint64_t offset)
{
    struct rot_glass *glass = glass_in(io);
    struct varve_io *below = glass->pass.below;
    size_t good = readable(glass, glass_of(file), len, offset);
    if (good == 0 && len > 0) {
        glass->raised = true;
        if (glass->tooth != ROT_TOOTH_READ_ERROR_IS_END) {
            return -EIO;
        }
        memset(buf, 0, len);
        return (ssize_t)len;
    }
    return below->pread(below, glass_of(file)->below, buf, good, offset);
}

static void note_change(struct varve_io *io, const struct glass_file *g)
{
    if (!g->is_lock) {
        glass_in(io)->changes++;
    }
}

static ssize_t glass_pwritev(struct varve_io *io, struct varve_file *file, const struct iovec *iov,
                             int iov_count, uint64_t offset, int dsync)
{
    struct varve_io *below = test_pass_below(io);
    note_change(io, glass_of(file));
    return below->pwritev(below, glass_of(file)->below, iov, iov_count, offset, dsync);
}

static int glass_allocate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    struct varve_io *below = test_pass_below(io);
    note_change(io, glass_of(file));
    return below->allocate(below, glass_of(file)->below, size_bytes);
}

static int glass_truncate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    struct varve_io *below = test_pass_below(io);
    note_change(io, glass_of(file));
    return below->truncate(below, glass_of(file)->below, size_bytes);
}

static int glass_sync(struct varve_io *io, struct varve_file *file)
{
    struct varve_io *below = test_pass_below(io);
    return below->sync(below, glass_of(file)->below);
}

static int glass_lock(struct varve_io *io, struct varve_file *file, int exclusive)
{
    struct varve_io *below = test_pass_below(io);
    return below->lock(below, glass_of(file)->below, exclusive);
}

static int glass_rename(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to,
                        int replace)
{
    struct varve_io *below = test_pass_below(io);
    glass_in(io)->changes++;
    return below->rename(below, dir, from, to, replace);
}

static int glass_unlink(struct varve_io *io, struct varve_dir *dir, const char *name)
{
    struct varve_io *below = test_pass_below(io);
    glass_in(io)->changes++;
    return below->unlink(below, dir, name);
}

void rot_glass_init(struct rot_glass *glass, struct varve_io *below, const struct rot_case *c,
                    enum rot_tooth tooth)
{
    test_pass_init(&glass->pass, below);
    glass->pass.io.ctx = glass;
    glass->pass.io.open = glass_open;
    glass->pass.io.close = glass_close;
    glass->pass.io.stat = glass_stat;
    glass->pass.io.pread = glass_pread;
    glass->pass.io.pwritev = glass_pwritev;
    glass->pass.io.allocate = glass_allocate;
    glass->pass.io.truncate = glass_truncate;
    glass->pass.io.sync = glass_sync;
    glass->pass.io.lock = glass_lock;
    glass->pass.io.rename = glass_rename;
    glass->pass.io.unlink = glass_unlink;
    glass->c = c;
    glass->tooth = tooth;
    glass->raised = false;
    glass->changes = 0;
}
