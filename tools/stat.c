/* SPDX-License-Identifier: Apache-2.0 */
/* varve stat: what a log holds. */
#include <inttypes.h>

#include "commands.h"
#include "formats.h"
#include "health.h"
#include "json.h"
#include "pins.h"
#include "term.h"
#include "units.h"
#include "watch.h"
#include "when.h"

#define KEY_JSON     (CLI_LONG + 0)
#define KEY_WATCH    (CLI_LONG + 1)
#define KEY_INTERVAL (CLI_LONG + 2)
#define KEY_HEALTH   (CLI_LONG + 3)
#define KEY_POLICY   (CLI_LONG + 4)

static const struct cli_option stat_options[] = {
    {KEY_JSON, "json", NULL, "one JSON object"},
    {KEY_WATCH, "watch", NULL, "a line every second, of what the writer exports"},
    {KEY_HEALTH, "health", NULL, "how the log of a running writer does"},
    FORMATS_OPTION,
    {KEY_POLICY, "policy", "POLICY", "how the end is judged, as for verify"},
    {KEY_INTERVAL, "interval", "DURATION", "with --watch: not every second but this often"},
    CLI_OPTIONS_END,
};

static void stat_uuid(const struct varve_info *info, char text[37])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < sizeof info->uuid; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *text++ = '-';
        *text++ = digits[info->uuid[i] >> 4];
        *text++ = digits[info->uuid[i] & 15];
    }
    *text = '\0';
}

static void stat_json(struct out *out, const char *path, const struct varve_info *info,
                      const struct pins *pins)
{
    struct json json = {.out = out};
    char uuid[37];

    stat_uuid(info, uuid);
    json_object(&json, NULL);
    json_string(&json, "path", path);
    json_string(&json, "format", info->format);
    json_string(&json, "uuid", uuid);
    json_time(&json, "created", info->created_us);
    json_string(&json, "verdict", varve_verdict_name(info->verdict));
    json_bool(&json, "clean_shutdown", info->clean_shutdown);
    json_bool(&json, "writer_alive", info->writer_alive);
    if (info->writer_pid > 0)
        json_number(&json, "writer_pid", (uint64_t)info->writer_pid);
    else
        json_null(&json, "writer_pid");
    json_number(&json, "first_lsn", info->first_lsn);
    json_number(&json, "last_lsn", info->last_lsn);
    json_number(&json, "durable_lsn", info->durable_lsn);
    json_number(&json, "records", info->records);
    json_time(&json, "first_time", info->first_time_us);
    json_time(&json, "last_time", info->last_time_us);
    json_number(&json, "frames", info->frames);
    json_number(&json, "marks", info->marks);
    json_number(&json, "body_bytes", info->body_bytes);
    json_decimal(&json, "frame_bytes_average", units_ratio(info->body_bytes, info->frames));
    json_decimal(&json, "record_bytes_average", units_ratio(info->body_bytes, info->records));
    json_number(&json, "codec", info->codec);
    json_string(&json, "codec_name", info->codec_name);
    json_hex32(&json, "dictionary", info->dictionary);
    json_number(&json, "encoded_frames", info->encoded_frames);
    json_number(&json, "stored_bytes", info->stored_bytes);
    json_decimal(&json, "stored_ratio", units_ratio(info->body_bytes, info->stored_bytes));
    json_number(&json, "segments", info->segments);
    json_number(&json, "segments_ready", info->segments_ready);
    json_number(&json, "spares", info->spares);
    json_number(&json, "first_segment", info->first_segment);
    json_number(&json, "last_segment", info->last_segment);
    json_number(&json, "disk_bytes", info->disk_bytes);
    json_number(&json, "used_bytes", info->used_bytes);
    json_number(&json, "segment_bytes", info->segment_bytes);
    json_number(&json, "sector_bytes", info->sector_bytes);
    json_number(&json, "tail_free_bytes", info->tail_free_bytes);
    pins_json(&json, pins);
    json_object_end(&json);
    json_line_end(&json);
}

static bool stat_is_native(const struct varve_info *info)
{
    const struct varve_format *format = varve_format_get(info->format);

    return !format || (format->traits & VARVE_FORMAT_NATIVE);
}

static bool stat_carries(const struct varve_info *info, uint32_t field)
{
    const struct varve_format *format = varve_format_get(info->format);

    return !format || (format->carries & field);
}

