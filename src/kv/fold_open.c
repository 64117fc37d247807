/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fold_open: a directory's environment, found or made.
 *
 * In: an engine without shards. Out: kv->env, and the shards and the hash of keys as the environment has
 * them; or NULL, with everything in memory.
 *
 * It is made under another name, with its facts in it, and gets its own when it is durable: so what has the
 * name is whole. A reader opens it before the log, so that the log reaches at least as far.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/wait.h"
#include "kv/snapshot.h"
#include "kv/store.h"

enum {
    MEMORY_DEFAULT = 256 << 20,
    LOOKS = 100, /* at the log of a writer that is behind, */
    LOOK_US = 20000,
    SHARDS_MAX = 32768, /* so that a number of 64 bits comes behind the last word */
};

static int bad(struct varve_kv *kv, const char *name, int rc, struct varve_error *ret_error)
{
    return vv_error_set(ret_error, rc == -ENOSPC ? VARVE_E_NOSPC : VARVE_E_IO, rc, "the directory %s/%s",
                        kv->path, name);
}

/* LMDB follows links, and would wait at a pipe. */
static int check_files(struct varve_kv *kv, struct varve_dir *dir, struct varve_error *ret_error)
{
    static const char *const names[] = {"data.mdb", "lock.mdb"};

    for (size_t i = 0; i < 2; i++) {
        struct varve_io_stat stat;
        int rc = kv->io->stat_name(kv->io, dir, names[i], &stat);

        if (rc == 0 && stat.kind != VARVE_IO_KIND_FILE)
            return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "%s/%s/%s", kv->path, VV_ENV_DIR,
                                names[i]);
        if (rc && rc != -ENOENT)
            return bad(kv, VV_ENV_DIR, rc, ret_error);
    }
    return 0;
}

/* *ret_is_there: there is one. */
static int find(struct varve_kv *kv, struct varve_dir *dir, bool *ret_is_there, struct varve_error *ret_error)
{
    struct varve_dir *sub;
    int created, rc = kv->io->dir_open(kv->io, dir, VV_ENV_DIR, 0, &sub, &created);

    *ret_is_there = rc == 0;
    if (rc)
        return rc == -ENOENT ? 0 : bad(kv, VV_ENV_DIR, rc, ret_error);
    rc = check_files(kv, sub, ret_error);
    kv->io->dir_close(kv->io, sub);
    return rc;
}

static int open_path(struct varve_kv *kv, const char *name, bool create, struct vv_env **ret_env,
                     struct varve_error *ret_error)
{
    size_t room = strlen(kv->path) + strlen(name) + 2;
    char *path = vv_alloc(room);
    int rc;

    if (!path)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "the environment %s/%s", kv->path, name);
    (void)snprintf(path, room, "%s/%s", kv->path, name);
    rc = vv_env_open(path, kv->read_only, create, ret_env, ret_error);
    vv_free(path);
    return rc;
}

/* -- a new one -- */

static int write_first_facts(struct varve_kv *kv, struct vv_env *env, struct varve_error *ret_error)
{
    struct vv_env_facts facts = {.shards = kv->shard_count, .created_us = vv_kv_now(kv)};
    int rc = kv->io->random(kv->io, facts.secret, sizeof facts.secret);

    if (rc)
        return vv_error_set(ret_error, VARVE_E_IO, rc, "random bytes");
    rc = vv_env_write_begin(env);
    if (rc == 0)
        rc = vv_env_write_commit(env, &facts);
    return rc ? vv_env_why(env, ret_error) : 0;
}

static int make_in(struct varve_kv *kv, struct varve_dir *temp, struct varve_error *ret_error)
{
    struct vv_env *env;
    int rc;

    /* What a crash has left there. */
    (void)kv->io->unlink(kv->io, temp, "data.mdb");
    (void)kv->io->unlink(kv->io, temp, "lock.mdb");
    rc = open_path(kv, VV_ENV_TEMP, true, &env, ret_error);
    if (rc)
        return rc;
    rc = write_first_facts(kv, env, ret_error);
    vv_env_close(env);
    if (rc)
        return rc;
    rc = kv->io->dir_sync(kv->io, temp);
    return rc ? bad(kv, VV_ENV_TEMP, rc, ret_error) : 0;
}

