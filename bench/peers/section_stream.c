/* SPDX-License-Identifier: Apache-2.0 */
/* Appends that do not wait: how fast they are taken. Each run has a store of its own, and what it wrote is
 * given back to the disk before the next one. */
#include "peers.h"

static void stream_one(struct comparison *comparison, struct entrant *entrant, unsigned threads,
                       unsigned bytes, unsigned round)
{
    const struct peer *peer = entrant->peer;
    struct peer_setup setup = {.mode = PEER_LAZY, .threads = threads, .bytes_max = bytes};
    struct order order = {
        .kind = WORK_APPEND,
        .threads = threads,
        .bytes = bytes,
        .warmup_s = comparison->profile.warmup_s,
        .measure_s = comparison->profile.stream_s,
    };
    struct emit_key key = {
        .section = "stream",
        .what = "taken",
        .peer = peer->name,
        .threads = threads,
        .bytes = bytes,
        .round = round,
    };
    struct figures figures;
    if (entrant->failed || (peer->modes & 1u << PEER_LAZY) == 0)
        return;
    if (peer->threads_max != 0 && threads > peer->threads_max)
        return;
    compare_say(comparison, "round %u of %u: %u threads, %u bytes: %s", round + 1, comparison->profile.rounds,
                threads, bytes, peer->title);
    if (compare_open(comparison, entrant, &setup, &figures) == 0 &&
        compare_do(comparison, entrant, &order, &figures) == 0)
        emit_figures(&key, &figures);
    /* Killed, not closed: what a close would write is nobody's business, and the files go. */
    session_kill(entrant->session);
    entrant->session = NULL;
    if (session_remove(&comparison->bench, peer) < 0)
        comparison->failures++;
}

int section_stream(struct comparison *comparison, struct entrant *entrants, size_t count)
{
    const struct profile *profile = &comparison->profile;
    for (unsigned round = 0; round < profile->rounds; round++) {
        for (const unsigned *bytes = profile->stream_bytes; *bytes != 0; bytes++) {
            for (const unsigned *threads = profile->stream_threads; *threads != 0; threads++) {
                for (size_t i = 0; i < count; i++)
                    stream_one(comparison, compare_entrant(entrants, count, i, round), *threads, *bytes,
                               round);
            }
        }
    }
    return 0;
}
