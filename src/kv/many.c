/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many: several keys at one moment.
 *
 * In: keys. Out: copies, made while the shards of all of them are locked, or a transaction, which is begun
 * anew when somebody was faster: whoever calls these has seen nothing that a conflict could be with.
 */
#include "base/alloc.h"
#include "kv/evict.h"
#include "kv/store.h"
#include "kv/stream.h"
#include "txn/take.h"

enum {
    TRIES = 1000 /* of which somebody else was faster each time */
};

/* -- reading -- */

static void lock_shards(struct varve_kv *kv, const uint64_t *words, int (*fn)(pthread_mutex_t *mutex))
{
    for (uint32_t i = 0; i < kv->shard_count; i++)
        if (words[i / 64] >> i % 64 & 1)
            (void)fn(&kv->shards[i].lock);
}

static int read_all(struct varve_kv *kv, const struct varve_kv_pair *keys, size_t count,
                    struct varve_kv_value *values, uint64_t *ret_lsn)
{
    /* Asked once: else it may be over between two keys. */
    uint64_t hidden = vv_kv_hidden(kv), now_us = vv_kv_now(kv), lsn = 0;
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        uint64_t hash = vv_hash(kv->secret, keys[i].key, keys[i].key_bytes);
        struct vv_shard *shard = vv_kv_shard(kv, hash);
        struct vv_entry *e = vv_table_find(&shard->table, hash, keys[i].key, keys[i].key_bytes);

        e = vv_kv_seen(hidden, shard, e, hash, keys[i].key, keys[i].key_bytes);
        lsn = vv_max_u64(lsn, e ? e->version : shard->deleted_lsn);
        values[i].bytes = 0;
        values[i].version = values[i].expires_us = 0;
        values[i].is_lock = 0;
        if (!e && kv->env) {
            /* Under the locks: what memory does not have then changes nowhere else. */
            rc = vv_store_get(kv, hash, keys[i].key, keys[i].key_bytes, 0, SIZE_MAX, &values[i]);
            rc = rc == VARVE_E_NO_KEY ? 0 : rc;
            continue;
        }
        if (!e || vv_entry_is_gone(e) || vv_entry_is_over(e, now_us))
            continue;
        if (e->type == VV_ENTRY_STREAM)
            rc = VARVE_E_TYPE;
        else if (!vv_kv_copy(&values[i], e))
            rc = VARVE_E_NOMEM;
        if (rc == 0)
            vv_evict_use(kv, e);
    }
    *ret_lsn = lsn;
    return rc;
}

static bool keys_are_good(const struct varve_kv_pair *pairs, size_t count)
{
    for (size_t i = 0; pairs && i < count; i++)
        if (!vv_kv_key_is_good(pairs[i].key, pairs[i].key_bytes) ||
            (pairs[i].value_bytes > 0 && !pairs[i].value))
            return false;
    return pairs || count == 0;
}

int varve_kv_get_many(struct varve_kv *kv, const struct varve_kv_pair *keys, size_t count,
                      struct varve_kv_value *ret_values)
{
    uint64_t *words, lsn;
    int rc, settled;

    if (!keys_are_good(keys, count))
        return VARVE_E_INVALID;
    words = vv_alloc_array(kv->shard_count / 64 + 1, sizeof *words);
    if (!words)
        return VARVE_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        uint64_t number =
            (uint64_t)(vv_kv_shard(kv, vv_hash(kv->secret, keys[i].key, keys[i].key_bytes)) - kv->shards);

        words[number / 64] |= UINT64_C(1) << number % 64;
    }
    lock_shards(kv, words, pthread_mutex_lock);
    rc = read_all(kv, keys, count, ret_values, &lsn);
    lock_shards(kv, words, pthread_mutex_unlock);
    vv_free(words);
    settled = vv_kv_settle(kv, lsn);
    return settled ? settled : rc;
}

/* -- writing -- */

/* What is to be done, and what came of it. */
struct many {
    const struct varve_kv_pair *pairs;
    size_t count;
    struct varve_kv_write how;
    uint64_t found;
    bool moves; /* rename: pairs[0] to pairs[1] */
};

static int take_how(struct many *many, const struct varve_kv_write *how)
{
    if (!vv_take(&many->how, sizeof many->how, how) || many->how.old || many->how.version ||
        (many->how.flags & ~(uint32_t)(VARVE_KV_IF_ABSENT | VARVE_KV_NO_WAIT)))
        return VARVE_E_INVALID;
    return 0;
}

/* Fills a transaction. */
typedef int (*fill_fn)(struct many *many, struct varve_kv_txn *txn, struct varve_kv_value *value);

static int must_be_absent(struct varve_kv_txn *txn, const struct varve_kv_pair *pair,
                          struct varve_kv_value *value)
{
    int rc = varve_kv_txn_get(txn, pair->key, pair->key_bytes, value);

    if (rc == VARVE_E_NO_KEY)
        return 0;
    return rc == 0 || rc == VARVE_E_TYPE ? VARVE_E_CONFLICT : rc;
}

/* VARVE_END: somebody else was faster. *ret_lsn is set with success. */
static int try_once(struct varve_kv *kv, struct many *many, fill_fn fill, struct varve_kv_value *value,
                    uint64_t *ret_lsn)
{
    struct varve_kv_txn *txn;
    int rc = varve_kv_begin(kv, 0, &txn);

    if (rc)
        return rc;
    rc = fill(many, txn, value);
    if (rc == 0) {
        rc = varve_kv_commit(txn, many->how.flags & VARVE_KV_NO_WAIT, ret_lsn);
        rc = rc == VARVE_E_CONFLICT ? VARVE_END : rc;
    }
    if (rc)
        varve_kv_abort(txn);
    return rc;
}

