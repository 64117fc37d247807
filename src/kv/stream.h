/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: a key with events behind it, each an entry of its own, in the same shard. The key's entry says
 * which events there are; an event that it does not name is none, and is not there but while a snapshot is
 * replayed upon.
 */
#ifndef VV_KV_STREAM_H
#define VV_KV_STREAM_H

#include "kv/engine.h"

enum {
    VV_STREAM_BYTES = 24,
    VV_STREAM_KEY_MAX = VARVE_KV_KEY_MAX - VV_EVENT_POSITION,
};

/* The value of a stream's entry: u64 each. */
struct vv_stream {
    uint64_t first, next; /* the events are first ... next - 1; 1 <= first <= next */
    uint64_t born;        /* the LSN of its first record; 0 until that has one */
};

struct vv_stream vv_stream_get(const struct vv_entry *entry);

/* Of an entry that nobody else knows yet: its record has an LSN. */
void vv_stream_bear(struct vv_entry *entry, uint64_t lsn);

/* Whether an entry out of a file may be what it says. */
bool vv_stream_is_sound(const struct vv_entry *entry);

/* What EVENTS and TRIM make of a stream's entry. NULL: no memory. */
struct vv_entry *vv_stream_next(const struct vv_entry *before, const struct vv_op *op);

/* Events that will be in a table, made before their record is appended. */
struct vv_events {
    struct vv_entry **entries;
    size_t count;
    uint64_t cost;
};

/* Those of EVENTS; none for another operation. False: no memory. */
bool vv_events_make(const struct vv_op *op, struct vv_events *ret_events);
/* Frees those that are in no table. */
void vv_events_free(struct vv_events *events);
/* Puts them into the table: room is reserved, `lock` is held, and the stream's entry is there already. What
 * it does not name, or what is there with a higher version, is left out. */
void vv_events_put(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash, struct vv_events *events,
                   uint64_t lsn);

/* Events that are gathered before it is known where they will stand. Zero it before its first use. */
struct vv_gather {
    uint8_t *value; /* of EVENTS, its position not yet said */
    size_t bytes, room;
};

bool vv_gather_add(struct vv_gather *gather, const void *data, size_t bytes);
/* How many bytes more it would have. */
size_t vv_gather_more(const struct vv_gather *gather, size_t bytes);
/* The operation that puts them behind the stream `before`, or begins one where that is NULL. */
void vv_gather_op(struct vv_gather *gather, const struct vv_entry *before, struct vv_op *op);
/* The same where `before` may be anything, with what comes of it. What was made before a failure is the
 * caller's too. False: no memory. */
bool vv_gather_next(struct varve_kv *kv, struct vv_gather *gather, const struct vv_entry *before,
                    struct vv_op *op, struct vv_entry **ret_next, struct vv_events *ret_events);
void vv_gather_free(struct vv_gather *gather);

/* Removes the events that `before`, a stream, names and `next` (NULL: nothing) does not. `lock` is held. */
void vv_stream_cut(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash, const struct vv_entry *before,
                   const struct vv_entry *next);

/* After replay: removes events that no stream names, and sees whether all are there that one names. Errors:
 * CORRUPT. */
int vv_streams_settle(struct varve_kv *kv, struct varve_error *ret_error);

#endif
