/* SPDX-License-Identifier: Apache-2.0 */
/* The log of Berkeley DB alone, without the store on top: DB_ENV->log_put, and log_flush inside it. */
#include "bdb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct store {
    DB_ENV *env;
    uint32_t flags; /* of log_put */
};

static int bdb_log_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    struct store *store = arg;
    DB_LSN lsn;
    DBT record = {.size = (uint32_t)bytes};
    (void)thread;
    memcpy(&record.data, &data, sizeof data); /* it is only read */
    int code = store->env->log_put(store->env, &lsn, &record, store->flags);
    return code == 0 ? 0 : bdb_failed("log_put", code);
}

/* Everything in the log, oldest first; each record's checksum is checked on the way. */
static int bdb_log_scan(void *arg, uint64_t *ret_records)
{
    struct store *store = arg;
    DB_LOGC *cursor = NULL;
    DB_LSN lsn;
    DBT record = {0};
    uint64_t records = 0;
    int code = store->env->log_cursor(store->env, &cursor, 0);
    if (code != 0)
        return bdb_failed("log_cursor", code);
    code = cursor->get(cursor, &lsn, &record, DB_FIRST);
    for (; code == 0; code = cursor->get(cursor, &lsn, &record, DB_NEXT))
        records++;
    cursor->close(cursor, 0);
    if (code != DB_NOTFOUND)
        return bdb_failed("log cursor", code);
    *ret_records = records;
    return 0;
}

static int bdb_log_open(const struct peer_setup *setup, void **ret_store)
{
    struct store *store = calloc(1, sizeof *store);
    uint64_t records = 0;
    if (store == NULL)
        return bench_fail(ENOMEM, "berkeley db");
    store->flags = setup->mode == PEER_DURABLE ? DB_FLUSH : 0;
    if (bdb_env_open(setup, 0, &store->env) < 0) {
        free(store);
        return -1;
    }
    /* The environment looks for the end of the log only; who uses it alone has to read it. */
    if (bdb_log_scan(store, &records) < 0) {
        store->env->close(store->env, 0);
        free(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static int bdb_log_sync(void *arg)
{
    struct store *store = arg;
    int code = store->env->log_flush(store->env, NULL);
    return code == 0 ? 0 : bdb_failed("log_flush", code);
}

static int bdb_log_batch(void *arg, const void *data, size_t bytes, unsigned count)
{
    struct store *store = arg;
    uint32_t flags = store->flags;
    int failed = 0;
    store->flags = 0;
    for (unsigned i = 0; i < count && failed == 0; i++)
        failed = bdb_log_append(store, 0, data, bytes);
    store->flags = flags;
    if (failed == 0 && flags == DB_FLUSH)
        failed = bdb_log_sync(store);
    return failed < 0 ? -1 : (int)count;
}

static int bdb_log_close(void *arg)
{
    struct store *store = arg;
    int code = store->env->close(store->env, 0);
    free(store);
    return code == 0 ? 0 : bdb_failed("close", code);
}

const struct peer peer_bdb_log = {
    .name = "bdb-log",
    .title = "Berkeley DB log",
    .settings =
        "the log subsystem alone, lg_bsize 8 MiB, lg_max 64 MiB; durable: DB_LOG_ZERO, log_put(DB_FLUSH); "
        "in flight: log_put, one log_flush",
    .modes = 1u << PEER_DURABLE | 1u << PEER_LAZY,
    .version = bdb_version,
    .open = bdb_log_open,
    .append = bdb_log_append,
    .batch = bdb_log_batch,
    .sync = bdb_log_sync,
    .scan = bdb_log_scan,
    .close = bdb_log_close,
};
