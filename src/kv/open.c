/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open: a directory becomes an engine, and back.
 *
 * In: options. Out: an engine that holds what the newest sound snapshot and the log behind it say, and the
 * threads that look after it.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "kv/dialect.h"
#include "kv/evict.h"
#include "kv/snapshot.h"
#include "kv/store.h"
#include "kv/stream.h"
#include "txn/take.h"
#include "varve/cursor.h"
#include "varve/format.h"

enum {
    SHARDS = 256,
    SHARDS_MAX = 65536,
    SNAPSHOT_MS = 300000,
    SNAPSHOT_OPERATIONS = 100000,
    SNAPSHOT_KEEP = 3,
    SNAPSHOT_KEEP_MAX = 100,
    TXN_BYTES = 16 << 20,
    TXN_BYTES_MIN = 4096,
    SAY_BYTES = 600,
};

void vv_kv_say(struct varve_kv *kv, enum varve_event event, enum varve_message_level level,
               const char *format, ...)
{
    char text[SAY_BYTES];
    const struct varve_message message = {
        .size = sizeof message,
        .level = level,
        .event = event,
        .time_us = kv->io->realtime_us(kv->io),
        .path = kv->path,
        .text = text,
    };
    va_list args;

    if (!kv->message)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    kv->message(kv->message_arg, &message);
}

static int invalid(struct varve_error *ret_error, const char *what)
{
    return vv_error_set(ret_error, VARVE_E_INVALID, 0, "the engine's options: %s", what);
}

static int take_options(struct varve_kv *kv, const struct varve_kv_options *given,
                        struct varve_kv_options *ret, struct varve_options *ret_log,
                        struct varve_error *ret_error)
{
    if (!vv_take(ret, sizeof *ret, given))
        return invalid(ret_error, "size is not valid");
    if (!vv_take(ret_log, sizeof *ret_log, ret->log))
        return invalid(ret_error, "the size of log is not valid");
    ret_log->size = sizeof *ret_log;
    ret->shards = ret->shards ? ret->shards : SHARDS;
    if (ret->shards > SHARDS_MAX || !vv_is_power_of_two(ret->shards))
        return invalid(ret_error, "shards is no power of two from 1 to 65,536");
    if (ret->snapshot_keep > SNAPSHOT_KEEP_MAX)
        return invalid(ret_error, "snapshot_keep is above 100");
    if ((ret->at_lsn || ret->at_time_us) && !(ret_log->flags & VARVE_OPEN_READ_ONLY))
        return invalid(ret_error, "at_lsn and at_time_us want a log that is open read-only");
    if ((ret->at_lsn && ret->at_time_us) || ret->at_time_us == UINT64_MAX)
        return invalid(ret_error, "at_lsn and at_time_us: one of them, and a moment that comes");
    if (ret->store > VARVE_KV_STORE_LMDB)
        return invalid(ret_error, "store is none that this library knows");
    kv->shard_count = ret->shards;
    kv->shard_shift = 64 - (unsigned)__builtin_ctz(ret->shards);
    if ((unsigned)ret->evict > VARVE_KV_EVICT_LRU || (ret->evict && ret->max_memory == 0))
        return invalid(ret_error, "evict is nothing known, or there is no max_memory");
    kv->max_memory = ret->max_memory;
    kv->evicts = ret->evict == VARVE_KV_EVICT_LRU && !(ret_log->flags & VARVE_OPEN_READ_ONLY);
    kv->txn_bytes = ret->txn_bytes ? ret->txn_bytes : TXN_BYTES;
    if (kv->txn_bytes < TXN_BYTES_MIN)
        return invalid(ret_error, "txn_bytes is below 4096");
    kv->snapshot_ms = ret->snapshot_ms ? ret->snapshot_ms : SNAPSHOT_MS;
    kv->snapshot_operations = ret->snapshot_operations ? ret->snapshot_operations : SNAPSHOT_OPERATIONS;
    kv->snapshot_keep = ret->snapshot_keep ? ret->snapshot_keep : SNAPSHOT_KEEP;
    kv->io = ret_log->io ? ret_log->io : varve_io_system();
    kv->message = ret_log->message;
    kv->message_arg = ret_log->message_arg;
    kv->read_only = ret_log->flags & VARVE_OPEN_READ_ONLY;
    kv->keeps_nothing = ret_log->durability == VARVE_MEMORY;
    kv->waits = ret_log->durability == VARVE_DURABILITY_DEFAULT || ret_log->durability >= VARVE_GROUP;
    kv->waits = kv->waits && !kv->read_only;
    return 0;
}

