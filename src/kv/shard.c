/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shard: a part of the keys, with its locks, and the versions that somebody still looks at.
 *
 * In: changes that are in the log already. Out: the same in memory, in the order of their LSNs for every key.
 *
 * A view is a moment in the log. Whoever opens one announces it first; a writer announces itself first too
 * (`inflight`) and then looks whether there are views. So of the two at least one knows of the other: the
 * writer keeps what it replaces, or the view waits for the writer and sees what it has made.
 */
#include "base/alloc.h"
#include "base/tooth.h"
#include "kv/evict.h"
#include "kv/stream.h"

bool vv_shards_init(struct varve_kv *kv)
{
    kv->shards = vv_alloc_aligned(64, kv->shard_count * sizeof *kv->shards);
    if (!kv->shards)
        return false;
    memset(kv->shards, 0, kv->shard_count * sizeof *kv->shards);
    for (uint32_t i = 0; i < kv->shard_count; i++) {
        pthread_mutex_init(&kv->shards[i].order, NULL);
        pthread_mutex_init(&kv->shards[i].lock, NULL);
        vv_table_init(&kv->shards[i].table, kv->secret);
    }
    return true;
}

static void free_kept(struct vv_kept *kept)
{
    vv_free(kept->entry);
    vv_free(kept);
}

void vv_shards_free(struct varve_kv *kv)
{
    for (uint32_t i = 0; kv->shards && i < kv->shard_count; i++) {
        struct vv_shard *shard = &kv->shards[i];

        for (int list = 0; shard->kept && list < VV_KEPT_LISTS; list++) {
            for (struct vv_kept *k = shard->kept[list], *next; k; k = next) {
                next = k->next;
                free_kept(k);
            }
        }
        vv_free(shard->kept);
        vv_table_free(&shard->table);
        pthread_mutex_destroy(&shard->lock);
        pthread_mutex_destroy(&shard->order);
    }
    vv_free(kv->shards);
    kv->shards = NULL;
}

static struct vv_entry *patch(const struct vv_entry *before, const struct vv_op *op)
{
    uint64_t offset = vv_get_u64(op->value), bytes = op->value_bytes - VV_OP_POSITION;
    uint64_t old_bytes = before ? before->value_bytes : 0, all = vv_max_u64(old_bytes, offset + bytes);
    struct vv_entry *next =
        vv_entry_new(op->key, op->key_bytes, before ? before->type : VV_ENTRY_VALUE,
                     before ? vv_entry_expires(before) : 0, before ? vv_entry_value(before) : NULL,
                     (size_t)old_bytes, NULL, (size_t)(all - old_bytes));
    uint8_t *value;

    if (!next)
        return NULL;
    value = next->bytes + vv_entry_key_at(next) + next->key_bytes;
    memset(value + old_bytes, 0, (size_t)(all - old_bytes));
    if (bytes)
        memcpy(value + offset, (const uint8_t *)op->value + VV_OP_POSITION, (size_t)bytes);
    return next;
}

bool vv_op_apply(const struct vv_entry *before, const struct vv_op *op, struct vv_entry **ret_next)
{
    const void *old = before ? vv_entry_value(before) : NULL;
    size_t old_bytes = before ? before->value_bytes : 0;

    *ret_next = NULL;
    switch (op->kind) {
    case VV_OP_SET:
    case VV_OP_LOCK:
        *ret_next =
            vv_entry_new(op->key, op->key_bytes, op->kind == VV_OP_LOCK ? VV_ENTRY_LOCK : VV_ENTRY_VALUE,
                         op->expires_us, op->value, op->value_bytes, NULL, 0);
        return *ret_next != NULL;
    case VV_OP_APPEND:
        *ret_next =
            vv_entry_new(op->key, op->key_bytes, before ? before->type : VV_ENTRY_VALUE,
                         before ? vv_entry_expires(before) : 0, old, old_bytes, op->value, op->value_bytes);
        return *ret_next != NULL;
    case VV_OP_EXPIRE:
        if (!before)
            return true;
        *ret_next =
            vv_entry_new(op->key, op->key_bytes, before->type, op->expires_us, old, old_bytes, NULL, 0);
        return *ret_next != NULL;
    case VV_OP_PATCH:
        *ret_next = patch(before, op);
        return *ret_next != NULL;
    case VV_OP_EVENTS:
    case VV_OP_TRIM:
        if (op->kind == VV_OP_TRIM && !before)
            return true;
        *ret_next = vv_stream_next(before, op);
        return *ret_next != NULL;
    case VV_OP_DELETE:
    case VV_OP_EXPIRED:
    case VV_OP_EVICTED:
        break;
    }
    return true;
}

struct vv_op vv_op_whole(const void *key, size_t key_bytes, const struct vv_entry *next)
{
    struct vv_op op = {.kind = VV_OP_DELETE, .key = key, .key_bytes = key_bytes};

    if (next) {
        op.kind = VV_OP_SET;
        op.expires_us = vv_entry_expires(next);
        op.value = vv_entry_value(next);
        op.value_bytes = next->value_bytes;
    }
    return op;
}

