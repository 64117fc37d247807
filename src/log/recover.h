/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery: reads a log to its end and says where and how writing goes on. */
#ifndef VV_LOG_RECOVER_H
#define VV_LOG_RECOVER_H

#include "log/log.h"
#include "log/walk.h"

struct vv_recovered {
    struct varve_recovery stats;
    uint64_t next_lsn;
    uint64_t vouched_lsn;
    uint64_t last_time_us;     /* of the last record */
    uint64_t end_segment;      /* the last segment with a frame or a header; 0 = none */
    uint64_t end_offset;       /* behind its last frame */
    uint64_t unvouched_offset; /* in it: all before is vouched for as durable */
    uint64_t damaged_segment;  /* the last one that is missing, or has frames and no sound header; 0 = none */
    bool torn;                 /* it ends in a torn write */
    bool go_on;                /* new frames may follow there; else a fresh segment must begin */
};

/*
 * Reads the chain under log->options (policy, check, progress). With the policy skip, damage is set aside in
 * lost/ before it is passed over, unless the log is open read-only or in `memory` mode. Errors: those of
 * varve_open that concern the log's content.
 */
int vv_recover_chain(struct varve_log *log, struct vv_chain *chain, struct vv_recovered *ret_recovered,
                     struct varve_error *ret_error);

#endif
