/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crowds: those who sleep for a slot's frame, by the processor on which they went to sleep.
 *
 * Waking a thread that sleeps on another processor interrupts that processor, and costs both sides more than
 * waking one at home. So whoever publishes wakes those of its own processor, and of every other one a single
 * thread, which wakes the rest there: the relay. Nobody is forgotten: the relay is left behind before the one
 * thread is woken, and every thread that leaves a crowd, woken or not, takes what relay there is.
 */
#include <sched.h>

#include "base/tooth.h"
#include "base/wait.h"
#include "log/stages.h"

static struct vv_crowd *home(struct varve_log *log, struct vv_slot *slot)
{
    return &slot->crowds[(unsigned)sched_getcpu() % log->crowd_count];
}

uint32_t vv_crowd_count(struct varve_log *log, struct vv_slot *slot)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < log->crowd_count; i++)
        count += atomic_load_explicit(&slot->crowds[i].waiters, memory_order_relaxed);
    return count;
}

struct vv_crowd *vv_crowd_enter(struct varve_log *log, struct vv_slot *slot, uint32_t *ret_seen)
{
    struct vv_crowd *crowd = home(log, slot);

    atomic_fetch_add(&crowd->waiters, 1);
    *ret_seen = atomic_load(&crowd->event);
    return crowd;
}

void vv_crowd_leave(struct vv_crowd *crowd)
{
    atomic_fetch_sub(&crowd->waiters, 1);
    if (VV_TOOTH(RELAY_NOT_PASSED))
        return;
    /* Counted once the relay is taken: those for whom it was left behind were counted before. */
    if (atomic_load(&crowd->relay) && atomic_exchange(&crowd->relay, 0) && atomic_load(&crowd->waiters) != 0)
        vv_wake_all(&crowd->event);
}

void vv_crowd_wake(struct varve_log *log, struct vv_slot *slot)
{
    struct vv_crowd *own = home(log, slot);

    /* All of them first: who has not gone to sleep yet does not any more. */
    for (unsigned i = 0; i < log->crowd_count; i++)
        atomic_fetch_add(&slot->crowds[i].event, 1);
    for (unsigned i = 0; i < log->crowd_count; i++) {
        struct vv_crowd *crowd = &slot->crowds[i];

        if (crowd == own || atomic_load(&crowd->waiters) == 0)
            continue;
        atomic_store(&crowd->relay, 1);
        vv_wake_one(&crowd->event);
    }
    if (atomic_load(&own->waiters) != 0)
        vv_wake_all(&own->event);
}

void vv_crowd_wake_all(struct varve_log *log, struct vv_slot *slot)
{
    for (unsigned i = 0; i < log->crowd_count; i++) {
        atomic_fetch_add(&slot->crowds[i].event, 1);
        vv_wake_all(&slot->crowds[i].event);
    }
}
