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
    vv_free(txn->filter);
    txn->items = NULL;
    txn->index = NULL;
    txn->filter = NULL;
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

static size_t item_bytes(const struct vv_item *item)
{
    if (!item->written)
        return 0;
    return 8 + (size_t)item->key_bytes + item->gather.bytes +
           (item->next ? item->next->value_bytes + vv_entry_key_at(item->next) : 0);
}

/* What it takes until it is streamed, with its part of an array that is grown by doubling. */
static uint64_t item_memory(size_t key_bytes, const struct vv_entry *next)
{
    return 2 * (sizeof(struct vv_item) + 2 * sizeof(uint32_t)) + VV_ENTRY_AROUND + key_bytes +
           (next ? vv_entry_cost(next) : 0);
}

/* What it has streamed of it itself counts. Who writes it only wants to know whether it is a lock. */
static int look_again(struct varve_kv_txn *txn, struct vv_item *item, bool reads)
{
    int rc;

    if (!vv_spill_may_have(txn, item->hash) || !(reads || (item->seen_other && item->next)))
        return 0;
    rc = vv_spill_find(txn, item);
    if (rc == 0 && item->written) {
        item->tied = true;
        txn->bytes += item_bytes(item);
        txn->memory += item_memory(item->key_bytes, item->next);
    }
    return rc;
}

/* The item of a key, which is looked up when it is new. */
static int touch(struct varve_kv_txn *txn, const void *key, size_t key_bytes, bool reads,
                 struct vv_item **ret_item)
{
    uint64_t hash;
    struct vv_item *item;
    int rc;

    if (!vv_kv_key_is_good(key, key_bytes))
        return VARVE_E_INVALID;
    hash = vv_hash(txn->kv->secret, key, key_bytes);
    item = vv_txn_find(txn, hash, key, key_bytes);
    if (!item) {
        if (!txn->is_viewing)
            return VARVE_E_INVALID; /* its commit was tried: it is what it is */
        if (!vv_txn_make_room(txn))
            return VARVE_E_NOMEM;
        item = &txn->items[txn->count];
        *item = (struct vv_item){.hash = hash, .key_bytes = (uint32_t)key_bytes, .key = vv_alloc(key_bytes)};
        if (!item->key)
            return VARVE_E_NOMEM;
        memcpy(item->key, key, key_bytes);
        vv_evict_hold(txn->kv, hash);
        rc = look(txn, item);
        if (rc == 0)
            rc = look_again(txn, item, reads);
        if (rc) {
            vv_evict_release(txn->kv, hash);
            vv_free(item->key);
            vv_free(item->next);
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
    rc = touch(txn, key, key_bytes, true, &item);
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

/* What has to do with event streams is not streamed into the log: it stays one record. */
static int stay(struct varve_kv_txn *txn)
{
    txn->stays = !vv_group_is_begun(&txn->live.group);
    return txn->stays ? 0 : VARVE_E_TOO_LARGE;
}

/* `next` is the transaction's from here on. */
static int change(struct varve_kv_txn *txn, const void *key, size_t key_bytes, struct vv_entry *next)
{
    uint64_t bytes = 8 + key_bytes + (next ? next->value_bytes + vv_entry_key_at(next) : 0);
    uint64_t memory = item_memory(key_bytes, next);
    struct vv_item *item;
    int rc = vv_spill_make_room(txn, bytes, memory);

    if (rc == 0)
        rc = touch(txn, key, key_bytes, false, &item);
    if (rc == 0 && next && (item->gather.bytes || (item->seen_other && item->next)))
        rc = VARVE_E_TYPE;
    if (rc == 0 && txn->bytes - item_bytes(item) + bytes > txn->kv->record_max)
        rc = VARVE_E_TOO_LARGE;
    if (rc == 0 && item->next && item->next->type == VV_ENTRY_STREAM)
        rc = stay(txn);
    if (rc) {
        vv_free(next);
        return rc;
    }
    txn->bytes += bytes - item_bytes(item);
    txn->memory += memory - (item->written ? item_memory(key_bytes, item->next) : 0);
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
    vv_live_leave(&txn->live, rc);
    return rc;
}

int varve_kv_txn_delete(struct varve_kv_txn *txn, const void *key, size_t key_bytes)
{
    int rc;

    if (!vv_kv_key_is_good(key, key_bytes))
        return VARVE_E_INVALID;
    rc = vv_live_enter(&txn->live);
    if (rc)
        return rc;
    rc = change(txn, key, key_bytes, NULL);
    vv_live_leave(&txn->live, rc);
    return rc;
}

static int gather(struct varve_kv_txn *txn, const void *key, size_t key_bytes, const void *event,
                  size_t event_bytes)
{
    struct vv_item *item;
    uint64_t bytes;
    int rc = stay(txn);

    if (rc == 0)
        rc = touch(txn, key, key_bytes, false, &item);

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
