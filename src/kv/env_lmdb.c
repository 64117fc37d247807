/* SPDX-License-Identifier: Apache-2.0 */
/*
 * env_lmdb: the environment, by LMDB: opened, and read. env_lmdb_write.c writes.
 *
 * Readers take a read transaction out of a pool, renew it and put it back reset: that costs no system call.
 * Whoever wants the map for himself (to make it larger, to open the file anew) closes the gate, waits until
 * no reader is inside, and opens it again. The entries' database has integer keys, 8 bytes in the order of
 * this machine; LMDB's file is no other machine's anyway.
 */
#include "kv/env_lmdb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "kv/facts.h"

enum {
    READERS_MAX = 1024, /* of all processes */
    POOL_MAX = 256,     /* of this one */
    FILE_MODE = 0600,
    MENDING_SECONDS = 5, /* that a reader waits for at most */
};

#define MAP_FIRST (UINT64_C(16) << 20)

/* LMDB is not to open a file twice in a process: closing one of them would drop the locks of both. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct vv_env *open_first; /* [open_lock] */

bool vv_env_is_built(void)
{
    return true;
}

int vv_env_code(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return VARVE_END;
    case MDB_MAP_FULL:
        return VV_ENV_FULL;
    case ENOMEM:
        return VARVE_E_NOMEM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return VARVE_E_NOSPC;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return VARVE_E_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return VARVE_E_VERSION;
    default:
        return VARVE_E_IO;
    }
}

int vv_env_say(struct varve_error *ret_error, const char *path, const char *doing, int rc)
{
    return vv_error_set(ret_error, vv_env_code(rc), rc > 0 ? rc : 0, "%s the environment %s: %s", doing, path,
                        mdb_strerror(rc));
}

/* -- opening -- */

static int open_tables(struct vv_env *env, MDB_txn *txn, unsigned create)
{
    int rc = mdb_dbi_open(txn, "entries", create | MDB_INTEGERKEY, &env->entries);

    if (rc == 0)
        rc = mdb_dbi_open(txn, "expiry", create, &env->expiry);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "facts", create, &env->facts);
    return rc;
}

int vv_env_open_file(struct vv_env *env, bool create)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (env->read_only ? MDB_RDONLY : 0);
    MDB_txn *txn = NULL;
    int rc = mdb_env_create(&env->env);

    if (rc == 0)
        rc = mdb_env_set_maxdbs(env->env, 3);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(env->env, READERS_MAX);
    /* A file that is there keeps the size that its map had. */
    if (rc == 0 && create)
        rc = mdb_env_set_mapsize(env->env, MAP_FIRST);
    if (rc == 0)
        rc = mdb_env_open(env->env, env->path, flags, FILE_MODE);
    if (rc == 0)
        rc = mdb_txn_begin(env->env, NULL, env->read_only ? MDB_RDONLY : 0, &txn);
    if (rc == 0)
        rc = open_tables(env, txn, create ? MDB_CREATE : 0);
    if (rc == 0)
        return mdb_txn_commit(txn);
    if (txn)
        mdb_txn_abort(txn);
    return rc;
}

/* [open_lock] */
static bool is_open_already(const char *path)
{
    for (const struct vv_env *e = open_first; e; e = e->next)
        if (strcmp(e->path, path) == 0)
            return true;
    return false;
}

static int open_once(struct vv_env *env, bool create, struct varve_error *ret_error)
{
    int rc;

    if (is_open_already(env->path))
        return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, 0,
                            "the environment %s is open in this process already, and LMDB opens it once in a "
                            "process: use the engine that has it",
                            env->path);
    rc = vv_env_open_file(env, create);
    if (rc == ENOENT || rc == MDB_NOTFOUND)
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, ENOENT, "the environment %s is empty", env->path);
    if (rc)
        return vv_env_say(ret_error, env->path, "opening", rc);
    env->next = open_first;
    open_first = env;
    return 0;
}

static void free_env(struct vv_env *env)
{
    if (env->env)
        mdb_env_close(env->env);
    pthread_mutex_destroy(&env->lock);
    pthread_cond_destroy(&env->changed);
    free(env->path);
    vv_free(env);
}

int vv_env_open(const char *path, bool read_only, bool create, struct vv_env **ret_env,
                struct varve_error *ret_error)
{
    struct vv_env *env = vv_alloc_zero(sizeof *env);
    int rc;

