/* SPDX-License-Identifier: Apache-2.0 */
/* Where messages of a log go, and which, as it is given on the command line. */
#ifndef TELLING_H
#define TELLING_H

#include <stdbool.h>

#include "cli.h"
#include "varve/varve.h"

#define TELLING_FILE  (CLI_LONG + 210)
#define TELLING_LEVEL (CLI_LONG + 211)
#define TELLING_FORM  (CLI_LONG + 212)

/* clang-format off */
#define TELLING_OPTIONS                                                                          \
    {TELLING_FILE, "messages", "FILE", "put messages of the log into FILE; '-' is standard\n"     \
     "error, 'syslog' the system's log; SIGUSR1 opens\nFILE anew"},                              \
    {TELLING_LEVEL, "message-level", "LEVEL", "from trace, debug, info, warning (default),\n"  \
     "error on; or off"},                                                                         \
    {TELLING_FORM, "message-format", "FORM", "text (default), logfmt, json"}
/* clang-format on */

/* Takes the option that `cli` is at; false if it is none of TELLING_OPTIONS. */
bool telling_option(struct cli *cli, int key);

/* Puts into `options` where messages go; what was not asked for is as say_message does it. False: it was told
 * why not. Once, before other threads. */
bool telling_start(struct varve_options *options);

/* After the log was closed. Returns EXIT_FINE, or EXIT_FAILED where lines could not be written. */
int telling_end(void);

#endif
