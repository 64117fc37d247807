/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write: one key changes.
 *
 * In: a key, and a function that decides. Out: a record in the log, the change in memory, and, where the mode
 * wants it, the wait for the disk, with no lock held.
 *
 * Everything that can fail is done before the record is appended: the entry is made, its place reserved. An
 * append that fails leaves nothing anywhere. From the append on nothing fails but the disk, and then the log
 * accepts nothing more: what is in memory and will never be durable is told to nobody in the modes that wait.
 */
#include <sched.h>

#include "base/alloc.h"
#include "base/tooth.h"
#include "kv/dialect.h"
#include "kv/evict.h"
#include "kv/store.h"
#include "kv/stream.h"

enum {
    EVICT_TRIES = 16 /* others may take the room */
};

uint64_t vv_kv_now(struct varve_kv *kv)
{
    uint64_t now = kv->io->realtime_us(kv->io),
             seen = atomic_load_explicit(&kv->clock_us, memory_order_relaxed);

    while (now > seen && !atomic_compare_exchange_weak_explicit(&kv->clock_us, &seen, now,
                                                                memory_order_relaxed, memory_order_relaxed))
        ;
    return now > seen ? now : seen;
}

bool vv_kv_key_is_good(const void *key, size_t key_bytes)
{
    return key && key_bytes > 0 && key_bytes <= VARVE_KV_KEY_MAX;
}

int vv_kv_settle(struct varve_kv *kv, uint64_t lsn)
{
    if (!kv->waits || lsn <= varve_durable_lsn(kv->log))
        return 0;
    return varve_wait(kv->log, lsn, VARVE_WAIT_FOREVER);
}

bool vv_kv_has_memory(struct varve_kv *kv, uint64_t before, uint64_t after)
{
    if (kv->env)
        return vv_store_reserve(kv, after);
    return kv->max_memory == 0 || after <= before ||
           atomic_load_explicit(&kv->memory, memory_order_relaxed) + (after - before) <= kv->max_memory;
}

void vv_kv_keep_promise(struct varve_kv *kv, uint64_t after)
{
    if (kv->env)
        vv_store_release(kv, after);
}

int vv_kv_append(struct varve_kv *kv, const struct vv_op *op, const struct vv_entry *next, uint64_t *ret_lsn)
{
    uint8_t head[VV_OP_HEAD_MAX];
    const struct iovec pieces[] = {
        {head, vv_op_head(op, head)},
        {(void *)(uintptr_t)op->key, op->key_bytes},
        {(void *)(uintptr_t)op->value, op->value_bytes},
    };
    const struct varve_record record = {
        .iov = pieces, .iov_count = op->value_bytes ? 3 : 2, .type = VV_OP_RECORD};

    if (kv->dialect)
        return kv->dialect->append(kv, op, next, ret_lsn);
    return varve_append_async(kv->log, &record, ret_lsn);
}

int vv_kv_append_many(struct varve_kv *kv, struct vv_op *ops, size_t count, struct varve_record *record,
                      uint64_t *ret_lsn)
{
    uint8_t *memory, *at;
    size_t bytes = 0;
    int rc;

    for (size_t i = 0; i < count; i++) {
        bytes += vv_op_bytes(&ops[i]);
        if (kv->dialect && kv->dialect->check(kv, &ops[i]) != 0)
            return VARVE_E_UNSUPPORTED;
    }
    if (kv->dialect)
        return kv->dialect->append_many(kv, ops, count, record, ret_lsn);
    memory = at = vv_alloc(bytes);
    if (!memory)
        return VARVE_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        at = vv_op_put(&ops[i], at);
    record->data = memory;
    record->data_bytes = bytes;
    rc = varve_append_async(kv->log, record, ret_lsn);
    vv_free(memory);
    return rc;
}

/* `order` is held. `before` is in the right hands when it succeeds. *ret_more: the memory that it wants. */
static int update(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash, struct vv_entry *before,
                  struct vv_op *op, uint64_t *ret_lsn, uint64_t *ret_more)
{
    struct vv_entry *next = NULL;
    struct vv_kept *kept = NULL;
    struct vv_events events;
    int rc = VARVE_E_NOMEM;

