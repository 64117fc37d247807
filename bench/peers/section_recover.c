/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery: how long it takes to open a log of a million records whose writer was killed, until the next
 * record could be appended. Each peer is filled once, without waiting, with nothing leaving its log, synced,
 * and killed; each round opens a copy of what that left, with the files in the page cache. Then all records
 * are read through the engine's own way of reading, and counted.
 */
#include "peers.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static int takes_part(const struct peer *peer)
{
    return peer->scan != NULL;
}

static struct peer_setup setup_of(void)
{
    return (
        struct peer_setup){.mode = PEER_LAZY, .threads = 1, .bytes_max = BENCH_RECORD_BYTES, .keep_log = 1};
}

static struct emit_key key_of(const struct comparison *comparison, const struct entrant *entrant,
                              const char *what, unsigned round)
{
    return (struct emit_key){
        .section = "recover",
        .what = what,
        .peer = entrant->peer->name,
        .threads = 1,
        .bytes = BENCH_RECORD_BYTES,
        .count = comparison->profile.recover_records,
        .round = round,
    };
}

static void kept_dir(const struct comparison *comparison, const struct entrant *entrant,
                     char ret_path[BENCH_PATH_BYTES])
{
    char name[64];
    snprintf(name, sizeof name, "%s.kept", entrant->peer->name);
    disk_path(&comparison->bench, name, ret_path);
}

/* Filled and killed; what is left is put aside. */
static void fill(struct comparison *comparison, struct entrant *entrant)
{
    char dir[BENCH_PATH_BYTES], kept[BENCH_PATH_BYTES];
    struct peer_setup setup = setup_of();
    struct order order = {
        .kind = WORK_FILL,
        .count = comparison->profile.recover_records,
        .bytes = BENCH_RECORD_BYTES,
    };
    struct emit_key key = key_of(comparison, entrant, "fill", 0);
    struct figures figures;
    if (compare_open(comparison, entrant, &setup, &figures) < 0 ||
        compare_do(comparison, entrant, &order, &figures) < 0)
        return;
    emit_figures(&key, &figures);
    session_kill(entrant->session);
    entrant->session = NULL;
    session_dir(&comparison->bench, entrant->peer, dir);
    kept_dir(comparison, entrant, kept);
    if (rename(dir, kept) < 0) {
        bench_fail(errno, "%s", kept);
        compare_failed(comparison, entrant);
    }
}

/* The records that were filled in, and those alone, must be there. */
static int emit_counted(struct comparison *comparison, struct entrant *entrant, const char *what,
                        unsigned round, const struct figures *figures)
{
    struct emit_key key = key_of(comparison, entrant, what, round);
    if (figures->operations != comparison->profile.recover_records) {
        bench_fail(0, "%s: found %llu records of %u", entrant->peer->title,
                   (unsigned long long)figures->operations, comparison->profile.recover_records);
        compare_failed(comparison, entrant);
        return -1;
    }
    emit_figures(&key, figures);
    return 0;
}

static void verify(struct comparison *comparison, struct entrant *entrant, unsigned round)
{
    struct order order = {.kind = WORK_VERIFY, .setup = setup_of()};
    struct figures figures;
    if (entrant->peer->verify == NULL)
        return;
    if (session_start(&comparison->bench, entrant->peer, &entrant->session) < 0) {
        compare_failed(comparison, entrant);
        return;
    }
    if (compare_do(comparison, entrant, &order, &figures) == 0)
        emit_counted(comparison, entrant, "verify", round, &figures);
    session_kill(entrant->session);
    entrant->session = NULL;
}

static void open_and_read(struct comparison *comparison, struct entrant *entrant, unsigned round)
{
    struct peer_setup setup = setup_of();
    struct order scan = {.kind = WORK_SCAN};
    struct emit_key key = key_of(comparison, entrant, "open", round);
    struct figures opened, read;
    if (compare_open(comparison, entrant, &setup, &opened) < 0)
        return;
    if (compare_do(comparison, entrant, &scan, &read) == 0 &&
        emit_counted(comparison, entrant, "read", round, &read) == 0)
        emit_figures(&key, &opened);
}

static void round_one(struct comparison *comparison, struct entrant *entrant, unsigned round)
{
    char dir[BENCH_PATH_BYTES], kept[BENCH_PATH_BYTES];
    session_dir(&comparison->bench, entrant->peer, dir);
    kept_dir(comparison, entrant, kept);
    compare_say(comparison, "round %u of %u: %s", round + 1, comparison->profile.rounds,
                entrant->peer->title);
    if (disk_copy_tree(kept, dir) < 0) {
        compare_failed(comparison, entrant);
        return;
    }
    verify(comparison, entrant, round);
    open_and_read(comparison, entrant, round);
    session_kill(entrant->session);
    entrant->session = NULL;
    if (session_remove(&comparison->bench, entrant->peer) < 0)
        comparison->failures++;
}

int section_recover(struct comparison *comparison, struct entrant *entrants, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        compare_say(comparison, "filling %s", entrants[i].peer->title);
        if (takes_part(entrants[i].peer))
            fill(comparison, &entrants[i]);
        else
            entrants[i].failed = 1;
    }
    compare_settle(comparison);
    for (unsigned round = 0; round < comparison->profile.rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            struct entrant *entrant = compare_entrant(entrants, count, i, round);
            if (!entrant->failed)
                round_one(comparison, entrant, round);
        }
    }
    for (size_t i = 0; i < count; i++) {
        char kept[BENCH_PATH_BYTES];
        kept_dir(comparison, &entrants[i], kept);
        if (disk_remove_tree(kept) < 0 || session_remove(&comparison->bench, entrants[i].peer) < 0)
            comparison->failures++;
    }
    return 0;
}
