/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: the events of a key.
 *
 * In: operations on streams. Out: the entry of the stream, and one for each event.
 *
 * A snapshot is made while writes go on, so it may have a stream's entry as it was before an event came, and
 * the event, or the other way round. An operation says at which position its events stand, so replay puts
 * each where it belongs, however often, and what is left at the end that no stream names had been removed.
 */
#include "kv/stream.h"

#include "base/alloc.h"
#include "base/error.h"

enum {
    ORPHANS_AT_ONCE = 64
};

struct vv_stream vv_stream_get(const struct vv_entry *entry)
{
    const uint8_t *at = vv_entry_value(entry);

    return (struct vv_stream){vv_get_u64(at), vv_get_u64(at + 8), vv_get_u64(at + 16)};
}

void vv_stream_bear(struct vv_entry *entry, uint64_t lsn)
{
    uint8_t *born = entry->bytes + vv_entry_key_at(entry) + entry->key_bytes + 16;

    if (vv_get_u64(born) == 0)
        vv_put_u64(born, lsn);
}

bool vv_stream_is_sound(const struct vv_entry *entry)
{
    const uint8_t *at = vv_entry_value(entry);

    if (entry->type == VV_ENTRY_EVENT)
        return entry->key_bytes > VV_EVENT_POSITION && !(entry->flags & VV_ENTRY_EXPIRES);
    if (entry->type != VV_ENTRY_STREAM)
        return true;
    return entry->value_bytes == VV_STREAM_BYTES && entry->key_bytes <= VV_STREAM_KEY_MAX &&
           vv_get_u64(at) >= 1 && vv_get_u64(at) <= vv_get_u64(at + 8) && vv_get_u64(at + 16) >= 1;
}

static uint64_t count_events(const struct vv_op *op)
{
    const uint8_t *at = (const uint8_t *)op->value + VV_OP_POSITION,
                  *end = (const uint8_t *)op->value + op->value_bytes;
    uint64_t count = 0;
    const void *data;
    size_t bytes;

    while (vv_op_event(&at, end, &data, &bytes))
        count++;
    return count;
}

struct vv_entry *vv_stream_next(const struct vv_entry *before, const struct vv_op *op)
{
    bool goes_on = before && before->type == VV_ENTRY_STREAM && !op->is_new;
    uint64_t position = vv_get_u64(op->value), expires_us = op->expires_us;
    struct vv_stream s = {.first = position};
    uint8_t value[VV_STREAM_BYTES];

    if (goes_on) {
        s = vv_stream_get(before);
        expires_us = vv_entry_expires(before);
    }
    if (op->kind == VV_OP_EVENTS)
        s.next = position + count_events(op);
    else
        s.first = vv_min_u64(vv_max_u64(position, s.first), s.next);
    s.next = vv_max_u64(s.first, s.next);
    vv_put_u64(value, s.first);
    vv_put_u64(value + 8, s.next);
    vv_put_u64(value + 16, s.born);
    return vv_entry_new(op->key, op->key_bytes, VV_ENTRY_STREAM, expires_us, value, sizeof value, NULL, 0);
}

/* -- events -- */

bool vv_events_make(const struct vv_op *op, struct vv_events *ret_events)
{
    struct vv_events events = {.entries = NULL};
    const uint8_t *at, *end;
    const void *data;
    uint64_t position;
    size_t bytes;

    *ret_events = events;
    if (op->kind != VV_OP_EVENTS)
        return true;
    at = op->value;
    end = at + op->value_bytes;
    position = vv_get_u64(at);
    at += VV_OP_POSITION;
    events.entries = vv_alloc_array(count_events(op), sizeof(struct vv_entry *));
    if (!events.entries)
        return false;
    while (vv_op_event(&at, end, &data, &bytes)) {
        struct vv_entry *e = vv_entry_event(op->key, op->key_bytes, position + events.count, data, bytes);

        if (!e) {
            vv_events_free(&events);
            return false;
        }
        events.entries[events.count++] = e;
        events.cost += vv_entry_cost(e) + VV_ENTRY_SLOT;
    }
    *ret_events = events;
    return true;
}

void vv_events_free(struct vv_events *events)
{
    for (size_t i = 0; i < events->count; i++)
        vv_free(events->entries[i]);
    vv_free(events->entries);
    *events = (struct vv_events){.entries = NULL};
}

size_t vv_gather_more(const struct vv_gather *g, size_t bytes)
{
    return (g->bytes ? 0u : (size_t)VV_OP_POSITION) + 4 + bytes;
}

bool vv_gather_add(struct vv_gather *g, const void *data, size_t bytes)
{
    size_t all = g->bytes + vv_gather_more(g, bytes);
    uint8_t *value = g->value;

    if (all > g->room) {
        value = vv_realloc(value, all * 2);
        if (!value)
            return false;
        g->value = value;
        g->room = all * 2;
    }
    vv_put_u32(value + all - bytes - 4, (uint32_t)bytes);
    if (bytes)
        memcpy(value + all - bytes, data, bytes);
    g->bytes = all;
    return true;
}

void vv_gather_op(struct vv_gather *g, const struct vv_entry *before, struct vv_op *op)
{
    vv_put_u64(g->value, before ? vv_stream_get(before).next : 1);
    op->kind = VV_OP_EVENTS;
    op->is_new = !before;
    op->expires_us = 0;
    op->value = g->value;
    op->value_bytes = g->bytes;
}

