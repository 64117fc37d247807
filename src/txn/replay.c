/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: committed mutations, one by one, for a program with a store of its own.
 *
 * In: what unravel gives. Out: the mutations in it, with the version and the end of each transaction told.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "txn/take.h"
#include "txn/unravel.h"

struct varve_txn_replay {
    struct vv_unravel unravel;
    uint32_t flags;
    struct vv_piece piece;               /* being given */
    struct varve_writeset_cursor cursor; /* in it */
    bool in_piece;
};

const char *varve_txn_action_name(enum varve_txn_action action)
{
    switch (action) {
    case VARVE_TXN_COMMITTED:
        return "commit";
    case VARVE_TXN_ROLLED_BACK:
        return "rollback";
    case VARVE_TXN_PARTIAL:
        return "partial log";
    }
    return "unknown action";
}

int varve_txn_replay_open(struct varve_log *log, const struct varve_txn_replay_options *options,
                          struct varve_txn_replay **ret_replay, struct varve_error *ret_error)
{
    struct varve_txn_replay_options o;
    struct varve_txn_replay *replay;
    int rc;

    if (!vv_take(&o, sizeof o, options) || (o.flags & ~(uint32_t)VARVE_TXN_REPLAY_OTHERS) ||
        o.type > 256 - VARVE_TXN_TYPES)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "the options of a replay: size, flags or type is not valid");
    replay = vv_alloc_zero(sizeof *replay);
    if (!replay)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "a replay");
    rc = vv_unravel_open(&replay->unravel, log, o.from_lsn, o.policy,
                         (uint8_t)(o.type ? o.type : VARVE_TXN_TYPE), ret_error);
    if (rc) {
        varve_txn_replay_close(replay);
        return rc;
    }
    replay->flags = o.flags;
    replay->unravel.applied_lsn = o.applied_lsn;
    replay->unravel.outcome = o.outcome;
    replay->unravel.outcome_arg = o.outcome_arg;
    *ret_replay = replay;
    return 0;
}

void varve_txn_replay_close(struct varve_txn_replay *replay)
{
    if (!replay)
        return;
    vv_unravel_close(&replay->unravel);
    vv_free(replay);
}

static void fill(struct varve_txn_replay *replay, struct varve_txn_change *ret)
{
    struct vv_piece *piece = &replay->piece;

    ret->commit_lsn = piece->commit_lsn;
    ret->time_us = piece->commit_time_us;
    ret->txn_id = piece->entry.txn_id;
    memcpy(ret->origin, piece->entry.origin, sizeof ret->origin);
    ret->entry = &piece->entry;
    ret->last = piece->is_last;
}

/* A mutation of the piece at hand; VARVE_END behind its last. */
static int give_mutation(struct varve_txn_replay *replay, struct varve_txn_change *ret)
{
    struct varve_txn_change change = {.commit_lsn = 0};
    int rc = varve_writeset_next(&replay->cursor, &change.mutation);

    if (rc == VARVE_E_CORRUPT)
        return vv_unravel_bad(&replay->unravel, &replay->piece.entry, rc, replay->cursor.reason);
    if (rc)
        return rc;
    fill(replay, &change);
    if (change.mutation.version == 0)
        change.mutation.version = change.commit_lsn;
    change.last = replay->piece.is_last && replay->cursor.count == 0;
    replay->unravel.stats.mutations++;
    *ret = change;
    return 0;
}

int varve_txn_replay_next(struct varve_txn_replay *replay, struct varve_txn_change *ret_change)
{
    int rc;

    for (;;) {
        if (replay->in_piece) {
            rc = give_mutation(replay, ret_change);
            if (rc != VARVE_END)
                return rc;
            replay->in_piece = false;
        }
        rc = vv_unravel_next(&replay->unravel, &replay->piece);
        if (rc)
            return rc;
        if (replay->piece.is_other) {
            if (!(replay->flags & VARVE_TXN_REPLAY_OTHERS))
                continue;
            *ret_change = (struct varve_txn_change){.commit_lsn = 0};
            fill(replay, ret_change);
            return 0;
        }
        rc = varve_writeset_open(&replay->cursor, replay->piece.entry.data, replay->piece.entry.data_bytes);
        if (rc)
            return vv_unravel_bad(&replay->unravel, &replay->piece.entry, rc, replay->cursor.reason);
        replay->in_piece = true;
    }
}

uint64_t varve_txn_replay_settle(struct varve_txn_replay *replay)
{
    return vv_unravel_settle(&replay->unravel);
}

void varve_txn_replay_error(const struct varve_txn_replay *replay, struct varve_error *ret_error)
{
    if (replay->unravel.failed)
        vv_error_copy(ret_error, &replay->unravel.error);
}

int varve_txn_replay_stats_get(const struct varve_txn_replay *replay,
                               struct varve_txn_replay_stats *ret_stats)
{
    struct varve_txn_replay_stats stats = replay->unravel.stats;

    stats.open = replay->unravel.open_count;
    return vv_give(ret_stats, &stats, sizeof stats) ? 0 : VARVE_E_INVALID;
}
