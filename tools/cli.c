/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "units.h"

#define CLI_OPTIONS_MAX 40
#define CLI_HELP_COLUMN 30

const char *const cli_durabilities[] = {"default", "memory", "buffered", "interval", "group", "strict", NULL};
const char *const cli_backends[] = {"auto", "direct", "buffered", "mmap", NULL};
const char *const cli_policies[] = {"default", "truncate", "halt", "skip", NULL};

static int cli_has_argument(const struct cli_option *option)
{
    if (!option->value)
        return no_argument;
    return option->value[0] == '[' ? optional_argument : required_argument;
}

static void cli_add_letter(struct cli *cli, const struct cli_option *option)
{
    size_t used = strlen(cli->letters);

    if (option->key >= CLI_LONG || used + 3 >= sizeof cli->letters)
        return;
    cli->letters[used++] = (char)option->key;
    if (cli_has_argument(option) == required_argument)
        cli->letters[used++] = ':';
    cli->letters[used] = '\0';
}

void cli_start(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    *cli = (struct cli){.command = command, .argc = argc, .argv = argv};
    /* A leading ':' keeps getopt quiet and tells a missing value from an unknown option. */
    memcpy(cli->letters, ":h", sizeof ":h");
    for (const struct cli_option *option = command->options; option->key; option++)
        cli_add_letter(cli, option);
    optind = 1;
}

static void cli_end(struct cli *cli, int exit_code)
{
    cli->stop = true;
    cli->exit_code = exit_code;
}

static const struct cli_option *cli_find(const struct cli_command *command, int key)
{
    for (const struct cli_option *option = command->options; option->key; option++)
        if (option->key == key)
            return option;
    return NULL;
}

/* getopt found something wrong: says what. It leaves the letter, or the key of the long option, in optopt,
 * and 0 there for a long option that it does not know. */
static void cli_refuse(struct cli *cli, int what)
{
    const char *argument = cli->argv[optind - 1];
    const struct cli_option *option = optopt ? cli_find(cli->command, optopt) : NULL;

    if (what == ':')
        say_usage("option '%s' needs a value", argument);
    else if (option || optopt == 'h')
        say_usage("option '--%s' takes no value", option ? option->name : "help");
    else if (optopt)
        say_usage("unknown option '-%c'", optopt);
    else
        say_usage("unknown or ambiguous option '%s'", argument);
    cli_end(cli, EXIT_USAGE);
}

int cli_next(struct cli *cli)
{
    struct option longs[CLI_OPTIONS_MAX + 2] = {{"help", no_argument, NULL, 'h'}};
    size_t count = 1;
    int key;

    if (cli->stop)
        return 0;
    for (const struct cli_option *o = cli->command->options; o->key && count <= CLI_OPTIONS_MAX; o++)
        longs[count++] = (struct option){o->name, cli_has_argument(o), NULL, o->key};
    opterr = 0;
    /* One thread at a time parses options: the first, before there are others. */
    key = getopt_long(cli->argc, cli->argv, cli->letters, longs, NULL); // NOLINT(concurrency-mt-unsafe)
    if (key == -1)
        return 0;
    if (key == '?' || key == ':') {
        cli_refuse(cli, key);
        return 0;
    }
    if (key == 'h') {
        cli_help(cli->command);
        cli_end(cli, EXIT_FINE);
        return 0;
    }
    cli->option = cli_find(cli->command, key);
    cli->value = optarg;
    return key;
}

/* "DIR" of "DIR [FILE...]" and so on: the name of the operand that is missing. */
static void cli_operand_name(const struct cli_command *command, size_t index, char *name, size_t name_bytes)
{
    const char *at = command->operands;
    size_t chars;

    for (; index > 0; index--)
        at += strcspn(at, " ") + 1;
    chars = strcspn(at, " .|");
    snprintf(name, name_bytes, "%.*s", (int)chars, at);
}

