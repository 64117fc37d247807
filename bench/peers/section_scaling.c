/* SPDX-License-Identifier: Apache-2.0 */
/* How Varve's costs grow: with the number of segments (appending, opening, trimming), of threads, and with
 * the size of records. What should be flat is flat, what should be linear is linear, or the plots show it. */
#include "peers.h"

#include <string.h>

#define SEGMENT_RECORD_BYTES ((size_t)900 << 10) /* one fills a segment of 1 MiB */
#define APPEND_S_OF_STREAM   0.5                 /* how long to append, beside the section `stream` */

static struct emit_key key_of(const struct entrant *entrant, const char *what, unsigned round)
{
    return (struct emit_key){.section = "scaling", .what = what, .peer = entrant->peer->name, .round = round};
}

/* Opens, notes how long it took unless `what` is NULL. */
static int open_noted(struct comparison *comparison, struct entrant *entrant, const struct peer_setup *setup,
                      const char *what, unsigned segments, unsigned round)
{
    struct emit_key key = key_of(entrant, what, round);
    struct figures figures;
    if (compare_open(comparison, entrant, setup, &figures) < 0)
        return -1;
    key.count = segments;
    if (what != NULL)
        emit_figures(&key, &figures);
    return 0;
}

static int do_noted(struct comparison *comparison, struct entrant *entrant, const struct order *order,
                    const char *what, unsigned segments, unsigned round)
{
    struct emit_key key = key_of(entrant, what, round);
    struct figures figures;
    if (compare_do(comparison, entrant, order, &figures) < 0)
        return -1;
    key.count = segments;
    if (what != NULL)
        emit_figures(&key, &figures);
    return 0;
}

static void end_session(struct comparison *comparison, struct entrant *entrant)
{
    if (entrant->session != NULL && session_end(entrant->session) < 0)
        comparison->failures++;
    entrant->session = NULL;
}

/* Fills so many segments; opens them whole, and by their end alone; appends to them; trims all but the last.
 */
static void segments_one(struct comparison *comparison, struct entrant *entrant, unsigned segments,
                         unsigned round)
{
    const struct profile *profile = &comparison->profile;
    struct peer_setup setup = {.mode = PEER_LAZY, .threads = 1, .bytes_max = 128, .small_segments = 1};
    struct peer_setup tail = setup;
    struct order fill = {.kind = WORK_FILL, .count = segments, .bytes = SEGMENT_RECORD_BYTES};
    struct order append = {
        .kind = WORK_APPEND,
        .threads = 1,
        .bytes = BENCH_RECORD_BYTES,
        .warmup_s = profile->warmup_s,
        .measure_s = profile->stream_s * APPEND_S_OF_STREAM,
    };
    struct order trim = {.kind = WORK_TRIM};
    tail.check_tail = 1;
    compare_say(comparison, "round %u of %u: %u segments", round + 1, profile->scaling_rounds, segments);
    if (open_noted(comparison, entrant, &setup, NULL, 0, round) == 0)
        do_noted(comparison, entrant, &fill, NULL, 0, round);
    end_session(comparison, entrant);
    if (open_noted(comparison, entrant, &setup, "open", segments, round) == 0)
        end_session(comparison, entrant);
    if (open_noted(comparison, entrant, &tail, "open-tail", segments, round) == 0 &&
        do_noted(comparison, entrant, &append, "append", segments, round) == 0)
        do_noted(comparison, entrant, &trim, "trim", segments, round);
    compare_close(comparison, entrant);
}

static void threads_one(struct comparison *comparison, struct entrant *entrant, unsigned threads,
                        unsigned round)
{
    const struct profile *profile = &comparison->profile;
    struct peer_setup setup = {.mode = PEER_DURABLE, .threads = threads, .bytes_max = BENCH_RECORD_BYTES};
    struct order order = {
        .kind = WORK_APPEND,
        .threads = threads,
        .bytes = BENCH_RECORD_BYTES,
        .warmup_s = profile->warmup_s,
        .measure_s = profile->commit_s,
    };
    struct emit_key key = key_of(entrant, "threads", round);
    struct figures figures;
    key.threads = threads;
    compare_say(comparison, "round %u of %u: %u threads", round + 1, profile->scaling_rounds, threads);
    if (compare_open(comparison, entrant, &setup, &figures) == 0 &&
        compare_do(comparison, entrant, &order, &figures) == 0)
        emit_figures(&key, &figures);
    compare_close(comparison, entrant);
}

/* `mode` decides whether each record is waited for. */
static void bytes_one(struct comparison *comparison, struct entrant *entrant, unsigned bytes,
                      enum peer_mode mode, unsigned round)
{
    const struct profile *profile = &comparison->profile;
    struct peer_setup setup = {.mode = mode, .threads = 1, .bytes_max = bytes};
    struct order order = {
        .kind = WORK_APPEND,
        .threads = 1,
        .bytes = bytes,
        .warmup_s = profile->warmup_s,
        .measure_s = profile->stream_s,
    };
    struct emit_key key = key_of(entrant, mode == PEER_LAZY ? "stream" : "durable", round);
    struct figures figures;
    key.bytes = bytes;
    compare_say(comparison, "round %u of %u: records of %u bytes", round + 1, profile->scaling_rounds, bytes);
    if (compare_open(comparison, entrant, &setup, &figures) == 0 &&
        compare_do(comparison, entrant, &order, &figures) == 0)
        emit_figures(&key, &figures);
    compare_close(comparison, entrant);
}

int section_scaling(struct comparison *comparison, struct entrant *entrants, size_t count)
{
    const struct profile *profile = &comparison->profile;
    struct entrant *varve = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(entrants[i].peer->name, "varve") == 0)
            varve = &entrants[i];
    }
    for (unsigned round = 0; round < profile->scaling_rounds && varve != NULL; round++) {
        for (const unsigned *segments = profile->scaling_segments; *segments != 0 && !varve->failed;
             segments++)
            segments_one(comparison, varve, *segments, round);
        for (const unsigned *threads = profile->scaling_threads; *threads != 0 && !varve->failed; threads++)
            threads_one(comparison, varve, *threads, round);
        for (const unsigned *bytes = profile->scaling_bytes; *bytes != 0 && !varve->failed; bytes++) {
            bytes_one(comparison, varve, *bytes, PEER_LAZY, round);
            bytes_one(comparison, varve, *bytes, PEER_DURABLE, round);
        }
    }
    return 0;
}
