/* SPDX-License-Identifier: Apache-2.0 */
/* What is told on standard error: `varve SUB: what: detail`, one line each, and the exit codes that go with
 * it. */
#ifndef SAY_H
#define SAY_H

#include <stdint.h>

#include "varve/varve.h"

enum say_exit {
    EXIT_FINE = 0,   /* done */
    EXIT_FOUND = 1,  /* the log is damaged: what was asked for is not all there */
    EXIT_USAGE = 2,  /* wrong option, argument or value */
    EXIT_FAILED = 3, /* I/O or system error, or an input that is not what it should be */
};

/* Whose messages these are: the subcommand's name, NULL for the program itself. Before the first thread. */
void say_begin(const char *subcommand);

/* One line. Any thread. */
void say(const char *format, ...) VARVE_PRINTF(1, 2);

/* The line that follows: what to do about it. */
void say_to_do(const char *what);

/* A usage error: the line, then where to read more. Returns EXIT_USAGE. */
int say_usage(const char *format, ...) VARVE_PRINTF(1, 2);

/* A system error about `what`. Returns EXIT_FAILED. */
int say_system(const char *what, int system_errno);

/* A library error about `what`, then a line on what to do. Returns the exit code for it. */
int say_library(const char *what, const struct varve_error *error);

/* The same from a bare code. */
int say_code(const char *what, int code);

/* A varve_message_fn that shows what it is told. */
void say_message(void *arg, const struct varve_message *message);

/* Whether that code means that the log itself is damaged. */
int say_is_damage(int code);

/* What to do about a verdict, in terms of this program. Static. */
const char *say_verdict_remedy(enum varve_verdict verdict);

#endif
