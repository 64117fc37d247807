/* SPDX-License-Identifier: Apache-2.0 */
#include "order/teeth.h"

#include <stdio.h>

#include "order/graph.h"
#include "order/linear.h"
#include "order/serial.h"

enum {
    WHY = 1200,
    MOST = 5,
};

/* -- one key -- */

struct linear_case {
    const char *name;
    bool good;
    struct linear_call calls[MOST];
};

#define SET(from, to, n, v)                           \
    {                                                 \
        from, to, LINEAR_SET, LINEAR_DONE, n, 0, 0, v \
    }
#define GET(from, to, n, v)                           \
    {                                                 \
        from, to, LINEAR_GET, LINEAR_DONE, 0, 0, n, v \
    }
#define NONE(from, to)                                  \
    {                                                   \
        from, to, LINEAR_GET, LINEAR_NO_KEY, 0, 0, 0, 0 \
    }

static const struct linear_case linear_cases[] = {
    {"one after the other", true, {SET(1, 2, 7, 1), GET(3, 4, 7, 1), SET(5, 6, 8, 2), GET(7, 8, 8, 2)}},
    {"a read beside a write sees either", true, {SET(1, 10, 7, 1), NONE(2, 3), GET(4, 5, 7, 1)}},
    {"a stale read", false, {SET(1, 2, 7, 1), SET(3, 4, 8, 2), GET(5, 6, 7, 1)}},
    {"a read that goes back", false, {SET(1, 10, 7, 1), GET(2, 3, 7, 1), NONE(4, 5)}},
    {"a value that nobody wrote", false, {SET(1, 2, 7, 1), GET(3, 4, 9, 1)}},
    {"a value under another version", false, {SET(1, 2, 7, 1), GET(3, 4, 7, 2)}},
    {"a version that does not grow", false, {SET(1, 2, 7, 5), SET(3, 4, 8, 5)}},
    {"a write that is lost", false, {SET(1, 2, 7, 1), NONE(3, 4)}},
    {"two who were the first",
     false,
     {{1, 4, LINEAR_SET_ABSENT, LINEAR_DONE, 7, 0, 0, 1},
      {2, 5, LINEAR_SET_ABSENT, LINEAR_DONE, 8, 0, 0, 2}}},
    {"two who replaced one version",
     false,
     {SET(1, 2, 7, 1),
      {3, 6, LINEAR_SET_VERSION, LINEAR_DONE, 8, 1, 0, 2},
      {4, 7, LINEAR_SET_VERSION, LINEAR_DONE, 9, 1, 0, 3}}},
    {"a refusal without a reason",
     false,
     {SET(1, 2, 7, 1), {3, 4, LINEAR_SET_VERSION, LINEAR_CONFLICT, 8, 1, 0, 0}}},
    {"sums",
     true,
     {{1, 4, LINEAR_ADD, LINEAR_DONE, 2, 0, 5, 2}, {2, 5, LINEAR_ADD, LINEAR_DONE, 3, 0, 3, 1}}},
    {"a lost update",
     false,
     {{1, 4, LINEAR_ADD, LINEAR_DONE, 2, 0, 2, 1}, {2, 5, LINEAR_ADD, LINEAR_DONE, 3, 0, 3, 2}}},
    {"two with one lock",
     false,
     {{1, 4, LINEAR_LOCK, LINEAR_DONE, 1, 0, 0, 1}, {2, 5, LINEAR_LOCK, LINEAR_DONE, 2, 0, 0, 2}}},
    {"a lock that goes on",
     true,
     {{1, 4, LINEAR_LOCK, LINEAR_DONE, 1, 0, 0, 1},
      {2, 9, LINEAR_LOCK, LINEAR_DONE, 2, 0, 0, 3},
      {5, 6, LINEAR_UNLOCK, LINEAR_DONE, 1, 0, 0, 2}}},
};

/* -- transactions -- */

struct serial_case {
    const char *name;
    bool good;         /* in the order of the LSNs */
    bool in_any_order; /* as calls of their own */
    struct serial_deal deals[MOST];
};

/* Key x is 0, y is 1. */
#define WRITES(from, to, lsn, key, n)                    \
    {                                                    \
        from, to, lsn, false, {{0}}, {{key, n, 0}}, 0, 1 \
    }
#define READS(from, to, key, n, v)                     \
    {                                                  \
        from, to, 0, false, {{key, n, v}}, {{0}}, 1, 0 \
    }
#define READS_BOTH(from, to, nx, vx, ny, vy)                        \
    {                                                               \
        from, to, 0, false, {{0, nx, vx}, {1, ny, vy}}, {{0}}, 2, 0 \
    }
/* Has read x and y, and writes one of them. */
#define DECIDES(from, to, lsn, nx, vx, ny, vy, key, n)                        \
    {                                                                         \
        from, to, lsn, false, {{0, nx, vx}, {1, ny, vy}}, {{key, n, 0}}, 2, 1 \
    }

