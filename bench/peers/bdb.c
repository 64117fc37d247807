/* SPDX-License-Identifier: Apache-2.0 */
#include "bdb.h"

int bdb_failed(const char *what, int code)
{
    return bench_fail(0, "berkeley db: %s: %s", what, db_strerror(code));
}

int bdb_version(char version[PEER_VERSION_BYTES])
{
    int major = 0, minor = 0, patch = 0;
    db_version(&major, &minor, &patch);
    snprintf(version, PEER_VERSION_BYTES, "%d.%d.%d", major, minor, patch);
    return 0;
}

int bdb_env_open(const struct peer_setup *setup, uint32_t flags, DB_ENV **ret_env)
{
    DB_ENV *env = NULL;
    int code = db_env_create(&env, 0);
    if (code != 0)
        return bdb_failed("db_env_create", code);
    env->set_cachesize(env, 0, 256u << 20, 1);
    env->set_lg_bsize(env, setup->brief ? 1u << 20 : 8u << 20);
    env->set_lg_max(env, setup->brief ? 8u << 20 : 64u << 20);
    env->set_lk_max_locks(env, 65536);
    env->set_lk_max_lockers(env, 65536);
    env->set_lk_max_objects(env, 65536);
    env->set_tx_max(env, 4 * PEER_THREADS_MAX);
    if (setup->mode == PEER_DURABLE)
        env->log_set_config(env, DB_LOG_ZERO, 1);
    if (setup->mode == PEER_LAZY)
        env->set_flags(env, DB_TXN_NOSYNC, 1);
    code = env->open(env, setup->dir, DB_CREATE | DB_PRIVATE | DB_THREAD | DB_INIT_LOG | flags, 0600);
    if (code != 0) {
        env->close(env, 0);
        return bdb_failed(setup->dir, code);
    }
    *ret_env = env;
    return 0;
}
