/* SPDX-License-Identifier: Apache-2.0 */
/* The crash demonstration: README.md in this folder says what it does and what it must show. */
#include "demo.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage_text[] =
    "usage: crash_demo --input FILE --log DIR [OPTION...]\n"
    "\n"
    "Logs the lines of FILE into a new log in DIR, kills the writer again and again, and shows that\n"
    "nothing that was acknowledged is lost.\n"
    "\n"
    "  --threads N      writers, 1 to 64; default 4\n"
    "  --kills N        1 to 1000; default 24\n"
    "  --lines N        no more than the first N lines\n"
    "  --seed N         the same moments for the kills, as far as the machine repeats itself\n"
    "  --sabotage KIND  break something, to see that it is noticed: drop,\n"
    "                   duplicate, reorder, change or damage\n"
    "  --help\n"
    "\n"
    "Exit codes: 0 nothing was lost, 1 something was, 2 usage, 3 the demonstration could not be held\n";

static int usage_error(const char *what, const char *about)
{
    fprintf(stderr, "crash_demo: %s%s\nTry 'crash_demo --help'.\n", what, about);
    return -1;
}

static int parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < least || value > most)
        return usage_error("not a number that fits here: ", text);
    *ret_number = value;
    return 0;
}

/* Returns 0, 1 when there is nothing more to do, or -1. */
static int parse(int argc, char **argv, struct demo *demo, uint32_t *ret_lines_max)
{
    static const struct option options[] = {
        {"input", required_argument, NULL, 'i'},
        {"log", required_argument, NULL, 'l'},
        {"threads", required_argument, NULL, 't'},
        {"kills", required_argument, NULL, 'k'},
        {"lines", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 's'},
        {"sabotage", required_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    uint64_t threads = 4, kills = 24, lines_max = UINT32_MAX;
    int option, failed = 0;
    while (failed == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(usage_text, stdout) < 0 ? -1 : 1;
        else if (option == 'i')
            demo->input_path = optarg;
        else if (option == 'l')
            demo->log_path = optarg;
        else if (option == 't')
            failed = parse_number(optarg, 1, DEMO_THREADS_MAX, &threads);
        else if (option == 'k')
            failed = parse_number(optarg, 1, DEMO_KILLS_MAX, &kills);
        else if (option == 'n')
            failed = parse_number(optarg, 1, UINT32_MAX, &lines_max);
        else if (option == 's')
            failed = parse_number(optarg, 0, UINT64_MAX, &demo->seed);
        else if (option == 'x' && sabotage_parse(optarg, &demo->sabotage) < 0)
            failed = usage_error("no such sabotage: ", optarg);
        else if (option == '?')
            failed = -1; /* getopt_long has said why */
    }
    if (failed == 0 && (demo->input_path == NULL || demo->log_path == NULL || optind < argc))
        return usage_error("", "--input and --log are needed, and nothing else beside the options");
    demo->threads = (unsigned)threads;
    demo->kills = (unsigned)kills;
    *ret_lines_max = (uint32_t)lines_max;
    return failed;
}

/* Reads the finished log as any other process would, and prints the result. */
static int judge(const struct demo *demo, const struct course *course, uint64_t began_ns)
{
    static struct findings findings;
    struct varve_options options = {.size = sizeof options, .flags = VARVE_OPEN_READ_ONLY};
    struct varve_error error = {0};
    struct varve_log *log = NULL;
    int code = varve_open(demo->log_path, &options, &log, &error);
    if (code == VARVE_OK)
        code = verify_log(demo, log, &findings, &error);
    varve_close(log, NULL);
    if (code != VARVE_OK) {
        demo_complain("the log cannot be read: %s: %s", varve_error_name(code), error.message);
        return DEMO_LOST;
    }
    report_print(demo, course, &findings, (double)(demo_now_ns() - began_ns) / 1e9);
    if (findings.first[0] == '\0' && findings.records == demo->lines)
        return DEMO_FINE;
    if (findings.first[0] != '\0')
        demo_complain("%s", findings.first);
    else
        demo_complain("%llu lines are in the log of %u", (unsigned long long)findings.records, demo->lines);
    return DEMO_LOST;
}

static int hold(struct demo *demo)
{
    struct course course;
    uint64_t began = demo_now_ns();
    int code = lives_run(demo, &course);
    if (demo->progress)
        fputs("\r\033[K", stderr);
    if (code == DEMO_FINE)
        code = judge(demo, &course, began);
    else if (code == DEMO_LOST && demo->board->findings.first[0] != '\0')
        report_print(demo, &course, &demo->board->findings, (double)(demo_now_ns() - began) / 1e9);
    else
        printf("  killed %u times, --seed %llu\n", course.kills, (unsigned long long)demo->seed);
    if (demo->sabotage != SABOTAGE_NONE && !atomic_load(&demo->board->sabotaged)) {
        demo_complain("the sabotage '%s' did not come to pass", sabotage_name(demo->sabotage));
        code = DEMO_FAILED;
    }
    if (code == DEMO_LOST)
        printf("THE LOG IS NOT WHAT WAS ACKNOWLEDGED\n");
    return code;
}

int main(int argc, char **argv)
{
    static struct demo demo;
    uint32_t lines_max = 0;
    uint32_t chance = 0; /* 32 bits: short enough to be typed again */
    struct stat there;
    if (getrandom(&chance, sizeof chance, 0) == (ssize_t)sizeof chance)
        demo.seed = chance;
    int parsed = parse(argc, argv, &demo, &lines_max);
    if (parsed != 0)
        return parsed < 0 ? DEMO_USAGE : DEMO_FINE;
    if (lstat(demo.log_path, &there) == 0) {
        demo_complain("%s: exists; the demonstration wants a new log", demo.log_path);
        return DEMO_FAILED;
    }
    demo.progress = isatty(STDERR_FILENO);
    if (board_read_input(&demo, lines_max) < 0 || board_make(&demo) < 0)
        return DEMO_FAILED;
    return hold(&demo);
}
