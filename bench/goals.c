/* SPDX-License-Identifier: Apache-2.0 */
/* The goals, each a figure or the ratio of two, judged by the median over the rounds. A ratio is taken within
 * each round, where both sides met the same disk and the same neighbours. */
#include "bench.h"

#include <string.h>

enum field {
    FIELD_VALUE = 0,
    FIELD_P50 = 1,
    FIELD_UNFAIRNESS = 2
};

struct goal {
    const char *title;
    const char *unit;
    const char *key;
    const char *beside; /* the measure to divide by, or NULL */
    enum field field;
    int at_least;
    double limit;
    int or_previous; /* 1 = this goal and the one before it are one: either will do */
};

static const struct goal goals[] = {
    {"group, 1 thread: commits/s beside (c)", "x", "group1", "c", FIELD_VALUE, 1, 0.95, 0},
    {"group, 1 thread: median latency beside (c)", "x", "group1", "c", FIELD_P50, 0, 1.1, 0},
    {"group, 32 threads: commits/s beside (c)", "x", "group32", "c", FIELD_VALUE, 1, 10, 0},
    {"group, 32 threads: commits/s beside (d)", "x", "group32", "d32", FIELD_VALUE, 1, 2, 0},
    {"group, 128 threads: commits/s beside (c)", "x", "group128", "c", FIELD_VALUE, 1, 20, 0},
    {"group, 32 threads: greatest wait / median", "x", "group32", NULL, FIELD_UNFAIRNESS, 0, 20, 0},
    {"group, 128 threads: greatest wait / median", "x", "group128", NULL, FIELD_UNFAIRNESS, 0, 20, 0},
    {"buffered, 1 thread, 128 B: appends", "/s", "small", NULL, FIELD_VALUE, 1, 8e6, 0},
    {"buffered, 2 threads, 1 KiB: to the disk", "MiB/s", "disk", NULL, FIELD_VALUE, 1, 1536, 0},
    {"  or: the same beside (f)", "x", "disk", "f", FIELD_VALUE, 1, 0.7, 1},
    {"memory beside the slots", "KiB", "memory", NULL, FIELD_VALUE, 0, 1024, 0},
    {"open 1,000,000 records of 128 B", "ms", "open", NULL, FIELD_VALUE, 0, 100, 0},
    {"verify 1,000,000 records of 128 B", "ms", "verify", NULL, FIELD_VALUE, 0, 100, 0},
    {"open, large records", "GiB/s", "open-large", NULL, FIELD_VALUE, 1, 2, 0},
    {"verify, large records", "GiB/s", "verify-large", NULL, FIELD_VALUE, 1, 2, 0},
};

#define GOALS (sizeof goals / sizeof goals[0])

size_t goals_count(void)
{
    return GOALS;
}

static double field_of(const struct sample *sample, enum field field)
{
    if (field == FIELD_P50)
        return sample->p50_us;
    if (field == FIELD_UNFAIRNESS)
        return sample->unfairness;
    return sample->value;
}

static struct goal_outcome judge(const struct goal *goal, const struct result *results)
{
    struct goal_outcome outcome = {
        .title = goal->title,
        .unit = goal->unit,
        .limit = goal->limit,
        .at_least = goal->at_least,
    };
    const struct result *result = plan_find(results, goal->key);
    const struct result *beside = goal->beside != NULL ? plan_find(results, goal->beside) : NULL;
    double values[BENCH_ROUNDS_MAX];
    unsigned count = 0;
    for (unsigned round = 0; round < result->rounds; round++) {
        double by = beside == NULL           ? 1
                    : beside->rounds > round ? field_of(&beside->samples[round], goal->field)
                                             : 0;
        if (by > 0)
            values[count++] = field_of(&result->samples[round], goal->field) / by;
    }
    struct spread spread = spread_of(values, count);
    outcome.measured_at_all = count > 0;
    outcome.measured = spread.median;
    outcome.least = spread.least;
    outcome.greatest = spread.greatest;
    outcome.met = count > 0 && (goal->at_least ? spread.median >= goal->limit : spread.median <= goal->limit);
    return outcome;
}

void goals_judge(const struct result *results, struct goal_outcome *ret_outcomes)
{
    for (size_t i = 0; i < GOALS; i++) {
        ret_outcomes[i] = judge(&goals[i], results);
        if (goals[i].or_previous) {
            int either = ret_outcomes[i].met || ret_outcomes[i - 1].met;
            ret_outcomes[i].met = ret_outcomes[i - 1].met = either;
        }
    }
}
