/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of events in a key-value engine (varve/kv.h): a key with events behind it, each appended once and
 * never changed. An event has a position: the first one of a stream has 1, and each that comes one more. In
 * the library varvekv.
 *
 * A stream is made by its first event, and ends by varve_kv_delete, or when it expires (varve_kv_expire). It
 * may be without events, when all were trimmed. Its key has 1 to VARVE_KV_STREAM_KEY_MAX bytes. Trimming and
 * deleting take a time that grows with the events that go, in which others wait for keys of the same shard.
 *
 * Nobody is told what could be lost, and threads: as in varve/kv.h.
 */
#ifndef VARVE_STREAM_H
#define VARVE_STREAM_H

#include "varve/kv.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VARVE_KV_STREAM_KEY_MAX 65527

/*
 * Appends an event. `how` (NULL: nothing of it): flags IF_ABSENT, IF_PRESENT, IF_VERSION, where the version
 * is that of the stream's last record, and NO_WAIT; expires_us: of the stream, when this event makes it.
 * `old` must be NULL. *ret_position and *ret_version (the LSN) may be NULL. Errors: as varve_kv_set; TYPE
 * (the key is a value or a lock).
 */
VARVE_API int varve_kv_stream_append(struct varve_kv *kv, const void *key, size_t key_bytes,
                                     const void *event, size_t event_bytes, const struct varve_kv_write *how,
                                     uint64_t *ret_position, uint64_t *ret_version);

/* Appends an event when the transaction commits, behind those that are there then: it conflicts with no other
 * that does the same, but with a key that became something else. Its position is told by the LSN of the
 * commit, which the event carries. Errors: as varve_kv_txn_set; TYPE. A delete in the same transaction
 * before it begins the stream anew; one after it takes it back. */
VARVE_API int varve_kv_txn_stream_append(struct varve_kv_txn *txn, const void *key, size_t key_bytes,
                                         const void *event, size_t event_bytes);

/* Valid during the call. */
struct varve_kv_event {
    uint64_t position;
    uint64_t lsn; /* of the record that it came with */
    const void *data;
    size_t bytes;
};

/* A non-zero return ends the call, and is returned. May call the engine. */
typedef int (*varve_kv_event_fn)(void *arg, const struct varve_kv_event *event);

#define VARVE_KV_STREAM_END UINT64_MAX

/*
 * Gives the events at positions `from` to `to`, both included, those that are there, in their order, `limit`
 * at most (0: all). VARVE_KV_STREAM_END as `to`: up to the last. *ret_next (may be NULL): the position at
 * which to go on, which is that behind the stream's last event when there is no more. Events are copied some
 * at a time, so memory does not grow with their number; what is appended meanwhile is given too. When the
 * stream is deleted meanwhile the call ends. Errors: NO_KEY TYPE INVALID NOMEM, and as varve_kv_get.
 */
VARVE_API int varve_kv_stream_range(struct varve_kv *kv, const void *key, size_t key_bytes, uint64_t from,
                                    uint64_t to, size_t limit, varve_kv_event_fn fn, void *arg,
                                    uint64_t *ret_next);

struct varve_kv_stream {
    size_t size;         /* set by the caller */
    uint64_t first;      /* the first position that is there */
    uint64_t next;       /* the one that the next event will have: it has next - first events */
    uint64_t version;    /* of the last record that changed it */
    uint64_t expires_us; /* 0 = never */
};

/* Errors: NO_KEY TYPE INVALID, and as varve_kv_get. */
VARVE_API int varve_kv_stream_get(struct varve_kv *kv, const void *key, size_t key_bytes,
                                  struct varve_kv_stream *ret_stream);

/* Removes the events before position `first`, which may be the one that the next event will have. Positions
 * are never given again. Does nothing when there are none. Flags and `old` as for append. Errors: as
 * varve_kv_delete; TYPE, INVALID (`first` is beyond what there is). */
VARVE_API int varve_kv_stream_trim(struct varve_kv *kv, const void *key, size_t key_bytes, uint64_t first,
                                   const struct varve_kv_write *how, uint64_t *ret_version);

#ifdef __cplusplus
}
#endif

#endif
