/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish: moves the durable LSN over the contiguous prefix of finished frames, wakes who waits, frees the
 * slots.
 *
 * In: slots whose progress is DONE. Out: durable_lsn, wake-ups, free slots. Next: ack (wait.c), in the
 * waiters.
 *
 * Several threads may finish at once and in any order: each marks its own slot first and then tries to
 * publish from the front, so whoever comes last publishes for all. It cannot fail.
 */
#include <sched.h>

#include "base/alloc.h"
#include "base/tooth.h"
#include "base/wait.h"
#include "io/event.h"
#include "log/observer.h"
#include "log/prepare.h"
#include "log/stages.h"

static void raise_to(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t old = atomic_load(word);

    while (old < value && !atomic_compare_exchange_weak(word, &old, value))
        ;
}

static void wake_turn(struct varve_log *log, uint64_t seq)
{
    struct vv_slot *slot = vv_slot_at(log, seq);

    /* In this order: a leader announces itself, then reads the event, then looks whether it is its turn. */
    atomic_fetch_add(&slot->turn_event, 1);
    if (atomic_load(&slot->turn_waits) && !VV_TOOTH(TURN_NOT_WOKEN))
        vv_wake_all(&slot->turn_event);
}

static void count_frame(struct varve_log *log, const struct vv_slot *slot)
{
    if (slot->count == 0) {
        VV_COUNT(log, marks, 1);
        return;
    }
    VV_COUNT(log, frames, 1);
    VV_COUNT(log, records, slot->count);
    VV_COUNT(log, payload_bytes, slot->body_bytes);
}

/* Tells those outside the ring. */
static void tell(struct varve_log *log, uint64_t durable_lsn)
{
    int fd = atomic_load(&log->event_fd);

    if (atomic_load(&log->durable_waiters)) {
        atomic_fetch_add(&log->durable_event, 1);
        vv_wake_all(&log->durable_event);
    }
    if (fd >= 0)
        vv_event_signal(fd);
    if (atomic_load(&log->observer)) {
        struct vv_observer *observer;

        atomic_fetch_add(&log->observer_calls, 1);
        observer = atomic_load(&log->observer);
        if (observer)
            observer->fn(observer->arg, durable_lsn);
        atomic_fetch_sub(&log->observer_calls, 1);
    }
}

/* How many wait for the next frame already, or are about to be let go by this one. */
static void count_returning(struct varve_log *log, struct vv_slot *slot, uint64_t seq)
{
    uint32_t released = vv_crowd_count(log, slot) + 1; /* and its leader */
    uint32_t waiting = vv_crowd_count(log, vv_slot_at(log, seq + 1));

    atomic_store_explicit(&log->returning, released + waiting, memory_order_relaxed);
}

/* The slot is the caller's alone from here on: it won the compare-and-swap for it. */
static void publish_slot(struct varve_log *log, struct vv_slot *slot, uint64_t seq)
{
    uint64_t end_lsn = atomic_load(&slot->first_lsn) + slot->count - 1;
    bool records = slot->count != 0, starts = slot->starts_segment;

    if (!log->in_memory) {
        if (records)
            raise_to(&log->durable_lsn, end_lsn);
        raise_to(&log->vouched_lsn, slot->vouched_lsn);
        count_frame(log, slot);
        count_returning(log, slot, seq);
        /* The disk first: the next leader starts its write while this thread wakes the others. */
        wake_turn(log, seq + 1);
        if (log->options.writes_in_flight > 1)
            wake_turn(log, seq + log->options.writes_in_flight);
        if (!VV_TOOTH(WAITERS_NOT_WOKEN))
            vv_crowd_wake(log, slot);
        raise_to(&log->acked_lsn, atomic_load(&log->durable_lsn));
    }
    /* Last: from here on the slot may be opened again. */
    atomic_store(&slot->state, VV_SLOT_FREE);
    vv_reserve_wake(log);
    if (!log->in_memory) {
        if (records)
            tell(log, end_lsn);
        if (atomic_load(&log->flush_sleeps) == VV_FLUSH_ASLEEP)
            vv_flush_kick(log);
        /* From now on the log may begin with this segment. */
        if (starts) {
            atomic_fetch_add(&log->segments_begun, 1);
            vv_prepare_kick(log);
        }
    }
}

void vv_publish_done(struct varve_log *log)
{
    for (;;) {
        uint64_t seq = atomic_load(&log->publish_word);
        struct vv_slot *slot = vv_slot_at(log, seq);

        if (seq & VV_PUBLISH_HELD)
            return;
        if (atomic_load(&slot->seq) != seq || atomic_load(&slot->progress) != VV_PROGRESS_DONE)
            return;
        if (atomic_compare_exchange_strong(&log->publish_word, &seq, seq + 1))
            publish_slot(log, slot, seq);
    }
}

int varve_on_durable(struct varve_log *log, varve_durable_fn fn, void *arg)
{
    struct vv_observer *fresh = NULL, *old;

    if (log->read_only)
        return VARVE_E_UNSUPPORTED;
    if (atomic_load(&log->gate) == VARVE_E_FORKED)
        return VARVE_E_FORKED;
    if (fn) {
        fresh = vv_alloc(sizeof *fresh);
        if (!fresh)
            return VARVE_E_NOMEM;
        *fresh = (struct vv_observer){fn, arg};
    }
    old = atomic_exchange(&log->observer, fresh);
    /* Calls are short by contract. */
    while (old && atomic_load(&log->observer_calls))
        sched_yield();
    vv_free(old);
    return 0;
}
