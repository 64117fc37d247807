/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite with its write-ahead log: one connection, which all threads take in turn, because a database has one
 * writer at a time and waiting for a mutex is cheaper than trying again. */
#include "peers.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

struct store {
    sqlite3 *db;
    sqlite3_stmt *insert;
    pthread_mutex_t turn; /* over both */
};

static int failed(struct store *store, const char *what)
{
    return bench_fail(0, "sqlite: %s: %s", what, sqlite3_errmsg(store->db));
}

static int sqlite_peer_version(char version[PEER_VERSION_BYTES])
{
    snprintf(version, PEER_VERSION_BYTES, "%s", sqlite3_libversion());
    return 0;
}

static int sqlite_peer_close(void *arg)
{
    struct store *store = arg;
    sqlite3_finalize(store->insert);
    int code = sqlite3_close(store->db);
    pthread_mutex_destroy(&store->turn);
    free(store);
    return code == SQLITE_OK ? 0 : bench_fail(0, "sqlite: close: %s", sqlite3_errstr(code));
}

static int run(struct store *store, const char *sql)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(store, sql);
}

static int prepare(struct store *store, const struct peer_setup *setup)
{
    char path[BENCH_PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/db", setup->dir);
    if (sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return failed(store, path);
    if (run(store, "PRAGMA locking_mode=EXCLUSIVE") < 0 || run(store, "PRAGMA journal_mode=WAL") < 0 ||
        run(store, setup->mode == PEER_DURABLE ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL") < 0)
        return -1;
    if (setup->keep_log && run(store, "PRAGMA wal_autocheckpoint=0") < 0)
        return -1;
    if (run(store, "CREATE TABLE IF NOT EXISTS records (number INTEGER PRIMARY KEY, data BLOB NOT NULL)") < 0)
        return -1;
    if (sqlite3_prepare_v2(store->db, "INSERT INTO records (data) VALUES (?)", -1, &store->insert, NULL) !=
        SQLITE_OK)
        return failed(store, "INSERT");
    return 0;
}

static int sqlite_peer_open(const struct peer_setup *setup, void **ret_store)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return bench_fail(ENOMEM, "sqlite");
    pthread_mutex_init(&store->turn, NULL);
    if (prepare(store, setup) < 0) {
        sqlite_peer_close(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

/* [turn] */
static int insert(struct store *store, const void *data, size_t bytes)
{
    sqlite3_bind_blob64(store->insert, 1, data, bytes, SQLITE_STATIC);
    int code = sqlite3_step(store->insert);
    sqlite3_reset(store->insert);
    return code == SQLITE_DONE ? 0 : failed(store, "INSERT");
}

static int sqlite_peer_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    struct store *store = arg;
    (void)thread;
    pthread_mutex_lock(&store->turn);
    int code = insert(store, data, bytes);
    pthread_mutex_unlock(&store->turn);
    return code;
}

static int sqlite_peer_batch(void *arg, const void *data, size_t bytes, unsigned count)
{
    struct store *store = arg;
    pthread_mutex_lock(&store->turn);
    int code = run(store, "BEGIN");
    for (unsigned i = 0; i < count && code == 0; i++)
        code = insert(store, data, bytes);
    if (code == 0)
        code = run(store, "COMMIT");
    pthread_mutex_unlock(&store->turn);
    return code == 0 ? (int)count : -1;
}

/* What is committed is in the log already, but not synced in the lazy mode: a commit that syncs takes it
 * along. */
static int sqlite_peer_sync(void *arg)
{
    struct store *store = arg;
    if (run(store, "PRAGMA synchronous=FULL") < 0)
        return -1;
    return run(store, "PRAGMA user_version=1"); /* the least that a commit can change */
}

static int sqlite_peer_scan(void *arg, uint64_t *ret_records)
{
    struct store *store = arg;
    sqlite3_stmt *all = NULL;
    uint64_t records = 0;
    if (sqlite3_prepare_v2(store->db, "SELECT data FROM records ORDER BY number", -1, &all, NULL) !=
        SQLITE_OK)
        return failed(store, "SELECT");
    while (sqlite3_step(all) == SQLITE_ROW && sqlite3_column_blob(all, 0) != NULL)
        records++;
    if (sqlite3_finalize(all) != SQLITE_OK)
        return failed(store, "SELECT");
    *ret_records = records;
    return 0;
}

const struct peer peer_sqlite = {
    .name = "sqlite",
    .title = "SQLite",
    .settings =
        "journal_mode=WAL, locking_mode=EXCLUSIVE, one connection and a mutex, a transaction for each "
        "record; durable: synchronous=FULL; without waiting: synchronous=NORMAL; in flight: one transaction; "
        "recovery: wal_autocheckpoint=0",
    .modes = 1u << PEER_DURABLE | 1u << PEER_LAZY,
    .version = sqlite_peer_version,
    .open = sqlite_peer_open,
    .append = sqlite_peer_append,
    .batch = sqlite_peer_batch,
    .sync = sqlite_peer_sync,
    .scan = sqlite_peer_scan,
    .close = sqlite_peer_close,
};