static int make(struct varve_kv *kv, struct varve_dir *dir, struct varve_error *ret_error)
{
    struct varve_dir *temp;
    int created, rc = kv->io->dir_open(kv->io, dir, VV_ENV_TEMP, 1, &temp, &created);

    if (rc)
        return bad(kv, VV_ENV_TEMP, rc, ret_error);
    rc = make_in(kv, temp, ret_error);
    kv->io->dir_close(kv->io, temp);
    if (rc)
        return rc;
    rc = kv->io->rename(kv->io, dir, VV_ENV_TEMP, VV_ENV_DIR, 0);
    if (rc == 0)
        rc = kv->io->dir_sync(kv->io, dir);
    return rc ? bad(kv, VV_ENV_DIR, rc, ret_error) : 0;
}

static int count_name(void *arg, const char *name)
{
    uint64_t lsn;

    *(unsigned *)arg += vv_snap_parse(name, &lsn);
    return 0;
}

/* Whether one may be made: the log must have it all. */
static int check_new(struct varve_kv *kv, struct varve_dir *dir, struct varve_error *ret_error)
{
    struct varve_dir *sub;
    unsigned snapshots = 0;
    int created, rc = kv->io->dir_open(kv->io, dir, VV_KV_SNAPSHOT_DIR, 0, &sub, &created);

    if (rc == 0) {
        rc = kv->io->dir_list(kv->io, sub, count_name, &snapshots);
        kv->io->dir_close(kv->io, sub);
    }
    if (rc && rc != -ENOENT)
        return bad(kv, VV_KV_SNAPSHOT_DIR, rc, ret_error);
    if (snapshots)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "the engine's options: %s has the store memory, with snapshots: open it so, and "
                            "copy what is in it into a new directory",
                            kv->path);
    if (kv->shard_count > SHARDS_MAX)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "the engine's options: shards is above 32,768, the most of a store lmdb");
    if (varve_first_lsn(kv->log) > 1)
        return vv_error_set(ret_error, VARVE_E_SNAPSHOT, 0,
                            "the log begins at LSN %" PRIu64 ", and there is no %s/%s with what was before",
                            varve_first_lsn(kv->log), kv->path, VV_ENV_DIR);
    return 0;
}

/* -- opening -- */

static int read_facts(struct varve_kv *kv, struct varve_error *ret_error)
{
    struct vv_env_read *read;
    int rc = vv_env_read_begin(kv->env, &read);

    if (rc == 0) {
        rc = vv_env_facts(read, &kv->env_facts);
        vv_env_read_end(kv->env, read);
    }
    if (rc)
        return vv_error_set(ret_error, rc == VARVE_END ? VARVE_E_CORRUPT : rc, 0,
                            "the environment %s/%s does not say what is in it", kv->path, VV_ENV_DIR);
    kv->shard_count = kv->env_facts.shards;
    kv->shard_shift = 64 - (unsigned)__builtin_ctz(kv->shard_count);
    memcpy(kv->secret, kv->env_facts.secret, sizeof kv->secret);
    if (kv->evicts)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "the engine's options: evict is for the store memory, and %s has lmdb", kv->path);
    if (kv->max_memory == 0)
        kv->max_memory = kv->read_only ? UINT64_MAX : MEMORY_DEFAULT;
    return 0;
}

static int open_in(struct varve_kv *kv, struct varve_dir *dir, enum varve_kv_store wanted,
                   struct varve_error *ret_error)
{
    bool is_there;
    int rc = find(kv, dir, &is_there, ret_error);

