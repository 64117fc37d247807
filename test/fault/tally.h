/* SPDX-License-Identifier: Apache-2.0 */
/* What came of the cases of a scenario, counted. */
#ifndef TEST_FAULT_TALLY_H
#define TEST_FAULT_TALLY_H

#include "fault/pool.h"

enum {
    FAULT_ERRNOS = 140 /* above the highest */
};

struct fault_tally {
    const struct fault_scenario *scenario;
    const struct fault_count *count; /* what it does when nothing fails */
    const char *expected;            /* not NULL: says nothing, but keeps the first that says this */
    bool found;                      /* that was there */
    uint64_t cases, wrong;
    uint64_t unreached;             /* the fault did not come to pass */
    uint64_t told, warned, silent;  /* to whom it was said */
    uint64_t read_only;             /* the log turned read-only */
    uint64_t lies, detected, blind; /* lies; disks with something gone that was or was not seen */
    uint64_t ways[FAULT_WAYS];
    uint64_t errors[TEST_OP_COUNT][FAULT_ERRNOS]; /* failures by operation and errno; 0: other ways */
    size_t first_wrong;
    char message[256]; /* of the first */
};

void fault_tally_init(struct fault_tally *tally, const struct fault_scenario *scenario);
/* A fault_outcome_fn. */
void fault_tally_add(void *tally, size_t number, const struct fault_case *fault,
                     const struct fault_outcome *outcome);
/* So much is wrong that more says nothing new. */
bool fault_tally_is_enough(const struct fault_tally *tally);
void fault_tally_print(const struct fault_tally *tally);
/* Seconds after which a case counts as hanging. */
unsigned fault_tally_limit(void);

#endif
