/* SPDX-License-Identifier: Apache-2.0 */
/* Redis with its append-only file: a list to which records are pushed, over a Unix socket, a connection for
 * each thread. In flight means a pipeline. */
#include "peers.h"

#include "redis_server.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#define READY_S_MAX  120
#define SCAN_PIECE   10000
#define LAZY_FLIGHT  64 /* commands sent before the first reply is read, in the lazy mode */
#define COMMAND_HEAD 64

struct line {
    redisContext *context;
    unsigned flight; /* commands sent, not yet answered */
    char *command;   /* RPUSH with the payload, as it goes over the line */
    size_t command_bytes;
    const void *data; /* what `command` was made of */
    size_t data_bytes;
};

struct store {
    struct redis_server server;
    enum peer_mode mode;
    unsigned threads;
    struct line lines[];
};

static int failed(const struct line *line)
{
    return bench_fail(0, "redis: %s", line->context->err ? line->context->errstr : "unexpected reply");
}

static int read_reply(struct line *line, long long *ret_integer)
{
    redisReply *reply = NULL;
    if (redisGetReply(line->context, (void **)&reply) != REDIS_OK)
        return failed(line);
    int is_error = reply->type == REDIS_REPLY_ERROR;
    if (is_error)
        bench_fail(0, "redis: %s", reply->str);
    *ret_integer = reply->integer;
    freeReplyObject(reply);
    return is_error ? -1 : 0;
}

/* 0 = ready, 1 = not yet. */
static int try_line(const struct store *store, struct line *line)
{
    char path[64];
    redis_server_socket(&store->server, path);
    line->context = redisConnectUnix(path);
    if (line->context == NULL)
        return bench_fail(ENOMEM, "redis");
    redisReply *reply = line->context->err ? NULL : redisCommand(line->context, "PING");
    int ready = reply != NULL && reply->type == REDIS_REPLY_STATUS; /* not while it loads */
    if (reply != NULL)
        freeReplyObject(reply);
    if (!ready)
        redisFree(line->context);
    if (!ready)
        line->context = NULL;
    return ready ? 0 : 1;
}

static int open_line(struct store *store, struct line *line)
{
    uint64_t end = bench_now_ns() + (uint64_t)READY_S_MAX * 1000000000u;
    int waiting;
    while ((waiting = try_line(store, line)) == 1) {
        if (!redis_server_alive(&store->server))
            return bench_fail(0, "redis-server has ended; see redis.log");
        if (bench_now_ns() > end)
            return bench_fail(0, "redis-server was not ready within %d s", READY_S_MAX);
        bench_sleep_s(0.001);
    }
    return waiting;
}

static int redis_peer_close(void *arg)
{
    struct store *store = arg;
    for (unsigned i = 0; i < store->threads; i++) {
        if (store->lines[i].context != NULL)
            redisFree(store->lines[i].context);
        free(store->lines[i].command);
    }
    int code = redis_server_end(&store->server);
    free(store);
    return code;
}

