/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: the log back into memory.
 *
 * In: records, those of streamed transactions put in the places of their commits by src/txn. Out: entries,
 * each as its last operation left it.
 *
 * It does not matter how often an operation is applied, or whether the entry comes from a snapshot that was
 * made while writes went on: an operation that says all of what the entry becomes counts unless the entry is
 * newer, one that changes what is there only if the entry is older. No clock is asked: what has expired stays
 * until a record says that it is gone.
 */
#include "base/error.h"
#include "kv/dialect.h"
#include "kv/store.h"
#include "kv/stream.h"
#include "txn/unravel.h"

/* True: the operation counts. */
static bool counts(const struct vv_op *op, const struct vv_entry *before, uint64_t lsn)
{
    if (op->kind == VV_OP_TRIM)
        return before && before->version < lsn && before->type == VV_ENTRY_STREAM;
    if (op->kind == VV_OP_APPEND || op->kind == VV_OP_PATCH || op->kind == VV_OP_EXPIRE)
        return before && before->version < lsn;
    return !before || before->version <= lsn;
}

static bool is_of_streams(const struct vv_op *op)
{
    return op->kind == VV_OP_EVENTS || op->kind == VV_OP_TRIM;
}

static bool is_removal(const struct vv_op *op)
{
    return op->kind == VV_OP_DELETE || op->kind == VV_OP_EXPIRED || op->kind == VV_OP_EVICTED;
}

int vv_kv_apply(struct varve_kv *kv, const struct vv_op *op, uint64_t lsn)
{
    uint64_t hash = vv_hash(kv->secret, op->key, op->key_bytes);
    struct vv_shard *shard = vv_kv_shard(kv, hash);
    struct vv_there there;
    struct vv_entry *next = NULL;
    struct vv_events events;
    int rc = is_of_streams(op) && kv->env ? VARVE_E_UNSUPPORTED
                                          : vv_store_find(kv, shard, hash, op->key, op->key_bytes, &there);
    bool does_count, good;

    if (rc)
        return rc;
    /* Where nothing is there is nothing to remove, either. Events may be missing where their stream is not.
     */
    does_count = counts(op, there.entry, lsn) && !(kv->env && !there.entry && is_removal(op));
    if (!does_count && op->kind != VV_OP_EVENTS) {
        vv_store_drop(&there);
        return 0;
    }
    if (!vv_events_make(op, &events)) {
        vv_store_drop(&there);
        return VARVE_E_NOMEM;
    }
    good = vv_shard_reserve(shard, events.count + 1) &&
           (!does_count || vv_store_apply(kv, there.entry, op, &next));
    if (good) {
        pthread_mutex_lock(&shard->lock);
        if (does_count)
            vv_shard_change_locked(kv, shard, hash, there.entry, next, lsn, NULL);
        vv_events_put(kv, shard, hash, &events, lsn);
        pthread_mutex_unlock(&shard->lock);
    } else {
        vv_store_drop(&there);
    }
    vv_events_free(&events);
    return good ? 0 : VARVE_E_NOMEM;
}

/* More than memory may hold, where a smaller limit was asked for than before. A fold has no past: whoever
 * begins behind it needs no record of before. So none is made while a streamed transaction is open, of the
 * store `memory` then, which has left no snapshot. */
static int fold_if_full(struct varve_kv *kv, const struct vv_unravel *unravel, struct varve_error *ret_error)
{
    if (!kv->env || kv->read_only || atomic_load(&kv->memory) <= kv->max_memory)
        return 0;
    if (unravel->is_back || unravel->open_count > 0)
        return 0;
    return vv_fold(kv, kv->recovery.last_lsn, ret_error);
}

static int apply_strange(struct varve_kv *kv, const struct varve_entry *entry, struct varve_error *ret_error)
{
    const char *why = "there is no memory";
    int rc = kv->dialect->replay(kv, entry, &why);

    return rc ? vv_error_set(ret_error, rc, 0, "LSN %llu, in a log of format %s: %s",
                             (unsigned long long)entry->lsn, kv->dialect->format, why)
              : 0;
}

static int bad_record(const struct varve_entry *entry, const char *why, struct varve_error *ret_error)
{
    return vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                        "LSN %llu, type %u, is no record of the key-value engine: %s",
                        (unsigned long long)entry->lsn, entry->type, why);
}

