/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can go wrong in a scenario, one thing at a time: the calls that it makes are counted once, without a
 * fault, and from each follow the cases: every errno that the call can have (by its manual page), every way
 * to come short, to do its work and fail all the same, to do nothing and say that all is well, and to fail
 * from then on; then every allocation; and before each call that changes the disk the process is killed.
 *
 * A call is known by its operation, the kind of its file and its number among those, so that the log's own
 * threads do not move the count.
 */
#ifndef TEST_FAULT_PLAN_H
#define TEST_FAULT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/fault.h"
#include "lib/rng.h"

enum {
    FAULT_NAME = 64,
    FAULT_SITES = 2048, /* calls of a scenario at most */
    FAULT_RULES = 2,    /* faults of a case at most */
    FAULT_LIKES = 1
};

/* A call. */
struct fault_site {
    enum test_op op;
    const char *prefix; /* static: what stands at the beginning of its file's name */
    long nth;           /* among those with this op and prefix, from 0 */
    size_t bytes;
    char name[FAULT_NAME];
};

/* What a scenario does when nothing fails. Filled by a hook, in memory that is shared with another process.
 */
struct fault_count {
    size_t sites;
    long allocations;
    unsigned errors; /* calls that fail all the same: the log is damaged */
    uint64_t said;   /* all that is said, as a number */
    struct fault_site site[FAULT_SITES];
};

/* Adds a call; `other` as in struct test_fault_call. */
void fault_count_add(struct fault_count *count, const struct test_fault_call *call);

enum fault_way {
    FAULT_ONCE,    /* the call fails with an errno */
    FAULT_SHORT,   /* it comes short */
    FAULT_DONE,    /* it does its work, or a part of it, and fails */
    FAULT_LIE,     /* it does nothing and says that all is well */
    FAULT_ON,      /* it fails, and all of its kind after it */
    FAULT_GONE,    /* it fails, and every call after it, whatever its kind: the disk is gone */
    FAULT_ALLOC,   /* an allocation fails */
    FAULT_KILL,    /* the process is killed */
    FAULT_TWO,     /* two things at once */
    FAULT_NOTHING, /* nothing */
    FAULT_WAYS
};

struct fault_case {
    enum fault_way way;
    unsigned rule_count;
    struct test_fault_rule rule[FAULT_RULES];
    const struct fault_site *site[FAULT_RULES]; /* what the rules are about; NULL for FAULT_GONE */
    long alloc_after;                           /* FAULT_ALLOC: so many succeed first */
    long kill_after; /* FAULT_KILL: so many calls that change the disk are done first */
};

struct fault_plan {
    const struct fault_count *count;
    struct fault_case *cases;
    size_t case_count, room;
    size_t unit; /* bytes that a write to a segment is short by at least */
};

/* `direct`: segments are written past the page cache, where a count is in sectors. `whole`: every case of
 * every call; else only of the first FAULT_LIKES of the same (operation, file, length), and three cases of
 * each further one, in turn. */
void fault_plan_make(struct fault_plan *plan, const struct fault_count *count, bool direct, bool whole);
void fault_plan_free(struct fault_plan *plan);
/* Two faults by chance. */
void fault_plan_two(const struct fault_plan *plan, struct test_rng *rng, struct fault_case *ret_case);

/* Whether a call of this kind changes the disk, or makes durable what is on it. */
bool fault_op_changes_disk(enum test_op op);
/* Whether the fault is over after one call: then everything must work again. */
bool fault_case_passes(const struct fault_case *fault);
/* Whether it is one call or one allocation, once. */
bool fault_case_is_single(const struct fault_case *fault);
/* Whether somebody is told what is not so. */
bool fault_case_lies(const struct fault_case *fault);
/* Whether it is about calls that change the disk, or an allocation. */
bool fault_case_changes(const struct fault_case *fault);
/* "pread of 'MANIFEST' number 3 (4097 bytes): EIO" and the like. */
void fault_case_say(const struct fault_case *fault, char *ret_text, size_t size);
/* "once", "short" and so on. */
const char *fault_way_name(enum fault_way way);

#endif
