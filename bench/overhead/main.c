/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve-bench-overhead: one run of the rates that metrics and messages must not touch, as this library was
 * built. `run` beside this file builds it twice, with and without them, and lets the two take turns.
 *
 * With metrics they are exported to a file, and messages go at info to a file, as a server would have it.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "varve/varve.h"

#define RECORD_BYTES 128
#define THREADS_MAX  128
#define WARMUP_S     0.2

struct run {
    struct varve_log *log;
    bool waits;                     /* durable commits; else appends that return at once */
    _Alignas(64) _Atomic int phase; /* 0 warm-up, 1 counts, 2 ends */
};

struct worker {
    _Alignas(64) struct run *run;
    uint64_t done;
    int rc;
};

static void *work(void *arg)
{
    static const char bytes[RECORD_BYTES];
    const struct varve_record record = {.data = bytes, .data_bytes = sizeof bytes};
    struct worker *worker = arg;
    struct run *run = worker->run;
    int phase;

    while (worker->rc == 0 && (phase = atomic_load_explicit(&run->phase, memory_order_relaxed)) < 2) {
        worker->rc = run->waits ? varve_append(run->log, bytes, sizeof bytes, NULL)
                                : varve_append_async(run->log, &record, NULL);
        worker->done += phase == 1 && worker->rc == 0;
    }
    return NULL;
}

static void pause_s(double seconds)
{
    struct timespec left = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "varve-bench-overhead: %s: %s\n", what, why);
    return 1;
}

/* Operations a second of so many threads, or a negative number. */
static double measure(struct run *run, unsigned threads, double seconds)
{
    static struct worker workers[THREADS_MAX];
    static pthread_t ids[THREADS_MAX];
    unsigned started = 0;
    uint64_t done = 0;
    double began;

    atomic_store(&run->phase, 0);
    for (; started < threads; started++) {
        workers[started] = (struct worker){.run = run};
        if (pthread_create(&ids[started], NULL, work, &workers[started]) != 0)
            break;
    }
    pause_s(WARMUP_S);
    began = now_s();
    atomic_store(&run->phase, 1);
    pause_s(seconds);
    atomic_store(&run->phase, 2);
    seconds = now_s() - began;
    for (unsigned i = 0; i < started; i++) {
        pthread_join(ids[i], NULL);
        done += workers[i].done;
        if (workers[i].rc != 0)
            return -fail("append", varve_error_name(workers[i].rc));
    }
    return started == threads ? (double)done / seconds : -fail("threads", "cannot be started");
}

static int run_one(const char *dir, const char *name, unsigned threads, bool waits, double seconds,
                   struct varve_sink *sink)
{
    struct varve_options options = {.size = sizeof options,
                                    .durability = waits ? VARVE_GROUP : VARVE_BUFFERED,
                                    .keep_segments = 2,
                                    .message = varve_sink_message,
                                    .message_arg = sink,
                                    .message_level = VARVE_MESSAGE_INFO};
    struct run run = {.waits = waits};
    struct varve_error error;
    char path[4096], metrics[4200];
    double rate;

    snprintf(path, sizeof path, "%s/%s", dir, waits ? "commit" : "stream");
    snprintf(metrics, sizeof metrics, "%s.metrics", path);
    options.metrics_file = metrics;
    if (varve_open(path, &options, &run.log, &error) == VARVE_E_UNSUPPORTED) {
        options.metrics_file = NULL; /* built without them */
        error.code = varve_open(path, &options, &run.log, &error);
    }
    if (!run.log)
        return fail(path, error.message);
    rate = measure(&run, threads, seconds);
    if (varve_close(run.log, &error) != 0)
        return fail(path, error.message);
    if (rate < 0)
        return 1;
    printf("%s %.0f\n", name, rate);
    return 0;
}

int main(int argc, char **argv)
{
    double seconds = argc == 3 ? strtod(argv[2], NULL) : 0;
    struct varve_sink *sink;
    struct varve_error error;
    char path[4096];
    int rc;

    if (argc != 3 || seconds <= 0) {
        fputs("usage: varve-bench-overhead DIR SECONDS\nOne run; 'bench/overhead/run' compares two builds.\n",
              stderr);
        return 2;
    }
    snprintf(path, sizeof path, "%s/messages", argv[1]);
    if (varve_sink_open(VARVE_SINK_FILE, VARVE_FORM_LOGFMT, path, &sink, &error) != 0)
        return 3 * fail(path, error.message);
    rc = run_one(argv[1], "commit-1", 1, true, seconds, sink) ||
         run_one(argv[1], "commit-32", 32, true, seconds, sink) ||
         run_one(argv[1], "commit-128", 128, true, seconds, sink) ||
         run_one(argv[1], "async-1", 1, false, seconds, sink);
    varve_sink_close(sink);
    return rc ? 3 : 0;
}
