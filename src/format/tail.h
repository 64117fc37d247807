/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a place that does not decode means, by what stands behind it: a write that was interrupted, or damage.
 * Pure: the bytes come through a function of the caller's. Time is linear in the bytes behind the place,
 * whatever they are, and memory is what the caller gives.
 */
#ifndef VV_FORMAT_TAIL_H
#define VV_FORMAT_TAIL_H

#include "format/format.h"
#include "format/spans.h"

/* A search for records in one file, at any offset. It only goes on: what was summed up once is not summed up
 * again, so that many damages in one file cost no more than one. */
struct vv_format_search;

/* Bytes of memory that a search in a file of that size wants: up to 5 MiB, for files of more than 4 GiB a
 * thousandth of theirs. */
size_t vv_format_search_bytes(uint64_t file_bytes);

/* Makes a search in `memory`, aligned for uint64_t. It needs no closing. */
struct vv_format_search *vv_format_search_init(void *memory, const struct varve_format *format,
                                               const struct vv_format_source *source);

/* The first offset from `from` on at which a whole, valid record stands; VARVE_END when there is none.
 * `from` must not be below that of an earlier call. Negative: the source's error. */
int vv_format_search_next(struct vv_format_search *search, uint64_t from, uint64_t *ret_offset);

struct vv_format_judgement {
    enum varve_verdict verdict; /* TORN or CORRUPT */
    bool reordered;  /* with CORRUPT: blocks that were lost or not written yet, before sound records */
    uint64_t beyond; /* with CORRUPT in the last file: offset of the record that tells; else 0 */
    uint64_t records_beyond; /* how many sound records follow the place */
};

/*
 * Judges the place `offset`, where decoding failed (any outcome but RECORD, END and VERSION; ZEROS only when
 * not all that follows is zero). `last`: the file is the log's last; in any other it is CORRUPT.
 *
 * The rule: it is damage if a valid record stands behind it at a place which is at or beyond the end that the
 * broken record's own length claims, or from which valid records go on to exactly the end of the file. A
 * valid record that merely lies inside a torn record's payload is no evidence: payloads may hold copies of
 * log bytes. Else it is a torn write.
 *
 * Reads all that is behind the place when it is damage, to count. Who goes on behind damage needs no
 * judgement: he goes to where the broken record's length says that the next one is, if that lies in the file,
 * else to vv_format_search_next; and where that finds nothing there is nothing but a torn tail.
 */
int vv_format_judge(struct vv_format_search *search, uint64_t offset, bool last,
                    struct vv_format_judgement *ret_judgement);

#endif
