/* SPDX-License-Identifier: Apache-2.0 */
/* A log's segments and its end at one moment: what pins and retention reckon with, in the writer's process
 * and elsewhere alike. */
#ifndef VV_LOG_SHAPE_H
#define VV_LOG_SHAPE_H

#include "log/log.h"

struct vv_shape {
    struct vv_segment_fact *facts; /* in the order of their numbers */
    size_t count;
    uint64_t end_bytes;   /* of the last one, up to where it is used */
    uint64_t durable_lsn; /* 0 = no record */
    uint64_t first_lsn;
};

/* To be freed by vv_shape_free. Errors: NOMEM IO NOT_REGULAR. */
int vv_shape_load(struct varve_log *log, struct vv_shape *ret_shape, struct varve_error *ret_error);
void vv_shape_free(struct vv_shape *shape);

/* Bytes of files from segment `index` on. */
uint64_t vv_shape_bytes_from(const struct vv_shape *shape, size_t index);

/* Bytes in use from byte `offset` of segment `number` to the log's end. */
uint64_t vv_shape_bytes_behind(const struct vv_shape *shape, uint64_t number, uint64_t offset);

#endif
