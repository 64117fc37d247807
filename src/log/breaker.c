/* SPDX-License-Identifier: Apache-2.0 */
/*
 * breaker: so many writes in a row failed for want of space, memory or patience of the device, that trying on
 * would only be in its way.
 *
 * In: failures and successes of writes, from write.c. Out: open, one write at a time goes through, the others
 * wait for how that ends; between two such probes twice as long passes as before, up to breaker_max_ms. A
 * probe that goes through closes the breaker, and all go on. Nothing is given up meanwhile: frames stay in
 * their slots, appenders wait or meet backpressure, readers are not concerned.
 *
 * A log that is closed, or that fails for another reason, waits no longer: then each write is tried as often
 * as ever and given up. An error that is final does not come here.
 */
#include "log/breaker.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "base/wait.h"
#include "log/tell.h"

/* Nobody waits for the disk any more. */
static bool ends(struct varve_log *log)
{
    return atomic_load(&log->closing) != 0 || atomic_load(&log->failed) != 0;
}

void vv_breaker_wake(struct varve_log *log)
{
    atomic_fetch_add(&log->breaker.event, 1);
    vv_wake_all(&log->breaker.event);
}

bool vv_breaker_wait(struct varve_log *log)
{
    struct vv_breaker *b = &log->breaker;

    for (;;) {
        uint32_t seen = atomic_load(&b->event), none = 0;
        uint64_t now, next;

        if (atomic_load(&b->open) == 0 || ends(log))
            return false;
        if (!atomic_compare_exchange_strong(&b->probing, &none, 1)) {
            (void)vv_wait_on(&b->event, seen, VV_WAIT_FOREVER);
            continue;
        }
        now = log->io->monotonic_us(log->io);
        next = atomic_load(&b->next_us);
        if (now >= next && atomic_load(&b->open) != 0)
            return true;
        (void)vv_wait_on(&b->event, seen, (int64_t)(next > now ? next - now : 0));
        atomic_store(&b->probing, 0);
    }
}

void vv_breaker_probed(struct varve_log *log)
{
    atomic_store(&log->breaker.probing, 0);
    vv_breaker_wake(log);
}

void vv_breaker_close(struct varve_log *log)
{
    struct vv_breaker *b = &log->breaker;
    uint64_t open_us;

    atomic_store(&b->failures, 0);
    if (atomic_exchange(&b->open, 0) == 0)
        return;
    open_us = log->io->monotonic_us(log->io) - atomic_load(&b->since_us);
    vv_breaker_wake(log);
    vv_tell(log, BREAKER_CLOSED, VV_ABOUT(.duration_us = open_us),
            "a probe went through after %" PRIu64 " ms: the log writes again", open_us / 1000);
}

bool vv_breaker_bad(struct varve_log *log, const struct vv_segment *segment, uint64_t offset, int err)
{
    struct vv_breaker *b = &log->breaker;
    uint32_t failures = atomic_fetch_add(&b->failures, 1) + 1;
    bool opens;
    uint64_t now = log->io->monotonic_us(log->io);

    if (ends(log) || log->options.breaker_failures == UINT32_MAX)
        return false;
    pthread_mutex_lock(&log->error_mutex);
    opens = atomic_load(&b->open) == 0;
    if (opens && failures < log->options.breaker_failures) {
        pthread_mutex_unlock(&log->error_mutex);
        return false;
    }
    b->interval_us = opens ? (uint64_t)log->options.breaker_first_ms * 1000
                           : vv_min_u64(b->interval_us * 2, (uint64_t)log->options.breaker_max_ms * 1000);
    atomic_store(&b->next_us, now + b->interval_us);
    if (opens) {
        atomic_store(&b->since_us, now);
        atomic_store(&b->open, 1);
    }
    pthread_mutex_unlock(&log->error_mutex);
    if (!opens)
        return true;
    VV_COUNT(log, breaker_opened, 1);
    vv_tell(log, BREAKER_OPEN, VV_ABOUT(.segment = segment->number, .offset = offset, .sys_errno = err),
            "segment %" PRIu64 ": %" PRIu32 " writes failed in a row; from now on the disk is only probed",
            segment->number, failures);
    return true;
}
