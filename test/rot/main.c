/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve_rot: changes the bytes of logs that are at rest, and holds what is said of them against the truth.
 *
 * Without a scenario takes all of them in turn. Exits with 1 at the first change of which the engine says
 * something wrong, says which it is and how to have it again, and leaves its files in a directory.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rot/tally.h"

enum {
    CASE_SECONDS = 60,  /* a case takes a millisecond */
    KILLED_EACH = 3,    /* a killed log differs only in what vouches for its end: every third change of it */
    THOROUGH_EACH = 4,  /* of the cases, for how many everything is asked */
    GOING_ON_EACH = 16, /* and how many are gone on with */
    SCATTER = 7919      /* teeth are looked for in all kinds of change at once */
};

struct arguments {
    const struct rot_scenario *scenario;
    uint64_t seed, seconds;
    uint64_t cases;   /* of each log at most; 0 = as many as there are */
    const char *only; /* "closed-12": this one */
    const char *keep;
    enum rot_tooth tooth;
    bool teeth;
};

static void usage(void)
{
    fprintf(stderr, "usage: varve_rot [--scenario NAME] [--seed S] [--cases N] [--seconds N] [--keep DIR]\n"
                    "                 [--tooth NAME]\n"
                    "       varve_rot --scenario NAME --seed S --case closed-N|killed-N   one change again\n"
                    "       varve_rot --teeth 1 [--seed S]   shows that each of these bugs is found\n"
                    "scenarios:\n");
    for (unsigned i = 0; rot_scenario_at(i) != NULL; i++) {
        fprintf(stderr, "  %-16s %s\n", rot_scenario_at(i)->name, rot_scenario_at(i)->about);
    }
    fprintf(stderr, "teeth:");
    for (int i = ROT_TOOTH_NONE + 1; i < ROT_TOOTH_COUNT; i++) {
        fprintf(stderr, " %s", rot_tooth_name((enum rot_tooth)i));
    }
    fprintf(stderr, "\n");
}

static bool parse_number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 0);
    return errno == 0 && end != text && *end == '\0';
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        uint64_t number = 0;
        bool is_number = parse_number(value, &number);
        if (strcmp(argv[i], "--scenario") == 0) {
            a->scenario = rot_scenario_find(value);
            if (a->scenario == NULL) {
                return false;
            }
        } else if (strcmp(argv[i], "--tooth") == 0) {
            a->tooth = rot_tooth_find(value);
            if (a->tooth == ROT_TOOTH_NONE) {
                return false;
            }
        } else if (strcmp(argv[i], "--case") == 0) {
            a->only = value;
        } else if (strcmp(argv[i], "--keep") == 0) {
            a->keep = value;
        } else if (!is_number) {
            return false;
        } else if (strcmp(argv[i], "--cases") == 0) {
            a->cases = number;
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
    return a->only == NULL || a->scenario != NULL;
}

/* -- what is being looked at, for who comes by when it goes wrong -- */

static char at_now[256];

static void say_where(int sig)
{
    (void)!write(STDERR_FILENO, at_now, strlen(at_now));
    /* The handler was for once only. */
    (void)raise(sig);
}

static void say_where_on_signals(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction action = {.sa_handler = say_where, .sa_flags = (int)SA_RESETHAND};
        (void)sigaction(signals[i], &action, NULL);
    }
}

static void note_where(const struct rot_log *log, uint64_t number)
{
    (void)snprintf(at_now, sizeof at_now,
                   "\nit was at: varve_rot --scenario %s --seed %" PRIu64 " --case %s-%" PRIu64 "\n",
                   log->scenario, log->seed, log->closed ? "closed" : "killed", number);
    (void)alarm(CASE_SECONDS);
}

/* -- cases -- */

/* A log and what changes it. */
struct field {
    const struct rot_scenario *scenario;
    struct rot_log log, other;
    uint64_t count;
    enum rot_tooth tooth;
    struct rot_tally tally;
    struct rot_case c;
    struct rot_truth truth;
    struct rot_check check;
};

static void field_init(struct field *f, const struct rot_scenario *scenario, uint64_t seed, bool closed,
                       enum rot_tooth tooth)
{
    struct rot_log again;
    memset(&f->tally, 0, sizeof f->tally);
    f->scenario = scenario;
    f->tooth = tooth;
    (void)alarm(CASE_SECONDS);
    rot_log_make(&f->log, scenario, seed, closed);
    rot_log_make(&f->other, scenario, seed + 1, closed);
    f->count = rot_case_count(&f->log, scenario);
    /* Else no case could be had again. */
    rot_log_make(&again, scenario, seed, closed);
    rot_must(rot_log_sum(&again) == rot_log_sum(&f->log));
    rot_log_free(&again);
}

static void field_close(struct field *f)
{
    rot_log_free(&f->log);
    rot_log_free(&f->other);
}

/* false: the engine says something wrong. c stays for who wants to look at it. */
static bool look_at(struct field *f, uint64_t number, bool everything)
{
    note_where(&f->log, number);
    rot_case_init(&f->c, f->scenario, &f->log, &f->other, number);
    rot_truth_find(&f->c, &f->truth);
    rot_tooth_case(f->tooth, &f->c);
    if (!rot_check(&f->check, &f->c, &f->truth, f->tooth, everything || number % THOROUGH_EACH == 0)) {
        return false;
    }
    if (everything || (number % GOING_ON_EACH == 0 && f->tooth == ROT_TOOTH_NONE)) {
        if (!rot_check_going_on(&f->check)) {
            return false;
        }
        f->tally.went_on++;
    }
    f->tally.count[f->c.kind][f->check.outcome]++;
    f->tally.cases++;
    return true;
}