/* The directory of snapshots; its name is durable before anything is in it. */
static int open_snapshots(struct varve_kv *kv, const char *path, struct varve_error *ret_error)
{
    int created = 0, rc;

    if (kv->keeps_nothing || kv->env)
        return 0;
    rc = kv->io->dir_open(kv->io, NULL, path, 0, &kv->dir, &created);
    if (rc)
        return vv_error_set(ret_error, VARVE_E_IO, rc, "the directory %s", path);
    rc = kv->io->dir_open(kv->io, kv->dir, VV_KV_SNAPSHOT_DIR, !kv->read_only, &kv->snapshots, &created);
    if (rc == -ENOENT && kv->read_only)
        return 0;
    if (rc == 0 && created)
        rc = kv->io->dir_sync(kv->io, kv->dir);
    return rc ? vv_error_set(ret_error, VARVE_E_IO, rc, "the directory %s/%s", path, VV_KV_SNAPSHOT_DIR) : 0;
}

/* Everything that is there, into memory. */
static int load(struct varve_kv *kv, const struct varve_options *log, struct varve_error *ret_error)
{
    uint64_t began = kv->io->monotonic_us(kv->io), from = 1;
    int rc;

    if (kv->keeps_nothing)
        return 0;
    rc = kv->env ? vv_fold_load(kv, &from, ret_error) : vv_snapshot_load(kv, kv->at_lsn, &from, ret_error);
    if (rc == 0 && kv->recovery.snapshot_lsn < varve_last_lsn(kv->log))
        rc = vv_kv_replay(kv, from, kv->recovery.snapshot_lsn, log->policy, ret_error);
    if (rc == 0 && !kv->env)
        rc = vv_streams_settle(kv, ret_error);
    if (!kv->env)
        atomic_store(&kv->snapshot_lsn, kv->recovery.snapshot_lsn);
    kv->recovery.duration_us = kv->io->monotonic_us(kv->io) - began;
    return rc;
}

/* How the log says what the engine does. `lmdb`: what is folded is to be in an environment, which has no
 * place for what another format's records leave unsaid. */
static int find_dialect(struct varve_kv *kv, const char *path, bool lmdb, struct varve_error *ret_error)
{
    const char *format = varve_log_format(kv->log)->name;
    int rc = vv_dialect_find(kv->log, &kv->dialect);

    if (rc)
        return vv_error_set(ret_error, rc, 0,
                            "%s is in the format %s: the engine keeps its log in varve, dbkv or stra", path,
                            format);
    if (kv->dialect && lmdb)
        return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, 0,
                            "%s is in the format %s: the store lmdb wants a log in the format varve", path,
                            format);
    return 0;
}

/* The last record that is to count. */
static int find_at(struct varve_kv *kv, const struct varve_kv_options *o, enum varve_policy policy,
                   struct varve_error *ret_error)
{
    struct varve_cursor *cursor;
    struct varve_entry entry;
    int rc;

    kv->at_lsn = o->at_lsn ? o->at_lsn : UINT64_MAX;
    if (o->at_time_us == 0)
        return 0;
    rc = varve_cursor_open(kv->log, policy, &cursor, ret_error);
    if (rc)
        return rc;
    /* All records up to the first that is later. */
    rc = varve_cursor_seek_time(cursor, o->at_time_us + 1);
    if (rc == 0)
        rc = varve_cursor_next(cursor, &entry);
    if (rc < 0)
        varve_cursor_error(cursor, ret_error);
    if (rc == 0)
        kv->at_lsn = entry.lsn - 1;
    varve_cursor_close(cursor);
    return rc < 0 ? rc : 0;
}

static int start(struct varve_kv *kv, const struct varve_kv_options *o, struct varve_error *ret_error)
{
    const struct varve_txns_options t = {.size = sizeof t, .io = kv->io, .limit_ms = o->txn_limit_ms};
    int rc;

    if (kv->read_only)
        return 0;
    rc = kv->env ? vv_fold_settle(kv, ret_error) : vv_snapshot_settle(kv, ret_error);
    if (rc == 0)
        rc = varve_txns_open(kv->log, &t, &kv->txns, ret_error);
    return rc ? rc : vv_keeper_start(kv, ret_error);
}

static int open_parts(struct varve_kv *kv, const char *path, const struct varve_kv_options *given,
                      struct varve_error *ret_error)
{
    struct varve_stats stats = {.size = sizeof stats};
    struct varve_kv_options o;
    struct varve_options log;
    int rc = take_options(kv, given, &o, &log, ret_error);

    if (rc)
        return rc;
    rc = kv->io->random(kv->io, kv->secret, sizeof kv->secret);
    if (rc)
        return vv_error_set(ret_error, VARVE_E_IO, rc, "random bytes");
    /* A writer has the log's lock first. */
    rc = kv->read_only ? vv_fold_open(kv, o.store, ret_error) : 0;
    if (rc == 0)
        rc = vv_fold_open_log(kv, path, &log, ret_error);
    if (rc == 0)
        rc = find_dialect(kv, path, o.store == VARVE_KV_STORE_LMDB || kv->env, ret_error);
    if (rc == 0 && !kv->read_only)
        rc = vv_fold_open(kv, o.store, ret_error);
    if (rc == 0 && kv->dialect && kv->env)
        rc = find_dialect(kv, path, true, ret_error);
    if (rc)
        return rc;
    rc = varve_stats_get(kv->log, &stats);
    assert(rc == 0);
    kv->record_max = stats.record_max;
    if (!vv_shards_init(kv) || !vv_evict_init(kv))
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%u shards", kv->shard_count);
    rc = kv->dialect ? vv_dialect_admits(kv, path, ret_error) : 0;
    if (rc == 0)
        rc = open_snapshots(kv, path, ret_error);
    if (rc == 0)
        rc = find_at(kv, &o, log.policy, ret_error);
    if (rc == 0 && kv->imported && kv->at_lsn != UINT64_MAX)
        return vv_error_set(ret_error, VARVE_E_TRIMMED, 0,
                            "%s has a snapshot of another program: what was before is gone", path);
    if (rc == 0)
        rc = load(kv, &log, ret_error);
    return rc ? rc : start(kv, &o, ret_error);
}

