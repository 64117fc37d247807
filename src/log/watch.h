/* SPDX-License-Identifier: Apache-2.0 */
/* Who looks whether a write or a sync hangs: a thread that never touches a disk itself. */
#ifndef VV_LOG_WATCH_H
#define VV_LOG_WATCH_H

#include "log/log.h"

int vv_watch_start(struct varve_log *log, struct varve_error *ret_error);
/* `forked`: the thread is the parent's, and only memory is freed. */
void vv_watch_stop(struct varve_log *log, bool forked);
/* Wakes the thread: it slept while nothing was under way. */
void vv_watch_wake(struct varve_log *log);

/* A call that writes or syncs is about to be made for this flight; `bytes` 0: a sync. The caller is the only
 * one to use it. Stored in an order that lets a reader see when it has mixed two flights: see vv_watch_look.
 */
static inline void vv_watch_begin(struct varve_log *log, struct vv_flight *flight, uint64_t segment,
                                  uint64_t offset, uint64_t bytes)
{
    atomic_store_explicit(&flight->segment, segment, memory_order_release);
    atomic_store_explicit(&flight->offset, offset, memory_order_release);
    atomic_store_explicit(&flight->bytes, bytes, memory_order_release);
    /* Announced before it is asked whether the watcher sleeps, as that looks once more before it does. */
    atomic_store(&flight->began_us, log->io->monotonic_us(log->io) | 1);
    if (atomic_load(&log->watch_sleeps))
        vv_watch_wake(log);
}

static inline void vv_watch_end(struct vv_flight *flight)
{
    atomic_store_explicit(&flight->began_us, 0, memory_order_release);
}

/* One flight as it is now. */
struct vv_flight_seen {
    uint64_t began_us, segment, offset, bytes;
};

/* How many flights there are, and what is under way in one of them; false: nothing, or it changed meanwhile.
 */
uint64_t vv_watch_count(const struct varve_log *log);
bool vv_watch_look(struct varve_log *log, uint64_t index, struct vv_flight_seen *ret_seen);

/* A durable write, or a sync, has succeeded. true: it was slow, which is to be told once nobody waits for it
 * any more: the program's function may be slow too. */
bool vv_watch_synced(struct varve_log *log, uint64_t now_us, uint64_t took_us);
void vv_watch_tell_slow(struct varve_log *log, uint64_t segment, uint64_t bytes, uint64_t took_us);

#endif
