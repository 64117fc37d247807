/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn: several keys at once, seen as of one moment, changed at one moment.
 *
 * In: reads and writes of a caller. Out: one record, and one change in memory under the locks of all shards
 * that it touches, if every key still stands where the transaction saw it.
 *
 * It remembers of each key that it has touched which version it saw; 0 is "nothing there". Commit takes the
 * shards' `order` locks in the order of their numbers, so no two transactions wait for each other, and
 * compares. What was seen as absent and is absent counts as unchanged.
 */
#include <assert.h>
#include <sched.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/tooth.h"
#include "kv/evict.h"
#include "kv/stream.h"
#include "varve/stream.h"

enum {
    INDEX_FIRST = 16,
    EVICT_TRIES = 16, /* others may take the room */
};

/* A key that the transaction has touched. */
struct item {
    uint64_t hash, seen; /* the version it saw; 0 = absent */
    uint8_t *key;
    uint32_t key_bytes;
    uint64_t depends; /* the record that made it so, or a later one */
    bool seen_other;  /* what it saw was no value: a lock, or a stream */
    bool written;
    bool tied; /* it may not have changed: it was read, set or deleted, and not only appended to */
    bool anew; /* its events begin a stream, for it was deleted before */
    struct vv_gather gather; /* events that are appended to it */
    struct vv_entry *next;   /* written: what it becomes, NULL = deleted; else what it saw, or NULL */
    struct vv_entry *before; /* commit: what stands there */
    struct vv_kept *kept;    /* commit: to hold on to that with */
    struct vv_events events; /* commit: with the operation that brings them */
    struct vv_op op;
};

struct varve_kv_txn {
    struct vv_live live; /* first */
    struct varve_kv *kv;
    struct vv_view view;
    uint64_t now_us; /* what had expired when it began */
    bool is_viewing;
    struct item *items;
    size_t count, room;
    uint32_t *index; /* of an item, less one; by hash, a power of two of them */
    size_t index_room;
    uint64_t bytes; /* of its record, at the moment */
};

static void stop_viewing(struct varve_kv_txn *txn)
{
    if (txn->is_viewing)
        vv_view_close(txn->kv, &txn->view);
    txn->is_viewing = false;
}

static void forget(struct vv_live *live)
{
    struct varve_kv_txn *txn = (struct varve_kv_txn *)live;

    stop_viewing(txn);
    for (size_t i = 0; i < txn->count; i++) {
        vv_evict_release(txn->kv, txn->items[i].hash);
        vv_free(txn->items[i].key);
        vv_free(txn->items[i].next);
        vv_gather_free(&txn->items[i].gather);
    }
    vv_free(txn->items);
    vv_free(txn->index);
    txn->items = NULL;
    txn->index = NULL;
    txn->count = txn->room = txn->index_room = 0;
}

int varve_kv_begin(struct varve_kv *kv, uint64_t limit_ms, struct varve_kv_txn **ret_txn)
{
    struct varve_kv_txn *txn;
    int rc;

    if (kv->read_only)
        return VARVE_E_READONLY;
    txn = vv_alloc_zero(sizeof *txn);
    if (!txn)
        return VARVE_E_NOMEM;
    txn->kv = kv;
    rc = vv_live_begin(kv->txns, limit_ms, forget, &txn->live);
    if (rc) {
        vv_free(txn);
        return rc;
    }
    rc = vv_live_enter(&txn->live);
    if (rc) {
        varve_kv_abort(txn);
        return rc;
    }
    txn->now_us = vv_kv_now(kv);
    vv_view_open(kv, &txn->view);
    txn->is_viewing = true;
    vv_live_leave(&txn->live, 0);
    *ret_txn = txn;
    return 0;
}

/* -- the keys that it has touched -- */

static struct item *find(struct varve_kv_txn *txn, uint64_t hash, const void *key, size_t key_bytes)
{
    size_t mask = txn->index_room - 1;

    for (size_t at = hash & mask; txn->index_room && txn->index[at]; at = (at + 1) & mask) {
        struct item *item = &txn->items[txn->index[at] - 1];

        if (item->hash == hash && item->key_bytes == key_bytes && memcmp(item->key, key, key_bytes) == 0)
            return item;
    }
    return NULL;
}

