/* SPDX-License-Identifier: Apache-2.0 */
/* A log opened to change something about it, and not to append: the part that `trim` and `pin` share. */
#ifndef CHANGING_H
#define CHANGING_H

#include "say.h"

/* Opens the log of `path` for writing. Returns EXIT_FINE, or after saying why another exit code. */
int changing_open(const char *path, struct varve_log **ret_log);

/* Closes it. Returns `rc`, or where that is EXIT_FINE what closing came to. */
int changing_close(const char *path, struct varve_log *log, int rc);

#endif
