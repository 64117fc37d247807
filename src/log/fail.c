/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failing for good: the log keeps its first error, turns read-only, and wakes everybody, so that no thread
 * sleeps for something that will not come. A later success never clears it.
 */
#include "base/error.h"
#include "base/wait.h"
#include "io/event.h"
#include "log/breaker.h"
#include "log/stages.h"
#include "log/tell.h"

int vv_fail_code(struct varve_log *log)
{
    int gate = atomic_load(&log->gate), failed = atomic_load(&log->failed);

    if (gate == VARVE_E_FORKED)
        return gate;
    /* The first error's own code tells a failed sync from the rest. */
    if (failed == VARVE_E_SYNC)
        return failed;
    return failed ? VARVE_E_READONLY : gate;
}

void vv_fail_log(struct varve_log *log, const struct varve_error *error)
{
    bool first = false;
    int fd;

    pthread_mutex_lock(&log->error_mutex);
    if (log->first_error.code == 0) {
        log->first_error = *error;
        first = true;
        atomic_store(&log->failed, error->code);
        atomic_store(&log->gate, error->code == VARVE_E_SYNC ? VARVE_E_SYNC : VARVE_E_READONLY);
    }
    pthread_mutex_unlock(&log->error_mutex);
    if (!first)
        return;
    vv_tell(log, READ_ONLY,
            VV_ABOUT(.lsn = atomic_load(&log->durable_lsn), .code = error->code,
                     .sys_errno = error->sys_errno),
            "the log is read-only from now on: %s", error->message);
    for (uint64_t i = 0; i <= log->slot_mask; i++) {
        struct vv_slot *slot = &log->slots[i];

        atomic_fetch_add(&slot->turn_event, 1);
        vv_wake_all(&slot->turn_event);
        vv_crowd_wake_all(log, slot);
    }
    vv_breaker_wake(log);
    atomic_fetch_add(&log->durable_event, 1);
    vv_wake_all(&log->durable_event);
    atomic_fetch_add(&log->ring_event, 1);
    vv_wake_all(&log->ring_event);
    atomic_fetch_add(&log->carried_event, 1);
    vv_wake_all(&log->carried_event);
    atomic_fetch_add(&log->ready_event, 1);
    vv_wake_all(&log->ready_event);
    fd = atomic_load(&log->event_fd);
    if (fd >= 0)
        vv_event_signal(fd);
}

int varve_error_first(struct varve_log *log, struct varve_error *ret_error)
{
    int code;

    pthread_mutex_lock(&log->error_mutex);
    code = log->first_error.code;
    if (code != 0)
        vv_error_copy(ret_error, &log->first_error);
    pthread_mutex_unlock(&log->error_mutex);
    return code;
}
