/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/tooth.h"

#include <string.h>

static const struct {
    const char *name, *scenario;
    const char *expected; /* what is said of it, or a part of that */
} teeth[FAULT_TOOTH_COUNT] = {
    [FAULT_TOOTH_NONE] = {"none", "group", ""},
    [FAULT_TOOTH_READ_ERROR_IS_END] = {"read_error_is_end", "crashed", "nobody was told"},
    [FAULT_TOOTH_SYNC_ERROR_CLEARED] = {"sync_error_cleared", "buffered", "nobody was told"},
    [FAULT_TOOTH_SYNC_RETRIED] = {"sync_retried", "buffered",
                                  "was synced again after a sync of it had failed"},
    [FAULT_TOOTH_SHORT_WRITE_IGNORED] = {"short_write_ignored", "strict", "cannot be read"},
    [FAULT_TOOTH_DIR_ERROR_IGNORED] = {"dir_error_ignored", "fresh", "nobody was told"},
    [FAULT_TOOTH_RENAME_ERROR_HIDDEN] = {"rename_error_hidden", "crashed", "nobody was told"},
    [FAULT_TOOTH_LOCK_ERROR_IGNORED] = {"lock_error_ignored", "fresh", "nobody was told"},
    [FAULT_TOOTH_FILE_NOT_CLOSED] = {"file_not_closed", "read", "were left open"},
    [FAULT_TOOTH_RETRIED_FOR_EVER] = {"retried_for_ever", "group", "hangs"},
};

const char *fault_tooth_name(enum fault_tooth_kind kind)
{
    return teeth[kind].name;
}

enum fault_tooth_kind fault_tooth_find(const char *name)
{
    int kind = FAULT_TOOTH_COUNT - 1;
    while (kind > FAULT_TOOTH_NONE && strcmp(teeth[kind].name, name) != 0) {
        kind--;
    }
    return (enum fault_tooth_kind)kind;
}

const char *fault_tooth_scenario(enum fault_tooth_kind kind)
{
    return teeth[kind].scenario;
}

const char *fault_tooth_expected(enum fault_tooth_kind kind)
{
    return teeth[kind].expected;
}

static bool tooth_is(struct varve_io *io, enum fault_tooth_kind kind)
{
    return ((struct fault_tooth *)io->ctx)->kind == kind;
}

static ssize_t tooth_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len,
                           uint64_t offset)
{
    struct fault_tooth *tooth = io->ctx;
    struct varve_io *below = tooth->pass.below;
    ssize_t n = below->pread(below, file, buf, len, offset);
    if (n < 0 && tooth->kind == FAULT_TOOTH_READ_ERROR_IS_END) {
        memset(buf, 0, len);
        return (ssize_t)len;
    }
    tooth->leaks = tooth->leaks || n < 0;
    return n;
}

static size_t length(const struct iovec *iov, int iov_count)
{
    size_t bytes = 0;
    for (int i = 0; i < iov_count; i++) {
        bytes += iov[i].iov_len;
    }
    return bytes;
}

static ssize_t tooth_pwritev(struct varve_io *io, struct varve_file *file, const struct iovec *iov,
                             int iov_count, uint64_t offset, int dsync)
{
    struct varve_io *below = test_pass_below(io);
    ssize_t n;
    do {
        n = below->pwritev(below, file, iov, iov_count, offset, dsync);
    } while (n < 0 && tooth_is(io, FAULT_TOOTH_RETRIED_FOR_EVER));
    if ((n < 0 && dsync && tooth_is(io, FAULT_TOOTH_SYNC_ERROR_CLEARED)) ||
        (n >= 0 && tooth_is(io, FAULT_TOOTH_SHORT_WRITE_IGNORED))) {
        n = (ssize_t)length(iov, iov_count);
    }
    return n;
}

static int tooth_sync(struct varve_io *io, struct varve_file *file)
{
    struct varve_io *below = test_pass_below(io);
    int rc = below->sync(below, file);
    if (rc != 0 && tooth_is(io, FAULT_TOOTH_SYNC_RETRIED)) {
        rc = below->sync(below, file);
    }
    return tooth_is(io, FAULT_TOOTH_SYNC_ERROR_CLEARED) ? 0 : rc;
}

static int tooth_dir_sync(struct varve_io *io, struct varve_dir *dir)
{
    struct varve_io *below = test_pass_below(io);
    int rc = below->dir_sync(below, dir);
    return tooth_is(io, FAULT_TOOTH_DIR_ERROR_IGNORED) ? 0 : rc;
}

static int tooth_rename(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to,
                        int replace)
{
    struct varve_io *below = test_pass_below(io);
    int rc = below->rename(below, dir, from, to, replace);
    return tooth_is(io, FAULT_TOOTH_RENAME_ERROR_HIDDEN) ? 0 : rc;
}

static int tooth_lock(struct varve_io *io, struct varve_file *file, int exclusive)
{
    struct varve_io *below = test_pass_below(io);
    int rc = below->lock(below, file, exclusive);
    return tooth_is(io, FAULT_TOOTH_LOCK_ERROR_IGNORED) ? 0 : rc;
}

static void tooth_close(struct varve_io *io, struct varve_file *file)
{
    struct fault_tooth *tooth = io->ctx;
    if (tooth->kind != FAULT_TOOTH_FILE_NOT_CLOSED || !tooth->leaks) {
        tooth->pass.below->close(tooth->pass.below, file);
    }
    tooth->leaks = false;
}

void fault_tooth_init(struct fault_tooth *tooth, struct varve_io *below, enum fault_tooth_kind kind)
{
    test_pass_init(&tooth->pass, below);
    tooth->kind = kind;
    tooth->leaks = false;
    if (kind == FAULT_TOOTH_NONE) {
        return;
    }
    struct varve_io *io = &tooth->pass.io;
    io->ctx = tooth;
    io->pread = tooth_pread;
    io->pwritev = tooth_pwritev;
    io->sync = tooth_sync;
    io->dir_sync = tooth_dir_sync;
    io->rename = tooth_rename;
    io->lock = tooth_lock;
    io->close = tooth_close;
}
