/* SPDX-License-Identifier: Apache-2.0 */
/* A key-value engine opened by path: the part that `kv` and `snapshot` share. */
#ifndef KEEPING_H
#define KEEPING_H

#include <stdbool.h>
#include <stdint.h>

#include "say.h"
#include "varve/kv.h"

/* What is opened, and how. */
struct keeping {
    const char *path;
    bool change; /* for writing; else read-only, beside a writer too */
    bool create; /* where there is none */
    enum varve_kv_store store;
    const char *preset;  /* of the log; NULL = none */
    uint64_t at_lsn;     /* as of then; 0 = now */
    uint64_t at_time_us; /* likewise */
    struct varve_kv *kv;
};

/* Opens keeping->path. Returns EXIT_FINE, or after saying why another exit code. */
int keeping_open(struct keeping *keeping);

/* Closes it. Returns `rc`, or where that is EXIT_FINE what closing came to. */
int keeping_close(struct keeping *keeping, int rc);

#endif
