/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve_model: histories of logs in use, held against a list.
 *
 * Without a configuration takes all of them in turn. Exits with 1 at the first history that no list could
 * have, and says which seed it came from. A seed gives the same options, calls, crashes and delays again;
 * what the threads make of them is the system's, so a history may have to be run several times to fail once
 * more.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/crew.h"
#include "model/history.h"

struct arguments {
    const struct model_config *config;
    uint64_t histories, lives, seconds, seed, watchdog_s;
};

static int usage(void)
{
    fprintf(stderr,
            "usage: varve_model [--config NAME] [--histories N] [--lives N] [--seconds N] [--seed S]\n"
            "                   [--watchdog SECONDS]\n"
            "configurations:\n");
    for (unsigned i = 0; model_config_at(i) != NULL; i++) {
        fprintf(stderr, "  %-10s %s\n", model_config_at(i)->name, model_config_at(i)->about);
    }
    return 2;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {
        {"--histories", &a->histories}, {"--lives", &a->lives},         {"--seconds", &a->seconds},
        {"--seed", &a->seed},           {"--watchdog", &a->watchdog_s},
    };
    for (int i = 1; i + 1 < argc; i += 2) {
        size_t n = 0;
        char *end;
        if (strcmp(argv[i], "--config") == 0) {
            a->config = model_config_find(argv[i + 1]);
            if (a->config == NULL) {
                return false;
            }
            continue;
        }
        while (n < sizeof numbers / sizeof *numbers && strcmp(numbers[n].name, argv[i]) != 0) {
            n++;
        }
        if (n == sizeof numbers / sizeof *numbers) {
            return false;
        }
        errno = 0;
        *numbers[n].value = strtoull(argv[i + 1], &end, 0);
        if (errno != 0 || *end != '\0' || end == argv[i + 1]) {
            return false;
        }
    }
    return argc % 2 == 1;
}

static void print_tally(const char *name, const struct model_tally *t)
{
    printf("%-10s %5" PRIu64 " histories, %" PRIu64 " lives (%" PRIu64 " closed, %" PRIu64 " killed, %" PRIu64
           " cut off; %" PRIu64 " torn, %" PRIu64 " moved, %" PRIu64 " failed), %" PRIu64 " calls, %" PRIu64
           " appends, %" PRIu64 " records read, %" PRIu64 " ends damaged\n",
           name, t->histories, t->lives, t->ends[MODEL_END_CLOSE],
           t->ends[MODEL_END_DROP] + t->ends[MODEL_END_KILL],
           t->ends[MODEL_END_CUT] + t->ends[MODEL_END_CUT_AT_REST], t->torn, t->moves, t->failed, t->calls,
           t->appends, t->seens, t->rotten);
    (void)fflush(stdout);
}

static void add_tally(struct model_tally *sum, const struct model_tally *t)
{
    sum->histories += t->histories;
    sum->lives += t->lives;
    sum->calls += t->calls;
    sum->torn += t->torn;
    sum->faults += t->faults;
    sum->rotten += t->rotten;
}

static void print_total(const struct model_tally *t)
{
    printf("total: %" PRIu64 " histories, %" PRIu64 " lives, %" PRIu64 " torn, %" PRIu64 " calls, %" PRIu64
           " faults, %" PRIu64 " ends damaged\n",
           t->histories, t->lives, t->torn, t->calls, t->faults, t->rotten);
}

/* Histories of one configuration: so many, or until the time is over. */
static bool run_config(const struct arguments *a, const struct model_config *config, time_t end,
                       struct model_tally *total)
{
    struct model_tally tally = {.histories = 0};
    bool good = true;
    for (uint64_t i = 0; good && i < a->histories && (end == 0 || time(NULL) < end); i++) {
        test_watchdog_alive();
        good = model_history_run(config, a->seed + i, (unsigned)a->lives, &tally);
    }
    if (tally.histories != 0) {
        print_tally(config->name, &tally);
    }
    add_tally(total, &tally);
    return good;
}

int main(int argc, char **argv)
{
    struct arguments a = {.histories = 4, .lives = 8, .watchdog_s = 60};
    struct model_tally total = {.histories = 0};
    bool good = true;
    if (!parse(argc, argv, &a)) {
        return usage();
    }
    if (a.seed == 0) {
        a.seed = test_rng_seed();
    }
    if (getenv("VARVE_SOAK") != NULL) {
        a.histories *= 5;
    }
    time_t end = a.seconds != 0 ? time(NULL) + (time_t)a.seconds : 0;
    test_watchdog_start("varve_model", (unsigned)a.watchdog_s);
    do {
        for (unsigned i = 0; good && model_config_at(i) != NULL; i++) {
            if (a.config == NULL || a.config == model_config_at(i)) {
                good = run_config(&a, model_config_at(i), end, &total);
            }
        }
        a.seed += a.histories;
    } while (good && end != 0 && time(NULL) < end);
    test_watchdog_stop();
    print_total(&total);
    return good ? 0 : 1;
}
