/* SPDX-License-Identifier: Apache-2.0 */
/*
 * carry: takes slots to disk in the modes whose appenders do not lead.
 *
 * In: slots that are closed, or that somebody waits for. Out: frames on disk, synced together. Next: publish.
 *
 * The flusher does this, and where frames are packed or sealed a helper beside it: one packs while the other
 * writes. Each takes the next slot that nobody has taken, packs it, gives it its place once those before it
 * have theirs, and writes it. Only one of them writes or syncs at a time: two would wait for each other in
 * the file system. Whoever finds that enough has come together syncs what is written without a gap; the other
 * one packs meanwhile. So a carrier waits only for slots before its own, and none of these waits for it.
 *
 * Only one syncs at a time, and it marks and publishes what it has synced before the next one looks; a mover
 * keeps all of them out. So a sync never touches a segment that somebody retires, and a slot is never marked
 * in a life that it did not sync.
 *
 * Ways to fail: as in seal.c; a slot is freed only when it is durable, so a failed sync loses nothing.
 */
#include <sched.h>

#include "base/error.h"
#include "base/wait.h"
#include "log/codec.h"
#include "log/metrics.h"
#include "log/plain_write.h"
#include "log/stages.h"
#include "log/tell.h"
#include "log/watch.h"

#define FLUSHER 0u /* numbers of carriers, and of their lanes */
#define HELPER  1u

/* Slots that are written and not durable, without a gap. */
struct batch {
    uint64_t first, end; /* of their numbers */
    uint64_t bytes;
    struct vv_segment *segment;
};

bool vv_carry_busy(struct varve_log *log)
{
    return vv_published(log) < atomic_load(&log->carry_seq);
}

/* In this order: who waits announces itself, then reads the event, then looks. */
void vv_carry_said(struct varve_log *log)
{
    atomic_fetch_add(&log->carried_event, 1);
    if (atomic_load(&log->carried_waiters))
        vv_wake_all(&log->carried_event);
}

/* -- syncing -- */

/* What can be synced now. sync_mutex is held: nobody else marks what is written as durable. */
static struct batch gather_written(struct varve_log *log)
{
    uint64_t taken = atomic_load(&log->carry_seq);
    struct batch batch = {.first = vv_published(log)};

    for (batch.end = batch.first; batch.end < taken; batch.end++) {
        struct vv_slot *slot = vv_slot_at(log, batch.end);

        /* The number last: a mark is published by its leader, and its slot may be in another life by now. */
        if (atomic_load(&slot->progress) != VV_PROGRESS_WRITTEN || atomic_load(&slot->seq) != batch.end)
            break;
        batch.bytes += slot->frame_bytes;
        batch.segment = log->plain ? log->current : slot->segment;
    }
    return batch;
}

static void mark_durable(struct varve_log *log, const struct batch *batch, uint64_t now_us, uint64_t took_us)
{
    vv_metrics_flush(log, vv_slot_at(log, batch->end - 1), took_us);
    for (uint64_t seq = batch->first; seq < batch->end; seq++) {
        struct vv_slot *slot = vv_slot_at(log, seq);

        vv_tell(log, FRAME_DURABLE,
                VV_ABOUT(.lsn = atomic_load(&slot->first_lsn), .segment = batch->segment->number,
                         .offset = slot->offset, .bytes = slot->frame_bytes, .duration_us = took_us),
                "%u records durable", (unsigned)slot->count);
        vv_metrics_frame(log, slot, now_us);
        atomic_store(&slot->progress, VV_PROGRESS_DONE);
    }
    atomic_fetch_sub(&log->unsynced_bytes, batch->bytes);
    vv_publish_done(log);
}

