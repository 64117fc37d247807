/* SPDX-License-Identifier: Apache-2.0 */
/* `varve stat --health`: what a process exports, as a state of health. */
#ifndef HEALTH_H
#define HEALTH_H

/* `path`: the file of metrics, or a log with one. Returns an exit code: EXIT_FOUND unless all is well. */
int health_run(const char *path);

#endif
