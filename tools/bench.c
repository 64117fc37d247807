/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve bench: what a durable write costs on a disk, what group commit makes of it, and which settings suit
 * it. Everything happens in a directory of its own in DIR, which is removed, also after a signal.
 */
#include "bench.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "commands.h"
#include "say.h"
#include "term.h"

#define KEY_JSON (CLI_LONG + 0)
#define KEY_TIME (CLI_LONG + 1)

#define BENCH_TIME_S      16
#define BENCH_SPACE_BYTES ((uint64_t)2 << 30)
#define BENCH_AHEAD       1.05 /* how much better than the default a setting must be to be recommended */

static const struct cli_option bench_options[] = {
    {KEY_TIME, "time", "SECONDS", "how long it may measure, 2 to 600; default 16"},
    {KEY_JSON, "json", NULL, "one JSON object"},
    CLI_OPTIONS_END,
};

static volatile sig_atomic_t bench_signal; /* 0 = none came */

bool bench_stopped(void)
{
    return bench_signal != 0;
}

static void bench_note_signal(int number)
{
    bench_signal = number;
}

static void bench_catch(void)
{
    struct sigaction action = {.sa_handler = bench_note_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

/* Where the work is at. */
struct bench_work {
    char dir[PATH_MAX];     /* ours */
    char log[PATH_MAX + 8]; /* in it: the log at hand, by number */
    double unit_s;          /* the time of one measurement */
    struct term_progress progress;
    uint64_t done, steps;
    struct bench_result *result;
};

/* The log with that number, which is not there at first. */
static const char *bench_log(struct bench_work *work, size_t number)
{
    snprintf(work->log, sizeof work->log, "%s/log%zu", work->dir, number % 10);
    return work->log;
}

static int bench_remove_logs(struct bench_work *work, size_t count)
{
    int rc = EXIT_FINE;

    for (size_t i = 0; i < count && rc == EXIT_FINE; i++)
        rc = bench_disk_remove(bench_log(work, i));
    return rc;
}

/* 4 syncs, 4 numbers of threads, and the settings: 2, 2, 3 and 3 values, each in rounds of a third of a unit.
 */
#define BENCH_UNITS 18

/* After each measurement: what its exit code makes of the whole. */
static int bench_step(struct bench_work *work, int rc)
{
    term_progress(&work->progress, ++work->done, work->steps);
    return rc == EXIT_FINE && bench_stopped() ? EXIT_FAILED : rc;
}

static bool bench_has_sync(enum bench_sync way, unsigned sector_bytes)
{
    if (way == BENCH_SYNC_SECTOR)
        return sector_bytes > 0;
    if (way == BENCH_SYNC_PAGE)
        return sector_bytes > 0 && sector_bytes < 4096;
    return true;
}

static int bench_syncs(struct bench_work *work)
{
    unsigned sector = work->result->sector_bytes;
    int rc = EXIT_FINE;

    for (int way = 0; way < BENCH_SYNC_COUNT && rc == EXIT_FINE; way++) {
        if (bench_has_sync((enum bench_sync)way, sector))
            rc = bench_disk_sync(work->dir, (enum bench_sync)way, sector, work->unit_s,
                                 &work->result->syncs[way]);
        rc = bench_step(work, rc);
    }
    return rc;
}

static int bench_commits(struct bench_work *work)
{
    static const unsigned threads[] = {1, 8, 32, BENCH_THREADS_MAX};
    struct varve_options options = {.size = sizeof options};
    int rc = EXIT_FINE;

    for (size_t i = 0; i < sizeof threads / sizeof threads[0] && rc == EXIT_FINE; i++) {
        work->result->threads[i] = threads[i];
        rc = bench_log_commits(bench_log(work, 0), &options, threads[i], work->unit_s,
                               &work->result->commits[i]);
        rc = bench_step(work, rc);
    }
    return rc ? rc : bench_remove_logs(work, 1);
}

static void bench_set(struct varve_options *options, enum bench_choice choice, uint64_t value)
{
    switch (choice) {
    case BENCH_BACKEND:
        options->backend = (enum varve_backend)value;
        break;
    case BENCH_SECTOR:
        options->sector_bytes = (uint32_t)value;
        break;
    case BENCH_WRITES:
        options->writes_in_flight = (uint32_t)value;
        break;
    case BENCH_SLOT:
    case BENCH_CHOICES: /* only counts them */
        options->slot_bytes = (uint32_t)value;
        break;
    }
}

/* One round of one value. A frame's size shows in a stream, the rest in commits. */
static int bench_try(struct bench_work *work, enum bench_choice choice, size_t index, double *ret_figure)
{
    static const unsigned threads[] = {[BENCH_BACKEND] = 8, [BENCH_SECTOR] = 1, [BENCH_WRITES] = 32};
    struct varve_options options = {.size = sizeof options};
    struct bench_figure figure = {0};
    double seconds = work->unit_s / BENCH_ROUNDS;
    int rc;

    bench_set(&options, choice, work->result->settings[choice].values[index]);
    if (choice == BENCH_SLOT)
        return bench_log_stream(bench_log(work, index), &options, seconds, ret_figure);
    rc = bench_log_commits(bench_log(work, index), &options, threads[choice], seconds, &figure);
    *ret_figure = figure.per_s;
    return rc;
}

static int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The default stays unless another value is better by BENCH_AHEAD, and better in every round. */
static void bench_choose(struct bench_setting *setting, double rounds[BENCH_TRIES][BENCH_ROUNDS])
{
    for (size_t i = 0; i < setting->count; i++) {
        setting->least[i] = 1;
        for (size_t round = 0; round < BENCH_ROUNDS; round++) {
            double beside = rounds[0][round] > 0 ? rounds[i][round] / rounds[0][round] : 1;

            if (round == 0 || beside < setting->least[i])
                setting->least[i] = beside;
        }
    }
    for (size_t i = 0; i < setting->count; i++) {
        qsort(rounds[i], BENCH_ROUNDS, sizeof rounds[i][0], bench_compare);
        setting->figures[i] = rounds[i][BENCH_ROUNDS / 2];
    }
    for (size_t i = 1; i < setting->count; i++) {
        if (setting->least[i] > 1 && setting->figures[i] > BENCH_AHEAD * setting->figures[0] &&
            setting->figures[i] > setting->figures[setting->best])
            setting->best = i;
    }
}

static int bench_setting_try(struct bench_work *work, enum bench_choice choice)
{
    struct bench_setting *setting = &work->result->settings[choice];
    double rounds[BENCH_TRIES][BENCH_ROUNDS] = {{0}};

    for (size_t round = 0; round < BENCH_ROUNDS; round++) {
        for (size_t i = 0; i < setting->count; i++) {
            int rc = bench_step(work, bench_try(work, choice, i, &rounds[i][round]));

            if (rc)
                return rc;
        }
    }
    bench_choose(setting, rounds);
    return bench_remove_logs(work, setting->count);
}

static void bench_offer(struct bench_setting *setting, const uint64_t values[BENCH_TRIES], size_t count)
{
    setting->count = count;
    memcpy(setting->values, values, BENCH_TRIES * sizeof values[0]);
}

/* What there is to choose from; the defaults are asked of a log that is opened with them. */
static int bench_settings_plan(struct bench_work *work)
{
    static const struct bench_setting names[BENCH_CHOICES] = {
        [BENCH_BACKEND] = {.name = "backend", .work = "commits, 8 threads", .unit = "/s"},
        [BENCH_SECTOR] = {.name = "sector_bytes", .work = "commits, 1 thread", .unit = "/s"},
        [BENCH_WRITES] = {.name = "writes_in_flight", .work = "commits, 32 threads", .unit = "/s"},
        [BENCH_SLOT] = {.name = "slot_bytes", .work = "stream in mode buffered", .unit = "MiB/s"},
    };
    struct bench_setting *settings = work->result->settings;
    struct varve_options options = {.size = sizeof options};
    struct varve_stats stats = {.size = sizeof stats};
    struct varve_error error;
    struct varve_log *log;

    if (varve_open(bench_log(work, 0), &options, &log, &error))
        return say_library(work->log, &error);
    varve_stats_get(log, &stats);
    if (varve_close(log, &error))
        return say_library(work->log, &error);
    memcpy(settings, names, sizeof names);
    bench_offer(&settings[BENCH_BACKEND], (uint64_t[]){stats.backend, VARVE_BACKEND_BUFFERED, 0},
                stats.backend == VARVE_BACKEND_DIRECT ? 2 : 1);
    bench_offer(&settings[BENCH_SECTOR], (uint64_t[]){stats.sector_bytes, 4096, 0},
                stats.sector_bytes < 4096 ? 2 : 1);
    bench_offer(&settings[BENCH_WRITES],
                (uint64_t[]){stats.writes_in_flight, stats.writes_in_flight == 2 ? 1 : 2, 4}, 3);
    bench_offer(&settings[BENCH_SLOT],
                (uint64_t[]){stats.slot_bytes, stats.slot_bytes / 4, stats.slot_bytes * 2}, 3);
    return bench_remove_logs(work, 1);
}

static int bench_measure(struct bench_work *work)
{
    uint64_t began = bench_now_ns();
    int rc;

    work->result->memory = bench_disk_is_memory(work->dir);
    work->result->sector_bytes = bench_disk_sector(work->dir);
    rc = bench_settings_plan(work);
    if (rc == EXIT_FINE)
        rc = bench_syncs(work);
    if (rc == EXIT_FINE)
        rc = bench_commits(work);
    for (int choice = 0; choice < BENCH_CHOICES && rc == EXIT_FINE; choice++)
        rc = bench_setting_try(work, (enum bench_choice)choice);
    work->result->seconds = (double)(bench_now_ns() - began) / 1e9;
    return rc;
}

static int bench_make_dir(struct bench_work *work, const char *in)
{
    struct statvfs space;
    int used = snprintf(work->dir, sizeof work->dir, "%s/varve-bench-XXXXXX", in);

    if (used < 0 || (size_t)used >= sizeof work->dir)
        return say_system(in, ENAMETOOLONG);
    if (statvfs(in, &space) < 0)
        return say_system(in, errno);
    if ((uint64_t)space.f_bavail * space.f_frsize < BENCH_SPACE_BYTES) {
        say("%s: less than 2 GiB free", in);
        say_to_do("make space, or measure another directory on that disk");
        return EXIT_FAILED;
    }
    if (!mkdtemp(work->dir))
        return say_system(in, errno);
    return EXIT_FINE;
}

static int bench_in(const char *path, uint64_t time_s, struct bench_result *ret_result)
{
    static struct bench_work work; /* large */
    int rc, removed;

    work.result = ret_result;
    work.unit_s = (double)time_s / BENCH_UNITS;
    work.progress.what = "measuring";
    work.steps = BENCH_SYNC_COUNT + 4 + BENCH_ROUNDS * (2 + 2 + 3 + 3);
    rc = bench_make_dir(&work, path);
    if (rc)
        return rc;
    bench_catch();
    rc = bench_measure(&work);
    term_progress_clear();
    removed = bench_disk_remove(work.dir);
    if (bench_signal) { /* as it would have ended without us, now that its files are gone */
        struct sigaction action = {.sa_handler = SIG_DFL};

        sigaction(bench_signal, &action, NULL);
        raise(bench_signal);
    }
    return rc ? rc : removed;
}

static int bench_run(const struct cli_command *command, int argc, char **argv)
{
    struct bench_result result = {0};
    uint64_t time_s = BENCH_TIME_S;
    bool json = false;
    struct cli cli;
    struct out out;
    int key, rc;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (key == KEY_TIME)
            time_s = cli_number(&cli, 2, 600);
        json |= key == KEY_JSON;
    }
    if (!cli_operands(&cli, 1, 1))
        return cli.exit_code;
    result.path = cli.operands[0];
    rc = bench_in(cli.operands[0], time_s, &result);
    if (rc)
        return rc;
    if (!out_open(&out))
        return EXIT_FAILED;
    if (json)
        bench_json(&out, &result);
    else
        bench_text(&out, &result);
    return out_close(&out);
}

const struct cli_command command_bench = {
    .name = "bench",
    .operands = "DIR",
    .summary = "what a disk can do, and which settings suit it",
    .details = "Measures the disk that the directory DIR lies on: what one durable write costs, what\n"
               "group commit makes of it, and which settings of a log suit it. Takes half a minute\n"
               "and 2 GiB at most, in a directory of its own in DIR, which it removes.",
    .options = bench_options,
    .run = bench_run,
};
