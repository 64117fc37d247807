/* SPDX-License-Identifier: Apache-2.0 */
/* RocksDB through its C interface: a key of 8 bytes that counts up, the payload as its value. */
#include "peers.h"

#include <errno.h>
#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES          8
#define KEEP_BUFFER_BYTES  ((size_t)512 << 20)
#define WRITE_BUFFER_BYTES ((size_t)64 << 20)

struct store {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *write;
    rocksdb_writebatch_t *batch; /* [the one thread that batches] */
    rocksdb_flushoptions_t *flush;
    _Atomic uint64_t next;
};

static int failed(char *error)
{
    bench_fail(0, "rocksdb: %s", error);
    rocksdb_free(error);
    return -1;
}

static void make_key(struct store *store, char key[KEY_BYTES])
{
    uint64_t number = atomic_fetch_add_explicit(&store->next, 1, memory_order_relaxed);
    uint64_t big = __builtin_bswap64(number);
    memcpy(key, &big, KEY_BYTES);
}

static int rocksdb_peer_version(char version[PEER_VERSION_BYTES])
{
    snprintf(version, PEER_VERSION_BYTES, "%s", PEER_ROCKSDB_VERSION);
    return 0;
}

static void free_store(struct store *store)
{
    if (store->db != NULL)
        rocksdb_close(store->db);
    rocksdb_flushoptions_destroy(store->flush);
    rocksdb_writebatch_destroy(store->batch);
    rocksdb_writeoptions_destroy(store->write);
    rocksdb_options_destroy(store->options);
    free(store);
}

static int rocksdb_peer_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    struct store *store = arg;
    char key[KEY_BYTES], *error = NULL;
    (void)thread;
    make_key(store, key);
    rocksdb_put(store->db, store->write, key, sizeof key, data, bytes, &error);
    return error == NULL ? 0 : failed(error);
}

static int rocksdb_peer_sync(void *arg)
{
    struct store *store = arg;
    char *error = NULL;
    rocksdb_flush_wal(store->db, 1, &error);
    return error == NULL ? 0 : failed(error);
}

/* A log that is overwritten spares the file system's journal, and RocksDB does so once two of them were
 * filled and left: the state that a database is in most of the time. */
static int have_logs_to_recycle(struct store *store)
{
    static char piece[1u << 20];
    for (int log = 0; log < 3; log++) {
        char *error = NULL;
        for (size_t filled = 0; filled < WRITE_BUFFER_BYTES - (WRITE_BUFFER_BYTES >> 3);
             filled += sizeof piece) {
            if (rocksdb_peer_append(store, 0, piece, sizeof piece) < 0)
                return -1;
        }
        rocksdb_flush(store->db, store->flush, &error);
        if (error != NULL)
            return failed(error);
    }
    return 0;
}

static int rocksdb_peer_open(const struct peer_setup *setup, void **ret_store)
{
    struct store *store = calloc(1, sizeof *store);
    char *error = NULL;
    if (store == NULL)
        return bench_fail(ENOMEM, "rocksdb");
    store->options = rocksdb_options_create();
    store->write = rocksdb_writeoptions_create();
    store->batch = rocksdb_writebatch_create();
    store->flush = rocksdb_flushoptions_create();
    rocksdb_options_set_create_if_missing(store->options, 1);
    rocksdb_options_increase_parallelism(store->options, 2);
    rocksdb_options_set_compression(store->options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(store->options,
                                          setup->keep_log ? KEEP_BUFFER_BYTES : WRITE_BUFFER_BYTES);
    if (setup->mode == PEER_DURABLE)
        rocksdb_options_set_recycle_log_file_num(store->options, 4);
    else
        rocksdb_options_set_manual_wal_flush(store->options, 1);
    store->db = rocksdb_open(store->options, setup->dir, &error);
    if (error != NULL) {
        free_store(store);
        return failed(error);
    }
    if (setup->mode == PEER_DURABLE && !setup->brief && have_logs_to_recycle(store) < 0) {
        free_store(store);
        return -1;
    }
    rocksdb_writeoptions_set_sync(store->write, setup->mode == PEER_DURABLE);
    *ret_store = store;
    return 0;
}

static int rocksdb_peer_batch(void *arg, const void *data, size_t bytes, unsigned count)
{
    struct store *store = arg;
    char key[KEY_BYTES], *error = NULL;
    rocksdb_writebatch_clear(store->batch);
    for (unsigned i = 0; i < count; i++) {
        make_key(store, key);
        rocksdb_writebatch_put(store->batch, key, sizeof key, data, bytes);
    }
    rocksdb_write(store->db, store->write, store->batch, &error);
    return error == NULL ? (int)count : failed(error);
}

static int rocksdb_peer_scan(void *arg, uint64_t *ret_records)
{
    struct store *store = arg;
    rocksdb_readoptions_t *read = rocksdb_readoptions_create();
    rocksdb_iterator_t *at = rocksdb_create_iterator(store->db, read);
    uint64_t records = 0;
    char *error = NULL;
    size_t bytes;
    for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at); rocksdb_iter_next(at)) {
        rocksdb_iter_value(at, &bytes);
        records++;
    }
    rocksdb_iter_get_error(at, &error);
    rocksdb_iter_destroy(at);
    rocksdb_readoptions_destroy(read);
    if (error != NULL)
        return failed(error);
    *ret_records = records;
    return 0;
}

static int rocksdb_peer_close(void *arg)
{
    free_store(arg);
    return 0;
}

const struct peer peer_rocksdb = {
    .name = "rocksdb",
    .title = "RocksDB",
    .settings =
        "increase_parallelism(2), no compression; durable: WriteOptions.sync, recycle_log_file_num 4 (and "
        "logs filled before, so that they are recycled); without waiting: manual_wal_flush; in flight: "
        "WriteBatch; recovery: write_buffer_size 512 MiB",
    .modes = 1u << PEER_DURABLE | 1u << PEER_LAZY,
    .version = rocksdb_peer_version,
    .open = rocksdb_peer_open,
    .append = rocksdb_peer_append,
    .batch = rocksdb_peer_batch,
    .sync = rocksdb_peer_sync,
    .scan = rocksdb_peer_scan,
    .close = rocksdb_peer_close,
};
