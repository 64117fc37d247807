/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reserve: gives an appender its LSNs and its place in the open slot.
 *
 * In: sizes. Out: a reservation, which must be filled by encode. Next: encode.
 *
 * Happy path: one compare-and-swap on the open slot's word. When the records do not fit, whoever finds out
 * closes the slot and opens the next one. A slot is opened only once the space on disk for a full frame is
 * owned: in the current segment, or in one that is ready. So a record that has an LSN never meets a full
 * disk.
 *
 * Ways to fail: the ring is full (backpressure), there is no space and none can be made (NOSPC, LIMIT, IO),
 * the log's gate is shut (READONLY, CLOSED, FORKED). Then nothing was reserved.
 */
#include <assert.h>
#include <errno.h>
#include <sched.h>

#include "base/bytes.h"
#include "base/tooth.h"
#include "base/wait.h"
#include "format/frame.h"
#include "log/plain_write.h"
#include "log/stages.h"

enum opened {
    OPEN_DONE,
    OPEN_AGAIN, /* somebody else is at it, or has done it */
    OPEN_RING_FULL,
    OPEN_NO_SPACE,
    OPEN_EARLIER, /* a time that was given is before the newest */
};

/* What a caller wants of a slot that is opened. */
struct wish {
    uint64_t word;        /* its first word: 0, or a reservation made in the same step */
    uint64_t frame_bytes; /* of a large record; else 0 */
};

static void pause_briefly(unsigned *tries)
{
    /* Whoever is between two steps of opening needs a few instructions; but it may have lost its core. */
    if (++*tries % 64 == 0)
        sched_yield();
    else
        atomic_signal_fence(memory_order_seq_cst);
}

void vv_reserve_wake(struct varve_log *log)
{
    if (atomic_load(&log->ring_waiters) == 0 || VV_TOOTH(RING_NOT_WOKEN))
        return;
    atomic_fetch_add(&log->ring_event, 1);
    vv_wake_all(&log->ring_event);
}

/* Whether slot `seq` can be placed for certain, with all that were opened before it. */
static bool space_owned(struct varve_log *log, uint64_t seq, uint64_t large_bytes)
{
    uint64_t before, room;

    if (log->in_memory)
        return true;
    /* Files that grow have no room of their own: a large record's appender has looked at what is free. */
    if (log->plain && !vv_plain_fixed(log) && large_bytes != 0)
        large_bytes = log->frame_max;
    /* In this order: placing can only make `before` smaller than it is taken for here, and when it turns to
     * the next segment, the number of the ready, which is read last, already tells. */
    before = seq - atomic_load(&log->placed_seq);
    room = atomic_load(&log->room_bytes);
    if (large_bytes == 0) {
        if (atomic_load(&log->large_unplaced))
            return false;
        if (room >= (before + 1) * log->frame_max || atomic_load(&log->ready_count) >= 1)
            return true;
        if (atomic_exchange(&log->space_short, 1) == 0)
            vv_prepare_kick(log);
        return false;
    }
    if (room >= before * log->frame_max + large_bytes)
        return true;
    if (log->plain && !vv_plain_fixed(log)) {
        if (atomic_exchange(&log->space_short, 1) == 0)
            vv_prepare_kick(log);
        return false;
    }
    /* Those before it may use up one segment's beginning; then it needs another. */
    if (atomic_load(&log->ready_count) >= (before == 0 ? 1 : 2))
        return true;
    if (atomic_exchange(&log->ready_wanted, 2) != 2)
        vv_prepare_kick(log);
    return false;
}

/* Opens the slot behind `seq`, which is closed. */
static enum opened open_next(struct varve_log *log, uint64_t seq, const struct wish *wish)
{
    struct vv_slot *next = vv_slot_at(log, seq + 1), *before = vv_slot_at(log, seq);
    uint32_t state = VV_SLOT_FREE;
    uint64_t first_lsn, ahead, real;

    if (seq + 1 - vv_published(log) >= log->ring_limit)
        return atomic_load(&log->open_seq) == seq ? OPEN_RING_FULL : OPEN_AGAIN;
    if (!atomic_compare_exchange_strong(&next->state, &state, VV_SLOT_OPENING)) {
        if (atomic_load(&log->open_seq) != seq || state == VV_SLOT_OPENING ||
            atomic_load(&next->seq) == seq + 1)
            return OPEN_AGAIN;
        return OPEN_RING_FULL;
    }
    /* Only the open slot has a next one, and only once it is closed: a caller that was held up for long may
     * come with the number of a slot that has begun another life. */
    if (atomic_load(&log->open_seq) != seq || !(atomic_load(&before->word) & VV_WORD_CLOSED)) {
        atomic_store(&next->state, VV_SLOT_FREE);
        return OPEN_AGAIN;
    }
    if (!space_owned(log, seq + 1, wish->frame_bytes)) {
        atomic_store(&next->state, VV_SLOT_FREE);
        return OPEN_NO_SPACE;
    }

