/* SPDX-License-Identifier: Apache-2.0 */
/* varve convert: the records of a log in a new log, in another format. */
#include <inttypes.h>

#include "commands.h"
#include "formats.h"
#include "keying.h"
#include "term.h"
#include "units.h"

#define KEY_TO            (CLI_LONG + 0)
#define KEY_LOSSY         (CLI_LONG + 1)
#define KEY_POLICY        (CLI_LONG + 2)
#define KEY_CODEC         (CLI_LONG + 3)
#define KEY_DICTIONARY    (CLI_LONG + 4)
#define KEY_SEGMENT_BYTES (CLI_LONG + 5)

static const struct cli_option convert_options[] = {
    {KEY_TO, "to", "NAME", "format of the new log, one of 'varve formats'\n(default varve)"},
    FORMATS_OPTION,
    {KEY_LOSSY, "lossy", NULL, "go on without what the new format cannot hold"},
    {KEY_POLICY, "policy", "POLICY",
     "at damage in the old log: truncate and halt\nrefuse, halt at a torn end too; skip goes past it"},
    {KEY_SEGMENT_BYTES, "segment-bytes", "SIZE", "size of a file of the new log (its format's own)"},
    {KEY_CODEC, "codec", "NAME[:LEVEL]",
     "of the new log (identity): lz4, zstd,\naes-256-gcm or zstd+aes-256-gcm"},
    {KEY_DICTIONARY, "dictionary", "FILE", "for zstd, made by 'varve train'"},
    {'q', "quiet", NULL, "say nothing when all went well"},
    KEYING_OPTIONS,
    CLI_OPTIONS_END,
};

struct convert {
    const char *source, *target;
    struct varve_options from, to;
    unsigned flags;
    bool quiet;
    unsigned told;
};

static void convert_told(void *arg, const char *text)
{
    struct convert *convert = arg;

    convert->told++;
    if (!convert->quiet || !(convert->flags & VARVE_CONVERT_LOSSY))
        say("%s: %s", convert->source, text);
}

static void convert_done(const struct convert *convert, const struct varve_convert_result *result)
{
    if (result->verdict == VARVE_VERDICT_TORN)
        say("%s: it ends in a torn write, which stays behind", convert->source);
    if (result->lost_records > 0)
        say("%s: %" PRIu64 " record%s passed over as damaged", convert->source, result->lost_records,
            result->lost_records == 1 ? "" : "s");
    if (convert->quiet)
        return;
    if (result->records == 0)
        say("%s: no records; verified", convert->target);
    else
        say("%s: %" PRIu64 " record%s, LSN %" PRIu64 " to %" PRIu64 ", %" PRIu64 " bytes; verified",
            convert->target, result->records, result->records == 1 ? "" : "s", result->first_lsn,
            result->last_lsn, result->payload_bytes);
}

static int convert_log(struct convert *convert)
{
    struct term_progress progress = {.what = "converting"};
    struct varve_convert_result result = {.size = sizeof result};
    struct varve_error error;
    int rc;

    convert->from.keys = convert->to.keys = keying_keys();
    convert->from.progress = term_progress;
    convert->from.progress_arg = &progress;
    convert->to.message = say_message;
    convert->to.message_level = VARVE_MESSAGE_WARNING;
    rc = varve_convert(convert->source, &convert->from, convert->target, &convert->to, convert->flags,
                       convert_told, convert, &result, &error);
    term_progress_clear();
    if (rc == VARVE_E_UNSUPPORTED && convert->told > 0) {
        say("%s; nothing was written", error.message);
        say_to_do("choose another format, or give --lossy to go on without that");
        return EXIT_FAILED;
    }
    if (rc)
        return say_library(convert->target, &error);
    convert_done(convert, &result);
    return result.lost_records > 0 ? EXIT_FOUND : EXIT_FINE;
}

static void convert_option(struct convert *convert, struct cli *cli, int key)
{
    switch (key) {
    case KEY_TO:
        convert->to.format = formats_value(cli);
        break;
    case FORMATS_KEY:
        convert->from.format = formats_value(cli);
        break;
    case KEY_LOSSY:
        convert->flags |= VARVE_CONVERT_LOSSY;
        break;
    case KEY_POLICY:
        convert->from.policy = (enum varve_policy)cli_choice(cli, cli_policies);
        break;
    case KEY_SEGMENT_BYTES:
        convert->to.segment_bytes = cli_size(cli, 1024, UINT64_C(4) << 30);
        break;
    case KEY_CODEC:
        keying_codec(cli, &convert->to);
        break;
    case KEY_DICTIONARY:
        keying_dictionary(cli, &convert->to);
        break;
    default:
        convert->quiet |= key == 'q';
        break;
    }
}

static int convert_run(const struct cli_command *command, int argc, char **argv)
{
    struct convert convert = {.from.size = sizeof convert.from, .to.size = sizeof convert.to};
    struct cli cli;
    int key;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0)
        if (!keying_option(&cli, key))
            convert_option(&convert, &cli, key);
    if (!cli_operands(&cli, 2, 2))
        return cli.exit_code;
    convert.source = cli.operands[0];
    convert.target = cli.operands[1];
    return convert_log(&convert);
}

const struct cli_command command_convert = {
    .name = "convert",
    .operands = "DIR NEWDIR",
    .summary = "copy a log into another format",
    .details = "Copies every record of the log in DIR, which nobody may be writing, to a new log in\n"
               "NEWDIR, which must not be there or be empty. Says what the new format cannot hold, and\n"
               "without --lossy writes nothing then. NEWDIR appears when it is whole, durable and was\n"
               "read again; what is cut short stays as NEWDIR.converting, and is to be removed.",
    .options = convert_options,
    .run = convert_run,
};
