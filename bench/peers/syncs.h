/* SPDX-License-Identifier: Apache-2.0 */
/* How often a process asked for something to be made durable, whoever in it asked. */
#ifndef BENCH_SYNCS_H
#define BENCH_SYNCS_H

#include <stdatomic.h>
#include <stdint.h>

/* The descriptor of a shared mapping of a struct sync_counts, for a process that has the counters loaded
 * before its libraries. */
#define SYNCS_FD_VARIABLE "VARVE_BENCH_SYNCS_FD"

struct sync_counts {
    _Atomic uint64_t syncs;  /* fsync, fdatasync, syncfs, sync, msync(MS_SYNC) */
    _Atomic uint64_t writes; /* writes that return durable: RWF_DSYNC, RWF_SYNC, O_DSYNC, O_SYNC */
};

/* This process's own. */
const struct sync_counts *syncs_here(void);
/* For what goes past the C library, as io_uring does. */
void syncs_add_writes(uint64_t count);
uint64_t syncs_total(const struct sync_counts *counts);

#endif
