/* SPDX-License-Identifier: Apache-2.0 */
/* varve rekey: the same log in a new directory, under another codec or key. */
#include <inttypes.h>

#include "commands.h"
#include "keying.h"
#include "term.h"
#include "units.h"

#define KEY_CODEC         (CLI_LONG + 0)
#define KEY_DICTIONARY    (CLI_LONG + 1)
#define KEY_SEGMENT_BYTES (CLI_LONG + 2)

static const struct cli_option rekey_options[] = {
    {KEY_CODEC, "codec", "NAME[:LEVEL]",
     "of the new log (that of the old one): identity,\nlz4, zstd, aes-256-gcm or zstd+aes-256-gcm"},
    {KEY_DICTIONARY, "dictionary", "FILE", "for zstd (that of the old one); '-' for none"},
    {KEY_SEGMENT_BYTES, "segment-bytes", "SIZE", "size of a segment (that of the old one)"},
    {'q', "quiet", NULL, "say nothing when all went well"},
    KEYING_OPTIONS,
    CLI_OPTIONS_END,
};

static int rekey_log(const char *source, const char *target, struct varve_options *options, bool quiet)
{
    struct term_progress progress = {.what = "copying"};
    struct varve_rekey_result result = {.size = sizeof result};
    struct varve_error error;
    int rc;

    options->keys = keying_keys();
    options->message = say_message;
    options->message_level = VARVE_MESSAGE_WARNING;
    options->progress = term_progress;
    options->progress_arg = &progress;
    rc = varve_rekey(source, target, options, &result, &error);
    term_progress_clear();
    if (rc)
        return say_library(target, &error);
    if (quiet)
        return EXIT_FINE;
    if (result.records == 0)
        say("%s: no records; verified", target);
    else
        say("%s: %" PRIu64 " record%s, LSN %" PRIu64 " to %" PRIu64 ", %" PRIu64 " bytes as %" PRIu64
            "; verified",
            target, result.records, result.records == 1 ? "" : "s", result.first_lsn, result.last_lsn,
            result.raw_bytes, result.stored_bytes);
    return EXIT_FINE;
}

static int rekey_run(const struct cli_command *command, int argc, char **argv)
{
    struct varve_options options = {.size = sizeof options};
    bool quiet = false;
    struct cli cli;
    int key;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (keying_option(&cli, key))
            continue;
        if (key == KEY_CODEC)
            keying_codec(&cli, &options);
        else if (key == KEY_DICTIONARY)
            keying_dictionary(&cli, &options);
        else if (key == KEY_SEGMENT_BYTES)
            options.segment_bytes = cli_size(&cli, 1u << 20, UINT64_C(4) << 30);
        else
            quiet |= key == 'q';
    }
    if (!cli_operands(&cli, 2, 2))
        return cli.exit_code;
    return rekey_log(cli.operands[0], cli.operands[1], &options, quiet);
}

const struct cli_command command_rekey = {
    .name = "rekey",
    .operands = "DIR NEWDIR",
    .summary = "copy a log under another key or codec",
    .details = "Copies the log in DIR, which nobody may be writing, to NEWDIR, which must not be there:\n"
               "the same records with their LSNs and times, encrypted under the newest key that is\n"
               "given. Keys of the old log are given as well. What is cut short is refused by every\n"
               "command until it is removed; what ends with 0 was read again and compared.",
    .options = rekey_options,
    .run = rekey_run,
};
