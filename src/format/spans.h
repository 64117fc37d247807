/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksums of any stretch of a file in constant time, after the file was summed once: a CRC is linear, so
 * that of a stretch follows from those of what ends at its two ends. A search for records needs this, because
 * the bytes that it looks at may claim lengths that overlap without limit.
 */
#ifndef VV_FORMAT_SPANS_H
#define VV_FORMAT_SPANS_H

#include <stddef.h>
#include <stdint.h>

#include "varve/format.h"

/* The bytes of one file. `read` points *ret_bytes to `len` bytes from `offset` on, valid until its next call;
 * never past file_bytes. Most calls ask for a few bytes here and there: they should cost no more than that.
 * `len` is at most 64 KiB, or a record whose checksum has been found right. An error (negative) ends what is
 * being done, and is returned. */
struct vv_format_source {
    int (*read)(void *arg, uint64_t offset, size_t len, const uint8_t **ret_bytes);
    void *arg;
    uint64_t file_bytes;
};

#define VV_SPANS_READ ((size_t)64 * 1024)

struct vv_spans {
    struct vv_format_source source;
    enum varve_format_sum kind;
    uint32_t polynomial;
    unsigned shift;          /* a sum is kept every 1 << shift bytes */
    uint64_t base;           /* from here */
    uint64_t known;          /* sums[0 .. known] are */
    uint32_t powers[5][256]; /* [i][n] = x to the power 8 * n * 256^i, modulo the polynomial */
    uint32_t *sums;          /* the state of a CRC that began with 0 at `base` */
};

/* How many sums a file of that size wants. */
size_t vv_spans_count(uint64_t file_bytes);

/* `sums`: room for as many. */
void vv_spans_init(struct vv_spans *spans, enum varve_format_sum kind, const struct vv_format_source *source,
                   uint32_t *sums);

/* Stretches from here on may be asked for, and none before. Never below an earlier one. */
void vv_spans_begin(struct vv_spans *spans, uint64_t offset);

/* The checksum of the bytes from `from` to `to`. Negative: the source's error. */
int vv_spans_sum(struct vv_spans *spans, uint64_t from, uint64_t to, uint32_t *ret_sum);

#endif
