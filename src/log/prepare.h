/* SPDX-License-Identifier: Apache-2.0 */
/* What opening, closing and trimming share with the preparer. */
#ifndef VV_LOG_PREPARE_H
#define VV_LOG_PREPARE_H

#include "log/log.h"

/* Zeros are written in pieces of this: larger ones make small writes into the page cache dearer later, and
 * keep a commit waiting that comes meanwhile. */
#define VV_PREPARE_ZERO_BYTES (64u * 1024u)

/* A struct to fill, with no file; NULL without memory. discard closes its file and keeps the struct for
 * later. */
struct vv_segment *vv_prepare_segment(struct varve_log *log);
void vv_prepare_discard(struct varve_log *log, struct vv_segment *segment);
/* Number, size, a fresh salt for a new life, and a key where the codec wants one. Errors: IO NOMEM, those of
 * keys. */
int vv_prepare_adopt(struct varve_log *log, struct vv_segment *segment, uint64_t number, uint64_t capacity,
                     struct varve_error *ret_error);
/* Writes zeros over bytes 0..bytes of the file, in paced pieces where there is no hurry. Negative errno;
 * -ECANCELED when the thread is to stop. */
int vv_prepare_zeros(struct varve_log *log, struct varve_file *file, uint64_t bytes);
/* The segment becomes the last of the ready. false: the log has gone to another directory meanwhile. */
bool vv_prepare_add(struct varve_log *log, struct vv_segment *segment);
/* Room in the table of segments for those that may be started before this is called again; *ret_count: how
 * many it holds. NOMEM. */
int vv_prepare_fact_room(struct varve_log *log, size_t *ret_count);
/* Room in the current segment below which the next one is made. */
static inline uint64_t vv_prepare_threshold(const struct varve_log *log)
{
    return log->options.segment_bytes / 4 * 3;
}
bool vv_prepare_is_spare(const char *name);
/* The number behind one that a file has. The last one that there is is never given: where a file bears it, no
 * segment can be made. */
static inline uint64_t vv_prepare_number_after(uint64_t number)
{
    return number < UINT64_MAX ? number + 1 : number;
}

#endif
