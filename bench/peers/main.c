/* SPDX-License-Identifier: Apache-2.0 */
/* varve-bench-peers: Varve beside other engines and the bare machine. Results are lines of JSON; bench/report
 * makes tables, plots and pages of them. */
#include "peers.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum exit_code {
    EXIT_FINE = 0,
    EXIT_PEER_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_FAILED = 3
};

struct settings {
    struct comparison comparison;
    const char *parent;
    uint64_t space_bytes;
};

#define ALL_SECTIONS ((1u << COMPARE_COUNT) - 1)

static const struct profile profiles[] = {
    {
        .name = "standard",
        .rounds = 5,
        .warmup_s = 0.1,
        .commit_s = 0.35,
        .inflight_s = 0.25,
        .stream_s = 0.3,
        .cost_s = 0.5,
        .commit_threads = {1, 2, 8, 32, 128},
        .commit_bytes = {128, 1024},
        .windows = {64, 256, 1024, 4096},
        .stream_threads = {1, 2, 8},
        .stream_bytes = {128, 1024, 16384},
        .cost_threads = {1, 32},
        .recover_records = 1000000,
        .scaling_rounds = 3,
        .scaling_segments = {1, 10, 100, 1000, 10000},
        .scaling_threads = {1, 4, 16, 64, 256, 1000},
        .scaling_bytes = {16, 64, 256, 1u << 10, 4u << 10, 16u << 10, 64u << 10, 256u << 10, 1u << 20,
                          4u << 20, 16u << 20, 64u << 20},
        .sections = ALL_SECTIONS & ~(1u << COMPARE_SCALING),
    },
    {
        .name = "full",
        .rounds = 9,
        .warmup_s = 0.2,
        .commit_s = 1.2,
        .inflight_s = 1,
        .stream_s = 0.8,
        .cost_s = 1,
        .commit_threads = {1, 2, 8, 32, 128},
        .commit_bytes = {128, 1024},
        .windows = {64, 256, 1024, 4096},
        .stream_threads = {1, 2, 8},
        .stream_bytes = {128, 1024, 16384},
        .cost_threads = {1, 32},
        .recover_records = 1000000,
        .scaling_rounds = 3,
        .scaling_segments = {1, 10, 100, 1000, 10000},
        .scaling_threads = {1, 4, 16, 64, 256, 1000},
        .scaling_bytes = {16, 64, 256, 1u << 10, 4u << 10, 16u << 10, 64u << 10, 256u << 10, 1u << 20,
                          4u << 20, 16u << 20, 64u << 20},
        .sections = ALL_SECTIONS,
    },
    {
        .name = "smoke",
        .rounds = 1,
        .warmup_s = 0.005,
        .commit_s = 0.02,
        .inflight_s = 0.02,
        .stream_s = 0.02,
        .cost_s = 0.05,
        .commit_threads = {1, 4},
        .commit_bytes = {128},
        .windows = {64},
        .stream_threads = {1},
        .stream_bytes = {128},
        .cost_threads = {1},
        .recover_records = 5000,
        .scaling_rounds = 1,
        .scaling_segments = {1, 4},
        .scaling_threads = {1, 8},
        .scaling_bytes = {16, 64u << 10},
        .sections = ALL_SECTIONS,
        .brief = 1,
    },
};

#define SPACE_BYTES       (UINT64_C(24) << 30)
#define SPACE_BYTES_SMOKE (UINT64_C(4) << 30)

static const char usage_text[] =
    "usage: varve-bench-peers [standard|full|smoke] [OPTION...]\n"
    "\n"
    "Measures Varve beside other engines and the bare machine, and writes lines of JSON.\n"
    "  standard          5 rounds, some 15 minutes (default)\n"
    "  full              9 longer rounds, and how costs grow with sizes; up to an hour\n"
    "  smoke             seconds: shows that everything works, not how fast\n"
    "\n"
    "  --dir DIR         where the files go, on the disk to be measured; default: beside this program\n"
    "  --rounds N        1 to 15\n"
    "  --only SECTION    commit, inflight, stream, recover, cost or scaling;\n"
    "                    may be given again\n"
    "  --threads N       of commit: this number of threads only; may be given again\n"
    "  --bytes N         of commit and stream: this payload only\n"
    "  --peer NAME       this peer only; may be given again\n"
    "  --list            name the peers that are there, and what is missing for the others\n"
    "  --help\n"
    "\n"
    "Needs 24 GiB of free space, all of which is given back (smoke: 4 GiB).\n"
    "Exit codes: 0 measured, 1 a peer failed and was left out, 2 usage, 3 something else failed\n";

static int usage_error(const char *what, const char *about)
{
    fprintf(stderr, "varve-bench-peers: %s: %s\nTry 'varve-bench-peers --help'.\n", what, about);
    return -1;
}

static int add_section(struct comparison *comparison, const char *name)
{
    for (unsigned section = 0; section < COMPARE_COUNT; section++) {
        if (strcmp(compare_section_name((enum compare_section)section), name) == 0) {
            comparison->sections |= 1u << section;
            return 0;
        }
    }
    return usage_error("no such section", name);
}

