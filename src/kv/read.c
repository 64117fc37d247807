/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read: keys out of memory, one by one or all of them in turn.
 *
 * In: a key, or a cursor. Out: copies, made under the shard's `lock`, which writers hold for a moment only,
 * and given when what they come from is durable.
 *
 * A cursor is the number of a shard and, below it, a place in its table (table.h). Over an environment
 * store.c reads what is not in memory, and store_scan.c fills pages.
 */
#include "base/alloc.h"
#include "kv/evict.h"
#include "kv/store.h"
#include "kv/stream.h"

void varve_kv_value_free(struct varve_kv_value *value)
{
    vv_free(value->data);
    *value = (struct varve_kv_value){.data = NULL};
}

static bool make_room(struct varve_kv_value *to, size_t bytes)
{
    void *data;

    if (bytes <= to->room)
        return true;
    data = vv_realloc(to->data, bytes);
    if (!data)
        return false;
    to->data = data;
    to->room = bytes;
    return true;
}

bool vv_kv_copy_stored(struct varve_kv_value *to, const struct vv_stored *stored, uint64_t offset,
                       size_t bytes)
{
    offset = vv_min_u64(offset, stored->value_bytes);
    bytes = (size_t)vv_min_u64(bytes, stored->value_bytes - offset);
    if (!make_room(to, bytes))
        return false;
    if (bytes)
        memcpy(to->data, stored->value + offset, bytes);
    to->bytes = bytes;
    to->version = stored->version;
    to->expires_us = stored->expires_us;
    to->is_lock = stored->type == VV_ENTRY_LOCK;
    return true;
}

bool vv_kv_copy(struct varve_kv_value *to, const struct vv_entry *entry)
{
    /* What a stream holds is in its events. */
    return vv_kv_copy_part(to, entry, 0, entry->type == VV_ENTRY_STREAM ? 0 : entry->value_bytes);
}

bool vv_kv_copy_part(struct varve_kv_value *to, const struct vv_entry *entry, uint64_t offset, size_t bytes)
{
    const struct vv_stored stored = vv_stored_of(entry);

    return vv_kv_copy_stored(to, &stored, offset, bytes);
}

int varve_kv_get(struct varve_kv *kv, const void *key, size_t key_bytes, struct varve_kv_value *ret_value)
{
    struct vv_shard *shard;
    struct vv_entry *e;
    uint64_t hash, lsn;
    bool is_recent;
    int rc = 0, settled;

    if (!vv_kv_key_is_good(key, key_bytes))
        return VARVE_E_INVALID;
    hash = vv_hash(kv->secret, key, key_bytes);
    shard = vv_kv_shard(kv, hash);
    pthread_mutex_lock(&shard->lock);
    e = vv_table_find(&shard->table, hash, key, key_bytes);
    e = vv_kv_seen(vv_kv_hidden(kv), shard, e, hash, key, key_bytes);
    /* That it is not there depends on the record that removed it, which was that of the shard's last removal
     * or one before. */
    lsn = e ? e->version : shard->deleted_lsn;
    is_recent = e || !kv->env;
    if (!e || vv_entry_is_gone(e) || ((e->flags & VV_ENTRY_EXPIRES) && vv_entry_is_over(e, vv_kv_now(kv))))
        rc = VARVE_E_NO_KEY;
    else if (e->type == VV_ENTRY_STREAM)
        rc = VARVE_E_TYPE;
    else if (!vv_kv_copy(ret_value, e))
        rc = VARVE_E_NOMEM;
    if (rc == 0)
        vv_evict_use(kv, e);
    pthread_mutex_unlock(&shard->lock);
    /* What an environment has is durable. */
    if (!is_recent)
        rc = vv_store_get(kv, hash, key, key_bytes, 0, SIZE_MAX, ret_value);
    settled = rc == 0 || rc == VARVE_E_NO_KEY || rc == VARVE_E_TYPE ? vv_kv_settle(kv, lsn) : 0;
    return settled ? settled : rc;
}

