/* SPDX-License-Identifier: Apache-2.0 */
#include "health.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "say.h"
#include "term.h"
#include "units.h"
#include "watch.h"
#include "when.h"

static const char *const health_states[] = {"ok", "degraded", "read-only"};

static void health_state(struct out *out, const char *text, unsigned state)
{
    const char *before = ": ";
    char name[96];

    out_print(out, "health        %s%s%s",
              term_colour(state == VARVE_HEALTH_OK         ? TERM_GREEN
                          : state == VARVE_HEALTH_DEGRADED ? TERM_YELLOW
                                                           : TERM_RED),
              state < 3 ? health_states[state] : "unknown", term_colour(TERM_PLAIN));
    for (unsigned i = 0; varve_health_reason_name(i); i++) {
        snprintf(name, sizeof name, "wal_health_reason{reason=\"%s\"}", varve_health_reason_name(i));
        if (watch_value(text, name) == 0)
            continue;
        out_print(out, "%s%s", before, varve_health_reason_name(i));
        before = ", ";
    }
    out_byte(out, '\n');
    for (unsigned i = 0; varve_health_reason_name(i); i++) {
        snprintf(name, sizeof name, "wal_health_reason{reason=\"%s\"}", varve_health_reason_name(i));
        if (watch_value(text, name) != 0)
            out_print(out, "              %s: %s\n", varve_health_reason_name(i),
                      varve_health_reason_meaning(i));
    }
}

/* The message in wal_first_error{message="..."}, as it was before it became a label. */
static void health_first_error(struct out *out, const char *text)
{
    static const char prefix[] = "\nwal_first_error{message=\"";
    const char *at = strstr(text, prefix);

    if (!at)
        return;
    out_string(out, "first error   ");
    for (at += sizeof prefix - 1; *at && *at != '"' && *at != '\n'; at++) {
        if (*at == '\\' && at[1])
            at++;
        out_byte(out, (uint8_t)*at);
    }
    out_byte(out, '\n');
}

static const char *health_thread(const char *text, const char *name)
{
    return varve_thread_state_name((enum varve_thread_state)watch_value(text, name));
}

static void health_parts(struct out *out, const char *text)
{
    double synced = watch_value(text, "wal_last_sync_timestamp_seconds");
    char when[WHEN_TEXT], bytes[UNITS_TEXT];

    out_print(out, "threads       prepare %s, flush %s\n",
              health_thread(text, "wal_thread_state{thread=\"prepare\"}"),
              health_thread(text, "wal_thread_state{thread=\"flush\"}"));
    out_print(out, "slots         %.0f of %.0f in use, %.0f appends wait\n",
              watch_value(text, "wal_slots_used"), watch_value(text, "wal_slots"),
              watch_value(text, "wal_appends_waiting"));
    if (synced > 0)
        out_print(out, "last sync     %s, took %.3f ms\n", when_print(when, (uint64_t)(synced * 1e6)),
                  watch_value(text, "wal_last_sync_seconds") * 1e3);
    else
        out_string(out, "last sync     none yet\n");
    if (watch_value(text, "wal_stalled_seconds") > 0)
        out_print(out, "hangs         a write or a sync, for %.3f s\n",
                  watch_value(text, "wal_stalled_seconds"));
    if (watch_value(text, "wal_breaker_open_seconds") > 0)
        out_print(out, "breaker       open for %.3f s\n", watch_value(text, "wal_breaker_open_seconds"));
    out_print(out, "disk          %s free\n",
              units_bytes(bytes, (uint64_t)watch_value(text, "wal_disk_free_bytes")));
    out_print(out, "pins          %.0f, %.0f over their limits\n", watch_value(text, "wal_pins"),
              watch_value(text, "wal_pins_over"));
}

static int health_show(const char *file, const char *text, const struct varve_metrics_export *facts)
{
    unsigned state = (unsigned)watch_value(text, "wal_health_state");
    bool gone = watch_is_gone(facts);
    char when[WHEN_TEXT];
    struct out out;
    int rc;

    if (!out_open(&out))
        return EXIT_FAILED;
    health_state(&out, text, state);
    health_first_error(&out, text);
    out_print(&out, "exported      by process %" PRId64 "%s, %s\n", facts->pid,
              facts->closed ? ", which has closed the log"
              : gone        ? ", which is gone"
                            : "",
              when_print(when, facts->updated_us));
    health_parts(&out, text);
    rc = out_close(&out);
    if (rc)
        return rc;
    if (gone && !facts->closed) {
        say("%s: process %" PRId64 " ended without closing the log", file, facts->pid);
        return EXIT_FOUND;
    }
    return state == VARVE_HEALTH_OK ? EXIT_FINE : EXIT_FOUND;
}

int health_run(const char *path)
{
    struct varve_metrics_export facts = {.size = sizeof facts};
    char *text = calloc(1, VARVE_METRICS_BYTES + 1), *file = watch_file(path);
    struct varve_error error;
    int rc = EXIT_FAILED;

    if (!text || !file)
        say("no memory");
    else if (varve_metrics_read(file, text, VARVE_METRICS_BYTES + 1, &facts, &error))
        rc = say_library(file, &error);
    else
        rc = health_show(file, text, &facts);
    free(file);
    free(text);
    return rc;
}
