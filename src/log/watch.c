/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch: tells of a write or a sync that hangs, while it hangs.
 *
 * Whoever makes such a call notes it in a flight of its own, before and after: a slot has one, the flusher's
 * syncs have one, and what the preparing thread writes. This thread reads them, twenty times a second while
 * the log writes, and wakes in time for the moment when one has taken stall_ms. When nothing was written for
 * a second it sleeps until somebody writes. It touches no file, so it cannot hang on what it watches.
 *
 * It also says how many messages were held back, when that is over. It cannot fail.
 */
#include "log/watch.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/thread.h"
#include "base/wait.h"
#include "log/tell.h"

enum {
    TICK_US = 50 * 1000,
    QUIET_US = 1000 * 1000, /* without a write, until it sleeps */
};

struct told {
    uint64_t began_us; /* of the flight that was told of; 0 = none */
    uint64_t again_us; /* when it is told of again: each time when it has taken twice as long */
    struct vv_flight_seen seen;
};

struct vv_watch {
    pthread_t thread;
    bool runs;
    uint64_t writes, active_us; /* when there was a write last, and how many there were */
    struct told told[];         /* by flight */
};

uint64_t vv_watch_count(const struct varve_log *log)
{
    return log->slot_mask + 1 + VV_FLIGHTS;
}

static struct vv_flight *flight_at(struct varve_log *log, uint64_t index)
{
    return index < VV_FLIGHTS ? &log->flights[index] : &log->slots[index - VV_FLIGHTS].flight;
}

bool vv_watch_look(struct varve_log *log, uint64_t index, struct vv_flight_seen *seen)
{
    struct vv_flight *flight = flight_at(log, index);

    seen->began_us = atomic_load(&flight->began_us);
    if (seen->began_us == 0)
        return false;
    seen->segment = atomic_load(&flight->segment);
    seen->offset = atomic_load(&flight->offset);
    seen->bytes = atomic_load(&flight->bytes);
    /* A number of the next flight was stored after this word had changed. */
    return atomic_load(&flight->began_us) == seen->began_us;
}

void vv_watch_wake(struct varve_log *log)
{
    atomic_fetch_add(&log->watch_event, 1);
    vv_wake_all(&log->watch_event);
}

bool vv_watch_synced(struct varve_log *log, uint64_t now_us, uint64_t took_us)
{
    atomic_store_explicit(&log->synced_us, now_us, memory_order_relaxed);
    atomic_store_explicit(&log->sync_took_us, took_us, memory_order_relaxed);
    if (took_us < (uint64_t)log->options.slow_sync_ms * 1000)
        return false;
    atomic_store(&log->slow_us, now_us | 1);
    VV_COUNT(log, slow_syncs, 1);
    return true;
}

void vv_watch_tell_slow(struct varve_log *log, uint64_t segment, uint64_t bytes, uint64_t took_us)
{
    vv_tell(log, SLOW_SYNC, VV_ABOUT(.segment = segment, .bytes = bytes, .duration_us = took_us),
            "segment %" PRIu64 ": a durable write or a sync took %" PRIu64 " ms", segment, took_us / 1000);
}

static void tell_stall(struct varve_log *log, struct told *told, uint64_t now)
{
    const struct vv_flight_seen *f = &told->seen;
    uint64_t took_us = now - f->began_us;

    if (f->bytes != 0)
        vv_tell(
            log, STALL,
            VV_ABOUT(.segment = f->segment, .offset = f->offset, .bytes = f->bytes, .duration_us = took_us),
            "segment %" PRIu64 ": a write of %" PRIu64 " bytes at byte %" PRIu64 " hangs, for %" PRIu64 " ms",
            f->segment, f->bytes, f->offset, took_us / 1000);
    else
        vv_tell(log, STALL, VV_ABOUT(.segment = f->segment, .duration_us = took_us),
                "segment %" PRIu64 ": a sync hangs, for %" PRIu64 " ms", f->segment, took_us / 1000);
}

