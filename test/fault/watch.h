/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decorator above the faults that sees what the log makes of them: a file whose sync has failed is never
 * synced again. A file is known by its name; one that is made anew, or removed, begins without a past.
 *
 * Threads: any at once.
 */
#ifndef TEST_FAULT_WATCH_H
#define TEST_FAULT_WATCH_H

#include <pthread.h>
#include <stdbool.h>

#include "lib/pass.h"

enum {
    FAULT_WATCH_FILES = 64,
    FAULT_WATCH_NAME = 64
};

struct fault_watch_handle;

struct fault_watch {
    struct test_pass pass; /* first: pass.io is the table */
    pthread_mutex_t lock;
    struct fault_watch_handle *open; /* [lock] files that are open: a name can change under them */
    struct fault_watch_file {
        const void *dir;
        char name[FAULT_WATCH_NAME];
    } failed[FAULT_WATCH_FILES];  /* [lock] a sync of these has failed */
    unsigned failed_count;        /* [lock] */
    char wrong[FAULT_WATCH_NAME]; /* [lock] the file that was synced all the same; empty = none was */
};

void fault_watch_init(struct fault_watch *watch, struct varve_io *below);
void fault_watch_close(struct fault_watch *watch);
/* The log is opened anew: what it writes again it may sync again. */
void fault_watch_forget(struct fault_watch *watch);
/* Whether nothing was synced again; else *ret_name, of FAULT_WATCH_NAME bytes. */
bool fault_watch_is_fine(struct fault_watch *watch, char *ret_name);

#endif
