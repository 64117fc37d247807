/* SPDX-License-Identifier: Apache-2.0 */
/* env_lmdb_write: the environment, by LMDB: written, made larger, opened anew after a failure. */
#include <errno.h>

#include "base/bytes.h"
#include "kv/env_lmdb.h"
#include "kv/facts.h"

static int done(struct vv_env *env, const char *doing, int rc)
{
    env->why = rc;
    env->doing = doing;
    return vv_env_code(rc);
}

int vv_env_write_begin(struct vv_env *env)
{
    int dead, rc;

    /* Readers that were killed hold nothing from here on. */
    (void)mdb_reader_check(env->env, &dead);
    rc = mdb_txn_begin(env->env, NULL, 0, &env->write);
    if (rc)
        env->write = NULL;
    return done(env, "writing to", rc);
}

int vv_env_write_get(struct vv_env *env, uint64_t word, const uint8_t **ret_run, size_t *ret_bytes)
{
    size_t number = word;
    MDB_val key = {sizeof number, &number}, data;
    int rc = mdb_get(env->write, env->entries, &key, &data);

    if (rc == 0) {
        *ret_run = data.mv_data;
        *ret_bytes = data.mv_size;
    }
    return done(env, "reading", rc);
}

int vv_env_write_put(struct vv_env *env, uint64_t word, size_t bytes, uint8_t **ret_run)
{
    size_t number = word;
    MDB_val key = {sizeof number, &number}, data = {bytes, NULL};
    int rc = mdb_put(env->write, env->entries, &key, &data, MDB_RESERVE);

    if (rc == 0)
        *ret_run = data.mv_data;
    return done(env, "writing to", rc);
}

int vv_env_write_remove(struct vv_env *env, uint64_t word)
{
    size_t number = word;
    MDB_val key = {sizeof number, &number};

    return done(env, "writing to", mdb_del(env->write, env->entries, &key, NULL));
}

int vv_env_write_expiry(struct vv_env *env, uint64_t expires_us, uint64_t word, bool is_there)
{
    uint8_t bytes[VV_EXPIRY_KEY_BYTES];
    MDB_val key = {sizeof bytes, bytes}, data = {0, bytes};
    int rc;

    vv_env_expiry_key(expires_us, word, bytes);
    if (is_there)
        rc = mdb_put(env->write, env->expiry, &key, &data, 0);
    else
        rc = mdb_del(env->write, env->expiry, &key, NULL);
    return done(env, "writing to", rc == MDB_NOTFOUND ? 0 : rc);
}

int vv_env_write_commit(struct vv_env *env, const struct vv_env_facts *facts)
{
    MDB_val key = {sizeof VV_FACTS_KEY, (void *)(uintptr_t)VV_FACTS_KEY},
            data = {vv_facts_bytes(facts), NULL};
    int rc = mdb_put(env->write, env->facts, &key, &data, MDB_RESERVE);

    if (rc) {
        vv_env_write_abort(env);
        return done(env, "writing to", rc);
    }
    vv_facts_put(facts, data.mv_data);
    rc = mdb_txn_commit(env->write);
    env->write = NULL;
    if (rc)
        (void)vv_env_mend(env);
    return done(env, "committing to", rc);
}

void vv_env_write_abort(struct vv_env *env)
{
    if (env->write)
        mdb_txn_abort(env->write);
    env->write = NULL;
}

int vv_env_grow(struct vv_env *env, uint64_t more)
{
    uint64_t used, map, size;
    int rc;

    vv_env_size(env, &used, &map);
    size = map;
    while (size < used + more || size == map) {
        if (size > SIZE_MAX / 2)
            return done(env, "mapping", ENOMEM);
        size *= 2;
    }
    vv_env_close_gate(env);
    rc = mdb_env_set_mapsize(env->env, size);
    vv_env_open_gate(env);
    return done(env, "mapping", rc);
}

static bool wants_mending(struct vv_env *env)
{
    MDB_txn *txn;
    int rc = env->env ? mdb_txn_begin(env->env, NULL, 0, &txn) : MDB_PANIC;

    if (rc == 0)
        mdb_txn_abort(txn);
    return rc == MDB_PANIC;
}

int vv_env_mend(struct vv_env *env)
{
    int rc;

    if (!wants_mending(env))
        return 0;
    vv_env_close_gate(env);
    vv_env_drop_readers(env);
    if (env->env)
        mdb_env_close(env->env);
    rc = vv_env_open_file(env, false);
    if (rc && env->env) {
        mdb_env_close(env->env);
        env->env = NULL;
    }
    pthread_mutex_lock(&env->lock);
    env->opened++;
    pthread_mutex_unlock(&env->lock);
    vv_env_open_gate(env);
    return done(env, "opening", rc);
}

int vv_env_why(struct vv_env *env, struct varve_error *ret_error)
{
    return vv_env_say(ret_error, env->path, env->doing, env->why);
}