/* A number that is changed under `lock`, and read by anybody: no locked instruction is needed. */
static void bump(_Atomic uint64_t *number, uint64_t by)
{
    atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

bool vv_shard_reserve(struct vv_shard *shard, size_t inserts)
{
    bool done;

    /* Who has `order` may look at the table; to change it takes both, for readers have `lock` alone. */
    if (vv_table_promise(&shard->table, inserts))
        return true;
    pthread_mutex_lock(&shard->lock);
    done = vv_table_reserve(&shard->table, inserts);
    pthread_mutex_unlock(&shard->lock);
    return done;
}

/* -- versions that are looked at -- */

bool vv_shard_can_keep(struct vv_shard *shard)
{
    struct vv_kept **lists;

    if (shard->kept)
        return true;
    lists = vv_alloc_array(VV_KEPT_LISTS, sizeof(struct vv_kept *));
    pthread_mutex_lock(&shard->lock);
    shard->kept = lists;
    pthread_mutex_unlock(&shard->lock);
    return lists != NULL;
}

static struct vv_kept **kept_list(const struct vv_shard *shard, uint64_t hash)
{
    return &shard->kept[hash % VV_KEPT_LISTS];
}

/* Holds on to it. `lock` is held. */
static void keep(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash, struct vv_entry *entry,
                 uint64_t until, struct vv_kept *kept)
{
    struct vv_kept **list = kept_list(shard, hash);

    *kept = (struct vv_kept){*list, until, entry};
    *list = kept;
    bump(&shard->kept_count, 1);
    bump(&shard->bytes, vv_entry_cost(entry));
    if (kv->max_memory)
        atomic_fetch_add_explicit(&kv->memory, vv_entry_cost(entry), memory_order_relaxed);
}

/* Lets go of what no view sees any more. `lock` is held. */
static void let_go(struct varve_kv *kv, struct vv_shard *shard, uint64_t oldest)
{
    for (int list = 0; shard->kept && list < VV_KEPT_LISTS; list++) {
        struct vv_kept **at = &shard->kept[list];

        while (*at) {
            struct vv_kept *kept = *at;

            if (kept->until > oldest) {
                at = &kept->next;
                continue;
            }
            *at = kept->next;
            bump(&shard->kept_count, UINT64_MAX); /* one less */
            bump(&shard->bytes, 0 - vv_entry_cost(kept->entry));
            if (kv->max_memory)
                atomic_fetch_sub_explicit(&kv->memory, vv_entry_cost(kept->entry), memory_order_relaxed);
            free_kept(kept);
        }
    }
}

struct vv_entry *vv_shard_view(const struct vv_shard *shard, uint64_t hash, const void *key, size_t key_bytes,
                               uint64_t lsn)
{
    struct vv_entry *e = vv_table_find(&shard->table, hash, key, key_bytes);

    if (e && e->version <= lsn)
        return e;
    for (struct vv_kept *k = shard->kept ? *kept_list(shard, hash) : NULL; k; k = k->next) {
        e = k->entry;
        if (e->version <= lsn && k->until > lsn && e->key_bytes == key_bytes &&
            memcmp(vv_entry_key(e), key, key_bytes) == 0)
            return e;
    }
    return NULL;
}

static void count_change(struct vv_shard *shard, const struct vv_entry *before, const struct vv_entry *next)
{
    bool was = before && !vv_entry_is_gone(before), is = next && !vv_entry_is_gone(next);
    uint64_t expiring =
        (next && (next->flags & VV_ENTRY_EXPIRES)) - (uint64_t)(before && (before->flags & VV_ENTRY_EXPIRES));

    if (expiring)
        bump(&shard->expiring, expiring);
    if (was != is) {
        uint8_t type = was ? before->type : next->type;

        bump(type == VV_ENTRY_EVENT ? &shard->events : &shard->count, (uint64_t)is - (uint64_t)was);
    }
    bump(&shard->streams, (uint64_t)(next && next->type == VV_ENTRY_STREAM) -
                              (uint64_t)(before && before->type == VV_ENTRY_STREAM));
}

/* What stands in the table is counted. */
static void count_bytes(struct varve_kv *kv, struct vv_shard *shard, const struct vv_entry *before,
                        struct vv_entry *next)
{
    uint64_t less = before ? vv_entry_cost(before) : 0, more = next ? vv_entry_cost(next) : 0;

    bump(&shard->bytes, more - less);
    if (kv->max_memory) {
        more += next ? VV_ENTRY_SLOT : 0;
        less += before ? VV_ENTRY_SLOT : 0;
        atomic_fetch_add_explicit(&kv->memory, more - less, memory_order_relaxed);
    }
    if (next && kv->evicts) {
        atomic_fetch_add_explicit(&kv->evict_written, more, memory_order_relaxed);
        vv_evict_use(kv, next);
    }
}

void vv_shard_forget(struct varve_kv *kv, struct vv_shard *shard, struct vv_entry *entry)
{
    vv_table_remove(&shard->table, vv_table_hash(&shard->table, entry), entry);
    count_bytes(kv, shard, entry, NULL);
    vv_free(entry);
}

void vv_shard_change_locked(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash,
                            struct vv_entry *before, struct vv_entry *next, uint64_t lsn,
                            struct vv_kept *kept)
{
    /* Without `kept` the writer saw no view. One that is there now has seen the writer, waits for it, and
     * will look at this record or a later one. */
    bool looked_at = kept && shard->kept && atomic_load(&kv->oldest_view) < lsn;
    struct vv_entry *slot = before;

    looked_at = looked_at && !VV_TOOTH(KV_NOT_KEPT);
    /* Over an environment the table may hold nothing where `before` comes from below, or that it is gone. */
    if (kv->env)
        slot = vv_table_find(&shard->table, hash, vv_entry_key(next), next->key_bytes);
    if (next)
        next->version = lsn;
    if (next && next->type == VV_ENTRY_STREAM)
        vv_stream_bear(next, lsn);
    if (next && slot)
        vv_table_replace(&shard->table, hash, slot, next);
    else if (next)
        vv_table_insert(&shard->table, hash, next);
    else if (slot)
        vv_table_remove(&shard->table, hash, slot);
    if (before && before->type == VV_ENTRY_STREAM)
        vv_stream_cut(kv, shard, hash, before, next);
    if (next ? vv_entry_is_gone(next) : !(before && before->type == VV_ENTRY_EVENT))
        shard->deleted_lsn = lsn;
    count_change(shard, before, next);
    count_bytes(kv, shard, slot, next);
    if (!before)
        before = slot; /* that it was gone is something to look at, too */
    if (looked_at && before) {
        keep(kv, shard, hash, before, lsn, kept);
    } else {
        vv_free(before);
        vv_free(kept);
    }
}

void vv_shard_change(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash, struct vv_entry *before,
                     struct vv_entry *next, uint64_t lsn, struct vv_kept *kept)
{
    pthread_mutex_lock(&shard->lock);
    vv_shard_change_locked(kv, shard, hash, before, next, lsn, kept);
    pthread_mutex_unlock(&shard->lock);
}

/* -- views -- */

/* Waits for writers of records up to `lsn`. */
static void wait_out(struct varve_kv *kv, uint64_t lsn)
{
    for (uint32_t i = 0; i < kv->shard_count; i++) {
        struct vv_shard *shard = &kv->shards[i];
        uint64_t inflight = atomic_load(&shard->inflight);

        if (inflight != 0 && inflight <= lsn) {
            pthread_mutex_lock(&shard->order);
            pthread_mutex_unlock(&shard->order);
        }
    }
}

uint64_t vv_kv_quiet(struct varve_kv *kv)
{
    uint64_t lsn = varve_last_lsn(kv->log);

    wait_out(kv, lsn);
    return lsn;
}

static void find_oldest(struct varve_kv *kv)
{
    uint64_t oldest = UINT64_MAX;

    for (const struct vv_view *v = kv->views; v; v = v->next)
        oldest = v->lsn < oldest ? v->lsn : oldest;
    atomic_store(&kv->oldest_view, oldest);
}

void vv_view_open(struct varve_kv *kv, struct vv_view *view)
{
    *view = (struct vv_view){.lsn = 0};
    pthread_mutex_lock(&kv->views_lock);
    view->next = kv->views;
    if (kv->views)
        kv->views->before = view;
    kv->views = view;
    atomic_fetch_add(&kv->view_count, 1);
    find_oldest(kv);
    pthread_mutex_unlock(&kv->views_lock);
    /* First those who may not know of this view, whatever their LSN; then those who belong to it. */
    wait_out(kv, UINT64_MAX);
    uint64_t lsn = VV_TOOTH(KV_VIEW_TOO_NEW) ? varve_last_lsn(kv->log) : vv_kv_quiet(kv);
    pthread_mutex_lock(&kv->views_lock);
    view->lsn = lsn;
    find_oldest(kv);
    pthread_mutex_unlock(&kv->views_lock);
}

void vv_view_close(struct varve_kv *kv, struct vv_view *view)
{
    pthread_mutex_lock(&kv->views_lock);
    if (view->before)
        view->before->next = view->next;
    else
        kv->views = view->next;
    if (view->next)
        view->next->before = view->before;
    atomic_fetch_sub(&kv->view_count, 1);
    find_oldest(kv);
    pthread_mutex_unlock(&kv->views_lock);
    for (uint32_t i = 0; i < kv->shard_count; i++) {
        struct vv_shard *shard = &kv->shards[i];

        if (atomic_load_explicit(&shard->kept_count, memory_order_relaxed) == 0)
            continue;
        pthread_mutex_lock(&shard->lock);
        /* Asked under the lock: a view that was opened since is in it, and what is kept for that one is kept
         * under the lock too. */
        let_go(kv, shard, atomic_load(&kv->oldest_view));
        pthread_mutex_unlock(&shard->lock);
    }
}
