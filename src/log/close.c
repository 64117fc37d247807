/* SPDX-License-Identifier: Apache-2.0 */
/*
 * close: everything durable, then MANIFEST says how the log ends, then all is freed.
 *
 * A crash before MANIFEST is written makes the next open find the end by reading, as after any crash.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/tooth.h"
#include "base/wait.h"
#include "io/event.h"
#include "log/breaker.h"
#include "log/codec.h"
#include "log/export.h"
#include "log/failover.h"
#include "log/lock.h"
#include "log/manifest.h"
#include "log/observer.h"
#include "log/open.h"
#include "log/pin.h"
#include "log/plain_write.h"
#include "log/prepare.h"
#include "log/stages.h"
#include "log/tell.h"
#include "log/watch.h"

static void stop_threads(struct varve_log *log)
{
    atomic_store(&log->stop, 1);
    if (log->flusher_runs) {
        vv_flush_kick(log);
        vv_wake_all(&log->flush_event);
        pthread_join(log->flusher, NULL);
    }
    if (log->helper_runs) {
        atomic_fetch_add(&log->help_event, 1);
        vv_wake_all(&log->help_event);
        pthread_join(log->helper, NULL);
    }
    atomic_store(&log->stop_prepare, 1);
    if (log->preparer_runs) {
        vv_prepare_kick(log);
        pthread_join(log->preparer, NULL);
    }
    log->flusher_runs = log->preparer_runs = log->helper_runs = false;
    vv_watch_stop(log, false);
    vv_export_stop(log, false);
}

static void free_segments(struct varve_log *log)
{
    struct vv_segment *segment;

    if (log->current)
        vv_prepare_discard(log, log->current);
    while ((segment = log->ready)) {
        log->ready = segment->next;
        vv_prepare_discard(log, segment);
    }
    while ((segment = log->retired)) {
        log->retired = segment->next;
        vv_prepare_discard(log, segment);
    }
    while ((segment = log->pool)) {
        log->pool = segment->next;
        vv_codec_forget(log, segment);
        vv_free(segment);
    }
}

void vv_close_free(struct varve_log *log)
{
    stop_threads(log);
    free_segments(log);
    vv_codec_close(log);
    vv_free(log->buffers);
    vv_free(log->slots);
    vv_free(log->header_page);
    vv_free(log->zeros);
    vv_free(log->facts);
    vv_free(log->metrics);
    vv_free(log->pins);
    vv_free(log->pins_next);
    if (atomic_load(&log->event_fd) >= 0)
        vv_event_close(atomic_load(&log->event_fd));
    vv_free(atomic_load(&log->observer));
    vv_failover_end(log);
    /* Last of the files: whoever waits for the lock finds everything done. */
    vv_lock_leave(log);
    vv_plain_free(log);
    if (log->dir)
        log->io->dir_close(log->io, log->dir);
    vv_free(log->failover);
    pthread_mutex_destroy(&log->times_mutex);
    pthread_mutex_destroy(&log->sync_mutex);
    pthread_mutex_destroy(&log->place_mutex);
    pthread_mutex_destroy(&log->write_mutex);
    pthread_mutex_destroy(&log->segments_mutex);
    pthread_mutex_destroy(&log->files_mutex);
    pthread_mutex_destroy(&log->pins_mutex);
    pthread_mutex_destroy(&log->lost_mutex);
    pthread_mutex_destroy(&log->facts_mutex);
    pthread_mutex_destroy(&log->error_mutex);
    vv_free(log->path);
    vv_free(log);
}

static int note_clean_end(struct varve_log *log, struct varve_error *ret_error)
{
    int rc;

    /* A torn end that nothing supersedes yet must be found again as what it is. Called clean, the next open
     * could write into it, and what lies behind the tear would follow on that. */
    if (log->tail_torn && atomic_load(&log->counters.segments_opened) == 0)
        return 0;
    log->manifest.clean = 1;
    log->manifest.last_lsn = atomic_load(&log->durable_lsn);
    rc = vv_manifest_write(log->io, log->dir, &log->manifest, ret_error);
    if (rc == VARVE_E_IO && vv_failover_switch(log, ret_error))
        rc = vv_manifest_write(log->io, log->dir, &log->manifest, ret_error);
    return rc;
}

static void tell_closed(struct varve_log *log, int rc)
{
    uint64_t durable_lsn = atomic_load(&log->durable_lsn);

    vv_tell(log, CLOSED, VV_ABOUT(.lsn = durable_lsn, .code = rc), "closed%s; durable up to LSN %" PRIu64,
            rc ? " after an error" : "", durable_lsn);
    (void)vv_tell_held(log, true);
}

int varve_close(struct varve_log *log, struct varve_error *ret_error)
{
    int rc = 0;

    if (!log)
        return 0;
    if (atomic_load(&log->gate) == VARVE_E_FORKED) {
        /* The threads are the parent's, and so is every file but this process's descriptors of them. */
        log->flusher_runs = log->preparer_runs = log->helper_runs = false;
        vv_watch_stop(log, true);
        vv_export_stop(log, true);
        rc = vv_error_set(ret_error, VARVE_E_FORKED, 0, "%s: the log belongs to the process that opened it",
                          log->path);
    } else if (!log->read_only && !log->in_memory) {
        atomic_store(&log->closing, 1);
        vv_breaker_wake(log);
        rc = VV_TOOTH(CLOSED_WITHOUT_SYNC) ? 0 : varve_sync(log);
        atomic_store(&log->gate, rc != 0 ? rc : VARVE_E_CLOSED);
        stop_threads(log);
        vv_pin_tick(log, true);
        /* Asked now, as a mark may have failed since. */
        if (varve_error_first(log, ret_error) != 0)
            rc = log->first_error.code;
        else if (rc == 0 && log->plain)
            vv_plain_finish(log);
        else if (rc == 0)
            rc = note_clean_end(log, ret_error);
        tell_closed(log, rc);
        if (rc != 0)
            vv_error_wrap(ret_error, "%s", log->path);
    }
    vv_close_free(log);
    return rc;
}
