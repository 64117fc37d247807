/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health: what the stages noted on their way -> one state, and why.
 *
 * Nothing here asks a disk: whoever wants to know why a log hangs must not hang on it. Each number is read by
 * itself, so together they are of about the same moment.
 */
#include "varve/health.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "log/failover.h"
#include "log/stages.h"
#include "log/watch.h"

#define SPACE_AGE_US (UINT64_C(1000) * 1000)

static const struct {
    const char *name, *meaning;
} reasons[] = {
#define HEALTH_ROW(name, text, meaning) {text, meaning},
    VARVE_HEALTH_TABLE(HEALTH_ROW)
#undef HEALTH_ROW
};

const char *varve_health_state_name(enum varve_health_state state)
{
    static const char *const names[] = {"ok", "degraded", "read-only"};

    return (size_t)state < sizeof names / sizeof *names ? names[state] : "unknown";
}

const char *varve_health_reason_name(unsigned bit)
{
    return bit < VARVE_HEALTH_BIT_COUNT ? reasons[bit].name : NULL;
}

const char *varve_health_reason_meaning(unsigned bit)
{
    return bit < VARVE_HEALTH_BIT_COUNT ? reasons[bit].meaning : NULL;
}

const char *varve_thread_state_name(enum varve_thread_state state)
{
    static const char *const names[] = {"none", "idle", "busy", "stuck"};

    return (size_t)state < sizeof names / sizeof *names ? names[state] : "unknown";
}

static uint64_t since(uint64_t now, uint64_t then)
{
    return now > then ? now - then : 0;
}

static uint64_t stall_us(const struct varve_log *log)
{
    return log->options.stall_ms == UINT32_MAX ? UINT64_MAX : (uint64_t)log->options.stall_ms * 1000;
}

static enum varve_thread_state thread_state(const struct varve_log *log, bool runs, uint64_t busy_us,
                                            uint64_t now)
{
    if (!runs)
        return VARVE_THREAD_NONE;
    if (busy_us == 0)
        return VARVE_THREAD_IDLE;
    return since(now, busy_us) >= stall_us(log) ? VARVE_THREAD_STUCK : VARVE_THREAD_BUSY;
}

/* The one that has been under way for longest. */
static void look_at_flights(struct varve_log *log, struct varve_health_report *h, uint64_t now)
{
    uint64_t count = log->slots ? vv_watch_count(log) : 0;
    struct vv_flight_seen seen;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t took_us;

        if (!vv_watch_look(log, i, &seen))
            continue;
        took_us = since(now, seen.began_us);
        if (took_us < stall_us(log) || took_us <= h->stalled_us)
            continue;
        h->stalled_us = took_us;
        h->stalled_segment = seen.segment;
        h->stalled_bytes = seen.bytes;
    }
}

static void look_at_ring(struct varve_log *log, struct varve_health_report *h)
{
    /* In this order: read the other way round, slots that are published in between would make it negative. */
    uint64_t published = vv_published(log), opened = atomic_load(&log->open_seq);
    uint64_t word = atomic_load(&vv_slot_at(log, opened)->word);

    h->slots = log->ring_limit;
    h->slots_used = since(opened + 1, published);
    if (h->slots_used > 0 && word == 0)
        h->slots_used--; /* open, and nothing in it yet */
    h->appends_waiting = atomic_load(&log->ring_waiters);
}

static void look_at_disk(struct varve_log *log, struct varve_health_report *h, uint64_t now)
{
    uint64_t synced = atomic_load(&log->synced_us), looked = atomic_load(&log->free_looked_us);

    h->last_sync_took_us = atomic_load(&log->sync_took_us);
    if (synced != 0)
        h->last_sync_us = synced + atomic_load(&log->clock_ahead_us);
    h->failures_in_a_row = atomic_load(&log->breaker.failures);
    if (atomic_load(&log->breaker.open))
        h->breaker_open_us = vv_max_u64(since(now, atomic_load(&log->breaker.since_us)), 1);
    h->disk_free_bytes = atomic_load(&log->free_bytes);
    h->disk_looked_us = looked ? since(now, looked) : 0;
    if (log->preparer_runs && (looked == 0 || h->disk_looked_us >= SPACE_AGE_US))
        vv_prepare_kick(log);
}

static bool recent(struct varve_log *log, _Atomic uint64_t *when, uint64_t now)
{
    uint64_t then = atomic_load(when);

    return then != 0 && since(now, then) < (uint64_t)log->options.health_recent_ms * 1000;
}

static uint32_t find_reasons(struct varve_log *log, const struct varve_health_report *h, uint64_t now)
{
    const struct {
        bool holds;
        uint32_t bit;
    } list[] = {
        {h->stalled_us != 0, VARVE_HEALTH_STALL},
        {h->breaker_open_us != 0, VARVE_HEALTH_BREAKER},
        {recent(log, &log->slow_us, now), VARVE_HEALTH_SLOW_SYNC},
        {recent(log, &log->retried_us, now), VARVE_HEALTH_RETRY},
        {recent(log, &log->moved_us, now), VARVE_HEALTH_MOVED},
        {atomic_load(&log->space_near) != 0, VARVE_HEALTH_SPACE_LOW},
        {atomic_load(&log->space_error) != 0, VARVE_HEALTH_SPACE_FULL},
        {h->appends_waiting != 0 || recent(log, &log->pressed_us, now), VARVE_HEALTH_BACKPRESSURE},
        {h->pins_over != 0, VARVE_HEALTH_PIN_OVER},
        {h->stalled_us == 0 && h->breaker_open_us == 0 &&
             (h->preparer == VARVE_THREAD_STUCK || h->flusher == VARVE_THREAD_STUCK),
         VARVE_HEALTH_THREAD},
        {vv_failover_away(log), VARVE_HEALTH_FAILOVER},
        {log->failover && !vv_failover_away(log) && atomic_load(&log->failover->unready),
         VARVE_HEALTH_FAILOVER_UNREADY},
    };
    uint32_t bits = 0;

    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        bits |= list[i].holds ? list[i].bit : 0;
    return bits;
}

int varve_health(struct varve_log *log, struct varve_health_report *ret_health)
{
    struct varve_health_report h = {.size = sizeof h};
    uint64_t now;

    if (!ret_health || ret_health->size < sizeof h)
        return VARVE_E_INVALID;
    if (log->read_only)
        return VARVE_E_UNSUPPORTED;
    if (atomic_load(&log->gate) == VARVE_E_FORKED)
        return VARVE_E_FORKED;
    now = log->io->monotonic_us(log->io);
    (void)varve_error_first(log, &h.first_error);
    h.preparer = thread_state(log, log->preparer_runs, atomic_load(&log->preparer_busy_us), now);
    h.flusher = thread_state(log, log->flusher_runs, atomic_load(&log->flusher_busy_us), now);
    look_at_flights(log, &h, now);
    look_at_ring(log, &h);
    look_at_disk(log, &h, now);
    h.pins = atomic_load(&log->pins_count);
    h.pins_over = atomic_load(&log->pins_over);
    h.reasons = find_reasons(log, &h, now);
    if (atomic_load(&log->failed) != 0)
        h.state = VARVE_HEALTH_READ_ONLY;
    else if (h.reasons != 0)
        h.state = VARVE_HEALTH_DEGRADED;
    *ret_health = h;
    return 0;
}