static void report(const struct field *f, const char *keep)
{
    const char *how = f->log.closed ? "closed" : "killed";
    char path[512];
    fprintf(stderr, "%s, %s: %s: %s\n    %s\n", f->scenario->name, how, rot_kind_name(f->c.kind), f->c.what,
            f->check.message);
    (void)mkdir(keep, 0700);
    (void)snprintf(path, sizeof path, "%s/%s-%s-%" PRIu64, keep, f->scenario->name, how, f->c.number);
    fprintf(stderr, "once more: varve_rot --scenario %s --seed %" PRIu64 " --case %s-%" PRIu64 "%s%s\n",
            f->scenario->name, f->log.seed, how, f->c.number, f->tooth != ROT_TOOTH_NONE ? " --tooth " : "",
            f->tooth != ROT_TOOTH_NONE ? rot_tooth_name(f->tooth) : "");
    if (crash_fs_dump(&f->c.fs, path) == 0) {
        fprintf(stderr, "its files: %s/log\n", path);
    }
}

/* Every change, or as many as are asked for, evenly. */
static bool look_at_all(struct field *f, const struct arguments *a)
{
    uint64_t most = f->log.closed ? f->count : f->count / KILLED_EACH;
    uint64_t cases = a->cases != 0 && a->cases < most ? a->cases : most;
    for (uint64_t i = 0; i < cases; i++) {
        /* From another one on with each seed. */
        uint64_t number = (i * f->count / cases + f->log.seed) % f->count;
        if (!look_at(f, number, false)) {
            report(f, a->keep);
            rot_case_free(&f->c);
            return false;
        }
        rot_case_free(&f->c);
    }
    return true;
}

static bool run_scenario(struct field *f, const struct rot_scenario *scenario, uint64_t seed,
                         const struct arguments *a, struct rot_tally *total)
{
    bool good = true;
    for (int closed = 1; good && closed >= 0; closed--) {
        clock_t start = clock();
        field_init(f, scenario, seed, closed != 0, a->tooth);
        good = look_at_all(f, a);
        if (good) {
            printf("%-10s %s: %7" PRIu64 " cases of %7" PRIu64 ", %5.1f s\n", scenario->name,
                   closed ? "closed" : "killed", f->tally.cases, f->count,
                   (double)(clock() - start) / CLOCKS_PER_SEC);
            (void)fflush(stdout);
        }
        rot_tally_add(total, &f->tally);
        field_close(f);
    }
    return good;
}

static bool run_all(struct field *f, const struct arguments *a)
{
    struct rot_tally total = {.cases = 0};
    time_t end = time(NULL) + (time_t)a->seconds;
    uint64_t seed = a->seed;
    bool good = true;
    do {
        for (unsigned i = 0; good && rot_scenario_at(i) != NULL; i++) {
            const struct rot_scenario *scenario = rot_scenario_at(i);
            if (a->scenario == NULL || a->scenario == scenario) {
                good = run_scenario(f, scenario, seed, a, &total);
            }
            if (a->seconds != 0 && time(NULL) >= end) {
                break;
            }
        }
        seed = test_rng_mix(seed);
    } while (good && time(NULL) < end);
    rot_tally_print(&total);
    printf("%" PRIu64 " cases, %s\n", total.cases, good ? "nothing wrong" : "the last one wrong");
    return good;
}

/* One change once more, and everything that can be asked of it. */
static bool run_one(struct field *f, const struct arguments *a)
{
    bool closed = strncmp(a->only, "closed-", 7) == 0;
    uint64_t number;
    if ((!closed && strncmp(a->only, "killed-", 7) != 0) || !parse_number(a->only + 7, &number)) {
        usage();
        return false;
    }
    field_init(f, a->scenario, a->seed, closed, a->tooth);
    bool there = number < f->count, good = there && look_at(f, number, true);
    if (good) {
        printf("%s: %s: %s\n", rot_kind_name(f->c.kind), f->c.what, rot_outcome_name(f->check.outcome));
    } else if (there) {
        report(f, a->keep);
    } else {
        fprintf(stderr, "there are %" PRIu64 " cases\n", f->count);
    }
    if (there) {
        rot_case_free(&f->c);
    }
    field_close(f);
    return good;
}

/* Every bug must be found. */
static bool show_teeth(struct field *f, const struct arguments *a)
{
    bool all = true;
    for (int kind = ROT_TOOTH_NONE + 1; kind < ROT_TOOTH_COUNT; kind++) {
        enum rot_tooth tooth = (enum rot_tooth)kind;
        const char *scenario = rot_tooth_scenario(tooth);
        bool found = false;
        field_init(f, rot_scenario_find(scenario), a->seed, rot_tooth_closed(tooth), tooth);
        for (uint64_t i = 0; !found && i < f->count; i++) {
            found = !look_at(f, i * SCATTER % f->count, false);
            rot_case_free(&f->c);
        }
        printf("%-18s in %-10s %s after %6" PRIu64 " cases: %s\n", rot_tooth_name(tooth), scenario,
               found ? "found" : "NOT FOUND", f->tally.cases, found ? f->check.message : "");
        (void)fflush(stdout);
        all = all && found;
        field_close(f);
    }
    return all;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.keep = "rot-state"};
    if (!parse(argc, argv, &arguments)) {
        usage();
        return 2;
    }
    /* Buffers come and go with every opening: the memory is kept, not handed back each time. */
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
    say_where_on_signals();
    if (arguments.seed == 0) {
        arguments.seed = test_rng_seed();
    }
    struct field *field = crash_need(sizeof *field);
    bool good;
    if (arguments.only != NULL) {
        good = run_one(field, &arguments);
    } else if (arguments.teeth) {
        good = show_teeth(field, &arguments);
    } else {
        good = run_all(field, &arguments);
    }
    free(field);
    return good ? 0 : 1;
}