static void index_item(struct varve_kv_txn *txn, size_t number)
{
    size_t mask = txn->index_room - 1, at = txn->items[number].hash & mask;

    while (txn->index[at])
        at = (at + 1) & mask;
    txn->index[at] = (uint32_t)(number + 1);
}

static bool make_room(struct varve_kv_txn *txn)
{
    size_t room = txn->room ? txn->room * 2 : INDEX_FIRST;
    struct item *items;
    uint32_t *index;

    if (txn->count < txn->room)
        return true;
    if (room > UINT32_MAX / 2)
        return false;
    items = vv_realloc(txn->items, room * sizeof *items);
    if (!items)
        return false;
    txn->items = items;
    index = vv_alloc_array(room * 2, sizeof *index);
    if (!index)
        return false;
    vv_free(txn->index);
    txn->index = index;
    txn->room = room;
    txn->index_room = room * 2;
    for (size_t i = 0; i < txn->count; i++)
        index_item(txn, i);
    return true;
}

/* What the view has of it. *ret_next: a copy, for what is read once reads the same again. */
static bool look(struct varve_kv_txn *txn, struct item *item)
{
    struct vv_shard *shard = vv_kv_shard(txn->kv, item->hash);
    const struct vv_entry *e;
    bool good = true;

    pthread_mutex_lock(&shard->lock);
    e = vv_shard_view(shard, item->hash, item->key, item->key_bytes, txn->view.lsn);
    item->seen = e ? e->version : 0;
    item->depends = e ? e->version : vv_min_u64(shard->deleted_lsn, txn->view.lsn);
    /* Absent as of then; and whoever changes it changes the version that was seen. */
    if (e && vv_entry_is_over(e, txn->now_us))
        e = NULL;
    if (e) {
        item->seen_other = e->type != VV_ENTRY_VALUE;
        item->next = vv_entry_new(item->key, item->key_bytes, e->type, vv_entry_expires(e), vv_entry_value(e),
                                  e->value_bytes, NULL, 0);
        good = item->next != NULL;
    }
    if (good && item->next)
        item->next->version = e->version;
    pthread_mutex_unlock(&shard->lock);
    return good;
}

/* The item of a key, which is looked up when it is new. */
static int touch(struct varve_kv_txn *txn, const void *key, size_t key_bytes, struct item **ret_item)
{
    uint64_t hash;
    struct item *item;

    if (!vv_kv_key_is_good(key, key_bytes))
        return VARVE_E_INVALID;
    hash = vv_hash(txn->kv->secret, key, key_bytes);
    item = find(txn, hash, key, key_bytes);
    if (!item) {
        if (!txn->is_viewing)
            return VARVE_E_INVALID; /* its commit was tried: it is what it is */
        if (!make_room(txn))
            return VARVE_E_NOMEM;
        item = &txn->items[txn->count];
        *item = (struct item){.hash = hash, .key_bytes = (uint32_t)key_bytes, .key = vv_alloc(key_bytes)};
        if (!item->key)
            return VARVE_E_NOMEM;
        memcpy(item->key, key, key_bytes);
        vv_evict_hold(txn->kv, hash);
        if (!look(txn, item)) {
            vv_evict_release(txn->kv, hash);
            vv_free(item->key);
            return VARVE_E_NOMEM;
        }
        index_item(txn, txn->count++);
    }
    *ret_item = item;
    return 0;
}

int varve_kv_txn_get(struct varve_kv_txn *txn, const void *key, size_t key_bytes,
                     struct varve_kv_value *ret_value)
{
    struct item *item;
    uint64_t depends = 0;
    int rc = vv_live_enter(&txn->live);

    if (rc)
        return rc;
    rc = touch(txn, key, key_bytes, &item);
    if (rc == 0) {
        depends = item->written ? 0 : item->depends;
        item->tied = true;
        if (item->gather.bytes || (item->next && item->next->type == VV_ENTRY_STREAM))
            rc = VARVE_E_TYPE;
        else if (!item->next)
            rc = VARVE_E_NO_KEY;
        else if (!vv_kv_copy(ret_value, item->next))
            rc = VARVE_E_NOMEM;
    }
    vv_live_leave(&txn->live, 0);
    if (rc == 0 || rc == VARVE_E_NO_KEY) {
        int settled = vv_kv_settle(txn->kv, depends);

        rc = settled ? settled : rc;
    }
    return rc;
}

