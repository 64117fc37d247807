/* SPDX-License-Identifier: Apache-2.0 */
/* `stat --watch`: what a process exports, live. */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "varve/varve.h"

/* `path`: the file, or the directory of a log whose writer exports to METRICS in it. A line every
 * `interval_ms`, until the log is closed, its process is gone, or nobody reads on. Returns the exit code. */
int watch_run(const char *path, uint64_t interval_ms);

/* The file of metrics that `path` means; NULL where there is no memory. To be freed. */
char *watch_file(const char *path);

/* The value of the sample whose line begins with `name` and a blank; 0 where there is none. */
double watch_value(const char *text, const char *name);

/* Whether the process that exported it has ended. */
bool watch_is_gone(const struct varve_metrics_export *facts);

#endif
