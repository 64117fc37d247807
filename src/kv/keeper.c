/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper: a thread that removes what has expired, a part of every table at a time, and makes snapshots when
 * it is time.
 *
 * Out: a record for each key that has expired, appended when it is removed, so that the log tells what was
 * there when. Readers do not wait for it: to them a key is gone when its time is over.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/thread.h"
#include "base/wait.h"
#include "kv/evict.h"
#include "kv/snapshot.h"
#include "kv/store.h"

enum {
    TICK_US = 100000,
    SWEEP_TICKS = 64,  /* for a whole sweep */
    FOUND_AT_ONCE = 64 /* in a part of a shard */
};

/* Keys that seemed to have expired, as copies. */
struct found {
    struct vv_entry *keys[FOUND_AT_ONCE];
    size_t count;
    uint64_t now_us;
};

static void look_at(void *arg, struct vv_entry *e)
{
    struct found *found = arg;

    if (found->count == FOUND_AT_ONCE || !vv_entry_is_over(e, found->now_us))
        return;
    found->keys[found->count] =
        vv_entry_new(vv_entry_key(e), e->key_bytes, VV_ENTRY_VALUE, 0, NULL, 0, NULL, 0);
    found->count += found->keys[found->count] != NULL;
}

/* Nobody sees it any more, unless it was written again meanwhile. */
static int decide_expired(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    (void)arg;
    op->kind = VV_OP_EXPIRED;
    return now ? VARVE_END : 0;
}

static void remove_found(struct varve_kv *kv, struct found *found)
{
    for (size_t i = 0; i < found->count; i++) {
        struct vv_entry *e = found->keys[i];
        uint64_t hash = vv_table_hash(&kv->shards->table, e);
        struct vv_shard *shard = vv_kv_shard(kv, hash);
        bool there;

        pthread_mutex_lock(&shard->lock);
        {
            const struct vv_entry *now = vv_table_find(&shard->table, hash, vv_entry_key(e), e->key_bytes);

            there = now && !vv_entry_is_gone(now);
        }
        pthread_mutex_unlock(&shard->lock);
        if (there && vv_kv_update(kv, vv_entry_key(e), e->key_bytes, false, decide_expired, NULL, NULL) == 0)
            atomic_fetch_add(&kv->expired, 1);
        vv_free(e);
    }
}

/* Of every shard with keys that expire the places of this tick. */
static void sweep(struct varve_kv *kv, uint64_t tick)
{
    uint64_t width = VV_PLACE_END / SWEEP_TICKS, from = tick % SWEEP_TICKS * width;

    for (uint32_t i = 0; i < kv->shard_count && !atomic_load(&kv->keeper_stop); i++) {
        struct vv_shard *shard = &kv->shards[i];

        /* Over an environment the count is of both together. */
        if (!kv->env && atomic_load_explicit(&shard->expiring, memory_order_relaxed) == 0)
            continue;
        for (uint64_t place = from; place < from + width;) {
            struct found found = {.now_us = vv_kv_now(kv)};

            pthread_mutex_lock(&shard->lock);
            for (int n = 0; n < 16 && place < from + width && found.count < FOUND_AT_ONCE / 2; n++)
                place = vv_table_walk(&shard->table, place, look_at, &found);
            pthread_mutex_unlock(&shard->lock);
            remove_found(kv, &found);
        }
    }
}

/* A failure is told, and tried again when as much has happened once more. */
static void snapshot_if_due(struct varve_kv *kv, uint64_t *last_us, uint64_t *last_lsn)
{
    uint64_t now = kv->io->monotonic_us(kv->io), lsn = varve_last_lsn(kv->log);
    bool by_count =
        kv->snapshot_operations != VARVE_KV_UNLIMITED && lsn - *last_lsn >= kv->snapshot_operations;
    bool by_time = kv->snapshot_ms != VARVE_KV_NEVER && lsn != *last_lsn &&
                   now - *last_us >= (uint64_t)kv->snapshot_ms * 1000;
    bool by_memory = kv->env && vv_fold_is_due(kv);
    struct varve_error error = {.code = 0};

    if (kv->keeps_nothing || (!by_count && !by_time && !by_memory))
        return;
    *last_us = now;
    *last_lsn = lsn;
    if (varve_kv_snapshot(kv, NULL, &error) != 0)
        vv_snapshot_say_failed(kv, &error);
}

static void *run(void *arg)
{
    struct varve_kv *kv = arg;
    uint64_t last_us = kv->io->monotonic_us(kv->io), last_lsn = kv->recovery.snapshot_lsn;

    for (uint64_t tick = 0;; tick++) {
        uint32_t seen = atomic_load(&kv->keeper_event);

        if (atomic_load(&kv->keeper_stop))
            return NULL;
        (void)vv_wait_on(&kv->keeper_event, seen, TICK_US);
        if (atomic_load(&kv->keeper_stop))
            return NULL;
        sweep(kv, tick);
        /* More than may be: what was loaded, or what was kept for transactions. */
        if (kv->evicts)
            (void)vv_evict(kv, 0);
        if (kv->env)
            vv_store_sweep(kv);
        snapshot_if_due(kv, &last_us, &last_lsn);
    }
}

int vv_keeper_start(struct varve_kv *kv, struct varve_error *ret_error)
{
    int rc = vv_thread_start(&kv->keeper, "varve-kv", run, kv);

    kv->keeper_runs = rc == 0;
    return rc ? vv_error_set(ret_error, VARVE_E_NOMEM, rc, "a thread for expiry and snapshots") : 0;
}

void vv_keeper_wake(struct varve_kv *kv)
{
    atomic_fetch_add(&kv->keeper_event, 1);
    vv_wake_all(&kv->keeper_event);
}

void vv_keeper_stop(struct varve_kv *kv)
{
    if (!kv->keeper_runs)
        return;
    atomic_store(&kv->keeper_stop, true);
    vv_keeper_wake(kv);
    pthread_join(kv->keeper, NULL);
    kv->keeper_runs = false;
}
