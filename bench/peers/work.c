/* SPDX-License-Identifier: Apache-2.0 */
/* What a session's process does: takes an order, has the peer do it, answers with figures. */
#include "peers.h"

#include "syncs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Appends between two looks at the clock where they are not timed: so many, or so many bytes. */
#define LAZY_PIECE       64
#define LAZY_PIECE_BYTES ((size_t)1 << 20)

struct work {
    const struct peer *peer;
    char dir[BENCH_PATH_BYTES];
    unsigned sector_bytes;
    enum peer_mode mode;
    void *store;         /* NULL = not open */
    uint64_t memory_kib; /* resident when the process began */
    uint8_t *payload;    /* [const while a crew runs] */
    size_t payload_bytes;
    /* of the order at hand */
    size_t bytes;
    unsigned count;
    struct meter_source source;
    struct meter began, ended;
};

/* Bytes that no codec makes smaller, the same in each run. */
static int make_payload(struct work *work, size_t bytes)
{
    if (bytes <= work->payload_bytes)
        return 0;
    free(work->payload);
    work->payload = malloc(bytes);
    if (work->payload == NULL)
        return bench_fail(ENOMEM, "a payload of %zu bytes", bytes);
    work->payload_bytes = bytes;
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
    for (size_t i = 0; i < bytes; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        work->payload[i] = (uint8_t)(state >> 32);
    }
    return 0;
}

static int append_one(struct worker *worker)
{
    struct work *work = worker->arg;
    return work->peer->append(work->store, worker->index, work->payload, work->bytes) < 0 ? -1 : 1;
}

static int append_many(struct worker *worker)
{
    struct work *work = worker->arg;
    int piece =
        work->bytes > LAZY_PIECE_BYTES / LAZY_PIECE ? (int)(LAZY_PIECE_BYTES / work->bytes) : LAZY_PIECE;
    int done = 0;
    do {
        if (work->peer->append(work->store, worker->index, work->payload, work->bytes) < 0)
            return -1;
    } while (++done < piece);
    return done;
}

static int batch_one(struct worker *worker)
{
    struct work *work = worker->arg;
    return work->peer->batch(work->store, work->payload, work->bytes, work->count);
}

static void mark(void *arg, int begins)
{
    struct work *work = arg;
    struct meter *meter = begins ? &work->began : &work->ended;
    meter_read(&work->source, meter);
    /* Reading the rest takes as long as some syncs: they are counted next to the time, at both its ends. */
    if (begins)
        meter->syncs = meter_syncs(&work->source);
}

static void per_operation(const struct work *work, struct figures *figures)
{
    const struct meter *from = &work->began, *to = &work->ended;
    double by = (double)figures->operations;
    if (figures->operations == 0)
        return;
    figures->cpu_us = (to->cpu_s - from->cpu_s) * 1e6 / by;
    figures->switches = (double)(to->switches - from->switches) / by;
    figures->syncs = (double)(to->syncs - from->syncs) / by;
    figures->device_flushes = (double)(to->device_flushes - from->device_flushes) / by;
    figures->device_bytes = (double)(to->device_bytes - from->device_bytes) / by;
}

static void memory_of(const struct work *work, struct figures *figures)
{
    figures->peak_kib = (double)meter_memory_kib(0, 1) - (double)work->memory_kib;
    if (work->source.server != 0)
        figures->peak_kib += (double)meter_memory_kib(work->source.server, 1);
}

static int run_crew(struct work *work, const struct order *order, crew_fn fn, int timed,
                    struct figures *figures)
{
    static struct crew_result result; /* large; one at a time */
    struct sample sample = {0};
    struct crew_plan plan = {
        .threads = order->kind == WORK_BATCH ? 1 : order->threads,
        .timed = timed,
        .fn = fn,
        .arg = work,
        .warmup_s = order->warmup_s,
        .measure_s = order->measure_s,
        .mark = mark,
    };
    if (crew_run(&plan, &result) < 0)
        return -1;
    latency_sample(&result.latency, &sample);
    *figures = (struct figures){
        .operations = result.operations,
        .seconds = result.elapsed_s,
        .rate = (double)result.operations / result.elapsed_s,
        .p50_us = sample.p50_us,
        .p99_us = sample.p99_us,
        .p999_us = sample.p999_us,
        .max_us = sample.max_us,
    };
    per_operation(work, figures);
    memory_of(work, figures);
    return 0;
}

