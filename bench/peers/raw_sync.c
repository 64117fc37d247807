/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain ways to make a record durable, one writer: write and fdatasync, into a file that grows or into
 * one that was written before; and one direct write that returns durable. The last one stands for N threads
 * by carrying N records in one write: the limit for anything that has one write in flight.
 */
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_BYTES ((uint64_t)64 << 20)

struct store {
    int fd;
    int grows;
    uint64_t file_bytes; /* where the offset starts again, unless the file grows */
    uint64_t offset;
    unsigned sector_bytes;
    size_t buffer_bytes;
    uint8_t *buffer; /* aligned for direct I/O */
};

static int store_new(const struct peer_setup *setup, int grows, int flags, void **ret_store)
{
    struct bench place = {0};
    struct store *store = calloc(1, sizeof *store);
    void *buffer = NULL;
    if (store == NULL)
        return bench_fail(ENOMEM, "raw");
    size_t laid = PEER_BATCH_MAX * (BENCH_HEADER_BYTES + BENCH_RECORD_BYTES);
    size_t wanted = setup->bytes_max + BENCH_HEADER_BYTES;
    store->grows = grows;
    store->file_bytes = setup->brief ? FILE_BYTES / 16 : FILE_BYTES;
    store->sector_bytes = setup->sector_bytes;
    store->buffer_bytes = ((wanted * 128 > laid ? wanted * 128 : laid) + 4095) / 4096 * 4096;
    if (posix_memalign(&buffer, 4096, store->buffer_bytes) != 0) {
        free(store);
        return bench_fail(ENOMEM, "raw");
    }
    memset(buffer, 0, store->buffer_bytes);
    store->buffer = buffer;
    snprintf(place.dir, sizeof place.dir, "%s", setup->dir);
    if (grows) {
        char path[BENCH_PATH_BYTES];
        disk_path(&place, "grown", path);
        store->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (store->fd < 0)
            bench_fail(errno, "%s", path);
    } else if (disk_open_zeroed(&place, "zeroed", store->file_bytes, flags, &store->fd) < 0) {
        store->fd = -1;
    }
    if (store->fd < 0) {
        free(store->buffer);
        free(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static int grown_open(const struct peer_setup *setup, void **ret_store)
{
    return store_new(setup, 1, 0, ret_store);
}

static int zeroed_open(const struct peer_setup *setup, void **ret_store)
{
    return store_new(setup, 0, 0, ret_store);
}

static int direct_open(const struct peer_setup *setup, void **ret_store)
{
    return store_new(setup, 0, O_DIRECT, ret_store);
}

static void advance(struct store *store, size_t bytes)
{
    store->offset += bytes;
    if (!store->grows && store->offset + store->buffer_bytes > store->file_bytes)
        store->offset = 0;
}

static int synced_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    struct store *store = arg;
    (void)thread;
    size_t laid = bench_lay_record(store->buffer, data, bytes);
    if (disk_write_all(store->fd, store->buffer, laid, store->offset) < 0)
        return -1;
    if (fdatasync(store->fd) < 0)
        return bench_fail(errno, "fdatasync");
    advance(store, laid);
    return 0;
}

static int direct_batch(void *arg, const void *data, size_t bytes, unsigned count)
{
    struct store *store = arg;
    size_t laid = 0;
    for (unsigned i = 0; i < count; i++)
        laid += bench_lay_record(store->buffer + laid, data, bytes);
    laid = (laid + store->sector_bytes - 1) / store->sector_bytes * store->sector_bytes;
    struct iovec piece = {.iov_base = store->buffer, .iov_len = laid};
    ssize_t wrote = pwritev2(store->fd, &piece, 1, (off_t)store->offset, RWF_DSYNC);
    if (wrote != (ssize_t)laid)
        return bench_fail(wrote < 0 ? errno : 0, "durable write of %zu bytes", laid);
    advance(store, laid);
    return (int)count;
}

static int direct_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    (void)thread;
    return direct_batch(arg, data, bytes, 1) < 0 ? -1 : 0;
}

static int store_close(void *arg)
{
    struct store *store = arg;
    close(store->fd);
    free(store->buffer);
    free(store);
    return 0;
}

const struct peer peer_raw_grown = {
    .name = "raw-append",
    .title = "append + fdatasync",
    .settings = "a file that grows",
    .flags = PEER_RAW,
    .threads_max = 1,
    .modes = 1u << PEER_DURABLE,
    .open = grown_open,
    .append = synced_append,
    .close = store_close,
};

const struct peer peer_raw_zeroed = {
    .name = "raw-zeroed",
    .title = "zero-written + fdatasync",
    .settings = "a file of 64 MiB that was written with zeros before",
    .flags = PEER_RAW,
    .threads_max = 1,
    .modes = 1u << PEER_DURABLE,
    .open = zeroed_open,
    .append = synced_append,
    .close = store_close,
};

const struct peer peer_raw_direct = {
    .name = "raw-direct",
    .title = "O_DIRECT + RWF_DSYNC, one write for all",
    .settings =
        "overwrites a file of 64 MiB that was written with zeros before; N threads: one thread, N records in "
        "each write",
    .flags = PEER_RAW | PEER_LIMIT | PEER_ONE_WRITE,
    .modes = 1u << PEER_DURABLE,
    .open = direct_open,
    .append = direct_append,
    .batch = direct_batch,
    .close = store_close,
};
