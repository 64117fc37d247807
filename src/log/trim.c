/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trim: removes whole segments from the log's beginning.
 *
 * First MANIFEST says where the log begins from now on, durably; then the files go. A crash in between leaves
 * files that MANIFEST does not count, and the next open removes them.
 *
 * A segment that becomes a spare loses its header first, durably: under its next name it must not look like
 * what it was.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/tooth.h"
#include "log/failover.h"
#include "log/manifest.h"
#include "log/pin.h"
#include "log/plain_write.h"
#include "log/prepare.h"
#include "log/stages.h"
#include "log/tell.h"

/* Once for one reason: on a full disk this is tried again and again. files_mutex is held. */
static void tell_untrimmed(struct varve_log *log, const struct varve_error *error)
{
    if (error->code == log->untrimmed_code && error->sys_errno == log->untrimmed_errno)
        return;
    log->untrimmed_code = error->code;
    log->untrimmed_errno = error->sys_errno;
    vv_tell(log, NOT_TRIMMED, VV_ABOUT(.code = error->code, .sys_errno = error->sys_errno), "not trimmed: %s",
            error->message);
}

/* How many segments at the beginning hold nothing at or above `lsn`, and what follows them. */
static size_t count_below(struct varve_log *log, uint64_t lsn, struct vv_segment_fact *ret_next)
{
    size_t count = 0;

    pthread_mutex_lock(&log->segments_mutex);
    /* The last one is active, or holds the log's end. A segment whose first record is not durable yet may
     * have no header on disk, or may still be moved: the log must not begin there. */
    while (count + 1 < log->fact_count &&
           log->facts[VV_TOOTH(TRIM_ONE_TOO_MANY) ? count : count + 1].base_lsn <= lsn &&
           log->facts[count + 1].base_lsn <= atomic_load(&log->durable_lsn))
        count++;
    if (count > 0)
        *ret_next = log->facts[count];
    pthread_mutex_unlock(&log->segments_mutex);
    return count;
}

/* The same, of what no pin holds. Moves of pins on which this relies are durable when it returns, and nothing
 * below what stays can be pinned from then on. Errors: IO NOSPC NOMEM. */
static int choose(struct varve_log *log, uint64_t lsn, size_t *ret_count, struct vv_segment_fact *ret_next)
{
    const struct vv_pin *lowest;
    struct varve_error error;
    int rc = 0;

    pthread_mutex_lock(&log->pins_mutex);
    lowest = vv_pin_lowest(log->pins);
    if (lowest && lowest->lsn < lsn)
        lsn = lowest->lsn;
    *ret_count = count_below(log, lsn, ret_next);
    if (*ret_count > 0)
        rc = vv_pin_settle(log, &error);
    if (rc != 0)
        *ret_count = 0;
    else if (*ret_count > 0)
        log->trim_lsn = ret_next->base_lsn;
    pthread_mutex_unlock(&log->pins_mutex);
    if (rc != 0)
        tell_untrimmed(log, &error);
    return rc;
}

static int clear_header(struct varve_log *log, const char *name)
{
    struct varve_io *io = log->io;
    struct iovec iov = {log->zeros, VV_SEGMENT_HEADER_BYTES};
    struct varve_io_stat stat;
    struct varve_file *file;
    ssize_t n;
    int rc = io->open(io, log->dir, name, VARVE_IO_WRITE | (log->direct ? VARVE_IO_DIRECT : 0u), &file);

    if (rc != 0)
        return rc;
    rc = io->stat(io, file, &stat);
    if (rc == 0 && stat.size_bytes != log->options.segment_bytes)
        rc = -EFBIG;
    if (rc == 0) {
        n = io->pwritev(io, file, &iov, 1, 0, 1);
        rc = n == (ssize_t)iov.iov_len ? 0 : n < 0 ? (int)n : -EIO;
    }
    io->close(io, file);
    return rc;
}

/* Keeps the file as a spare if there is room for one and it can be; else removes it. */
static int remove_segment(struct varve_log *log, uint64_t number, bool bad)
{
    char name[VV_SEGMENT_NAME_BYTES], spare[VV_NAME_BYTES];
    struct varve_io *io = log->io;
    uint32_t spares_max = log->options.spare_segments == UINT32_MAX ? 0 : log->options.spare_segments;
    int rc;

    vv_segment_name(number, name);
    /* In the second directory what is removed is gone: spares are for the first one. */
    if (!bad && !vv_failover_lies_away(log, number) && log->spare_count < spares_max &&
        clear_header(log, name) == 0) {
        snprintf(spare, sizeof spare, "spare-%016" PRIx64 ".seg", number);
        if (io->rename(io, log->dir, name, spare, 0) == 0) {
            log->spare_count++;
            return 0;
        }
    }
    rc = io->unlink(io, log->dir, name);
    return rc == -ENOENT ? 0 : rc;
}

