/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "out.h"
#include "say.h"

struct watch_state {
    char *text;
    struct varve_metrics_export facts;
};

double watch_value(const char *text, const char *name)
{
    size_t chars = strlen(name);

    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (strncmp(line, name, chars) == 0 && line[chars] == ' ')
            return strtod(line + chars, NULL);
    return 0;
}

static double watch_grown(const struct watch_state *now, const struct watch_state *before, const char *name)
{
    return watch_value(now->text, name) - watch_value(before->text, name);
}

static double watch_rate(double grown, double per)
{
    return per > 0 ? grown / per : 0;
}

/* The bound under which 99 of 100 flushes since `before` stayed, in seconds; 0 without a flush. */
static double watch_p99(const struct watch_state *now, const struct watch_state *before)
{
    static const char prefix[] = "wal_flush_duration_seconds_bucket{le=\"";
    double count = watch_grown(now, before, "wal_flush_duration_seconds_count");

    for (const char *line = strstr(now->text, prefix); line; line = strstr(line + 1, prefix)) {
        char name[96];
        size_t chars = strcspn(line, " ");

        if (chars >= sizeof name)
            break;
        memcpy(name, line, chars);
        name[chars] = '\0';
        if (count > 0 && watch_grown(now, before, name) >= count * 0.99)
            return strtod(line + strlen(prefix), NULL);
    }
    return 0;
}

static void watch_head(struct out *out)
{
    out_print(out, "%10s %9s %8s %7s %9s %9s %6s %8s %5s %6s  %s\n", "records/s", "MiB/s", "frames/s",
              "rec/frm", "flush", "p99 below", "queue", "lag", "segs", "errors", "durable LSN");
}

static void watch_line(struct out *out, const struct watch_state *now, const struct watch_state *before)
{
    double seconds = (double)(now->facts.updated_us - before->facts.updated_us) / 1e6, errors = 0;
    double records = watch_grown(now, before, "wal_appends_total");
    double frames = watch_grown(now, before, "wal_frames_total");
    double flushes = watch_grown(now, before, "wal_flush_duration_seconds_count");
    double flush = watch_rate(watch_grown(now, before, "wal_flush_duration_seconds_sum"), flushes);

    for (const char *at = strstr(now->text, "\nwal_errors_total{"); at;
         at = strstr(at + 1, "\nwal_errors_total{"))
        errors += strtod(at + 1 + strcspn(at + 1, " "), NULL);
    out_print(out, "%10.0f %9.2f %8.0f %7.1f %6.0f us %6.0f us %6.0f %8.0f %5.0f %6.0f  %.0f%s\n",
              watch_rate(records, seconds),
              watch_rate(watch_grown(now, before, "wal_bytes_written_total"), seconds) / (1 << 20),
              watch_rate(frames, seconds), watch_rate(watch_grown(now, before, "wal_records_total"), frames),
              flush * 1e6, watch_p99(now, before) * 1e6, watch_value(now->text, "wal_queue_depth"),
              watch_value(now->text, "wal_durable_lag_records"), watch_value(now->text, "wal_segments"),
              errors, watch_value(now->text, "wal_durable_lsn"),
              watch_value(now->text, "wal_read_only") > 0         ? "  read-only"
              : watch_value(now->text, "wal_space_error") > 0     ? "  no space"
              : watch_value(now->text, "wal_stalled_seconds") > 0 ? "  hangs"
              : watch_value(now->text, "wal_health_state") > 0    ? "  degraded"
                                                                  : "");
}

static int watch_read(const char *path, struct watch_state *state)
{
    struct varve_error error;

    state->facts = (struct varve_metrics_export){.size = sizeof state->facts};
    switch (varve_metrics_read(path, state->text, VARVE_METRICS_BYTES + 1, &state->facts, &error)) {
    case 0:
        return EXIT_FINE;
    case VARVE_E_NOT_FOUND:
        say("%s: nobody exports metrics there", path);
        say_to_do("have the writer export them: 'varve append --metrics-file DIR/METRICS DIR'; "
                  "'varve stat DIR' needs none");
        return EXIT_FAILED;
    default:
        return say_library(path, &error);
    }
}

bool watch_is_gone(const struct varve_metrics_export *facts)
{
    return facts->pid > 0 && kill((pid_t)facts->pid, 0) != 0 && errno == ESRCH;
}

static bool watch_is_over(const struct watch_state *state)
{
    return state->facts.closed || watch_is_gone(&state->facts);
}

static void watch_pause(uint64_t ms)
{
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static int watch_loop(const char *path, uint64_t interval_ms, struct out *out, struct watch_state states[2])
{
    unsigned now = 0;
    int rc = watch_read(path, &states[0]);

    for (unsigned lines = 0; rc == EXIT_FINE; lines++) {
        bool over = watch_is_over(&states[now]);

        if (!over)
            watch_pause(interval_ms);
        now = !now;
        rc = watch_read(path, &states[now]);
        if (rc)
            break;
        if (lines % 20 == 0)
            watch_head(out);
        watch_line(out, &states[now], &states[!now]);
        if (!out_flush(out) || over)
            break;
    }
    return rc;
}

char *watch_file(const char *path)
{
    struct stat st;
    char *file = NULL;

    return asprintf(&file, "%s%s", path, stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? "/METRICS" : "") < 0
               ? NULL
               : file;
}

int watch_run(const char *path, uint64_t interval_ms)
{
    struct watch_state states[2] = {{.text = calloc(1, VARVE_METRICS_BYTES + 1)},
                                    {.text = calloc(1, VARVE_METRICS_BYTES + 1)}};
    char *file = watch_file(path);
    struct out out;
    int rc = EXIT_FAILED, closed;

    if (!states[0].text || !states[1].text || !file) {
        say("no memory");
    } else if (out_open(&out)) {
        rc = watch_loop(file, interval_ms, &out, states);
        closed = out_close(&out);
        rc = rc ? rc : closed;
    }
    free(file);
    free(states[0].text);
    free(states[1].text);
    return rc;
}
