/* SPDX-License-Identifier: Apache-2.0 */
/* What kinds of change came to what, and how often. */
#ifndef TEST_ROT_TALLY_H
#define TEST_ROT_TALLY_H

#include "rot/check.h"

enum {
    ROT_KINDS = 24
};

struct rot_tally {
    uint64_t count[ROT_KINDS][ROT_OUTCOMES];
    uint64_t cases;
    uint64_t went_on; /* of these, how many were opened for writing and gone on with */
};

void rot_tally_add(struct rot_tally *tally, const struct rot_tally *more);
/* The table, a line for each kind. */
void rot_tally_print(const struct rot_tally *tally);

#endif