bool vv_gather_next(struct varve_kv *kv, struct vv_gather *g, const struct vv_entry *before, struct vv_op *op,
                    struct vv_entry **ret_next, struct vv_events *ret_events)
{
    if (before && (before->type != VV_ENTRY_STREAM || vv_entry_is_over(before, vv_kv_now(kv))))
        before = NULL;
    vv_gather_op(g, before, op);
    return vv_op_apply(before, op, ret_next) && vv_events_make(op, ret_events);
}

void vv_gather_free(struct vv_gather *g)
{
    vv_free(g->value);
    *g = (struct vv_gather){.value = NULL};
}

static bool names(const struct vv_entry *head, uint64_t position)
{
    struct vv_stream s;

    if (!head || head->type != VV_ENTRY_STREAM)
        return false;
    s = vv_stream_get(head);
    return position >= s.first && position < s.next;
}

static const void *key_of(const struct vv_entry *event, size_t *ret_bytes)
{
    *ret_bytes = event->key_bytes - (size_t)VV_EVENT_POSITION;
    return vv_entry_key(event);
}

/* The entry of an event's stream. */
static const struct vv_entry *head_of(const struct vv_shard *shard, uint64_t hash,
                                      const struct vv_entry *event)
{
    size_t bytes;
    const void *key = key_of(event, &bytes);

    return vv_table_find(&shard->table, hash, key, bytes);
}

void vv_events_put(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash, struct vv_events *events,
                   uint64_t lsn)
{
    const struct vv_entry *head = events->count ? head_of(shard, hash, events->entries[0]) : NULL;

    for (size_t i = 0; i < events->count; i++) {
        struct vv_entry *e = events->entries[i], *there;
        uint64_t position = vv_entry_position(e);
        size_t key_bytes;
        const void *key = key_of(e, &key_bytes);

        if (!names(head, position))
            continue;
        there = vv_table_find_event(&shard->table, hash, key, key_bytes, position);
        if (there && there->version > lsn)
            continue;
        vv_shard_change_locked(kv, shard, vv_hash_event(hash, position), there, e, lsn, NULL);
        events->entries[i] = NULL;
    }
}

/* -- removing -- */

static void remove_event(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash, struct vv_entry *event)
{
    vv_shard_change_locked(kv, shard, hash, event, NULL, event->version, NULL);
}

struct sweep {
    struct varve_kv *kv;
    struct vv_shard *shard;
    struct vv_entry *orphans[ORPHANS_AT_ONCE];
    size_t count;
    uint64_t named; /* events that streams name */
};

static void look_at(void *arg, struct vv_entry *e)
{
    struct sweep *sweep = arg;
    uint64_t hash;
    size_t bytes;
    const void *key;

    if (e->type == VV_ENTRY_STREAM) {
        const struct vv_stream s = vv_stream_get(e);

        sweep->named += s.next - s.first;
    }
    if (e->type != VV_ENTRY_EVENT || sweep->count == ORPHANS_AT_ONCE)
        return;
    key = key_of(e, &bytes);
    hash = vv_hash(sweep->kv->secret, key, bytes);
    if (!names(vv_table_find(&sweep->shard->table, hash, key, bytes), vv_entry_position(e)))
        sweep->orphans[sweep->count++] = e;
}

/* Removes all events of the shard that no stream names. */
static void sweep_shard(struct sweep *sweep)
{
    struct vv_table *table = &sweep->shard->table;

    for (uint64_t place = 0; place < VV_PLACE_END;) {
        uint64_t named = sweep->named, next = vv_table_walk(table, place, look_at, sweep);
        bool again = sweep->count == ORPHANS_AT_ONCE;

        for (size_t i = 0; i < sweep->count; i++)
            remove_event(sweep->kv, sweep->shard, vv_table_hash(table, sweep->orphans[i]), sweep->orphans[i]);
        sweep->count = 0;
        if (again)
            sweep->named = named;
        else
            place = next;
    }
}

void vv_stream_cut(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash, const struct vv_entry *before,
                   const struct vv_entry *next)
{
    struct vv_stream old = vv_stream_get(before), s = {.first = old.next};

    if (next && next->type == VV_ENTRY_STREAM) {
        s = vv_stream_get(next);
        if (s.born != old.born)
            s.first = old.next;
    }
    s.first = vv_min_u64(s.first, old.next);
    /* More than there are at all: a snapshot that has the stream from after its events were gone. */
    if (s.first > old.first && s.first - old.first > shard->table.count) {
        struct sweep sweep = {.kv = kv, .shard = shard};

        sweep_shard(&sweep);
        return;
    }
    for (uint64_t position = old.first; position < s.first; position++) {
        struct vv_entry *event =
            vv_table_find_event(&shard->table, hash, vv_entry_key(before), before->key_bytes, position);

        if (event)
            remove_event(kv, shard, vv_hash_event(hash, position), event);
    }
}

int vv_streams_settle(struct varve_kv *kv, struct varve_error *ret_error)
{
    for (uint32_t i = 0; i < kv->shard_count; i++) {
        struct vv_shard *shard = &kv->shards[i];
        struct sweep sweep = {.kv = kv, .shard = shard};

        if (atomic_load(&shard->events) == 0 && atomic_load(&shard->streams) == 0)
            continue;
        pthread_mutex_lock(&shard->lock);
        sweep_shard(&sweep);
        pthread_mutex_unlock(&shard->lock);
        if (sweep.named != atomic_load(&shard->events))
            return vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                                "of %llu events that streams name %llu are there",
                                (unsigned long long)sweep.named,
                                (unsigned long long)atomic_load(&shard->events));
    }
    return 0;
}