static void stat_text_state(struct out *out, const struct varve_info *info)
{
    const char *colour = info->verdict == VARVE_VERDICT_CLEAN_END ? term_colour(TERM_GREEN)
                         : info->verdict == VARVE_VERDICT_TORN    ? term_colour(TERM_YELLOW)
                                                                  : term_colour(TERM_RED);

    if (info->writer_alive && info->writer_pid > 0)
        out_print(out, "writer        process %" PRId64 " has it open\n", info->writer_pid);
    else if (info->writer_alive)
        out_string(out, "writer        somebody has it open\n");
    else
        out_print(out, "writer        none%s\n",
                  !stat_is_native(info)  ? ""
                  : info->clean_shutdown ? "; the log was closed in order"
                                         : "; the last one did not close the log");
    out_print(out, "end           %s%s%s\n", colour, varve_verdict_name(info->verdict),
              term_colour(TERM_PLAIN));
}

static void stat_text_records(struct out *out, const struct varve_info *info)
{
    char first[WHEN_TEXT], last[WHEN_TEXT], frame[UNITS_TEXT], record[UNITS_TEXT];

    if (info->last_lsn == 0) {
        out_string(out, "records       none\n");
        return;
    }
    out_print(out, "records       %" PRIu64 ", LSN %" PRIu64 " to %" PRIu64 ", durable to %" PRIu64 "\n",
              info->records, info->first_lsn, info->last_lsn, info->durable_lsn);
    if (stat_carries(info, VARVE_FIELD_TIME))
        out_print(out, "time          %s to %s\n", when_print(first, info->first_time_us),
                  when_print(last, info->last_time_us));
    out_print(out, "record        %s on average, %s\n",
              units_bytes(record, (uint64_t)(units_ratio(info->body_bytes, info->records) + 0.5)),
              stat_is_native(info) ? "its header of 16 included" : "with head and tail");
    if (!stat_is_native(info))
        return;
    out_print(out, "frames        %" PRIu64 " and %" PRIu64 " marks; %s and %.1f records on average\n",
              info->frames, info->marks,
              units_bytes(frame, (uint64_t)(units_ratio(info->body_bytes, info->frames) + 0.5)),
              units_ratio(info->records, info->frames));
}

static void stat_text_codec(struct out *out, const struct varve_info *info)
{
    char raw[UNITS_TEXT], stored[UNITS_TEXT];

    out_print(out, "codec         %s", info->codec_name);
    if (info->dictionary != 0)
        out_print(out, ", dictionary %08" PRIx32, info->dictionary);
    if (info->encoded_frames > 0)
        out_print(out, "; %s of bodies stored as %s, %.2f to 1; %" PRIu64 " of %" PRIu64 " frames encoded",
                  units_bytes(raw, info->body_bytes), units_bytes(stored, info->stored_bytes),
                  units_ratio(info->body_bytes, info->stored_bytes), info->encoded_frames, info->frames);
    out_byte(out, '\n');
}

static void stat_text_segments(struct out *out, const struct varve_info *info)
{
    out_print(out, "segments      %" PRIu64, info->segments);
    if (info->last_segment != VARVE_FORMAT_ACTIVE)
        out_print(out, ", numbers %" PRIu64 " to %" PRIu64, info->first_segment, info->last_segment);
    else if (info->first_segment != VARVE_FORMAT_ACTIVE)
        out_print(out, ", numbers from %" PRIu64 ", the last one without", info->first_segment);
}

