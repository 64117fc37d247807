/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve_fault: tells stories of a log in which one thing goes wrong, and each thing that can.
 *
 * Without a scenario takes all of them in turn. Exits with 1 when the log did something wrong in a case, and
 * says how to have that case again.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fault/pool.h"
#include "fault/tally.h"

enum {
    LASTING = 3
};

struct arguments {
    const struct fault_scenario *scenario; /* NULL = all */
    enum fault_tooth_kind tooth;
    bool teeth, list;
    uint64_t only;  /* the case, from 1; 0 = all */
    uint64_t every; /* each so manieth case */
    uint64_t whole; /* every case of every call */
    uint64_t seconds, seed;
    uint64_t jobs;
};

static void usage(void)
{
    fprintf(
        stderr,
        "usage: varve_fault [--scenario NAME] [--whole 1] [--every N] [--seed S] [--jobs N] [--tooth NAME]\n"
        "       varve_fault --scenario NAME --case N [--whole 1]  one case, in this process\n"
        "       varve_fault --scenario NAME --list 1              the cases\n"
        "       varve_fault --seconds N [--scenario NAME] [--seed S]   one fault or two, by chance\n"
        "       varve_fault --teeth 1                             shows that each of these bugs is found\n"
        "scenarios:\n");
    for (unsigned i = 0; fault_scenario_at(i) != NULL; i++) {
        fprintf(stderr, "  %-16s %s\n", fault_scenario_at(i)->name, fault_scenario_at(i)->about);
    }
}

static bool parse_number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 0);
    return errno == 0 && end != text && *end == '\0';
}

static bool parse_word(struct arguments *a, const char *name, const char *value)
{
    if (strcmp(name, "--scenario") == 0) {
        a->scenario = fault_scenario_find(value);
        return a->scenario != NULL;
    }
    if (strcmp(name, "--tooth") == 0) {
        a->tooth = fault_tooth_find(value);
        return a->tooth != FAULT_TOOTH_NONE;
    }
    return false;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    uint64_t teeth = 0, list = 0;
    const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {{"--case", &a->only},       {"--every", &a->every}, {"--seed", &a->seed},
                   {"--seconds", &a->seconds}, {"--jobs", &a->jobs},   {"--teeth", &teeth},
                   {"--list", &list},          {"--whole", &a->whole}};
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        bool known = parse_word(a, argv[i], value);
        for (size_t k = 0; !known && k < sizeof numbers / sizeof *numbers; k++) {
            known = strcmp(argv[i], numbers[k].name) == 0 && parse_number(value, numbers[k].value);
        }
        if (!known) {
            return false;
        }
    }
    a->teeth = teeth != 0;
    a->list = list != 0;
    return (a->scenario != NULL || (a->only == 0 && !a->list)) && a->every > 0 && a->jobs > 0 &&
           a->jobs <= FAULT_JOBS;
}

/* A scenario that is ready for its cases. */
struct stage {
    struct fault_pool pool;
    struct fault_base base;
    struct fault_count *count; /* shared with the process that counts */
    struct fault_plan plan;
};

static void stage_close(struct stage *stage)
{
    fault_plan_free(&stage->plan);
    fault_pool_close(&stage->pool);
    fault_base_close(&stage->base);
    munmap(stage->count, sizeof *stage->count);
}

