/* SPDX-License-Identifier: Apache-2.0 */
/* varve tail: the last records of a log, and those that are still to come. */
#include "commands.h"
#include "formats.h"
#include "keying.h"
#include "reading.h"

#define TAIL_DEFAULT 10

#define KEY_POLICY (CLI_LONG + 0)

/* How often a quiet log is left to see whether anybody still reads what this writes. */
#define TAIL_LOOK_MS 1000

static const struct cli_option tail_options[] = {
    {'n', "lines", "N", "begin N records before the end (default 10)"},
    {'f', "follow", NULL, "go on with what is appended"},
    EMIT_OPTIONS,
    KEYING_OPTIONS,
    FORMATS_OPTION,
    {KEY_POLICY, "policy", "POLICY", "at damage: truncate, halt or skip, as for cat"},
    CLI_OPTIONS_END,
};

struct tail {
    struct reading reading;
    struct emit emit;
    uint64_t records;
    bool follow;
};

static int tail_seek(struct tail *tail)
{
    uint64_t first = varve_first_lsn(tail->reading.log);
    uint64_t last = varve_last_lsn(tail->reading.log);
    uint64_t from = last >= tail->records ? last - tail->records + 1 : 1;

    return reading_seek(&tail->reading, false, from > first ? from : first);
}

/* Waits for the next record. VARVE_END: nobody is left to read it, or what was written failed. */
static int tail_wait(struct tail *tail, struct varve_entry *entry)
{
    int rc;

    do {
        if (!out_flush(&tail->emit.out) || out_is_abandoned(&tail->emit.out))
            return VARVE_END;
        rc = varve_cursor_follow(tail->reading.cursor, TAIL_LOOK_MS, entry);
    } while (rc == VARVE_END);
    return rc;
}

static int tail_records(struct tail *tail)
{
    struct varve_entry entry;
    int rc = tail_seek(tail);

    if (rc)
        return rc;
    do {
        rc = varve_cursor_next(tail->reading.cursor, &entry);
        if (rc == VARVE_END && tail->follow)
            rc = tail_wait(tail, &entry);
    } while (rc == 0 && emit_entry(&tail->emit, &entry));
    if (rc < 0)
        return reading_failed(&tail->reading, &tail->emit, rc);
    return tail->follow ? EXIT_FINE : reading_ended(&tail->reading, &tail->emit);
}

static int tail_run(const struct cli_command *command, int argc, char **argv)
{
    struct tail tail = {.records = TAIL_DEFAULT};
    struct cli cli;
    int key, rc, closed;

    emit_init(&tail.emit);
    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (emit_option(&tail.emit, &cli, key) || keying_option(&cli, key))
            continue;
        if (key == 'n')
            tail.records = cli_number(&cli, 0, UINT64_MAX);
        else if (key == 'f')
            tail.follow = true;
        else if (key == FORMATS_KEY)
            tail.reading.format = formats_value(&cli);
        else if (key == KEY_POLICY)
            tail.reading.policy = (enum varve_policy)cli_choice(&cli, cli_policies);
    }
    if (!cli_operands(&cli, 1, 1))
        return cli.exit_code;
    if (!out_open(&tail.emit.out))
        return EXIT_FAILED;
    tail.reading.path = cli.operands[0];
    rc = reading_open(&tail.reading);
    if (rc == EXIT_FINE)
        tail.emit.format = varve_log_format(tail.reading.log);
    if (rc == EXIT_FINE && tail.emit.limit > 0)
        rc = tail_records(&tail);
    reading_close(&tail.reading);
    closed = out_close(&tail.emit.out);
    return closed ? closed : rc;
}

const struct cli_command command_tail = {
    .name = "tail",
    .operands = "DIR",
    .summary = "write the last records, and with -f those to come",
    .details = "Writes the payloads of the last records of the log in DIR to standard output,\n"
               "each followed by a newline. With -f it goes on with every record that becomes\n"
               "durable, until it is stopped. --type chooses among the last N records.",
    .options = tail_options,
    .run = tail_run,
};
