/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a whole log into a directory of its own, frame by frame, by one thread and beside nobody: for copies
 * of a log under another codec or key. */
#ifndef VV_LOG_REWRITE_H
#define VV_LOG_REWRITE_H

#include "codec/codec.h"
#include "format/frame.h"
#include "format/manifest.h"
#include "varve/io.h"

struct vv_rewrite {
    struct varve_io *io; /* set by the caller, up to `session` */
    struct varve_dir *dir;
    uint64_t segment_bytes;
    uint32_t sector_bytes;
    struct vv_manifest manifest;
    struct vv_encoder encoder;
    uint64_t session;

    struct varve_file *file; /* of the segment at hand; NULL = none */
    uint64_t number, salt, capacity, offset;
    uint32_t seed;
    void *key;
    uint8_t *frame; /* grown as needed, kept */
    size_t room;

    uint64_t frames, records, segments, raw_bytes, stored_bytes;
};

/* Begins a segment whose first record is `lsn`, with room for a frame of that many bytes. Errors: IO NOSPC
 * NOMEM TOO_LARGE and those of keys. */
int vv_rewrite_segment(struct vv_rewrite *w, uint64_t lsn, uint64_t time_us, uint64_t frame_bytes,
                       struct varve_error *ret_error);

/* Writes a frame with the records of `from`, whose raw body is given: of its header LSN, count and time are
 * kept. Errors: as above. */
int vv_rewrite_frame(struct vv_rewrite *w, const struct vv_frame_header *from, const uint8_t *body,
                     struct varve_error *ret_error);

/* Makes the segment at hand durable, and closes it. Errors: IO NOSPC. */
int vv_rewrite_end(struct vv_rewrite *w, struct varve_error *ret_error);

/* Frees all but what the caller set; the encoder is closed. */
void vv_rewrite_free(struct vv_rewrite *w);

#endif
