/* SPDX-License-Identifier: Apache-2.0 */
/* Berkeley DB as a store: a queue, the access method it has for appending by many at once (it locks records
 * and not pages), each record in a transaction. */
#include "bdb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct store {
    DB_ENV *env;
    DB *db;
    uint32_t record_bytes; /* of a queue they are all the same */
};

static int open_queue(struct store *store, const struct peer_setup *setup)
{
    int code = db_create(&store->db, store->env, 0);
    if (code != 0)
        return bdb_failed("db_create", code);
    store->record_bytes = (uint32_t)setup->bytes_max;
    store->db->set_re_len(store->db, store->record_bytes);
    store->db->set_pagesize(store->db, setup->bytes_max > 8000 ? 65536 : 8192);
    store->db->set_q_extentsize(store->db, 4096);
    code = store->db->open(store->db, NULL, "records", NULL, DB_QUEUE, DB_CREATE | DB_AUTO_COMMIT | DB_THREAD,
                           0600);
    return code == 0 ? 0 : bdb_failed("queue", code);
}

static int bdb_close(void *arg)
{
    struct store *store = arg;
    int code = store->db != NULL ? store->db->close(store->db, 0) : 0;
    int env_code = store->env->close(store->env, 0);
    free(store);
    if (code == 0)
        code = env_code;
    return code == 0 ? 0 : bdb_failed("close", code);
}

static int bdb_open(const struct peer_setup *setup, void **ret_store)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return bench_fail(ENOMEM, "berkeley db");
    if (bdb_env_open(setup, DB_INIT_LOCK | DB_INIT_MPOOL | DB_INIT_TXN | DB_RECOVER, &store->env) < 0) {
        free(store);
        return -1;
    }
    if (open_queue(store, setup) < 0) {
        bdb_close(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static int put(struct store *store, DB_TXN *txn, const void *data, size_t bytes)
{
    db_recno_t number = 0;
    DBT key = {.data = &number, .ulen = sizeof number, .flags = DB_DBT_USERMEM};
    DBT record = {.size = (uint32_t)bytes};
    memcpy(&record.data, &data, sizeof data); /* it is only read */
    int code = store->db->put(store->db, txn, &key, &record, DB_APPEND);
    return code == 0 ? 0 : bdb_failed("put", code);
}

static int put_all(struct store *store, const void *data, size_t bytes, unsigned count)
{
    DB_TXN *txn = NULL;
    int code = store->env->txn_begin(store->env, NULL, &txn, 0);
    if (code != 0)
        return bdb_failed("txn_begin", code);
    for (unsigned i = 0; i < count; i++) {
        if (put(store, txn, data, bytes) < 0) {
            txn->abort(txn);
            return -1;
        }
    }
    code = txn->commit(txn, 0);
    return code == 0 ? (int)count : bdb_failed("commit", code);
}

static int bdb_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    (void)thread;
    return put_all(arg, data, bytes, 1) < 0 ? -1 : 0;
}

static int bdb_batch(void *arg, const void *data, size_t bytes, unsigned count)
{
    return put_all(arg, data, bytes, count);
}

static int bdb_sync(void *arg)
{
    struct store *store = arg;
    int code = store->env->log_flush(store->env, NULL);
    return code == 0 ? 0 : bdb_failed("log_flush", code);
}

static int bdb_scan(void *arg, uint64_t *ret_records)
{
    struct store *store = arg;
    DBC *cursor = NULL;
    DBT key = {0}, record = {0};
    uint64_t records = 0;
    int code = store->db->cursor(store->db, NULL, &cursor, 0);
    if (code != 0)
        return bdb_failed("cursor", code);
    while ((code = cursor->get(cursor, &key, &record, DB_NEXT)) == 0)
        records++;
    cursor->close(cursor);
    if (code != DB_NOTFOUND)
        return bdb_failed("cursor", code);
    *ret_records = records;
    return 0;
}

const struct peer peer_bdb = {
    .name = "bdb",
    .title = "Berkeley DB store",
    .settings =
        "DB_QUEUE, a transaction for each record, cache 256 MiB, lg_bsize 8 MiB, lg_max 64 MiB; durable: "
        "DB_LOG_ZERO, DB_TXN sync; without waiting: DB_TXN_NOSYNC; in flight: one transaction",
    .modes = 1u << PEER_DURABLE | 1u << PEER_LAZY,
    .version = bdb_version,
    .open = bdb_open,
    .append = bdb_append,
    .batch = bdb_batch,
    .sync = bdb_sync,
    .scan = bdb_scan,
    .close = bdb_close,
};