    if (!env)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "the environment %s", path);
    pthread_mutex_init(&env->lock, NULL);
    pthread_cond_init(&env->changed, NULL);
    env->read_only = read_only;
    /* One transaction for its whole life: what is seen is one moment. */
    env->most = read_only ? 1 : POOL_MAX;
    env->path = realpath(path, NULL);
    if (!env->path) {
        rc = vv_error_set(ret_error, errno == ENOENT ? VARVE_E_NOT_FOUND : VARVE_E_IO, errno,
                          "the environment %s", path);
    } else {
        pthread_mutex_lock(&open_lock);
        rc = open_once(env, create, ret_error);
        pthread_mutex_unlock(&open_lock);
    }
    if (rc) {
        free_env(env);
        return rc;
    }
    *ret_env = env;
    return 0;
}

/* [no reader is inside] */
void vv_env_drop_readers(struct vv_env *env)
{
    while (env->idle) {
        struct vv_env_read *read = env->idle;

        env->idle = read->next;
        env->made--;
        if (read->cursor)
            mdb_cursor_close(read->cursor);
        mdb_txn_abort(read->txn);
        vv_free(read);
    }
}

void vv_env_close(struct vv_env *env)
{
    struct vv_env **at = &open_first;

    if (!env)
        return;
    vv_env_drop_readers(env);
    pthread_mutex_lock(&open_lock);
    while (*at != env)
        at = &(*at)->next;
    *at = env->next;
    free_env(env);
    pthread_mutex_unlock(&open_lock);
}

void vv_env_size(struct vv_env *env, uint64_t *ret_used, uint64_t *ret_map)
{
    MDB_envinfo info;
    MDB_stat stat;

    pthread_mutex_lock(&env->lock);
    while (env->is_closed)
        pthread_cond_wait(&env->changed, &env->lock);
    *ret_used = *ret_map = 0;
    if (mdb_env_info(env->env, &info) == 0 && mdb_env_stat(env->env, &stat) == 0) {
        *ret_used = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
        *ret_map = info.me_mapsize;
    }
    pthread_mutex_unlock(&env->lock);
}

/* -- the gate -- */

void vv_env_close_gate(struct vv_env *env)
{
    pthread_mutex_lock(&env->lock);
    while (env->is_closed)
        pthread_cond_wait(&env->changed, &env->lock);
    env->is_closed = true;
    while (env->active > 0)
        pthread_cond_wait(&env->changed, &env->lock);
    pthread_mutex_unlock(&env->lock);
}

void vv_env_open_gate(struct vv_env *env)
{
    pthread_mutex_lock(&env->lock);
    env->is_closed = false;
    pthread_cond_broadcast(&env->changed);
    pthread_mutex_unlock(&env->lock);
}

/* A place inside, with a transaction that was used before, or none. */
static struct vv_env_read *enter(struct vv_env *env)
{
    struct vv_env_read *read;

    pthread_mutex_lock(&env->lock);
    while (env->is_closed || (!env->idle && env->made == env->most))
        pthread_cond_wait(&env->changed, &env->lock);
    env->active++;
    read = env->idle;
    if (read)
        env->idle = read->next;
    else
        env->made++;
    pthread_mutex_unlock(&env->lock);
    return read;
}

/* `read`: NULL: it came to nothing. */
static void leave(struct vv_env *env, struct vv_env_read *read)
{
    bool wanted;

    pthread_mutex_lock(&env->lock);
    env->active--;
    /* Somebody may wait: for the gate, or for a transaction where all were in use. */
    wanted = env->is_closed || env->made == env->most;
    if (read) {
        read->next = env->idle;
        env->idle = read;
    } else {
        env->made--;
    }
    if (wanted)
        pthread_cond_broadcast(&env->changed);
    pthread_mutex_unlock(&env->lock);
}

/* -- reading -- */

/* An outgrown map: another process has made it larger. */
static int adopt_size(struct vv_env *env)
{
    int rc;

    vv_env_close_gate(env);
    rc = mdb_env_set_mapsize(env->env, 0);
    vv_env_open_gate(env);
    return rc;
}

static int begin_new(struct vv_env *env, struct vv_env_read **ret_read)
{
    struct vv_env_read *read = env->env ? vv_alloc_zero(sizeof *read) : NULL;
    int rc = !env->env ? MDB_PANIC : read ? mdb_txn_begin(env->env, NULL, MDB_RDONLY, &read->txn) : ENOMEM;

    if (rc) {
        vv_free(read);
        return rc;
    }
    read->env = env;
    *ret_read = read;
    return 0;
}

static int begin_once(struct vv_env *env, struct vv_env_read **ret_read)
{
    struct vv_env_read *read = enter(env);
    int rc = 0;

    if (!read)
        rc = begin_new(env, &read);
    else if (!env->read_only)
        rc = mdb_txn_renew(read->txn);
    if (rc) {
        leave(env, read);
        return rc;
    }
    read->cursor_renewed = env->read_only && read->cursor;
    read->is_at = false;
    *ret_read = read;
    return 0;
}

