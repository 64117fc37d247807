/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place: gives a sealed frame its segment and its offset.
 *
 * In: a closed, gathered slot. Out: segment, offset, starts_segment; the segment's header in header_page when
 * the frame is its first. Next: write.
 *
 * Frames are placed in the order of their LSNs. A frame that starts a segment waits until every frame before
 * it is durable: so a segment with a header says that nothing before its base LSN can be missing, and
 * recovery never has to wonder about a newer segment that reached the disk before an older one.
 *
 * Ways to fail: there is no fresh segment and none can be made. As space is owned before a slot is opened,
 * that happens only after the disk broke its word; then the log turns read-only.
 */
#include <assert.h>

#include "base/wait.h"
#include "format/frame.h"
#include "log/codec.h"
#include "log/prepare.h"
#include "log/stages.h"

/* Takes a ready segment for a first frame that begins at the slot's LSN. place_mutex is held. */
static int start_segment(struct varve_log *log, struct vv_slot *slot, struct varve_error *ret_error)
{
    struct vv_segment *segment;
    struct vv_segment_header header;
    int rc = vv_prepare_take(log, &segment, ret_error);

    if (rc != 0)
        return rc;
    segment->base_lsn = atomic_load(&slot->first_lsn);
    header = (struct vv_segment_header){
        .version = VV_SEGMENT_VERSION,
        .sector_bytes = segment->sector_bytes,
        .number = segment->number,
        .salt = segment->salt,
        .capacity = segment->capacity,
        .created_us = atomic_load(&slot->time_us),
        .base_lsn = segment->base_lsn,
        .codec = log->codec ? log->codec->codec->id : VARVE_CODEC_IDENTITY,
        .reused = segment->reused,
        .before = log->number_before,
    };
    for (unsigned i = 0; i < VV_UUID_BYTES; i++)
        header.uuid[i] = log->manifest.uuid[i];
    vv_segment_encode(&header, log->header_page);

    pthread_mutex_lock(&log->segments_mutex);
    assert(log->fact_count < log->fact_room && log->taken_count > 0);
    log->taken_count--;
    log->facts[log->fact_count++] = (struct vv_segment_fact){.number = segment->number,
                                                             .base_lsn = segment->base_lsn,
                                                             .bytes = segment->capacity,
                                                             .created_us = header.created_us};
    pthread_mutex_unlock(&log->segments_mutex);

    /* Before prepare is woken: it looks at old segments when this has grown. */
    VV_COUNT(log, segments_opened, 1);
    if (log->current)
        vv_prepare_retire(log, log->current);
    log->current = segment;
    log->number_before = segment->number;
    atomic_store(&log->room_bytes, segment->capacity - VV_SEGMENT_HEADER_BYTES);
    return 0;
}

int vv_place_here(struct varve_log *log, struct vv_slot *slot, bool fresh, struct varve_error *ret_error)
{
    uint64_t room;

    if (fresh) {
        int rc = start_segment(log, slot, ret_error);

        if (rc != 0)
            return rc;
    }
    room = atomic_load(&log->room_bytes);
    assert(room >= slot->frame_bytes);
    slot->starts_segment = fresh;
    slot->segment = log->current;
    slot->offset = log->current->capacity - room;
    atomic_store(&slot->progress, VV_PROGRESS_PLACED);
    atomic_store(&log->room_bytes, room - slot->frame_bytes);
    if (room >= vv_prepare_threshold(log) && room - slot->frame_bytes < vv_prepare_threshold(log))
        vv_prepare_kick(log);
    return 0;
}

static bool needs_segment(struct varve_log *log, const struct vv_slot *slot)
{
    return !log->current || atomic_load(&log->current->bad) ||
           atomic_load(&log->room_bytes) < slot->frame_bytes;
}

/* Whether it is the slot's turn: all before it are placed, and durable if it is to start a segment, which
 * *ret_fresh says. */
static bool may_place(struct varve_log *log, const struct vv_slot *slot, uint64_t seq, bool *ret_fresh)
{
    /* Asked once: the segment may fail somebody at any moment, and only a frame with nothing before it may
     * start another one. In one that has just failed it finds its place, and a mover who takes it along. */
    *ret_fresh = needs_segment(log, slot);
    if (atomic_load(&log->placed_seq) != seq)
        return false;
    return !*ret_fresh || vv_published(log) == seq;
}

void vv_place_wait(struct varve_log *log, struct vv_slot *slot, uint64_t seq)
{
    atomic_fetch_add(&slot->turn_waits, 1);
    for (;;) {
        uint32_t seen = atomic_load(&slot->turn_event);

        if (atomic_load(&log->placed_seq) == seq || atomic_load(&log->failed))
            break;
        (void)vv_wait_on(&slot->turn_event, seen, VV_WAIT_FOREVER);
    }
    atomic_fetch_sub(&slot->turn_waits, 1);
}

int vv_place_next(struct varve_log *log, struct vv_slot *slot)
{
    uint64_t seq = atomic_load(&slot->seq);
    struct vv_slot *next = vv_slot_at(log, seq + 1);
    struct varve_error error;
    bool failed = false, fresh;
    int rc;

    pthread_mutex_lock(&log->place_mutex);
    while (!may_place(log, slot, seq, &fresh)) {
        uint32_t seen;

        atomic_fetch_add(&slot->turn_waits, 1);
        seen = atomic_load(&slot->turn_event);
        failed = atomic_load(&log->failed) != 0;
        if (!may_place(log, slot, seq, &fresh) && !failed) {
            pthread_mutex_unlock(&log->place_mutex);
            (void)vv_wait_on(&slot->turn_event, seen, VV_WAIT_FOREVER);
            pthread_mutex_lock(&log->place_mutex);
        }
        atomic_fetch_sub(&slot->turn_waits, 1);
        if (failed)
            break;
    }
    rc = atomic_load(&log->failed) ? VARVE_E_READONLY : vv_place_here(log, slot, fresh, &error);
    if (rc == 0)
        atomic_store(&log->placed_seq, seq + 1);
    pthread_mutex_unlock(&log->place_mutex);
    if (rc != 0) {
        if (rc != VARVE_E_READONLY)
            vv_fail_log(log, &error);
        return rc;
    }
    if (slot->large) {
        atomic_store(&log->large_unplaced, 0);
        vv_reserve_wake(log);
    }
    /* Only with several writes in flight can the next one have been waiting. */
    if (atomic_load(&next->turn_waits)) {
        atomic_fetch_add(&next->turn_event, 1);
        vv_wake_all(&next->turn_event);
    }
    return 0;
}
