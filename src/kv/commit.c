/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit: a transaction's end.
 *
 * In: what it has read and written. Out: a record, and the change in memory.
 *
 * It takes the shards' `order` locks in the order of their numbers, so no two transactions wait for each
 * other, and compares. What was seen as absent and is absent counts as unchanged.
 */
#include <sched.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/tooth.h"
#include "kv/evict.h"
#include "kv/txn.h"

enum {
    EVICT_TRIES = 16 /* others may take the room */
};

static int by_shard(const void *a, const void *b)
{
    const struct vv_item *x = a, *y = b;

    /* The number of a shard is the hash's first bits. */
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Locks, or unlocks, every shard that it touches, in their order. */
static void each_order(struct varve_kv_txn *txn, int (*fn)(pthread_mutex_t *mutex))
{
    struct vv_shard *last = NULL;

    for (size_t i = 0; i < txn->count; i++) {
        struct vv_shard *shard = vv_kv_shard(txn->kv, txn->items[i].hash);

        if (shard != last)
            (void)fn(&shard->order);
        last = shard;
    }
}

static void each_lock(struct varve_kv_txn *txn, int (*fn)(pthread_mutex_t *mutex))
{
    struct vv_shard *last = NULL;

    for (size_t i = 0; i < txn->count; i++) {
        struct vv_shard *shard = vv_kv_shard(txn->kv, txn->items[i].hash);

        if (txn->items[i].written && shard != last) {
            (void)fn(&shard->lock);
            last = shard;
        }
    }
}

static void set_inflight(struct varve_kv_txn *txn, uint64_t lsn)
{
    for (size_t i = 0; i < txn->count; i++)
        if (txn->items[i].written || lsn == 0)
            atomic_store(&vv_kv_shard(txn->kv, txn->items[i].hash)->inflight, lsn);
}

int vv_txn_validate(struct varve_kv_txn *txn)
{
    for (size_t i = 0; i < txn->count; i++) {
        struct vv_item *item = &txn->items[i];
        struct vv_shard *shard = vv_kv_shard(txn->kv, item->hash);

        const struct vv_entry *before;
        int rc = vv_store_find(txn->kv, shard, item->hash, item->key, item->key_bytes, &item->before);

        if (rc)
            return rc;
        before = item->before.entry;
        if (VV_TOOTH(KV_READS_UNCHECKED) && !item->written)
            continue;
        if (item->tied && (before ? before->version : 0) != item->seen)
            return VARVE_E_CONFLICT;
        if (!item->tied && item->gather.bytes && before && before->type != VV_ENTRY_STREAM &&
            !vv_entry_is_over(before, vv_kv_now(txn->kv)))
            return VARVE_E_CONFLICT;
    }
    return 0;
}

/* Room in the tables, for all new keys of a shard together. */
static bool reserve_tables(struct varve_kv_txn *txn)
{
    size_t fresh = 0;

    for (size_t i = 0; i < txn->count; i++) {
        const struct vv_item *item = &txn->items[i];
        struct vv_shard *shard = vv_kv_shard(txn->kv, item->hash);

        fresh +=
            item->events.count + (item->written && (txn->kv->env || (item->next && !item->before.entry)));
        if (i + 1 < txn->count && vv_kv_shard(txn->kv, txn->items[i + 1].hash) == shard)
            continue;
        if (fresh > 0 && !vv_shard_reserve(shard, fresh))
            return false;
        fresh = 0;
    }
    return true;
}

/* What a key becomes that is not there any more, for the environment's sake. */
static bool make_gone(struct varve_kv_txn *txn, struct vv_item *item)
{
    const struct vv_op op = {.kind = VV_OP_DELETE, .key = item->key, .key_bytes = item->key_bytes};

    return item->next || !item->before.entry || vv_store_apply(txn->kv, NULL, &op, &item->gone);
}

/* Everything that could fail after the append. *ret_promised: memory that is promised, or would have to be.
 */
static int reserve(struct varve_kv_txn *txn, uint64_t *ret_promised)
{
    uint64_t before = 0, after = 0;

    for (size_t i = 0; i < txn->count; i++) {
        struct vv_item *item = &txn->items[i];
        struct vv_shard *shard = vv_kv_shard(txn->kv, item->hash);

        if (!item->written)
            continue;
        item->op = (struct vv_op){.key = item->key, .key_bytes = item->key_bytes};
        if (item->gather.bytes &&
            !vv_gather_next(txn->kv, &item->gather, item->anew ? NULL : item->before.entry, &item->op,
                            &item->next, &item->events))
            return VARVE_E_NOMEM;
        if (!make_gone(txn, item))
            return VARVE_E_NOMEM;
        before += item->before.entry ? vv_kv_weight(item->before.entry) : 0;
        after += (item->next ? vv_kv_weight(item->next) : 0) + item->events.cost;
        after += item->gone ? vv_kv_weight(item->gone) : 0;
        /* What came from below may be kept for somebody. */
        after += txn->kv->env && item->before.entry ? vv_entry_cost(item->before.entry) : 0;
        if ((item->before.entry || txn->kv->env) && atomic_load(&txn->kv->view_count) > 0) {
            item->kept = vv_alloc(sizeof *item->kept);
            if (!item->kept || !vv_shard_can_keep(shard))
                return VARVE_E_NOMEM;
        }
    }
    if (!reserve_tables(txn))
        return VARVE_E_NOMEM;
    *ret_promised = after;
    return vv_kv_has_memory(txn->kv, before, after) ? 0 : VARVE_E_MEMORY;
}

static int append(struct varve_kv_txn *txn, uint64_t *ret_lsn)
{
    struct varve_record record = {.type = VV_OP_RECORD, .flags = VARVE_RECORD_TXN};
    struct vv_op *ops = vv_alloc_array(txn->count, sizeof *ops);
    size_t count = 0;
    int rc;

    if (!ops)
        return VARVE_E_NOMEM;
    for (size_t i = 0; i < txn->count; i++) {
        const struct vv_item *item = &txn->items[i];

        if (item->written && (item->next || item->before.entry))
            ops[count++] =
                item->gather.bytes ? item->op : vv_op_whole(item->key, item->key_bytes, item->next);
    }
    record.txn_id = txn->live.group.id;
    memcpy(record.origin, txn->live.group.origin, sizeof record.origin);
    *ret_lsn = 0;
    rc = count ? vv_kv_append_many(txn->kv, ops, count, &record, ret_lsn) : 0;
    vv_free(ops);
    return rc;
}

/* Under the locks of all: who has read one of its keys as it is now finds the others so too. */
static void apply(struct varve_kv_txn *txn, uint64_t lsn)
{
    if (!VV_TOOTH(KV_HALF_SHOWN))
        each_lock(txn, pthread_mutex_lock);
    for (size_t i = 0; i < txn->count; i++) {
        struct vv_item *item = &txn->items[i];

        if (!item->written || (!item->next && !item->before.entry))
            continue;
        (VV_TOOTH(KV_HALF_SHOWN) ? vv_shard_change : vv_shard_change_locked)(
            txn->kv, vv_kv_shard(txn->kv, item->hash), item->hash, item->before.entry,
            item->next ? item->next : item->gone, lsn, item->kept);
        vv_events_put(txn->kv, vv_kv_shard(txn->kv, item->hash), item->hash, &item->events, lsn);
        item->before = (struct vv_there){.entry = NULL};
        item->next = item->gone = NULL;
        item->kept = NULL;
        if (VV_TOOTH(KV_HALF_SHOWN))
            (void)sched_yield();
    }
    if (!VV_TOOTH(KV_HALF_SHOWN))
        each_lock(txn, pthread_mutex_unlock);
}

/* live.lock is held. */
static int commit(struct varve_kv_txn *txn, uint64_t *ret_lsn, uint64_t *ret_promised)
{
    bool has_promise;
    int rc;

    qsort(txn->items, txn->count, sizeof *txn->items, by_shard);
    vv_txn_index(txn);
    each_order(txn, pthread_mutex_lock);
    set_inflight(txn, varve_last_lsn(txn->kv->log) + 1);
    rc = vv_txn_validate(txn);
    if (rc == 0)
        rc = reserve(txn, ret_promised);
    has_promise = rc == 0;
    if (rc == 0)
        rc = append(txn, ret_lsn);
    if (VV_TOOTH(KV_VIEW_TOO_NEW))
        (void)sched_yield(); /* so that the moment is met more often */
    if (rc == 0)
        apply(txn, *ret_lsn);
    if (has_promise)
        vv_kv_keep_promise(txn->kv, *ret_promised);
    set_inflight(txn, 0);
    each_order(txn, pthread_mutex_unlock);
    for (size_t i = 0; i < txn->count; i++) {
        struct vv_item *item = &txn->items[i];

        vv_store_drop(&item->before);
        vv_free(item->kept);
        vv_free(item->gone);
        item->kept = NULL;
        item->gone = NULL;
        vv_events_free(&item->events);
        if (item->gather.bytes) {
            vv_free(item->next); /* made for this attempt */
            item->next = NULL;
        }
    }
    return rc;
}

/* The record, and the change in memory. live.lock is held. */
static int commit_any(struct varve_kv_txn *txn, uint64_t *ret_lsn, uint64_t *ret_promised)
{
    if (vv_group_is_begun(&txn->live.group))
        return vv_spill_commit(txn, ret_lsn);
    /* The view has done its work: what it saw is in the items, and nothing need be kept for it. */
    vv_txn_stop_viewing(txn);
    return txn->count ? commit(txn, ret_lsn, ret_promised) : 0;
}

/* Keys that it has touched are held: others go; or, over an environment, memory is folded. */
static int make_room(struct varve_kv_txn *txn, uint64_t promised)
{
    uint64_t bytes = txn->bytes + txn->count * 4 * (uint64_t)(VV_ENTRY_AROUND + VV_ENTRY_SLOT);

    if (txn->kv->env)
        return vv_fold_make_room(txn->kv, promised);
    if (vv_group_is_begun(&txn->live.group))
        bytes = txn->live.group.bytes + txn->live.group.units * (VV_ENTRY_AROUND + VV_ENTRY_SLOT);
    return vv_evict(txn->kv, bytes);
}

/* What was read counts as told when it was read; what was written is waited for. */
int varve_kv_commit(struct varve_kv_txn *txn, uint32_t flags, uint64_t *ret_lsn)
{
    struct varve_kv *kv = txn->kv;
    uint64_t lsn = 0, bytes, count, promised = 0;
    int rc;

    if (flags & ~(uint32_t)VARVE_KV_NO_WAIT)
        return VARVE_E_INVALID;
    rc = vv_live_enter(&txn->live);
    if (rc)
        return rc;
    bytes = txn->bytes;
    rc = commit_any(txn, &lsn, &promised);
    for (int i = 0; rc == VARVE_E_MEMORY && (kv->env || (kv->evicts && i < EVICT_TRIES)); i++) {
        rc = make_room(txn, promised);
        if (rc)
            break;
        rc = commit_any(txn, &lsn, &promised);
    }
    if (rc == VARVE_E_CONFLICT)
        atomic_fetch_add(&kv->conflicts, 1);
    if (rc == 0 && !(flags & VARVE_KV_NO_WAIT))
        rc = vv_kv_settle(kv, lsn);
    if (rc) {
        vv_live_leave(&txn->live, rc);
        return rc;
    }
    count = txn->count;
    if (vv_group_is_begun(&txn->live.group)) {
        count = txn->live.group.units;
        bytes = txn->live.group.bytes;
    }
    vv_txn_forget(&txn->live);
    vv_live_committed(&txn->live, count, bytes);
    vv_free(txn);
    if (ret_lsn)
        *ret_lsn = lsn;
    return 0;
}
