/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move: a segment has failed for good, and the frames that nobody was told of go to a fresh one.
 *
 * In: the failed segment. Out: every frame that was placed and not published is durable in a fresh segment,
 * and is published; or the log has failed. Nothing is synced through the failed segment's file again.
 *
 * Frames behind the failed one whose own writes succeeded move too: their sync came after one that failed,
 * and cannot be trusted. In the failed segment all of them are superseded: the fresh one starts at the first
 * of them, and a later segment wins.
 *
 * One thread does this, the first to mark the segment as bad. It holds place_mutex, so nothing is placed
 * meanwhile, and holds back publishing, so no slot is freed under it.
 */
#include <inttypes.h>

#include "base/error.h"
#include "base/wait.h"
#include "log/codec.h"
#include "log/failover.h"
#include "log/stages.h"
#include "log/tell.h"

/* Waits until no write into the failed segment is under way for this slot. */
static void wait_attempted(struct vv_slot *slot)
{
    for (;;) {
        uint32_t seen = atomic_load(&slot->turn_event);

        if (atomic_load(&slot->progress) != VV_PROGRESS_PLACED)
            return;
        (void)vv_wait_on(&slot->turn_event, seen, VV_WAIT_FOREVER);
    }
}

/* Moves the slots from `first` up to but not including `end`. place_mutex is held. */
static int move_all(struct varve_log *log, uint64_t first, uint64_t end, struct varve_error *ret_error)
{
    for (uint64_t seq = first; seq < end; seq++)
        wait_attempted(vv_slot_at(log, seq));
    for (uint64_t seq = first; seq < end; seq++) {
        struct vv_slot *slot = vv_slot_at(log, seq);
        bool fresh;
        int rc;

        /* Its leader's lane is another frame's by now. */
        if (log->codec)
            vv_codec_pack(log, slot, vv_codec_mover(log));
        fresh = seq == first || atomic_load(&log->room_bytes) < slot->frame_bytes;
        rc = vv_place_here(log, slot, fresh, ret_error);
        if (rc != 0)
            return rc;
        rc = vv_seal_header(log, slot, ret_error);
        if (rc == 0)
            rc = vv_write_frame(log, slot, true, ret_error);
        /* Whatever it is worth: no longer under way. */
        atomic_store(&slot->progress, rc == 0 ? VV_PROGRESS_DONE : VV_PROGRESS_FAILED);
        if (rc != 0) {
            atomic_store(&slot->segment->bad, 1);
            return rc;
        }
    }
    return 0;
}

bool vv_move_claim(struct vv_segment *segment)
{
    return !atomic_exchange(&segment->bad, 1);
}

/* The file of a segment that failed a sync never becomes a spare. */
static void note_bad(struct varve_log *log)
{
    pthread_mutex_lock(&log->segments_mutex);
    for (size_t i = log->fact_count; i-- > 0;) {
        if (log->current && log->facts[i].number == log->current->number)
            log->facts[i].bad = true;
    }
    pthread_mutex_unlock(&log->segments_mutex);
}

void vv_move_frames(struct varve_log *log, const struct varve_error *cause)
{
    struct varve_error error;
    uint64_t first, end;
    int rc;

    vv_tell(log, FRAMES_MOVE, VV_ABOUT(.code = cause->code, .sys_errno = cause->sys_errno),
            "%s; frames that are not acknowledged move to a fresh segment", cause->message);
    pthread_mutex_lock(&log->sync_mutex);
    pthread_mutex_lock(&log->place_mutex);
    /* In a failed log nothing is moved: its callers have been told, and large records are theirs again. */
    if (atomic_load(&log->failed)) {
        pthread_mutex_unlock(&log->place_mutex);
        pthread_mutex_unlock(&log->sync_mutex);
        return;
    }
    first = atomic_fetch_or(&log->publish_word, VV_PUBLISH_HELD) & ~VV_PUBLISH_HELD;
    end = atomic_load(&log->placed_seq);
    VV_COUNT(log, moves, 1);
    atomic_store(&log->moved_us, log->io->monotonic_us(log->io) | 1);
    note_bad(log);
    vv_failover_moves(log, cause);
    rc = move_all(log, first, end, &error);
    if (rc != 0 && vv_failover_switch(log, &error))
        rc = move_all(log, first, end, &error);
    /* While the mutex is held: the fresh segment may fail somebody as soon as it is not, and the next mover's
     * hold must not be released here, under the slots that it moves. */
    if (rc == 0) {
        atomic_store(&log->unsynced_bytes, 0);
        atomic_fetch_and(&log->publish_word, ~VV_PUBLISH_HELD);
    }
    pthread_mutex_unlock(&log->place_mutex);
    pthread_mutex_unlock(&log->sync_mutex);
    if (rc != 0) {
        vv_tell(log, FRAMES_MOVE, VV_ABOUT(.code = error.code, .sys_errno = error.sys_errno),
                "moving to a fresh segment failed too: %s", error.message);
        vv_fail_log(log, cause);
        return; /* publishing stays held: nothing is acknowledged any more */
    }
    vv_publish_done(log);
}
