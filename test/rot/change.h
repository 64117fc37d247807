/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can happen to the bytes of a log that is at rest. Every change has a number; the log, its seed and the
 * number say what is changed, so a case can be had again.
 */
#ifndef TEST_ROT_CHANGE_H
#define TEST_ROT_CHANGE_H

#include "rot/log.h"

enum {
    ROT_UNREADABLE = 8
};

/* Bytes that the disk does not give back. */
struct rot_unreadable {
    uint32_t node;
    uint64_t offset, bytes;
};

struct rot_case {
    const struct rot_log *log;
    const struct rot_log *other; /* another log of the same shape: where foreign bytes come from */
    const struct rot_scenario *scenario;
    uint64_t number;
    unsigned kind;
    struct test_rng rng;
    struct crash_fs fs; /* the log's files, changed */
    struct rot_unreadable unreadable[ROT_UNREADABLE];
    unsigned unreadable_count;
    char what[600]; /* in words */
};

unsigned rot_kind_count(void);
const char *rot_kind_name(unsigned kind);

/* How many cases there are. */
uint64_t rot_case_count(const struct rot_log *log, const struct rot_scenario *scenario);
/* The files, with the change of that number. */
void rot_case_init(struct rot_case *c, const struct rot_scenario *scenario, const struct rot_log *log,
                   const struct rot_log *other, uint64_t number);
void rot_case_free(struct rot_case *c);

#endif
