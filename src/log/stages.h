/* SPDX-License-Identifier: Apache-2.0 */
/* What the stages of the write path and the log's threads call of each other, in the order of a record's way.
 */
#ifndef VV_LOG_STAGES_H
#define VV_LOG_STAGES_H

#include "log/log.h"

struct vv_lane;

/* -- reserve.c -- */
struct vv_reservation {
    struct vv_slot *slot;
    uint64_t seq;
    uint64_t lsn;
    uint64_t offset; /* in the body */
    bool first;      /* the slot's first record */
};
enum vv_reserve_kind {
    VV_RESERVE_SHARED = 0, /* with others in a frame */
    VV_RESERVE_ALONE,      /* a frame of its own */
    VV_RESERVE_LARGE,      /* likewise, larger than a slot */
};
/* Gives `count` records of `bytes` in all their place and LSNs. Errors: those of varve_append. */
int vv_reserve_take(struct varve_log *log, uint64_t bytes, uint32_t count, enum vv_reserve_kind kind,
                    uint64_t now_us, struct vv_reservation *ret_reservation);
/* Times of what is to be reserved, in a log that is `timed`. */
struct vv_times {
    uint64_t first_us, last_us; /* of the first and the last; first_us: set to what it gets */
    uint64_t given_us; /* the first one that was given and may not be changed; UINT64_MAX: none was */
};
/* The same there. Also INVALID: given_us is before the newest time in the log. */
int vv_reserve_timed(struct varve_log *log, uint64_t bytes, uint32_t count, enum vv_reserve_kind kind,
                     struct vv_times *times, struct vv_reservation *ret_reservation);
/* Closes the slot (if nobody did) and opens the one behind it, if there is one to open. */
void vv_reserve_close(struct varve_log *log, struct vv_slot *slot);
/* The open slot, empty, becomes a closed one without records: a mark. false: it is not empty. */
bool vv_reserve_mark(struct varve_log *log, struct vv_slot **ret_slot);
/* Wakes those who wait for a slot or for space. */
void vv_reserve_wake(struct varve_log *log);
uint64_t vv_reserve_last_lsn(struct varve_log *log);

/* -- encode.c -- */
void vv_encode_record(struct varve_log *log, struct vv_slot *slot, uint64_t offset, uint64_t lsn,
                      const struct varve_record *record, uint64_t payload_bytes, uint64_t now_us);
void vv_encode_large(struct varve_log *log, struct vv_slot *slot, struct vv_large *large, uint64_t now_us);
/* Counts `count` records as being in the buffer, after they are. */
void vv_encode_filled(struct vv_slot *slot, uint32_t count);

/* -- seal.c -- */
/* Whether the caller is now the one appointed to lead that life of the slot: it must call vv_seal_lead. */
bool vv_seal_claim(struct vv_slot *slot, uint64_t seq);
/* Waits for the slot's turn and leads that life of it to disk: seal, place, write, publish. Returns when its
 * write has ended, well or not, or somebody else leads or has led: then the slot may be in another life. */
void vv_seal_lead(struct varve_log *log, struct vv_slot *slot, uint64_t seq);
/* Leads the slot if it is its turn and the one appointed has not woken yet. false: did nothing. */
bool vv_seal_relieve(struct varve_log *log, struct vv_slot *slot, uint64_t seq);
/* Waits until every reservation is filled; then sets count, body_bytes, frame_bytes. The slot is closed.
 * `lane`: what a codec packs into; NULL without one. */
void vv_seal_gather(struct varve_log *log, struct vv_slot *slot, struct vv_lane *lane);
/* Completes the frame for the place that the slot has. Fails only if a codec cannot seal. */
int vv_seal_header(struct varve_log *log, struct vv_slot *slot, struct varve_error *ret_error);

/* Says how the write into `segment` ended, also to a mover who waits for that. From then on the slot's own
 * fields are the mover's. */
void vv_seal_attempted(struct vv_slot *slot, struct vv_segment *segment, enum vv_slot_progress progress);

/* -- place.c -- */
/* Sleeps until all slots before it are placed, or the log has failed. */
void vv_place_wait(struct varve_log *log, struct vv_slot *slot, uint64_t seq);
/* Gives the slot its segment and offset, after all before it; starts a segment where needed. Errors: those
 * that keep a fresh segment from being had; READONLY. */