    real = log->io->realtime_us(log->io);
    ahead = real - log->io->monotonic_us(log->io);
    if ((int64_t)(ahead - atomic_load(&log->clock_ahead_us)) > 0)
        atomic_store(&log->clock_ahead_us, ahead);

    first_lsn = atomic_load(&before->first_lsn) + vv_word_count(atomic_load(&before->word));
    assert(first_lsn < UINT64_MAX / 2);
    /* Before the number: who publishes looks for the number first, and must not find the DONE of the life
     * before behind it. */
    atomic_store_explicit(&next->progress, VV_PROGRESS_NONE, memory_order_relaxed);
    atomic_store_explicit(&next->filled, 0, memory_order_relaxed);
    atomic_store_explicit(&next->time_us, 0, memory_order_relaxed);
    atomic_store_explicit(&next->leader_waits, 0, memory_order_relaxed);
    atomic_store_explicit(&next->seq, seq + 1, memory_order_release);
    atomic_store_explicit(&next->first_lsn, first_lsn, memory_order_release);
    next->floor_us = log->timed ? atomic_load(&log->reach_us) : vv_log_now_us(log);
    next->large = NULL;
    atomic_store(&next->leader, vv_leader_word(seq + 1, VV_LEADER_NONE));
    atomic_store(&next->state, VV_SLOT_IN_USE);
    /* Last: from here on appenders come in, and find all of the above. */
    atomic_store(&next->word, wish->word);
    atomic_store(&log->open_seq, seq + 1);
    /* Somebody with an old pointer may have come in between those two, and the flusher that was told of it
     * could not see the slot yet. */
    if (!log->in_memory && wish->word == 0 && vv_word_count(atomic_load(&next->word)) != 0)
        vv_flush_kick(log);
    vv_reserve_wake(log);
    return OPEN_DONE;
}

static const struct wish empty_slot = {0, 0};

static void after_close(struct varve_log *log, struct vv_slot *slot)
{
    /* In the modes where appenders lead, every slot with records has a leader or was announced to the flusher
     * when its first record came. */
    if (log->in_memory) {
        uint64_t seq = atomic_load(&slot->seq);

        if (vv_seal_claim(slot, seq))
            vv_seal_lead(log, slot, seq);
    } else if (!log->leads) {
        vv_carry_kick(log);
    }
}

/* Sets the closed flag. true: it was not set, and this call did it. */
static bool close_word(struct vv_slot *slot, uint64_t word)
{
    return atomic_compare_exchange_strong(&slot->word, &word, word | VV_WORD_CLOSED);
}

void vv_reserve_close(struct varve_log *log, struct vv_slot *slot)
{
    uint64_t seq = atomic_load(&slot->seq);

    atomic_fetch_or(&slot->word, VV_WORD_CLOSED);
    (void)open_next(log, seq, &empty_slot);
}

bool vv_reserve_mark(struct varve_log *log, struct vv_slot **ret_slot)
{
    uint64_t seq = atomic_load(&log->open_seq);
    struct vv_slot *slot = vv_slot_at(log, seq);

    if (atomic_load(&slot->word) & VV_WORD_CLOSED) {
        if (open_next(log, seq, &empty_slot) != OPEN_DONE)
            return false;
        slot = vv_slot_at(log, seq + 1);
    }
    if (!close_word(slot, 0))
        return false;
    *ret_slot = slot;
    return true;
}

/* One try of a reservation that shares a slot. */
static enum opened try_shared(struct varve_log *log, uint64_t bytes, uint32_t count, uint64_t now_us,
                              struct vv_reservation *r)
{
    uint64_t seq = atomic_load(&log->open_seq);
    struct vv_slot *slot = vv_slot_at(log, seq);
    uint64_t word = atomic_load(&slot->word);
    uint64_t opened_us = atomic_load_explicit(&slot->time_us, memory_order_relaxed);

