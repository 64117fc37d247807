/* SPDX-License-Identifier: Apache-2.0 */
/* varve trim: drops whole segments from the front of a log. */
#include <inttypes.h>

#include "changing.h"
#include "commands.h"
#include "json.h"
#include "keying.h"
#include "units.h"

#define KEY_BEFORE        (CLI_LONG + 0)
#define KEY_KEEP_SEGMENTS (CLI_LONG + 1)
#define KEY_KEEP_BYTES    (CLI_LONG + 2)
#define KEY_KEEP_TIME     (CLI_LONG + 3)
#define KEY_DRY_RUN       (CLI_LONG + 4)
#define KEY_JSON          (CLI_LONG + 5)

static const struct cli_option trim_options[] = {
    {KEY_BEFORE, "before", "LSN", "drop segments that hold nothing at or past it"},
    {KEY_KEEP_SEGMENTS, "keep-segments", "NUMBER", "keep at least so many segments"},
    {KEY_KEEP_BYTES, "keep-bytes", "SIZE", "keep at least so much"},
    {KEY_KEEP_TIME, "keep-time", "DURATION", "keep what is younger: 90s, 12h, 7d"},
    {KEY_DRY_RUN, "dry-run", NULL, "say what would go, and who holds the rest"},
    {KEY_JSON, "json", NULL, "one JSON object"},
    KEYING_OPTIONS,
    CLI_OPTIONS_END,
};

struct trim_wish {
    const char *path;
    struct varve_retain_rules rules;
    bool json, dry_run, given;
};

static void trim_text(struct out *out, const struct trim_wish *wish, uint64_t first_before,
                      const struct varve_retain_plan *plan)
{
    char bytes[UNITS_TEXT];

    out_string(out, wish->path);
    if (plan->segments == 0)
        out_string(out, ": nothing removed: no segment that may go lies before what has to stay\n");
    else
        out_print(out, ": %s %" PRIu64 " segment%s, %s, LSN %" PRIu64 " to %" PRIu64 "\n",
                  wish->dry_run ? "would remove" : "removed", plan->segments, plan->segments == 1 ? "" : "s",
                  units_bytes(bytes, plan->bytes), first_before, plan->first_lsn - 1);
    if (plan->held_segments > 0) {
        out_string(out, wish->path);
        out_print(out, ": pin %s at LSN %" PRIu64 " holds %" PRIu64 " segment%s, %s\n", plan->held_by,
                  plan->held_lsn, plan->held_segments, plan->held_segments == 1 ? "" : "s",
                  units_bytes(bytes, plan->held_bytes));
    }
    out_string(out, wish->path);
    out_print(out, ": the first LSN %s %" PRIu64 "\n", wish->dry_run ? "would be" : "is now",
              plan->first_lsn);
}

static void trim_json(struct out *out, const struct trim_wish *wish, uint64_t first_before,
                      const struct varve_retain_plan *plan)
{
    struct json json = {.out = out};

    json_object(&json, NULL);
    json_string(&json, "path", wish->path);
    json_bool(&json, "dry_run", wish->dry_run);
    json_number(&json, "segments_removed", plan->segments);
    json_number(&json, "bytes_removed", plan->bytes);
    json_number(&json, "records_removed", plan->records);
    json_number(&json, "first_lsn_before", first_before);
    json_number(&json, "first_lsn", plan->first_lsn);
    json_number(&json, "segments_held", plan->held_segments);
    json_number(&json, "bytes_held", plan->held_bytes);
    if (plan->held_segments > 0)
        json_string(&json, "held_by", plan->held_by);
    else
        json_null(&json, "held_by");
    json_object_end(&json);
    json_line_end(&json);
}

static int trim_open(const struct trim_wish *wish, struct varve_log **ret_log)
{
    struct varve_options options = {
        .size = sizeof options, .flags = VARVE_OPEN_READ_ONLY, .keys = keying_keys()};
    struct varve_error error;

    if (!wish->dry_run)
        return changing_open(wish->path, ret_log);
    if (varve_open(wish->path, &options, ret_log, &error))
        return say_library(wish->path, &error);
    return EXIT_FINE;
}

static int trim_log(const struct trim_wish *wish, uint64_t *ret_first_before,
                    struct varve_retain_plan *ret_plan)
{
    struct varve_error error;
    struct varve_log *log;
    int failed = trim_open(wish, &log);

    if (failed)
        return failed;
    *ret_first_before = varve_first_lsn(log);
    if (wish->rules.before_lsn > varve_last_lsn(log) + 1)
        failed = say_usage("--before: '%" PRIu64 "': the last LSN is %" PRIu64, wish->rules.before_lsn,
                           varve_last_lsn(log));
    else if (varve_retain(log, &wish->rules, wish->dry_run, ret_plan, &error))
        failed = say_library(wish->path, &error);
    return changing_close(wish->path, log, failed);
}

static void trim_option(struct cli *cli, int key, struct trim_wish *wish)
{
    wish->json |= key == KEY_JSON;
    wish->dry_run |= key == KEY_DRY_RUN;
    wish->given |= key != KEY_JSON && key != KEY_DRY_RUN;
    if (key == KEY_BEFORE)
        wish->rules.before_lsn = cli_number(cli, 1, UINT64_MAX);
    else if (key == KEY_KEEP_SEGMENTS)
        wish->rules.keep_segments = cli_number(cli, 1, UINT64_MAX);
    else if (key == KEY_KEEP_BYTES)
        wish->rules.keep_bytes = cli_size(cli, 1, UINT64_MAX);
    else if (key == KEY_KEEP_TIME)
        wish->rules.keep_ms = cli_duration(cli, 1);
}

static int trim_run(const struct cli_command *command, int argc, char **argv)
{
    struct trim_wish wish = {.rules = {.size = sizeof wish.rules}};
    struct varve_retain_plan plan = {.size = sizeof plan};
    uint64_t first_before;
    struct cli cli;
    struct out out;
    int key, rc;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (!keying_option(&cli, key))
            trim_option(&cli, key, &wish);
    }
    if (!cli_operands(&cli, 1, 1))
        return cli.exit_code;
    if (!wish.given)
        return say_usage("--before LSN is missing, or one of --keep-segments, --keep-bytes, --keep-time");
    wish.path = cli.operands[0];
    rc = trim_log(&wish, &first_before, &plan);
    if (rc)
        return rc;
    if (!out_open(&out))
        return EXIT_FAILED;
    if (wish.json)
        trim_json(&out, &wish, first_before, &plan);
    else
        trim_text(&out, &wish, first_before, &plan);
    return out_close(&out);
}

const struct cli_command command_trim = {
    .name = "trim",
    .operands = "DIR",
    .summary = "drop whole segments, by LSN, number, size or age",
    .details = "Removes segments from the beginning of the log in DIR: those that every option given\n"
               "lets go. What a pin holds stays, and so does the last segment. With --dry-run only\n"
               "says what would go; that works beside a writer.",
    .options = trim_options,
    .run = trim_run,
};
