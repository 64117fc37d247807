/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands, each in the file of its name. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "cli.h"

extern const struct cli_command command_append;
extern const struct cli_command command_cat;
extern const struct cli_command command_tail;
extern const struct cli_command command_dump;
extern const struct cli_command command_verify;
extern const struct cli_command command_stat;
extern const struct cli_command command_trim;
extern const struct cli_command command_pin;
extern const struct cli_command command_lost;
extern const struct cli_command command_repair;
extern const struct cli_command command_kv;
extern const struct cli_command command_snapshot;
extern const struct cli_command command_keygen;
extern const struct cli_command command_formats;
extern const struct cli_command command_bench;
extern const struct cli_command command_train;
extern const struct cli_command command_rekey;
extern const struct cli_command command_convert;

#endif