uint64_t varve_kv_count(struct varve_kv *kv)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < kv->shard_count; i++)
        count += atomic_load_explicit(&kv->shards[i].count, memory_order_relaxed);
    return count;
}

/* -- scanning -- */

struct walk {
    const struct vv_shard *shard; /* being read */
    uint64_t hidden;
    struct vv_page *page;
};

static void add_seen(void *arg, struct vv_entry *e)
{
    struct walk *walk = arg;

    /* A hash is not had for nothing. */
    if (e->version == walk->hidden && e->type != VV_ENTRY_EVENT)
        e = vv_kv_seen(walk->hidden, walk->shard, e, vv_table_hash(&walk->shard->table, e), vv_entry_key(e),
                       e->key_bytes);
    if (e)
        vv_page_add(walk->page, e);
}

/* Fills a page from *cursor on. */
static int read_page(struct varve_kv *kv, struct vv_page *page, uint64_t *cursor, size_t limit)
{
    uint64_t number = *cursor >> VV_PLACE_BITS, place = *cursor & (VV_PLACE_END - 1);

    while (number < kv->shard_count && page->count < limit && !page->full) {
        struct vv_shard *shard = &kv->shards[number];
        struct walk walk = {.shard = shard, .page = page};

        pthread_mutex_lock(&shard->lock);
        walk.hidden = vv_kv_hidden(kv);
        /* A shard at a time is left again, so that no writer waits for more than a few buckets. */
        for (int i = 0; i < 16 && place < VV_PLACE_END && page->count < limit && !page->full; i++)
            place = vv_table_walk(&shard->table, place, add_seen, &walk);
        page->lsn = shard->deleted_lsn > page->lsn ? shard->deleted_lsn : page->lsn;
        pthread_mutex_unlock(&shard->lock);
        if (place == VV_PLACE_END) {
            number++;
            place = 0;
        }
    }
    *cursor = number < kv->shard_count ? number << VV_PLACE_BITS | place : VARVE_KV_SCAN_END;
    return page->full ? VARVE_E_NOMEM : 0;
}

static int give_page(const struct vv_page *page, varve_kv_entry_fn fn, void *arg)
{
    int rc = 0;

    const struct vv_entry *e;
    size_t at = 0;

    while (rc == 0 && (e = vv_page_next(page, &at)) != NULL) {
        struct varve_kv_entry entry = {
            .key = vv_entry_key(e),
            .key_bytes = e->key_bytes,
            .value = vv_entry_value(e),
            .value_bytes = e->value_bytes,
            .version = e->version,
            .expires_us = vv_entry_expires(e),
            .is_lock = e->type == VV_ENTRY_LOCK,
        };

        if (e->type == VV_ENTRY_STREAM) {
            const struct vv_stream s = vv_stream_get(e);

            entry.value_bytes = 0;
            entry.is_stream = 1;
            entry.first = s.first;
            entry.next = s.next;
        }
        rc = fn(arg, &entry);
    }
    return rc;
}

int varve_kv_scan(struct varve_kv *kv, uint64_t *cursor, size_t limit, varve_kv_entry_fn fn, void *arg)
{
    struct vv_page page = {.now_us = vv_kv_now(kv)};
    uint64_t next = *cursor;
    int rc;

    if (next != VARVE_KV_SCAN_END && next >> VV_PLACE_BITS >= kv->shard_count)
        return VARVE_E_INVALID;
    if (next == VARVE_KV_SCAN_END)
        return 0;
    rc = kv->env ? vv_store_page(kv, &page, &next, limit ? limit : 1)
                 : read_page(kv, &page, &next, limit ? limit : 1);
    if (rc == 0)
        rc = vv_kv_settle(kv, page.lsn);
    if (rc == 0)
        rc = give_page(&page, fn, arg);
    vv_page_free(&page);
    if (rc == 0)
        *cursor = next;
    return rc;
}
