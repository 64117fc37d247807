/* SPDX-License-Identifier: Apache-2.0 */
/* WiredTiger: a table of record numbers (a column store, to which rows are appended without a key), logged.
 */
#include "peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wiredtiger.h>

#define TABLE "table:records"

struct line {
    WT_SESSION *session;
    WT_CURSOR *cursor;
};

struct store {
    WT_CONNECTION *connection;
    enum peer_mode mode;
    unsigned threads;
    struct line lines[]; /* one for each thread: sessions are not shared */
};

static int failed(const char *what, int code)
{
    return bench_fail(0, "wiredtiger: %s: %s", what, wiredtiger_strerror(code));
}

static int wiredtiger_peer_version(char version[PEER_VERSION_BYTES])
{
    int major = 0, minor = 0, patch = 0;
    wiredtiger_version(&major, &minor, &patch);
    snprintf(version, PEER_VERSION_BYTES, "%d.%d.%d", major, minor, patch);
    return 0;
}

static int open_lines(struct store *store)
{
    for (unsigned i = 0; i < store->threads; i++) {
        struct line *line = &store->lines[i];
        int code = store->connection->open_session(store->connection, NULL, NULL, &line->session);
        if (code == 0 && i == 0)
            code = line->session->create(line->session, TABLE, "key_format=r,value_format=u");
        if (code == 0)
            code = line->session->open_cursor(line->session, TABLE, NULL, "append", &line->cursor);
        if (code != 0)
            return failed("session", code);
    }
    return 0;
}

static int wiredtiger_peer_open(const struct peer_setup *setup, void **ret_store)
{
    struct store *store = calloc(1, sizeof *store + setup->threads * sizeof store->lines[0]);
    char config[256];
    if (store == NULL)
        return bench_fail(ENOMEM, "wiredtiger");
    store->mode = setup->mode;
    store->threads = setup->threads;
    snprintf(config, sizeof config,
             "create,cache_size=%s,session_max=%u,log=(enabled,file_max=%s,zero_fill=%s,archive=%s)",
             setup->keep_log ? "2GB" : "512MB", setup->threads + 64, setup->brief ? "2MB" : "100MB",
             setup->mode == PEER_DURABLE ? "true" : "false", setup->keep_log ? "false" : "true");
    int code = wiredtiger_open(setup->dir, NULL, config, &store->connection);
    if (code != 0) {
        free(store);
        return failed(setup->dir, code);
    }
    if (open_lines(store) < 0) {
        store->connection->close(store->connection, NULL);
        free(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static int insert(struct line *line, const void *data, size_t bytes)
{
    WT_ITEM item = {.data = data, .size = bytes};
    line->cursor->set_value(line->cursor, &item);
    int code = line->cursor->insert(line->cursor);
    return code == 0 ? 0 : failed("insert", code);
}

static int flush(struct line *line)
{
    int code = line->session->log_flush(line->session, "sync=on");
    return code == 0 ? 0 : failed("log_flush", code);
}

/* A transaction of its own, then a flush of the log: with many threads that is three to five times as fast as
 * a commit that syncs by itself (transaction_sync), and as durable. */
static int wiredtiger_peer_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    struct store *store = arg;
    struct line *line = &store->lines[thread];
    if (insert(line, data, bytes) < 0)
        return -1;
    return store->mode == PEER_DURABLE ? flush(line) : 0;
}

static int wiredtiger_peer_batch(void *arg, const void *data, size_t bytes, unsigned count)
{
    struct store *store = arg;
    struct line *line = &store->lines[0];
    int code = line->session->begin_transaction(line->session, NULL);
    for (unsigned i = 0; i < count && code == 0; i++)
        code = insert(line, data, bytes);
    if (code == 0)
        code = line->session->commit_transaction(line->session, NULL);
    if (code != 0)
        return failed("transaction", code);
    return store->mode == PEER_LAZY || flush(line) == 0 ? (int)count : -1;
}

static int wiredtiger_peer_sync(void *arg)
{
    struct store *store = arg;
    return flush(&store->lines[0]);
}

static int wiredtiger_peer_scan(void *arg, uint64_t *ret_records)
{
    struct store *store = arg;
    WT_SESSION *session = store->lines[0].session;
    WT_CURSOR *cursor = NULL;
    WT_ITEM item;
    uint64_t records = 0;
    int code = session->open_cursor(session, TABLE, NULL, NULL, &cursor);
    while (code == 0 && (code = cursor->next(cursor)) == 0 && (code = cursor->get_value(cursor, &item)) == 0)
        records++;
    if (code != WT_NOTFOUND)
        return failed("cursor", code);
    cursor->close(cursor);
    *ret_records = records;
    return 0;
}

static int wiredtiger_peer_close(void *arg)
{
    struct store *store = arg;
    int code = store->connection->close(store->connection, NULL);
    free(store);
    return code == 0 ? 0 : failed("close", code);
}

const struct peer peer_wiredtiger = {
    .name = "wiredtiger",
    .title = "WiredTiger",
    .settings = "log=(enabled), a table of record numbers to which rows are appended, cache 512 MB; durable: "
                "zero_fill, log_flush(\"sync=on\") after each commit; in flight: one transaction; recovery: "
                "cache 2 GB, archive=false",
    .modes = 1u << PEER_DURABLE | 1u << PEER_LAZY,
    .version = wiredtiger_peer_version,
    .open = wiredtiger_peer_open,
    .append = wiredtiger_peer_append,
    .batch = wiredtiger_peer_batch,
    .sync = wiredtiger_peer_sync,
    .scan = wiredtiger_peer_scan,
    .close = wiredtiger_peer_close,
};
