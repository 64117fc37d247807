/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal: what a slot's leader does, from the write permit to the finished write.
 *
 * In: a slot with at least one reservation (or a mark's slot). Out: a frame on disk. Next: place, write,
 * publish.
 *
 * Happy path: wait for the permit (while it waits, others join the slot), close the slot and open the next,
 * wait until the last appender has filled its part, pack (with a codec), take a place, seal (likewise),
 * complete the header, write, publish. A single writer does all of this in its own thread with one system
 * call.
 *
 * Ways to fail: the log has failed meanwhile (nothing is written); no fresh segment can be had (the log
 * fails); the write, or encrypting what it should write, fails for good (the frames move, see move.c).
 */
#include <assert.h>
#include <sched.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "base/tooth.h"
#include "base/wait.h"
#include "format/frame.h"
#include "format/record.h"
#include "log/codec.h"
#include "log/large.h"
#include "log/metrics.h"
#include "log/plain_write.h"
#include "log/stages.h"
#include "log/tell.h"
#include "log/watch.h"

/* A leader steps aside for those on their way back for no longer, however slow the disk is: it keeps a
 * processor busy meanwhile. */
#define COMPANY_US 100

bool vv_seal_claim(struct vv_slot *slot, uint64_t seq)
{
    uint64_t none = vv_leader_word(seq, VV_LEADER_NONE);

    if (atomic_load_explicit(&slot->leader, memory_order_relaxed) != none)
        return false;
    return atomic_compare_exchange_strong(&slot->leader, &none, vv_leader_word(seq, VV_LEADER_APPOINTED));
}

/* Whether at most as many slots before it are unpublished as may be written at once. A mark vouches for what
 * is durable, so it wants all before it to be. */
static bool has_turn(struct varve_log *log, struct vv_slot *slot, uint64_t seq)
{
    bool mark = vv_word_count(atomic_load(&slot->word)) == 0;

    return vv_published(log) + (mark ? 0 : log->options.writes_in_flight - 1) >= seq;
}

static bool take_lead(struct vv_slot *slot, uint64_t seq)
{
    uint64_t appointed = vv_leader_word(seq, VV_LEADER_APPOINTED);

    return atomic_compare_exchange_strong(&slot->leader, &appointed, vv_leader_word(seq, VV_LEADER_LEADS));
}

/* Sleeps until it is the slot's turn. false: the log has failed, or somebody else leads. */
static bool wait_turn(struct varve_log *log, struct vv_slot *slot, uint64_t seq)
{
    bool failed = false;

    atomic_fetch_add(&slot->turn_waits, 1);
    while (!failed) {
        uint32_t seen = atomic_load(&slot->turn_event);

        failed = atomic_load(&log->failed) != 0;
        if (failed || atomic_load(&slot->leader) != vv_leader_word(seq, VV_LEADER_APPOINTED) ||
            has_turn(log, slot, seq))
            break;
        (void)vv_wait_on(&slot->turn_event, seen, VV_WAIT_FOREVER);
    }
    atomic_fetch_sub(&slot->turn_waits, 1);
    return !failed && take_lead(slot, seq);
}

/* A leader that was asked to wait for company does so until its slot is full. */
static void wait_company(struct varve_log *log, struct vv_slot *slot)
{
    uint64_t now = log->io->monotonic_us(log->io), until = now + log->options.group_wait_us;

    while (now < until && !(atomic_load(&slot->word) & VV_WORD_CLOSED) && !atomic_load(&log->failed)) {
        uint64_t piece = until - now < 50 ? until - now : 50;

        (void)vv_wait_on(&slot->turn_event, atomic_load(&slot->turn_event), (int64_t)piece);
        now = log->io->monotonic_us(log->io);
    }
}

/*
 * Those whom the frame before has just released are on their way back with their next records, and a fuller
 * frame costs no more on disk. So the leader steps aside until as many wait here as were released then, for
 * half the time that a write takes at most, and COMPANY_US. A single writer has no company and does not step
 * aside; where those who are released have other things to do, the log soon stops to wait for them, and only
 * looks now and then.
 */
static void let_others_in(struct varve_log *log, struct vv_slot *slot, uint64_t seq)
{
    uint32_t expected = atomic_load_explicit(&log->returning, memory_order_relaxed);
    uint32_t first = vv_crowd_count(log, slot) + 1, here = first;
    uint64_t now, until;

    if (here >= expected ||
        (atomic_load_explicit(&log->patience, memory_order_relaxed) == 0 && seq % 16 != 0))
        return;
    now = log->io->monotonic_us(log->io);
    until = now + vv_min_u64(atomic_load_explicit(&log->write_us, memory_order_relaxed) / 2, COMPANY_US);
    while (here < expected && now < until && !(atomic_load(&slot->word) & VV_WORD_CLOSED)) {
        sched_yield();
        here = vv_crowd_count(log, slot) + 1;
        now = log->io->monotonic_us(log->io);
    }
    if (here - first >= (expected - first) / 2)
        atomic_store_explicit(&log->patience, VV_PATIENCE, memory_order_relaxed);
    else if (atomic_load_explicit(&log->patience, memory_order_relaxed) > 0)
        atomic_fetch_sub_explicit(&log->patience, 1, memory_order_relaxed);
}

/* A format may have a word to say of records that are written together. */
static void seal_plain(struct varve_log *log, struct vv_slot *slot)
{
    const struct varve_format *format = log->plain->format;
    const struct varve_format_stamp first = {atomic_load(&slot->first_lsn),
                                             varve_format_time_of_us(format, atomic_load(&slot->time_us))};

    format->seal(slot->buffer, slot->body_bytes, slot->count, &first);
}

void vv_seal_gather(struct varve_log *log, struct vv_slot *slot, struct vv_lane *lane)
{
    uint64_t word = atomic_load(&slot->word);
    uint32_t count = vv_word_count(word), filled;

    assert(word & VV_WORD_CLOSED);
    for (unsigned tries = 0; (filled = atomic_load(&slot->filled)) != count; tries++) {
        if (VV_TOOTH(FILL_NOT_AWAITED))
            break;
        /* An appender is in the middle of its copy: a moment, unless it has lost its core. */
        if (tries < 100)
            continue;
        atomic_store(&slot->leader_waits, 1);
        filled = atomic_load(&slot->filled);
        if (filled != count)
            (void)vv_wait_on(&slot->filled, filled, VV_WAIT_FOREVER);
    }
    slot->count = count;
    slot->body_bytes = slot->stored_bytes = vv_word_bytes(word);
    slot->frame_bytes = log->plain ? slot->body_bytes : vv_frame_bytes(slot->body_bytes, log->sector_bytes);
    slot->frame = slot->buffer;
    slot->codec_id = 0;
    slot->starts_segment = 0;
    if (log->plain && log->plain->format->seal && !slot->large)
        seal_plain(log, slot);
    if (lane)
        vv_codec_pack(log, slot, lane);
    if (atomic_load(&slot->time_us) == 0)
        atomic_store(&slot->time_us, slot->floor_us ? slot->floor_us : 1);
}

int vv_seal_header(struct varve_log *log, struct vv_slot *slot, struct varve_error *ret_error)
{
    const struct vv_segment *segment = slot->segment;
    uint8_t *body = slot->frame + VV_FRAME_HEADER_BYTES;
    struct vv_frame_header h = {
        .stored_bytes = (uint32_t)slot->stored_bytes,
        .raw_bytes = (uint32_t)slot->body_bytes,
        .count = slot->count,
        .first_lsn = atomic_load(&slot->first_lsn),
        .durable_lsn =
            VV_TOOTH(VOUCHES_TOO_FAR) ? atomic_load(&slot->first_lsn) - 1 : atomic_load(&log->durable_lsn),
        .time_us = atomic_load(&slot->time_us),
        .segment = segment->number,
        .sector = (uint32_t)(slot->offset / segment->sector_bytes),
        .codec = slot->codec_id,
    };
    int rc = 0;

    slot->vouched_lsn = h.durable_lsn;
    if (slot->large) {
        rc = vv_large_checksum(log, slot, &h, &h.body_crc, ret_error);
    } else {
        rc = vv_codec_seal(log, slot, &h, ret_error);
        h.body_crc = vv_crc32c(segment->seed, body, slot->stored_bytes);
        memset(body + slot->stored_bytes, 0, slot->frame_bytes - VV_FRAME_HEADER_BYTES - slot->stored_bytes);
    }
    vv_frame_encode(&h, segment->seed, slot->frame);
    return rc;
}

void vv_seal_attempted(struct vv_slot *slot, struct vv_segment *segment, enum vv_slot_progress progress)
{
    atomic_store(&slot->progress, progress);
    if (atomic_load(&segment->bad)) {
        atomic_fetch_add(&slot->turn_event, 1);
        vv_wake_all(&slot->turn_event);
    }
}

/* How long a write takes, smoothed. */
static void note_write(struct varve_log *log, uint64_t us)
{
    uint32_t mean = atomic_load_explicit(&log->write_us, memory_order_relaxed);
    uint32_t now = us > 10000 ? 10000 : (uint32_t)us;

    atomic_store_explicit(&log->write_us, mean == 0 ? now : mean - mean / 8 + now / 8, memory_order_relaxed);
}

/* For bugs only: says of a frame what publish alone may say. */
static void claim_durable(struct varve_log *log, const struct vv_slot *slot)
{
    atomic_store(&log->durable_lsn, atomic_load(&slot->first_lsn) + slot->count - 1);
}

static void lead_write(struct varve_log *log, struct vv_slot *slot)
{
    struct vv_segment *segment = slot->segment;
    struct varve_error error;
    uint64_t began_us = log->io->monotonic_us(log->io), now_us;
    uint64_t number = segment->number, bytes = slot->frame_bytes; /* somebody else's, once it is published */
    bool slow;
    int rc;

    rc = vv_seal_header(log, slot, &error);
    if (rc == 0 && VV_TOOTH(ACK_BEFORE_WRITE))
        claim_durable(log, slot);
    if (rc == 0)
        rc = vv_write_frame(log, slot, true, &error);
    if (rc != 0) {
        /* In this order: once a mover has seen the frame as attempted, the segment's struct may be used for
         * another one, which must not be taken for bad. */
        bool first = vv_move_claim(segment);

        vv_seal_attempted(slot, segment, VV_PROGRESS_FAILED);
        if (first)
            vv_move_frames(log, &error);
        return;
    }
    now_us = log->io->monotonic_us(log->io);
    note_write(log, now_us - began_us);
    vv_tell(log, FRAME_DURABLE,
            VV_ABOUT(.lsn = atomic_load(&slot->first_lsn), .segment = segment->number, .offset = slot->offset,
                     .bytes = slot->frame_bytes, .duration_us = now_us - began_us),
            "%u records durable", (unsigned)slot->count);
    slow = vv_watch_synced(log, now_us, now_us - began_us);
    vv_metrics_flush(log, slot, now_us - began_us);
    vv_metrics_frame(log, slot, now_us);
    if (VV_TOOTH(PUBLISH_PAST_A_HOLE))
        claim_durable(log, slot);
    vv_seal_attempted(slot, segment, VV_PROGRESS_DONE);
    vv_publish_done(log);
    if (slow)
        vv_watch_tell_slow(log, number, bytes, now_us - began_us);
}

/* The same in formats of others: what has failed does not move. */
static void lead_plain(struct varve_log *log, struct vv_slot *slot)
{
    uint64_t began_us = log->io->monotonic_us(log->io), now_us;
    struct varve_error error;
    int rc = vv_plain_put(log, slot, &error);

    if (rc == 0)
        rc = vv_write_sync(log, log->current, &slot->flight, &error);
    if (rc != 0) {
        atomic_store(&slot->progress, VV_PROGRESS_FAILED);
        vv_fail_log(log, &error);
        return;
    }
    now_us = log->io->monotonic_us(log->io);
    note_write(log, now_us - began_us);
    vv_metrics_flush(log, slot, now_us - began_us);
    vv_metrics_frame(log, slot, now_us);
    atomic_store(&slot->progress, VV_PROGRESS_DONE);
    vv_publish_done(log);
}

/* From the taken lead to the finished write. */
static void lead(struct varve_log *log, struct vv_slot *slot, uint64_t seq)
{
    if (log->options.group_wait_us != 0)
        wait_company(log, slot);
    if (log->leads)
        let_others_in(log, slot, seq);
    vv_reserve_close(log, slot);
    vv_seal_gather(log, slot, log->codec ? vv_codec_lane(log, seq) : NULL);
    if (log->plain)
        lead_plain(log, slot);
    else if (vv_place_next(log, slot) == 0)
        lead_write(log, slot);
}

bool vv_seal_relieve(struct varve_log *log, struct vv_slot *slot, uint64_t seq)
{
    if (atomic_load_explicit(&slot->leader, memory_order_relaxed) !=
            vv_leader_word(seq, VV_LEADER_APPOINTED) ||
        !has_turn(log, slot, seq) || !take_lead(slot, seq))
        return false;
    lead(log, slot, seq);
    return true;
}

void vv_seal_lead(struct varve_log *log, struct vv_slot *slot, uint64_t seq)
{
    if (log->in_memory) {
        vv_reserve_close(log, slot);
        vv_seal_gather(log, slot, NULL);
        atomic_store(&slot->progress, VV_PROGRESS_DONE);
        vv_publish_done(log);
        return;
    }
    if (wait_turn(log, slot, seq))
        lead(log, slot, seq);
}