static int do_it(struct varve_kv *kv, struct many *many, fill_fn fill, uint64_t *ret_lsn)
{
    struct varve_kv_value value = {.data = NULL};
    uint64_t lsn = 0;
    int rc = VARVE_END;

    for (int i = 0; rc == VARVE_END && i < TRIES; i++)
        rc = try_once(kv, many, fill, &value, &lsn);
    varve_kv_value_free(&value);
    if (rc == 0 && ret_lsn)
        *ret_lsn = lsn;
    return rc == VARVE_END ? VARVE_E_CONFLICT : rc;
}

static int fill_set(struct many *many, struct varve_kv_txn *txn, struct varve_kv_value *value)
{
    int rc = 0;

    for (size_t i = 0; i < many->count && rc == 0 && (many->how.flags & VARVE_KV_IF_ABSENT); i++)
        rc = must_be_absent(txn, &many->pairs[i], value);
    for (size_t i = 0; i < many->count && rc == 0; i++) {
        const struct varve_kv_pair *p = &many->pairs[i];

        rc = varve_kv_txn_set(txn, p->key, p->key_bytes, p->value, p->value_bytes, many->how.expires_us);
    }
    return rc;
}

int varve_kv_set_many(struct varve_kv *kv, const struct varve_kv_pair *pairs, size_t count,
                      const struct varve_kv_write *how, uint64_t *ret_lsn)
{
    struct many many = {.pairs = pairs, .count = count};

    if (take_how(&many, how) != 0 || !keys_are_good(pairs, count))
        return VARVE_E_INVALID;
    return do_it(kv, &many, fill_set, ret_lsn);
}

static int fill_delete(struct many *many, struct varve_kv_txn *txn, struct varve_kv_value *value)
{
    int rc = 0;

    many->found = 0;
    for (size_t i = 0; i < many->count && (rc == 0 || rc == VARVE_E_NO_KEY); i++) {
        const struct varve_kv_pair *p = &many->pairs[i];

        rc = varve_kv_txn_get(txn, p->key, p->key_bytes, value);
        if (rc != 0 && rc != VARVE_E_TYPE)
            continue;
        many->found++;
        rc = varve_kv_txn_delete(txn, p->key, p->key_bytes);
    }
    return rc == VARVE_E_NO_KEY ? 0 : rc;
}

int varve_kv_delete_many(struct varve_kv *kv, const struct varve_kv_pair *keys, size_t count,
                         const struct varve_kv_write *how, uint64_t *ret_count, uint64_t *ret_lsn)
{
    struct many many = {.pairs = keys, .count = count};
    int rc;

    if (take_how(&many, how) != 0 || many.how.expires_us || (many.how.flags & VARVE_KV_IF_ABSENT) ||
        !keys_are_good(keys, count))
        return VARVE_E_INVALID;
    rc = do_it(kv, &many, fill_delete, ret_lsn);
    if (rc == 0 && ret_count)
        *ret_count = many.found;
    return rc;
}

static int fill_copy(struct many *many, struct varve_kv_txn *txn, struct varve_kv_value *value)
{
    const struct varve_kv_pair *from = &many->pairs[0], *to = &many->pairs[1];
    bool same = from->key_bytes == to->key_bytes && memcmp(from->key, to->key, to->key_bytes) == 0;
    int rc = 0;

    if (many->how.flags & VARVE_KV_IF_ABSENT)
        rc = must_be_absent(txn, to, value);
    if (rc == 0)
        rc = varve_kv_txn_get(txn, from->key, from->key_bytes, value);
    if (rc == 0 && value->is_lock)
        rc = VARVE_E_TYPE;
    if (rc || same)
        return rc;
    rc = varve_kv_txn_set(txn, to->key, to->key_bytes, value->data, value->bytes, value->expires_us);
    if (rc == 0 && many->moves)
        rc = varve_kv_txn_delete(txn, from->key, from->key_bytes);
    return rc;
}

static int copy_or_move(struct varve_kv *kv, const struct varve_kv_pair pairs[2], bool moves,
                        const struct varve_kv_write *how, uint64_t *ret_lsn)
{
    struct many many = {.pairs = pairs, .count = 2, .moves = moves};

    if (take_how(&many, how) != 0 || many.how.expires_us || !keys_are_good(pairs, 2))
        return VARVE_E_INVALID;
    return do_it(kv, &many, fill_copy, ret_lsn);
}

int varve_kv_copy(struct varve_kv *kv, const void *from, size_t from_bytes, const void *to, size_t to_bytes,
                  const struct varve_kv_write *how, uint64_t *ret_lsn)
{
    const struct varve_kv_pair pairs[] = {{.key = from, .key_bytes = from_bytes},
                                          {.key = to, .key_bytes = to_bytes}};

    return copy_or_move(kv, pairs, false, how, ret_lsn);
}

int varve_kv_rename(struct varve_kv *kv, const void *from, size_t from_bytes, const void *to, size_t to_bytes,
                    const struct varve_kv_write *how, uint64_t *ret_lsn)
{
    const struct varve_kv_pair pairs[] = {{.key = from, .key_bytes = from_bytes},
                                          {.key = to, .key_bytes = to_bytes}};

    return copy_or_move(kv, pairs, true, how, ret_lsn);
}
