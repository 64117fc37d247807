/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: what is there of a key, in memory or in the environment under it.
 *
 * In: a key. Out: an entry, or a copy of one.
 *
 * Memory is looked at first, under the shard's `lock`; then the environment, with no lock held, for it may
 * wait for a disk. In between a fold may take an entry out of memory that it has put there: it is found. Or
 * somebody writes, and a fold follows: what is found is newer than the look at memory, and was there at some
 * moment of the call. Only a view must not see that, and looks once more at what is kept for it.
 */
#include "kv/store.h"

#include "base/alloc.h"

enum {
    SWEEP_AT_ONCE = 1024
};

/* Calls `fn` with what the environment has of the key. VARVE_END: nothing; what fn returns, but 0. */
typedef int (*found_fn)(void *arg, const struct vv_stored *found);

static int look_up(struct varve_kv *kv, uint64_t hash, const void *key, size_t key_bytes, found_fn fn,
                   void *arg)
{
    uint64_t word = vv_store_word(kv, hash);
    struct vv_env_read *read;
    struct vv_stored found;
    const uint8_t *run;
    size_t bytes;
    int rc = vv_env_read_begin(kv->env, &read);

    if (rc)
        return rc;
    rc = vv_env_get(read, word, &run, &bytes);
    if (rc == 0)
        rc = vv_stored_find(word, run, bytes, key, key_bytes, &found);
    if (rc == 0)
        rc = fn(arg, &found);
    vv_env_read_end(kv->env, read);
    return rc;
}

static int copy_found(void *arg, const struct vv_stored *found)
{
    struct vv_entry **ret = arg;

    *ret = vv_stored_copy(found);
    return *ret ? 0 : VARVE_E_NOMEM;
}

int vv_store_find(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash, const void *key,
                  size_t key_bytes, struct vv_there *ret)
{
    struct vv_entry *e = vv_table_find(&shard->table, hash, key, key_bytes);
    int rc;

    *ret = (struct vv_there){.entry = e};
    if (!kv->env)
        return 0;
    if (e) {
        if (vv_entry_is_gone(e))
            ret->entry = NULL;
        return 0;
    }
    rc = look_up(kv, hash, key, key_bytes, copy_found, &ret->entry);
    ret->is_copy = ret->entry != NULL;
    return rc == VARVE_END ? 0 : rc;
}

bool vv_store_apply(struct varve_kv *kv, const struct vv_entry *before, const struct vv_op *op,
                    struct vv_entry **ret_next)
{
    if (!vv_op_apply(before, op, ret_next))
        return false;
    if (*ret_next || !kv->env)
        return true;
    *ret_next = vv_entry_new(op->key, op->key_bytes, VV_ENTRY_GONE, 0, NULL, 0, NULL, 0);
    return *ret_next != NULL;
}

/* -- reading -- */

struct get {
    struct varve_kv *kv;
    struct varve_kv_value *value;
    uint64_t offset;
    size_t bytes;
};

static int give_found(void *arg, const struct vv_stored *found)
{
    struct get *get = arg;

    if (found->expires_us && found->expires_us <= vv_kv_now(get->kv))
        return VARVE_E_NO_KEY;
    return vv_kv_copy_stored(get->value, found, get->offset, get->bytes) ? 0 : VARVE_E_NOMEM;
}

int vv_store_get(struct varve_kv *kv, uint64_t hash, const void *key, size_t key_bytes, uint64_t offset,
                 size_t bytes, struct varve_kv_value *ret_value)
{
    struct get get = {kv, ret_value, offset, bytes};
    int rc = look_up(kv, hash, key, key_bytes, give_found, &get);

    return rc == VARVE_END ? VARVE_E_NO_KEY : rc;
}

/* What memory has for a view, copied. False: no memory. */
static bool view_memory(struct varve_kv *kv, uint64_t hash, const void *key, size_t key_bytes, uint64_t lsn,
                        struct vv_entry **ret_copy, uint64_t *ret_depends)
{
    struct vv_shard *shard = vv_kv_shard(kv, hash);
    const struct vv_entry *e;

    pthread_mutex_lock(&shard->lock);
    e = vv_shard_view(shard, hash, key, key_bytes, lsn);
    *ret_depends = e ? e->version : vv_min_u64(shard->deleted_lsn, lsn);
    if (e) {
        *ret_copy = vv_entry_new(key, key_bytes, (enum vv_entry_type)e->type, vv_entry_expires(e),
                                 vv_entry_value(e), e->value_bytes, NULL, 0);
        if (*ret_copy)
            (*ret_copy)->version = e->version;
    }
    pthread_mutex_unlock(&shard->lock);
    return !e || *ret_copy;
}