static size_t item_bytes(const struct item *item)
{
    if (!item->written)
        return 0;
    return 8 + (size_t)item->key_bytes + item->gather.bytes +
           (item->next ? item->next->value_bytes + vv_entry_key_at(item->next) : 0);
}

/* `next` is the transaction's from here on. */
static int change(struct varve_kv_txn *txn, const void *key, size_t key_bytes, struct vv_entry *next)
{
    struct item *item;
    uint64_t bytes;
    int rc = touch(txn, key, key_bytes, &item);

    if (rc == 0 && next && (item->gather.bytes || (item->seen_other && item->next)))
        rc = VARVE_E_TYPE;
    if (rc) {
        vv_free(next);
        return rc;
    }
    bytes = txn->bytes - item_bytes(item) + 8 + key_bytes +
            (next ? next->value_bytes + vv_entry_key_at(next) : 0);
    if (bytes > txn->kv->record_max) {
        vv_free(next);
        return VARVE_E_TOO_LARGE;
    }
    txn->bytes = bytes;
    vv_free(item->next);
    vv_gather_free(&item->gather);
    item->next = next;
    item->written = item->tied = true;
    return 0;
}

int varve_kv_txn_set(struct varve_kv_txn *txn, const void *key, size_t key_bytes, const void *value,
                     size_t value_bytes, uint64_t expires_us)
{
    struct vv_entry *next;
    int rc;

    if (!vv_kv_key_is_good(key, key_bytes) || (value_bytes > 0 && !value))
        return VARVE_E_INVALID;
    if (value_bytes > txn->kv->record_max)
        return VARVE_E_TOO_LARGE;
    rc = vv_live_enter(&txn->live);
    if (rc)
        return rc;
    next = vv_entry_new(key, key_bytes, VV_ENTRY_VALUE, expires_us, value, value_bytes, NULL, 0);
    rc = next ? change(txn, key, key_bytes, next) : VARVE_E_NOMEM;
    vv_live_leave(&txn->live, 0);
    return rc;
}

int varve_kv_txn_delete(struct varve_kv_txn *txn, const void *key, size_t key_bytes)
{
    int rc = vv_live_enter(&txn->live);

    if (rc)
        return rc;
    rc = change(txn, key, key_bytes, NULL);
    vv_live_leave(&txn->live, 0);
    return rc;
}

static int gather(struct varve_kv_txn *txn, const void *key, size_t key_bytes, const void *event,
                  size_t event_bytes)
{
    struct item *item;
    uint64_t bytes;
    int rc = touch(txn, key, key_bytes, &item);

    if (rc)
        return rc;
    if (item->next && (item->written || item->next->type != VV_ENTRY_STREAM)) {
        item->tied = true; /* for that is told */
        return VARVE_E_TYPE;
    }
    bytes = txn->bytes - item_bytes(item) + 8 + key_bytes + item->gather.bytes +
            vv_gather_more(&item->gather, event_bytes);
    if (bytes > txn->kv->record_max)
        return VARVE_E_TOO_LARGE;
    item->anew = item->anew || (item->written && item->gather.bytes == 0);
    if (!vv_gather_add(&item->gather, event, event_bytes))
        return VARVE_E_NOMEM;
    txn->bytes = bytes;
    item->written = true;
    vv_free(item->next);
    item->next = NULL;
    return 0;
}

int varve_kv_txn_stream_append(struct varve_kv_txn *txn, const void *key, size_t key_bytes, const void *event,
                               size_t event_bytes)
{
    int rc;

    if (key_bytes > VARVE_KV_STREAM_KEY_MAX || (event_bytes > 0 && !event))
        return VARVE_E_INVALID;
    if (event_bytes > txn->kv->record_max)
        return VARVE_E_TOO_LARGE;
    rc = vv_live_enter(&txn->live);
    if (rc)
        return rc;
    rc = gather(txn, key, key_bytes, event, event_bytes);
    vv_live_leave(&txn->live, 0);
    return rc;
}

