/* SPDX-License-Identifier: Apache-2.0 */
/* varve-bench: Varve beside what the disk can do. */
#include "bench.h"
#include "codecs.h"

#include "varve/varve.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the runs need at once, with something to spare. */
#define SPACE_NEEDED_BYTES (UINT64_C(10) << 30)

enum exit_code {
    EXIT_FINE = 0,
    EXIT_GOAL_MISSED = 1,
    EXIT_USAGE = 2,
    EXIT_FAILED = 3
};

struct settings {
    struct bench bench;
    const char *parent; /* the directory is made in this one */
    unsigned sections;  /* bit set of enum section */
    int json;
    int check;
};

static const char usage_text[] =
    "usage: varve-bench [quick|full] [OPTION...]\n"
    "       varve-bench codecs [OPTION...] FILE...\n"
    "\n"
    "Measures Varve beside baselines of its own and says which goals are met.\n"
    "  quick           5 rounds of 0.5 s, at most two minutes\n"
    "  full            9 rounds of 2 s, some ten minutes (default)\n"
    "\n"
    "  --dir DIR       where the files go, on the disk to be measured; default: beside this program\n"
    "  --rounds N      1 to 15\n"
    "  --only SECTION  commit, stream, recover or memory; may be given again\n"
    "  --json          JSON in place of the table\n"
    "  --check         exit with 1 when a goal is missed\n"
    "  --help\n"
    "\n"
    "Needs 10 GiB of free space, all of which is given back.\n"
    "Exit codes: 0 measured, 1 --check and a goal was missed, 2 usage, 3 something failed\n";

static int usage_error(const char *what, const char *about)
{
    fprintf(stderr, "varve-bench: %s: %s\nTry 'varve-bench --help'.\n", what, about);
    return -1;
}

static int add_section(struct settings *settings, const char *name)
{
    for (unsigned section = 0; section < SECTION_COUNT; section++) {
        if (strcmp(plan_section_name((enum section)section), name) == 0) {
            settings->sections |= 1u << section;
            return 0;
        }
    }
    return usage_error("no such section", name);
}

static int set_rounds(struct settings *settings, const char *text)
{
    char *end;
    errno = 0;
    long rounds = strtol(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || rounds < 1 || rounds > BENCH_ROUNDS_MAX)
        return usage_error("not a number of rounds", text);
    settings->bench.rounds = (unsigned)rounds;
    return 0;
}

static int set_length(struct settings *settings, const char *name)
{
    struct bench *bench = &settings->bench;
    if (strcmp(name, "quick") == 0) {
        *bench = (struct bench){.rounds = 5, .warmup_s = 0.15, .measure_s = 0.5, .limit_s = 112};
        return 0;
    }
    if (strcmp(name, "full") == 0) {
        *bench = (struct bench){.rounds = 9, .warmup_s = 0.3, .measure_s = 2, .limit_s = 900};
        return 0;
    }
    return usage_error("no such command", name);
}

/* Returns 0, 1 when there is nothing more to do, or -1. */
static int parse(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},
        {"rounds", required_argument, NULL, 'r'},
        {"only", required_argument, NULL, 'o'},
        {"json", no_argument, NULL, 'j'},
        {"check", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *command = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
    if (set_length(settings, command != NULL ? command : "full") < 0)
        return -1;
    optind = command != NULL ? 2 : 1;
    int option, failed = 0;
    while (failed == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(usage_text, stdout) < 0 ? -1 : 1;
        else if (option == 'd')
            settings->parent = optarg;
        else if (option == 'r')
            failed = set_rounds(settings, optarg);
        else if (option == 'o')
            failed = add_section(settings, optarg);
        else if (option == 'j')
            settings->json = 1;
        else if (option == 'c')
            settings->check = 1;
        else
            failed = -1; /* getopt_long has said why */
    }
    if (failed == 0 && optind < argc)
        return usage_error("what is this", argv[optind]);
    if (settings->sections == 0)
        settings->sections = (1u << SECTION_COUNT) - 1;
    return failed;
}

/* [child] Returns an exit code, or -1 after bench_fail. */
static int measure(void *arg)
{
    struct settings *settings = arg;
    struct bench *bench = &settings->bench;
    struct result *results = calloc(plan_count(), sizeof *results);
    struct goal_outcome *outcomes = calloc(goals_count(), sizeof *outcomes);
    if (results == NULL || outcomes == NULL)
        return bench_fail(ENOMEM, "results");
    bench->sector_bytes = disk_direct_alignment(bench->dir);
    bench->progress = isatty(STDERR_FILENO);
    if (bench->sector_bytes == 0)
        return bench_fail(0, "%s: this file system has no direct I/O; give --dir another", bench->dir);
    if (plan_run(bench, settings->sections, results) < 0)
        return -1;
    goals_judge(results, outcomes);
    if (settings->json)
        json_print(stdout, bench, results, outcomes);
    else
        table_print(stdout, bench, results, outcomes);
    int code = EXIT_FINE;
    for (size_t i = 0; i < goals_count() && settings->check; i++) {
        if (outcomes[i].measured_at_all && !outcomes[i].met)
            code = EXIT_GOAL_MISSED;
    }
    free(results);
    free(outcomes);
    return fflush(stdout) == 0 ? code : bench_fail(errno, "standard output");
}

int main(int argc, char **argv)
{
    static struct settings settings;
    if (argc == 3 && strcmp(argv[1], "memory-child") == 0)
        return varve_bench_memory_child(argv[2]);
    if (argc > 1 && strcmp(argv[1], "codecs") == 0)
        return codecs_main(argc - 1, argv + 1);
    int parsed = parse(argc, argv, &settings);
    if (parsed != 0)
        return parsed < 0 ? EXIT_USAGE : EXIT_FINE;
    int code = shelter_run(&settings.bench, settings.parent, SPACE_NEEDED_BYTES, measure, &settings);
    return code < 0 ? EXIT_FAILED : code;
}
