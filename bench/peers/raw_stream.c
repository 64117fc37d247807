/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine does without a log around it when nobody waits for the disk: records copied and checksummed
 * into a buffer of 64 KiB, that and the buffer written to the page cache, and direct writing of 1 MiB blocks.
 */
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_BUFFER_BYTES ((size_t)64 << 10)
#define COPY_FILE_BYTES   ((uint64_t)256 << 20)
#define BLOCK_BYTES       ((size_t)1 << 20)
#define OVER_FILE_BYTES   ((uint64_t)512 << 20)

struct store {
    int fd; /* -1 = nothing is written */
    uint64_t offset;
    uint64_t round_bytes; /* the offset starts again here; 0 = never, the file grows */
    int lays;             /* 1 = copies and checksums, 0 = only writes */
    size_t buffer_bytes;
    size_t filled;
    uint8_t *buffer;
};

static int store_new(size_t buffer_bytes, int lays, struct store **ret_store)
{
    struct store *store = calloc(1, sizeof *store);
    void *buffer = NULL;
    if (store == NULL || posix_memalign(&buffer, 4096, buffer_bytes) != 0) {
        free(store);
        return bench_fail(ENOMEM, "raw");
    }
    memset(buffer, 0x5A, buffer_bytes);
    store->fd = -1;
    store->lays = lays;
    store->buffer = buffer;
    store->buffer_bytes = buffer_bytes;
    *ret_store = store;
    return 0;
}

static int store_close(void *arg)
{
    struct store *store = arg;
    if (store->fd >= 0)
        close(store->fd);
    free(store->buffer);
    free(store);
    return 0;
}

static int zeroed(struct store *store, const struct peer_setup *setup, uint64_t bytes, int flags)
{
    struct bench place = {0};
    snprintf(place.dir, sizeof place.dir, "%s", setup->dir);
    store->round_bytes = bytes;
    if (disk_open_zeroed(&place, "zeroed", bytes, flags, &store->fd) < 0) {
        store->fd = -1;
        store_close(store);
        return -1;
    }
    return 0;
}

static int memcpy_open(const struct peer_setup *setup, void **ret_store)
{
    (void)setup;
    return store_new(COPY_BUFFER_BYTES, 1, (struct store **)ret_store);
}

static int copy_open(const struct peer_setup *setup, void **ret_store)
{
    struct store *store = NULL;
    if (store_new(COPY_BUFFER_BYTES, 1, &store) < 0 ||
        zeroed(store, setup, setup->brief ? COPY_FILE_BYTES / 64 : COPY_FILE_BYTES, 0) < 0)
        return -1;
    *ret_store = store;
    return 0;
}

static int over_open(const struct peer_setup *setup, void **ret_store)
{
    struct store *store = NULL;
    if (store_new(BLOCK_BYTES, 0, &store) < 0 ||
        zeroed(store, setup, setup->brief ? OVER_FILE_BYTES / 64 : OVER_FILE_BYTES, O_DIRECT) < 0)
        return -1;
    *ret_store = store;
    return 0;
}

static int new_open(const struct peer_setup *setup, void **ret_store)
{
    struct store *store = NULL;
    char path[BENCH_PATH_BYTES + 8];
    if (store_new(BLOCK_BYTES, 0, &store) < 0)
        return -1;
    snprintf(path, sizeof path, "%s/new", setup->dir);
    store->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
    if (store->fd < 0) {
        bench_fail(errno, "%s", path);
        store_close(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static int write_buffer(struct store *store)
{
    store->filled = 0;
    if (store->fd < 0)
        return 0;
    if (disk_write_all(store->fd, store->buffer, store->buffer_bytes, store->offset) < 0)
        return -1;
    store->offset += store->buffer_bytes;
    if (store->round_bytes != 0 && store->offset + store->buffer_bytes > store->round_bytes)
        store->offset = 0;
    return 0;
}

static int stream_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    struct store *store = arg;
    size_t laid = store->lays ? BENCH_HEADER_BYTES + bytes : bytes;
    (void)thread;
    if (store->filled + laid > store->buffer_bytes && write_buffer(store) < 0)
        return -1;
    if (store->lays)
        bench_lay_record(store->buffer + store->filled, data, bytes);
    store->filled += laid;
    return 0;
}

const struct peer peer_raw_memcpy = {
    .name = "raw-memcpy",
    .title = "copy + CRC",
    .settings = "records into a buffer of 64 KiB, again and again; nothing is written",
    .flags = PEER_RAW,
    .threads_max = 1,
    .modes = 1u << PEER_LAZY,
    .open = memcpy_open,
    .append = stream_append,
    .close = store_close,
};

const struct peer peer_raw_copy = {
    .name = "raw-copy",
    .title = "copy + CRC + write of 64 KiB",
    .settings = "into the page cache, over the same 256 MiB again and again; no sync",
    .flags = PEER_RAW,
    .threads_max = 1,
    .modes = 1u << PEER_LAZY,
    .open = copy_open,
    .append = stream_append,
    .close = store_close,
};

const struct peer peer_raw_blocks = {
    .name = "raw-blocks",
    .title = "sequential direct writes, new file",
    .settings = "O_DIRECT, blocks of 1 MiB, into a file that grows; no copy, no CRC",
    .flags = PEER_RAW,
    .threads_max = 1,
    .modes = 1u << PEER_LAZY,
    .open = new_open,
    .append = stream_append,
    .close = store_close,
};

const struct peer peer_raw_over = {
    .name = "raw-over",
    .title = "sequential direct writes, written file",
    .settings =
        "O_DIRECT, blocks of 1 MiB, over a file of 512 MiB written with zeros before; no copy, no CRC",
    .flags = PEER_RAW,
    .threads_max = 1,
    .modes = 1u << PEER_LAZY,
    .open = over_open,
    .append = stream_append,
    .close = store_close,
};
