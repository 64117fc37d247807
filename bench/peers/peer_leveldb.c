/* SPDX-License-Identifier: Apache-2.0 */
/* LevelDB through its C interface: a key of 8 bytes that counts up, the payload as its value. */
#include "peers.h"

#include <errno.h>
#include <leveldb/c.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES          8
#define KEEP_BUFFER_BYTES  ((size_t)512 << 20)
#define WRITE_BUFFER_BYTES ((size_t)64 << 20)

struct store {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_writeoptions_t *write;
    leveldb_writebatch_t *batch; /* [the one thread that batches] */
    _Atomic uint64_t next;
};

static int failed(char *error)
{
    bench_fail(0, "leveldb: %s", error);
    leveldb_free(error);
    return -1;
}

static void make_key(struct store *store, char key[KEY_BYTES])
{
    uint64_t number = atomic_fetch_add_explicit(&store->next, 1, memory_order_relaxed);
    uint64_t big = __builtin_bswap64(number);
    memcpy(key, &big, KEY_BYTES);
}

static int leveldb_peer_version(char version[PEER_VERSION_BYTES])
{
    snprintf(version, PEER_VERSION_BYTES, "%d.%d", leveldb_major_version(), leveldb_minor_version());
    return 0;
}

static void free_store(struct store *store)
{
    if (store->db != NULL)
        leveldb_close(store->db);
    leveldb_writebatch_destroy(store->batch);
    leveldb_writeoptions_destroy(store->write);
    leveldb_options_destroy(store->options);
    free(store);
}

static int leveldb_peer_open(const struct peer_setup *setup, void **ret_store)
{
    struct store *store = calloc(1, sizeof *store);
    char *error = NULL;
    if (store == NULL)
        return bench_fail(ENOMEM, "leveldb");
    store->options = leveldb_options_create();
    store->write = leveldb_writeoptions_create();
    store->batch = leveldb_writebatch_create();
    leveldb_options_set_create_if_missing(store->options, 1);
    leveldb_options_set_compression(store->options, leveldb_no_compression);
    leveldb_options_set_write_buffer_size(store->options,
                                          setup->keep_log ? KEEP_BUFFER_BYTES : WRITE_BUFFER_BYTES);
    leveldb_writeoptions_set_sync(store->write, setup->mode == PEER_DURABLE);
    store->db = leveldb_open(store->options, setup->dir, &error);
    if (error != NULL) {
        free_store(store);
        return failed(error);
    }
    *ret_store = store;
    return 0;
}

static int leveldb_peer_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    struct store *store = arg;
    char key[KEY_BYTES], *error = NULL;
    (void)thread;
    make_key(store, key);
    leveldb_put(store->db, store->write, key, sizeof key, data, bytes, &error);
    return error == NULL ? 0 : failed(error);
}

static int leveldb_peer_batch(void *arg, const void *data, size_t bytes, unsigned count)
{
    struct store *store = arg;
    char key[KEY_BYTES], *error = NULL;
    leveldb_writebatch_clear(store->batch);
    for (unsigned i = 0; i < count; i++) {
        make_key(store, key);
        leveldb_writebatch_put(store->batch, key, sizeof key, data, bytes);
    }
    leveldb_write(store->db, store->write, store->batch, &error);
    return error == NULL ? (int)count : failed(error);
}

/* A sync of the log has no call of its own: a write that syncs takes what was written before along. */
static int leveldb_peer_sync(void *arg)
{
    struct store *store = arg;
    leveldb_writeoptions_t *sync = leveldb_writeoptions_create();
    char *error = NULL;
    leveldb_writeoptions_set_sync(sync, 1);
    leveldb_delete(store->db, sync, "", 0, &error);
    leveldb_writeoptions_destroy(sync);
    return error == NULL ? 0 : failed(error);
}

static int leveldb_peer_scan(void *arg, uint64_t *ret_records)
{
    struct store *store = arg;
    leveldb_readoptions_t *read = leveldb_readoptions_create();
    leveldb_iterator_t *at = leveldb_create_iterator(store->db, read);
    uint64_t records = 0;
    char *error = NULL;
    size_t bytes;
    for (leveldb_iter_seek_to_first(at); leveldb_iter_valid(at); leveldb_iter_next(at)) {
        leveldb_iter_value(at, &bytes);
        records++;
    }
    leveldb_iter_get_error(at, &error);
    leveldb_iter_destroy(at);
    leveldb_readoptions_destroy(read);
    if (error != NULL)
        return failed(error);
    *ret_records = records;
    return 0;
}

static int leveldb_peer_close(void *arg)
{
    free_store(arg);
    return 0;
}

const struct peer peer_leveldb = {
    .name = "leveldb",
    .title = "LevelDB",
    .settings =
        "write_buffer_size 64 MiB, no compression; durable: WriteOptions.sync; in flight: WriteBatch; "
        "recovery: write_buffer_size 512 MiB",
    .modes = 1u << PEER_DURABLE | 1u << PEER_LAZY,
    .version = leveldb_peer_version,
    .open = leveldb_peer_open,
    .append = leveldb_peer_append,
    .batch = leveldb_peer_batch,
    .sync = leveldb_peer_sync,
    .scan = leveldb_peer_scan,
    .close = leveldb_peer_close,
};
