/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/tooth.h"

#include <string.h>

static const struct {
    const char *name, *scenario;
} teeth[CRASH_TOOTH_COUNT] = {
    [CRASH_TOOTH_NONE] = {"none", "group"},
    [CRASH_TOOTH_ACK_BEFORE_SYNC] = {"ack_before_sync", "group"},
    [CRASH_TOOTH_ACK_PAST_A_HOLE] = {"ack_past_a_hole", "flight"},
    [CRASH_TOOTH_HEAD_ONLY] = {"head_only", "strict"},
    [CRASH_TOOTH_FORGOTTEN_SYNC] = {"forgotten_sync", "buffered"},
    [CRASH_TOOTH_FORGOTTEN_DIR_SYNC] = {"forgotten_dir_sync", "rotate"},
    [CRASH_TOOTH_FORGOTTEN_PARENT] = {"forgotten_parent", "group"},
    [CRASH_TOOTH_SALT_AGAIN] = {"salt_again", "rotate"},
    [CRASH_TOOTH_HEADER_LEFT] = {"header_left", "rotate"},
    [CRASH_TOOTH_ERROR_CLEARED] = {"error_cleared", "faults"},
    [CRASH_TOOTH_SYNC_RETRIED] = {"sync_retried", "faults_buffered"},
};

const char *crash_tooth_name(enum crash_tooth_kind kind)
{
    return teeth[kind].name;
}

enum crash_tooth_kind crash_tooth_find(const char *name)
{
    int kind = CRASH_TOOTH_COUNT - 1;
    while (kind > CRASH_TOOTH_NONE && strcmp(teeth[kind].name, name) != 0) {
        kind--;
    }
    return (enum crash_tooth_kind)kind;
}

const char *crash_tooth_scenario(enum crash_tooth_kind kind)
{
    return teeth[kind].scenario;
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
    struct crash_tooth *tooth = io->ctx;
    struct varve_io *below = tooth->pass.below;
    size_t bytes = length(iov, iov_count);
    switch (tooth->kind) {
    case CRASH_TOOTH_ACK_BEFORE_SYNC:
        dsync = 0;
        break;
    case CRASH_TOOTH_ACK_PAST_A_HOLE:
        dsync = dsync && atomic_fetch_add(&tooth->writes, 1) % 8 != 7;
        break;
    case CRASH_TOOTH_HEAD_ONLY:
        if (dsync && iov_count == 1 && bytes > 512) {
            struct iovec head = {iov->iov_base, 512};
            ssize_t n = below->pwritev(below, file, iov, 1, offset, 0);
            return n < 0 || below->pwritev(below, file, &head, 1, offset, 1) < 0 ? -5 : n;
        }
        break;
    case CRASH_TOOTH_HEADER_LEFT:
        if (dsync && offset == 0 && bytes == 4096) {
            return (ssize_t)bytes;
        }
        break;
    default:
        break;
    }
    ssize_t n = below->pwritev(below, file, iov, iov_count, offset, dsync);
    return n < 0 && dsync && tooth->kind == CRASH_TOOTH_ERROR_CLEARED ? (ssize_t)bytes : n;
}

static int tooth_sync(struct varve_io *io, struct varve_file *file)
{
    struct crash_tooth *tooth = io->ctx;
    struct varve_io *below = tooth->pass.below;
    if (tooth->kind == CRASH_TOOTH_FORGOTTEN_SYNC) {
        return 0;
    }
    int rc = below->sync(below, file);
    if (rc != 0 && tooth->kind == CRASH_TOOTH_SYNC_RETRIED) {
        rc = below->sync(below, file);
    }
    return tooth->kind == CRASH_TOOTH_ERROR_CLEARED ? 0 : rc;
}

static int tooth_dir_sync(struct varve_io *io, struct varve_dir *dir)
{
    struct crash_tooth *tooth = io->ctx;
    struct varve_io *below = tooth->pass.below;
    return tooth->kind == CRASH_TOOTH_FORGOTTEN_DIR_SYNC ? 0 : below->dir_sync(below, dir);
}

static int tooth_dir_sync_parent(struct varve_io *io, struct varve_dir *dir)
{
    struct crash_tooth *tooth = io->ctx;
    struct varve_io *below = tooth->pass.below;
    return tooth->kind == CRASH_TOOTH_FORGOTTEN_PARENT ? 0 : below->dir_sync_parent(below, dir);
}

static int tooth_random(struct varve_io *io, void *buf, size_t len)
{
    struct crash_tooth *tooth = io->ctx;
    struct varve_io *below = tooth->pass.below;
    int rc = below->random(below, buf, len);
    if (rc == 0 && tooth->kind == CRASH_TOOTH_SALT_AGAIN && len == 8) {
        memset(buf, 1, len);
    }
    return rc;
}

void crash_tooth_init(struct crash_tooth *tooth, struct varve_io *below, enum crash_tooth_kind kind)
{
    test_pass_init(&tooth->pass, below);
    tooth->pass.io.ctx = tooth;
    tooth->pass.io.pwritev = tooth_pwritev;
    tooth->pass.io.sync = tooth_sync;
    tooth->pass.io.dir_sync = tooth_dir_sync;
    tooth->pass.io.dir_sync_parent = tooth_dir_sync_parent;
    tooth->pass.io.random = tooth_random;
    tooth->kind = kind;
    atomic_init(&tooth->writes, 0);
}
