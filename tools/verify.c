/* SPDX-License-Identifier: Apache-2.0 */
/* varve verify: reads every byte, checks every checksum, says what it means and what to do. */
#include <inttypes.h>

#include "commands.h"
#include "formats.h"
#include "json.h"
#include "keying.h"
#include "term.h"
#include "units.h"
#include "when.h"

#define KEY_STRICT (CLI_LONG + 0)
#define KEY_JSON   (CLI_LONG + 1)
#define KEY_POLICY (CLI_LONG + 2)

static const struct cli_option verify_options[] = {
    {KEY_STRICT, "strict", NULL, "end with 1 for a torn end too"},
    {KEY_JSON, "json", NULL, "one JSON object for each DIR"},
    {'q', "quiet", NULL, "only what is not as it should be"},
    KEYING_OPTIONS,
    FORMATS_OPTION,
    {KEY_POLICY, "policy", "POLICY",
     "halt: as --strict, and what aero is used to;\ntruncate, skip: a torn end is fine; damage never is"},
    CLI_OPTIONS_END,
};

struct verify {
    struct out out;
    const char *path; /* the log at hand */
    const char *format;
    enum varve_policy policy;
    struct json json;
    bool is_json, strict, quiet;
};

static enum term_colour verify_colour(enum varve_verdict verdict)
{
    if (verdict == VARVE_VERDICT_CLEAN_END)
        return TERM_GREEN;
    return verdict == VARVE_VERDICT_TORN ? TERM_YELLOW : TERM_RED;
}

static void verify_damage(void *arg, enum varve_verdict verdict, uint64_t segment, uint64_t offset,
                          uint64_t lsn_first, uint64_t lsn_last, const char *message)
{
    struct verify *verify = arg;
    struct json *json = &verify->json;

    if (verify->is_json) {
        json_object(json, NULL);
        json_string(json, "verdict", varve_verdict_name(verdict));
        json_number(json, "segment", segment);
        json_number(json, "offset", offset);
        json_number(json, "first_lsn", lsn_first);
        json_number(json, "last_lsn", lsn_last);
        json_string(json, "message", message);
        json_object_end(json);
        return;
    }
    term_progress_clear();
    out_string(&verify->out, verify->path);
    /* The message names file, offset and LSNs. */
    out_print(&verify->out, ": %s%s%s: ", term_colour(verify_colour(verdict)), varve_verdict_name(verdict),
              term_colour(TERM_PLAIN));
    out_string(&verify->out, message);
    out_byte(&verify->out, '\n');
    out_flush(&verify->out);
}

static bool verify_is_fine(const struct verify *verify, const struct varve_verify_result *result)
{
    const struct varve_format *format = varve_format_get(result->format);
    enum varve_policy policy = verify->policy || !format ? verify->policy : format->policy;

    if (result->found.verdict == VARVE_VERDICT_TORN)
        return result->damages == 0 && !verify->strict && policy != VARVE_POLICY_HALT;
    return result->damages == 0 && result->found.verdict == VARVE_VERDICT_CLEAN_END;
}

/* The others have no frames, and keep no note of how they were closed. */
static bool verify_is_native(const struct varve_verify_result *result)
{
    const struct varve_format *format = varve_format_get(result->format);

    return !format || (format->traits & VARVE_FORMAT_NATIVE);
}

static void verify_json(struct verify *verify, const struct varve_verify_result *result, uint64_t took_us)
{
    const struct varve_recovery *found = &result->found;
    struct json *json = &verify->json;

    json_string(json, "format", result->format);
    json_string(json, "verdict", varve_verdict_name(found->verdict));
    json_bool(json, "fine", verify_is_fine(verify, result));
    json_number(json, "first_lsn", found->first_lsn);
    json_number(json, "last_lsn", found->last_lsn);
    json_number(json, "records", found->records);
    json_number(json, "frames", found->frames);
    json_number(json, "marks", found->marks);
    json_number(json, "superseded_frames", result->superseded_frames);
    json_number(json, "segments", found->segments);
    json_number(json, "bytes", found->bytes);
    json_number(json, "lost_records", found->lost_records);
    json_number(json, "repaired", result->repaired);
    json_number(json, "repaired_records", result->repaired_records);
    json_number(json, "unread_frames", result->unread_frames);
    json_number(json, "unread_records", result->unread_records);
    if (result->unread_code)
        json_string(json, "unread_why", result->unread_why);
    else
        json_null(json, "unread_why");
    json_bool(json, "clean_shutdown", result->clean_shutdown);
    json_bool(json, "writer_alive", result->writer_alive);
    json_number(json, "duration_us", took_us);
}

