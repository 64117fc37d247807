/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retain: looks after what keeps old records, in the thread that prepares segments: never in the way of a
 * commit.
 *
 * When a segment was started, and every ten seconds where age matters, pins that are over their limits are
 * dropped. Moves of pins that did not wait are written within about a second.
 */
#include "log/retain.h"

#include "base/wait.h"
#include "log/pin.h"
#include "log/stages.h"

void vv_retain_tick(struct varve_log *log)
{
    uint64_t opened = atomic_load(&log->counters.segments_opened), now = log->io->monotonic_us(log->io);

    vv_pin_tick(log, false);
    if (atomic_load(&log->failed))
        return;
    if (opened == log->retain_opened &&
        !(vv_pin_ages(log) && now >= log->retain_looked_us + VV_RETAIN_LOOK_US))
        return;
    log->retain_opened = opened;
    log->retain_looked_us = now;
    vv_pin_enforce(log);
}

int64_t vv_retain_sleep_us(struct varve_log *log)
{
    uint64_t now = log->io->monotonic_us(log->io), due = UINT64_MAX;
    uint64_t dirty = atomic_load(&log->pins_dirty_us);

    if (vv_pin_ages(log))
        due = log->retain_looked_us + VV_RETAIN_LOOK_US;
    if (dirty != 0 && dirty + VV_PIN_LATER_US < due)
        due = dirty + VV_PIN_LATER_US;
    if (due == UINT64_MAX)
        return VV_WAIT_FOREVER;
    return due > now ? (int64_t)(due - now) : 0;
}
