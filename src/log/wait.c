/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ack: those who want to know that a record is durable wait here.
 *
 * In: an LSN. Out: it is durable, or the reason why it will not be.
 *
 * In the modes whose appenders lead, whoever waits on a slot that has no leader becomes its leader, and
 * whoever comes when it is the slot's turn and its leader still sleeps leads instead: then nobody has to be
 * woken before the next write. In the buffered modes the flusher is told how far to sync.
 */
#include "base/wait.h"
#include "log/stages.h"

static bool settled(struct varve_log *log, uint64_t lsn)
{
    return atomic_load(&log->durable_lsn) >= lsn || atomic_load(&log->failed) || atomic_load(&log->gate) != 0;
}

/* 0, or why it will not become durable. */
static int outcome(struct varve_log *log, uint64_t lsn)
{
    if (atomic_load(&log->durable_lsn) >= lsn)
        return 0;
    return vv_fail_code(log);
}

/* Sleeps on an event of which `waiters` counts the sleepers, unless the LSN is settled. */
static void sleep_on(struct varve_log *log, _Atomic uint32_t *event, _Atomic uint32_t *waiters, uint64_t lsn,
                     int64_t timeout_us)
{
    uint32_t seen;

    atomic_fetch_add(waiters, 1);
    seen = atomic_load(event);
    if (!settled(log, lsn))
        (void)vv_wait_on(event, seen, timeout_us);
    atomic_fetch_sub(waiters, 1);
}

/* Sleeps until the slot's frame may be durable, unless the LSN is settled. */
static void sleep_for_slot(struct varve_log *log, struct vv_slot *slot, uint64_t lsn, int64_t timeout_us)
{
    uint32_t seen;
    struct vv_crowd *crowd = vv_crowd_enter(log, slot, &seen);

    if (!settled(log, lsn))
        (void)vv_wait_on(&crowd->event, seen, timeout_us);
    vv_crowd_leave(crowd);
}

static void want_sync(struct varve_log *log, uint64_t lsn)
{
    uint64_t wanted = atomic_load(&log->sync_wanted);

    while (wanted < lsn && !atomic_compare_exchange_weak(&log->sync_wanted, &wanted, lsn))
        ;
    vv_flush_kick(log);
}

/* Asks for as much as is given out, and returns how far that is. More would stand for ever, and every later
 * record be synced. */
static uint64_t want_given(struct varve_log *log, uint64_t lsn)
{
    uint64_t last = vv_reserve_last_lsn(log);

    want_sync(log, lsn < last ? lsn : last);
    return last;
}

int vv_wait_slot(struct varve_log *log, uint64_t seq, uint64_t lsn)
{
    struct vv_slot *slot = vv_slot_at(log, seq);

    if (!log->leads)
        want_sync(log, lsn);
    while (!settled(log, lsn)) {
        if (log->leads && vv_seal_claim(slot, seq)) {
            vv_seal_lead(log, slot, seq);
            continue;
        }
        if (log->leads && vv_seal_relieve(log, slot, seq))
            continue;
        sleep_for_slot(log, slot, lsn, VV_WAIT_FOREVER);
    }
    return outcome(log, lsn);
}

/* The slot that holds the LSN, if one does. */
static bool find_slot(struct varve_log *log, uint64_t lsn, uint64_t *ret_seq, bool *ret_large)
{
    uint64_t end = atomic_load(&log->open_seq);

    for (uint64_t seq = vv_published(log); seq <= end; seq++) {
        struct vv_slot *slot = vv_slot_at(log, seq);
        uint64_t first_lsn = atomic_load(&slot->first_lsn), word = atomic_load(&slot->word);

        /* Asked last: as long as it is not published the slot is in that life, and so was what was read. */
        if (atomic_load(&slot->seq) == seq && vv_published(log) <= seq && lsn >= first_lsn &&
            lsn < first_lsn + vv_word_count(word)) {
            *ret_seq = seq;
            *ret_large = vv_word_bytes(word) > log->body_max;
            return true;
        }
    }
    return false;
}

