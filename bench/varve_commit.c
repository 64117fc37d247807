/* SPDX-License-Identifier: Apache-2.0 */
/* Durable commits of 128 bytes through Varve: the modes group and strict, by any number of threads. */
#include "bench.h"

#include "varve/varve.h"

static int commit(struct worker *worker)
{
    struct varve_log *log = worker->arg;
    int code = varve_append(log, worker->record, BENCH_RECORD_BYTES, NULL);
    return code == VARVE_OK ? 1 : bench_fail(0, "varve_append: %s", varve_error_name(code));
}

/* The log stays from round to round, as a log does, and is trimmed after each run so that the disk is not
 * filled. */
static int commits(const struct bench *bench, enum varve_durability durability, unsigned threads,
                   struct sample *ret_sample)
{
    char path[BENCH_PATH_BYTES];
    disk_path(bench, "commit.log", path);
    struct varve_options options = {.size = sizeof options, .durability = durability};
    struct varve_error error = {0};
    struct varve_log *log = NULL;
    if (varve_open(path, &options, &log, &error) != VARVE_OK)
        return bench_fail(0, "%s", error.message);
    int failed = crew_sample(bench, threads, commit, log, ret_sample);
    int code = varve_trim(log, varve_durable_lsn(log), NULL);
    if (code != VARVE_OK)
        failed = bench_fail(0, "varve_trim: %s", varve_error_name(code));
    if (varve_close(log, &error) != VARVE_OK)
        failed = bench_fail(0, "%s", error.message);
    return failed;
}

int varve_bench_group(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    return commits(bench, VARVE_GROUP, measure->threads, ret_sample);
}

int varve_bench_strict(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    return commits(bench, VARVE_STRICT, measure->threads, ret_sample);
}
