/* SPDX-License-Identifier: Apache-2.0 */
/* `stat --watch`: what a process exports, live. */
#ifndef WATCH_H
#define WATCH_H

#include <stdint.h>

/* `path`: the file, or the directory of a log whose writer exports to METRICS in it. A line every
 * `interval_ms`, until the log is closed, its process is gone, or nobody reads on. Returns the exit code. */
int watch_run(const char *path, uint64_t interval_ms);

#endif
