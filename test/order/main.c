/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve_order: records what threads are told by an engine, and looks for an order in which it could have
 * happened. README.md says how. Exits with 1 at the first history that has none.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/rng.h"
#include "order/teeth.h"
#include "order/work.h"

static const struct work_config configs[] = {
    {"memory", VARVE_MEMORY, 4, 2000, false, 40, 0},
    {"interval", VARVE_INTERVAL, 1, 1000, false, 300, 0},
    {"group", VARVE_GROUP, 4, 200, false, 40, 0},
    {"snapshots", VARVE_GROUP, 2, 200, true, 4000, 0},
    {"streams", VARVE_INTERVAL, 4, 60, true, 4000, 4096},
};

enum {
    CONFIGS = sizeof configs / sizeof *configs
};

struct arguments {
    const char *name;
    uint64_t histories, seconds, seed;
    bool teeth;
};

static bool parse(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 0);
        if (strcmp(argv[i], "--config") == 0) {
            a->name = argv[i + 1];
        } else if (strcmp(argv[i], "--histories") == 0) {
            a->histories = number;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            a->seconds = number;
        } else if (strcmp(argv[i], "--seed") == 0) {
            a->seed = number;
        } else if (strcmp(argv[i], "--teeth") == 0) {
            a->teeth = number != 0;
        } else {
            return false;
        }
    }
    return argc % 2 == 1;
}

static bool run_one(const struct work_config *config, uint64_t seed, uint64_t *calls, uint64_t *deals)
{
    struct work work;
    char why[WORK_WHY + 100];
    bool good;
    work_run(config, seed, &work);
    good = work_judge(&work, why, sizeof why);
    for (unsigned key = 0; key < WORK_SINGLES; key++) {
        *calls += work.call_count[key];
    }
    *deals += work.deal_count;
    work_free(&work);
    if (!good) {
        printf("%s, seed %" PRIu64 ": %s\n", config->name, seed, why);
    }
    return good;
}

int main(int argc, char **argv)
{
    struct arguments a = {.histories = 5};
    uint64_t histories = 0, calls = 0, deals = 0;
    bool good = true;
    if (!parse(argc, argv, &a)) {
        fprintf(stderr,
                "usage: varve_order [--config memory|interval|group|snapshots|streams] [--histories N]\n"
                "                   [--seconds N] [--seed S] [--teeth 1]\n");
        return 2;
    }
    if (a.teeth) {
        return teeth_show() ? 0 : 1;
    }
    a.seed = a.seed != 0 ? a.seed : test_rng_seed();
    time_t end = time(NULL) + (time_t)a.seconds;
    do {
        for (unsigned i = 0; good && i < CONFIGS; i++) {
            for (uint64_t n = 0; good && n < a.histories; n++) {
                if (a.name == NULL || strcmp(a.name, configs[i].name) == 0) {
                    good = run_one(&configs[i], test_rng_mix(a.seed + n), &calls, &deals);
                    histories++;
                }
            }
        }
        a.seed = test_rng_mix(a.seed);
    } while (good && time(NULL) < end);
    printf("total: %" PRIu64 " histories, %" PRIu64 " calls, %" PRIu64 " transactions\n", histories, calls,
           deals);
    return good && histories > 0 ? 0 : 1;
}