    if (word & VV_WORD_CLOSED) {
        enum opened opened = open_next(log, seq, &empty_slot);

        return opened == OPEN_DONE ? OPEN_AGAIN : opened;
    }
    if (vv_word_bytes(word) + bytes > log->body_max || vv_word_count(word) + count > VV_WORD_COUNT_MAX ||
        (opened_us != 0 && now_us > opened_us + UINT32_MAX)) {
        if (close_word(slot, word))
            after_close(log, slot);
        return OPEN_AGAIN; /* the next try finds it closed, and opens the one behind it */
    }
    if (!atomic_compare_exchange_weak(&slot->word, &word, word + count * VV_WORD_RECORD + bytes))
        return OPEN_AGAIN;
    r->slot = slot;
    r->seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
    r->lsn = atomic_load_explicit(&slot->first_lsn, memory_order_relaxed) + vv_word_count(word);
    r->offset = vv_word_bytes(word);
    r->first = vv_word_count(word) == 0;
    return OPEN_DONE;
}

/* One try of a reservation of a whole slot. For a large record the caller holds large_unplaced. */
static enum opened try_alone(struct varve_log *log, uint64_t bytes, uint32_t count, uint64_t large_bytes,
                             struct vv_reservation *r)
{
    const struct wish wish = {VV_WORD_CLOSED | count * VV_WORD_RECORD | bytes, large_bytes};
    uint64_t seq = atomic_load(&log->open_seq);
    struct vv_slot *slot = vv_slot_at(log, seq);
    uint64_t word = atomic_load(&slot->word);

    if (word & VV_WORD_CLOSED) {
        enum opened opened = open_next(log, seq, &wish);

        if (opened != OPEN_DONE)
            return opened;
        slot = vv_slot_at(log, seq + 1);
    } else if (word != 0) {
        if (close_word(slot, word))
            after_close(log, slot);
        return OPEN_AGAIN;
    } else {
        if (large_bytes != 0 && !space_owned(log, seq, large_bytes))
            return OPEN_NO_SPACE;
        if (!atomic_compare_exchange_strong(&slot->word, &word, wish.word))
            return OPEN_AGAIN;
    }
    r->slot = slot;
    r->seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
    r->lsn = atomic_load_explicit(&slot->first_lsn, memory_order_relaxed);
    r->offset = 0;
    r->first = true;
    return OPEN_DONE;
}

/* While large_unplaced is set no ordinary slot is opened, so the space that is counted for the large record
 * cannot be given to somebody else; placing it clears the flag. */
static enum opened try_large(struct varve_log *log, uint64_t bytes, struct vv_reservation *r)
{
    uint64_t frame_bytes = log->plain ? bytes : vv_frame_bytes(bytes, log->sector_bytes);
    uint32_t none = 0;
    enum opened opened;

    if (log->in_memory)
        return try_alone(log, bytes, 1, 0, r);
    if (!atomic_compare_exchange_strong(&log->large_unplaced, &none, 1))
        return OPEN_NO_SPACE;
    opened = try_alone(log, bytes, 1, frame_bytes, r);
    if (opened != OPEN_DONE) {
        atomic_store(&log->large_unplaced, 0);
        if (opened != OPEN_AGAIN)
            vv_reserve_wake(log);
    }
    return opened;
}

/* Sleeps until the ring may have changed. `deadline_us` 0: the first time, which does not sleep but announces
 * the waiter, so that nothing that happens from now on is missed. */
static int wait_for_ring(struct varve_log *log, uint32_t seen, uint64_t *deadline_us)
{
    const struct varve_options *o = &log->options;
    uint64_t now = log->io->monotonic_us(log->io);
    int64_t left = VV_WAIT_FOREVER;

    if (*deadline_us == 0) {
        VV_COUNT(log, backpressure, 1);
        atomic_store(&log->pressed_us, now | 1);
        if (o->backpressure == VARVE_BACKPRESSURE_FAIL)
            return VARVE_E_BACKPRESSURE;
        atomic_fetch_add(&log->ring_waiters, 1);
        *deadline_us = now + (uint64_t)o->backpressure_ms * 1000 + 1;
        return 0;
    }
    if (o->backpressure == VARVE_BACKPRESSURE_WAIT) {
        if (now >= *deadline_us)
            return VARVE_E_BACKPRESSURE;
        left = (int64_t)(*deadline_us - now);
    }
    (void)vv_wait_on(&log->ring_event, seen, left);
    return 0;
}

/* Inlined: so the way without given times is as short as if there were no other. */
__attribute__((always_inline)) static inline enum opened try_once(struct varve_log *log, uint64_t bytes,
                                                                  uint32_t count, enum vv_reserve_kind kind,
                                                                  uint64_t now_us, struct vv_reservation *r)
{
    if (kind == VV_RESERVE_SHARED)
        return try_shared(log, bytes, count, now_us, r);
    if (kind == VV_RESERVE_ALONE)
        return try_alone(log, bytes, count, 0, r);
    return try_large(log, bytes, r);
}

