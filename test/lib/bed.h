/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log to be tested: on a file system in memory, or on the disk, with faults in between and a ledger of what
 * it promised. Failing here is a failed test, so these are for the test's main thread, but for bed_crowd's
 * own.
 */
#ifndef TEST_LIB_BED_H
#define TEST_LIB_BED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/fault.h"
#include "lib/ledger.h"
#include "lib/memory.h"
#include "varve/log.h"

struct test_bed {
    struct test_memory memory;
    struct test_fault fault;
    struct test_ledger ledger;
    struct varve_options options;
    struct varve_error error; /* of what failed last */
    struct varve_log *log;
    char *path;
    bool on_disk;
};

enum {
    BED_MEMORY, /* direct I/O in sectors of 512 bytes */
    BED_DISK,
};

/* `options`: io is set here, and segment_bytes to 1 MiB where it is 0. Records have 8 to `bytes_max` bytes. A
 * test that hangs is ended after a minute by SIGALRM. */
void bed_init(struct test_bed *bed, int where, const struct varve_options *options, size_t bytes_max);
/* The same, and opens the log. */
void bed_start(struct test_bed *bed, int where, const struct varve_options *options, size_t bytes_max);
int bed_open(struct test_bed *bed);
/* Closes the log. */
int bed_shut(struct test_bed *bed);

/* Takes all faults away and opens the log again, twice; before that, in memory, what a power cut would leave
 * of it: everything promised is there, and nothing that was not offered. The log is closed. */
void bed_check(struct test_bed *bed);
/* Nothing is left open, and everything is freed. */
void bed_end(struct test_bed *bed);

struct varve_stats bed_stats(struct test_bed *bed);
/* Appends in so many threads. Returns how many of them met an error (and stopped there). */
unsigned bed_crowd(struct test_bed *bed, unsigned threads, unsigned count_each);
/* Waits until the condition holds, for 20 seconds. */
#define BED_UNTIL(condition)                                      \
    do {                                                          \
        for (unsigned bed_tries = 0; !(condition); bed_tries++) { \
            if (bed_tries == 20000) {                             \
                fail_msg("never came true: %s", #condition);      \
            }                                                     \
            bed_pause();                                          \
        }                                                         \
    } while (0)
void bed_pause(void);

/* A place in the disk where calls stop until they are let go: a hook for bed->fault. */
struct test_gate {
    int op;             /* enum test_op, also ANY_WRITE and so on */
    const char *prefix; /* of the name; NULL = all */
    _Atomic int shut;
    _Atomic int waiting; /* calls that stand before it */
    _Atomic int refuse;  /* an errno that those let through get instead of going on */
};
int test_gate_hook(void *gate, const struct test_fault_call *call);

#endif
