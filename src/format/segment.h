/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a segment file: the first 4096 bytes, of which 128 carry something and the rest is zero.
 * Pure: bytes in, struct out; nothing here reads a file. docs/FORMAT.md has the table.
 */
#ifndef VV_FORMAT_SEGMENT_H
#define VV_FORMAT_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#define VV_SEGMENT_HEADER_BYTES  4096u
#define VV_SEGMENT_CHECKED_BYTES 128u
#define VV_SEGMENT_VERSION       1u
#define VV_SEGMENT_BYTES_MIN     (UINT64_C(1) << 20)
#define VV_SEGMENT_BYTES_MAX     (UINT64_C(4) << 30)
#define VV_SECTOR_BYTES_MIN      512u
#define VV_SECTOR_BYTES_MAX      4096u
#define VV_UUID_BYTES            16u

/* "wal-" + 16 hexadecimal digits + ".seg" + NUL */
#define VV_SEGMENT_NAME_BYTES 25u

struct vv_segment_header {
    uint32_t version;
    uint32_t sector_bytes;
    uint8_t uuid[VV_UUID_BYTES];
    uint64_t number;
    uint64_t salt;
    uint64_t capacity; /* bytes of the file, header included */
    uint64_t created_us;
    uint64_t base_lsn;
    uint32_t codec;
    uint32_t flags;
    uint32_t reused;                   /* 1: bytes of an earlier life may lie behind the last frame */
    uint64_t before;                   /* the segment in use before this one; 0 = none, or not told */
    uint32_t crc_stored, crc_computed; /* set by decode */
};

enum vv_segment_status {
    VV_SEGMENT_OK = 0,
    VV_SEGMENT_BLANK,   /* all zero: prepared, not used yet */
    VV_SEGMENT_BAD,     /* neither blank nor a header that checks */
    VV_SEGMENT_NEWER,   /* sound, of a version above ours */
    VV_SEGMENT_FLAGGED, /* sound, with flags that we do not know and must understand */
};

/* Fills all 4096 bytes of `out`. */
void vv_segment_encode(const struct vv_segment_header *header, uint8_t *out);

/* Reads a header from `len` bytes (fewer than 128: BAD, or BLANK if all are zero). *ret_header is always
 * filled as far as the bytes go, so that a tool can show what stands there; only OK means that it may be
 * trusted. */
enum vv_segment_status vv_segment_decode(const uint8_t *bytes, size_t len,
                                         struct vv_segment_header *ret_header);

/* Writes the file name of a segment to `out` (VV_SEGMENT_NAME_BYTES). */
void vv_segment_name(uint64_t number, char *out);

/* 1 and *ret_number when `name` is a segment's file name: 16 lower-case hexadecimal digits, number 1 or more.
 */
int vv_segment_name_parse(const char *name, uint64_t *ret_number);

/* The state of a CRC-32C that has read a segment's salt. Every checksum of its frames goes on from there. */
uint32_t vv_segment_seed(uint64_t salt);

#endif
