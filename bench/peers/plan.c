/* SPDX-License-Identifier: Apache-2.0 */
/* The order of things: who is there, section by section, and what happens when a peer fails. */
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*section_fn)(struct comparison *comparison, struct entrant *entrants, size_t count);

static const struct {
    const char *name;
    section_fn run;
} sections[COMPARE_COUNT] = {
    [COMPARE_COMMIT] = {"commit", section_commit}, [COMPARE_INFLIGHT] = {"inflight", section_inflight},
    [COMPARE_STREAM] = {"stream", section_stream}, [COMPARE_RECOVER] = {"recover", section_recover},
    [COMPARE_COST] = {"cost", section_cost},       [COMPARE_SCALING] = {"scaling", section_scaling},
};

static enum compare_section running; /* for messages */

const char *compare_section_name(enum compare_section section)
{
    return sections[section].name;
}

void compare_say(const struct comparison *comparison, const char *format, ...)
{
    va_list args;
    if (!comparison->bench.progress)
        return;
    fprintf(stderr, "\r\033[K%s: ", sections[running].name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

void compare_settle(const struct comparison *comparison)
{
    int fd = open(comparison->bench.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) < 0)
        bench_fail(errno, "%s", comparison->bench.dir);
    if (fd >= 0)
        close(fd);
}

struct entrant *compare_entrant(struct entrant *entrants, size_t count, size_t place, unsigned round)
{
    return &entrants[round % 2 == 0 ? place : count - 1 - place];
}

void compare_failed(struct comparison *comparison, struct entrant *entrant)
{
    emit_failed(entrant->peer->name, sections[running].name);
    session_kill(entrant->session);
    entrant->session = NULL;
    entrant->failed = 1;
    comparison->failures++;
}

int compare_open(struct comparison *comparison, struct entrant *entrant, const struct peer_setup *setup,
                 struct figures *ret_figures)
{
    struct order order = {.kind = WORK_OPEN, .setup = *setup};
    order.setup.brief = comparison->profile.brief;
    if (entrant->failed)
        return -1;
    if (session_start(&comparison->bench, entrant->peer, &entrant->session) < 0) {
        compare_failed(comparison, entrant);
        return -1;
    }
    return compare_do(comparison, entrant, &order, ret_figures);
}

int compare_do(struct comparison *comparison, struct entrant *entrant, const struct order *order,
               struct figures *ret_figures)
{
    if (entrant->failed)
        return -1;
    if (session_do(entrant->session, order, ret_figures) == 0)
        return 0;
    compare_failed(comparison, entrant);
    return -1;
}

void compare_close(struct comparison *comparison, struct entrant *entrant)
{
    if (entrant->session != NULL && session_end(entrant->session) < 0)
        comparison->failures++;
    entrant->session = NULL;
    if (session_remove(&comparison->bench, entrant->peer) < 0)
        comparison->failures++;
}

static int is_wanted(const struct comparison *comparison, const char *name)
{
    for (unsigned i = 0; i < comparison->only_peers_count; i++) {
        if (strcmp(comparison->only_peers[i], name) == 0)
            return 1;
    }
    return comparison->only_peers_count == 0;
}

/* Everybody that is wanted and there; who is wanted and not there is named. */
static size_t gather(const struct comparison *comparison, struct entrant *entrants)
{
    size_t count = 0;
    for (size_t i = 0; i < registry_count(); i++) {
        struct peer_entry entry = registry_get(i);
        if (!is_wanted(comparison, entry.name))
            continue;
        emit_peer(&entry);
        if (entry.peer != NULL)
            entrants[count++] = (struct entrant){.peer = entry.peer};
        else
            fprintf(stderr, "varve-bench: %s is left out: it needs %s\n", entry.name, entry.package);
    }
    return count;
}

int compare_run(struct comparison *comparison)
{
    uint64_t began = bench_now_ns();
    struct meter_machine before, after;
    meter_machine_read(&before);
    struct entrant *entrants = calloc(registry_count(), sizeof *entrants);
    if (entrants == NULL)
        return bench_fail(ENOMEM, "entrants");
    emit_run(comparison);
    size_t count = gather(comparison, entrants);
    int failed = 0;
    for (unsigned section = 0; section < COMPARE_COUNT && failed == 0; section++) {
        if ((comparison->sections & 1u << section) == 0)
            continue;
        running = (enum compare_section)section;
        for (size_t i = 0; i < count; i++)
            entrants[i] = (struct entrant){.peer = entrants[i].peer};
        failed = sections[section].run(comparison, entrants, count);
    }
    if (comparison->bench.progress)
        fputs("\r\033[K", stderr);
    free(entrants);
    if (failed < 0)
        return -1;
    meter_machine_read(&after);
    return emit_done((double)(bench_now_ns() - began) / 1e9, comparison->failures, &before, &after);
}
