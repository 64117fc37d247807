/* SPDX-License-Identifier: Apache-2.0 */
/* The option --format: what a log is in, where that is not to be told from what is there. */
#ifndef FORMATS_H
#define FORMATS_H

#include "cli.h"
#include "varve/varve.h"

#define FORMATS_KEY (CLI_LONG + 210)

/* clang-format off */
#define FORMATS_OPTION                                                                              \
    {FORMATS_KEY, "format", "NAME", "what the log is in, one of 'varve formats';\nelse what is there tells"}
/* clang-format on */

/* The value of the option at hand, which must be the name of a format; valid as long as the arguments are. */
const char *formats_value(struct cli *cli);

#endif
