/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/explore.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crash/cut.h"
#include "crash/save.h"

enum {
    STATES_OF_CUT = 12,
    STATES_OF_TRACE = 240,
    TRACES = 3,
    WATCHDOG_SECONDS = 120 /* a state takes milliseconds, a recording seconds */
};

/* What is being looked at, for who comes by when nothing moves any more. */
static char at_now[256];

static void say_where(int sig)
{
    (void)sig;
    (void)!write(STDERR_FILENO, at_now, strlen(at_now));
    _exit(1);
}

VARVE_PRINTF(1, 2)
static void watch(const char *fmt, ...)
{
    const struct sigaction action = {.sa_handler = say_where};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(at_now, sizeof at_now, fmt, args);
    va_end(args);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)alarm(WATCHDOG_SECONDS);
}

static uint64_t seed_of(const struct crash_cut *cut, uint64_t number)
{
    return test_rng_mix(cut->moment << 32 ^ number);
}

/* Leaves the state's files, and all that is needed to have it again. */
static void keep_state(const struct crash_explorer *explorer, const struct crash_session *session,
                       const struct crash_cut *cut, const struct crash_check *check, uint64_t number)
{
    struct crash_case which = {cut->moment, number, explorer->sector_bytes, check->depth, check->nested, ""};
    char path[512];
    struct crash_fs fs;
    (void)snprintf(which.scenario, sizeof which.scenario, "%s", session->scenario->name);
    crash_cut_state(cut, number, &fs);
    int rc = crash_fs_dump(&fs, explorer->keep);
    crash_fs_free(&fs);
    (void)snprintf(path, sizeof path, "%s/case", explorer->keep);
    if (rc == 0) {
        rc = crash_save(path, &which, &session->trace, &session->history);
    }
    fprintf(stderr, "its files are in %s; once more: varve_crash --replay %s%s%s\n", explorer->keep, path,
            rc != 0 ? ": " : "", rc != 0 ? strerror(-rc) : "");
}

/* One state of a cut. */
static bool explore_state(struct crash_explorer *explorer, struct crash_session *session,
                          const struct crash_cut *cut, uint64_t number)
{
    struct crash_check check = {
        .history = &session->history,
        .format = session->scenario->format,
        .one_file = session->scenario->one_file,
        .single = session->scenario->single,
        .moment = cut->moment,
        .seed = seed_of(cut, number),
        .nested = explorer->nested,
        .sector_bytes = explorer->sector_bytes,
        .tally = &explorer->tally,
    };
    struct crash_fs fs;
    watch("scenario %s: state %" PRIu64 " at %" PRIu64 " of %" PRIu64 ": no progress in %d s\n",
          session->scenario->name, number, cut->moment, session->trace.clock, WATCHDOG_SECONDS);
    crash_cut_state(cut, number, &fs);
    /* A crash on top of a crash costs as much as several others. */
    check.depth = check.seed % 4 == 0 ? explorer->depth : 0;
    if (crash_check_state(&check, &fs)) {
        return true;
    }
    memcpy(explorer->message, check.message, sizeof check.message);
    if (explorer->keep != NULL) {
        fprintf(stderr, "scenario %s: state %" PRIu64 " at %" PRIu64 " of %" PRIu64 ": %s\n",
                session->scenario->name, number, cut->moment, session->trace.clock, check.message);
        crash_cut_explain(cut, number);
        keep_state(explorer, session, cut, &check, number);
    }
    return false;
}

