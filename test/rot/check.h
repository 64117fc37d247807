/* SPDX-License-Identifier: Apache-2.0 */
/* Holds what the engine says of a changed log against the truth, by every way of reading it. */
#ifndef TEST_ROT_CHECK_H
#define TEST_ROT_CHECK_H

#include "rot/glass.h"
#include "rot/truth.h"

/* What a change came to. */
enum rot_outcome {
    ROT_HARMLESS,     /* every record is there, the end is clean */
    ROT_TORN,         /* every record that anything vouches for is there, the end is called torn */
    ROT_UNVOUCHED,    /* the same with a clean end; records that nothing vouches for are gone */
    ROT_CORRUPT,      /* reported as damage */
    ROT_HOLE,         /* likewise */
    ROT_MISSING,      /* likewise */
    ROT_FOREIGN,      /* likewise */
    ROT_REFUSED,      /* not a log, or a newer one: nothing can be read at all */
    ROT_UNREADABLE_IS /* a read error was passed on */
};

enum {
    ROT_OUTCOMES = ROT_UNREADABLE_IS + 1,
    ROT_MESSAGE = 1200
};

const char *rot_outcome_name(enum rot_outcome outcome);

/* What a cursor gave. */
struct rot_seen {
    int end;        /* VARVE_END or an error */
    uint64_t first; /* LSNs; 0: none was given */
    uint64_t last;
    uint64_t count, lost;
    bool given[ROT_RECORDS];
};

struct rot_check {
    const struct rot_case *c;
    const struct rot_truth *truth;
    enum rot_tooth tooth;
    bool thorough; /* with inspect, and the policy halt on its own */
    struct crash_disk disk;
    struct rot_glass glass;
    struct varve_options options;

    int verify_rc;
    struct varve_verify_result verify;
    int open_rc[VARVE_POLICY_SKIP + 1]; /* by policy */
    uint64_t open_first[VARVE_POLICY_SKIP + 1], open_last[VARVE_POLICY_SKIP + 1];
    struct varve_recovery recovery[VARVE_POLICY_SKIP + 1];
    int reader_rc; /* of opening read-only */
    struct rot_seen seen[VARVE_POLICY_SKIP + 1];
    int inspect_rc;
    bool shown[ROT_FRAMES]; /* by inspect, as sound */

    enum rot_outcome outcome;
    char message[ROT_MESSAGE]; /* what rule was broken, and how */
};

/* false: a rule is broken. */
bool rot_check(struct rot_check *k, const struct rot_case *c, const struct rot_truth *truth,
               enum rot_tooth tooth, bool thorough);

/* Opens the log for writing under the policies that allow it, goes on, opens it again. To be called after
 * rot_check; false: a rule is broken. */
bool rot_check_going_on(struct rot_check *k);

/* For the two. Each returns false. */
bool rot_broken(struct rot_check *k, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Whether that is the record, in every respect but its place. */
bool rot_record_is(const struct rot_record *record, const struct varve_entry *entry);

#endif
