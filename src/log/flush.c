/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flush: the log's own thread for frames that no appender leads.
 *
 * In `group` and `strict` mode it leads slots that only asynchronous appends are in. In `buffered` and
 * `interval` mode it takes all slots to disk, in order, and syncs them together. In all of them it writes
 * marks: when the log has gone quiet and nothing on disk vouches for the last frames, a frame without records
 * does.
 *
 * A slot is freed only when it is durable, so that a failed sync loses nothing: see move.c.
 */
#include "base/error.h"
#include "base/tooth.h"
#include "base/wait.h"
#include "log/metrics.h"
#include "log/plain_write.h"
#include "log/stages.h"
#include "log/tell.h"
#include "log/watch.h"

void vv_flush_kick(struct varve_log *log)
{
    atomic_fetch_add(&log->flush_event, 1);
    if (atomic_load(&log->flush_sleeps) != VV_FLUSH_AWAKE)
        vv_wake_one(&log->flush_event);
}

/* The open slot's word, or 0 when it is closed: then it is not the flusher's to ask. */
static uint32_t open_count(struct varve_log *log)
{
    uint64_t word = atomic_load(&vv_slot_at(log, atomic_load(&log->open_seq))->word);

    return word & VV_WORD_CLOSED ? 0 : vv_word_count(word);
}

void vv_flush_show_life(struct varve_log *log)
{
    atomic_store_explicit(&log->flusher_busy_us, log->io->monotonic_us(log->io) | 1, memory_order_relaxed);
}

/* -- the modes whose appenders lead -- */

/* Leads what nobody does, in order, before slot `end`. A slot that is led waits for those before it, so none
 * may be passed over that could still turn out to be this thread's own. */
static void lead_unclaimed(struct varve_log *log, uint64_t end)
{
    for (uint64_t seq = vv_published(log); seq < end && seq <= atomic_load(&log->open_seq); seq++) {
        struct vv_slot *slot = vv_slot_at(log, seq);
        uint64_t word = atomic_load(&slot->word);

        /* Open and empty: nothing was behind it a moment ago, and who comes in now announces it. */
        if (word == 0 && atomic_load(&slot->seq) == seq)
            return;
        /* A large record's appender leads it itself: the bytes are its caller's. */
        if (atomic_load(&slot->seq) != seq || vv_word_count(word) == 0 || vv_word_bytes(word) > log->body_max)
            continue;
        if (vv_seal_claim(slot, seq)) {
            vv_seal_lead(log, slot, seq);
            vv_flush_show_life(log);
        }
        if (atomic_load(&log->failed))
            return;
    }
}

/* -- both -- */

struct flusher {
    uint32_t seen;        /* kicks that were looked after */
    uint64_t quiet_word;  /* publish_word when it was last seen to move */
    uint64_t quiet_since; /* and when that was */
    uint64_t dirty_since; /* `interval`: the oldest record that is not synced came after this; 0 = none */
};

static void write_mark(struct varve_log *log, struct flusher *f, uint64_t now)
{
    uint64_t word = atomic_load(&log->publish_word);
    struct vv_slot *slot;
    uint64_t seq;

    if (word != f->quiet_word) {
        f->quiet_word = word;
        f->quiet_since = now;
    }
    if (log->options.mark_idle_ms == UINT32_MAX || VV_TOOTH(NO_MARK) ||
        atomic_load(&log->vouched_lsn) >= atomic_load(&log->durable_lsn) ||
        now - f->quiet_since < (uint64_t)log->options.mark_idle_ms * 1000 ||
        (!log->leads && vv_carry_busy(log)))
        return;
    if (!vv_reserve_mark(log, &slot))
        return;
    seq = atomic_load(&slot->seq);
    if (log->leads) {
        /* Records may have come since this thread looked, into a slot before the mark's, that nobody else is
         * going to lead; and the mark has to wait for them. */
        lead_unclaimed(log, seq);
        if (vv_seal_claim(slot, seq))
            vv_seal_lead(log, slot, seq);
    } else if (vv_published(log) == seq && vv_carry_take(log, seq)) {
        (void)vv_seal_claim(slot, seq);
        vv_seal_lead(log, slot, seq);
        vv_carry_said(log);
    } else {
        /* Likewise: carry.c takes them to disk, and the mark behind them. */
        vv_flush_kick(log);
    }
}