static void stat_text(struct out *out, const char *path, const struct varve_info *info,
                      const struct pins *pins)
{
    char uuid[37], created[WHEN_TEXT], disk[UNITS_TEXT], used[UNITS_TEXT], size[UNITS_TEXT], left[UNITS_TEXT];
    uint64_t taken =
        info->segment_bytes > info->tail_free_bytes ? info->segment_bytes - info->tail_free_bytes : 0;

    stat_uuid(info, uuid);
    out_string(out, "log           ");
    out_string(out, path);
    out_byte(out, '\n');
    if (stat_carries(info, VARVE_FIELD_UUID))
        out_print(out, "uuid          %s\n", uuid);
    if (stat_is_native(info) || info->created_us != 0)
        out_print(out, "created       %s\n", when_print(created, info->created_us));
    if (!stat_is_native(info))
        out_print(out, "format        %s\n", info->format);
    stat_text_state(out, info);
    stat_text_records(out, info);
    stat_text_codec(out, info);
    if (info->segments > 0)
        stat_text_segments(out, info);
    else
        out_string(out, "segments      none");
    out_print(out, "; %" PRIu64 " prepared, %" PRIu64 " spare\n", info->segments_ready, info->spares);
    if (info->segments > 0 && stat_is_native(info))
        out_print(out, "segment size  %s, sectors of %" PRIu64 " bytes\n",
                  units_bytes(size, info->segment_bytes), info->sector_bytes);
    else if (info->segment_bytes > 0)
        out_print(out, "segment size  %s\n", units_bytes(size, info->segment_bytes));
    if (info->segments > 0 && info->segment_bytes > 0)
        out_print(out, "last segment  %.1f %% full, %s free\n", units_ratio(taken, info->segment_bytes) * 100,
                  units_bytes(left, info->tail_free_bytes));
    out_print(out, "on disk       %s, of which %s (%.1f %%) in use\n", units_bytes(disk, info->disk_bytes),
              units_bytes(used, info->used_bytes), units_ratio(info->used_bytes, info->disk_bytes) * 100);
    out_string(out, pins->count == 0 ? "pins          none\n"
                                     : "pins          no record at or past these is removed:\n");
    pins_text(out, "              ", pins);
}

static int stat_run(const struct cli_command *command, int argc, char **argv)
{
    struct varve_options options = {.size = sizeof options};
    struct varve_info info = {.size = sizeof info};
    struct varve_error error;
    struct pins pins;
    bool json = false, watch = false, health = false;
    uint64_t interval_ms = 0;
    struct cli cli;
    struct out out;
    int key, rc, pins_rc;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        json |= key == KEY_JSON;
        watch |= key == KEY_WATCH;
        health |= key == KEY_HEALTH;
        if (key == KEY_INTERVAL)
            interval_ms = cli_duration(&cli, 1);
        else if (key == FORMATS_KEY)
            options.format = formats_value(&cli);
        else if (key == KEY_POLICY)
            options.policy = (enum varve_policy)cli_choice(&cli, cli_policies);
    }
    if (!cli_operands(&cli, 1, 1))
        return cli.exit_code;
    if (health && (watch || json || interval_ms != 0))
        return say_usage("--health goes alone");
    if (watch ? json : interval_ms != 0)
        return say_usage(watch ? "--json does not go with --watch" : "--interval goes with --watch");
    if (health)
        return health_run(cli.operands[0]);
    if (watch)
        return watch_run(cli.operands[0], interval_ms ? interval_ms : 1000);
    rc = varve_info_read(cli.operands[0], &options, &info, &error);
    if (rc)
        return say_library(cli.operands[0], &error);
    /* Where they cannot be read, the rest is worth showing all the same. */
    pins_rc = pins_read(cli.operands[0], options.format, &pins, &error);
    if (!out_open(&out)) {
        pins_free(&pins);
        return EXIT_FAILED;
    }
    if (json)
        stat_json(&out, cli.operands[0], &info, &pins);
    else
        stat_text(&out, cli.operands[0], &info, &pins);
    pins_free(&pins);
    rc = out_close(&out);
    if (rc)
        return rc;
    if (pins_rc && pins_rc != VARVE_E_FOREIGN)
        return say_library(cli.operands[0], &error);
    if (info.verdict == VARVE_VERDICT_CLEAN_END || info.verdict == VARVE_VERDICT_TORN)
        return EXIT_FINE;
    say("%s: %s", cli.operands[0], varve_verdict_name(info.verdict));
    say_to_do("'varve verify' names the places");
    return EXIT_FOUND;
}

const struct cli_command command_stat = {
    .name = "stat",
    .operands = "DIR",
    .summary = "what a log holds",
    .details = "Shows what the log in DIR holds: records, times, sizes, how full it is, who has it\n"
               "open and what keeps it from being trimmed. Changes nothing and waits for nobody.\n"
               "With --watch shows how the log is doing, live, and with --health whether it is well:\n"
               "DIR is the file that its writer exports its metrics to, or the log where that is its\n"
               "METRICS. --health ends with 1 unless all is well.",
    .options = stat_options,
    .run = stat_run,
};
