/* SPDX-License-Identifier: Apache-2.0 */
/* The least that reading a log can be: a file of records, read through in large pieces, each record's
 * checksum checked. Opening it is that. */
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)256 << 10)

struct store {
    int fd;
    size_t buffer_bytes;
    size_t filled;
    uint8_t *buffer;
};

/* Checks the whole records at the head of the buffer; *ret_used is where the first one begins that is cut
 * off. */
static int check_records(const uint8_t *data, size_t bytes, size_t *ret_used, uint64_t *records)
{
    size_t at = 0;
    while (bytes - at >= BENCH_HEADER_BYTES) {
        uint32_t header[2];
        memcpy(header, data + at, sizeof header);
        if (bytes - at - BENCH_HEADER_BYTES < header[1])
            break;
        if (bench_crc32c(0, data + at + 4, BENCH_HEADER_BYTES - 4 + (size_t)header[1]) != header[0])
            return bench_fail(0, "the bare scan met a wrong checksum");
        at += BENCH_HEADER_BYTES + header[1];
        (*records)++;
    }
    *ret_used = at;
    return 0;
}

static int scan(void *arg, uint64_t *ret_records)
{
    struct store *store = arg;
    uint64_t records = 0;
    size_t kept = 0, used = 0;
    off_t at = 0;
    ssize_t got;
    while ((got = pread(store->fd, store->buffer + kept, store->buffer_bytes - kept, at)) > 0) {
        at += got;
        if (check_records(store->buffer, kept + (size_t)got, &used, &records) < 0)
            return -1;
        kept += (size_t)got - used;
        memmove(store->buffer, store->buffer + used, kept);
    }
    if (got < 0 || kept != 0)
        return bench_fail(got < 0 ? errno : 0, "the bare scan met half a record");
    *ret_records = records;
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

static int scan_open(const struct peer_setup *setup, void **ret_store)
{
    struct store *store = calloc(1, sizeof *store);
    char path[BENCH_PATH_BYTES + 16];
    uint64_t records = 0;
    if (store == NULL)
        return bench_fail(ENOMEM, "raw");
    snprintf(path, sizeof path, "%s/records", setup->dir);
    store->buffer_bytes = PIECE_BYTES + 2 * (setup->bytes_max + BENCH_HEADER_BYTES);
    store->buffer = malloc(store->buffer_bytes);
    store->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int failed = 0;
    if (store->buffer == NULL || store->fd < 0)
        failed = bench_fail(errno, "%s", path);
    if (failed < 0 || scan(store, &records) < 0) {
        store_close(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static int write_buffer(struct store *store)
{
    const uint8_t *from = store->buffer;
    while (store->filled > 0) {
        ssize_t wrote = write(store->fd, from, store->filled);
        if (wrote < 0)
            return bench_fail(errno, "write");
        from += wrote;
        store->filled -= (size_t)wrote;
    }
    return 0;
}

static int scan_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    struct store *store = arg;
    (void)thread;
    if (store->filled + BENCH_HEADER_BYTES + bytes > store->buffer_bytes && write_buffer(store) < 0)
        return -1;
    store->filled += bench_lay_record(store->buffer + store->filled, data, bytes);
    return 0;
}

static int scan_sync(void *arg)
{
    struct store *store = arg;
    if (write_buffer(store) < 0)
        return -1;
    return fdatasync(store->fd) < 0 ? bench_fail(errno, "fdatasync") : 0;
}

const struct peer peer_raw_scan = {
    .name = "raw-scan",
    .title = "bare scan with CRC",
    .settings = "a file of records read in pieces of 256 KiB, CRC-32C of each",
    .flags = PEER_RAW,
    .threads_max = 1,
    .modes = 0, /* takes part in the recovery only */
    .open = scan_open,
    .append = scan_append,
    .sync = scan_sync,
    .scan = scan,
    .close = store_close,
};