int vv_store_view(struct varve_kv *kv, uint64_t hash, const void *key, size_t key_bytes, uint64_t lsn,
                  struct vv_entry **ret_copy, uint64_t *ret_depends)
{
    struct vv_entry *copy = NULL;
    int rc = 0;

    if (!view_memory(kv, hash, key, key_bytes, lsn, &copy, ret_depends))
        return VARVE_E_NOMEM;
    if (!copy && kv->env) {
        rc = look_up(kv, hash, key, key_bytes, copy_found, &copy);
        if (rc < 0)
            return rc;
        if (copy && copy->version <= lsn) {
            *ret_depends = copy->version;
        } else {
            /* Not there, or newer: then what the view saw, if anything, is kept for it by now. */
            vv_free(copy);
            copy = NULL;
            if (!view_memory(kv, hash, key, key_bytes, lsn, &copy, ret_depends))
                return VARVE_E_NOMEM;
        }
    }
    if (copy && vv_entry_is_gone(copy)) {
        vv_free(copy);
        copy = NULL;
    }
    *ret_copy = copy;
    return 0;
}

/* -- expiry -- */

/* Keys of a run whose time is over, and that memory says nothing of. */
static void add_over(struct varve_kv *kv, struct vv_page *page, uint64_t word, const uint8_t *run,
                     size_t bytes, uint64_t now_us)
{
    const uint8_t *at = run;
    struct vv_stored s;

    while (vv_stored_next(word, &at, run + bytes, &s) == 0) {
        uint64_t hash = vv_hash(kv->secret, s.key, s.key_bytes);
        struct vv_shard *shard = vv_kv_shard(kv, hash);
        struct vv_entry *e;
        bool is_recent;

        if (s.expires_us == 0 || s.expires_us > now_us)
            continue;
        pthread_mutex_lock(&shard->lock);
        is_recent = vv_table_find(&shard->table, hash, s.key, s.key_bytes) != NULL;
        pthread_mutex_unlock(&shard->lock);
        e = is_recent ? NULL : vv_page_make(page, s.key_bytes, 0, false);
        if (e)
            memcpy(e->bytes, s.key, s.key_bytes);
    }
}

/* Nobody sees it any more, unless it was written again meanwhile. */
static int decide_over(void *arg, const struct vv_entry *now, struct vv_op *op)
{
    (void)arg;
    op->kind = VV_OP_EXPIRED;
    return now ? VARVE_END : 0;
}

/* Where the sweep goes on is left alone by folds: what they bring is over later, or found when a sweep begins
 * again. */
void vv_store_sweep(struct varve_kv *kv)
{
    struct vv_env_sweep *sweep = &kv->env_sweep;
    uint64_t now_us = vv_kv_now(kv), folds = atomic_load(&kv->snapshot_count);
    struct vv_page page = {.memory = NULL};
    struct vv_env_read *read;
    const uint8_t *run;
    const struct vv_entry *e;
    size_t bytes, at = 0;

    if (sweep->folds != folds)
        *sweep = (struct vv_env_sweep){.folds = folds};
    if (vv_env_read_begin(kv->env, &read) != 0)
        return;
    for (int i = 0; i < SWEEP_AT_ONCE; i++) {
        uint64_t expires_us = sweep->expires_us, word = sweep->word;

        if (vv_env_next_expiry(read, &expires_us, &word) != 0 || expires_us > now_us)
            break;
        sweep->expires_us = expires_us;
        sweep->word = word;
        if (vv_env_get(read, word, &run, &bytes) == 0)
            add_over(kv, &page, word, run, bytes, now_us);
    }
    vv_env_read_end(kv->env, read);
    while ((e = vv_page_next(&page, &at)) != NULL && !atomic_load(&kv->keeper_stop))
        if (vv_kv_update(kv, vv_entry_key(e), e->key_bytes, false, decide_over, NULL, NULL) == 0)
            atomic_fetch_add(&kv->expired, 1);
    vv_page_free(&page);
}

/* -- memory -- */

bool vv_store_reserve(struct varve_kv *kv, uint64_t bytes)
{
    uint64_t used = atomic_load_explicit(&kv->memory, memory_order_relaxed);

    do {
        if (bytes > kv->max_memory || used > kv->max_memory - bytes)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&kv->memory, &used, used + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    /* Half full: the keeper folds while the other half fills. */
    if (used <= kv->max_memory / 2 && used + bytes > kv->max_memory / 2)
        vv_keeper_wake(kv);
    return true;
}

void vv_store_release(struct varve_kv *kv, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&kv->memory, bytes, memory_order_relaxed);
}
