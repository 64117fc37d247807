/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost/index: a line for each entry, as text with a checksum at its end. Pure. One form only: what decode
 * accepts is what encode writes, byte for byte.
 */
#ifndef VV_FORMAT_LOST_H
#define VV_FORMAT_LOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VV_LOST_LINE_BYTES   1024u /* of any line, with its newline and a NUL */
#define VV_LOST_FILE_BYTES   64u   /* of a file's name, with the NUL */
#define VV_LOST_REASON_BYTES 256u  /* of a reason, with the NUL */

/* What the entry is; the first six are enum varve_verdict. */
enum vv_lost_what {
    VV_LOST_CLEAN_END = 0,
    VV_LOST_TORN,
    VV_LOST_CORRUPT,
    VV_LOST_HOLE,
    VV_LOST_MISSING_SEGMENT,
    VV_LOST_FOREIGN,
    VV_LOST_SET_ASIDE, /* a record that an application put here */
};

enum vv_lost_state {
    VV_LOST_PENDING = 0,
    VV_LOST_REQUEUING, /* its records are being appended, the first at `from` or behind */
    VV_LOST_REQUEUED,  /* they were, as `from` to `to` */
    VV_LOST_DROPPED,
};

struct vv_lost_line {
    uint64_t id; /* from 1 on */
    uint64_t first, last;
    uint64_t segment, offset; /* where it stood in the log */
    enum vv_lost_what what;
    enum vv_lost_state state;
    uint64_t from, to;
    uint32_t trust;        /* enum vv_trust, of records found in the bytes */
    uint64_t salt;         /* of the segment, and */
    uint32_t sector_bytes; /* its sectors; 0 = neither was known for certain */
    uint64_t time_us;
    bool repaired;                     /* the loss is part of a repair: not told as damage any more */
    char file[VV_LOST_FILE_BYTES];     /* in lost/; empty = there are no bytes */
    char reason[VV_LOST_REASON_BYTES]; /* may be empty */
};

/* 1 to 255 bytes of UTF-8 without control characters, or none. */
bool vv_lost_reason_ok(const char *reason);

/* Writes the line with its newline and a NUL to `out` (VV_LOST_LINE_BYTES) and returns its length. */
size_t vv_lost_encode(const struct vv_lost_line *line, char *out);

/* Reads a line, of `len` bytes without its newline. false: it does not check, or is none. */
bool vv_lost_decode(const char *text, size_t len, struct vv_lost_line *ret_line);

#endif