/* Some states of a moment: all of them if they are few, else the plainest and some by chance. */
static bool explore_cut(struct crash_explorer *explorer, struct crash_session *session, struct test_rng *rng)
{
    struct crash_cut cut;
    uint64_t moment = crash_trace_moment(&session->trace, rng, 1);
    crash_cut_init(&cut, &session->trace, moment, explorer->sector_bytes);
    uint64_t systematic = crash_cut_systematic(&cut);
    bool good = true;
    explorer->tally.cuts++;
    explorer->tally.items += cut.count;
    for (uint64_t i = 0; good && i < STATES_OF_CUT && i < systematic; i++) {
        uint64_t number = i;
        if (systematic > STATES_OF_CUT && i >= 2) {
            number = cut.count > 8 && test_rng_once_in(rng, 2)
                         ? systematic + test_rng_below(rng, UINT32_MAX - systematic)
                         : test_rng_below(rng, systematic);
        }
        explorer->tally.systematic += number < systematic;
        good = explore_state(explorer, session, &cut, number);
    }
    crash_cut_close(&cut);
    return good;
}

/* A session from an empty disk on: traces, with a power failure between them. */
static bool explore_session(struct crash_explorer *explorer, const struct crash_scenario *scenario,
                            uint64_t seed)
{
    /* What a bug leaves may be a log that cannot be gone on with. */
    unsigned traces = explorer->tooth != CRASH_TOOTH_NONE ? 1
                      : scenario->traces != 0             ? scenario->traces
                                                          : TRACES;
    uint64_t states = scenario->states != 0 ? scenario->states : STATES_OF_TRACE;
    struct crash_session session;
    struct test_rng rng;
    bool good = true;
    test_rng_init(&rng, ~seed);
    crash_session_init(&session, scenario, explorer->tooth, seed);
    for (unsigned trace = 0; good && trace < traces && explorer->tally.states < explorer->states; trace++) {
        uint64_t stop = explorer->tally.states + states;
        watch("scenario %s, seed %" PRIu64 ": recording: no progress in %d s\n", scenario->name, seed,
              WATCHDOG_SECONDS);
        if (trace > 0) {
            crash_session_power_failure(&session, explorer->sector_bytes);
        }
        crash_session_record(&session);
        explorer->tally.traces++;
        while (good && explorer->tally.states < stop && explorer->tally.states < explorer->states) {
            good = explore_cut(explorer, &session, &rng);
        }
    }
    explorer->tally.faults += session.faults;
    crash_session_close(&session);
    (void)alarm(0);
    return good;
}

bool crash_explore(struct crash_explorer *explorer, const struct crash_scenario *scenario)
{
    bool good = true;
    explorer->tally = (struct crash_tally){.states = 0};
    for (uint64_t i = 0; good && explorer->tally.states < explorer->states; i++) {
        good = explore_session(explorer, scenario, test_rng_mix(explorer->seed + i));
    }
    return good;
}

bool crash_replay(const char *path)
{
    struct crash_tally tally = {.states = 0};
    struct crash_history history;
    struct crash_trace trace;
    struct crash_case which;
    struct crash_cut cut;
    struct crash_fs fs;
    int rc = crash_load(path, &which, &trace, &history);
    const struct crash_scenario *scenario = rc == 0 ? crash_scenario_find(which.scenario) : NULL;
    if (rc == 0 && scenario == NULL) {
        fprintf(stderr, "%s: no scenario %s\n", path, which.scenario);
        return false;
    }
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(-rc));
        return false;
    }
    crash_cut_init(&cut, &trace, which.moment, (size_t)which.sector_bytes);
    struct crash_check check = {
        .history = &history,
        .format = scenario->format,
        .one_file = scenario->one_file,
        .single = scenario->single,
        .moment = which.moment,
        .seed = seed_of(&cut, which.number),
        .depth = which.depth,
        .nested = which.nested,
        .sector_bytes = (size_t)which.sector_bytes,
        .tally = &tally,
    };
    crash_cut_state(&cut, which.number, &fs);
    bool good = crash_check_state(&check, &fs);
    fprintf(stderr, "state %" PRIu64 " at %" PRIu64 ": %s\n", which.number, which.moment,
            good ? "nothing is wrong with it" : check.message);
    crash_cut_close(&cut);
    crash_history_close(&history);
    crash_trace_close(&trace);
    return good;
}
