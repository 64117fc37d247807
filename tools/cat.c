/* SPDX-License-Identifier: Apache-2.0 */
/* varve cat: the payloads of a log, byte for byte what was appended. */
#include "commands.h"
#include "formats.h"
#include "keying.h"
#include "reading.h"
#include "units.h"
#include "when.h"

#define KEY_FROM   (CLI_LONG + 0)
#define KEY_TO     (CLI_LONG + 1)
#define KEY_POLICY (CLI_LONG + 2)

static const struct cli_option cat_options[] = {
    {KEY_FROM, "from", "LSN|TIME", "begin there (default: the first record)"},
    {KEY_TO, "to", "LSN|TIME", "end there, that included"},
    EMIT_OPTIONS,
    KEYING_OPTIONS,
    FORMATS_OPTION,
    {KEY_POLICY, "policy", "POLICY",
     "at damage: truncate and halt end with an error,\n"
     "halt at a torn end too; skip goes on after it;\ndefault: what the format is used to"},
    CLI_OPTIONS_END,
};

/* One end of the range. */
struct cat_bound {
    bool by_time;
    uint64_t value;
};

struct cat {
    struct reading reading;
    struct emit emit;
    struct cat_bound from, to;
};

/* Digits alone are an LSN; a moment never is digits alone. */
static struct cat_bound cat_bound(struct cli *cli)
{
    struct cat_bound bound = {.by_time = false};

    if (units_number(cli->value, &bound.value))
        return bound;
    bound.by_time = true;
    if (!when_parse(cli->value, when_now_us(), &bound.value))
        cli_bad_value(cli, "neither an LSN nor a time (2026-03-01T12:30:00Z, @1772366400, -10m)");
    return bound;
}

static bool cat_is_past(const struct cat *cat, const struct varve_entry *entry)
{
    return (cat->to.by_time ? entry->time_us : entry->lsn) > cat->to.value;
}

static int cat_records(struct cat *cat)
{
    struct varve_entry entry;
    int rc = reading_seek(&cat->reading, cat->from.by_time, cat->from.value);

    if (rc)
        return rc;
    while ((rc = varve_cursor_next(cat->reading.cursor, &entry)) == 0) {
        if (cat_is_past(cat, &entry) || !emit_entry(&cat->emit, &entry))
            break;
    }
    if (rc < 0)
        return reading_failed(&cat->reading, &cat->emit, rc);
    return reading_ended(&cat->reading, &cat->emit);
}

static int cat_run(const struct cli_command *command, int argc, char **argv)
{
    struct cat cat = {.to = {.value = UINT64_MAX}};
    struct cli cli;
    int key, rc, closed;

    emit_init(&cat.emit);
    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (emit_option(&cat.emit, &cli, key) || keying_option(&cli, key))
            continue;
        if (key == KEY_FROM)
            cat.from = cat_bound(&cli);
        else if (key == KEY_TO)
            cat.to = cat_bound(&cli);
        else if (key == FORMATS_KEY)
            cat.reading.format = formats_value(&cli);
        else if (key == KEY_POLICY)
            cat.reading.policy = (enum varve_policy)cli_choice(&cli, cli_policies);
    }
    if (!cli_operands(&cli, 1, 1))
        return cli.exit_code;
    if (!out_open(&cat.emit.out))
        return EXIT_FAILED;
    cat.reading.path = cli.operands[0];
    rc = reading_open(&cat.reading);
    if (rc == EXIT_FINE)
        cat.emit.format = varve_log_format(cat.reading.log);
    if (rc == EXIT_FINE && cat.emit.limit > 0)
        rc = cat_records(&cat);
    reading_close(&cat.reading);
    closed = out_close(&cat.emit.out);
    return closed ? closed : rc;
}

const struct cli_command command_cat = {
    .name = "cat",
    .operands = "DIR",
    .summary = "write records to standard output",
    .details = "Writes the payloads of the log in DIR to standard output, in the order of their\n"
               "LSNs, each followed by a newline. Works beside a live writer, up to what is\n"
               "durable. Of a damaged log it writes the sound part, then says what is wrong.",
    .options = cat_options,
    .run = cat_run,
};
