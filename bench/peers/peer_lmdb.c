/* SPDX-License-Identifier: Apache-2.0 */
/* LMDB: a key that counts up, appended, a transaction for each record. It has one writer at a time and no
 * log; without waiting means that the pages go to the disk when the system writes them. */
#include "peers.h"

#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#define MAP_BYTES ((size_t)32 << 30) /* address space, not memory */

struct store {
    MDB_env *env;
    MDB_dbi dbi;
    uint64_t next; /* [who has the write transaction] */
};

static int failed(const char *what, int code)
{
    return bench_fail(0, "lmdb: %s: %s", what, mdb_strerror(code));
}

static int lmdb_peer_version(char version[PEER_VERSION_BYTES])
{
    int major = 0, minor = 0, patch = 0;
    mdb_version(&major, &minor, &patch);
    snprintf(version, PEER_VERSION_BYTES, "%d.%d.%d", major, minor, patch);
    return 0;
}

/* Where counting goes on: after the last key. */
static int find_next(struct store *store, MDB_txn *txn)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    int code = mdb_cursor_open(txn, store->dbi, &cursor);
    if (code != 0)
        return code;
    code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    if (code == 0) {
        memcpy(&store->next, key.mv_data, sizeof store->next);
        store->next++;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

static int open_table(struct store *store)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != 0)
        return failed("mdb_txn_begin", code);
    code = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &store->dbi);
    if (code == 0)
        code = find_next(store, txn);
    if (code != 0) {
        mdb_txn_abort(txn);
        return failed("table", code);
    }
    code = mdb_txn_commit(txn);
    return code == 0 ? 0 : failed("mdb_txn_commit", code);
}

static int lmdb_peer_open(const struct peer_setup *setup, void **ret_store)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return bench_fail(ENOMEM, "lmdb");
    int code = mdb_env_create(&store->env);
    if (code != 0) {
        free(store);
        return failed("mdb_env_create", code);
    }
    code = mdb_env_set_mapsize(store->env, MAP_BYTES);
    if (code == 0)
        code = mdb_env_open(store->env, setup->dir, setup->mode == PEER_LAZY ? MDB_NOSYNC : 0, 0600);
    if (code != 0)
        failed(setup->dir, code);
    if (code != 0 || open_table(store) < 0) {
        mdb_env_close(store->env);
        free(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static int put_all(struct store *store, const void *data, size_t bytes, unsigned count)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != 0)
        return failed("mdb_txn_begin", code);
    for (unsigned i = 0; i < count && code == 0; i++) {
        uint64_t number = store->next++;
        MDB_val key = {.mv_size = sizeof number, .mv_data = &number}, value = {.mv_size = bytes};
        memcpy(&value.mv_data, &data, sizeof data); /* it is only read */
        code = mdb_put(txn, store->dbi, &key, &value, MDB_APPEND);
    }
    if (code != 0) {
        mdb_txn_abort(txn);
        return failed("mdb_put", code);
    }
    code = mdb_txn_commit(txn);
    return code == 0 ? (int)count : failed("mdb_txn_commit", code);
}

static int lmdb_peer_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    (void)thread;
    return put_all(arg, data, bytes, 1) < 0 ? -1 : 0;
}

static int lmdb_peer_batch(void *arg, const void *data, size_t bytes, unsigned count)
{
    return put_all(arg, data, bytes, count);
}

static int lmdb_peer_sync(void *arg)
{
    struct store *store = arg;
    int code = mdb_env_sync(store->env, 1);
    return code == 0 ? 0 : failed("mdb_env_sync", code);
}

static int lmdb_peer_scan(void *arg, uint64_t *ret_records)
{
    struct store *store = arg;
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    uint64_t records = 0;
    int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (code != 0)
        return failed("mdb_txn_begin", code);
    code = mdb_cursor_open(txn, store->dbi, &cursor);
    while (code == 0 && (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
        records++;
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    if (code != MDB_NOTFOUND)
        return failed("cursor", code);
    *ret_records = records;
    return 0;
}

static int lmdb_peer_close(void *arg)
{
    struct store *store = arg;
    mdb_env_close(store->env);
    free(store);
    return 0;
}

const struct peer peer_lmdb = {
    .name = "lmdb",
    .title = "LMDB",
    .settings =
        "MDB_INTEGERKEY, MDB_APPEND, a transaction for each record; without waiting: MDB_NOSYNC; in flight: "
        "one transaction",
    .flags = PEER_NO_LOG,
    .modes = 1u << PEER_DURABLE | 1u << PEER_LAZY,
    .version = lmdb_peer_version,
    .open = lmdb_peer_open,
    .append = lmdb_peer_append,
    .batch = lmdb_peer_batch,
    .sync = lmdb_peer_sync,
    .scan = lmdb_peer_scan,
    .close = lmdb_peer_close,
};
