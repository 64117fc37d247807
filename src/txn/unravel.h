/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records back into committed groups: what is in a log's order of records comes out in the order of commits,
 * and nothing of what is not committed comes out at all.
 *
 * Threads: one at a time.
 */
#ifndef VV_TXN_UNRAVEL_H
#define VV_TXN_UNRAVEL_H

#include <stdbool.h>
#include <stdint.h>

#include "txn/control.h"
#include "varve/cursor.h"
#include "varve/txn.h"

/* A streamed transaction whose end has not come yet. */
struct vv_open_group {
    uint64_t id;
    uint8_t origin[VARVE_ORIGIN_BYTES];
    uint64_t first_lsn; /* of the first record that was met */
    bool begun;         /* that was its begin */
    uint64_t parts, bytes;
};

struct vv_unravel {
    struct varve_log *log;
    enum varve_policy policy;
    uint8_t type;
    uint64_t applied_lsn; /* commits and others up to here are passed over */
    varve_txn_outcome_fn outcome;
    void *outcome_arg;
    struct varve_cursor *ahead; /* reads every record once */
    struct varve_cursor *back;  /* reads the parts of what has turned out to be committed */
    bool is_back;               /* a streamed transaction is being given */
    struct vv_open_group giving;
    uint64_t parts_left;
    struct varve_entry commit;  /* of the commit record; its data is not valid */
    struct vv_open_group *open; /* in the order in which they were met */
    size_t open_count, open_room;
    struct varve_txn_replay_stats stats;
    int failed; /* the error that stays */
    struct varve_error error;
};

/* A record with something in it. */
struct vv_piece {
    struct varve_entry entry; /* its data is valid until the next call */
    bool is_other;            /* not of a transaction */
    bool is_last;             /* of its transaction */
    uint64_t commit_lsn, commit_time_us;
};

/* Zeroes `unravel` first, so `applied_lsn` and `outcome` are set afterwards; vv_unravel_close is to be called
 * either way. */
int vv_unravel_open(struct vv_unravel *unravel, struct varve_log *log, uint64_t from_lsn,
                    enum varve_policy policy, uint8_t type, struct varve_error *ret_error);
void vv_unravel_close(struct vv_unravel *unravel);

/* The next record that counts, or VARVE_END. Errors stay, and are in unravel->error. */
int vv_unravel_next(struct vv_unravel *unravel, struct vv_piece *ret_piece);

/* What the record of `entry` holds is not what it should: notes that as the error. */
int vv_unravel_bad(struct vv_unravel *unravel, const struct varve_entry *entry, int code, const char *why);

/* Nothing will follow: rolls back what is open, and returns how many. */
uint64_t vv_unravel_settle(struct vv_unravel *unravel);

#endif