static int redis_peer_open(const struct peer_setup *setup, void **ret_store)
{
    struct store *store = calloc(1, sizeof *store + setup->threads * sizeof store->lines[0]);
    if (store == NULL)
        return bench_fail(ENOMEM, "redis");
    store->mode = setup->mode;
    if (redis_server_start(setup, &store->server) < 0) {
        free(store);
        return -1;
    }
    int code = 0;
    for (; store->threads < setup->threads && code == 0; store->threads++)
        code = open_line(store, &store->lines[store->threads]);
    if (code < 0) {
        redis_peer_close(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static int make_command(struct line *line, const void *data, size_t bytes)
{
    if (line->data == data && line->data_bytes == bytes)
        return 0;
    free(line->command);
    line->command = malloc(bytes + COMMAND_HEAD);
    if (line->command == NULL)
        return bench_fail(ENOMEM, "redis");
    int head = snprintf(line->command, COMMAND_HEAD, "*3\r\n$5\r\nRPUSH\r\n$3\r\nlog\r\n$%zu\r\n", bytes);
    memcpy(line->command + head, data, bytes);
    memcpy(line->command + (size_t)head + bytes, "\r\n", 2);
    line->command_bytes = (size_t)head + bytes + 2;
    line->data = data;
    line->data_bytes = bytes;
    return 0;
}

static int send_one(struct line *line, const void *data, size_t bytes)
{
    if (make_command(line, data, bytes) < 0)
        return -1;
    if (redisAppendFormattedCommand(line->context, line->command, line->command_bytes) != REDIS_OK)
        return failed(line);
    line->flight++;
    return 0;
}

static int read_replies(struct line *line, unsigned count)
{
    long long number;
    for (unsigned i = 0; i < count; i++, line->flight--) {
        if (read_reply(line, &number) < 0)
            return -1;
    }
    return 0;
}

static int redis_peer_append(void *arg, unsigned thread, const void *data, size_t bytes)
{
    struct store *store = arg;
    struct line *line = &store->lines[thread];
    if (line->flight == LAZY_FLIGHT && read_replies(line, LAZY_FLIGHT / 2) < 0)
        return -1;
    if (send_one(line, data, bytes) < 0)
        return -1;
    return store->mode == PEER_DURABLE ? read_replies(line, 1) : 0;
}

/* Sends until `count` are in flight, then reads the replies of half of them. */
static int redis_peer_batch(void *arg, const void *data, size_t bytes, unsigned count)
{
    struct store *store = arg;
    struct line *line = &store->lines[0];
    unsigned replies = (count + 1) / 2;
    while (line->flight < count) {
        if (send_one(line, data, bytes) < 0)
            return -1;
    }
    return read_replies(line, replies) < 0 ? -1 : (int)replies;
}

/* The replies that are still out. */
static int redis_peer_sync(void *arg)
{
    struct store *store = arg;
    for (unsigned i = 0; i < store->threads; i++) {
        if (read_replies(&store->lines[i], store->lines[i].flight) < 0)
            return -1;
    }
    return 0;
}

static int redis_peer_scan(void *arg, uint64_t *ret_records)
{
    struct store *store = arg;
    struct line *line = &store->lines[0];
    uint64_t records = 0;
    size_t got = 1;
    while (got > 0) {
        redisReply *reply = redisCommand(line->context, "LRANGE log %llu %llu", (unsigned long long)records,
                                         (unsigned long long)records + SCAN_PIECE - 1);
        if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
            return failed(line);
        got = reply->elements;
        records += got;
        freeReplyObject(reply);
    }
    *ret_records = records;
    return 0;
}

/* The list is memory, not log. */
static int redis_peer_trim(void *arg)
{
    struct store *store = arg;
    long long number;
    if (redis_peer_sync(store) < 0)
        return -1;
    if (redisAppendCommand(store->lines[0].context, "DEL log") != REDIS_OK)
        return failed(&store->lines[0]);
    return read_reply(&store->lines[0], &number);
}

static pid_t redis_peer_server(void *arg)
{
    struct store *store = arg;
    return store->server.pid;
}

static const struct sync_counts *redis_peer_syncs(void *arg)
{
    struct store *store = arg;
    return store->server.syncs;
}

const struct peer peer_redis = {
    .name = "redis",
    .title = "Redis",
    .settings =
        "a server of its own on a Unix socket, appendonly yes, save \"\", RPUSH, a connection for each "
        "thread; durable: appendfsync always; without waiting: appendfsync everysec, pipelines of 64; in "
        "flight: a pipeline",
    .modes = 1u << PEER_DURABLE | 1u << PEER_LAZY,
    .version = redis_server_version,
    .open = redis_peer_open,
    .append = redis_peer_append,
    .batch = redis_peer_batch,
    .sync = redis_peer_sync,
    .scan = redis_peer_scan,
    .trim = redis_peer_trim,
    .close = redis_peer_close,
    .server = redis_peer_server,
    .server_syncs = redis_peer_syncs,
};