/* Returns when this flight has to be looked at again; UINT64_MAX: nothing is under way in it. */
static uint64_t look_at(struct varve_log *log, struct told *told, uint64_t index, uint64_t now)
{
    /* With a second directory to go to, who made the call leaves it at stall_ms and tells itself. */
    uint64_t stall_us = (uint64_t)log->options.stall_ms * 1000 + (log->failover ? TICK_US : 0);
    struct vv_flight_seen seen;
    bool flies = vv_watch_look(log, index, &seen);

    if (told->began_us != 0 && (!flies || seen.began_us != told->began_us)) {
        vv_tell(log, STALL_OVER,
                VV_ABOUT(.segment = told->seen.segment, .offset = told->seen.offset,
                         .bytes = told->seen.bytes, .duration_us = now - told->began_us),
                "segment %" PRIu64 ": what hung has come to its end, after about %" PRIu64 " ms",
                told->seen.segment, (now - told->began_us) / 1000);
        told->began_us = 0;
    }
    if (!flies)
        return UINT64_MAX;
    if (told->began_us == 0 && now >= seen.began_us + stall_us) {
        *told = (struct told){.began_us = seen.began_us, .again_us = seen.began_us + stall_us, .seen = seen};
        VV_COUNT(log, stalls, 1);
    }
    if (told->began_us == 0)
        return seen.began_us + stall_us;
    if (now >= told->again_us) {
        tell_stall(log, told, now);
        told->again_us = now + (now - told->began_us);
    }
    /* Looked at with every tick, for its end. */
    return told->again_us;
}

static uint64_t look_at_all(struct varve_log *log, struct vv_watch *watch, uint64_t now)
{
    uint64_t due = UINT64_MAX, count = vv_watch_count(log);

    for (uint64_t i = 0; i < count; i++)
        due = vv_min_u64(due, look_at(log, &watch->told[i], i, now));
    return due;
}

static bool any_flies(struct varve_log *log)
{
    uint64_t count = vv_watch_count(log);

    for (uint64_t i = 0; i < count; i++) {
        if (atomic_load(&flight_at(log, i)->began_us) != 0)
            return true;
    }
    return false;
}

/* Sleeps until somebody writes. */
static void sleep_quietly(struct varve_log *log, uint32_t seen, bool held)
{
    atomic_store(&log->watch_sleeps, 1);
    if (!any_flies(log))
        (void)vv_wait_on(&log->watch_event, seen, held ? QUIET_US : VV_WAIT_FOREVER);
    atomic_store(&log->watch_sleeps, 0);
}

static void *watch_run(void *arg)
{
    struct varve_log *log = arg;
    struct vv_watch *watch = log->watch;

    while (!atomic_load(&log->stop_watch)) {
        uint32_t seen = atomic_load(&log->watch_event);
        uint64_t now, due, writes;
        bool held;

        if (atomic_load(&log->stop_watch))
            break;
        now = log->io->monotonic_us(log->io);
        due = look_at_all(log, watch, now);
        held = vv_tell_held(log, false);
        writes = atomic_load(&log->counters.writes);
        if (due != UINT64_MAX || writes != watch->writes) {
            watch->writes = writes;
            watch->active_us = now;
        }
        if (now - watch->active_us >= QUIET_US)
            sleep_quietly(log, seen, held);
        else
            (void)vv_wait_on(&log->watch_event, seen,
                             (int64_t)vv_min_u64(TICK_US, due > now ? due - now : 1000));
    }
    return NULL;
}

int vv_watch_start(struct varve_log *log, struct varve_error *ret_error)
{
    uint64_t count = vv_watch_count(log);
    struct vv_watch *watch;
    int rc;

    if (log->options.stall_ms == UINT32_MAX)
        return 0;
    watch = vv_alloc_zero(sizeof *watch + count * sizeof *watch->told);
    if (!watch)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "stall_ms");
    watch->active_us = log->io->monotonic_us(log->io);
    log->watch = watch;
    rc = vv_thread_start(&watch->thread, "varve-watch", watch_run, log);
    watch->runs = rc == 0;
    return rc == 0 ? 0 : vv_error_set(ret_error, VARVE_E_NOMEM, -rc, "a thread cannot be started");
}

void vv_watch_stop(struct varve_log *log, bool forked)
{
    if (!log->watch)
        return;
    if (log->watch->runs && !forked) {
        atomic_store(&log->stop_watch, 1);
        vv_watch_wake(log);
        pthread_join(log->watch->thread, NULL);
    }
    vv_free(log->watch);
    log->watch = NULL;
}