static bool stage_open(struct stage *stage, const struct arguments *a, const struct fault_scenario *scenario,
                       struct fault_tally *tally)
{
    static struct fault_outcome outcome;
    memset(stage, 0, sizeof *stage);
    scenario->prepare(&stage->base);
    fault_pool_init(&stage->pool, (unsigned)a->jobs);
    stage->pool.scenario = scenario;
    stage->pool.base = &stage->base;
    stage->pool.seed = a->seed;
    stage->pool.tooth = a->tooth;
    stage->pool.seconds = fault_tally_limit();
    stage->pool.done = fault_tally_add;
    stage->pool.arg = tally;
    fault_tally_init(tally, scenario);
    stage->count =
        mmap(NULL, sizeof *stage->count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stage->count == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    if (!fault_pool_count(&stage->pool, stage->count, &outcome)) {
        fprintf(stderr, "scenario %s, without a fault: %s\n", scenario->name, outcome.message);
        stage_close(stage);
        return false;
    }
    tally->count = stage->count;
    fault_plan_make(&stage->plan, stage->count, stage->base.options.backend != VARVE_BACKEND_BUFFERED,
                    a->whole != 0);
    return true;
}

static void list_cases(const struct stage *stage)
{
    for (size_t i = 0; i < stage->plan.case_count; i++) {
        char text[256];
        fault_case_say(&stage->plan.cases[i], text, sizeof text);
        printf("%zu: %s\n", i + 1, text);
    }
}

/* All cases of a scenario, or each so manieth; of those that go on failing one in LASTING, unless all are
 * wanted. False: something was wrong. */
static bool take_all(const struct arguments *a, const struct fault_scenario *scenario)
{
    static struct stage stage;
    static struct fault_tally tally;
    if (!stage_open(&stage, a, scenario, &tally)) {
        return false;
    }
    if (a->list) {
        list_cases(&stage);
    } else if (a->only != 0) {
        if (a->only <= stage.plan.case_count) {
            fault_pool_here(&stage.pool, (size_t)a->only, &stage.plan.cases[a->only - 1]);
            printf("nothing wrong\n");
            exit(0); /* the disk was used up */
        }
        fprintf(stderr, "there are %zu cases\n", stage.plan.case_count);
        tally.wrong++;
    } else {
        for (size_t i = (size_t)(a->seed % a->every); i < stage.plan.case_count; i += (size_t)a->every) {
            const struct fault_case *fault = &stage.plan.cases[i];
            if (fault_tally_is_enough(&tally)) {
                break;
            }
            if (a->whole != 0 || fault_case_is_single(fault) || (i + a->seed) % LASTING == 0) {
                fault_pool_run(&stage.pool, i + 1, fault);
            }
        }
        fault_pool_wait(&stage.pool);
        fault_tally_print(&tally);
    }
    stage_close(&stage);
    return tally.wrong == 0;
}

/* One fault, and two at once, by chance, for so long. */
static bool take_by_chance(const struct arguments *a)
{
    static struct stage stage;
    static struct fault_tally tally;
    const time_t end = time(NULL) + (time_t)a->seconds;
    uint64_t pairs = 0, singles = 0;
    struct test_rng rng;
    test_rng_init(&rng, a->seed);
    do {
        unsigned scenarios = 0;
        while (fault_scenario_at(scenarios) != NULL) {
            scenarios++;
        }
        const struct fault_scenario *scenario =
            a->scenario != NULL ? a->scenario : fault_scenario_at((unsigned)test_rng_below(&rng, scenarios));
        if (!stage_open(&stage, a, scenario, &tally)) {
            return false;
        }
        for (size_t i = 0; i < 200 && !fault_tally_is_enough(&tally) && time(NULL) < end; i++) {
            if (i % 2 == 0) {
                size_t at = (size_t)test_rng_below(&rng, stage.plan.case_count);
                fault_pool_run(&stage.pool, at + 1, &stage.plan.cases[at]);
                singles++;
                continue;
            }
            struct fault_case two;
            fault_plan_two(&stage.plan, &rng, &two);
            fault_pool_run(&stage.pool, i + 1, &two);
            pairs++;
        }
        fault_pool_wait(&stage.pool);
        stage_close(&stage);
        if (tally.wrong != 0) {
            fault_tally_print(&tally);
            fprintf(stderr, "varve_fault --seconds %" PRIu64 " --seed %" PRIu64 " has it again\n", a->seconds,
                    a->seed);
            return false;
        }
    } while (time(NULL) < end);
    printf("total: %" PRIu64 " faults, %" PRIu64 " pairs of faults\n", singles, pairs);
    return true;
}

/* Every bug must be found. */
static bool show_teeth(struct arguments *a)
{
    static struct stage stage;
    static struct fault_tally tally;
    bool all = true;
    for (int kind = FAULT_TOOTH_NONE + 1; kind < FAULT_TOOTH_COUNT; kind++) {
        a->tooth = (enum fault_tooth_kind)kind;
        const char *scenario = fault_tooth_scenario(a->tooth);
        if (!stage_open(&stage, a, fault_scenario_find(scenario), &tally)) {
            return false;
        }
        tally.expected = fault_tooth_expected(a->tooth);
        stage.pool.seconds = a->tooth == FAULT_TOOTH_RETRIED_FOR_EVER ? 2 : stage.pool.seconds;
        for (size_t i = 0; i < stage.plan.case_count && !tally.found; i++) {
            fault_pool_run(&stage.pool, i + 1, &stage.plan.cases[i]);
        }
        fault_pool_wait(&stage.pool);
        printf("%-20s in %-10s %s, case %zu: %s\n", fault_tooth_name(a->tooth), scenario,
               tally.found ? "found" : "NOT FOUND", tally.first_wrong, tally.message);
        (void)fflush(stdout);
        all = all && tally.found;
        stage_close(&stage);
    }
    return all;
}

static bool take_scenarios(const struct arguments *a)
{
    bool fine = true;
    for (unsigned i = 0; fault_scenario_at(i) != NULL; i++) {
        const struct fault_scenario *scenario = fault_scenario_at(i);
        if (a->scenario == NULL || a->scenario == scenario) {
            fine = take_all(a, scenario) && fine;
        }
    }
    return fine;
}

int main(int argc, char **argv)
{
    struct arguments a = {.every = 1, .jobs = 8};
    if (!parse(argc, argv, &a)) {
        usage();
        return 2;
    }
    /* Buffers come and go with every opening: the memory is kept, not handed back each time. */
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
    (void)mallopt(M_TOP_PAD, 16 << 20);
    (void)mallopt(M_ARENA_MAX, 1);
    if (a.teeth) {
        return show_teeth(&a) ? 0 : 1;
    }
    if (a.seconds != 0) {
        a.seed = a.seed != 0 ? a.seed : test_rng_seed();
        a.whole = 1;
        return take_by_chance(&a) ? 0 : 1;
    }
    return take_scenarios(&a) ? 0 : 1;
}
