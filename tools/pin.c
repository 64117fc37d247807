/* SPDX-License-Identifier: Apache-2.0 */
/* varve pin: named positions from which somebody still needs a log. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "changing.h"
#include "commands.h"
#include "keying.h"
#include "pins.h"

#define KEY_LSN         (CLI_LONG + 0)
#define KEY_OWNER       (CLI_LONG + 1)
#define KEY_MAX_RECORDS (CLI_LONG + 2)
#define KEY_MAX_BYTES   (CLI_LONG + 3)
#define KEY_MAX_AGE     (CLI_LONG + 4)
#define KEY_JSON        (CLI_LONG + 5)

static const struct cli_option pin_options[] = {
    {KEY_LSN, "lsn", "LSN", "set, move: the first record that has to stay;\nset: the log's first without it"},
    {KEY_OWNER, "owner", "TEXT", "set: who needs it"},
    {KEY_MAX_RECORDS, "max-records", "NUMBER", "set: dropped when more records behind"},
    {KEY_MAX_BYTES, "max-bytes", "SIZE", "set: dropped when more bytes behind"},
    {KEY_MAX_AGE, "max-age", "DURATION", "set: dropped when its record is older: 90s, 12h,\n7d"},
    {KEY_JSON, "json", NULL, "list: one JSON object"},
    KEYING_OPTIONS,
    CLI_OPTIONS_END,
};

enum pin_action {
    PIN_LIST,
    PIN_SET,
    PIN_MOVE,
    PIN_DROP,
};

static const char *const pin_actions[] = {"list", "set", "move", "drop"};

struct pin_wish {
    const char *path;
    enum pin_action action;
    struct varve_pin pin;
    bool json;
    bool has_lsn, has_others; /* options that were given */
};

static int pin_list(const struct pin_wish *wish)
{
    struct varve_error error;
    struct pins pins;
    struct out out;
    int rc = pins_read(wish->path, NULL, &pins, &error);

    if (rc) {
        pins_free(&pins);
        return say_library(wish->path, &error);
    }
    if (!out_open(&out)) {
        pins_free(&pins);
        return EXIT_FAILED;
    }
    if (wish->json) {
        struct json json = {.out = &out};

        json_object(&json, NULL);
        json_string(&json, "path", wish->path);
        pins_json(&json, &pins);
        json_object_end(&json);
        json_line_end(&json);
    } else {
        pins_text(&out, "", &pins);
    }
    pins_free(&pins);
    return out_close(&out);
}

static int pin_change(const struct pin_wish *wish)
{
    struct varve_error error;
    struct varve_log *log;
    int rc, failed = changing_open(wish->path, &log);

    if (failed)
        return failed;
    if (wish->action == PIN_SET)
        rc = varve_pin_set(log, &wish->pin, &error);
    else if (wish->action == PIN_MOVE)
        rc = varve_pin_move(log, wish->pin.name, wish->pin.lsn, 0, &error);
    else
        rc = varve_pin_drop(log, wish->pin.name, &error);
    return changing_close(wish->path, log, rc ? say_library(wish->path, &error) : EXIT_FINE);
}

/* Copies a value into a field of the pin; what does not fit is refused here, the rest by the library. */
static void pin_text(struct cli *cli, char field[VARVE_PIN_TEXT_BYTES])
{
    size_t chars = strlen(cli->value);

    if (chars >= VARVE_PIN_TEXT_BYTES)
        cli_bad_value(cli, "longer than 63 bytes");
    else
        memcpy(field, cli->value, chars + 1);
}

static void pin_option(struct cli *cli, int key, struct pin_wish *wish)
{
    wish->has_lsn |= key == KEY_LSN;
    wish->has_others |= key != KEY_LSN && key != KEY_JSON;
    wish->json |= key == KEY_JSON;
    if (key == KEY_LSN)
        wish->pin.lsn = cli_number(cli, 1, UINT64_MAX);
    else if (key == KEY_OWNER)
        pin_text(cli, wish->pin.owner);
    else if (key == KEY_MAX_RECORDS)
        wish->pin.max_records = cli_number(cli, 1, UINT64_MAX);
    else if (key == KEY_MAX_BYTES)
        wish->pin.max_bytes = cli_size(cli, 1, UINT64_MAX);
    else if (key == KEY_MAX_AGE)
        wish->pin.max_age_ms = cli_duration(cli, 1);
}

/* The operands behind the directory. EXIT_FINE, or what a usage error comes to. */
static int pin_operands(const struct cli *cli, struct pin_wish *wish)
{
    const char *action = cli->operand_count > 1 ? cli->operands[1] : "list";
    size_t i = 0, count = sizeof pin_actions / sizeof pin_actions[0];

    wish->path = cli->operands[0];
    while (i < count && strcmp(pin_actions[i], action) != 0)
        i++;
    if (i == count)
        return say_usage("'%s': must be one of list set move drop", action);
    wish->action = (enum pin_action)i;
    if (wish->action == PIN_LIST && cli->operand_count > 2)
        return say_usage("unexpected argument '%s'", cli->operands[2]);
    if (wish->action != PIN_LIST && cli->operand_count < 3)
        return say_usage("%s: NAME is missing", action);
    if (wish->action == PIN_MOVE && !wish->has_lsn)
        return say_usage("move: --lsn LSN is missing");
    if ((wish->has_lsn && wish->action != PIN_SET && wish->action != PIN_MOVE) ||
        (wish->has_others && wish->action != PIN_SET) || (wish->json && wish->action != PIN_LIST))
        return say_usage("%s: an option does not go with it", action);
    if (wish->action == PIN_LIST)
        return EXIT_FINE;
    if (strlen(cli->operands[2]) >= sizeof wish->pin.name)
        return say_usage("'%s': a name has at most 63 bytes", cli->operands[2]);
    snprintf(wish->pin.name, sizeof wish->pin.name, "%s", cli->operands[2]);
    return EXIT_FINE;
}

static int pin_run(const struct cli_command *command, int argc, char **argv)
{
    struct pin_wish wish = {.pin = {.size = sizeof wish.pin}};
    struct cli cli;
    int key, rc;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (!keying_option(&cli, key))
            pin_option(&cli, key, &wish);
    }
    if (!cli_operands(&cli, 1, 3))
        return cli.exit_code;
    rc = pin_operands(&cli, &wish);
    if (rc)
        return rc;
    return wish.action == PIN_LIST ? pin_list(&wish) : pin_change(&wish);
}

const struct cli_command command_pin = {
    .name = "pin",
    .operands = "DIR [list | set NAME | move NAME | drop NAME]",
    .summary = "what keeps old records: list, set, move, drop",
    .details = "A pin is a named position in the log in DIR from which somebody still needs it: no\n"
               "record at or past it is removed. It only moves forward. Listing works beside a\n"
               "writer; to set, move or drop one needs the log for itself: a program that has it\n"
               "open does that with the library.",
    .options = pin_options,
    .run = pin_run,
};
