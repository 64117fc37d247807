/* SPDX-License-Identifier: Apache-2.0 */
/* Durable commits: each thread appends a record, waits until it is durable, and again. And the event loop:
 * one thread with many in flight. Stores stay open over the section; their processes stand still while
 * another one runs. */
#include "peers.h"

static unsigned greatest(const unsigned *list)
{
    unsigned found = 0;
    for (size_t i = 0; i < COMPARE_STEPS_MAX && list[i] != 0; i++)
        found = list[i] > found ? list[i] : found;
    return found;
}

static int is_durable(const struct peer *peer)
{
    return (peer->modes & 1u << PEER_DURABLE) != 0;
}

static void open_all(struct comparison *comparison, struct entrant *entrants, size_t count, unsigned threads,
                     size_t bytes)
{
    struct figures figures;
    for (size_t i = 0; i < count; i++) {
        struct peer_setup setup = {.mode = PEER_DURABLE, .threads = threads, .bytes_max = bytes};
        compare_say(comparison, "opening %s", entrants[i].peer->title);
        if (is_durable(entrants[i].peer))
            compare_open(comparison, &entrants[i], &setup, &figures);
        else
            entrants[i].failed = 1;
    }
    compare_settle(comparison);
}

static void close_all(struct comparison *comparison, struct entrant *entrants, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_durable(entrants[i].peer))
            compare_close(comparison, &entrants[i]);
    }
}

static void run_one(struct comparison *comparison, struct entrant *entrant, const struct order *order,
                    const struct emit_key *key)
{
    struct order trim = {.kind = WORK_TRIM};
    struct figures figures, unused;
    if (compare_do(comparison, entrant, order, &figures) < 0)
        return;
    emit_figures(key, &figures);
    if (entrant->peer->trim != NULL)
        compare_do(comparison, entrant, &trim, &unused);
}

/* Whoever stands for N threads has N records at once instead. */
static void commit_one(struct comparison *comparison, struct entrant *entrant, unsigned threads,
                       unsigned bytes, unsigned round)
{
    const struct peer *peer = entrant->peer;
    struct order order = {
        .kind = (peer->flags & PEER_LIMIT) != 0 ? WORK_BATCH : WORK_APPEND,
        .threads = threads,
        .count = threads,
        .bytes = bytes,
        .warmup_s = comparison->profile.warmup_s,
        .measure_s = comparison->profile.commit_s,
    };
    struct emit_key key = {
        .section = "commit",
        .what = "durable",
        .peer = peer->name,
        .threads = threads,
        .bytes = bytes,
        .round = round,
    };
    if (entrant->failed || (peer->threads_max != 0 && threads > peer->threads_max))
        return;
    compare_say(comparison, "round %u of %u: %u threads, %u bytes: %s", round + 1, comparison->profile.rounds,
                threads, bytes, peer->title);
    run_one(comparison, entrant, &order, &key);
}

int section_commit(struct comparison *comparison, struct entrant *entrants, size_t count)
{
    const struct profile *profile = &comparison->profile;
    open_all(comparison, entrants, count, greatest(profile->commit_threads), greatest(profile->commit_bytes));
    for (unsigned round = 0; round < profile->rounds; round++) {
        for (const unsigned *bytes = profile->commit_bytes; *bytes != 0; bytes++) {
            for (const unsigned *threads = profile->commit_threads; *threads != 0; threads++) {
                for (size_t i = 0; i < count; i++)
                    commit_one(comparison, compare_entrant(entrants, count, i, round), *threads, *bytes,
                               round);
            }
        }
    }
    close_all(comparison, entrants, count);
    return 0;
}

static void inflight_one(struct comparison *comparison, struct entrant *entrant, unsigned window,
                         unsigned round)
{
    struct order order = {
        .kind = WORK_BATCH,
        .count = window,
        .bytes = BENCH_RECORD_BYTES,
        .warmup_s = comparison->profile.warmup_s,
        .measure_s = comparison->profile.inflight_s,
    };
    struct emit_key key = {
        .section = "inflight",
        .what = "durable",
        .peer = entrant->peer->name,
        .threads = 1,
        .bytes = BENCH_RECORD_BYTES,
        .count = window,
        .round = round,
    };
    if (entrant->failed || entrant->peer->batch == NULL)
        return;
    compare_say(comparison, "round %u of %u: %u in flight: %s", round + 1, comparison->profile.rounds, window,
                entrant->peer->title);
    run_one(comparison, entrant, &order, &key);
}

int section_inflight(struct comparison *comparison, struct entrant *entrants, size_t count)
{
    const struct profile *profile = &comparison->profile;
    open_all(comparison, entrants, count, 1, BENCH_RECORD_BYTES);
    for (unsigned round = 0; round < profile->rounds; round++) {
        for (const unsigned *window = profile->windows; *window != 0; window++) {
            for (size_t i = 0; i < count; i++)
                inflight_one(comparison, compare_entrant(entrants, count, i, round), *window, round);
        }
    }
    close_all(comparison, entrants, count);
    return 0;
}
