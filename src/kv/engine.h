/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's parts, and what they call of each other.
 *
 * Lock order: `bulk_lock`; a shard's `order`, of several shards in the order of their numbers; a shard's
 * `lock`; `views_lock`. A writer holds `order` from its decision to the change in memory, also while the log
 * takes the record, which may wait for a disk. `lock` is held for changes in memory and for reads only.
 */
#ifndef VV_KV_ENGINE_H
#define VV_KV_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kv/env.h"
#include "kv/op.h"
#include "kv/table.h"
#include "txn/txns.h"
#include "varve/io.h"
#include "varve/kv.h"

#define VV_KV_SNAPSHOT_DIR "snapshots"
#define VV_KV_PIN          "varve-kv-snapshot"

enum {
    VV_KEPT_LISTS = 64
};

/* What stood in a table before LSN `until`, for those who look at an earlier moment. */
struct vv_kept {
    struct vv_kept *next;
    uint64_t until;
    struct vv_entry *entry;
};

struct vv_dialect;

struct vv_shard {
    _Alignas(64) pthread_mutex_t order;
    /* A record of this shard that may have no effect in memory yet has this LSN or a higher one; 0: there is
     * none. Stored before the writer looks at `views`, and before it appends. */
    _Atomic uint64_t inflight;
    pthread_mutex_t lock;
    struct vv_table table; /* [changed with both, read with one of them] */
    uint64_t deleted_lsn;  /* [lock] of the last removal */
    struct vv_kept **kept; /* [made with both] lists [lock], by hash; NULL while none is needed */
    _Atomic uint64_t kept_count, bytes, count, expiring; /* [lock; read by any] */
    _Atomic uint64_t streams, events;                    /* likewise; events do not count as entries */
};

/* A moment that somebody looks at: all and only records up to `lsn`. */
struct vv_view {
    uint64_t lsn;
    struct vv_view *next, *before; /* [views_lock] */
};

/* Where the sweep over what expires in an environment stands. */
struct vv_env_sweep {
    uint64_t folds; /* as they were when it began */
    uint64_t expires_us, word;
};

struct varve_kv {
    struct varve_log *log;                  /* [const] */
    const struct vv_dialect *dialect;       /* [const] NULL: the log's format is Varve's own */
    struct varve_txns *txns;                /* [const] NULL: read-only */
    struct varve_io *io;                    /* [const] */
    bool imported;                          /* [const after open] from a snapshot of another program, */
    uint64_t import_segment, import_offset; /* which has all of the log before this */
    char *path;                             /* [const] as it was opened, for messages */
    varve_message_fn message;               /* [const] */
    void *message_arg;
    bool read_only, waits, keeps_nothing; /* [const] waits: nobody is told what is not durable; keeps_nothing:
                                             a log in `memory` mode */
    uint64_t record_max, max_memory;      /* [const after open] */
    uint64_t txn_bytes;                   /* [const] memory of what a transaction has written */
    uint64_t at_lsn;                      /* [const] the last record that counts; UINT64_MAX: all */
    uint64_t secret[2];                   /* [const] */
    uint32_t shard_count;                 /* [const] a power of two */
    unsigned shard_shift;                 /* [const] of a hash */
    struct vv_shard *shards;              /* [const] */
    struct varve_dir *dir, *snapshots;    /* [const] NULL with keeps_nothing */
    struct varve_kv_recovery recovery;    /* [const after open] */

    pthread_mutex_t bulk_lock; /* before every `order`: one streamed transaction commits at a time */
    /* [set under bulk_lock and the `order` of all shards it is in] What has this LSN is not seen yet, but
     * what was there before it: all of it is, once this is 0 again. */
    _Atomic uint64_t hidden;

    pthread_mutex_t views_lock;
    struct vv_view *views; /* [views_lock] */
    _Atomic unsigned view_count;
    _Atomic uint64_t oldest_view; /* [views_lock to change] UINT64_MAX: there is none */

    _Atomic uint64_t memory;   /* with max_memory: what is counted against it, and what is promised */
    _Atomic uint64_t clock_us; /* only grows */
    _Atomic uint64_t expired, conflicts;

