/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn: several keys at once, seen as of one moment, changed at one moment.
 *
 * In: reads and writes of a caller. Out: one record, and one change in memory under the locks of all shards
 * that it touches, if every key still stands where the transaction saw it.
 *
 * It remembers of each key that it has touched which version it saw; 0 is "nothing there". commit.c compares.
 */

#include "kv/txn.h"
#include "base/alloc.h"
#include "kv/evict.h"
#include "varve/stream.h"

enum {
    INDEX_FIRST = 16
};

void vv_txn_stop_viewing(struct varve_kv_txn *txn)
{
    if (txn->is_viewing)
        vv_view_close(txn->kv, &txn->view);
    txn->is_viewing = false;
}

void vv_txn_forget(struct vv_live *live)
{
    struct varve_kv_txn *txn = (struct varve_kv_txn *)live;

    vv_txn_stop_viewing(txn);
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
    rc = vv_live_begin(kv->txns, limit_ms, vv_txn_forget, &txn->live);
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

static struct vv_item *find(struct varve_kv_txn *txn, uint64_t hash, const void *key, size_t key_bytes)
{
    size_t mask = txn->index_room - 1;

    for (size_t at = hash & mask; txn->index_room && txn->index[at]; at = (at + 1) & mask) {
        struct vv_item *item = &txn->items[txn->index[at] - 1];

        if (item->hash == hash && item->key_bytes == key_bytes && memcmp(item->key, key, key_bytes) == 0)
            return item;
    }
    return NULL;
}

void vv_txn_index_item(struct varve_kv_txn *txn, size_t number)
{
    size_t mask = txn->index_room - 1, at = txn->items[number].hash & mask;

    while (txn->index[at])
        at = (at + 1) & mask;
    txn->index[at] = (uint32_t)(number + 1);
}

static bool make_room(struct varve_kv_txn *txn)
{
    size_t room = txn->room ? txn->room * 2 : INDEX_FIRST;
    struct vv_item *items;
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
        vv_txn_index_item(txn, i);
    return true;
}

/* What the view has of it, as a copy, for what is read once reads the same again. */
static int look(struct varve_kv_txn *txn, struct vv_item *item)
{
    struct vv_entry *e;
    int rc =
        vv_store_view(txn->kv, item->hash, item->key, item->key_bytes, txn->view.lsn, &e, &item->depends);

    if (rc)
        return rc;
    item->seen = e ? e->version : 0;
    /* Absent as of then; and whoever changes it changes the version that was seen. */
    if (e && vv_entry_is_over(e, txn->now_us)) {
        vv_free(e);
        e = NULL;
    }
    item->seen_other = e && e->type != VV_ENTRY_VALUE;
    item->next = e;
    return 0;
}

/* The item of a key, which is looked up when it is new. */
static int touch(struct varve_kv_txn *txn, const void *key, size_t key_bytes, struct vv_item **ret_item)
{
    uint64_t hash;
    struct vv_item *item;

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
        *item = (struct vv_item){.hash = hash, .key_bytes = (uint32_t)key_bytes, .key = vv_alloc(key_bytes)};
        if (!item->key)
            return VARVE_E_NOMEM;
        memcpy(item->key, key, key_bytes);
        vv_evict_hold(txn->kv, hash);
        int rc = look(txn, item);

        if (rc) {
            vv_evict_release(txn->kv, hash);
            vv_free(item->key);
            return rc;
        }
        vv_txn_index_item(txn, txn->count++);
    }
    *ret_item = item;
    return 0;
}

int varve_kv_txn_get(struct varve_kv_txn *txn, const void *key, size_t key_bytes,
                     struct varve_kv_value *ret_value)
{
    struct vv_item *item;
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

static size_t item_bytes(const struct vv_item *item)
{
    if (!item->written)
        return 0;
    return 8 + (size_t)item->key_bytes + item->gather.bytes +
           (item->next ? item->next->value_bytes + vv_entry_key_at(item->next) : 0);
}

/* `next` is the transaction's from here on. */
static int change(struct varve_kv_txn *txn, const void *key, size_t key_bytes, struct vv_entry *next)
{
    struct vv_item *item;
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
    struct vv_item *item;
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
    if (txn->kv->env)
        return VARVE_E_UNSUPPORTED;
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
