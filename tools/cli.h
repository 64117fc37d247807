/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subcommands and their options. A subcommand says in tables what it takes; help and parsing come from the
 * same tables. A value that does not parse is told at once and makes cli_next end the loop, so a subcommand
 * assigns what the readers return and checks once, after the loop:
 *
 *     while ((key = cli_next(&cli)) > 0) { ... }
 *     if (!cli_operands(&cli, 1, 1)) return cli.exit_code;
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "say.h"

/* Keys of options that have no letter. */
#define CLI_LONG 256

struct cli_option {
    int key;           /* the option's letter, or CLI_LONG + something */
    const char *name;  /* without the dashes */
    const char *value; /* what its value is called; NULL = it takes none; "[=WHAT]" = it may be left out */
    const char *help;  /* lines of 50 characters or less */
};

#define CLI_OPTIONS_END     \
    {                       \
        0, NULL, NULL, NULL \
    }

struct cli_command {
    const char *name;
    const char *operands; /* "DIR [FILE...]" */
    const char *summary;  /* a phrase, for the list of subcommands */
    const char *details;  /* paragraphs, for its own help */
    const struct cli_option *options;
    int (*run)(const struct cli_command *command, int argc, char **argv);
};

struct cli {
    const struct cli_command *command;
    int argc;
    char **argv;
    const struct cli_option *option; /* the one that cli_next gave last */
    const char *value;               /* and its value, NULL when it was left out */
    char **operands;                 /* after the loop */
    size_t operand_count;
    bool stop;     /* help was shown, or something was wrong */
    int exit_code; /* then */
    char letters[64];
};

/* argv[0] is the subcommand. */
void cli_start(struct cli *cli, const struct cli_command *command, int argc, char **argv);

/* The key of the next option; 0 when there are no more, or when the subcommand shall end. */
int cli_next(struct cli *cli);

/* After the loop: false when the subcommand shall end with cli->exit_code, also for too few or too many
 * operands. */
bool cli_operands(struct cli *cli, size_t min, size_t max);

/* The value of the option at hand. */
uint64_t cli_number(struct cli *cli, uint64_t min, uint64_t max);
uint64_t cli_size(struct cli *cli, uint64_t min, uint64_t max);
uint64_t cli_duration(struct cli *cli, uint64_t min_ms); /* in milliseconds */

/* One of `names`, which ends in NULL: its index. */
int cli_choice(struct cli *cli, const char *const *names);

/* What the option at hand was given does not do, and why. */
void cli_bad_value(struct cli *cli, const char *why);

void cli_help(const struct cli_command *command);

/* Durability modes and policies as they are called on the command line, in the order of their enums. */
extern const char *const cli_durabilities[];
extern const char *const cli_backends[];
extern const char *const cli_policies[];

#endif