/* Syncs what is written without a gap. */
static void sync_written(struct varve_log *log)
{
    struct varve_error error;
    uint64_t began_us, took_us, number;
    bool slow = false, moves = false;
    struct batch batch;
    int rc;

    pthread_mutex_lock(&log->sync_mutex);
    batch = gather_written(log);
    /* Of a segment that has failed everything moves; the mover waits for this mutex, or is about to. */
    if (batch.first == batch.end || (!log->plain && atomic_load(&batch.segment->bad))) {
        pthread_mutex_unlock(&log->sync_mutex);
        sched_yield();
        return;
    }
    number = batch.segment->number;
    pthread_mutex_lock(&log->write_mutex);
    began_us = log->io->monotonic_us(log->io);
    rc = vv_write_sync(log, batch.segment, &log->flights[VV_FLIGHT_SYNC], &error);
    took_us = log->io->monotonic_us(log->io) - began_us;
    pthread_mutex_unlock(&log->write_mutex);
    if (rc == 0) {
        slow = vv_watch_synced(log, began_us + took_us, took_us);
        mark_durable(log, &batch, began_us + took_us, took_us);
    } else if (!log->plain) {
        moves = vv_move_claim(batch.segment);
    }
    pthread_mutex_unlock(&log->sync_mutex);
    if (rc != 0 && log->plain)
        vv_fail_log(log, &error);
    if (moves) {
        vv_move_frames(log, &error);
        vv_carry_said(log);
    }
    if (slow)
        vv_watch_tell_slow(log, number, batch.bytes, took_us);
}

/* Sleeps while the first slot that is not durable is on its way: whoever carries it says when that is over.
 */
static void wait_carried(struct varve_log *log, uint64_t seq)
{
    struct vv_slot *slot = vv_slot_at(log, seq);
    uint32_t seen;

    atomic_fetch_add(&log->carried_waiters, 1);
    seen = atomic_load(&log->carried_event);
    if (vv_published(log) == seq && atomic_load(&slot->progress) < VV_PROGRESS_WRITTEN &&
        !atomic_load(&log->failed))
        (void)vv_wait_on(&log->carried_event, seen, VV_WAIT_FOREVER);
    atomic_fetch_sub(&log->carried_waiters, 1);
}

/* Until all slots before `end`, which are taken, are durable or the log has failed. The caller carries none
 * of them. */
static void sync_until(struct varve_log *log, uint64_t end)
{
    uint64_t published;

    while ((published = vv_published(log)) < end && !atomic_load(&log->failed)) {
        wait_carried(log, published);
        sync_written(log);
    }
}

/* -- a slot's way -- */

/* In formats of others: what has failed does not move. */
static void write_plain(struct varve_log *log, struct vv_slot *slot)
{
    struct varve_error error;

    if (vv_plain_put(log, slot, &error) != 0) {
        atomic_store(&slot->progress, VV_PROGRESS_FAILED);
        vv_fail_log(log, &error);
        return;
    }
    atomic_fetch_add(&log->unsynced_bytes, slot->frame_bytes);
    atomic_store(&slot->progress, VV_PROGRESS_WRITTEN);
}

static void write_native(struct varve_log *log, struct vv_slot *slot, uint64_t seq)
{
    struct vv_segment *segment;
    struct varve_error error;
    int rc;

    vv_place_wait(log, slot, seq);
    /* The next segment is started only when this one is durable. */
    if (atomic_load(&log->room_bytes) < slot->frame_bytes)
        sync_until(log, seq);
    if (vv_place_next(log, slot) != 0)
        return;
    segment = slot->segment;
    rc = vv_seal_header(log, slot, &error);
    if (rc == 0) {
        pthread_mutex_lock(&log->write_mutex);
        rc = vv_write_frame(log, slot, false, &error);
        pthread_mutex_unlock(&log->write_mutex);
    }
    if (rc != 0) {
        /* In this order, as in seal.c. */
        bool first = vv_move_claim(segment);

        vv_seal_attempted(slot, segment, VV_PROGRESS_FAILED);
        if (first)
            vv_move_frames(log, &error);
        return;
    }
    /* Before it is said: a mover who has seen that counts anew. */
    atomic_fetch_add(&log->unsynced_bytes, slot->frame_bytes);
    vv_seal_attempted(slot, segment, VV_PROGRESS_WRITTEN);
}