/* Sleeps until the LSN is given out: in the buffered modes nothing would make it durable unasked. */
static void sleep_ahead(struct varve_log *log, uint64_t lsn, int64_t timeout_us)
{
    uint32_t seen;

    atomic_fetch_add(&log->durable_waiters, 1);
    atomic_fetch_add(&log->ahead_waiters, 1);
    seen = atomic_load(&log->durable_event);
    /* Asked behind the count: an appender either is seen here or sees it, and wakes. */
    if (!settled(log, lsn) && vv_reserve_last_lsn(log) < lsn)
        (void)vv_wait_on(&log->durable_event, seen, timeout_us);
    atomic_fetch_sub(&log->ahead_waiters, 1);
    atomic_fetch_sub(&log->durable_waiters, 1);
}

void vv_wait_given(struct varve_log *log)
{
    if (atomic_load(&log->ahead_waiters) == 0)
        return;
    atomic_fetch_add(&log->durable_event, 1);
    vv_wake_all(&log->durable_event);
}

static int wait_until(struct varve_log *log, uint64_t lsn, uint64_t until_us)
{
    while (!settled(log, lsn)) {
        int64_t left = VV_WAIT_FOREVER;
        uint64_t seq;
        bool large;

        if (until_us != UINT64_MAX) {
            uint64_t now = log->io->monotonic_us(log->io);

            if (now >= until_us)
                return VARVE_E_TIMEOUT;
            left = (int64_t)(until_us - now);
        }
        if (!log->leads && want_given(log, lsn) < lsn) {
            sleep_ahead(log, lsn, left);
        } else if (!find_slot(log, lsn, &seq, &large)) {
            if (atomic_load(&log->durable_lsn) < lsn)
                sleep_on(log, &log->durable_event, &log->durable_waiters, lsn, left);
        } else if (left == VV_WAIT_FOREVER && !large) {
            return vv_wait_slot(log, seq, lsn);
        } else {
            /* Leading takes as long as the disk likes; who has a time limit lets the flusher lead. A large
             * record is led by its appender, who could take its memory back when the log fails, while another
             * thread still wrote from it. */
            struct vv_slot *slot = vv_slot_at(log, seq);

            vv_flush_kick(log);
            sleep_for_slot(log, slot, lsn, left);
        }
    }
    return outcome(log, lsn);
}

int vv_wait_durable(struct varve_log *log, uint64_t lsn, int64_t timeout_us)
{
    uint64_t until = log->io->monotonic_us(log->io) + (uint64_t)timeout_us;

    while (!settled(log, lsn)) {
        uint64_t now = log->io->monotonic_us(log->io);

        if (now >= until)
            return VARVE_E_TIMEOUT;
        sleep_on(log, &log->durable_event, &log->durable_waiters, lsn, (int64_t)(until - now));
    }
    return outcome(log, lsn);
}

int varve_wait(struct varve_log *log, uint64_t lsn, int timeout_ms)
{
    if (log->read_only || log->in_memory)
        return VARVE_E_UNSUPPORTED;
    if (atomic_load(&log->durable_lsn) >= lsn)
        return atomic_load(&log->gate) == VARVE_E_FORKED ? VARVE_E_FORKED : 0;
    if (atomic_load(&log->gate) != 0)
        return vv_fail_code(log);
    if (timeout_ms == 0) {
        if (!log->leads)
            (void)want_given(log, lsn);
        return VARVE_E_TIMEOUT;
    }
    return wait_until(
        log, lsn, timeout_ms < 0 ? UINT64_MAX : log->io->monotonic_us(log->io) + (uint64_t)timeout_ms * 1000);
}

int varve_sync(struct varve_log *log)
{
    if (log->read_only || log->in_memory)
        return VARVE_E_UNSUPPORTED;
    if (atomic_load(&log->gate) != 0)
        return vv_fail_code(log);
    return wait_until(log, vv_reserve_last_lsn(log), UINT64_MAX);
}