/*
 * The same for records that may have times of their own: one after the other, so that times grow with the
 * LSNs. `reach_us` moves on before the place is taken: who opens the next slot then finds it, and a mark
 * there is not older than what it vouches for.
 */
__attribute__((noinline)) static enum opened try_timed(struct varve_log *log, uint64_t bytes, uint32_t count,
                                                       enum vv_reserve_kind kind, struct vv_times *times,
                                                       struct vv_reservation *r)
{
    enum opened opened = OPEN_EARLIER;

    pthread_mutex_lock(&log->times_mutex);
    if (times->given_us >= log->newest_us) {
        uint64_t first_us = vv_max_u64(times->first_us, log->newest_us);
        uint64_t last_us = vv_max_u64(times->last_us, first_us);

        if (last_us > atomic_load(&log->reach_us))
            atomic_store(&log->reach_us, last_us);
        opened = try_once(log, bytes, count, kind, last_us, r);
        if (opened == OPEN_DONE) {
            /* Those that come after it find it there, and the frame waits until all are encoded. */
            if (r->first)
                atomic_store(&r->slot->time_us, first_us);
            log->newest_us = last_us;
            times->first_us = first_us;
        }
    }
    pthread_mutex_unlock(&log->times_mutex);
    return opened;
}

/* It gets no place. A mark may have its time by now. */
static void give_up_timed(struct varve_log *log)
{
    pthread_mutex_lock(&log->times_mutex);
    log->newest_us = atomic_load(&log->reach_us);
    pthread_mutex_unlock(&log->times_mutex);
}

__attribute__((always_inline)) static inline int take(struct varve_log *log, uint64_t bytes, uint32_t count,
                                                      enum vv_reserve_kind kind, uint64_t now_us,
                                                      struct vv_times *times,
                                                      struct vv_reservation *ret_reservation)
{
    uint64_t deadline_us = 0;
    unsigned tries = 0;
    int rc;

    for (;;) {
        uint32_t seen = atomic_load(&log->ring_event);
        enum opened opened;

        rc = atomic_load_explicit(&log->gate, memory_order_relaxed);
        if (rc != 0)
            break;
        opened = times ? try_timed(log, bytes, count, kind, times, ret_reservation)
                       : try_once(log, bytes, count, kind, now_us, ret_reservation);
        if (opened == OPEN_DONE)
            break;
        if (opened == OPEN_EARLIER) {
            rc = VARVE_E_INVALID;
            break;
        }
        if (opened == OPEN_AGAIN) {
            pause_briefly(&tries);
            continue;
        }
        if (opened == OPEN_NO_SPACE && (rc = atomic_load(&log->space_error)) != 0)
            break;
        rc = wait_for_ring(log, seen, &deadline_us);
        if (rc != 0)
            break;
    }
    if (deadline_us != 0)
        atomic_fetch_sub(&log->ring_waiters, 1);
    if (times && rc != 0 && rc != VARVE_E_INVALID)
        give_up_timed(log);
    return rc;
}

int vv_reserve_take(struct varve_log *log, uint64_t bytes, uint32_t count, enum vv_reserve_kind kind,
                    uint64_t now_us, struct vv_reservation *ret_reservation)
{
    return take(log, bytes, count, kind, now_us, NULL, ret_reservation);
}

int vv_reserve_timed(struct varve_log *log, uint64_t bytes, uint32_t count, enum vv_reserve_kind kind,
                     struct vv_times *times, struct vv_reservation *ret_reservation)
{
    return take(log, bytes, count, kind, 0, times, ret_reservation);
}

uint64_t vv_reserve_last_lsn(struct varve_log *log)
{
    for (unsigned tries = 0;; pause_briefly(&tries)) {
        uint64_t seq = atomic_load(&log->open_seq);
        struct vv_slot *slot = vv_slot_at(log, seq);
        uint64_t first_lsn = atomic_load(&slot->first_lsn), word = atomic_load(&slot->word);

        /* Is the slot behind it numbered already, then records may be in that one too, and their appenders
         * back: whoever opens it is about to say so. */
        if (atomic_load(&vv_slot_at(log, seq + 1)->seq) != seq + 1 && atomic_load(&slot->seq) == seq &&
            atomic_load(&log->open_seq) == seq)
            return first_lsn + vv_word_count(word) - 1;
    }
}
