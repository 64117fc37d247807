/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve_crash: records logs in use and explores the states that a power failure can leave of them.
 *
 * Without a scenario takes all of them in turn. Exits with 1 at the first state that the log makes something
 * wrong of, says which it is, and leaves its files, and what --replay needs, in a directory.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash/explore.h"
#include "crash/session.h"

static void usage(void)
{
    fprintf(stderr,
            "usage: varve_crash [--scenario NAME] [--states N] [--seconds N] [--seed S]\n"
            "                   [--sector 512|4096] [--depth N] [--keep DIR] [--tooth NAME]\n"
            "       varve_crash --teeth 1 [--states N] [--seed S]   shows that each of these bugs is found\n"
            "       varve_crash --replay DIR/case                   looks at a state once more\n"
            "scenarios:\n");
    for (unsigned i = 0; crash_scenario_at(i) != NULL; i++) {
        fprintf(stderr, "  %-16s %s\n", crash_scenario_at(i)->name, crash_scenario_at(i)->about);
    }
}

struct arguments {
    const struct crash_scenario *scenario;
    const char *replay;
    uint64_t seconds; /* 0 = once through */
    bool teeth;
};

static bool parse_number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 0);
    return errno == 0 && end != text && *end == '\0';
}

static bool parse(int argc, char **argv, struct arguments *a, struct crash_explorer *e)
{
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        uint64_t number = 0;
        bool is_number = parse_number(value, &number);
        if (strcmp(argv[i], "--scenario") == 0) {
            a->scenario = crash_scenario_find(value);
            if (a->scenario == NULL) {
                return false;
            }
        } else if (strcmp(argv[i], "--tooth") == 0) {
            e->tooth = crash_tooth_find(value);
            if (e->tooth == CRASH_TOOTH_NONE) {
                return false;
            }
        } else if (strcmp(argv[i], "--replay") == 0) {
            a->replay = value;
        } else if (strcmp(argv[i], "--keep") == 0) {
            e->keep = value;
        } else if (!is_number) {
            return false;
        } else if (strcmp(argv[i], "--states") == 0) {
            e->states = number;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            a->seconds = number;
        } else if (strcmp(argv[i], "--seed") == 0) {
            e->seed = number;
        } else if (strcmp(argv[i], "--teeth") == 0) {
            a->teeth = number != 0;
        } else if (strcmp(argv[i], "--sector") == 0 && (number == 512 || number == 4096)) {
            e->sector_bytes = (size_t)number;
        } else if (strcmp(argv[i], "--depth") == 0) {
            e->depth = (unsigned)number;
        } else {
            return false;
        }
    }
    return true;
}

static void print_tally(const char *name, const struct crash_tally *t)
{
    printf("%-16s %7" PRIu64 " states (%" PRIu64 " by a second crash, %" PRIu64 " torn, %" PRIu64
           " empty) of %" PRIu64 " moments in %" PRIu64 " traces, %" PRIu64 " openings\n",
           name, t->states, t->nested, t->torn, t->empty, t->cuts, t->traces, t->opens);
    (void)fflush(stdout);
}

/* In a process of its own: a log with a bug in it may not even open again while it is recorded. */
static bool show_tooth(struct crash_explorer *explorer, enum crash_tooth_kind kind)
{
    const char *scenario = crash_tooth_scenario(kind);
    int status = 0;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        explorer->tooth = kind;
        crash_session_has_bug = true;
        bool found = !crash_explore(explorer, crash_scenario_find(scenario));
        printf("%-20s in %-16s %s after %" PRIu64 " states: %s\n", crash_tooth_name(kind), scenario,
               found ? "found" : "NOT FOUND", explorer->tally.states, found ? explorer->message : "");
        (void)fflush(NULL);
        _exit(found ? 0 : 1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        printf("%-20s in %-16s the explorer itself failed\n", crash_tooth_name(kind), scenario);
        return false;
    }
    if (WEXITSTATUS(status) == CRASH_SESSION_FOUND) {
        printf("%-20s in %-16s found while it was recorded: the log did not open again\n",
               crash_tooth_name(kind), scenario);
    }
    (void)fflush(stdout);
    return WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == CRASH_SESSION_FOUND;
}

/* Every bug must be found. */
static bool show_teeth(struct crash_explorer *explorer)
{
    bool all = true;
    explorer->keep = NULL;
    for (int kind = CRASH_TOOTH_NONE + 1; kind < CRASH_TOOTH_COUNT; kind++) {
        all = show_tooth(explorer, (enum crash_tooth_kind)kind) && all;
    }
    return all;
}

/* Every state is clean or torn, or it is the one that is wrong. */
static void print_total(const struct crash_tally *t)
{
    printf("total: %" PRIu64 " states, %" PRIu64 " clean, %" PRIu64 " torn, %" PRIu64 " faults\n", t->states,
           t->states - t->torn, t->torn, t->faults);
}

static bool explore_all(const struct arguments *arguments, struct crash_explorer *explorer)
{
    time_t end = time(NULL) + (time_t)arguments->seconds;
    struct crash_tally all = {.states = 0};
    do {
        for (unsigned i = 0; crash_scenario_at(i) != NULL; i++) {
            const struct crash_scenario *scenario = crash_scenario_at(i);
            if ((arguments->scenario != NULL && arguments->scenario != scenario) ||
                (arguments->seconds != 0 && time(NULL) >= end)) {
                continue;
            }
            bool good = crash_explore(explorer, scenario);
            all.states += explorer->tally.states;
            all.torn += explorer->tally.torn;
            all.faults += explorer->tally.faults;
            if (!good) {
                print_total(&all);
                fprintf(stderr, "VARVE_TEST_SEED=%" PRIu64 "\n", explorer->seed);
                return false;
            }
            print_tally(scenario->name, &explorer->tally);
        }
        explorer->seed = test_rng_mix(explorer->seed);
    } while (time(NULL) < end);
    print_total(&all);
    return true;
}

int main(int argc, char **argv)
{
    struct crash_explorer explorer = {.sector_bytes = 512, .depth = 2, .nested = 2, .keep = "crash-state"};
    struct arguments arguments = {.scenario = NULL};
    if (!parse(argc, argv, &arguments, &explorer)) {
        usage();
        return 2;
    }
    if (explorer.states == 0) {
        explorer.states = arguments.seconds != 0 ? 500 : 2000; /* from each scenario in turn */
    }
    if (getenv("VARVE_SOAK") != NULL) {
        explorer.states *= 5;
    }
    /* Buffers come and go with every opening: the memory is kept, not handed back each time. */
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
    if (arguments.replay != NULL) {
        return crash_replay(arguments.replay) ? 0 : 1;
    }
    if (explorer.seed == 0) {
        explorer.seed = test_rng_seed();
    }
    return (arguments.teeth ? show_teeth(&explorer) : explore_all(&arguments, &explorer)) ? 0 : 1;
}
