/* SPDX-License-Identifier: Apache-2.0 */
/* items: the keys that a transaction has touched, found again by their hashes. */
#include "base/alloc.h"
#include "kv/txn.h"

enum {
    INDEX_FIRST = 16
};

struct vv_item *vv_txn_find(struct varve_kv_txn *txn, uint64_t hash, const void *key, size_t key_bytes)
{
    size_t mask = txn->index_room - 1;

    for (size_t at = hash & mask; txn->index_room && txn->index[at]; at = (at + 1) & mask) {
        struct vv_item *item = &txn->items[txn->index[at] - 1];

        if (vv_item_is(item, hash, key, key_bytes))
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

void vv_txn_index(struct varve_kv_txn *txn)
{
    memset(txn->index, 0, txn->index_room * sizeof *txn->index);
    for (size_t i = 0; i < txn->count; i++)
        vv_txn_index_item(txn, i);
}

bool vv_txn_make_room(struct varve_kv_txn *txn)
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