    if (rc)
        return rc;
    if (is_there && wanted == VARVE_KV_STORE_MEMORY)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "the engine's options: %s has the store lmdb, and memory was asked for",
                            kv->path);
    if (!is_there) {
        if (wanted != VARVE_KV_STORE_LMDB || kv->read_only)
            return 0;
        rc = check_new(kv, dir, ret_error);
        if (rc == 0)
            rc = make(kv, dir, ret_error);
    }
    if (rc == 0)
        rc = open_path(kv, VV_ENV_DIR, false, &kv->env, ret_error);
    return rc ? rc : read_facts(kv, ret_error);
}

int vv_fold_open(struct varve_kv *kv, enum varve_kv_store wanted, struct varve_error *ret_error)
{
    struct varve_dir *dir;
    int created, rc;

    if (kv->keeps_nothing)
        return wanted == VARVE_KV_STORE_LMDB
                   ? vv_error_set(ret_error, VARVE_E_INVALID, 0,
                                  "the engine's options: the store lmdb wants a log that is written, and its "
                                  "durability is memory")
                   : 0;
    rc = kv->io->dir_open(kv->io, NULL, kv->path, 0, &dir, &created);
    if (rc == -ENOENT && kv->read_only)
        return 0; /* the log says it better */
    if (rc)
        return vv_error_set(ret_error, VARVE_E_IO, rc, "the directory %s", kv->path);
    rc = open_in(kv, dir, wanted, ret_error);
    kv->io->dir_close(kv->io, dir);
    return rc;
}

/* What the environment has is the state at one LSN, so that no record is needed to make it whole. */
static bool is_exact(const struct vv_env_facts *f)
{
    return f->lsn == f->end_lsn;
}

int vv_fold_open_log(struct varve_kv *kv, const char *path, const struct varve_options *options,
                     struct varve_error *ret_error)
{
    _Atomic uint32_t nobody = 0;

    for (int i = 0;; i++) {
        int rc = varve_open(path, options, &kv->log, ret_error);

        if (rc || !kv->read_only || !kv->env || is_exact(&kv->env_facts) || i == LOOKS ||
            kv->env_facts.end_lsn <= varve_last_lsn(kv->log))
            return rc;
        (void)varve_close(kv->log, NULL);
        kv->log = NULL;
        (void)vv_wait_on(&nobody, 0, LOOK_US);
    }
}

int vv_fold_load(struct varve_kv *kv, uint64_t *ret_from, struct varve_error *ret_error)
{
    const struct vv_env_facts *f = &kv->env_facts;
    unsigned long long first = varve_first_lsn(kv->log), last = varve_last_lsn(kv->log);

    if (f->end_lsn > kv->at_lsn) {
        /* The log alone has the past. */
        vv_env_close(kv->env);
        kv->env = NULL;
        return vv_snapshot_load(kv, kv->at_lsn, ret_from, ret_error);
    }
    if (f->end_lsn > last && !(kv->read_only && is_exact(f)))
        return vv_error_set(
            ret_error, VARVE_E_SNAPSHOT, 0,
            "the environment %s/%s knows of records up to LSN %llu, and the log ends at %llu: "
            "it is newer than the log",
            kv->path, VV_ENV_DIR, (unsigned long long)f->end_lsn, last);
    if (f->lsn + 1 < first)
        return vv_error_set(ret_error, VARVE_E_SNAPSHOT, 0,
                            "the environment %s/%s ends at LSN %llu, and the log begins at %llu: what is "
                            "between was trimmed away",
                            kv->path, VV_ENV_DIR, (unsigned long long)f->lsn, first);
    kv->recovery.snapshot_lsn = kv->recovery.last_lsn = f->lsn;
    *ret_from = f->lsn + 1;
    kv->recovery.snapshot_entries = f->entries;
    atomic_store(&kv->shards[0].count, f->entries);
    atomic_store(&kv->shards[0].expiring, f->expiring);
    atomic_store(&kv->snapshot_lsn, f->lsn);
    return 0;
}
