/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot: a buffer that will become one frame, and the words by which its life is agreed upon.
 *
 *   FREE -> OPENING -> OPEN -> (closed flag in `word`) -> placed -> written -> done -> FREE
 *
 * Slots form a ring in the order of their sequence numbers; number s lives in ring[s % slot_count]. One slot
 * at a time takes reservations: the one that `open_seq` names. Every word of a slot that is not open has the
 * closed flag, so an appender that comes late with an old pointer can only fail its compare-and-swap, or
 * succeed on the slot's newer life, which is as good.
 */
#ifndef VV_LOG_SLOT_H
#define VV_LOG_SLOT_H

#include <stdatomic.h>
#include <stdint.h>

#include "varve/log.h"

/* The word: closed flag, number of records, bytes of body. */
#define VV_WORD_CLOSED     (UINT64_C(1) << 63)
#define VV_WORD_RECORD     (UINT64_C(1) << 32)
#define VV_WORD_COUNT_MAX  (UINT64_C(1) << 20)
#define VV_WORD_BYTES_MASK UINT64_C(0xffffffff)

static inline uint64_t vv_word_bytes(uint64_t word)
{
    return word & VV_WORD_BYTES_MASK;
}

static inline uint32_t vv_word_count(uint64_t word)
{
    return (uint32_t)((word & ~VV_WORD_CLOSED) >> 32);
}

enum vv_slot_state {
    VV_SLOT_FREE = 0,
    VV_SLOT_OPENING,
    VV_SLOT_IN_USE,
};

/* A slot's leader is appointed first, and sleeps until it is the slot's turn. Then it takes the lead, unless
 * a thread that is awake has come and taken it: waking the appointed one costs longer than sealing does. */
enum vv_leader {
    VV_LEADER_NONE = 0,
    VV_LEADER_APPOINTED = 1,
    VV_LEADER_LEADS = 2,
};

/* With the life's number, so that who comes late with an old pointer fails. */
static inline uint64_t vv_leader_word(uint64_t seq, enum vv_leader leader)
{
    return 4 * seq + leader;
}

/* How far a frame is on its way to disk. Only grows within a life, but for a frame that moves to a fresh
 * segment. */
enum vv_slot_progress {
    VV_PROGRESS_NONE = 0,
    VV_PROGRESS_PLACED,  /* has its place in a segment; a write may be under way */
    VV_PROGRESS_FAILED,  /* the write or its sync failed for good in that segment */
    VV_PROGRESS_WRITTEN, /* written, not synced */
    VV_PROGRESS_DONE,    /* durable (in `memory` mode: finished) */
};

/* A call that writes or syncs, from before it is made until it has returned. Each word is stored with
 * release, `began_us` last; so who reads it first and again at the end sees whether it read of one flight. */
struct vv_flight {
    _Atomic uint64_t began_us; /* monotonic; 0 = none is under way */
    _Atomic uint64_t segment, offset, bytes;
};

/* Who went to sleep on one processor. Whoever wakes them all from another one would interrupt it for each of
 * them; so one is woken, and wakes the rest, at home. */
#define VV_CROWDS 8u

struct vv_crowd {
    _Alignas(64) _Atomic uint32_t event; /* [atomic] raised by whoever wakes */
    _Atomic uint32_t waiters;            /* [atomic] how many: no system call wakes nobody */
    _Atomic uint32_t relay;              /* [atomic] 1: the next to leave wakes the others */
};

struct vv_segment;

/* A record that is larger than a slot: it stays in the caller's memory until its frame is durable or the log
 * has failed, and passes through the slot's buffer in pieces. */
struct vv_large {
    const struct varve_record *record;
    uint64_t payload_bytes;
    uint64_t lsn;
    uint32_t record_crc; /* [const once the slot is filled] */
    uint32_t body_crc_state;
    uint8_t head[64];
    uint32_t head_bytes;
    uint8_t tail[8]; /* in formats of others: what stands behind the payload */
};

struct vv_slot {
    /* Appenders meet on the first two lines; the rest is kept away from them. */
    _Alignas(64) _Atomic uint64_t word; /* [atomic: appenders add, whoever closes sets the flag] */
    _Atomic uint64_t time_us;           /* [atomic: set once per life by the first to encode; 0 before] */

    _Alignas(64) _Atomic uint32_t filled; /* [atomic: release by encode] records that are in the buffer */
    _Atomic uint32_t leader_waits;        /* [leader] it sleeps on `filled` */

    struct vv_crowd
        crowds[VV_CROWDS]; /* those who wait for this frame, by the processor they went to sleep on */

    _Alignas(64) _Atomic uint32_t turn_event; /* [atomic] the leader sleeps here: permit, placement */
    _Atomic uint32_t turn_waits;              /* [leaders] how many do */
    _Atomic uint64_t leader;                  /* [atomic: CAS] vv_leader_word: who leads in this life */
    _Atomic uint32_t state;                   /* [atomic] enum vv_slot_state */
    _Atomic uint32_t progress;                /* [atomic: leader, flusher, mover] enum vv_slot_progress */
    _Atomic uint64_t seq;       /* [whoever opens it; stable from then until it is free again] */
    _Atomic uint64_t first_lsn; /* likewise */
    uint64_t floor_us;          /* likewise: the log's clock when it was opened */

    uint8_t *buffer;            /* [const after open] slot_bytes, aligned for direct I/O */
    struct vv_large *large;     /* [its appender, before it counts as filled] */
    struct vv_segment *segment; /* [leader, mover] where it was placed, from here to the end */
    uint8_t *frame;             /* what goes to disk: the buffer, or what a codec made of it */
    struct vv_lane *lane;       /* of the codec, where the log has one */
    uint64_t offset;
    uint64_t frame_bytes;
    uint64_t body_bytes;
    uint64_t stored_bytes; /* of the body, on disk */
    uint64_t vouched_lsn;  /* the durable LSN that its header carries */
    uint32_t count;
    uint32_t starts_segment; /* 1: the segment's header goes out with it */
    uint8_t codec_id;        /* how the body is stored */
    uint8_t packed;          /* 1: the lane holds the packed body */
    struct vv_flight flight; /* [leader, mover; read by the watcher] the write that is under way */
};

#endif
