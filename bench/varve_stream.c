/* SPDX-License-Identifier: Apache-2.0 */
/* Varve in buffered mode: how fast small records are taken, and how fast larger ones reach the disk. */
#include "bench.h"

#include "varve/varve.h"

#include <string.h>

#define LARGER_BYTES 1024u
#define BATCH        256

struct feed {
    struct varve_log *log;
    size_t bytes;
    uint8_t payload[LARGER_BYTES]; /* [const while the crew runs] */
};

static int append_batch(struct worker *worker)
{
    struct feed *feed = worker->arg;
    for (int i = 0; i < BATCH; i++) {
        int code = varve_append(feed->log, feed->payload, feed->bytes, NULL);
        if (code != VARVE_OK)
            return bench_fail(0, "varve_append: %s", varve_error_name(code));
    }
    return BATCH;
}

/* Each run has a log of its own: what it wrote is given back to the disk before the next one. `synced`: the
 * time goes on until everything is durable. *ret_rate: appends per second. */
static int stream(struct bench *bench, unsigned threads, size_t bytes, int synced, double *ret_rate)
{
    static struct crew_result result;
    static struct feed feed;
    char path[BENCH_PATH_BYTES];
    disk_path(bench, "stream.log", path);
    struct varve_options options = {.size = sizeof options, .durability = VARVE_BUFFERED};
    struct varve_error error = {0};
    if (varve_open(path, &options, &feed.log, &error) != VARVE_OK)
        return bench_fail(0, "%s", error.message);
    memset(feed.payload, 0xA5, sizeof feed.payload);
    feed.bytes = bytes;
    struct crew_plan plan = {
        .threads = threads,
        .fn = append_batch,
        .arg = &feed,
        .warmup_s = bench->warmup_s,
        .measure_s = bench->measure_s,
    };
    int failed = crew_run(&plan, &result);
    int code = varve_sync(feed.log);
    double seconds = synced ? (double)(bench_now_ns() - result.started_ns) / 1e9 : result.elapsed_s;
    if (code != VARVE_OK)
        failed = bench_fail(0, "varve_sync: %s", varve_error_name(code));
    if (varve_close(feed.log, &error) != VARVE_OK)
        failed = bench_fail(0, "%s", error.message);
    if (disk_remove(bench, "stream.log") < 0 || failed < 0)
        return -1;
    *ret_rate = (double)result.operations / seconds;
    return 0;
}

int varve_bench_small_appends(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    return stream(bench, measure->threads, BENCH_RECORD_BYTES, 0, &ret_sample->value);
}

/* Payload only: headers and padding are Varve's own affair. */
int varve_bench_to_disk(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    double rate = 0;
    if (stream(bench, measure->threads, LARGER_BYTES, 1, &rate) < 0)
        return -1;
    ret_sample->value = rate * LARGER_BYTES / (1 << 20);
    return 0;
}
