/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve-bench: Varve beside what the disk can do. A child process measures and prints; this process makes the
 * directory and removes it when the child is gone, however it went.
 */
#include "bench.h"

#include "varve/varve.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
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

/* The directory of this program lies in the build tree, thus on a real disk where /tmp may be memory. */
static int program_dir(char ret_path[BENCH_PATH_BYTES])
{
    ssize_t length = readlink("/proc/self/exe", ret_path, BENCH_PATH_BYTES - 1);
    if (length <= 0 || length >= BENCH_PATH_BYTES - 1)
        return bench_fail(errno, "/proc/self/exe");
    ret_path[length] = '\0';
    *strrchr(ret_path, '/') = '\0';
    return 0;
}

static int make_dir(struct settings *settings)
{
    char parent[BENCH_PATH_BYTES], *dir = settings->bench.dir;
    struct statvfs space;
    if (settings->parent == NULL && program_dir(parent) < 0)
        return -1;
    const char *in = settings->parent != NULL ? settings->parent : parent;
    int length = snprintf(dir, BENCH_PATH_BYTES, "%s/varve-bench-XXXXXX", in);
    if (length < 0 || length > BENCH_PATH_BYTES - 64)
        return bench_fail(ENAMETOOLONG, "%s", in);
    if (disk_is_memory(in))
        return bench_fail(0, "%s is in memory: give --dir a directory on the disk to be measured", in);
    if (statvfs(in, &space) < 0)
        return bench_fail(errno, "%s", in);
    if (space.f_bavail * space.f_frsize < SPACE_NEEDED_BYTES)
        return bench_fail(0, "%s has less than 10 GiB free: give --dir a directory with more", in);
    if (mkdtemp(dir) == NULL)
        return bench_fail(errno, "%s", dir);
    return 0;
}

/* [child] Returns an exit code, or -1 after bench_fail. */
static int measure(struct settings *settings)
{
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

static void run_child(struct settings *settings)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int code = measure(settings);
    _exit(code < 0 ? EXIT_FAILED : code);
}

static int wait_for(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return bench_fail(errno, "waitpid");
    }
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return bench_fail(0, "the process that measures was ended by signal %d", WTERMSIG(status));
}

static volatile pid_t measuring; /* [const after fork] for the handler */

static void end_child(int number)
{
    (void)number;
    kill(measuring, SIGKILL);
}

/* A signal that would end us ends the child; we stay until its files are gone. */
static void outlive_signals(pid_t child)
{
    struct sigaction end = {.sa_handler = end_child};
    measuring = child;
    sigaction(SIGINT, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGHUP, &end, NULL);
}

int main(int argc, char **argv)
{
    static struct settings settings;
    if (argc == 3 && strcmp(argv[1], "memory-child") == 0)
        return varve_bench_memory_child(argv[2]);
    int parsed = parse(argc, argv, &settings);
    if (parsed != 0)
        return parsed < 0 ? EXIT_USAGE : EXIT_FINE;
    if (make_dir(&settings) < 0)
        return EXIT_FAILED;
    pid_t child = fork();
    if (child == 0)
        run_child(&settings);
    int code = -1;
    if (child < 0) {
        bench_fail(errno, "fork");
    } else {
        outlive_signals(child);
        code = wait_for(child);
    }
    if (disk_remove_tree(settings.bench.dir) < 0)
        code = -1;
    return code < 0 ? EXIT_FAILED : code;
}
