/* SPDX-License-Identifier: Apache-2.0 */
/* varve dump: what lies where in a log, or in one segment file, sound or not. */
#include "dump.h"

#include "commands.h"
#include "formats.h"
#include "keying.h"

#define KEY_HEX        (CLI_LONG + 0)
#define KEY_JSON       (CLI_LONG + 1)
#define KEY_NO_RECORDS (CLI_LONG + 2)
#define KEY_POLICY     (CLI_LONG + 3)
#define KEY_OPERATIONS (CLI_LONG + 4)

/* Ends the walk: the output failed. No code of the library's, which are negative. */
#define DUMP_STOP 1000

static const struct cli_option dump_options[] = {
    {KEY_HEX, "hex", NULL, "the payloads too, in hexadecimal"},
    {KEY_OPERATIONS, "operations", NULL,
     "what the records say too: operations of a\nkey-value engine, and of the formats that have\nsome"},
    {KEY_NO_RECORDS, "no-records", NULL, "segments and frames only"},
    KEYING_OPTIONS,
    FORMATS_OPTION,
    {KEY_POLICY, "policy", "POLICY",
     "at damage: truncate ends behind it, halt at a\ntorn end too; skip (default) shows all there is"},
    {KEY_JSON, "json", NULL, "one JSON object for each segment, frame,\nrecord and gap"},
    CLI_OPTIONS_END,
};

const char *dump_segment_state(enum varve_segment_state state)
{
    switch (state) {
    case VARVE_SEGMENT_SOUND:
        return "sound";
    case VARVE_SEGMENT_EMPTY:
        return "empty";
    case VARVE_SEGMENT_DAMAGED:
        return "damaged header";
    case VARVE_SEGMENT_FOREIGN:
        return "foreign";
    case VARVE_SEGMENT_UNKNOWN:
        return "unknown version";
    }
    return "?";
}

const char *dump_frame_state(enum varve_frame_state state)
{
    switch (state) {
    case VARVE_FRAME_SOUND:
        return "sound";
    case VARVE_FRAME_BAD_HEADER:
        return "damaged header";
    case VARVE_FRAME_BAD_BODY:
        return "damaged body";
    case VARVE_FRAME_SUPERSEDED:
        return "superseded";
    }
    return "?";
}

struct dump_walk {
    struct dump dump;
    bool json;
    enum varve_policy policy;
    struct varve_visitor visitor;
};

/* `damaged`: what was shown last was. */
static int dump_go_on(struct dump_walk *walk, bool damaged)
{
    bool halts = walk->policy == VARVE_POLICY_TRUNCATE || walk->policy == VARVE_POLICY_HALT;

    walk->dump.damaged |= damaged;
    return walk->dump.out.failed || (halts && damaged) ? DUMP_STOP : 0;
}

static int dump_segment(void *arg, const struct varve_segment_info *segment)
{
    struct dump_walk *walk = arg;
    struct dump *dump = &walk->dump;

    dump->segment = segment->number;
    dump->format = varve_format_get(segment->format);
    (walk->json ? dump_json_segment : dump_text_segment)(dump, segment);
    return dump_go_on(walk, segment->state != VARVE_SEGMENT_SOUND && segment->state != VARVE_SEGMENT_EMPTY);
}

static int dump_frame(void *arg, const struct varve_frame_info *frame)
{
    struct dump_walk *walk = arg;
    struct dump *dump = &walk->dump;

    dump->frame_offset = frame->offset;
    (walk->json ? dump_json_frame : dump_text_frame)(dump, frame);
    return dump_go_on(walk, frame->state == VARVE_FRAME_BAD_HEADER || frame->state == VARVE_FRAME_BAD_BODY ||
                                frame->unread == VARVE_E_CORRUPT);
}

static int dump_record(void *arg, const struct varve_record_info *record)
{
    struct dump_walk *walk = arg;
    struct dump *dump = &walk->dump;

    (walk->json ? dump_json_record : dump_text_record)(dump, record);
    return dump_go_on(walk, !record->sound);
}

static int dump_gap(void *arg, uint64_t segment, uint64_t offset, uint64_t bytes, enum varve_verdict verdict)
{
    struct dump_walk *walk = arg;
    struct dump *dump = &walk->dump;

    dump->segment = segment;
    dump->damaged |= verdict == VARVE_VERDICT_TORN;
    (walk->json ? dump_json_gap : dump_text_gap)(dump, offset, bytes, verdict);
    return dump_go_on(walk, verdict != VARVE_VERDICT_CLEAN_END &&
                                (verdict != VARVE_VERDICT_TORN || walk->policy == VARVE_POLICY_HALT));
}

static int dump_run(const struct cli_command *command, int argc, char **argv)
{
    struct dump_walk walk = {.visitor = {.size = sizeof walk.visitor, .arg = &walk}};
    struct varve_error error;
    struct cli cli;
    int key, rc, closed;

    walk.visitor.segment = dump_segment;
    walk.visitor.frame = dump_frame;
    walk.visitor.record = dump_record;
    walk.visitor.gap = dump_gap;
    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (keying_option(&cli, key))
            continue;
        if (key == KEY_HEX)
            walk.dump.hex = true;
        else if (key == KEY_OPERATIONS)
            walk.dump.operations = true;
        else if (key == KEY_JSON)
            walk.json = true;
        else if (key == KEY_NO_RECORDS)
            walk.visitor.record = NULL;
        else if (key == FORMATS_KEY)
            walk.visitor.format = formats_value(&cli);
        else if (key == KEY_POLICY)
            walk.policy = (enum varve_policy)cli_choice(&cli, cli_policies);
    }
    if (!cli_operands(&cli, 1, 1))
        return cli.exit_code;
    if (walk.dump.hex && !walk.visitor.record)
        return say_usage("--hex and --no-records exclude each other");
    if (walk.dump.operations && !walk.visitor.record)
        return say_usage("--operations and --no-records exclude each other");
    if (!out_open(&walk.dump.out))
        return EXIT_FAILED;
    walk.visitor.keys = keying_keys();
    rc = varve_inspect(cli.operands[0], NULL, &walk.visitor, &error);
    closed = out_close(&walk.dump.out);
    if (closed)
        return closed;
    if (rc && rc != DUMP_STOP)
        return say_library(cli.operands[0], &error);
    return walk.dump.damaged ? EXIT_FOUND : EXIT_FINE;
}

const struct cli_command command_dump = {
    .name = "dump",
    .operands = "DIR|FILE",
    .summary = "show segments, frames and records, sound or not",
    .details = "Shows every segment, frame and record of the log in DIR, or of one segment FILE,\n"
               "with where it lies, its LSN, time and checksum. Reads damaged logs as well, and\n"
               "then ends with 1.",
    .options = dump_options,
    .run = dump_run,
};
