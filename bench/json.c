/* SPDX-License-Identifier: Apache-2.0 */
/* The result for programs: every round of every measurement, so that nothing is hidden behind a median. All
 * strings are ours and hold nothing that JSON would want escaped. */
#include "bench.h"

#include "varve/varve.h"

#include <sys/utsname.h>
#include <unistd.h>

static void print_sample(FILE *out, const struct sample *sample)
{
    fprintf(out, "{\"value\": %.6g", sample->value);
    if (sample->p50_us > 0)
        fprintf(out, ", \"p50_us\": %.6g, \"p99_us\": %.6g, \"p999_us\": %.6g, \"max_us\": %.6g",
                sample->p50_us, sample->p99_us, sample->p999_us, sample->max_us);
    fputc('}', out);
}

static void print_result(FILE *out, const struct result *result, int first)
{
    double values[BENCH_ROUNDS_MAX];
    for (unsigned round = 0; round < result->rounds; round++)
        values[round] = result->samples[round].value;
    struct spread spread = spread_of(values, result->rounds);
    const struct measure *measure = result->measure;
    fprintf(out, "%s\n    {\"key\": \"%s\", \"title\": \"%s\", \"unit\": \"%s\", \"threads\": %u,",
            first ? "" : ",", measure->key, measure->title, measure->unit, measure->threads);
    fprintf(out, "\n     \"median\": %.6g, \"least\": %.6g, \"greatest\": %.6g, \"rounds\": [", spread.median,
            spread.least, spread.greatest);
    for (unsigned round = 0; round < result->rounds; round++) {
        fputs(round > 0 ? ", " : "", out);
        print_sample(out, &result->samples[round]);
    }
    fputs("]}", out);
}

static void print_goal(FILE *out, const struct goal_outcome *goal, int first)
{
    fprintf(out, "%s\n    {\"goal\": \"%s\", \"unit\": \"%s\", \"measured\": %.6g, \"least\": %.6g, ",
            first ? "" : ",", goal->title, goal->unit, goal->measured, goal->least);
    fprintf(out, "\"greatest\": %.6g, \"%s\": %.6g, \"met\": %s}", goal->greatest,
            goal->at_least ? "at_least" : "at_most", goal->limit, goal->met ? "true" : "false");
}

void json_print(FILE *out, const struct bench *bench, const struct result *results,
                const struct goal_outcome *outcomes)
{
    struct utsname system = {0};
    uname(&system);
    fprintf(out, "{\n  \"varve\": \"%s\", \"kernel\": \"%s %s\", \"machine\": \"%s\", \"processors\": %ld,\n",
            varve_version(), system.sysname, system.release, system.machine, sysconf(_SC_NPROCESSORS_ONLN));
    fprintf(out, "  \"rounds\": %u, \"measure_s\": %.3g, \"warmup_s\": %.3g, \"sector_bytes\": %u,\n",
            bench->rounds, bench->measure_s, bench->warmup_s, bench->sector_bytes);
    fputs("  \"measurements\": [", out);
    int first = 1;
    for (size_t i = 0; i < plan_count(); i++) {
        if (results[i].rounds == 0)
            continue;
        print_result(out, &results[i], first);
        first = 0;
    }
    fputs("\n  ],\n  \"goals\": [", out);
    first = 1;
    for (size_t i = 0; i < goals_count(); i++) {
        if (!outcomes[i].measured_at_all)
            continue;
        print_goal(out, &outcomes[i], first);
        first = 0;
    }
    fputs("\n  ]\n}\n", out);
}
