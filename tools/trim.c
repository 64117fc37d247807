/* SPDX-License-Identifier: Apache-2.0 */
/* varve trim: drops whole segments from the front of a log. */
#include <inttypes.h>

#include "changing.h"
#include "commands.h"
#include "json.h"

#define KEY_BEFORE (CLI_LONG + 0)
#define KEY_JSON   (CLI_LONG + 1)

static const struct cli_option trim_options[] = {
    {KEY_BEFORE, "before", "LSN", "drop segments that hold nothing at or past it"},
    {KEY_JSON, "json", NULL, "one JSON object"},
    CLI_OPTIONS_END,
};

struct trim_result {
    uint64_t segments;
    uint64_t first_before, first_after;
};

static void trim_text(struct out *out, const char *path, const struct trim_result *result)
{
    out_string(out, path);
    if (result->segments == 0)
        out_string(out, ": nothing removed: no segment lies before that LSN as a whole\n");
    else
        out_print(out, ": removed %" PRIu64 " segment%s, LSN %" PRIu64 " to %" PRIu64 "\n", result->segments,
                  result->segments == 1 ? "" : "s", result->first_before, result->first_after - 1);
    out_string(out, path);
    out_print(out, ": the first LSN is now %" PRIu64 "\n", result->first_after);
}

static void trim_json(struct out *out, const char *path, const struct trim_result *result)
{
    struct json json = {.out = out};

    json_object(&json, NULL);
    json_string(&json, "path", path);
    json_number(&json, "segments_removed", result->segments);
    json_number(&json, "records_removed", result->first_after - result->first_before);
    json_number(&json, "first_lsn_before", result->first_before);
    json_number(&json, "first_lsn", result->first_after);
    json_object_end(&json);
    json_line_end(&json);
}

static int trim_log(const char *path, uint64_t before, struct trim_result *ret_result)
{
    struct varve_stats stats = {.size = sizeof stats};
    struct varve_log *log;
    int rc, failed = changing_open(path, &log);

    if (failed)
        return failed;
    ret_result->first_before = varve_first_lsn(log);
    ret_result->first_after = ret_result->first_before;
    if (before > varve_last_lsn(log) + 1) {
        failed = say_usage("--before: '%" PRIu64 "': the last LSN is %" PRIu64, before, varve_last_lsn(log));
    } else {
        rc = varve_trim(log, before, &ret_result->first_after);
        failed = rc ? say_code(path, rc) : EXIT_FINE;
    }
    if (varve_stats_get(log, &stats) == 0)
        ret_result->segments = stats.segments_trimmed;
    return changing_close(path, log, failed);
}

static int trim_run(const struct cli_command *command, int argc, char **argv)
{
    struct trim_result result = {0};
    bool json = false, given = false;
    uint64_t before = 0;
    struct cli cli;
    struct out out;
    int key, rc;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (key == KEY_BEFORE) {
            before = cli_number(&cli, 1, UINT64_MAX);
            given = true;
        }
        json |= key == KEY_JSON;
    }
    if (!cli_operands(&cli, 1, 1))
        return cli.exit_code;
    if (!given)
        return say_usage("--before LSN is missing");
    rc = trim_log(cli.operands[0], before, &result);
    if (rc)
        return rc;
    if (!out_open(&out))
        return EXIT_FAILED;
    if (json)
        trim_json(&out, cli.operands[0], &result);
    else
        trim_text(&out, cli.operands[0], &result);
    return out_close(&out);
}

const struct cli_command command_trim = {
    .name = "trim",
    .operands = "DIR",
    .summary = "drop whole segments before an LSN",
    .details = "Removes the segments of the log in DIR of which every record is below the LSN given\n"
               "with --before. Records at or past it stay, and so do the rest of their segment and\n"
               "what a pin holds.",
    .options = trim_options,
    .run = trim_run,
};
