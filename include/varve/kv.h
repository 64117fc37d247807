/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A durable key-value engine: keys and values in memory, every change in a log, snapshots so that the log
 * need not be kept. In the library varvekv. docs/KV.md says what is promised, docs/SNAPSHOTS.md what is on
 * disk.
 *
 * Keys are 1 to VARVE_KV_KEY_MAX bytes, any bytes; values 0 bytes to what a record may hold. Each entry has a
 * version: the LSN of the record that wrote it, which only grows. It may have a moment at which it expires:
 * microseconds since 1970 UTC, so that it means the same after a restart.
 *
 * Nobody is told what could be lost: in the durability modes `group` and `strict` a call returns when
 * everything that it reports, also what it has read, is durable. In `interval` and `buffered` mode it is
 * accepted, and in the log's hands.
 *
 * Threads: any at once, but for varve_kv_close; a transaction is used by one thread at a time.
 */
#ifndef VARVE_KV_H
#define VARVE_KV_H

#include <stddef.h>
#include <stdint.h>

#include "varve/cursor.h"
#include "varve/error.h"
#include "varve/export.h"
#include "varve/log.h"
#include "varve/options.h"

#ifdef __cplusplus
extern "C" {
#endif

struct varve_kv;
struct varve_kv_txn;

#define VARVE_KV_KEY_MAX   65535
#define VARVE_KV_NEVER     UINT32_MAX
#define VARVE_KV_UNLIMITED UINT64_MAX

/* What a write does that would pass max_memory. */
enum varve_kv_evict {
    VARVE_KV_EVICT_NOTHING = 0, /* it gets MEMORY */
    VARVE_KV_EVICT_LRU = 1,     /* values that were not used for long go, each by a record of its own: of ten
                                   that are looked at, the one that was used longest ago. Never a lock, a
                                   stream, or a key that an open transaction has looked at; when nothing else
                                   is left, it gets MEMORY */
};

/* Where entries are kept. docs/KV.md says how to choose. */
enum varve_kv_store {
    VARVE_KV_STORE_DEFAULT = 0, /* as the directory has it; in a new one, memory */
    VARVE_KV_STORE_MEMORY = 1,  /* all in memory */
    VARVE_KV_STORE_LMDB = 2,    /* recent writes in memory, over an environment of LMDB: for data that is
                                   larger than memory. Snapshots are folds into it. A build without liblmdb
                                   refuses it with UNSUPPORTED */
};

/* Zero means default. */
struct varve_kv_options {
    size_t size;                     /* sizeof(struct varve_kv_options) */
    const struct varve_options *log; /* durability, policy, codec, backpressure, flags ...; read during open
                                        only. With VARVE_OPEN_READ_ONLY the engine changes no byte, works
                                        beside a live writer, and holds what was durable when it was opened */
    uint32_t shards;                 /* 1 to 65,536, a power of two; 256 */
    uint64_t max_memory;             /* bytes of entries and what they take of tables; see `evict`;
                                        default no limit */
    uint64_t txn_limit_ms;           /* how long a transaction may stay open; 30,000 */
    uint32_t snapshot_ms;            /* a snapshot so long after the last one, if anything was written;
                                        VARVE_KV_NEVER; 300,000 */
    uint64_t snapshot_operations;    /* or after so many records; VARVE_KV_UNLIMITED = never; 100,000 */
    uint32_t snapshot_keep;          /* newest snapshots that are kept; 1 to 100; 3 */
    /* With VARVE_OPEN_READ_ONLY: as it was when this LSN was the log's last, or at this moment, microseconds
     * since 1970 UTC; 0 = now. From a snapshot that is old enough, or LSN 1, which must be there: else
     * TRIMMED. */
    uint64_t at_lsn;
    uint64_t at_time_us;
    enum varve_kv_evict evict; /* LRU wants max_memory, and the store memory */
    enum varve_kv_store store; /* of a directory that has another: INVALID. With lmdb `shards` counts when
                                  the store is made; max_memory is for what is not folded yet, by default
                                  256 MiB, and a write that finds it full folds, or waits for who does; no
                                  state before the last fold is had but by the log from LSN 1 on */
    uint64_t txn_bytes; /* memory of what a transaction has written: what is more is streamed into the log; at
                           least 4096; 16 MiB */
};

/* What opening did. */
struct varve_kv_recovery {
    size_t size;           /* set by the caller */
    uint64_t snapshot_lsn; /* of the one that was loaded; 0 = none */
    uint64_t snapshot_entries;
    uint64_t snapshots_bad; /* newer ones that were damaged, or did not fit the log */
    uint64_t records;       /* replayed */
    uint64_t operations;    /* in them */
    uint64_t last_lsn;
    uint64_t duration_us;
    uint64_t passed_over; /* in format stra: mutations of what is no key, and payloads that are no writeset */
    uint64_t txn_streamed;    /* streamed transactions that are committed, */
    uint64_t txn_rolled_back; /* were aborted, */
    uint64_t txn_orphans;     /* were never ended: rolled back too, */
    uint64_t txn_partial;     /* are committed, and not all there, by damage: told, and left out */
};

/*
 * Opens the engine in directory `path` (NULL: "data"), and creates it if there is none: a log, and beside it
 * the directory "snapshots". Loads the newest sound snapshot and replays the log from there on; what was
 * wrong with newer ones goes to the log's message function. Errors: those of varve_open; CORRUPT (a record is
 * not what the engine writes) SNAPSHOT (what the log no longer holds is in no sound snapshot) INVALID NOMEM.
 */
VARVE_API VARVE_MUST_CHECK int varve_kv_open(const char *path, const struct varve_kv_options *options,
                                             struct varve_kv **ret_kv, struct varve_error *ret_error);

/* Ends open transactions, closes the log, frees everything, also when it fails. Errors: as varve_close. */
VARVE_API int varve_kv_close(struct varve_kv *kv, struct varve_error *ret_error);

/* Its log: for statistics, positions, waiting, metrics. Nothing may be appended to it. */
VARVE_API struct varve_log *varve_kv_log(struct varve_kv *kv);

VARVE_API int varve_kv_recovery_get(struct varve_kv *kv, struct varve_kv_recovery *ret_recovery);

/* A value as it was read. Zero it before its first use; it may be used again and again, and its memory with
 * it. To be freed by varve_kv_value_free. */
struct varve_kv_value {
    void *data; /* NULL while room is 0 */
    size_t bytes;
    size_t room;
    uint64_t version;
    uint64_t expires_us; /* 0 = never */
    int is_lock;         /* the value is the owner of a lock */
};

/* Leaves it zeroed. */
VARVE_API void varve_kv_value_free(struct varve_kv_value *value);

/* Errors: NO_KEY INVALID (the key) NOMEM TYPE (a stream: varve_kv_stream_range); in `group` and `strict` mode
 * READONLY SYNC (what is there will not become durable any more). */
VARVE_API int varve_kv_get(struct varve_kv *kv, const void *key, size_t key_bytes,
                           struct varve_kv_value *ret_value);

enum varve_kv_write_flags {
    VARVE_KV_IF_ABSENT = 1 << 0,   /* else CONFLICT */
    VARVE_KV_IF_PRESENT = 1 << 1,  /* else NO_KEY */
    VARVE_KV_IF_VERSION = 1 << 2,  /* the version is `version` (0 = absent), else CONFLICT */
    VARVE_KV_KEEP_EXPIRY = 1 << 3, /* a set leaves as it is when the key expires */
    VARVE_KV_NO_WAIT = 1 << 4,     /* returns without waiting: whoever needs it waits for the version */
};

/* How something is written. NULL where one is wanted: all zero. */
struct varve_kv_write {
    size_t size;                /* sizeof(struct varve_kv_write) */
    uint32_t flags;             /* enum varve_kv_write_flags */
    uint64_t version;           /* VARVE_KV_IF_VERSION */
    uint64_t expires_us;        /* set: 0 = never */
    struct varve_kv_value *old; /* filled with what was there; version 0 = nothing; default NULL */
};

/*
 * Each writes one key; *ret_version (may be NULL) is its new version, for delete the LSN of that. An error
 * leaves the key as it was, but READONLY and SYNC: then what was written is seen by nobody who waits for
 * durability, and may or may not be there at the next open. Errors: INVALID TOO_LARGE NOMEM MEMORY
 * BACKPRESSURE NOSPC LOG_FULL READONLY SYNC FORKED, and:
 * set: CONFLICT NO_KEY, TYPE (the key is a lock or a stream);
 * delete: NO_KEY CONFLICT;
 * add: TYPE (the value is no decimal integer, or a lock, or a stream) RANGE (beyond 64 bits). A key that is
 * absent counts as 0; the value stays text, as in "-12". *ret_value (may be NULL): the new one; append: TYPE
 * (a lock, a stream). A key that is absent counts as empty. *ret_bytes (may be NULL): the new length; expire:
 * NO_KEY. `expires_us` 0: never.
 */
VARVE_API int varve_kv_set(struct varve_kv *kv, const void *key, size_t key_bytes, const void *value,
                           size_t value_bytes, const struct varve_kv_write *how, uint64_t *ret_version);
VARVE_API int varve_kv_delete(struct varve_kv *kv, const void *key, size_t key_bytes,
                              const struct varve_kv_write *how, uint64_t *ret_version);
VARVE_API int varve_kv_add(struct varve_kv *kv, const void *key, size_t key_bytes, int64_t delta,
                           const struct varve_kv_write *how, int64_t *ret_value, uint64_t *ret_version);
VARVE_API int varve_kv_append(struct varve_kv *kv, const void *key, size_t key_bytes, const void *data,
                              size_t data_bytes, const struct varve_kv_write *how, uint64_t *ret_bytes,
                              uint64_t *ret_version);
VARVE_API int varve_kv_expire(struct varve_kv *kv, const void *key, size_t key_bytes, uint64_t expires_us,
                              const struct varve_kv_write *how, uint64_t *ret_version);

/*
 * Adds to a number with a fraction: a key that is absent counts as 0, and the value stays text, as in "-1.5"
 * or "1e+21", with as few digits as tell it from every other number of 64 bits. *ret_value may be NULL.
 * Errors: as varve_kv_add; RANGE (not finite).
 */
VARVE_API int varve_kv_add_float(struct varve_kv *kv, const void *key, size_t key_bytes, double delta,
                                 const struct varve_kv_write *how, double *ret_value, uint64_t *ret_version);

/* As varve_kv_get, of the value's bytes from `offset` on, `bytes` at most; only those are copied. What is not
 * there is not given: ret_value->bytes may be less, or 0. */
VARVE_API int varve_kv_get_range(struct varve_kv *kv, const void *key, size_t key_bytes, uint64_t offset,
                                 size_t bytes, struct varve_kv_value *ret_value);

/* Puts bytes in the place of those at `offset`; only these are logged. The value grows where it has to, and
 * has zeros where there was nothing; a key that is absent counts as empty. *ret_bytes (may be NULL): the new
 * length. Errors: as varve_kv_append. */
VARVE_API int varve_kv_set_range(struct varve_kv *kv, const void *key, size_t key_bytes, uint64_t offset,
                                 const void *data, size_t data_bytes, const struct varve_kv_write *how,
                                 uint64_t *ret_bytes, uint64_t *ret_version);

/*
 * Locks: a key that holds its owner, 1 to 65,535 bytes, until it is unlocked or its time is over. The token
 * is the lock's version: it grows with every lock and extension of any key, so who guards something else with
 * it can refuse tokens lower than one that it has seen. A lock is durable when it returns, in every mode but
 * `memory`: else a token might be given twice. Of a lock that is held by somebody else both functions give
 * CONFLICT; of an entry that is no lock TYPE. lock: of a lock of one's own extends it. unlock: NO_KEY when
 * nobody has it. Other errors: as above.
 */
VARVE_API int varve_kv_lock(struct varve_kv *kv, const void *key, size_t key_bytes, const void *owner,
                            size_t owner_bytes, uint64_t limit_ms, uint64_t *ret_token);
VARVE_API int varve_kv_unlock(struct varve_kv *kv, const void *key, size_t key_bytes, const void *owner,
                              size_t owner_bytes, uint64_t *ret_lsn);

/* -- several keys -- */

struct varve_kv_pair {
    const void *key;
    size_t key_bytes;
    const void *value; /* set only */
    size_t value_bytes;
};

/*
 * Several keys at one moment; with one record, or streamed where varve_kv_begin does. `how` (NULL: nothing of
 * it): expires_us (set), NO_WAIT, IF_ABSENT (set, copy, rename: every key that would be written is absent,
 * else CONFLICT); the rest of it must be zero. *ret_lsn and *ret_count may be NULL.
 *
 * get: one value for each key, to be zeroed before the first use and freed as with varve_kv_get; version 0 is
 * "absent". set: of the same key the last one counts. delete: *ret_count is how many there were. copy,
 * rename: the value and when it expires; `to` is replaced. Errors: NO_KEY (copy, rename: there is no `from`)
 * TYPE (a lock or a stream, but for delete) CONFLICT (also where others write the same keys again and again)
 * TOO_LARGE, and as varve_kv_get and varve_kv_set.
 */
VARVE_API int varve_kv_get_many(struct varve_kv *kv, const struct varve_kv_pair *keys, size_t count,
                                struct varve_kv_value *ret_values);
VARVE_API int varve_kv_set_many(struct varve_kv *kv, const struct varve_kv_pair *pairs, size_t count,
                                const struct varve_kv_write *how, uint64_t *ret_lsn);
VARVE_API int varve_kv_delete_many(struct varve_kv *kv, const struct varve_kv_pair *keys, size_t count,
                                   const struct varve_kv_write *how, uint64_t *ret_count, uint64_t *ret_lsn);
VARVE_API int varve_kv_copy(struct varve_kv *kv, const void *from, size_t from_bytes, const void *to,
                            size_t to_bytes, const struct varve_kv_write *how, uint64_t *ret_lsn);
VARVE_API int varve_kv_rename(struct varve_kv *kv, const void *from, size_t from_bytes, const void *to,
                              size_t to_bytes, const struct varve_kv_write *how, uint64_t *ret_lsn);

/* Entries, those included that have expired and were not removed yet. */
VARVE_API uint64_t varve_kv_count(struct varve_kv *kv);

/* An entry as it is walked over. Valid during the call. */
struct varve_kv_entry {
    const void *key;
    size_t key_bytes;
    const void *value;
    size_t value_bytes;
    uint64_t version, expires_us;
    int is_lock;
    int is_stream;        /* then `value` is empty, and */
    uint64_t first, next; /* its events are those at first ... next - 1 */
};

/* A non-zero return ends the call, and is returned. May call the engine. */
typedef int (*varve_kv_entry_fn)(void *arg, const struct varve_kv_entry *entry);

#define VARVE_KV_SCAN_END UINT64_MAX

/*
 * Gives about `limit` entries (1 at least, usually some more) from *cursor on, in no order that means
 * anything, and moves it: 0 is the beginning, VARVE_KV_SCAN_END the end. Over a whole scan every key that is
 * there all the time comes once, one that comes or goes meanwhile once or not at all, whatever else is
 * written. A cursor is good for as long as the engine is open. When fn ends the call, the cursor stays.
 * Errors: INVALID NOMEM, and as get.
 */
VARVE_API int varve_kv_scan(struct varve_kv *kv, uint64_t *cursor, size_t limit, varve_kv_entry_fn fn,
                            void *arg);

/* -- transactions -- */

/*
 * Begins a transaction. It sees what is committed now, and its own writes. Committing holds what it has read
 * and written against what is there then: the first committer wins, the other gets CONFLICT and nothing of
 * it remains. So transactions that commit are serialisable, in the order of their LSNs; scans are no part of
 * them. What it has written takes no more memory than `txn_bytes`, or than its largest write: beyond that it
 * is streamed into the log, where it counts when it is committed. Not so in `memory` mode, over the store
 * LMDB and in a log of another format: there it is no larger than a record. `limit_ms`: 0 = the engine's.
 * Errors: NOMEM INVALID.
 */
VARVE_API VARVE_MUST_CHECK int varve_kv_begin(struct varve_kv *kv, uint64_t limit_ms,
                                              struct varve_kv_txn **ret_txn);

/* Errors of these: INVALID NOMEM TIMEOUT (it was open for too long: it is aborted, and only abort is left)
 * TOO_LARGE (more than a record holds); get: NO_KEY; set and delete: TYPE (set on a lock). delete: of a key
 * that is absent is fine. While it streams also those of a write; get, of what was streamed, reads the log:
 * those of a cursor. */
VARVE_API int varve_kv_txn_get(struct varve_kv_txn *txn, const void *key, size_t key_bytes,
                               struct varve_kv_value *ret_value);
VARVE_API int varve_kv_txn_set(struct varve_kv_txn *txn, const void *key, size_t key_bytes, const void *value,
                               size_t value_bytes, uint64_t expires_us);
VARVE_API int varve_kv_txn_delete(struct varve_kv_txn *txn, const void *key, size_t key_bytes);

/* Frees the transaction when it returns 0; else it is the caller's to abort, or after BACKPRESSURE, NOSPC and
 * LOG_FULL to try again. `flags`: VARVE_KV_NO_WAIT or 0. *ret_lsn (may be NULL): 0 when nothing was written.
 * Errors: CONFLICT TIMEOUT, and those of a write. */
VARVE_API int varve_kv_commit(struct varve_kv_txn *txn, uint32_t flags, uint64_t *ret_lsn);
VARVE_API void varve_kv_abort(struct varve_kv_txn *txn);

/* -- all of it -- */

/*
 * Makes a snapshot, while writes go on, and returns when it is durable; removes those that are not kept any
 * longer, and trims the log behind them. *ret_lsn (may be NULL): every record up to it is in the snapshot.
 * Does nothing when nothing was written since the last one. Errors: IO NOSPC NOMEM READONLY SYNC UNSUPPORTED
 * (`memory` mode, read-only); what was there before is as it was.
 */
VARVE_API int varve_kv_snapshot(struct varve_kv *kv, uint64_t *ret_lsn, struct varve_error *ret_error);

/* A snapshot in a directory. Valid during the call. */
struct varve_kv_snapshot_info {
    size_t size;         /* sizeof(struct varve_kv_snapshot_info) */
    uint64_t lsn;        /* every record up to it is in it */
    uint64_t end_lsn;    /* and none after this one */
    uint64_t created_us; /* microseconds since 1970 UTC */
    uint64_t entries;
    uint64_t bytes;
    int code;            /* 0, or what is wrong with it: then the fields above may be 0, but for lsn */
    const char *message; /* then: in words */
};

/* A non-zero return ends the call, and is returned. */
typedef int (*varve_kv_snapshot_fn)(void *arg, const struct varve_kv_snapshot_info *info);

/*
 * Gives the snapshots in the engine's directory, the newest first, changing nothing; the engine may be open,
 * here or elsewhere. `verify`: reads and checks all of each, else its beginning and its end. `io`: NULL = the
 * system's. A store lmdb has one, the environment as its last fold left it; it is not given while this
 * process has the engine open. Errors: IO NOMEM NOT_FOUND (no such directory); of lmdb also CORRUPT VERSION
 * UNSUPPORTED NOT_REGULAR.
 */
VARVE_API int varve_kv_snapshot_list(const char *path, struct varve_io *io, int verify,
                                     varve_kv_snapshot_fn fn, void *arg, struct varve_error *ret_error);

/* What a record did to a key. */
enum varve_kv_change_kind {
    VARVE_KV_CHANGE_SET = 1,
    VARVE_KV_CHANGE_LOCK = 2,
    VARVE_KV_CHANGE_DELETE = 3,
    VARVE_KV_CHANGE_EXPIRED = 4, /* its time was over, and it was removed */
    VARVE_KV_CHANGE_APPEND = 5,  /* `value` came behind what was there */
    VARVE_KV_CHANGE_EXPIRE = 6,  /* it expires at another moment */
    VARVE_KV_CHANGE_EVENT = 7,   /* `value` is an event, the one at `position` of a stream */
    VARVE_KV_CHANGE_TRIM = 8,    /* the events before `position` were removed */
    VARVE_KV_CHANGE_EVICTED = 9, /* it was removed because max_memory was reached */
    VARVE_KV_CHANGE_RANGE = 10,  /* `value` came in the place of what was at the offset `position` */
};

/* "set", "lock", "delete", "expired", "append", "expire", "event", "trim",
 * "evicted", "range". Static. */
VARVE_API const char *varve_kv_change_name(enum varve_kv_change_kind kind);

struct varve_kv_change {
    enum varve_kv_change_kind kind;
    uint64_t lsn, time_us;
    uint64_t txn_id;     /* 0: none */
    uint64_t expires_us; /* 0: never */
    const void *value;
    size_t value_bytes;
    uint64_t position; /* EVENT, TRIM, RANGE */
};

/* A non-zero return ends the call, and is returned. */
typedef int (*varve_kv_change_fn)(void *arg, const struct varve_kv_change *change);

/*
 * Gives every change of a key that the log still holds, the oldest first; those of a streamed transaction
 * come at its commit, and may be several of one LSN. `log`: of an engine (varve_kv_log),
 * or its directory opened with varve_open, read-only beside its writer too. Reads the whole log. Errors:
 * those of a cursor; CORRUPT (a record is not the engine's) INVALID (the key).
 */
VARVE_API int varve_kv_history(struct varve_log *log, const void *key, size_t key_bytes,
                               varve_kv_change_fn fn, void *arg, struct varve_error *ret_error);

/* As varve_kv_change_fn, with the key. */
typedef int (*varve_kv_operation_fn)(void *arg, const void *key, size_t key_bytes,
                                     const struct varve_kv_change *change);

/*
 * Gives what one record of an engine's log did, in its order; of the record data, type, lsn, time_us and
 * txn_id are used. A part of a streamed transaction gives what it does if that is committed; what begins or
 * ends one gives nothing. What is given points into its data. Changes nothing. Any thread. Errors: CORRUPT
 * (it is no record of the engine; then nothing was given) VERSION (begins or ends one, and is newer).
 */
VARVE_API int varve_kv_operations(const struct varve_entry *record, varve_kv_operation_fn fn, void *arg,
                                  struct varve_error *ret_error);

#define VARVE_KV_DIGEST_BYTES 32

/*
 * SHA-256 over all entries, in the order of their keys: for each u16 length and bytes of the key, u8 kind,
 * u64 version, u64 expires_us, u32 length and bytes of the value, little-endian, where keys, kinds and
 * values, also of streams and of their events, are as in a snapshot (docs/SNAPSHOTS.md). Two engines with the
 * same digest hold the same. Nothing should be written meanwhile. Takes 8 bytes of memory for each key.
 * Errors: NOMEM.
 */
VARVE_API int varve_kv_digest(struct varve_kv *kv, uint8_t ret_digest[VARVE_KV_DIGEST_BYTES]);

struct varve_kv_stats {
    size_t size; /* set by the caller */
    uint64_t entries;
    uint64_t expiring;     /* of these, with a time limit */
    uint64_t memory_bytes; /* of entries, tables, and versions kept for transactions */
    uint64_t kept_versions;
    uint64_t expired;   /* removed since opening because their time was over */
    uint64_t snapshots; /* written since opening */
    uint64_t snapshots_failed;
    uint64_t snapshot_lsn; /* of the newest one; 0 = none */
    uint64_t txn_open, txn_committed, txn_aborted, txn_conflicts, txn_timed_out;
    uint64_t streams;        /* of the entries */
    uint64_t events;         /* in these */
    uint64_t evicted;        /* since opening, because max_memory was reached */
    uint64_t memory_counted; /* with max_memory: what is held against it */
    uint64_t store;          /* enum varve_kv_store, in use */
    uint64_t env_bytes;      /* lmdb: of the environment, in use; */
    uint64_t env_map_bytes;  /* and of its map, which grows by itself */
    uint64_t fold_us;        /* lmdb: how long the last fold took */
    uint64_t txn_streamed;   /* begun in the log, however they ended */
};

VARVE_API int varve_kv_stats_get(struct varve_kv *kv, struct varve_kv_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