bool cli_operands(struct cli *cli, size_t min, size_t max)
{
    char name[32];

    if (cli->stop)
        return false;
    cli->operands = cli->argv + optind;
    cli->operand_count = (size_t)(cli->argc - optind);
    if (cli->operand_count < min) {
        cli_operand_name(cli->command, cli->operand_count, name, sizeof name);
        cli_end(cli, say_usage("%s is missing", name));
        return false;
    }
    if (cli->operand_count > max) {
        cli_end(cli, say_usage("unexpected argument '%s'", cli->operands[max]));
        return false;
    }
    for (size_t i = 0; i < cli->operand_count; i++) {
        if (!cli->operands[i][0]) {
            cli_end(cli, say_usage("an argument is empty"));
            return false;
        }
    }
    return true;
}

void cli_bad_value(struct cli *cli, const char *why)
{
    if (!cli->stop)
        cli_end(cli, say_usage("--%s: '%s': %s", cli->option->name, cli->value ? cli->value : "", why));
}

static uint64_t cli_in_range(struct cli *cli, uint64_t value, uint64_t min, uint64_t max)
{
    char why[96];

    if (value >= min && value <= max)
        return value;
    if (max == UINT64_MAX)
        snprintf(why, sizeof why, "must be at least %" PRIu64, min);
    else
        snprintf(why, sizeof why, "must be from %" PRIu64 " to %" PRIu64, min, max);
    cli_bad_value(cli, why);
    return min;
}

uint64_t cli_number(struct cli *cli, uint64_t min, uint64_t max)
{
    uint64_t value;

    if (units_number(cli->value, &value))
        return cli_in_range(cli, value, min, max);
    cli_bad_value(cli, "not a whole number that fits");
    return min;
}

uint64_t cli_size(struct cli *cli, uint64_t min, uint64_t max)
{
    uint64_t value;

    if (units_size(cli->value, &value))
        return cli_in_range(cli, value, min, max);
    cli_bad_value(cli, "not a size such as 4096, 64K, 16M or 2G");
    return min;
}

uint64_t cli_duration(struct cli *cli, uint64_t min_ms)
{
    uint64_t value;

    if (units_duration(cli->value, &value))
        return cli_in_range(cli, value, min_ms, UINT64_MAX);
    cli_bad_value(cli, "not a duration such as 500ms, 90s, 30m, 12h or 7d");
    return min_ms;
}

int cli_choice(struct cli *cli, const char *const *names)
{
    char why[128] = "must be one of";

    for (int i = 0; names[i]; i++) {
        size_t used = strlen(why);

        if (strcmp(names[i], cli->value) == 0)
            return i;
        snprintf(why + used, sizeof why - used, " %s", names[i]);
    }
    cli_bad_value(cli, why);
    return 0;
}

static void cli_help_option(int letter, const char *name, const char *value, const char *help)
{
    const char *gap = value && value[0] != '[' ? " " : "";
    char head[64];
    int used;

    if (letter < CLI_LONG)
        used = snprintf(head, sizeof head, "  -%c, --%s%s%s", letter, name, gap, value ? value : "");
    else
        used = snprintf(head, sizeof head, "      --%s%s%s", name, gap, value ? value : "");
    if (used >= CLI_HELP_COLUMN - 1) {
        puts(head);
        head[0] = '\0';
    }
    for (size_t chars; *help; help += chars) {
        chars = strcspn(help, "\n");
        printf("%-*s%.*s\n", CLI_HELP_COLUMN, head, (int)chars, help);
        head[0] = '\0';
        chars += help[chars] == '\n';
    }
}

void cli_help(const struct cli_command *command)
{
    printf("usage: varve %s [OPTION]... %s\n\n%s\n\noptions:\n", command->name, command->operands,
           command->details);
    for (const struct cli_option *option = command->options; option->key; option++)
        cli_help_option(option->key, option->name, option->value, option->help);
    cli_help_option('h', "help", NULL, "show this and end");
    printf("\nexit codes: 0 fine, 1 the log is damaged, 2 usage, 3 I/O or system error\n"
           "more: man varve-%s\n",
           command->name);
}
