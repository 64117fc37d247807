/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space: two steps before a log is full. While there is still a segment to go on in, it warns; when there is
 * none, appends are refused before anything is reserved, with what is free and what is needed. Both end by
 * themselves: the thread that prepares segments looks again five times a second.
 */
#include "log/space.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "log/pin.h"
#include "log/stages.h"
#include "log/tell.h"

struct usage {
    uint64_t bytes; /* of all segment files */
    char holder[VV_PIN_TEXT_BYTES + 32];
};

/* files_mutex is held. */
static void take_usage(struct varve_log *log, struct usage *ret)
{
    const struct vv_pin *lowest;
    uint64_t first_kept = UINT64_MAX;

    pthread_mutex_lock(&log->pins_mutex);
    lowest = vv_pin_lowest(log->pins);
    ret->holder[0] = 0;
    pthread_mutex_lock(&log->segments_mutex);
    ret->bytes = (atomic_load(&log->ready_count) + log->taken_count + (uint64_t)log->spare_count) *
                 log->options.segment_bytes;
    for (size_t i = 0; i < log->fact_count; i++)
        ret->bytes += log->facts[i].bytes;
    if (log->fact_count > 0)
        first_kept = log->facts[log->fact_count - 1].base_lsn;
    pthread_mutex_unlock(&log->segments_mutex);
    /* One that stands in the last segment holds nothing that could go. */
    if (lowest && lowest->lsn < first_kept) {
        memcpy(ret->holder, "; held by pin ", sizeof "; held by pin ");
        memcpy(ret->holder + strlen(ret->holder), lowest->name, strlen(lowest->name) + 1);
    }
    pthread_mutex_unlock(&log->pins_mutex);
}

/* `uncounted`: bytes of a segment that is made and not given out yet. */
static int allow(struct varve_log *log, uint64_t uncounted, struct varve_error *ret_error)
{
    uint64_t max_bytes = log->options.max_log_bytes;
    struct usage usage;

    if (max_bytes == 0)
        return 0;
    take_usage(log, &usage);
    usage.bytes += uncounted;
    if (usage.bytes + log->options.segment_bytes <= max_bytes)
        return 0;
    return vv_error_set(ret_error, VARVE_E_LOG_FULL, 0,
                        "segments take %" PRIu64 " bytes, the next one needs %" PRIu64
                        ", max_log_bytes is %" PRIu64 "%s",
                        usage.bytes, log->options.segment_bytes, max_bytes, usage.holder);
}

int vv_space_allow(struct varve_log *log, struct varve_error *ret_error)
{
    return allow(log, 0, ret_error);
}

int vv_space_explain(struct varve_log *log, int err, const char *name, struct varve_error *ret_error)
{
    uint64_t free_bytes;

    if (err != -ENOSPC && err != -EDQUOT && err != -EFBIG)
        return vv_error_set(ret_error, VARVE_E_IO, -err, "cannot make segment %s of %" PRIu64 " bytes", name,
                            log->options.segment_bytes);
    if (err == -ENOSPC && log->io->space(log->io, log->dir, &free_bytes) == 0)
        return vv_error_set(ret_error, VARVE_E_NOSPC, -err,
                            "cannot make segment %s: it needs %" PRIu64 " bytes, and %" PRIu64 " are free",
                            name, log->options.segment_bytes, free_bytes);
    return vv_error_set(ret_error, VARVE_E_NOSPC, -err, "cannot make segment %s of %" PRIu64 " bytes", name,
                        log->options.segment_bytes);
}

/* The same question before it is urgent. files_mutex is held. */
static int foresee(struct varve_log *log, uint64_t uncounted, struct varve_error *ret_error)
{
    uint64_t free_bytes, needed = log->options.segment_bytes;
    int rc;

    if (log->spare_count > 0)
        return 0; /* a spare needs no space */
    rc = allow(log, uncounted, ret_error);
    if (rc != 0)
        return rc;
    if (log->io->space(log->io, log->dir, &free_bytes) != 0 || free_bytes >= needed)
        return 0;
    return vv_error_set(ret_error, VARVE_E_NOSPC, 0,
                        "the next segment needs %" PRIu64 " bytes, and the file system has %" PRIu64 " free",
                        needed, free_bytes);
}

static void tell(struct varve_log *log, bool near, uint64_t uncounted, const struct varve_error *error)
{
    bool before = atomic_exchange(&log->space_near, near);
    uint64_t left = atomic_load(&log->room_bytes) + uncounted +
                    atomic_load(&log->ready_count) * log->options.segment_bytes;

    if (near && !before)
        vv_tell(log, SPACE_LOW, VV_ABOUT(.bytes = left, .code = error->code),
                "nearly full: there is room for %" PRIu64 " more bytes of frames, then appends are "
                "refused: %s",
                left, error->message);
    else if (!near && before)
        vv_tell(log, SPACE_ENOUGH, VV_ABOUT(.bytes = left), "there is room for another segment again");
}

void vv_space_made(struct varve_log *log)
{
    struct varve_error error;

    if (foresee(log, log->options.segment_bytes, &error) != 0)
        tell(log, true, log->options.segment_bytes, &error);
}

void vv_space_look(struct varve_log *log)
{
    struct varve_error error;
    bool near;

    uint64_t free_bytes;

    if (log->io->space(log->io, log->dir, &free_bytes) == 0) {
        atomic_store(&log->free_bytes, free_bytes);
        atomic_store(&log->free_looked_us, log->io->monotonic_us(log->io) | 1);
    }
    /* Where one could not be made already, that was told. */
    if (atomic_load(&log->failed) || atomic_load(&log->space_error) != 0)
        return;
    pthread_mutex_lock(&log->files_mutex);
    near = foresee(log, 0, &error) != 0;
    pthread_mutex_unlock(&log->files_mutex);
    tell(log, near, 0, &error);
}

int varve_error_space(struct varve_log *log, struct varve_error *ret_error)
{
    int code;

    pthread_mutex_lock(&log->error_mutex);
    code = atomic_load(&log->space_error);
    if (code != 0)
        vv_error_copy(ret_error, &log->space_detail);
    pthread_mutex_unlock(&log->error_mutex);
    return code;
}
