/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds a damaged sample against what must be said of it, by every way of reading: verify, inspect, cursors
 * of a log open read-only, and opening for writing under each policy, going on there, and opening again.
 * Whatever is given by any of them is compared with what was appended. Failing here fails the test.
 */
#ifndef TEST_LIB_JUDGE_H
#define TEST_LIB_JUDGE_H

#include "lib/sample.h"

struct test_verdict {
    enum varve_verdict verdict;
    uint64_t segment, offset; /* where; 0 with a clean end, and when it is not to be checked */
    uint64_t first;           /* LSN that reading begins with; 0 = 1 */
    uint64_t sound_last;      /* the last one before the damage */
    uint64_t gone_last;       /* damage: the last one that is gone, under the policy skip */
    uint64_t saved;           /* of those that are gone, how many a cursor under skip gives all the same */
    uint64_t last;            /* the last one that is there; the next one to be given is above it */
    bool halt_goes_on;        /* torn, and yet accepted under halt */
    bool without_manifest;    /* MANIFEST itself is the damage: nothing is gone */
};

/* All of it. Changes nothing in `sample`. */
void test_judge(struct test_sample *sample, const struct test_verdict *expected);

/* One way each. */
void test_judge_verify(struct test_sample *sample, const struct test_verdict *expected);
void test_judge_read_only(struct test_sample *sample, const struct test_verdict *expected);
void test_judge_open(struct test_sample *sample, const struct test_verdict *expected,
                     enum varve_policy policy);

/* Every way of reading says this code, and every way of opening too, and no byte is changed. */
void test_judge_refused(struct test_sample *sample, int code);

/* Reads to the end: every LSN from `first` to `last` but those from gone_first to gone_last, of which `saved`
 * are there all the same; then `end`. Returns the cursor's verdict. */
enum varve_verdict test_judge_read(struct test_sample *sample, struct varve_log *log,
                                   enum varve_policy policy, const struct test_verdict *expected, int end);

#endif