/* From the taken slot to its written frame. */
static void carry(struct varve_log *log, struct vv_slot *slot, uint64_t seq, unsigned carrier)
{
    (void)vv_seal_claim(slot, seq);
    vv_reserve_close(log, slot);
    vv_seal_gather(log, slot, log->codec ? &log->codec->lanes[carrier] : NULL);
    if (log->plain)
        write_plain(log, slot);
    else
        write_native(log, slot, seq);
    vv_carry_said(log);
}

/* Three quarters of what may be on its way: the last one fills meanwhile. By number too: small frames must
 * not use up the slots unsynced. Who finishes last sees all that is written; so it is never left to nobody.
 */
static void sync_if_due(struct varve_log *log)
{
    uint64_t taken = atomic_load(&log->carry_seq) - vv_published(log);

    if (atomic_load(&log->unsynced_bytes) >= log->options.sync_bytes / 4 * 3 ||
        taken >= log->ring_limit - (log->ring_limit + 3) / 4)
        sync_written(log);
}

bool vv_carry_take(struct varve_log *log, uint64_t seq)
{
    return atomic_compare_exchange_strong(&log->carry_seq, &seq, seq + 1);
}

static bool wants(struct varve_log *log, uint64_t lsn)
{
    return atomic_load(&log->sync_wanted) >= lsn;
}

void vv_carry_slots(struct varve_log *log, bool due)
{
    while (!atomic_load(&log->failed)) {
        uint64_t seq = atomic_load(&log->carry_seq);
        struct vv_slot *slot = vv_slot_at(log, seq);
        uint64_t word;

        if (atomic_load(&log->open_seq) < seq)
            break;
        word = atomic_load(&slot->word);
        if (!(word & VV_WORD_CLOSED) &&
            (vv_word_count(word) == 0 || (!due && !wants(log, atomic_load(&slot->first_lsn)))) &&
            atomic_load(&log->carry_seq) == seq)
            break;
        if (!vv_carry_take(log, seq))
            continue;
        carry(log, slot, seq, FLUSHER);
        vv_flush_show_life(log);
        sync_if_due(log);
    }
    if (atomic_load(&log->failed))
        return;
    if (due || wants(log, atomic_load(&log->durable_lsn) + 1))
        sync_until(log, atomic_load(&log->carry_seq));
}

/* -- the helper -- */

void vv_carry_kick(struct varve_log *log)
{
    /* Whoever sleeps lightest: the flusher, and the helper when that one has something to do. */
    if (log->carriers > 1 && atomic_load(&log->flush_sleeps) == VV_FLUSH_AWAKE) {
        atomic_fetch_add(&log->help_event, 1);
        if (atomic_load(&log->help_sleeps))
            vv_wake_one(&log->help_event);
    }
    vv_flush_kick(log);
}

/* The next slot, if it is full. What is not, or is a mark, is the flusher's. */
static bool help(struct varve_log *log)
{
    uint64_t seq = atomic_load(&log->carry_seq);
    struct vv_slot *slot = vv_slot_at(log, seq);
    uint64_t word;

    if (atomic_load(&log->open_seq) < seq)
        return false;
    word = atomic_load(&slot->word);
    if (!(word & VV_WORD_CLOSED) || vv_word_count(word) == 0 || !vv_carry_take(log, seq))
        return false;
    carry(log, slot, seq, HELPER);
    sync_if_due(log);
    /* The flusher may have been asked for a sync of this. */
    if (wants(log, atomic_load(&log->durable_lsn) + 1))
        vv_flush_kick(log);
    return true;
}

void *vv_carry_run(void *arg)
{
    struct varve_log *log = arg;

    while (!atomic_load(&log->stop)) {
        uint32_t seen = atomic_load(&log->help_event);

        if (!atomic_load(&log->failed) && help(log))
            continue;
        atomic_store(&log->help_sleeps, 1);
        if (atomic_load(&log->stop))
            break;
        (void)vv_wait_on(&log->help_event, seen, VV_WAIT_FOREVER);
        atomic_store(&log->help_sleeps, 0);
    }
    return NULL;
}
