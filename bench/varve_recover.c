/* SPDX-License-Identifier: Apache-2.0 */
/* How long Varve takes to open a log and check all of it, and to verify it; both with the files in the cache.
 */
#include "bench.h"

#include "varve/varve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fill(const char *path, size_t bytes, unsigned count)
{
    struct varve_options options = {.size = sizeof options, .durability = VARVE_BUFFERED};
    struct varve_error error = {0};
    struct varve_log *log = NULL;
    uint8_t *payload = calloc(1, bytes);
    if (payload == NULL)
        return bench_fail(ENOMEM, "%zu bytes", bytes);
    int code = varve_open(path, &options, &log, &error);
    for (unsigned i = 0; i < count && code == VARVE_OK; i++) {
        memcpy(payload, &i, sizeof i);
        code = varve_append(log, payload, bytes, NULL);
    }
    int failed = code == VARVE_OK ? 0 : bench_fail(0, "%s %s", varve_error_name(code), error.message);
    if (log != NULL && varve_close(log, &error) != VARVE_OK)
        failed = bench_fail(0, "%s", error.message);
    free(payload);
    return failed;
}

/* Makes the log at the first call, and has its files in the cache. */
static int ready(const struct bench *bench, const char *name, size_t bytes, unsigned count,
                 char ret_path[BENCH_PATH_BYTES])
{
    disk_path(bench, name, ret_path);
    if (access(ret_path, F_OK) != 0 && fill(ret_path, bytes, count) < 0)
        return -1;
    uint64_t cached = 0;
    return disk_read_tree(ret_path, &cached);
}

static int time_open(const char *path, uint64_t count, double *ret_s)
{
    struct varve_options options = {.size = sizeof options, .flags = VARVE_OPEN_MUST_EXIST};
    struct varve_error error = {0};
    struct varve_log *log = NULL;
    uint64_t began = bench_now_ns();
    if (varve_open(path, &options, &log, &error) != VARVE_OK)
        return bench_fail(0, "%s", error.message);
    *ret_s = (double)(bench_now_ns() - began) / 1e9;
    struct varve_recovery recovery;
    varve_recovery_stats(log, &recovery);
    int failed = 0;
    if (recovery.records != count)
        failed = bench_fail(0, "opening found %llu records of %llu", (unsigned long long)recovery.records,
                            (unsigned long long)count);
    if (varve_close(log, &error) != VARVE_OK)
        failed = bench_fail(0, "%s", error.message);
    return failed;
}

static int time_verify(const char *path, uint64_t count, double *ret_s)
{
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_error error = {0};
    uint64_t began = bench_now_ns();
    if (varve_verify(path, NULL, NULL, NULL, &result, &error) != VARVE_OK)
        return bench_fail(0, "%s", error.message);
    *ret_s = (double)(bench_now_ns() - began) / 1e9;
    if (result.found.records != count || result.found.verdict != VARVE_VERDICT_CLEAN_END)
        return bench_fail(0, "verify found %llu records of %llu, %s",
                          (unsigned long long)result.found.records, (unsigned long long)count,
                          varve_verdict_name(result.found.verdict));
    return 0;
}

static int small(const struct bench *bench, int (*timed)(const char *, uint64_t, double *),
                 struct sample *sample)
{
    char path[BENCH_PATH_BYTES];
    double seconds = 0;
    if (ready(bench, "small.log", BENCH_RECORD_BYTES, BENCH_SMALL_RECORDS, path) < 0 ||
        timed(path, BENCH_SMALL_RECORDS, &seconds) < 0)
        return -1;
    sample->value = seconds * 1000;
    return 0;
}

static int large(const struct bench *bench, int (*timed)(const char *, uint64_t, double *),
                 struct sample *sample)
{
    char path[BENCH_PATH_BYTES];
    double seconds = 0;
    if (ready(bench, "large.log", BENCH_LARGE_BYTES, BENCH_LARGE_RECORDS, path) < 0 ||
        timed(path, BENCH_LARGE_RECORDS, &seconds) < 0)
        return -1;
    sample->value = (double)BENCH_LARGE_BYTES * BENCH_LARGE_RECORDS / (1u << 30) / seconds;
    return 0;
}

int varve_bench_open_small(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    (void)measure;
    return small(bench, time_open, ret_sample);
}

int varve_bench_verify_small(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    (void)measure;
    return small(bench, time_verify, ret_sample);
}

int varve_bench_open_large(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    (void)measure;
    return large(bench, time_open, ret_sample);
}

int varve_bench_verify_large(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    (void)measure;
    return large(bench, time_verify, ret_sample);
}
