/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of encrypted logs, and codecs, as they are given on the command line. */
#ifndef KEYING_H
#define KEYING_H

#include <stdbool.h>

#include "cli.h"
#include "varve/varve.h"

#define KEYING_KEY_FILE (CLI_LONG + 200)
#define KEYING_KEY_ENV  (CLI_LONG + 201)
#define KEYING_KEY_FD   (CLI_LONG + 202)

/* clang-format off */
#define KEYING_OPTIONS                                                                           \
    {KEYING_KEY_FILE, "key-file", "FILE", "keys of an encrypted log; may be given more\nthan once"}, \
    {KEYING_KEY_ENV, "key-env", "NAME", "the same from an environment variable"},                 \
    {KEYING_KEY_FD, "key-fd", "N", "the same from a file descriptor, read to its end"}
/* clang-format on */

/* Takes the option that `cli` is at; false if it is none of KEYING_OPTIONS. */
bool keying_option(struct cli *cli, int key);

/* What was given so far; NULL = nothing. Valid until keying_end. */
struct varve_keys *keying_keys(void);

/* Wipes them, and frees what else was given. */
void keying_end(void);

/* The dictionary in a file, the value of the option at hand, into `options`; valid until keying_end. The
 * value '-' says that there shall be none any more. */
void keying_dictionary(struct cli *cli, struct varve_options *options);

/* NAME or NAME:LEVEL, the value of the option at hand, into `options`. The name is valid until the next call.
 */
void keying_codec(struct cli *cli, struct varve_options *options);

#endif
