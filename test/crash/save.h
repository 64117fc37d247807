/* SPDX-License-Identifier: Apache-2.0 */
/* A trace with its history in a file, so that a state found once can be looked at again: what threads did
 * cannot be had again from a seed. The file is for the program that wrote it, on the same machine. */
#ifndef TEST_CRASH_SAVE_H
#define TEST_CRASH_SAVE_H

#include "crash/history.h"

/* A state, and how it was checked. */
struct crash_case {
    uint64_t moment, number;
    uint64_t sector_bytes;
    uint32_t depth, nested;
    char scenario[32];
};

/* Negative errno. */
int crash_save(const char *path, const struct crash_case *which, const struct crash_trace *trace,
               const struct crash_history *history);
/* Into a trace and a history to be closed; they record nothing any more. */
int crash_load(const char *path, struct crash_case *ret_case, struct crash_trace *ret_trace,
               struct crash_history *ret_history);

#endif
