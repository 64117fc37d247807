/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One transaction as the log sees it: a single record, or one that begins it, parts, and one that ends it.
 * What is in the parts is its user's; `units` is how many of whatever they hold.
 *
 * Threads: one at a time for a group, but for begin_lsn, which any may read.
 */
#ifndef VV_TXN_GROUP_H
#define VV_TXN_GROUP_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "txn/control.h"
#include "varve/log.h"

struct vv_group {
    struct varve_log *log;              /* [const] */
    uint8_t origin[VARVE_ORIGIN_BYTES]; /* [const] */
    uint64_t id;                        /* [const] */
    uint8_t type;                       /* [const] the first of the five */
    /* 0: nothing of it is in the log. Else its first record has this LSN or a higher one; exact once
     * vv_group_begin has returned. */
    _Atomic uint64_t begin_lsn;
    uint64_t parts, units, bytes;
};

/* Appends it in one record. `wait`: with that durability, else returns at once. */
int vv_group_whole(struct vv_group *group, const void *data, size_t bytes, int wait,
                   enum varve_durability durability, uint64_t *ret_lsn);

/* Whether something of it is in the log. */
int vv_group_is_begun(struct vv_group *group);

/* The record that begins it. An error leaves nothing in the log, and begin_lsn 0. */
int vv_group_begin(struct vv_group *group);
/* A part, after begin. An error leaves nothing of it. */
int vv_group_part(struct vv_group *group, const void *data, size_t bytes, uint64_t units);
/* The end, after begin. Errors of both: as varve_append_record. */
int vv_group_commit(struct vv_group *group, int wait, enum varve_durability durability, uint64_t *ret_lsn);
int vv_group_abort(struct vv_group *group, enum vv_abort_reason reason);

#endif