    bool evicts;                    /* [const] */
    unsigned evict_shift;           /* [const] */
    _Atomic uint64_t evict_written; /* bytes of entries that came: what time is, for evict.c */
    _Atomic uint32_t *evict_held;   /* [const] counts by hash: of keys that must stay */
    _Atomic uint64_t evicted, evict_draw;

    pthread_mutex_t snapshot_lock;       /* one at a time */
    uint32_t snapshot_ms, snapshot_keep; /* [const] */
    uint64_t snapshot_operations;        /* [const] */
    _Atomic uint64_t snapshot_count, snapshot_failed, snapshot_lsn;

    struct vv_env *env;             /* [const after open] store lmdb: what is not in memory; else NULL */
    struct vv_env_facts env_facts;  /* [snapshot_lock] as they were committed last */
    struct vv_env_sweep env_sweep;  /* [keeper] */
    int fold_failed;                /* [snapshot_lock] what the last fold came to */
    _Atomic uint64_t fold_retry_us; /* not before this moment, after one that failed */
    _Atomic uint64_t fold_us;       /* how long the last one took */

    pthread_t keeper;
    bool keeper_runs; /* [const after open] */
    _Atomic bool keeper_stop;
    _Atomic uint32_t keeper_event;
};

static inline struct vv_shard *vv_kv_shard(const struct varve_kv *kv, uint64_t hash)
{
    return &kv->shards[kv->shard_shift == 64 ? 0 : hash >> kv->shard_shift];
}

/* What an entry takes in memory, as it is counted against max_memory. */
static inline uint64_t vv_kv_weight(const struct vv_entry *e)
{
    return vv_entry_cost(e) + VV_ENTRY_SLOT;
}

/* -- shard.c -- */

bool vv_shards_init(struct varve_kv *kv);
void vv_shards_free(struct varve_kv *kv);

/* What an operation makes of an entry: *ret_next is a new one, or NULL for none. Its version is not set.
 * False: no memory. */
bool vv_op_apply(const struct vv_entry *before, const struct vv_op *op, struct vv_entry **ret_next);

/* The operation that says all of what a key becomes: a value, or NULL for nothing. */
struct vv_op vv_op_whole(const void *key, size_t key_bytes, const struct vv_entry *next);

/* Puts `next` (NULL: nothing) in the place of `before` (NULL: nothing), under `lsn`. `order` is held, and
 * room was reserved. `kept`: to hold on to `before` with, when somebody may look at it; freed when it is not
 * wanted. With an environment `before` may be a copy out of it, and `next` a VV_ENTRY_GONE, never NULL. */
void vv_shard_change(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash, struct vv_entry *before,
                     struct vv_entry *next, uint64_t lsn, struct vv_kept *kept);

/* The same where `lock` is held. */
void vv_shard_change_locked(struct varve_kv *kv, struct vv_shard *shard, uint64_t hash,
                            struct vv_entry *before, struct vv_entry *next, uint64_t lsn,
                            struct vv_kept *kept);

/* An entry leaves memory for the environment, which has it: nothing has changed. Both locks are held. */
void vv_shard_forget(struct varve_kv *kv, struct vv_shard *shard, struct vv_entry *entry);

/* Room in the table for so many new keys. `order` is held, and `lock` is not. */
bool vv_shard_reserve(struct vv_shard *shard, size_t inserts);

/* Makes sure that versions can be kept. `order` is held. False: no memory. */
bool vv_shard_can_keep(struct vv_shard *shard);

/* The entry that a view sees. `lock` is held. */
struct vv_entry *vv_shard_view(const struct vv_shard *shard, uint64_t hash, const void *key, size_t key_bytes,
                               uint64_t lsn);

/* What is not to be seen yet; 0: there is nothing. To be asked once, when the `lock` of all that is read at
 * one moment is held. */
static inline uint64_t vv_kv_hidden(const struct varve_kv *kv)
{
    return atomic_load_explicit(&kv->hidden, memory_order_acquire);
}

/* What is there to single reads, which has been found as `e` (NULL: nothing). `lock` is held, since before
 * `hidden` was asked. */
