/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a frame: 64 bytes before the body. Pure. A frame is what one write carried to disk; its two
 * checksums go on from the segment's salt, so a frame of another life of the file never passes.
 */
#ifndef VV_FORMAT_FRAME_H
#define VV_FORMAT_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define VV_FRAME_HEADER_BYTES 64u
#define VV_FRAME_BODY_MAX     ((UINT64_C(1) << 30) + 4096) /* a record of 1 GiB with its header, sealed */
#define VV_FRAME_PACKED_MAX   (UINT64_C(64) << 20)         /* nothing that was packed was larger before */
/* The header's bytes that a codec that seals authenticates: all but the magic and the two checksums. */
#define VV_FRAME_AAD_FROM  12u
#define VV_FRAME_AAD_BYTES (VV_FRAME_HEADER_BYTES - VV_FRAME_AAD_FROM)
#define VV_FRAME_CODEC_AT  60u

struct vv_frame_header {
    uint32_t header_crc;
    uint32_t body_crc;
    uint32_t stored_bytes;
    uint32_t raw_bytes;
    uint32_t count; /* records; 0 = a mark */
    uint64_t first_lsn;
    uint64_t durable_lsn; /* when the frame was sealed; always below first_lsn */
    uint64_t time_us;
    uint64_t segment;
    uint32_t sector; /* offset in sectors */
    uint8_t codec;
    uint8_t flags;
};

/* Where a frame stands, or should: what its header is held against. */
struct vv_frame_place {
    uint32_t seed;         /* vv_segment_seed of the segment's salt */
    uint32_t sector_bytes; /* of the segment */
    uint64_t segment;
    uint64_t offset;   /* of the header, in the file */
    uint64_t capacity; /* bytes of the segment that can hold frames */
};

enum vv_frame_status {
    VV_FRAME_OK = 0,     /* the header is sound; the body is not looked at */
    VV_FRAME_NONE,       /* not a frame's beginning */
    VV_FRAME_BROKEN,     /* a frame of this segment, and its header does not check */
    VV_FRAME_OTHER,      /* a frame of another segment or another life of this file */
    VV_FRAME_MISPLACED,  /* checks, and says that it belongs elsewhere: a misdirected write */
    VV_FRAME_IMPOSSIBLE, /* checks, and contradicts itself or does not fit: not written by us */
};

/* Completes header_crc and writes 64 bytes. */
void vv_frame_encode(const struct vv_frame_header *header, uint32_t seed, uint8_t *out);

/* Reads the 64 bytes at `bytes`. *ret_header is always filled; only OK means that it may be trusted.
 * *ret_crc (may be NULL): the checksum that the header should have. */
enum vv_frame_status vv_frame_decode(const uint8_t *bytes, const struct vv_frame_place *place,
                                     struct vv_frame_header *ret_header, uint32_t *ret_crc);

/* The seed with which this header would check: where the segment's salt is gone, a header and a body that
 * agree on one show that they are a frame as it was written. */
uint32_t vv_frame_seed_of(const uint8_t *bytes);

/* Bytes that a frame with a stored body of that many takes, padding included. */
uint64_t vv_frame_bytes(uint64_t stored_bytes, uint32_t sector_bytes);

#endif
