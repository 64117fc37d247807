/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The codec of a log that is written to. A log without one has none of this: log->codec is NULL, a frame goes
 * to disk out of its slot's buffer, and nothing is copied.
 */
#ifndef VV_LOG_CODEC_H
#define VV_LOG_CODEC_H

#include "codec/codec.h"
#include "format/frame.h"
#include "log/log.h"

/* What one frame on its way needs. Leaders that are on their way at once have different ones; a leader has
 * its own from sealing to the end of its write. */
struct vv_lane {
    struct vv_encoder encoder;
    uint8_t *frame; /* slot_bytes, aligned for direct I/O: the frame as it goes to disk */
};

struct vv_codec {
    const struct varve_codec *codec; /* [const after open, as is all of this] */
    uint32_t overhead;               /* bytes that sealing adds */
    uint32_t head_bytes;             /* of these, before the body */
    uint64_t session;
    uint32_t lane_count; /* writes_in_flight, and one for the mover */
    struct vv_lane *lanes;
    uint8_t *frames;
    struct vv_encoder preparer; /* [files_mutex, open] makes the keys of segments */
    void *dictionary;           /* NULL = none */
    uint32_t dictionary_id;     /* 0 = none */
};

/*
 * Says which codec the log shall have: the one that was asked for, or the one that it had. *ret_codec: NULL
 * for the identity. Errors: CODEC (not in this build).
 */
int vv_codec_choose(const struct varve_log *log, const struct varve_codec **ret_codec,
                    struct varve_error *ret_error);
/* Whether the codec that was asked for takes what it was given with it: before anything is made in its name.
 * Errors: CODEC INVALID NOMEM KEY_MISSING. */
int vv_codec_try(const struct varve_log *log, struct varve_error *ret_error);
/* Puts it into log->manifest, and of log->codec the dictionary. */
void vv_codec_note(struct varve_log *log, const struct varve_codec *codec);
/* Makes log->codec, before slots are made. Errors: CODEC INVALID NOMEM IO, those of keys and dictionaries. */
int vv_codec_open(struct varve_log *log, struct varve_error *ret_error);
void vv_codec_close(struct varve_log *log);

/* Makes the key of a segment that has its salt. 0 where there is no codec, or it does not seal. Errors: NOMEM
 * and those of keys. */
int vv_codec_prepare(struct varve_log *log, struct vv_segment *segment, struct varve_error *ret_error);
void vv_codec_forget(struct varve_log *log, struct vv_segment *segment);

/* The lane of the leader of slot `seq`, or the mover's. */
struct vv_lane *vv_codec_lane(struct varve_log *log, uint64_t seq);
struct vv_lane *vv_codec_mover(struct varve_log *log);

/* Before the slot is placed: packs its body if that saves a sector, and sets lane, frame, codec_id,
 * stored_bytes and frame_bytes. The plain body stays in the buffer. It cannot fail. */
void vv_codec_pack(struct varve_log *log, struct vv_slot *slot, struct vv_lane *lane);

/* After it was placed: seals the body of a slot that is not large into slot->frame, for the header that is
 * given. Nothing to do without a codec that seals. Errors: NOMEM (of libcrypto). */
int vv_codec_seal(struct varve_log *log, struct vv_slot *slot, const struct vv_frame_header *header,
                  struct varve_error *ret_error);
/* The error of a codec that could not seal. */
int vv_codec_failed(const struct varve_log *log, const struct vv_slot *slot, int code,
                    struct varve_error *ret_error);

/* What a body is sealed for; the header's bytes 12 to 63 are authenticated with it. `header`: its 64 bytes.
 */
struct varve_codec_unit vv_codec_unit(const struct varve_log *log, const struct vv_slot *slot,
                                      const uint8_t *header);

#endif
