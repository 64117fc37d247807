/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: the log back into memory.
 *
 * In: records. Out: entries, each as its last operation left it.
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
#include "varve/cursor.h"

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

/* More than memory may hold, where a smaller limit was asked for than before. */
static int fold_if_full(struct varve_kv *kv, struct varve_error *ret_error)
{
    if (!kv->env || kv->read_only || atomic_load(&kv->memory) <= kv->max_memory)
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

static int apply_record(struct varve_kv *kv, const struct varve_entry *entry, struct varve_error *ret_error)
{
    const uint8_t *at = entry->data, *end = at + entry->data_bytes;
    const char *why = entry->type == VV_OP_RECORD ? NULL : "a type that the engine does not write";
    struct vv_op op;

    if (kv->dialect)
        return apply_strange(kv, entry, ret_error);
    while (!why && at < end) {
        int rc;

        why = vv_op_get(&at, end, &op);
        rc = why ? 0 : vv_kv_apply(kv, &op, entry->lsn);
        if (rc)
            return vv_error_set(
                ret_error, rc, 0, "while LSN %llu is replayed%s", (unsigned long long)entry->lsn,
                rc == VARVE_E_UNSUPPORTED ? ": it is of a stream, and the store lmdb has none of them" : "");
        kv->recovery.operations += !why;
    }
    if (why)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                            "LSN %llu, type %u, is no record of the key-value engine: %s",
                            (unsigned long long)entry->lsn, entry->type, why);
    return 0;
}

int vv_kv_replay(struct varve_kv *kv, uint64_t from_lsn, enum varve_policy policy,
                 struct varve_error *ret_error)
{
    struct varve_cursor *cursor;
    struct varve_entry entry;
    int rc = varve_cursor_open(kv->log, policy, &cursor, ret_error);

    if (rc)
        return rc;
    rc = varve_cursor_seek_lsn(cursor, from_lsn);
    if (rc)
        varve_cursor_error(cursor, ret_error);
    while (rc == 0) {
        rc = varve_cursor_next(cursor, &entry);
        if (rc < 0)
            varve_cursor_error(cursor, ret_error);
        if (rc || entry.lsn > kv->at_lsn)
            break;
        rc = apply_record(kv, &entry, ret_error);
        kv->recovery.records++;
        kv->recovery.last_lsn = entry.lsn;
        /* Times of a log never go back; neither does the engine's clock. */
        if (entry.time_us > atomic_load_explicit(&kv->clock_us, memory_order_relaxed))
            atomic_store_explicit(&kv->clock_us, entry.time_us, memory_order_relaxed);
        if (rc == 0)
            rc = fold_if_full(kv, ret_error);
    }
    varve_cursor_close(cursor);
    return rc == VARVE_END ? 0 : rc;
}