/* A record, or a part of a streamed transaction: that counts as of its commit. */
static int apply_piece(struct varve_kv *kv, const struct vv_piece *piece, struct varve_error *ret_error)
{
    const struct varve_entry *entry = &piece->entry;
    const uint8_t *at = entry->data, *end = at + entry->data_bytes;
    const char *why = NULL;
    struct vv_op op;

    if (kv->dialect)
        return apply_strange(kv, entry, ret_error);
    if (piece->is_other && entry->type != VV_OP_RECORD)
        return bad_record(entry, "a type that the engine does not write", ret_error);
    while (!why && at < end) {
        int rc;

        why = vv_op_get(&at, end, &op);
        rc = why ? 0 : vv_kv_apply(kv, &op, piece->commit_lsn);
        if (rc)
            return vv_error_set(
                ret_error, rc, 0, "while LSN %llu is replayed%s", (unsigned long long)entry->lsn,
                rc == VARVE_E_UNSUPPORTED ? ": it is of a stream, and the store lmdb has none of them" : "");
        kv->recovery.operations += !why;
    }
    return why ? bad_record(entry, why, ret_error) : 0;
}

/* What became of a streamed transaction. A whole one is nothing to speak of. */
static void note_outcome(void *arg, const struct varve_txn_outcome *outcome)
{
    struct varve_kv *kv = arg;

    if (outcome->action == VARVE_TXN_PARTIAL)
        vv_kv_say(kv, VARVE_EVENT_TXN_PARTIAL, VARVE_MESSAGE_ERROR,
                  "the transaction %llu that LSN %llu commits is left out: of what it has streamed, from LSN "
                  "%llu on, a part is missing",
                  (unsigned long long)outcome->txn_id, (unsigned long long)outcome->last_lsn,
                  (unsigned long long)outcome->first_lsn);
}

static void note_stats(struct varve_kv *kv, struct vv_unravel *unravel)
{
    const struct varve_txn_replay_stats *stats = &unravel->stats;
    struct varve_kv_recovery *r = &kv->recovery;

    /* Beside a writer, and in the past, those that are open may still be committed. */
    if (!kv->read_only)
        (void)vv_unravel_settle(unravel);
    r->txn_streamed = stats->streamed;
    r->txn_rolled_back = stats->rolled_back;
    r->txn_orphans = stats->orphans;
    r->txn_partial = stats->partial;
    if (r->txn_orphans)
        vv_kv_say(kv, VARVE_EVENT_TXN_ORPHANS, VARVE_MESSAGE_WARNING,
                  "%llu streamed transactions had not ended, and are rolled back",
                  (unsigned long long)r->txn_orphans);
}

static int replay(struct varve_kv *kv, struct vv_unravel *unravel, struct varve_error *ret_error)
{
    struct vv_piece piece;
    int rc;

    for (;;) {
        rc = vv_unravel_next(unravel, &piece);
        if (rc < 0)
            vv_error_copy(ret_error, &unravel->error);
        if (rc || piece.commit_lsn > kv->at_lsn)
            return rc < 0 ? rc : 0;
        rc = apply_piece(kv, &piece, ret_error);
        if (rc)
            return rc;
        kv->recovery.records++;
        kv->recovery.last_lsn = piece.commit_lsn;
        /* Times of a log never go back; neither does the engine's clock. */
        if (piece.commit_time_us > atomic_load_explicit(&kv->clock_us, memory_order_relaxed))
            atomic_store_explicit(&kv->clock_us, piece.commit_time_us, memory_order_relaxed);
        rc = fold_if_full(kv, unravel, ret_error);
        if (rc)
            return rc;
    }
}

int vv_kv_replay(struct varve_kv *kv, uint64_t from_lsn, uint64_t applied_lsn, enum varve_policy policy,
                 struct varve_error *ret_error)
{
    struct vv_unravel unravel;
    int rc = vv_unravel_open(&unravel, kv->log, from_lsn, policy, VARVE_TXN_TYPE, ret_error);

    unravel.applied_lsn = applied_lsn;
    unravel.outcome = note_outcome;
    unravel.outcome_arg = kv;
    if (rc == 0)
        rc = replay(kv, &unravel, ret_error);
    if (rc == 0) {
        note_stats(kv, &unravel);
        if (unravel.stats.last_lsn > kv->recovery.last_lsn)
            kv->recovery.last_lsn = vv_min_u64(unravel.stats.last_lsn, kv->at_lsn);
    }
    vv_unravel_close(&unravel);
    return rc;
}
