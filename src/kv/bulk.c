/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk: many keys that change at one moment.
 *
 * In: operations, in any number. Out: the shards with all of them. There is no environment under these.
 *
 * What they make of each key stands in tables that are like the shards' own, and are walked in the same
 * order. What can fail (memory for versions that are kept, room in the shards' tables) is done while nothing
 * has changed yet. The change itself takes each shard's `lock` for some buckets at a time.
 */
#include "kv/bulk.h"

#include <sched.h>

#include "base/alloc.h"
#include "base/tooth.h"

enum {
    BUCKETS_AT_ONCE = 16 /* while a shard is locked */
};

int vv_bulk_init(struct vv_bulk *bulk, struct varve_kv *kv)
{
    *bulk = (struct vv_bulk){.kv = kv};
    bulk->tables = vv_alloc_array(kv->shard_count, sizeof *bulk->tables);
    bulk->touched = vv_alloc_array(kv->shard_count, sizeof *bulk->touched);
    if (!bulk->tables || !bulk->touched) {
        vv_free(bulk->tables);
        vv_free(bulk->touched);
        return VARVE_E_NOMEM;
    }
    for (uint32_t i = 0; i < kv->shard_count; i++)
        vv_table_init(&bulk->tables[i], kv->secret);
    return 0;
}

void vv_bulk_close(struct vv_bulk *bulk)
{
    for (uint32_t i = 0; i < bulk->kv->shard_count; i++)
        vv_table_free(&bulk->tables[i]);
    for (struct vv_kept *kept = bulk->kept, *next; kept; kept = next) {
        next = kept->next;
        vv_free(kept);
    }
    vv_free(bulk->tables);
    vv_free(bulk->touched);
}

void vv_bulk_touch(struct vv_bulk *bulk, uint64_t hash)
{
    bulk->touched[vv_kv_shard(bulk->kv, hash) - bulk->kv->shards] = true;
}

int vv_bulk_add(struct vv_bulk *bulk, const struct vv_op *op)
{
    uint64_t hash = vv_hash(bulk->kv->secret, op->key, op->key_bytes);
    struct vv_table *table = &bulk->tables[vv_kv_shard(bulk->kv, hash) - bulk->kv->shards];
    struct vv_entry *before = vv_table_find(table, hash, op->key, op->key_bytes), *next;

    if (op->kind != VV_OP_SET && op->kind != VV_OP_DELETE)
        return VARVE_E_CORRUPT;
    next = vv_entry_new(op->key, op->key_bytes, op->kind == VV_OP_SET ? VV_ENTRY_VALUE : VV_ENTRY_GONE,
                        op->expires_us, op->value, op->value_bytes, NULL, 0);
    if (!next || (!before && !vv_table_reserve(table, 1))) {
        vv_free(next);
        return VARVE_E_NOMEM;
    }
    if (before)
        vv_table_replace(table, hash, before, next);
    else
        vv_table_insert(table, hash, next);
    vv_free(before);
    vv_bulk_touch(bulk, hash);
    return 0;
}

static struct vv_table *table_of(const struct vv_bulk *bulk, uint32_t shard)
{
    return &bulk->tables[shard];
}

void vv_bulk_lock(struct vv_bulk *bulk)
{
    struct varve_kv *kv = bulk->kv;

    /* One at a time: there is one `hidden`. */
    pthread_mutex_lock(&kv->bulk_lock);
    for (uint32_t i = 0; i < kv->shard_count; i++)
        if (bulk->touched[i])
            pthread_mutex_lock(&kv->shards[i].order);
    for (uint32_t i = 0; i < kv->shard_count; i++)
        if (table_of(bulk, i)->count > 0)
            atomic_store(&kv->shards[i].inflight, varve_last_lsn(kv->log) + 1);
}

void vv_bulk_unlock(struct vv_bulk *bulk)
{
    struct varve_kv *kv = bulk->kv;

    for (uint32_t i = 0; i < kv->shard_count; i++) {
        if (bulk->touched[i]) {
            atomic_store(&kv->shards[i].inflight, 0);
            pthread_mutex_unlock(&kv->shards[i].order);
        }
    }
    pthread_mutex_unlock(&kv->bulk_lock);
}

/* Walks over the entries that go into a shard. `order` is held; `fn` locks nothing. */
static void each_entry(struct vv_bulk *bulk, uint32_t number, bool locked, vv_table_fn fn)
{
    const struct vv_table *table = table_of(bulk, number);

    bulk->shard = &bulk->kv->shards[number];
    for (uint64_t place = 0; table->count > 0 && place < VV_PLACE_END;) {
        if (locked)
            pthread_mutex_lock(&bulk->shard->lock);
        for (int n = 0; n < BUCKETS_AT_ONCE && place < VV_PLACE_END; n++)
            place = vv_table_walk(table, place, fn, bulk);
        if (locked)
            pthread_mutex_unlock(&bulk->shard->lock);
    }
}

/* -- before -- */

static bool is_as_seen(const struct vv_bulk *bulk, uint64_t hash, const struct vv_entry *entry,
                       const struct vv_entry *now)
{
    if (now)
        return now->version <= bulk->view_lsn;
    return !vv_shard_view(bulk->shard, hash, vv_entry_key(entry), entry->key_bytes, bulk->view_lsn);
}

static void check_entry(void *arg, struct vv_entry *entry)
{
    struct vv_bulk *bulk = arg;
    uint64_t hash = vv_table_hash(&bulk->shard->table, entry);
    const struct vv_entry *now =
        vv_table_find(&bulk->shard->table, hash, vv_entry_key(entry), entry->key_bytes);
    struct vv_kept *kept = NULL;

    if (bulk->failed)
        return;
    if (!is_as_seen(bulk, hash, entry, now) && !VV_TOOTH(KV_STREAM_UNCHECKED)) {
        bulk->failed = VARVE_E_CONFLICT;
        return;
    }
    if (now) {
        kept = vv_alloc(sizeof *kept);
        if (!kept) {
            bulk->failed = VARVE_E_NOMEM;
            return;
        }
        kept->next = bulk->kept;
        bulk->kept = kept;
    }
    bulk->before += now ? vv_kv_weight(now) : 0;
    bulk->after += vv_entry_is_gone(entry) ? 0 : vv_kv_weight(entry);
    bulk->fresh += !now && !vv_entry_is_gone(entry);
}

int vv_bulk_reserve(struct vv_bulk *bulk, uint64_t view_lsn)
{
    struct varve_kv *kv = bulk->kv;

    bulk->view_lsn = view_lsn;
    for (uint32_t i = 0; i < kv->shard_count && !bulk->failed; i++) {
        struct vv_shard *shard = &kv->shards[i];

        bulk->fresh = 0;
        each_entry(bulk, i, true, check_entry);
        if (!bulk->failed && table_of(bulk, i)->count > 0 &&
            (!vv_shard_can_keep(shard) || !vv_shard_reserve(shard, bulk->fresh)))
            bulk->failed = VARVE_E_NOMEM;
    }
    if (!bulk->failed && !vv_kv_has_memory(kv, bulk->before, bulk->after))
        bulk->failed = VARVE_E_MEMORY;
    return bulk->failed;
}

/* -- after -- */

static struct vv_kept *take_kept(struct vv_bulk *bulk)
{
    struct vv_kept *kept = bulk->kept;

    bulk->kept = kept->next;
    return kept;
}

static void put_entry(void *arg, struct vv_entry *entry)
{
    struct vv_bulk *bulk = arg;
    uint64_t hash = vv_table_hash(&bulk->shard->table, entry);
    struct vv_entry *now = vv_table_find(&bulk->shard->table, hash, vv_entry_key(entry), entry->key_bytes);
    bool is_gone = vv_entry_is_gone(entry);

    if (now || !is_gone)
        vv_shard_change_locked(bulk->kv, bulk->shard, hash, now, is_gone ? NULL : entry, bulk->lsn,
                               now ? take_kept(bulk) : NULL);
    if (is_gone)
        vv_free(entry);
}

void vv_bulk_apply(struct vv_bulk *bulk, uint64_t lsn)
{
    struct varve_kv *kv = bulk->kv;

    bulk->lsn = lsn;
    /* Before anything of it is there: who finds some of it finds this too, or 0 when all of it is. */
    if (!VV_TOOTH(KV_BULK_NOT_HIDDEN))
        atomic_store(&kv->hidden, lsn);
    for (uint32_t i = 0; i < kv->shard_count; i++) {
        struct vv_shard *shard = &kv->shards[i];

        if (table_of(bulk, i)->count == 0)
            continue;
        each_entry(bulk, i, true, put_entry);
        vv_table_drop(table_of(bulk, i));
        pthread_mutex_lock(&shard->lock);
        vv_table_trim(&shard->table);
        pthread_mutex_unlock(&shard->lock);
        for (int n = 0; VV_TOOTH(KV_BULK_NOT_HIDDEN) && n < 100; n++)
            (void)sched_yield(); /* so that the moment is met more often */
    }
    atomic_store(&kv->hidden, 0);
}