static void timed_figures(struct figures *figures, uint64_t operations, uint64_t began_ns)
{
    figures->operations = operations;
    figures->seconds = (double)(bench_now_ns() - began_ns) / 1e9;
    figures->rate = (double)operations / figures->seconds;
}

/* `count` records, each appended for itself, and a sync. */
static int fill(struct work *work, const struct order *order, struct figures *figures)
{
    const struct peer *peer = work->peer;
    uint64_t began = bench_now_ns();
    mark(work, 1);
    for (uint64_t i = 0; i < order->count; i++) {
        if (peer->append(work->store, 0, work->payload, order->bytes) < 0)
            return -1;
    }
    if (peer->sync != NULL && peer->sync(work->store) < 0)
        return -1;
    mark(work, 0);
    timed_figures(figures, order->count, began);
    per_operation(work, figures);
    memory_of(work, figures);
    figures->disk_bytes = (double)meter_disk_bytes(work->dir);
    return 0;
}

static struct peer_setup setup_of(struct work *work, const struct order *order)
{
    struct peer_setup setup = order->setup;
    setup.dir = work->dir;
    setup.sector_bytes = work->sector_bytes;
    return setup;
}

static int open_store(struct work *work, const struct order *order, struct figures *figures)
{
    struct peer_setup setup = setup_of(work, order);
    uint64_t began = bench_now_ns();
    if (work->peer->open(&setup, &work->store) < 0)
        return -1;
    timed_figures(figures, 1, began);
    work->mode = order->setup.mode;
    work->source.dir = work->dir;
    if (work->peer->server != NULL)
        work->source.server = work->peer->server(work->store);
    if (work->peer->server_syncs != NULL)
        work->source.server_syncs = work->peer->server_syncs(work->store);
    memory_of(work, figures);
    return 0;
}

static int scan(struct work *work, struct figures *figures)
{
    uint64_t records = 0, began = bench_now_ns();
    if (work->peer->scan(work->store, &records) < 0)
        return -1;
    timed_figures(figures, records, began);
    return 0;
}

static int trim(struct work *work, struct figures *figures)
{
    uint64_t began = bench_now_ns();
    if (work->peer->trim(work->store) < 0)
        return -1;
    timed_figures(figures, 1, began);
    return 0;
}

static int verify(struct work *work, const struct order *order, struct figures *figures)
{
    struct peer_setup setup = setup_of(work, order);
    uint64_t records = 0, began = bench_now_ns();
    if (work->peer->verify(&setup, &records) < 0)
        return -1;
    timed_figures(figures, records, began);
    return 0;
}

static int obey(struct work *work, const struct order *order, struct figures *figures)
{
    if (make_payload(work, order->bytes) < 0)
        return -1;
    work->bytes = order->bytes;
    work->count = (unsigned)order->count;
    int timed = work->mode == PEER_DURABLE;
    int failed = 0;
    switch (order->kind) {
    case WORK_OPEN:
        return open_store(work, order, figures);
    case WORK_APPEND:
        return run_crew(work, order, timed ? append_one : append_many, timed, figures);
    case WORK_BATCH:
        return run_crew(work, order, batch_one, (work->peer->flags & PEER_ONE_WRITE) != 0, figures);
    case WORK_FILL:
        return fill(work, order, figures);
    case WORK_SCAN:
        return scan(work, figures);
    case WORK_VERIFY:
        return verify(work, order, figures);
    case WORK_TRIM:
        return trim(work, figures);
    case WORK_CLOSE:
        failed = work->store != NULL ? work->peer->close(work->store) : 0;
        work->store = NULL;
        return failed;
    }
    return bench_fail(0, "no such order");
}

void work_serve(const struct bench *bench, const struct peer *peer, int socket)
{
    static struct work work;
    struct order order;
    work.peer = peer;
    work.sector_bytes = bench->sector_bytes;
    work.memory_kib = meter_memory_kib(0, 0);
    session_dir(bench, peer, work.dir);
    while (recv(socket, &order, sizeof order, 0) == (ssize_t)sizeof order) {
        struct reply reply = {0};
        reply.failed = obey(&work, &order, &reply.figures) < 0;
        reply.server = work.source.server;
        if (send(socket, &reply, sizeof reply, MSG_NOSIGNAL) != (ssize_t)sizeof reply)
            return;
    }
}