static bool dirty(struct varve_log *log)
{
    return vv_carry_busy(log) || open_count(log) != 0;
}

/* How long to sleep, in microseconds; VV_WAIT_FOREVER when only a kick can bring work. */
static int64_t sleep_time(struct varve_log *log, const struct flusher *f, uint64_t now)
{
    int64_t sleep = VV_WAIT_FOREVER;

    if (log->options.mark_idle_ms != UINT32_MAX &&
        atomic_load(&log->vouched_lsn) < atomic_load(&log->durable_lsn))
        sleep = (int64_t)log->options.mark_idle_ms * 1000;
    if (f->dirty_since != 0) {
        uint64_t due = f->dirty_since + (uint64_t)log->options.sync_interval_ms * 1000;
        int64_t left = due > now ? (int64_t)(due - now) : 0;

        if (sleep < 0 || left < sleep)
            sleep = left;
    }
    return sleep;
}

static void sleep_until_work(struct varve_log *log, const struct flusher *f, uint64_t now)
{
    int64_t sleep = sleep_time(log, f, now);
    /* The time of a mark may be far off: the first record must be able to wake it for the sync's. */
    bool unarmed = log->options.durability == VARVE_INTERVAL && f->dirty_since == 0;

    atomic_store(&log->flush_sleeps, sleep < 0 || unarmed ? VV_FLUSH_ASLEEP : VV_FLUSH_DOZES);
    /* Looked at again now that an appender would kick: what came before that was not announced. */
    if ((unarmed && dirty(log)) || (sleep < 0 && log->options.mark_idle_ms != UINT32_MAX &&
                                    atomic_load(&log->vouched_lsn) < atomic_load(&log->durable_lsn)))
        sleep = 0;
    if (sleep != 0)
        (void)vv_wait_on(&log->flush_event, f->seen, sleep);
    atomic_store(&log->flush_sleeps, VV_FLUSH_AWAKE);
}

void *vv_flush_run(void *arg)
{
    struct varve_log *log = arg;
    struct flusher f = {.seen = 0, .quiet_word = 0};
    bool first = true;

    while (!atomic_load(&log->stop)) {
        uint64_t now = log->io->monotonic_us(log->io);
        uint32_t event = atomic_load(&log->flush_event);
        bool kicked = first || event != f.seen;

        /* Asked again behind the event: a stop that came between the two would find nobody awake to hear it.
         */
        if (atomic_load(&log->stop))
            break;
        first = false;
        f.seen = event;
        atomic_store_explicit(&log->flusher_busy_us, now | 1, memory_order_relaxed);
        if (atomic_load(&log->failed)) {
            atomic_store(&log->flusher_busy_us, 0);
            (void)vv_wait_on(&log->flush_event, event, VV_WAIT_FOREVER);
            continue;
        }
        if (log->leads) {
            if (kicked)
                lead_unclaimed(log, UINT64_MAX);
        } else {
            bool due =
                f.dirty_since != 0 && now >= f.dirty_since + (uint64_t)log->options.sync_interval_ms * 1000;

            vv_carry_slots(log, due);
            if (log->options.durability == VARVE_INTERVAL && (due || f.dirty_since == 0))
                f.dirty_since = dirty(log) ? now : 0;
        }
        write_mark(log, &f, now);
        atomic_store_explicit(&log->flusher_busy_us, 0, memory_order_relaxed);
        sleep_until_work(log, &f, now);
    }
    return NULL;
}