static int add_peer(struct comparison *comparison, const char *name)
{
    size_t most = sizeof comparison->only_peers / sizeof comparison->only_peers[0];
    if (comparison->only_peers_count == most)
        return usage_error("too many peers", name);
    for (size_t i = 0; i < registry_count(); i++) {
        if (strcmp(registry_get(i).name, name) == 0) {
            comparison->only_peers[comparison->only_peers_count++] = name;
            return 0;
        }
    }
    return usage_error("no such peer", name);
}

static int read_number(const char *text, unsigned most, unsigned *ret_number)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || number < 1 || number > (long)most)
        return usage_error("not a number that fits", text);
    *ret_number = (unsigned)number;
    return 0;
}

static int add_step(unsigned steps[COMPARE_STEPS_MAX], int *fresh, const char *text, unsigned most)
{
    unsigned number = 0, used = 0;
    if (read_number(text, most, &number) < 0)
        return -1;
    if (!*fresh)
        memset(steps, 0, COMPARE_STEPS_MAX * sizeof steps[0]);
    *fresh = 1;
    while (used < COMPARE_STEPS_MAX - 1 && steps[used] != 0)
        used++;
    if (used == COMPARE_STEPS_MAX - 1)
        return usage_error("too many of them", text);
    steps[used] = number;
    return 0;
}

static int set_profile(struct settings *settings, const char *name)
{
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (strcmp(profiles[i].name, name) == 0) {
            settings->comparison.profile = profiles[i];
            settings->space_bytes = strcmp(name, "smoke") == 0 ? SPACE_BYTES_SMOKE : SPACE_BYTES;
            return 0;
        }
    }
    return usage_error("no such command", name);
}

static int list(void)
{
    for (size_t i = 0; i < registry_count(); i++) {
        struct peer_entry entry = registry_get(i);
        char version[PEER_VERSION_BYTES] = "";
        if (entry.peer == NULL) {
            printf("%-14s missing: %s\n", entry.name, entry.package);
            continue;
        }
        if (entry.peer->version != NULL)
            entry.peer->version(version);
        printf("%-14s %s %s\n", entry.name, entry.peer->title, version);
    }
    return fflush(stdout) == 0 ? 1 : bench_fail(errno, "standard output");
}

static int set_option(struct settings *settings, int option, const char *value)
{
    static int fresh_threads, fresh_bytes;
    struct profile *profile = &settings->comparison.profile;
    switch (option) {
    case 'h':
        return fputs(usage_text, stdout) < 0 ? -1 : 1;
    case 'l':
        return list();
    case 'd':
        settings->parent = value;
        return 0;
    case 'r':
        if (read_number(value, BENCH_ROUNDS_MAX, &profile->rounds) < 0)
            return -1;
        profile->scaling_rounds = profile->rounds;
        return 0;
    case 'o':
        return add_section(&settings->comparison, value);
    case 'p':
        return add_peer(&settings->comparison, value);
    case 't':
        return add_step(profile->commit_threads, &fresh_threads, value, PEER_THREADS_MAX);
    case 'b':
        if (add_step(profile->commit_bytes, &fresh_bytes, value, 1u << 16) < 0)
            return -1;
        memcpy(profile->stream_bytes, profile->commit_bytes, sizeof profile->stream_bytes);
        return 0;
    default:
        return -1; /* getopt_long has said why */
    }
}

/* Returns 0, 1 when there is nothing more to do, or -1. */
static int parse(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},
        {"rounds", required_argument, NULL, 'r'},
        {"only", required_argument, NULL, 'o'},
        {"peer", required_argument, NULL, 'p'},
        {"threads", required_argument, NULL, 't'},
        {"bytes", required_argument, NULL, 'b'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *command = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
    if (set_profile(settings, command != NULL ? command : "standard") < 0)
        return -1;
    optind = command != NULL ? 2 : 1;
    int option, done = 0;
    while (done == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1)
        done = set_option(settings, option, optarg);
    if (done == 0 && optind < argc)
        return usage_error("what is this", argv[optind]);
    if (settings->comparison.sections == 0)
        settings->comparison.sections = settings->comparison.profile.sections;
    return done;
}

/* [child] Returns an exit code, or -1 after bench_fail. */
static int measure(void *arg)
{
    struct settings *settings = arg;
    struct bench *bench = &settings->comparison.bench;
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* for session_kill */
    bench->sector_bytes = disk_direct_alignment(bench->dir);
    bench->progress = isatty(STDERR_FILENO);
    if (bench->sector_bytes == 0)
        return bench_fail(0, "%s: this file system has no direct I/O; give --dir another", bench->dir);
    if (compare_run(&settings->comparison) < 0)
        return -1;
    return settings->comparison.failures > 0 ? EXIT_PEER_FAILED : EXIT_FINE;
}

int main(int argc, char **argv)
{
    static struct settings settings;
    int parsed = parse(argc, argv, &settings);
    if (parsed != 0)
        return parsed < 0 ? EXIT_USAGE : EXIT_FINE;
    int code =
        shelter_run(&settings.comparison.bench, settings.parent, settings.space_bytes, measure, &settings);
    return code < 0 ? EXIT_FAILED : code;
}