static const struct serial_case serial_cases[] = {
    {"one after the other",
     true,
     true,
     {WRITES(1, 2, 1, 0, 5), DECIDES(3, 4, 2, 5, 1, 0, 0, 1, 6), READS_BOTH(5, 6, 5, 1, 6, 2)}},
    {"a reader beside a writer sees either",
     true,
     true,
     {WRITES(1, 9, 1, 0, 5), READS(2, 3, 0, 0, 0), READS(4, 5, 0, 5, 1)}},
    {"a stale read", false, false, {WRITES(1, 2, 1, 0, 5), WRITES(3, 4, 2, 0, 6), READS(5, 6, 0, 5, 1)}},
    {"readers who disagree about the order",
     false,
     false,
     {WRITES(1, 9, 1, 0, 5), READS(2, 3, 0, 5, 1), READS(4, 5, 0, 0, 0)}},
    {"a lost update",
     false,
     false,
     {WRITES(1, 2, 1, 0, 5),
      {3, 6, 2, false, {{0, 5, 1}}, {{0, 6, 0}}, 1, 1},
      {4, 7, 3, false, {{0, 5, 1}}, {{0, 7, 0}}, 1, 1}}},
    {"write skew",
     false,
     false,
     {WRITES(1, 2, 1, 0, 5), WRITES(3, 4, 2, 1, 6), DECIDES(5, 8, 3, 5, 1, 6, 2, 0, 7),
      DECIDES(6, 9, 4, 5, 1, 6, 2, 1, 8)}},
    {"a dirty read", false, false, {WRITES(1, 2, 1, 0, 5), READS(3, 4, 0, 6, 2)}},
    {"a value under another's version",
     false,
     false,
     {WRITES(1, 2, 1, 0, 5), WRITES(3, 4, 2, 0, 6), READS(5, 6, 0, 6, 1)}},
    {"half of a transaction",
     false,
     false,
     {{1, 2, 1, false, {{0}}, {{0, 5, 0}, {1, 6, 0}}, 0, 2},
      {3, 6, 2, false, {{0}}, {{0, 7, 0}, {1, 8, 0}}, 0, 2},
      READS_BOTH(4, 5, 7, 2, 6, 1)}},
    {"absent again", true, true, {WRITES(1, 2, 1, 0, 5), WRITES(3, 4, 2, 0, 0), READS(5, 6, 0, 0, 0)}},
    {"absent too long", false, false, {WRITES(1, 2, 1, 0, 5), READS(3, 4, 0, 0, 0), WRITES(5, 6, 2, 0, 0)}},
    {"a commit before one that had ended", false, true, {WRITES(1, 2, 4, 0, 5), WRITES(3, 4, 3, 1, 6)}},
    {"an LSN for two", false, true, {WRITES(1, 3, 1, 0, 5), WRITES(2, 4, 1, 1, 6)}},
    {"a reader between two who cannot be parted",
     false,
     true,
     {WRITES(1, 2, 1, 0, 5), WRITES(3, 9, 2, 0, 6), WRITES(4, 8, 3, 1, 7), READS_BOTH(5, 6, 5, 1, 7, 3)}},
    {"a read beside a write, behind one of a higher LSN",
     false,
     true,
     {WRITES(1, 9, 1, 0, 5), WRITES(2, 3, 2, 1, 6), READS(4, 5, 0, 0, 0)}},
    {"two reads that part what is one",
     false,
     false,
     {{1, 9, 1, false, {{0}}, {{0, 5, 0}, {1, 6, 0}}, 0, 2}, READS(2, 3, 0, 5, 1), READS(4, 5, 1, 0, 0)}},
};

static bool say(const char *name, bool wanted, bool got, const char *why)
{
    printf("%-45s %s%s%s%s\n", name, got ? "good" : "wrong", got ? "" : ": ", got ? "" : why,
           got == wanted ? "" : "   NOT SO");
    return got == wanted;
}

bool teeth_show(void)
{
    char why[WHY];
    bool all = true;
    for (size_t i = 0; i < sizeof linear_cases / sizeof *linear_cases; i++) {
        const struct linear_case *c = &linear_cases[i];
        size_t count = 0;
        while (count < MOST && c->calls[count].to != 0) {
            count++;
        }
        bool got = linear_check(c->calls, count, why, sizeof why);
        all = say(c->name, c->good, got, why) && all;
    }
    for (size_t i = 0; i < sizeof serial_cases / sizeof *serial_cases; i++) {
        struct serial_case c = serial_cases[i];
        size_t count = 0;
        while (count < MOST && c.deals[count].to != 0) {
            count++;
        }
        bool got = serial_check(c.deals, count, 2, why, sizeof why);
        all = say(c.name, c.good, got, why) && all;
        for (size_t k = 0; k < count; k++) {
            c.deals[k].single = true;
        }
        got = graph_check(c.deals, count, 2, why, sizeof why);
        all = say("    as single calls", c.in_any_order, got, why) && all;
    }
    return all;
}