/* A commit has failed so that LMDB wants its file opened anew, which its writer does at once. */
static void wait_for_mending(struct vv_env *env, unsigned opened)
{
    struct timespec until;

    if (clock_gettime(CLOCK_REALTIME, &until) != 0)
        return;
    until.tv_sec += MENDING_SECONDS;
    pthread_mutex_lock(&env->lock);
    while (env->opened == opened && pthread_cond_timedwait(&env->changed, &env->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&env->lock);
}

int vv_env_read_begin(struct vv_env *env, struct vv_env_read **ret_read)
{
    unsigned opened;
    int rc;

    pthread_mutex_lock(&env->lock);
    opened = env->opened;
    pthread_mutex_unlock(&env->lock);
    rc = begin_once(env, ret_read);
    if (rc == MDB_PANIC && !env->read_only) {
        wait_for_mending(env, opened);
        rc = begin_once(env, ret_read);
    }
    if (rc == MDB_MAP_RESIZED) {
        rc = adopt_size(env);
        if (rc == 0)
            rc = begin_once(env, ret_read);
    }
    return vv_env_code(rc);
}

void vv_env_read_end(struct vv_env *env, struct vv_env_read *read)
{
    if (!env->read_only)
        mdb_txn_reset(read->txn);
    leave(env, read);
}

int vv_env_get(struct vv_env_read *read, uint64_t word, const uint8_t **ret_run, size_t *ret_bytes)
{
    size_t number = word;
    MDB_val key = {sizeof number, &number}, data;
    int rc = mdb_get(read->txn, read->env->entries, &key, &data);

    if (rc == 0) {
        *ret_run = data.mv_data;
        *ret_bytes = data.mv_size;
    }
    return vv_env_code(rc);
}

static int stand(struct vv_env_read *read)
{
    int rc = 0;

    if (!read->cursor)
        rc = mdb_cursor_open(read->txn, read->env->entries, &read->cursor);
    else if (!read->cursor_renewed)
        rc = mdb_cursor_renew(read->txn, read->cursor);
    read->cursor_renewed = rc == 0;
    return rc;
}

int vv_env_next(struct vv_env_read *read, uint64_t *word, const uint8_t **ret_run, size_t *ret_bytes)
{
    size_t number = *word;
    MDB_val key = {sizeof number, &number}, data;
    bool goes_on = read->is_at && *word == read->at + 1;
    int rc = goes_on ? 0 : stand(read);

    if (rc == 0)
        rc = mdb_cursor_get(read->cursor, &key, &data, goes_on ? MDB_NEXT : MDB_SET_RANGE);
    if (rc == 0 && key.mv_size != sizeof number)
        rc = MDB_CORRUPTED;
    read->is_at = rc == 0;
    if (rc)
        return vv_env_code(rc);
    memcpy(&number, key.mv_data, sizeof number);
    read->at = *word = number;
    *ret_run = data.mv_data;
    *ret_bytes = data.mv_size;
    return 0;
}

void vv_env_expiry_key(uint64_t expires_us, uint64_t word, uint8_t key[VV_EXPIRY_KEY_BYTES])
{
    vv_put_u64_be(key, expires_us);
    vv_put_u64_be(key + 8, word);
}

int vv_env_next_expiry(struct vv_env_read *read, uint64_t *expires_us, uint64_t *word)
{
    uint8_t bytes[VV_EXPIRY_KEY_BYTES];
    MDB_val key = {sizeof bytes, bytes}, data;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(read->txn, read->env->expiry, &cursor);

    if (rc)
        return vv_env_code(rc);
    vv_env_expiry_key(*expires_us, *word + 1, bytes);
    if (*word == UINT64_MAX)
        vv_env_expiry_key(*expires_us + 1, 0, bytes);
    rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    if (rc == 0 && key.mv_size != sizeof bytes)
        rc = MDB_CORRUPTED;
    if (rc == 0) {
        *expires_us = vv_get_u64_be(key.mv_data);
        *word = vv_get_u64_be((const uint8_t *)key.mv_data + 8);
    }
    mdb_cursor_close(cursor);
    return vv_env_code(rc);
}

int vv_env_facts(struct vv_env_read *read, struct vv_env_facts *ret_facts)
{
    MDB_val key = {sizeof VV_FACTS_KEY, (void *)(uintptr_t)VV_FACTS_KEY}, data;
    int rc = mdb_get(read->txn, read->env->facts, &key, &data);

    return rc ? vv_env_code(rc) : vv_facts_get(data.mv_data, data.mv_size, ret_facts);
}
