/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A crew: threads that do one thing over and over. They start in the warm-up, whose results are thrown away;
 * then the clock runs. An operation counts if it ends while it runs; its latency counts if it began then too,
 * so that a wait from the warm-up does not.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_S_MAX 30

enum phase {
    PHASE_WARMUP = 0,
    PHASE_MEASURE = 1,
    PHASE_STOP = 2
};

struct crew {
    _Alignas(128) atomic_int phase; /* [atomic] written by crew_run, and by a worker that fails */
    atomic_int failed;              /* [atomic] */
    atomic_int measured;            /* [atomic] 1 = an operation began and ended while the clock ran */
    const struct crew_plan *plan;
};

static void worker_note(struct worker *worker, enum phase before, int done, uint64_t began_ns)
{
    if (atomic_load_explicit(&worker->crew->phase, memory_order_relaxed) != PHASE_MEASURE)
        return;
    worker->operations += (uint64_t)done;
    if (done > 0 && before == PHASE_MEASURE &&
        !atomic_load_explicit(&worker->crew->measured, memory_order_relaxed))
        atomic_store_explicit(&worker->crew->measured, 1, memory_order_relaxed);
    if (began_ns != 0 && before == PHASE_MEASURE)
        latency_add(&worker->latency, bench_now_ns() - began_ns);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct crew *crew = worker->crew;
    for (;;) {
        int phase = atomic_load_explicit(&crew->phase, memory_order_relaxed);
        if (phase == PHASE_STOP)
            return NULL;
        uint64_t began_ns = crew->plan->timed ? bench_now_ns() : 0;
        int done = crew->plan->fn(worker);
        if (done < 0) {
            atomic_store(&crew->failed, 1);
            atomic_store(&crew->phase, PHASE_STOP);
            return NULL;
        }
        worker_note(worker, (enum phase)phase, done, began_ns);
    }
}

static void worker_init(struct worker *worker, struct crew *crew, unsigned index)
{
    memset(worker, 0, sizeof *worker);
    worker->crew = crew;
    worker->arg = crew->plan->arg;
    worker->index = index;
    for (unsigned i = 0; i < BENCH_RECORD_BYTES; i++)
        worker->record[i] = (uint8_t)((index + 1) * 31u + i * 7u);
}

/* Sleeps in pieces, so that a crew that failed does not keep us waiting. */
static void crew_wait(struct crew *crew, double seconds)
{
    uint64_t end = bench_now_ns() + (uint64_t)(seconds * 1e9);
    for (uint64_t now = bench_now_ns(); now < end && !atomic_load(&crew->failed); now = bench_now_ns()) {
        double left = (double)(end - now) / 1e9;
        bench_sleep_s(left < 0.05 ? left : 0.05);
    }
}

static void crew_gather(const struct worker *workers, unsigned count, struct crew_result *ret_result)
{
    for (unsigned i = 0; i < count; i++) {
        ret_result->operations += workers[i].operations;
        latency_merge(&ret_result->latency, &workers[i].latency);
    }
}

int crew_run(const struct crew_plan *plan, struct crew_result *ret_result)
{
    struct crew crew = {.plan = plan};
    struct worker *workers = calloc(plan->threads, sizeof *workers);
    if (workers == NULL)
        return bench_fail(ENOMEM, "no memory for %u threads", plan->threads);
    unsigned started = 0;
    for (; started < plan->threads; started++) {
        worker_init(&workers[started], &crew, started);
        int failed = pthread_create(&workers[started].thread, NULL, worker_main, &workers[started]);
        if (failed != 0) {
            bench_fail(failed, "thread %u could not be started", started);
            atomic_store(&crew.failed, 1);
            break;
        }
    }
    crew_wait(&crew, plan->warmup_s);
    uint64_t began = bench_now_ns();
    if (plan->mark != NULL)
        plan->mark(plan->arg, 1);
    int warm = PHASE_WARMUP;
    atomic_compare_exchange_strong(&crew.phase, &warm, PHASE_MEASURE);
    crew_wait(&crew, plan->measure_s);
    /* On a machine that stalls, as long as it takes to see one operation: a figure is never made of nothing.
     */
    for (int more = 0; more < FIRST_S_MAX * 100 && !atomic_load(&crew.measured) && !atomic_load(&crew.failed);
         more++)
        crew_wait(&crew, 0.01);
    atomic_store(&crew.phase, PHASE_STOP);
    uint64_t ended = bench_now_ns();
    if (plan->mark != NULL)
        plan->mark(plan->arg, 0);
    for (unsigned i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    if (!atomic_load(&crew.failed)) {
        memset(ret_result, 0, sizeof *ret_result);
        ret_result->started_ns = began;
        ret_result->elapsed_s = (double)(ended - began) / 1e9;
        crew_gather(workers, plan->threads, ret_result);
    }
    free(workers);
    return atomic_load(&crew.failed) ? -1 : 0;
}

int crew_sample(const struct bench *bench, unsigned threads, crew_fn fn, void *arg, struct sample *ret_sample)
{
    static struct crew_result result; /* large; one run at a time */
    struct crew_plan plan = {
        .threads = threads,
        .timed = 1,
        .fn = fn,
        .arg = arg,
        .warmup_s = bench->warmup_s,
        .measure_s = bench->measure_s,
    };
    if (crew_run(&plan, &result) < 0)
        return -1;
    ret_sample->value = (double)result.operations / result.elapsed_s;
    latency_sample(&result.latency, ret_sample);
    return 0;
}
