/* SPDX-License-Identifier: Apache-2.0 */
/* The result as a table for people. */
#include "bench.h"

#include <math.h>
#include <string.h>

#define NUMBER_BYTES 32

/* With commas between thousands and three digits at least: 1,234,567   123   12.3   1.23 */
static const char *number(double value, char ret_text[NUMBER_BYTES])
{
    double size = fabs(value);
    if (size < 999.5) {
        snprintf(ret_text, NUMBER_BYTES, "%.*f", size < 9.995 ? 2 : size < 99.95 ? 1 : 0, value);
        return ret_text;
    }
    char digits[NUMBER_BYTES];
    int length = snprintf(digits, sizeof digits, "%.0f", value);
    size_t to = 0;
    for (int i = 0; i < length && to + 2 < NUMBER_BYTES; i++) {
        if (i > 0 && digits[i - 1] != '-' && (length - i) % 3 == 0)
            ret_text[to++] = ',';
        ret_text[to++] = digits[i];
    }
    ret_text[to] = '\0';
    return ret_text;
}

typedef double (*pick_fn)(const struct sample *sample);

static double pick_value(const struct sample *sample)
{
    return sample->value;
}

static double pick_p50(const struct sample *sample)
{
    return sample->p50_us;
}

static double pick_p99(const struct sample *sample)
{
    return sample->p99_us;
}

static double pick_p999(const struct sample *sample)
{
    return sample->p999_us;
}

static double pick_max(const struct sample *sample)
{
    return sample->max_us;
}

static double pick_unfairness(const struct sample *sample)
{
    return sample->unfairness;
}

static struct spread over_rounds(const struct result *result, pick_fn pick)
{
    double values[BENCH_ROUNDS_MAX];
    for (unsigned round = 0; round < result->rounds; round++)
        values[round] = pick(&result->samples[round]);
    return spread_of(values, result->rounds);
}

static void print_latencies(FILE *out, const struct result *result)
{
    static const pick_fn picks[] = {pick_p50, pick_p99, pick_p999, pick_max, pick_unfairness};
    char text[NUMBER_BYTES];
    for (size_t i = 0; i < sizeof picks / sizeof picks[0]; i++)
        fprintf(out, "%8s", number(over_rounds(result, picks[i]).median, text));
}

static void print_result(FILE *out, const struct result *result)
{
    char median[NUMBER_BYTES], least[NUMBER_BYTES], greatest[NUMBER_BYTES], range[2 * NUMBER_BYTES + 4];
    struct spread spread = over_rounds(result, pick_value);
    snprintf(range, sizeof range, "%s - %s", number(spread.least, least), number(spread.greatest, greatest));
    fprintf(out, "%-41s %11s %-9s %23s", result->measure->title, number(spread.median, median),
            result->measure->unit, range);
    if (result->samples[0].p50_us > 0)
        print_latencies(out, result);
    fputc('\n', out);
}

static void print_section(FILE *out, const struct result *results, enum section section)
{
    int first = 1;
    for (size_t i = 0; i < plan_count(); i++) {
        const struct result *result = &results[i];
        if (result->measure->section != section || result->rounds == 0)
            continue;
        if (first) {
            fprintf(out, "\n%-41s %11s %-9s %23s", plan_section_name(section), "median", "",
                    "least - greatest");
            if (section == SECTION_COMMIT)
                fprintf(out, "%8s%8s%8s%8s%8s", "p50 us", "p99", "p99.9", "max", "max/p50");
            fputc('\n', out);
        }
        first = 0;
        print_result(out, result);
    }
}

static void print_goal(FILE *out, const struct goal_outcome *goal)
{
    char measured[NUMBER_BYTES], least[NUMBER_BYTES], greatest[NUMBER_BYTES], limit[NUMBER_BYTES];
    char range[2 * NUMBER_BYTES + 4];
    if (!goal->measured_at_all)
        return;
    snprintf(range, sizeof range, "%s - %s", number(goal->least, least), number(goal->greatest, greatest));
    fprintf(out, "%-45s %11s %-6s %23s  %-8s %9s  %s\n", goal->title, number(goal->measured, measured),
            goal->unit, range, goal->at_least ? "at least" : "at most", number(goal->limit, limit),
            goal->met ? "yes" : "NO");
}

void table_print(FILE *out, const struct bench *bench, const struct result *results,
                 const struct goal_outcome *outcomes)
{
    fprintf(out, "Up to %u rounds of %.1f s each, %.0f %% before that thrown away; sectors of %u bytes\n",
            bench->rounds, bench->measure_s, 100 * bench->warmup_s / bench->measure_s, bench->sector_bytes);
    for (unsigned section = 0; section < SECTION_COUNT; section++)
        print_section(out, results, (enum section)section);
    fprintf(out, "\n%-45s %11s %-6s %23s  %-8s %9s  %s\n", "goal", "measured", "", "least - greatest", "",
            "goal", "met");
    for (size_t i = 0; i < goals_count(); i++)
        print_goal(out, &outcomes[i]);
}
