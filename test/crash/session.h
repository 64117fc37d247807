/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log that is used for real, by several threads, while everything is written down: what the explorer takes
 * its crashes from. A session goes through lives of the log, each ended by closing it, by the process's death
 * at some moment, or by a power failure that leaves one of the states there could be.
 */
#ifndef TEST_CRASH_SESSION_H
#define TEST_CRASH_SESSION_H

#include "crash/disk.h"
#include "crash/history.h"
#include "crash/tooth.h"
#include "lib/fault.h"
#include "varve/varve.h"

/* How a log is used. */
struct crash_scenario {
    const char *name;
    const char *about;
    const char *format; /* NULL = the native one */
    bool one_file;      /* the format has no others, and so no size of one */
    const char *codec;  /* NULL = none; what this build does not have is not used */
    enum varve_durability durability;
    enum varve_backend backend;
    unsigned writes_in_flight;
    unsigned slot_bytes, slot_count;
    unsigned threads;
    unsigned appends;          /* of each thread in a life */
    size_t record_bytes;       /* most records have up to so many bytes, */
    size_t large_bytes;        /* and one in eight up to so many; 0 = none has more */
    unsigned trim_every;       /* appends of the first thread between trims; 0 = never */
    unsigned mark_idle_ms;     /* 0 = no marks */
    unsigned sync_interval_ms; /* 0 = the default */
    bool single;    /* no batches: blocks of one write reach the disk in any order, and a format without
                       frames takes that for damage */
    bool faults;    /* writes and syncs fail now and then */
    bool away;      /* the log has a second directory to go to then */
    unsigned lives; /* up to so many in a trace */
    unsigned kill_once_in; /* lives that end in a kill; 0 = every second one */
    unsigned traces;       /* with power failures between; 0 = 3 */
    unsigned states;       /* to be taken from each; 0 = 240 */
};

const struct crash_scenario *crash_scenario_at(unsigned index); /* NULL behind the last */
const struct crash_scenario *crash_scenario_find(const char *name);

struct crash_session {
    const struct crash_scenario *scenario;
    struct test_rng rng;
    struct crash_disk disk;
    struct test_fault fault;
    struct crash_trace trace;
    struct crash_tooth tooth; /* above the trace: what the log is given */
    struct crash_history history;
    uint64_t faults; /* calls that were made to fail */
};

/* A new file system. `seed`: what is left to chance, but not what the threads make of it. */
void crash_session_init(struct crash_session *session, const struct crash_scenario *scenario,
                        enum crash_tooth_kind tooth, uint64_t seed);
void crash_session_close(struct crash_session *session);
/* Lives, up to scenario->lives of them; then history and trace can be asked. */
void crash_session_record(struct crash_session *session);
/* The power fails: the trace begins anew, with one of the states that were possible. */
void crash_session_power_failure(struct crash_session *session, size_t sector_bytes);

/* Set where a bug was put in on purpose: a log that does not open while it is recorded ends the process with
 * this code then, and is a failure of the test otherwise. */
#define CRASH_SESSION_FOUND 3
extern bool crash_session_has_bug;

#endif
