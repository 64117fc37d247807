/* SPDX-License-Identifier: Apache-2.0 */
/* Varve itself, with its default settings; the lazy mode is `buffered`. */
#include "peers.h"

#include "varve/varve.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define SMALL_SEGMENT_BYTES (UINT64_C(1) << 20)
/* Payloads above this want larger segments than the default ones, which have to hold one. */
#define LARGE_BYTES         ((size_t)16 << 20)
#define LARGE_SEGMENT_BYTES (UINT64_C(256) << 20)

struct store {
    struct varve_log *log;
    enum peer_mode mode;
    int event;      /* the log's eventfd */
    uint64_t given; /* [the one thread that batches] LSN of its last append */
    uint64_t told;  /* the same: up to which LSN it was told that they are durable */
};

static int failed(const char *what, int code)
{
    return bench_fail(0, "%s: %s", what, varve_error_name(code));
}

static int varve_peer_version(char version[PEER_VERSION_BYTES])
{
    snprintf(version, PEER_VERSION_BYTES, "%s", varve_version());
    return 0;
}

static int varve_peer_open(const struct peer_setup *setup, void **ret_store)
{
    struct varve_options options = {.size = sizeof options};
    struct varve_error error = {0};
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return bench_fail(ENOMEM, "varve");
    store->mode = setup->mode;
    options.durability = setup->mode == PEER_DURABLE ? VARVE_GROUP : VARVE_BUFFERED;
    options.check = setup->check_tail ? VARVE_CHECK_TAIL : VARVE_CHECK_FULL;
    options.segment_bytes = setup->small_segments ? SMALL_SEGMENT_BYTES : 0;
    if (setup->bytes_max > LARGE_BYTES)
        options.segment_bytes = LARGE_SEGMENT_BYTES;
    if (varve_open(setup->dir, &options, &store->log, &error) != VARVE_OK) {
        free(store);
        return bench_fail(0, "%s", error.message);
    }
    store->given = store->told = varve_durable_lsn(store->log);
    *ret_store = store;
    return 0;
}

static int varve_peer_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    struct store *store = arg;
    (void)thread;
    int code = varve_append(store->log, data, bytes, NULL);
    return code == VARVE_OK ? 0 : failed("varve_append", code);
}

static int append_all(struct store *store, const void *data, size_t bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (varve_peer_append(store, 0, data, bytes) < 0)
            return -1;
    }
    return (int)count;
}

/* An event loop: tops up what is in flight without waiting, sleeps until the log says that something became
 * durable, takes note. */
static int varve_peer_batch(void *arg, const void *data, size_t bytes, unsigned count)
{
    struct store *store = arg;
    struct varve_record record = {.data = data, .data_bytes = bytes};
    if (store->mode == PEER_LAZY)
        return append_all(store, data, bytes, count);
    if (store->event == 0 && varve_eventfd(store->log, &store->event) != VARVE_OK)
        return bench_fail(0, "varve_eventfd");
    while (store->given - store->told < count) {
        int code = varve_append_async(store->log, &record, &store->given);
        if (code != VARVE_OK)
            return failed("varve_append_async", code);
    }
    uint64_t events, before = store->told;
    struct pollfd wait = {.fd = store->event, .events = POLLIN};
    while ((store->told = varve_durable_lsn(store->log)) == before) {
        if (poll(&wait, 1, -1) < 0 && errno != EINTR)
            return bench_fail(errno, "poll");
        if (read(store->event, &events, sizeof events) < 0 && errno != EINTR && errno != EAGAIN)
            return bench_fail(errno, "the log's eventfd");
    }
    return (int)(store->told - before);
}

static int varve_peer_sync(void *arg)
{
    struct store *store = arg;
    int code = varve_sync(store->log);
    return code == VARVE_OK ? 0 : failed("varve_sync", code);
}

static int varve_peer_scan(void *arg, uint64_t *ret_records)
{
    struct store *store = arg;
    struct varve_cursor *cursor = NULL;
    struct varve_error error = {0};
    struct varve_entry entry;
    uint64_t records = 0;
    if (varve_cursor_open(store->log, VARVE_POLICY_TRUNCATE, &cursor, &error) != VARVE_OK)
        return bench_fail(0, "%s", error.message);
    int code;
    while ((code = varve_cursor_next(cursor, &entry)) == VARVE_OK)
        records++;
    varve_cursor_close(cursor);
    if (code != VARVE_END)
        return failed("varve_cursor_next", code);
    *ret_records = records;
    return 0;
}

static int varve_peer_verify(const struct peer_setup *setup, uint64_t *ret_records)
{
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_error error = {0};
    if (varve_verify(setup->dir, NULL, NULL, NULL, &result, &error) != VARVE_OK)
        return bench_fail(0, "%s", error.message);
    *ret_records = result.found.records;
    return 0;
}

static int varve_peer_trim(void *arg)
{
    struct store *store = arg;
    int code = varve_trim(store->log, varve_durable_lsn(store->log), NULL);
    return code == VARVE_OK ? 0 : failed("varve_trim", code);
}

static int varve_peer_close(void *arg)
{
    struct store *store = arg;
    struct varve_error error = {0};
    int code = varve_close(store->log, &error);
    free(store);
    return code == VARVE_OK ? 0 : bench_fail(0, "%s", error.message);
}

const struct peer peer_varve = {
    .name = "varve",
    .title = "Varve",
    .settings = "all defaults; durable: mode group; without waiting: mode buffered; in flight: "
                "varve_append_async and the eventfd",
    .modes = 1u << PEER_DURABLE | 1u << PEER_LAZY,
    .version = varve_peer_version,
    .open = varve_peer_open,
    .append = varve_peer_append,
    .batch = varve_peer_batch,
    .sync = varve_peer_sync,
    .scan = varve_peer_scan,
    .verify = varve_peer_verify,
    .trim = varve_peer_trim,
    .close = varve_peer_close,
};
