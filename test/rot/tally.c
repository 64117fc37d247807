/* SPDX-License-Identifier: Apache-2.0 */
#include "rot/tally.h"

#include <inttypes.h>
#include <stdio.h>

void rot_tally_add(struct rot_tally *tally, const struct rot_tally *more)
{
    for (unsigned kind = 0; kind < ROT_KINDS; kind++) {
        for (unsigned outcome = 0; outcome < ROT_OUTCOMES; outcome++) {
            tally->count[kind][outcome] += more->count[kind][outcome];
        }
    }
    tally->cases += more->cases;
    tally->went_on += more->went_on;
}

static void print_line(const char *name, const uint64_t *counts)
{
    uint64_t sum = 0;
    printf("%-24s", name);
    for (unsigned outcome = 0; outcome < ROT_OUTCOMES; outcome++) {
        printf(" %10" PRIu64, counts[outcome]);
        sum += counts[outcome];
    }
    printf(" %10" PRIu64 "\n", sum);
}

void rot_tally_print(const struct rot_tally *tally)
{
    uint64_t sums[ROT_OUTCOMES] = {0};
    printf("%-24s", "");
    for (unsigned outcome = 0; outcome < ROT_OUTCOMES; outcome++) {
        printf(" %10s", rot_outcome_name((enum rot_outcome)outcome));
    }
    printf(" %10s\n", "cases");
    for (unsigned kind = 0; kind < rot_kind_count(); kind++) {
        for (unsigned outcome = 0; outcome < ROT_OUTCOMES; outcome++) {
            sums[outcome] += tally->count[kind][outcome];
        }
        print_line(rot_kind_name(kind), tally->count[kind]);
    }
    print_line("all", sums);
    printf("%" PRIu64 " of them were opened for writing and gone on with\n", tally->went_on);
}