static int trim_files(struct varve_log *log, size_t count, const struct vv_segment_fact *next)
{
    struct vv_manifest manifest;
    struct varve_error error;
    int rc = 0, synced;

    pthread_mutex_lock(&log->facts_mutex);
    manifest = log->manifest;
    manifest.first_segment = next->number;
    manifest.first_lsn = next->base_lsn;
    manifest.last_lsn = atomic_load(&log->durable_lsn);
    rc = VV_TOOTH(TRIM_UNTOLD) ? 0 : vv_manifest_write(log->io, log->dir, &manifest, &error);
    if (rc == 0) {
        /* Field by field: who starts a segment reads the UUID meanwhile, without this lock. */
        log->manifest.first_segment = manifest.first_segment;
        log->manifest.first_lsn = manifest.first_lsn;
        log->manifest.last_lsn = manifest.last_lsn;
    }
    pthread_mutex_unlock(&log->facts_mutex);
    if (rc != 0) {
        tell_untrimmed(log, &error);
        /* trim_lsn stays: what was written may be on disk all the same, and count after a crash. */
        return rc;
    }
    log->untrimmed_code = log->untrimmed_errno = 0;
    atomic_store(&log->first_lsn, next->base_lsn);
    for (size_t i = 0; i < count; i++) {
        struct vv_segment_fact fact;
        int r;

        pthread_mutex_lock(&log->segments_mutex);
        fact = log->facts[i];
        pthread_mutex_unlock(&log->segments_mutex);
        r = remove_segment(log, fact.number, fact.bad);
        if (r != 0) {
            vv_tell(log, NOT_TRIMMED, VV_ABOUT(.segment = fact.number, .code = VARVE_E_IO, .sys_errno = -r),
                    "segment %" PRIu64 " was trimmed and cannot be removed: %s", fact.number, strerror(-r));
            rc = VARVE_E_IO;
        }
        VV_COUNT(log, segments_trimmed, 1);
    }
    pthread_mutex_lock(&log->segments_mutex);
    memmove(log->facts, log->facts + count, (log->fact_count - count) * sizeof *log->facts);
    log->fact_count -= count;
    pthread_mutex_unlock(&log->segments_mutex);
    synced = log->io->dir_sync(log->io, log->dir);
    if (synced != 0) {
        vv_tell(log, NOT_TRIMMED, VV_ABOUT(.sys_errno = -synced),
                "the directory cannot be synced, so segments that were removed may come back: %s",
                strerror(-synced));
        rc = VARVE_E_IO;
    }
    vv_tell(log, TRIMMED, VV_ABOUT(.lsn = next->base_lsn, .segment = next->number),
            "%zu segments removed; the log begins with LSN %" PRIu64, count, next->base_lsn);
    return rc;
}

static int trim_plain(struct varve_log *log, size_t count, const struct vv_segment_fact *next)
{
    struct varve_error error;
    int rc = vv_plain_trim(log, count, next, &error);

    if (rc != 0)
        tell_untrimmed(log, &error);
    else
        log->untrimmed_code = log->untrimmed_errno = 0;
    return rc;
}

int varve_trim(struct varve_log *log, uint64_t lsn, uint64_t *ret_first_lsn)
{
    struct vv_segment_fact next;
    size_t count;
    int rc = 0;

    /* The one file of such a format could only be cut at its beginning. */
    if (log->read_only || log->in_memory ||
        (log->plain && log->plain->format->layout == VARVE_LAYOUT_ONE_FILE))
        return VARVE_E_UNSUPPORTED;
    if (atomic_load(&log->gate) != 0)
        return vv_fail_code(log);
    if (lsn > vv_reserve_last_lsn(log) + 1)
        return VARVE_E_INVALID;
    pthread_mutex_lock(&log->files_mutex);
    rc = choose(log, lsn, &count, &next);
    if (count > 0)
        rc = log->plain ? trim_plain(log, count, &next) : trim_files(log, count, &next);
    pthread_mutex_unlock(&log->files_mutex);
    /* Only if there may be space now: this also comes from the thread that is woken by it. */
    if (rc == 0 && count > 0)
        vv_prepare_kick(log);
    if (rc == 0 && ret_first_lsn)
        *ret_first_lsn = atomic_load(&log->first_lsn);
    return rc;
}