static inline struct vv_entry *vv_kv_seen(uint64_t hidden, const struct vv_shard *shard, struct vv_entry *e,
                                          uint64_t hash, const void *key, size_t key_bytes)
{
    if (hidden == 0 || (e && e->version != hidden))
        return e;
    return vv_shard_view(shard, hash, key, key_bytes, hidden - 1);
}

/* Waits until every record up to the log's last one is in memory; returns the LSN of that. */
uint64_t vv_kv_quiet(struct varve_kv *kv);

/* Looks at the engine as it is now, until vv_view_close. */
void vv_view_open(struct varve_kv *kv, struct vv_view *view);
void vv_view_close(struct varve_kv *kv, struct vv_view *view);

/* -- write.c -- */

/* Now, microseconds since 1970 UTC, never going back. */
uint64_t vv_kv_now(struct varve_kv *kv);

/* Decides about a key. `now`: what is there, NULL also when its time is over. Fills *op but for the key. A
 * code other than 0 leaves everything as it is, and is returned. */
typedef int (*vv_decide_fn)(void *arg, const struct vv_entry *now, struct vv_op *op);

/* An operation as a record; `next`: what it makes of the entry. `order` of its shard is held. */
int vv_kv_append(struct varve_kv *kv, const struct vv_op *op, const struct vv_entry *next, uint64_t *ret_lsn);

/* Those of a transaction, with all else of `record` set. Errors: UNSUPPORTED NOMEM, and those of an append.
 */
int vv_kv_append_many(struct varve_kv *kv, struct vv_op *ops, size_t count, struct varve_record *record,
                      uint64_t *ret_lsn);

/* Takes all entries out, while nobody else knows of the engine. */
void vv_kv_empty(struct varve_kv *kv);

/* With as few digits as give the same number again, in the locale "C". */
size_t vv_kv_print_float(double number, char *text, size_t room);

/* `wait` = false: returns at once. Errors: those of decide, and of a write. */
int vv_kv_update(struct varve_kv *kv, const void *key, size_t key_bytes, bool wait, vv_decide_fn decide,
                 void *arg, uint64_t *ret_lsn);

/* The conditions of `how`, and a copy of what was there for `old`. Errors: CONFLICT NO_KEY NOMEM. */
int vv_kv_check(const struct varve_kv_write *how, const struct vv_entry *now);

/* Before anybody is told of what has this LSN. Errors: READONLY SYNC FORKED. */
int vv_kv_settle(struct varve_kv *kv, uint64_t lsn);

bool vv_kv_key_is_good(const void *key, size_t key_bytes);

/* Whether so much more may be used. With an environment `after` is promised, until vv_kv_keep_promise. */
bool vv_kv_has_memory(struct varve_kv *kv, uint64_t before, uint64_t after);
void vv_kv_keep_promise(struct varve_kv *kv, uint64_t after);

/* -- read.c -- */

/* Copies an entry out. False: no memory. */
bool vv_kv_copy(struct varve_kv_value *to, const struct vv_entry *entry);
/* Of its value the bytes that are there from `offset` on. */
bool vv_kv_copy_part(struct varve_kv_value *to, const struct vv_entry *entry, uint64_t offset, size_t bytes);
struct vv_stored;
bool vv_kv_copy_stored(struct varve_kv_value *to, const struct vv_stored *stored, uint64_t offset,
                       size_t bytes);

/* -- keeper.c -- */

int vv_keeper_start(struct varve_kv *kv, struct varve_error *ret_error);
void vv_keeper_stop(struct varve_kv *kv);
/* There may be something to do for it. */
void vv_keeper_wake(struct varve_kv *kv);

/* -- replay.c -- */

/* Applies what the log has committed after `applied_lsn`; reads it from `from_lsn` on, where the first of the
 * transactions begins that were open then. Errors: those of a cursor; CORRUPT. */
int vv_kv_replay(struct varve_kv *kv, uint64_t from_lsn, uint64_t applied_lsn, enum varve_policy policy,
                 struct varve_error *ret_error);

VARVE_PRINTF(4, 5)
void vv_kv_say(struct varve_kv *kv, enum varve_event event, enum varve_message_level level,
               const char *format, ...);

#endif
