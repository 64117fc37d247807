/* SPDX-License-Identifier: Apache-2.0 */
/* What is measured, in which order, and the rounds. A baseline stands right before what is held against it.
 */
#include "bench.h"

#include <string.h>

static const struct measure measures[] = {
    {"a", "(a) write + fdatasync, growing file", "commits/s", SECTION_COMMIT, 1, baseline_growing},
    {"b", "(b) write + fdatasync, zero-written file", "commits/s", SECTION_COMMIT, 1, baseline_zeroed},
    {"c", "(c) O_DIRECT + RWF_DSYNC, depth 1", "commits/s", SECTION_COMMIT, 1, baseline_direct},
    {"group1", "varve group, 1 thread", "commits/s", SECTION_COMMIT, 1, varve_bench_group},
    {"strict1", "varve strict, 1 thread", "commits/s", SECTION_COMMIT, 1, varve_bench_strict},
    {"d1", "(d) textbook group commit, 1 thread", "commits/s", SECTION_COMMIT, 1, baseline_group},
    {"d8", "(d) textbook group commit, 8 threads", "commits/s", SECTION_COMMIT, 8, baseline_group},
    {"group8", "varve group, 8 threads", "commits/s", SECTION_COMMIT, 8, varve_bench_group},
    {"strict8", "varve strict, 8 threads", "commits/s", SECTION_COMMIT, 8, varve_bench_strict},
    {"d32", "(d) textbook group commit, 32 threads", "commits/s", SECTION_COMMIT, 32, baseline_group},
    {"group32", "varve group, 32 threads", "commits/s", SECTION_COMMIT, 32, varve_bench_group},
    {"d128", "(d) textbook group commit, 128 threads", "commits/s", SECTION_COMMIT, 128, baseline_group},
    {"group128", "varve group, 128 threads", "commits/s", SECTION_COMMIT, 128, varve_bench_group},
    {"e", "(e) copy + checksum, 64 KiB buffer", "appends/s", SECTION_STREAM, 1, baseline_copy},
    {"small", "varve buffered, 1 thread, 128 B", "appends/s", SECTION_STREAM, 1, varve_bench_small_appends},
    {"f", "(f) direct writing, blocks of 1 MiB", "MiB/s", SECTION_STREAM, 1, baseline_blocks},
    {"disk", "varve buffered, 2 threads, 1 KiB", "MiB/s", SECTION_STREAM, 2, varve_bench_to_disk},
    {"g", "(g) bare scan, 1,000,000 x 128 B, cached", "ms", SECTION_RECOVER, 1, baseline_scan_small},
    {"open", "varve open, the same", "ms", SECTION_RECOVER, 1, varve_bench_open_small},
    {"verify", "varve verify, the same", "ms", SECTION_RECOVER, 1, varve_bench_verify_small},
    {"g-large", "(g) bare scan, 512 x 1 MiB, cached", "GiB/s", SECTION_RECOVER, 1, baseline_scan_large},
    {"open-large", "varve open, the same", "GiB/s", SECTION_RECOVER, 1, varve_bench_open_large},
    {"verify-large", "varve verify, the same", "GiB/s", SECTION_RECOVER, 1, varve_bench_verify_large},
    {"memory", "varve, 10 million appends: memory + slots", "KiB", SECTION_MEMORY, 2, varve_bench_memory},
};

#define MEASURES (sizeof measures / sizeof measures[0])

/* By when a section is over, as a part of the whole time: a slow disk gives fewer rounds, never a longer
 * wait. */
static const double section_end[SECTION_COUNT] = {0.55, 0.80, 0.92, 1.0};

static const char *const section_names[SECTION_COUNT] = {"commit", "stream", "recover", "memory"};

const char *plan_section_name(enum section section)
{
    return section_names[section];
}

size_t plan_count(void)
{
    return MEASURES;
}

static int run_round(struct bench *bench, enum section section, unsigned round, struct result *results)
{
    for (size_t i = 0; i < MEASURES; i++) {
        if (measures[i].section != section)
            continue;
        if (bench->progress)
            fprintf(stderr, "\r\033[K%s: round %u of %u: %s", section_names[section], round + 1,
                    bench->rounds, measures[i].title);
        struct sample sample = {0};
        if (measures[i].run(bench, &measures[i], &sample) < 0)
            return bench_fail(0, "%s: failed", measures[i].title);
        results[i].samples[round] = sample;
        results[i].rounds = round + 1;
    }
    return 0;
}

/* Whether another round like those before still ends in time. */
static int time_for_another(uint64_t began_ns, unsigned rounds, uint64_t end_ns)
{
    uint64_t now = bench_now_ns();
    return now + (now - began_ns) / rounds <= end_ns;
}

int plan_run(struct bench *bench, unsigned sections, struct result *results)
{
    uint64_t began = bench_now_ns();
    int failed = 0;
    for (size_t i = 0; i < MEASURES; i++)
        results[i] = (struct result){.measure = &measures[i]};
    for (unsigned section = 0; section < SECTION_COUNT && !failed; section++) {
        uint64_t section_began = bench_now_ns();
        uint64_t end = began + (uint64_t)(bench->limit_s * section_end[section] * 1e9);
        unsigned rounds = section == SECTION_MEMORY ? 1 : bench->rounds;
        for (unsigned round = 0; (sections & 1u << section) != 0 && round < rounds && !failed; round++) {
            if (round == 0 || time_for_another(section_began, round, end))
                failed = run_round(bench, (enum section)section, round, results) < 0;
        }
    }
    if (bench->progress)
        fputs("\r\033[K", stderr);
    return failed ? -1 : 0;
}

const struct result *plan_find(const struct result *results, const char *key)
{
    for (size_t i = 0; i < MEASURES; i++) {
        if (strcmp(measures[i].key, key) == 0)
            return &results[i];
    }
    return NULL;
}
