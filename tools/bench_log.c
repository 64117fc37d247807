/* SPDX-License-Identifier: Apache-2.0 */
/* What the log makes of the disk: commits by many threads, and a stream. Runs of one setting go on in the
 * same log: making a new one costs more than the run. */
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

#define LOG_STREAM_RECORD 16384
#define LOG_STREAM_BYTES  ((uint64_t)512 << 20) /* a run ends here at the latest: the disk may be small */
#define LOG_WARMUP        0.2                   /* of a run, not counted */

struct log_run {
    struct varve_log *log;
    uint64_t count_from_ns, end_ns; /* [const while threads run] */
    uint64_t ended_ns;              /* when the last of them was done */
    atomic_int failed;              /* [atomic] the first code that was not VARVE_OK */
};

struct log_thread {
    struct log_run *run;
    pthread_t thread;
    struct bench_hist hist; /* [the thread; read after join] */
    uint64_t ended_ns;      /* the same */
};

static void *log_thread_main(void *arg)
{
    struct log_thread *self = arg;
    struct log_run *run = self->run;
    uint8_t payload[BENCH_RECORD_BYTES] = {0};
    uint64_t now = bench_now_ns();

    /* At least one, however slow the disk is. */
    while ((now < run->end_ns || self->hist.count == 0) && !bench_stopped()) {
        uint64_t before = now;
        int rc = varve_append(run->log, payload, sizeof payload, NULL);

        if (rc) {
            atomic_store(&run->failed, rc);
            break;
        }
        now = bench_now_ns();
        if (now >= run->count_from_ns)
            bench_hist_add(&self->hist, now - before);
    }
    self->ended_ns = now;
    return NULL;
}

/* Starts all, waits for all; what they counted goes into *ret_hist. */
static int log_threads(struct log_run *run, unsigned count, struct bench_hist *ret_hist)
{
    struct log_thread *threads = calloc(count, sizeof *threads);
    unsigned started = 0;
    int rc = 0;

    if (!threads)
        return say_system("threads", ENOMEM);
    for (; started < count && rc == 0; started++) {
        threads[started].run = run;
        rc = pthread_create(&threads[started].thread, NULL, log_thread_main, &threads[started]);
        if (rc)
            break;
    }
    memset(ret_hist, 0, sizeof *ret_hist);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(threads[i].thread, NULL);
        bench_hist_merge(ret_hist, &threads[i].hist);
        if (threads[i].ended_ns > run->ended_ns)
            run->ended_ns = threads[i].ended_ns;
    }
    free(threads);
    if (rc)
        return say_system("a thread could not be started", rc);
    return EXIT_FINE;
}

static int log_open(const char *dir, const struct varve_options *options, struct varve_log **ret_log)
{
    struct varve_options with = *options;
    struct varve_error error;

    with.message = say_message;
    with.message_level = VARVE_MESSAGE_WARNING;
    return varve_open(dir, &with, ret_log, &error) == 0 ? EXIT_FINE : say_library(dir, &error);
}

/* Gives back the space of what was written, and closes, whatever came before. */
static int log_close(const char *dir, struct varve_log *log, int rc)
{
    struct varve_error error;
    int code = rc == EXIT_FINE ? varve_trim(log, varve_durable_lsn(log), NULL) : 0;

    if (code)
        rc = say_code(dir, code);
    if (varve_close(log, &error) != 0 && rc == EXIT_FINE)
        rc = say_library(dir, &error);
    return rc;
}

int bench_log_commits(const char *dir, const struct varve_options *options, unsigned threads, double seconds,
                      struct bench_figure *ret_figure)
{
    static struct bench_hist hist; /* large; one at a time */
    struct log_run run = {0};
    uint64_t began;
    int rc = log_open(dir, options, &run.log);

    if (rc)
        return rc;
    began = bench_now_ns();
    run.count_from_ns = began + (uint64_t)(seconds * LOG_WARMUP * 1e9);
    run.end_ns = began + (uint64_t)(seconds * 1e9);
    rc = log_threads(&run, threads, &hist);
    if (rc == EXIT_FINE && atomic_load(&run.failed))
        rc = say_code(dir, atomic_load(&run.failed));
    if (rc == EXIT_FINE && run.ended_ns > run.count_from_ns) {
        ret_figure->per_s = (double)hist.count * 1e9 / (double)(run.ended_ns - run.count_from_ns);
        ret_figure->p50_us = bench_hist_us(&hist, 50);
        ret_figure->p99_us = bench_hist_us(&hist, 99);
    }
    return log_close(dir, run.log, rc);
}

int bench_log_stream(const char *dir, const struct varve_options *options, double seconds, double *ret_mib_s)
{
    struct varve_options buffered = *options;
    struct varve_log *log = NULL;
    uint8_t *payload = calloc(1, LOG_STREAM_RECORD);
    uint64_t began, end, now, bytes = 0;
    int rc, code = 0;

    if (!payload)
        return say_system(dir, ENOMEM);
    buffered.durability = VARVE_BUFFERED;
    rc = log_open(dir, &buffered, &log);
    if (rc) {
        free(payload);
        return rc;
    }
    began = bench_now_ns();
    end = began + (uint64_t)(seconds * 1e9);
    while (code == 0 && bytes < LOG_STREAM_BYTES && bench_now_ns() < end && !bench_stopped()) {
        code = varve_append(log, payload, LOG_STREAM_RECORD, NULL);
        bytes += LOG_STREAM_RECORD;
    }
    if (code == 0)
        code = varve_sync(log);
    now = bench_now_ns();
    free(payload);
    if (code)
        rc = say_code(dir, code);
    else
        *ret_mib_s = (double)bytes * 1e9 / (double)(now - began) / (1 << 20);
    return log_close(dir, log, rc);
}