int vv_place_next(struct varve_log *log, struct vv_slot *slot);
/* The same for the mover, who holds place_mutex and does not wait for anybody. `fresh`: starts a segment. */
int vv_place_here(struct varve_log *log, struct vv_slot *slot, bool fresh, struct varve_error *ret_error);

/* -- write.c -- */
/* Writes the slot's frame; `durable`: it is durable on success. Transient errors are tried again. */
int vv_write_frame(struct varve_log *log, struct vv_slot *slot, bool durable, struct varve_error *ret_error);
/* Writes all of it into the slot's segment, or fails for good. Consumes `iov`. */
int vv_write_all(struct varve_log *log, struct vv_slot *slot, struct iovec *iov, int iov_count,
                 uint64_t offset, bool durable, struct varve_error *ret_error);
int vv_write_sync(struct varve_log *log, struct vv_segment *segment, struct vv_flight *flight,
                  struct varve_error *ret_error);

/* -- move.c -- */
/* The segment failed the caller for good, who must say so before it says that its frame was attempted. true:
 * it is the first to find out, and must call vv_move_frames. */
bool vv_move_claim(struct vv_segment *segment);
/* Every frame that is not yet acknowledged moves to a fresh segment and becomes durable there, or the log
 * turns read-only. */
void vv_move_frames(struct varve_log *log, const struct varve_error *cause);

/* -- crowd.c -- */
/* Counts the caller among those who wait for the slot's frame. It reads its condition after this, may sleep
 * on the crowd's event as long as that is *ret_seen, and leaves. */
struct vv_crowd *vv_crowd_enter(struct varve_log *log, struct vv_slot *slot, uint32_t *ret_seen);
void vv_crowd_leave(struct vv_crowd *crowd);
/* Everybody who waits for the slot's frame will wake: some by this call, the others by those. */
void vv_crowd_wake(struct varve_log *log, struct vv_slot *slot);
/* The same, all by this call, also where nobody is counted. */
void vv_crowd_wake_all(struct varve_log *log, struct vv_slot *slot);
/* How many wait, at about this moment. */
uint32_t vv_crowd_count(struct varve_log *log, struct vv_slot *slot);

/* -- publish.c -- */
/* Moves the durable LSN over the slots that are done, and wakes and frees. */
void vv_publish_done(struct varve_log *log);

/* -- wait.c -- */
/* Waits for an LSN of a slot that the caller has reserved in (`seq`), leading it if nobody does. */
int vv_wait_slot(struct varve_log *log, uint64_t seq, uint64_t lsn);
/* Records were given their LSNs: in the buffered modes somebody may wait for that. */
void vv_wait_given(struct varve_log *log);
/* Waits for an LSN without asking for a sync. Errors: TIMEOUT, those of a failed log. */
int vv_wait_durable(struct varve_log *log, uint64_t lsn, int64_t timeout_us);

/* -- flush.c -- */
void *vv_flush_run(void *log);
void vv_flush_kick(struct varve_log *log);
/* A piece of work is done, and another begins. [flusher] */
void vv_flush_show_life(struct varve_log *log);

/* -- carry.c -- */
/* Takes to disk what is full, and the rest too when it is `due` or somebody waits for it; syncs when enough
 * has come together. [flusher] */
void vv_carry_slots(struct varve_log *log, bool due);
/* Whether something was taken that is not durable yet. */
bool vv_carry_busy(struct varve_log *log);
/* The caller is the one to take that life of the next slot to disk. false: somebody else is, or it is not the
 * next. */
bool vv_carry_take(struct varve_log *log, uint64_t seq);
/* A slot that was taken has ended its way, well or not. */
void vv_carry_said(struct varve_log *log);
/* A slot was closed. */
void vv_carry_kick(struct varve_log *log);
/* The helper. */
void *vv_carry_run(void *log);

/* -- prepare.c -- */
void *vv_prepare_run(void *log);
void vv_prepare_kick(struct varve_log *log);
/* Takes a segment that is ready, waiting for one. The caller holds place_mutex or nothing. */
int vv_prepare_take(struct varve_log *log, struct vv_segment **ret_segment, struct varve_error *ret_error);
void vv_prepare_retire(struct varve_log *log, struct vv_segment *segment);

/* -- fail.c -- */
/* The log turns read-only with this error, if it has none yet. Wakes everybody. */
void vv_fail_log(struct varve_log *log, const struct varve_error *error);
/* The code that a call gets in a failed log. */
int vv_fail_code(struct varve_log *log);

#endif
