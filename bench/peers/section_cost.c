/* SPDX-License-Identifier: Apache-2.0 */
/* What a record costs beside time: system calls of a durable commit; memory, disk and bytes written for a
 * million records that nobody waits for, with each engine's ordinary settings. */
#include "peers.h"

static struct emit_key key_of(const struct entrant *entrant, const char *what, unsigned threads,
                              uint64_t count)
{
    return (struct emit_key){
        .section = "cost",
        .what = what,
        .peer = entrant->peer->name,
        .threads = threads,
        .bytes = BENCH_RECORD_BYTES,
        .count = count,
    };
}

/* Under strace, from the first operation on: the warm-up would be counted too. */
static void count_calls(struct comparison *comparison, struct entrant *entrant, unsigned threads)
{
    struct peer_setup setup = {.mode = PEER_DURABLE, .threads = threads, .bytes_max = BENCH_RECORD_BYTES};
    struct order order = {
        .kind = WORK_APPEND,
        .threads = threads,
        .bytes = BENCH_RECORD_BYTES,
        .measure_s = comparison->profile.cost_s,
    };
    struct emit_key key = key_of(entrant, "calls", threads, 0);
    struct figures figures;
    struct tracer tracer;
    pid_t pids[2];
    if (compare_open(comparison, entrant, &setup, &figures) < 0)
        return;
    unsigned count = session_pids(entrant->session, pids);
    tracer_start(&comparison->bench, pids, count, &tracer);
    int failed = compare_do(comparison, entrant, &order, &figures);
    uint64_t calls = tracer_stop(&tracer);
    if (failed == 0 && figures.operations > 0) {
        figures.syscalls = (double)calls / (double)figures.operations;
        emit_figures(&key, &figures);
    }
    compare_close(comparison, entrant);
}

static void fill(struct comparison *comparison, struct entrant *entrant)
{
    unsigned records = comparison->profile.recover_records;
    struct peer_setup setup = {.mode = PEER_LAZY, .threads = 1, .bytes_max = BENCH_RECORD_BYTES};
    struct order order = {.kind = WORK_FILL, .count = records, .bytes = BENCH_RECORD_BYTES};
    struct emit_key key = key_of(entrant, "fill", 1, records);
    struct figures figures;
    if (compare_open(comparison, entrant, &setup, &figures) == 0 &&
        compare_do(comparison, entrant, &order, &figures) == 0)
        emit_figures(&key, &figures);
    session_kill(entrant->session);
    entrant->session = NULL;
    if (session_remove(&comparison->bench, entrant->peer) < 0)
        comparison->failures++;
}

int section_cost(struct comparison *comparison, struct entrant *entrants, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct entrant *entrant = &entrants[i];
        unsigned modes = entrant->peer->modes, most = entrant->peer->threads_max;
        for (const unsigned *threads = comparison->profile.cost_threads; *threads != 0; threads++) {
            compare_say(comparison, "%u threads: %s", *threads, entrant->peer->title);
            if ((modes & 1u << PEER_DURABLE) != 0 && (most == 0 || *threads <= most) &&
                (entrant->peer->flags & PEER_LIMIT) == 0)
                count_calls(comparison, entrant, *threads);
        }
        compare_settle(comparison);
        compare_say(comparison, "filling %s", entrant->peer->title);
        if ((modes & 1u << PEER_LAZY) != 0 && entrant->peer->scan != NULL)
            fill(comparison, entrant);
    }
    return 0;
}
