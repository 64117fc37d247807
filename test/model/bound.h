/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of the log that only grow, and what was seen of them: at some moment during a call the number was
 * at least this and at most that. A history is right just when a number that never falls could have been seen
 * so; and that is the case when no call that began after another one had ended saw less than the other did.
 *
 * An append that got LSN n saw `last` be n - 1 at one moment and n at a later one: so the order of LSNs is
 * the order of calls that did not overlap, and that is all there is to a log's being linearisable.
 */
#ifndef TEST_MODEL_BOUND_H
#define TEST_MODEL_BOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum model_number {
    MODEL_LAST,    /* the highest LSN given out */
    MODEL_DURABLE, /* never above LAST */
    MODEL_BEGIN,   /* where the log begins on disk, which readers go by; never above DURABLE + 1 */
    MODEL_FIRST,   /* where it begins by what it says, once BEGIN is durable; never above it */
    MODEL_NUMBERS,
};

#define MODEL_ANY UINT64_MAX /* no upper bound; no lower one is 0 */

struct model_bound {
    uint64_t begin, end; /* of the call, by the history's clock */
    uint64_t low, high;
    const char *what; /* the call. Static. */
};

struct model_bounds {
    struct model_bound *items;
    size_t count, room;
};

void model_bounds_free(struct model_bounds *bounds);
void model_bounds_add(struct model_bounds *bounds, const struct model_bound *bound);

/* Adds what a bound of one number says of those that it is tied to. `all`: MODEL_NUMBERS of them. */
void model_bounds_tie(struct model_bounds *all);
/* false: nothing that only grows could have been seen so; *ret_low was, and then *ret_high. `start`: what it
 * was before the history began. Sorts the items. */
bool model_bounds_check(struct model_bounds *bounds, uint64_t start, struct model_bound *ret_low,
                        struct model_bound *ret_high);
/* The highest lower bound of a call that ended before `moment`, or `start`. */
uint64_t model_bounds_known(const struct model_bounds *bounds, uint64_t moment, uint64_t start);
/* "last", "durable" and so on. Static. */
const char *model_number_name(enum model_number number);

#endif
