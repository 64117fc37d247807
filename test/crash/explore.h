/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions, moments of them, states of those: which are taken, and what is said when the log fails on one. */
#ifndef TEST_CRASH_EXPLORE_H
#define TEST_CRASH_EXPLORE_H

#include "crash/check.h"
#include "crash/session.h"

struct crash_explorer {
    uint64_t states; /* at least so many */
    uint64_t seed;
    size_t sector_bytes;
    unsigned depth, nested;
    const char *keep; /* where a state that fails is left; NULL = nowhere, and nothing is said of it */
    enum crash_tooth_kind tooth;
    struct crash_tally tally;
    char message[1024]; /* of the state that failed */
};

/* false: the log fails on a state. */
bool crash_explore(struct crash_explorer *explorer, const struct crash_scenario *scenario);
/* Once more the state that was left there. */
bool crash_replay(const char *path);

#endif
