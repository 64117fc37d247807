/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a large record's frame, as it goes to disk: it is made piece by piece, out of the caller's
 * memory, as often as it is needed. */
#ifndef VV_LOG_LARGE_H
#define VV_LOG_LARGE_H

#include "codec/codec.h"
#include "format/frame.h"
#include "log/log.h"

struct vv_large_source {
    struct varve_log *log;
    struct vv_slot *slot;
    uint8_t header[VV_FRAME_HEADER_BYTES]; /* what a codec that seals authenticates */
    uint64_t at;                           /* in the stored body */
    int part; /* -1 = the record's head; then the pieces of the payload; then zeros */
    size_t part_at;
    uint8_t edge[VV_CODEC_EDGE_MAX]; /* what sealing puts before and behind; made when it is reached */
};

/* Stands at the body's first byte. The header in the slot's buffer is complete, but for its checksums. */
void vv_large_begin(struct vv_large_source *source, struct varve_log *log, struct vv_slot *slot);
/* The next `want` bytes; behind the body's end they are zeros. 0, or the code of a codec that cannot seal. */
int vv_large_read(struct vv_large_source *source, uint8_t *out, size_t want);

/* The checksum of the stored body. Uses the slot's buffer. Errors: of a codec that cannot seal. */
int vv_large_checksum(struct varve_log *log, struct vv_slot *slot, const struct vv_frame_header *header,
                      uint32_t *ret_crc, struct varve_error *ret_error);

#endif