    if (vv_op_bytes(op) > kv->record_max)
        return VARVE_E_TOO_LARGE;
    if (kv->dialect && kv->dialect->check(kv, op) != 0)
        return VARVE_E_UNSUPPORTED;
    if (!vv_store_apply(kv, before, op, &next))
        return VARVE_E_NOMEM;
    if (!vv_events_make(op, &events)) {
        vv_free(next);
        return VARVE_E_NOMEM;
    }
    *ret_more = next ? vv_kv_weight(next) + events.cost : 0;
    /* What came from below may be kept for somebody. */
    if (kv->env && before && atomic_load(&kv->view_count) > 0)
        *ret_more += vv_entry_cost(before);
    if (next && !vv_kv_has_memory(kv, before ? vv_kv_weight(before) : 0, *ret_more)) {
        vv_events_free(&events);
        vv_free(next);
        return VARVE_E_MEMORY;
    }
    atomic_store(&shard->inflight, varve_last_lsn(kv->log) + 1);
    if ((before || kv->env) && atomic_load(&kv->view_count) > 0) {
        kept = vv_alloc(sizeof *kept);
        if (!kept || !vv_shard_can_keep(shard))
            goto out;
    }
    if (next && (!before || events.count || kv->env) && !vv_shard_reserve(shard, events.count + 1))
        goto out;
    rc = vv_kv_append(kv, op, next, ret_lsn);
    if (rc)
        goto out;
    pthread_mutex_lock(&shard->lock);
    vv_shard_change_locked(kv, shard, hash, before, next, *ret_lsn, kept);
    vv_events_put(kv, shard, hash, &events, *ret_lsn);
    pthread_mutex_unlock(&shard->lock);
    next = NULL;
    kept = NULL;
out:
    atomic_store(&shard->inflight, 0);
    vv_kv_keep_promise(kv, *ret_more);
    vv_events_free(&events);
    vv_free(next);
    vv_free(kept);
    return rc;
}

/* What an answer depends on, whatever it is. `order` is held. */
static uint64_t depends_on(const struct vv_shard *shard, const struct vv_entry *before)
{
    return before ? before->version : shard->deleted_lsn;
}

/* Decides, and does it. *ret_lsn: what the answer depends on, whatever it is. */
static int try_update(struct varve_kv *kv, uint64_t hash, struct vv_op *op, vv_decide_fn decide, void *arg,
                      uint64_t *ret_lsn, uint64_t *ret_more)
{
    struct vv_shard *shard = vv_kv_shard(kv, hash);
    struct vv_there there;
    struct vv_entry *now;
    int rc;

    pthread_mutex_lock(&shard->order);
    rc = vv_store_find(kv, shard, hash, op->key, op->key_bytes, &there);
    *ret_lsn = depends_on(shard, there.entry);
    now = there.entry;
    op->now_us = kv->dialect ? vv_kv_now(kv) : 0;
    if (now && (now->flags & VV_ENTRY_EXPIRES) &&
        vv_entry_is_over(now, op->now_us ? op->now_us : vv_kv_now(kv)))
        now = NULL;
    if (rc == 0)
        rc = decide(arg, now, op);
    if (VV_TOOTH(KV_DECIDED_TOO_EARLY)) {
        pthread_mutex_unlock(&shard->order);
        (void)sched_yield();
        pthread_mutex_lock(&shard->order);
        there.entry = vv_table_find(&shard->table, hash, op->key, op->key_bytes);
    }
    if (rc == 0)
        rc = update(kv, shard, hash, there.entry, op, ret_lsn, ret_more);
    if (rc)
        vv_store_drop(&there);
    pthread_mutex_unlock(&shard->order);
    return rc;
}

/* As long as there is no room, others go, not the key itself; or, over an environment, memory is folded. */
static int make_room(struct varve_kv *kv, uint64_t hash, struct vv_op *op, vv_decide_fn decide, void *arg,
                     uint64_t *ret_lsn, uint64_t *more)
{
    const struct vv_op fresh = {.key = op->key, .key_bytes = op->key_bytes};
    int rc = VARVE_E_MEMORY;

    vv_evict_hold(kv, hash);
    for (int i = 0; rc == VARVE_E_MEMORY && (kv->env || i < EVICT_TRIES); i++) {
        rc = kv->env ? vv_fold_make_room(kv, *more)
                     : vv_evict(kv, vv_op_bytes(op) + 4 * (uint64_t)(VV_ENTRY_AROUND + VV_ENTRY_SLOT));
        if (rc)
            break;
        *op = fresh;
        rc = try_update(kv, hash, op, decide, arg, ret_lsn, more);
    }
    vv_evict_release(kv, hash);
    return rc;
}

int vv_kv_update(struct varve_kv *kv, const void *key, size_t key_bytes, bool wait, vv_decide_fn decide,
                 void *arg, uint64_t *ret_lsn)
{
    struct vv_op op = {.key = key, .key_bytes = key_bytes};
    uint64_t hash, lsn, more = 0;
    int rc, settled;

    if (!vv_kv_key_is_good(key, key_bytes))
        return VARVE_E_INVALID;
    if (kv->read_only)
        return VARVE_E_READONLY;
    hash = vv_hash(kv->secret, key, key_bytes);
    rc = try_update(kv, hash, &op, decide, arg, &lsn, &more);
    if (rc == VARVE_E_MEMORY && (kv->evicts || kv->env))
        rc = make_room(kv, hash, &op, decide, arg, &lsn, &more);
    /* Also a refusal tells of what is there. */
    settled = wait ? vv_kv_settle(kv, lsn) : 0;
    if (rc == 0)
        rc = settled;
    if (rc == 0 && ret_lsn)
        *ret_lsn = lsn;
    return rc;
}