int varve_kv_open(const char *path, const struct varve_kv_options *options, struct varve_kv **ret_kv,
                  struct varve_error *ret_error)
{
    struct varve_kv *kv = vv_alloc_aligned(64, sizeof *kv);
    struct varve_error error = {.code = 0};
    int rc;

    if (!kv)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "an engine");
    memset(kv, 0, sizeof *kv);
    pthread_mutex_init(&kv->bulk_lock, NULL);
    pthread_mutex_init(&kv->views_lock, NULL);
    pthread_mutex_init(&kv->snapshot_lock, NULL);
    atomic_init(&kv->oldest_view, UINT64_MAX);
    if (!path)
        path = "data";
    kv->path = vv_alloc(strlen(path) + 1);
    if (kv->path)
        memcpy(kv->path, path, strlen(path) + 1);
    rc =
        kv->path ? open_parts(kv, path, options, &error) : vv_error_set(&error, VARVE_E_NOMEM, 0, "%s", path);
    if (rc) {
        vv_error_copy(ret_error, &error);
        (void)varve_kv_close(kv, NULL);
        return rc;
    }
    *ret_kv = kv;
    return 0;
}

int varve_kv_close(struct varve_kv *kv, struct varve_error *ret_error)
{
    int rc;

    if (!kv)
        return 0;
    vv_keeper_stop(kv);
    varve_txns_close(kv->txns);
    rc = varve_close(kv->log, ret_error);
    vv_shards_free(kv);
    vv_evict_free(kv);
    vv_env_close(kv->env);
    if (kv->snapshots)
        kv->io->dir_close(kv->io, kv->snapshots);
    if (kv->dir)
        kv->io->dir_close(kv->io, kv->dir);
    pthread_mutex_destroy(&kv->bulk_lock);
    pthread_mutex_destroy(&kv->views_lock);
    pthread_mutex_destroy(&kv->snapshot_lock);
    vv_free(kv->path);
    vv_free(kv);
    return rc;
}

struct varve_log *varve_kv_log(struct varve_kv *kv)
{
    return kv->log;
}

int varve_kv_recovery_get(struct varve_kv *kv, struct varve_kv_recovery *ret_recovery)
{
    return vv_give(ret_recovery, &kv->recovery, sizeof kv->recovery) ? 0 : VARVE_E_INVALID;
}

int varve_kv_stats_get(struct varve_kv *kv, struct varve_kv_stats *ret_stats)
{
    struct varve_txns_stats txns = {.size = sizeof txns};
    struct varve_kv_stats s = {.entries = varve_kv_count(kv)};

    if (kv->txns && varve_txns_stats_get(kv->txns, &txns) != 0)
        return VARVE_E_INVALID;
    for (uint32_t i = 0; i < kv->shard_count; i++) {
        struct vv_shard *shard = &kv->shards[i];

        s.expiring += atomic_load(&shard->expiring);
        s.kept_versions += atomic_load(&shard->kept_count);
        s.streams += atomic_load(&shard->streams);
        s.events += atomic_load(&shard->events);
        pthread_mutex_lock(&shard->lock);
        s.memory_bytes += atomic_load(&shard->bytes) + shard->table.bytes;
        pthread_mutex_unlock(&shard->lock);
    }
    s.evicted = atomic_load(&kv->evicted);
    s.memory_counted = atomic_load(&kv->memory);
    s.expired = atomic_load(&kv->expired);
    s.snapshots = atomic_load(&kv->snapshot_count);
    s.snapshots_failed = atomic_load(&kv->snapshot_failed);
    s.snapshot_lsn = atomic_load(&kv->snapshot_lsn);
    s.store = kv->env ? VARVE_KV_STORE_LMDB : VARVE_KV_STORE_MEMORY;
    s.fold_us = atomic_load(&kv->fold_us);
    if (kv->env)
        vv_env_size(kv->env, &s.env_bytes, &s.env_map_bytes);
    s.txn_open = txns.open;
    s.txn_committed = txns.committed;
    s.txn_aborted = txns.aborted;
    s.txn_timed_out = txns.timed_out;
    s.txn_streamed = txns.streamed;
    s.txn_conflicts = atomic_load(&kv->conflicts);
    return vv_give(ret_stats, &s, sizeof s) ? 0 : VARVE_E_INVALID;
}
