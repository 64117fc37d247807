/* SPDX-License-Identifier: Apache-2.0 */
/* The circuit breaker of writes: open, it lets one through now and then, to see whether the disk is back. */
#ifndef VV_LOG_BREAKER_H
#define VV_LOG_BREAKER_H

#include "log/log.h"

bool vv_breaker_wait(struct varve_log *log);
void vv_breaker_close(struct varve_log *log);
void vv_breaker_wake(struct varve_log *log);

/* Before a write: waits while the breaker is open, unless the log is failing or being closed. true: the
 * caller probes, and calls vv_breaker_probed after its write. */
static inline bool vv_breaker_enter(struct varve_log *log)
{
    return atomic_load_explicit(&log->breaker.open, memory_order_relaxed) != 0 && vv_breaker_wait(log);
}

/* A write has succeeded. */
static inline void vv_breaker_good(struct varve_log *log)
{
    if (atomic_load_explicit(&log->breaker.failures, memory_order_relaxed) != 0)
        vv_breaker_close(log);
}

/* A write has failed for want of something that may come back. true: the breaker is open, and the write is to
 * be tried again, however often it was tried. */
bool vv_breaker_bad(struct varve_log *log, const struct vv_segment *segment, uint64_t offset, int err);

void vv_breaker_probed(struct varve_log *log);

#endif
