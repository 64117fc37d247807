/* SPDX-License-Identifier: Apache-2.0 */
/* varve repair: a damaged log is brought to a state that opens; what is kept and what is lost is said. */
#include <inttypes.h>

#include "commands.h"
#include "json.h"
#include "keying.h"
#include "term.h"
#include "units.h"

#define KEY_TO      (CLI_LONG + 0)
#define KEY_DRY_RUN (CLI_LONG + 1)
#define KEY_JSON    (CLI_LONG + 2)

static const struct cli_option repair_options[] = {
    {KEY_TO, "to", "NEW", "repair a copy, made in the directory NEW"},
    {KEY_DRY_RUN, "dry-run", NULL, "say what would be done, and do nothing"},
    {KEY_JSON, "json", NULL, "one JSON object"},
    KEYING_OPTIONS,
    CLI_OPTIONS_END,
};

struct repair {
    struct out out;
    struct json json;
    const char *path, *to;
    bool is_json, dry_run;
};

static void repair_line(struct repair *repair, const char *text)
{
    term_progress_clear();
    out_string(&repair->out, repair->path);
    out_string(&repair->out, ": ");
    out_string(&repair->out, text);
    out_byte(&repair->out, '\n');
    out_flush(&repair->out);
}

static void repair_damage(void *arg, enum varve_verdict verdict, uint64_t segment, uint64_t offset,
                          uint64_t lsn_first, uint64_t lsn_last, const char *message)
{
    struct repair *repair = arg;
    struct json *json = &repair->json;

    if (!repair->is_json) {
        repair_line(repair, message);
        return;
    }
    json_object(json, NULL);
    json_string(json, "verdict", varve_verdict_name(verdict));
    json_number(json, "segment", segment);
    json_number(json, "offset", offset);
    json_number(json, "first_lsn", lsn_first);
    json_number(json, "last_lsn", lsn_last);
    json_string(json, "message", message);
    json_object_end(json);
}

static void repair_step(void *arg, const char *text)
{
    struct repair *repair = arg;

    if (!repair->is_json)
        repair_line(repair, text);
}

static void repair_text(struct repair *repair, const struct varve_repair_result *result)
{
    const struct varve_recovery *found = &result->found;
    const char *where = repair->to ? repair->to : repair->path;
    struct out *out = &repair->out;
    char bytes[UNITS_TEXT];

    out_string(out, where);
    if (result->damages == 0)
        out_print(out, ": nothing to repair\n");
    else if (repair->dry_run)
        out_print(out, ": would be repaired\n");
    else
        out_print(out, result->left == 0 ? ": repaired\n" : ": not repaired altogether\n");
    if (found->records > 0)
        out_print(out, "  kept       %" PRIu64 " records, of LSN %" PRIu64 " to %" PRIu64 "\n",
                  found->records, found->first_lsn, found->last_lsn);
    else
        out_print(out, "  kept       no records: there are none\n");
    if (found->lost_records > 0)
        out_print(out,
                  "  lost       %" PRIu64 " records, of LSN %" PRIu64 " to %" PRIu64
                  ", but for what is sound in them\n",
                  found->lost_records, found->lost_first, found->lost_last);
    if (result->lost_bytes > 0)
        out_print(out, "  set aside  %s, in lost/\n", units_bytes(bytes, result->lost_bytes));
    if (result->files > 0)
        out_print(out, "  files      %" PRIu64 " kept as .before-repair\n", result->files);
    if (result->damages == 0)
        return;
    if (repair->dry_run)
        out_print(
            out,
            "  what to do the same without --dry-run, or with --to NEW: then the log here stays as it is\n");
    else if (result->left > 0)
        out_print(out,
                  "  what to do 'varve verify' names the %" PRIu64 " places that are left; restore a copy\n",
                  result->left);
    else if (found->lost_records > 0)
        out_print(out,
                  "  what to do 'varve lost' lists what was set aside, and can append what is sound in it\n");
}

static void repair_json(struct repair *repair, const struct varve_repair_result *result)
{
    const struct varve_recovery *found = &result->found;
    struct json *json = &repair->json;

    json_bool(json, "dry_run", repair->dry_run);
    json_number(json, "damaged", result->damages);
    json_number(json, "left", result->left);
    json_number(json, "records_kept", found->records);
    json_number(json, "first_lsn", found->first_lsn);
    json_number(json, "last_lsn", found->last_lsn);
    json_number(json, "records_lost", found->lost_records);
    json_number(json, "lost_first", found->lost_first);
    json_number(json, "lost_last", found->lost_last);
    json_number(json, "bytes_set_aside", result->lost_bytes);
    json_number(json, "files_kept", result->files);
    json_bool(json, "manifest_made", result->manifest_made);
    json_bool(json, "pins_made", result->pins_made);
}

static int repair_log(struct repair *repair)
{
    struct varve_repair_result result = {.size = sizeof result};
    struct varve_options options = {.size = sizeof options};
    struct term_progress progress = {.what = "repair"};
    struct varve_error error;
    int rc;

    options.keys = keying_keys();
    options.progress = term_progress;
    options.progress_arg = &progress;
    repair->json = (struct json){.out = &repair->out};
    if (repair->is_json) {
        json_object(&repair->json, NULL);
        json_string(&repair->json, "path", repair->path);
        json_array(&repair->json, "damages");
    }
    rc = varve_repair(repair->path, repair->to, &options, repair->dry_run ? VARVE_REPAIR_DRY_RUN : 0,
                      repair_damage, repair_step, repair, &result, &error);
    term_progress_clear();
    if (repair->is_json) {
        json_array_end(&repair->json);
        if (rc)
            json_string(&repair->json, "error", varve_error_name(rc));
        else
            repair_json(repair, &result);
        json_object_end(&repair->json);
        json_line_end(&repair->json);
    } else if (rc == 0) {
        repair_text(repair, &result);
    }
    out_flush(&repair->out);
    if (rc)
        return say_library(repair->path, &error);
    return result.left == 0 ? EXIT_FINE : EXIT_FOUND;
}

static int repair_run(const struct cli_command *command, int argc, char **argv)
{
    struct repair repair = {.to = NULL};
    struct cli cli;
    int key, closed, rc;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (keying_option(&cli, key))
            continue;
        repair.dry_run |= key == KEY_DRY_RUN;
        repair.is_json |= key == KEY_JSON;
        if (key == KEY_TO)
            repair.to = cli.value;
    }
    if (!cli_operands(&cli, 1, 1))
        return cli.exit_code;
    if (repair.to && !*repair.to)
        return say_usage("--to: a directory is needed");
    repair.path = cli.operands[0];
    if (!out_open(&repair.out))
        return EXIT_FAILED;
    rc = repair_log(&repair);
    closed = out_close(&repair.out);
    return closed ? closed : rc;
}

const struct cli_command command_repair = {
    .name = "repair",
    .operands = "DIR",
    .summary = "bring a damaged log to a state that opens",
    .details = "Sets aside what is damaged in the log in DIR, so that it opens under every policy and\n"
               "verify finds it in order; says what is kept and what is lost. No byte of a segment is\n"
               "changed, and what has to make room is kept as NAME.before-repair; with --to nothing at\n"
               "all is changed in DIR. Ends with 1 when something is left that cannot be repaired, with\n"
               "--dry-run when there is something to repair. Refuses while another process has the log\n"
               "open, and without the key of an encrypted log. A good copy of the log is better.",
    .options = repair_options,
    .run = repair_run,
};
