/* SPDX-License-Identifier: Apache-2.0 */
/* What `varve bench` found, for people and for programs. */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "json.h"
#include "term.h"
#include "units.h"

static const struct {
    const char *title;
    const char *key;
} report_syncs[BENCH_SYNC_COUNT] = {
    [BENCH_SYNC_APPEND] = {"append, fdatasync", "append_fdatasync"},
    [BENCH_SYNC_OVERWRITE] = {"overwrite, fdatasync", "overwrite_fdatasync"},
    [BENCH_SYNC_SECTOR] = {"overwrite a sector, O_DIRECT and RWF_DSYNC", "direct_sector"},
    [BENCH_SYNC_PAGE] = {"overwrite 4096 bytes, O_DIRECT and RWF_DSYNC", "direct_4096"},
};

/* A value of a setting as one writes it. */
static const char *report_value(const struct bench_setting *setting, enum bench_choice choice, size_t index,
                                char text[UNITS_TEXT])
{
    if (choice == BENCH_BACKEND)
        return cli_backends[setting->values[index]];
    snprintf(text, UNITS_TEXT, "%" PRIu64, setting->values[index]);
    return text;
}

static void report_text_syncs(struct out *out, const struct bench_result *result)
{
    out_string(out,
               "\none durable write of 128 bytes, one thread            p50        p99        a second\n");
    for (int way = 0; way < BENCH_SYNC_COUNT; way++) {
        const struct bench_figure *figure = &result->syncs[way];

        if (figure->per_s > 0)
            out_print(out, "  %-46s %6.0f us  %6.0f us  %12.0f\n", report_syncs[way].title, figure->p50_us,
                      figure->p99_us, figure->per_s);
    }
}

static void report_text_commits(struct out *out, const struct bench_result *result)
{
    double one = result->commits[0].per_s;

    out_string(out,
               "\ncommits of 128 bytes, default settings                p50        p99        a second\n");
    for (size_t i = 0; i < sizeof result->threads / sizeof result->threads[0]; i++) {
        const struct bench_figure *figure = &result->commits[i];
        char title[32];

        snprintf(title, sizeof title, "%u thread%s", result->threads[i], result->threads[i] == 1 ? "" : "s");
        out_print(out, "  %-46s %6.0f us  %6.0f us  %12.0f", title, figure->p50_us, figure->p99_us,
                  figure->per_s);
        if (i > 0 && one > 0)
            out_print(out, "  %.1f times one thread", figure->per_s / one);
        out_byte(out, '\n');
    }
}

static void report_text_tried(struct out *out, const struct bench_result *result)
{
    char text[UNITS_TEXT];

    out_string(out, "\nsettings tried\n");
    for (int choice = 0; choice < BENCH_CHOICES; choice++) {
        const struct bench_setting *setting = &result->settings[choice];

        out_print(out, "  %-18s", setting->name);
        for (size_t i = 0; i < setting->count; i++)
            out_print(out, "%s%s%s: %.0f", i > 0 ? ", " : "",
                      report_value(setting, (enum bench_choice)choice, i, text), i == 0 ? " (default)" : "",
                      setting->figures[i]);
        out_print(out, " %s (%s)\n", setting->unit, setting->work);
    }
}

static void report_text_advice(struct out *out, const struct bench_result *result)
{
    char text[UNITS_TEXT];
    int told = 0;

    out_print(out, "\n%swhat to set%s  ", term_colour(TERM_BOLD), term_colour(TERM_PLAIN));
    for (int choice = 0; choice < BENCH_CHOICES; choice++) {
        const struct bench_setting *setting = &result->settings[choice];

        if (setting->best == 0)
            continue;
        out_print(out, "%s%s = %s (%.2f times the default)", told++ > 0 ? "\n             " : "",
                  setting->name, report_value(setting, (enum bench_choice)choice, setting->best, text),
                  setting->figures[setting->best] / setting->figures[0]);
    }
    if (told == 0)
        out_string(out, "nothing: the defaults suit this disk");
    out_byte(out, '\n');
}

void bench_text(struct out *out, const struct bench_result *result)
{
    out_string(out, result->path);
    if (result->memory)
        out_string(out, ": in memory, not on a disk: nothing here survives a power cut");
    if (result->sector_bytes)
        out_print(out, ": direct I/O in sectors of %u bytes; measured for %.0f s\n", result->sector_bytes,
                  result->seconds);
    else
        out_print(out, ": no direct I/O; measured for %.0f s\n", result->seconds);
    report_text_syncs(out, result);
    report_text_commits(out, result);
    report_text_tried(out, result);
    report_text_advice(out, result);
}

static void report_json_figure(struct json *json, const struct bench_figure *figure)
{
    json_decimal(json, "per_second", figure->per_s);
    json_decimal(json, "p50_us", figure->p50_us);
    json_decimal(json, "p99_us", figure->p99_us);
    json_object_end(json);
}

static void report_json_setting(struct json *json, const struct bench_setting *setting,
                                enum bench_choice choice)
{
    json_object(json, setting->name);
    json_string(json, "work", setting->work);
    json_string(json, "unit", setting->unit);
    if (choice == BENCH_BACKEND)
        json_string(json, "recommended", cli_backends[setting->values[setting->best]]);
    else
        json_number(json, "recommended", setting->values[setting->best]);
    json_bool(json, "is_default", setting->best == 0);
    json_array(json, "tried");
    for (size_t i = 0; i < setting->count; i++) {
        json_object(json, NULL);
        if (choice == BENCH_BACKEND)
            json_string(json, "value", cli_backends[setting->values[i]]);
        else
            json_number(json, "value", setting->values[i]);
        json_decimal(json, "figure", setting->figures[i]);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

void bench_json(struct out *out, const struct bench_result *result)
{
    struct json json = {.out = out};

    json_object(&json, NULL);
    json_string(&json, "path", result->path);
    json_bool(&json, "memory", result->memory);
    json_number(&json, "direct_sector_bytes", result->sector_bytes);
    json_decimal(&json, "seconds", result->seconds);
    json_object(&json, "syncs");
    for (int way = 0; way < BENCH_SYNC_COUNT; way++) {
        if (result->syncs[way].per_s > 0) {
            json_object(&json, report_syncs[way].key);
            report_json_figure(&json, &result->syncs[way]);
        }
    }
    json_object_end(&json);
    json_array(&json, "commits");
    for (size_t i = 0; i < sizeof result->threads / sizeof result->threads[0]; i++) {
        json_object(&json, NULL);
        json_number(&json, "threads", result->threads[i]);
        report_json_figure(&json, &result->commits[i]);
    }
    json_array_end(&json);
    json_object(&json, "settings");
    for (int choice = 0; choice < BENCH_CHOICES; choice++)
        report_json_setting(&json, &result->settings[choice], (enum bench_choice)choice);
    json_object_end(&json);
    json_object_end(&json);
    json_line_end(&json);
}