void varve_kv_abort(struct varve_kv_txn *txn)
{
    if (!txn)
        return;
    vv_live_abort(&txn->live);
    vv_free(txn);
}

/* -- commit -- */

static int by_shard(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

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

/* Whether every key still stands where the transaction saw it. */
static int validate(struct varve_kv_txn *txn)
{
    for (size_t i = 0; i < txn->count; i++) {
        struct item *item = &txn->items[i];
        struct vv_shard *shard = vv_kv_shard(txn->kv, item->hash);

        item->before = vv_table_find(&shard->table, item->hash, item->key, item->key_bytes);
        if (VV_TOOTH(KV_READS_UNCHECKED) && !item->written)
            continue;
        if (item->tied && (item->before ? item->before->version : 0) != item->seen)
            return VARVE_E_CONFLICT;
        if (!item->tied && item->gather.bytes && item->before && item->before->type != VV_ENTRY_STREAM &&
            !vv_entry_is_over(item->before, vv_kv_now(txn->kv)))
            return VARVE_E_CONFLICT;
    }
    return 0;
}

/* Room in the tables, for all new keys of a shard together. */
static bool reserve_tables(struct varve_kv_txn *txn)
{
    size_t fresh = 0;

    for (size_t i = 0; i < txn->count; i++) {
        const struct item *item = &txn->items[i];
        struct vv_shard *shard = vv_kv_shard(txn->kv, item->hash);

        fresh += item->events.count + (item->written && item->next && !item->before);
        if (i + 1 < txn->count && vv_kv_shard(txn->kv, txn->items[i + 1].hash) == shard)
            continue;
        if (fresh > 0 && !vv_shard_reserve(shard, fresh))
            return false;
        fresh = 0;
    }
    return true;
}

/* Everything that could fail after the append. */
static int reserve(struct varve_kv_txn *txn)
{
    uint64_t before = 0, after = 0;

    for (size_t i = 0; i < txn->count; i++) {
        struct item *item = &txn->items[i];
        struct vv_shard *shard = vv_kv_shard(txn->kv, item->hash);

        if (!item->written)
            continue;
        item->op = (struct vv_op){.key = item->key, .key_bytes = item->key_bytes};
        if (item->gather.bytes && !vv_gather_next(txn->kv, &item->gather, item->anew ? NULL : item->before,
                                                  &item->op, &item->next, &item->events))
            return VARVE_E_NOMEM;
        before += item->before ? vv_entry_cost(item->before) + VV_ENTRY_SLOT : 0;
        after += (item->next ? vv_entry_cost(item->next) + VV_ENTRY_SLOT : 0) + item->events.cost;
        if (item->before && atomic_load(&txn->kv->view_count) > 0) {
            item->kept = vv_alloc(sizeof *item->kept);
            if (!item->kept || !vv_shard_can_keep(shard))
                return VARVE_E_NOMEM;
        }
    }
    if (!vv_kv_has_memory(txn->kv, before, after))
        return VARVE_E_MEMORY;
    return reserve_tables(txn) ? 0 : VARVE_E_NOMEM;
}

static int append(struct varve_kv_txn *txn, uint64_t *ret_lsn)
{
    struct varve_record record = {.type = VV_OP_RECORD, .flags = VARVE_RECORD_TXN};
    uint8_t *memory = vv_alloc(txn->bytes), *at = memory;
    int rc;

    if (!memory)
        return VARVE_E_NOMEM;
    for (size_t i = 0; i < txn->count; i++) {
        struct item *item = &txn->items[i];
        struct vv_op op = {.kind = VV_OP_DELETE, .key = item->key, .key_bytes = item->key_bytes};

        if (!item->written || (!item->next && !item->before))
            continue;
        if (item->gather.bytes) {
            op = item->op;
        } else if (item->next) {
            op.kind = VV_OP_SET;
            op.expires_us = vv_entry_expires(item->next);
            op.value = vv_entry_value(item->next);
            op.value_bytes = item->next->value_bytes;
        }
        at = vv_op_put(&op, at);
    }
    record.data = memory;
    record.data_bytes = (size_t)(at - memory);
    record.txn_id = txn->live.group.id;
    memcpy(record.origin, txn->live.group.origin, sizeof record.origin);
    *ret_lsn = 0;
    rc = at == memory ? 0 : varve_append_async(txn->kv->log, &record, ret_lsn);
    vv_free(memory);
    return rc;
}

/* Under the locks of all: who has read one of its keys as it is now finds the others so too. */
static void apply(struct varve_kv_txn *txn, uint64_t lsn)
{
    if (!VV_TOOTH(KV_HALF_SHOWN))
        each_lock(txn, pthread_mutex_lock);
    for (size_t i = 0; i < txn->count; i++) {
        struct item *item = &txn->items[i];

        if (!item->written || (!item->next && !item->before))
            continue;
        (VV_TOOTH(KV_HALF_SHOWN) ? vv_shard_change : vv_shard_change_locked)(
            txn->kv, vv_kv_shard(txn->kv, item->hash), item->hash, item->before, item->next, lsn, item->kept);
        vv_events_put(txn->kv, vv_kv_shard(txn->kv, item->hash), item->hash, &item->events, lsn);
        item->next = NULL;
        item->kept = NULL;
        if (VV_TOOTH(KV_HALF_SHOWN))
            (void)sched_yield();
    }
    if (!VV_TOOTH(KV_HALF_SHOWN))
        each_lock(txn, pthread_mutex_unlock);
}

/* live.lock is held. */
static int commit(struct varve_kv_txn *txn, uint64_t *ret_lsn)
{
    int rc;

    qsort(txn->items, txn->count, sizeof *txn->items, by_shard);
    memset(txn->index, 0, txn->index_room * sizeof *txn->index);
    for (size_t i = 0; i < txn->count; i++)
        index_item(txn, i);
    each_order(txn, pthread_mutex_lock);
    set_inflight(txn, varve_last_lsn(txn->kv->log) + 1);
    rc = validate(txn);
    if (rc == 0)
        rc = reserve(txn);
    if (rc == 0)
        rc = append(txn, ret_lsn);
    if (VV_TOOTH(KV_VIEW_TOO_NEW))
        (void)sched_yield(); /* so that the moment is met more often */
    if (rc == 0)
        apply(txn, *ret_lsn);
    set_inflight(txn, 0);
    each_order(txn, pthread_mutex_unlock);
    for (size_t i = 0; i < txn->count; i++) {
        struct item *item = &txn->items[i];

        vv_free(item->kept);
        item->kept = NULL;
        vv_events_free(&item->events);
        if (item->gather.bytes) {
            vv_free(item->next); /* made for this attempt */
            item->next = NULL;
        }
    }
    return rc;
}

/* What was read counts as told when it was read; what was written is waited for. */
int varve_kv_commit(struct varve_kv_txn *txn, uint32_t flags, uint64_t *ret_lsn)
{
    struct varve_kv *kv = txn->kv;
    uint64_t lsn = 0, bytes = txn->bytes;
    int rc;

    if (flags & ~(uint32_t)VARVE_KV_NO_WAIT)
        return VARVE_E_INVALID;
    rc = vv_live_enter(&txn->live);
    if (rc)
        return rc;
    /* The view has done its work: what it saw is in the items, and nothing need be kept for it. */
    stop_viewing(txn);
    rc = txn->count ? commit(txn, &lsn) : 0;
    /* Keys that it has touched are held: others go. */
    for (int i = 0; rc == VARVE_E_MEMORY && kv->evicts && i < EVICT_TRIES; i++) {
        rc = vv_evict(kv, txn->bytes + txn->count * 4 * (uint64_t)(VV_ENTRY_AROUND + VV_ENTRY_SLOT));
        if (rc)
            break;
        rc = commit(txn, &lsn);
    }
    if (rc) {
        if (rc == VARVE_E_CONFLICT)
            atomic_fetch_add(&kv->conflicts, 1);
        vv_live_leave(&txn->live, rc);
        return rc;
    }
    rc = (flags & VARVE_KV_NO_WAIT) ? 0 : vv_kv_settle(kv, lsn);
    if (rc) {
        vv_live_leave(&txn->live, rc);
        return rc;
    }
    size_t count = txn->count;
    forget(&txn->live);
    vv_live_committed(&txn->live, count, bytes);
    vv_free(txn);
    if (ret_lsn)
        *ret_lsn = lsn;
    return 0;
}