static void verify_text(struct verify *verify, const struct varve_verify_result *result, uint64_t took_us)
{
    const struct varve_recovery *found = &result->found;
    struct out *out = &verify->out;
    char bytes[UNITS_TEXT], rate[UNITS_TEXT];

    if (verify->quiet && verify_is_fine(verify, result))
        return;
    out_string(out, verify->path);
    out_print(out, ": %s%s%s\n", term_colour(verify_colour(found->verdict)),
              varve_verdict_name(found->verdict), term_colour(TERM_PLAIN));
    if (found->records > 0)
        out_print(out, "  records    %" PRIu64 ", LSN %" PRIu64 " to %" PRIu64 "\n", found->records,
                  found->first_lsn, found->last_lsn);
    else
        out_print(out, "  records    none\n");
    if (found->lost_records > 0)
        out_print(out, "  gone       %" PRIu64 " records, from LSN %" PRIu64 " to %" PRIu64 "\n",
                  found->lost_records, found->lost_first, found->lost_last);
    if (result->repaired > 0)
        out_print(out,
                  "  repaired   %" PRIu64 " place%s, at which %" PRIu64 " records are gone: see varve lost\n",
                  result->repaired, result->repaired == 1 ? "" : "s", result->repaired_records);
    if (!verify_is_native(result))
        out_print(out, "  format     %s\n", result->format);
    out_print(out, "  read       %" PRIu64 " segments", found->segments);
    if (verify_is_native(result))
        out_print(out, ", %" PRIu64 " frames, %" PRIu64 " marks", found->frames, found->marks);
    out_print(out, "; %" PRIu64 " bytes (%s) in %.3f s, %s/s\n", found->bytes,
              units_bytes(bytes, found->bytes), (double)took_us / 1e6,
              units_bytes(rate, (uint64_t)(units_ratio(found->bytes, took_us) * 1e6)));
    if (result->unread_records > 0) {
        out_print(out, "  not read   %" PRIu64 " records", result->unread_records);
        if (result->unread_frames > 0)
            out_print(out, " in %" PRIu64 " frames", result->unread_frames);
        out_string(out, ", whose checksums match: ");
        out_string(out, result->unread_why);
        out_byte(out, '\n');
    }
    if (result->superseded_frames > 0)
        out_print(out, "  superseded %" PRIu64 " frames behind an earlier tear, no part of the log\n",
                  result->superseded_frames);
    if (result->writer_alive)
        out_print(out, "  writer     at work: the end was still moving\n");
    else if (verify_is_native(result))
        out_print(out, "  writer     %s\n",
                  result->clean_shutdown ? "none; the log was closed in order"
                                         : "none; the last one did not close");
    out_print(out, "  what to do %s\n",
              found->verdict == VARVE_VERDICT_TORN && !verify_is_fine(verify, result)
                  ? "open it with the policy truncate, which removes the torn tail: it was never acknowledged"
                  : say_verdict_remedy(found->verdict));
}

static int verify_log(struct verify *verify, const char *path)
{
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_options options = {.size = sizeof options};
    struct term_progress progress = {.what = "verify"};
    uint64_t begun_us = when_clock_us();
    struct varve_error error;
    int rc;

    verify->path = path;
    options.format = verify->format;
    options.policy = verify->policy;
    options.keys = keying_keys();
    options.message = say_message;
    options.message_level = VARVE_MESSAGE_WARNING;
    options.progress = term_progress;
    options.progress_arg = &progress;
    if (verify->is_json) {
        verify->json = (struct json){.out = &verify->out};
        json_object(&verify->json, NULL);
        json_string(&verify->json, "path", path);
        json_array(&verify->json, "damages");
    }
    rc = varve_verify(path, &options, verify_damage, verify, &result, &error);
    term_progress_clear();
    if (verify->is_json) {
        json_array_end(&verify->json);
        if (rc)
            json_string(&verify->json, "error", varve_error_name(rc));
        else
            verify_json(verify, &result, when_clock_us() - begun_us);
        json_object_end(&verify->json);
        json_line_end(&verify->json);
    } else if (rc == 0) {
        verify_text(verify, &result, when_clock_us() - begun_us);
    }
    out_flush(&verify->out);
    if (rc)
        return say_library(path, &error);
    return verify_is_fine(verify, &result) ? EXIT_FINE : EXIT_FOUND;
}

static int verify_run(const struct cli_command *command, int argc, char **argv)
{
    struct verify verify = {.strict = false};
    int key, closed, worst = EXIT_FINE;
    struct cli cli;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (keying_option(&cli, key))
            continue;
        verify.strict |= key == KEY_STRICT;
        verify.is_json |= key == KEY_JSON;
        verify.quiet |= key == 'q';
        if (key == FORMATS_KEY)
            verify.format = formats_value(&cli);
        else if (key == KEY_POLICY)
            verify.policy = (enum varve_policy)cli_choice(&cli, cli_policies);
    }
    if (!cli_operands(&cli, 1, SIZE_MAX))
        return cli.exit_code;
    if (!out_open(&verify.out))
        return EXIT_FAILED;
    for (size_t i = 0; i < cli.operand_count && !verify.out.failed; i++) {
        int rc = verify_log(&verify, cli.operands[i]);

        /* "Could not be checked" outranks "is damaged": the numbers are in that order. */
        worst = rc > worst ? rc : worst;
    }
    closed = out_close(&verify.out);
    return closed ? closed : worst;
}

const struct cli_command command_verify = {
    .name = "verify",
    .operands = "DIR...",
    .summary = "check every byte of a log, changing none",
    .details = "Reads every byte of the log in each DIR, checks every checksum and says what it\n"
               "found and what to do. Ends with 1 when acknowledged data is damaged or missing; a\n"
               "torn end, of which nothing was acknowledged, counts with --strict only. Of an\n"
               "encrypted log it checks without the key all but the records themselves.",
    .options = verify_options,
    .run = verify_run,
};
