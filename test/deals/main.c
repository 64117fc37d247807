/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve_deals: records transactions in use and looks at the states that a power failure can leave of them.
 * README.md says what it wants of them. Exits with 1 at the first state that is wrong.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crash/cut.h"
#include "crash/disk.h"
#include "deals/deals.h"
#include "log/open.h"
#include "varve/pin.h"
#include "varve/txn.h"

enum {
    THREADS = 3,
    LIVES = 3,
    STATES_OF_CUT = 12,
    STATES_OF_TRACE = 240,
    WHY = 640,
    VALUE_MAX = 20000,
    STREAM_BYTES = 4096,
};

struct scenario {
    const char *name;
    enum varve_durability durability;
    unsigned txns; /* of each thread in a life */
    size_t value_bytes;
    bool trims;
};

static const struct scenario scenarios[] = {
    {"group", VARVE_GROUP, 12, 900, false},
    {"interval", VARVE_INTERVAL, 12, 900, false},
    {"trim", VARVE_GROUP, 14, VALUE_MAX, true},
};

enum {
    SCENARIOS = sizeof scenarios / sizeof *scenarios
};

struct run {
    const struct scenario *scenario;
    struct test_rng rng;
    struct crash_disk disk;
    struct crash_trace trace;
    struct deals deals;
    struct varve_log *log;
    struct varve_txns *txns;
};

struct worker {
    pthread_t thread;
    struct run *run;
    struct test_rng rng;
    bool is_first;
};

static struct varve_options options_of(const struct scenario *s, struct varve_io *io)
{
    return (struct varve_options){
        .size = sizeof(struct varve_options),
        .durability = s->durability,
        .sync_interval_ms = 1,
        .segment_bytes = 1 << 20,
        .slot_bytes = 32768,
        .slot_count = 8,
        .mark_idle_ms = UINT32_MAX,
        .record_max = 65536,
        .io = io,
    };
}

/* Everything that was committed so far is in a checkpoint from now on. */
static void checkpoint(struct run *run)
{
    uint64_t floor = varve_txns_floor(run->txns), applied = varve_last_lsn(run->log);
    if (varve_wait(run->log, applied, VARVE_WAIT_FOREVER) == 0) {
        deals_checkpoint(&run->deals, floor, applied);
        (void)varve_trim(run->log, floor, NULL);
    }
}

static int fill(struct worker *w, struct varve_txn *txn, uint64_t number, uint32_t count)
{
    unsigned char *value = crash_need(VALUE_MAX);
    int rc = 0;
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        size_t bytes = (size_t)test_rng_range(&w->rng, DEAL_VALUE_MIN, w->run->scenario->value_bytes);
        char name[32];
        int length = snprintf(name, sizeof name, "key %" PRIu64, test_rng_below(&w->rng, 100));
        const struct varve_entity entity = {.kind = VARVE_ENTITY_KV, .name = {name, (size_t)length}};
        deals_fill(number, i, count, value, bytes);
        rc = varve_txn_put(txn, &entity, 0, value, bytes);
    }
    free(value);
    return rc;
}

/* One transaction, to one of its ends. True: it was left open, as by a program that dies. */
static bool deal(struct worker *w)
{
    struct run *run = w->run;
    uint32_t count = (uint32_t)test_rng_range(&w->rng, 1, test_rng_once_in(&w->rng, 3) ? 20 : 4);
    uint64_t number = deals_new(&run->deals, count), chance = test_rng_below(&w->rng, 16), lsn;
    struct varve_txn *txn;
    int rc = varve_txn_begin(run->txns, NULL, &txn);
    assert(rc == 0);
    rc = fill(w, txn, number, count);
    assert(rc == 0);
    if (chance == 0) {
        return true;
    }
    if (chance < 4) {
        varve_txn_abort(txn);
        return false;
    }
    deals_asked(&run->deals, number);
    rc = chance < 8 || run->scenario->durability < VARVE_GROUP
             ? varve_txn_commit_async(txn, &lsn)
             : varve_txn_commit(txn, VARVE_DURABILITY_DEFAULT, &lsn);
    assert(rc == 0);
    deals_lsn(&run->deals, number, lsn);
    if (chance < 6) {
        return false;
    }
    rc = varve_wait(run->log, lsn, VARVE_WAIT_FOREVER);
    assert(rc == 0);
    deals_acked(&run->deals, number);
    return false;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    for (unsigned i = 0; i < w->run->scenario->txns; i++) {
        (void)deal(w);
        if (w->is_first && w->run->scenario->trims && i % 4 == 3) {
            checkpoint(w->run);
        }
    }
    return NULL;
}

/* From opening to closing, or to the process's death. */
static void live(struct run *run, bool dies)
{
    const struct varve_options options = options_of(run->scenario, &run->trace.pass.io);
    struct varve_txns_options o = {.size = sizeof o, .io = options.io, .stream_bytes = STREAM_BYTES};
    struct worker workers[THREADS];
    struct varve_error error = {0};
    o.limit_ms = VARVE_TXN_NO_LIMIT;
    if (varve_open("log", &options, &run->log, &error) != 0 ||
        varve_txns_open(run->log, &o, &run->txns, &error) != 0) {
        fprintf(stderr, "a log that is recorded does not open: %s\n", error.message);
        abort();
    }
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].run = run;
        workers[i].is_first = i == 0;
        test_rng_init(&workers[i].rng, test_rng_next(&run->rng));
        int rc = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        assert(rc == 0);
        (void)rc;
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
    }
    varve_txns_close(run->txns);
    if (dies) {
        vv_close_free(run->log);
    } else if (varve_close(run->log, &error) != 0) {
        fprintf(stderr, "closing fails: %s\n", error.message);
        abort();
    }
}

static void record(struct run *run, const struct scenario *scenario, uint64_t seed)
{
    struct crash_fs fs, empty;
    run->scenario = scenario;
    test_rng_init(&run->rng, seed);
    crash_fs_init(&fs);
    crash_fs_copy(&fs, &empty);
    crash_disk_init(&run->disk, &fs, test_rng_next(&run->rng));
    crash_trace_init(&run->trace, &run->disk.io, &empty);
    crash_fs_free(&empty);
    run->trace.pace_us = 100;
    deals_init(&run->deals, &run->trace);
    unsigned lives = (unsigned)test_rng_range(&run->rng, 1, LIVES);
    for (unsigned i = 0; i < lives; i++) {
        live(run, test_rng_once_in(&run->rng, 2));
    }
}

static void run_close(struct run *run)
{
    deals_close(&run->deals);
    crash_trace_close(&run->trace);
    crash_disk_close(&run->disk);
}

static int count_pins(void *arg, const struct varve_pin *pin)
{
    unsigned *count = arg;
    (void)pin;
    (*count)++;
    return 0;
}

/* A streamed transaction after the crash is as whole as those before. */
static bool go_on(struct run *run, struct varve_log *log, char *why)
{
    struct varve_txns_options o = {.size = sizeof o, .stream_bytes = STREAM_BYTES};
    const struct varve_entity entity = {.kind = VARVE_ENTITY_RUN};
    unsigned char value[1000];
    struct varve_error error = {0};
    struct varve_txns *txns;
    struct varve_txn *txn;
    unsigned pins = 0;
    uint64_t lsn = 0;
    uint64_t number = deals_new(&run->deals, 9);
    int rc = varve_txns_open(log, &o, &txns, &error);
    if (rc != 0) {
        (void)snprintf(why, WHY, "no transactions after it: %s", error.message);
        return false;
    }
    rc = varve_txn_begin(txns, NULL, &txn);
    for (uint32_t i = 0; i < 9 && rc == 0; i++) {
        deals_fill(number, i, 9, value, sizeof value);
        rc = varve_txn_put(txn, &entity, 0, value, sizeof value);
    }
    deals_asked(&run->deals, number);
    rc = rc == 0 ? varve_txn_commit(txn, VARVE_GROUP, &lsn) : rc;
    deals_lsn(&run->deals, number, lsn);
    deals_acked(&run->deals, number);
    varve_txns_close(txns);
    if (rc != 0 || varve_pin_list(log, count_pins, &pins, NULL) != 0 || pins != 0) {
        (void)snprintf(why, WHY, "a transaction after it: %s, and %u pins", varve_error_name(rc), pins);
        return false;
    }
    return true;
}

/* One state. The transaction that is made after it is not known to any other. */
static bool check_state(struct run *run, const struct crash_cut *cut, uint64_t number, enum deal_tooth tooth,
                        char *why)
{
    size_t known = run->deals.count;
    struct varve_error error = {0};
    struct varve_log *log;
    struct crash_disk disk;
    struct crash_fs fs;
    bool good;
    crash_cut_state(cut, number, &fs);
    crash_disk_init(&disk, &fs, number);
    const struct varve_options options = options_of(run->scenario, &disk.io);
    if (varve_open("log", &options, &log, &error) != 0) {
        (void)snprintf(why, WHY, "it does not open: %s", error.message);
        crash_disk_close(&disk);
        return false;
    }
    good = deals_judge(&run->deals, log, cut->moment, tooth, why, WHY);
    if (good && number % 4 == 0) {
        good = go_on(run, log, why);
        run->deals.deals[run->deals.count - 1].asked = 0;
        run->deals.deals[run->deals.count - 1].acked = 0;
        good = good && deals_judge(&run->deals, log, cut->moment, tooth, why, WHY);
    }
    run->deals.count = known;
    vv_close_free(log);
    crash_disk_close(&disk);
    return good;
}

static bool check_cut(struct run *run, struct test_rng *rng, enum deal_tooth tooth, uint64_t *states)
{
    struct crash_cut cut;
    char why[WHY] = "";
    uint64_t moment = crash_trace_moment(&run->trace, rng, 1);
    crash_cut_init(&cut, &run->trace, moment, 512);
    uint64_t systematic = crash_cut_systematic(&cut);
    bool good = true;
    for (uint64_t i = 0; good && i < STATES_OF_CUT && i < systematic; i++) {
        uint64_t number = i;
        if (systematic > STATES_OF_CUT && i >= 2) {
            number = cut.count > 8 && test_rng_once_in(rng, 2)
                         ? systematic + test_rng_below(rng, UINT32_MAX - systematic)
                         : test_rng_below(rng, systematic);
        }
        good = check_state(run, &cut, number, tooth, why);
        (*states)++;
        if (!good && tooth == DEAL_TOOTH_NONE) {
            fprintf(stderr, "scenario %s: state %" PRIu64 " at %" PRIu64 " of %" PRIu64 ": %s\n",
                    run->scenario->name, number, moment, run->trace.clock, why);
            crash_cut_explain(&cut, number);
        }
    }
    crash_cut_close(&cut);
    return good;
}

static bool explore(const struct scenario *scenario, uint64_t seed, uint64_t states, enum deal_tooth tooth)
{
    uint64_t done = 0, traces = 0;
    bool good = true;
    while (good && done < states) {
        struct run run;
        struct test_rng rng;
        uint64_t stop = done + STATES_OF_TRACE;
        record(&run, scenario, test_rng_mix(seed + traces));
        test_rng_init(&rng, ~(seed + traces));
        traces++;
        while (good && done < stop && done < states) {
            good = check_cut(&run, &rng, tooth, &done);
        }
        run_close(&run);
    }
    if (tooth == DEAL_TOOTH_NONE) {
        printf("%-9s %" PRIu64 " states in %" PRIu64 " traces\n", scenario->name, done, traces);
        (void)fflush(stdout);
    }
    return good;
}

static bool show_teeth(uint64_t seed, uint64_t states)
{
    bool all = true;
    for (int tooth = DEAL_TOOTH_NONE + 1; tooth < DEAL_TOOTH_COUNT; tooth++) {
        bool found = !explore(&scenarios[0], seed, states, (enum deal_tooth)tooth);
        printf("tooth %d %s\n", tooth, found ? "found" : "NOT FOUND");
        all = all && found;
    }
    return all;
}

static bool parse(int argc, char **argv, const char **ret_name, uint64_t *ret_states, uint64_t *ret_seconds,
                  uint64_t *ret_seed, bool *ret_teeth)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 0);
        if (strcmp(argv[i], "--scenario") == 0) {
            *ret_name = argv[i + 1];
        } else if (strcmp(argv[i], "--states") == 0) {
            *ret_states = number;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            *ret_seconds = number;
        } else if (strcmp(argv[i], "--seed") == 0) {
            *ret_seed = number;
        } else if (strcmp(argv[i], "--teeth") == 0) {
            *ret_teeth = number != 0;
        } else {
            return false;
        }
    }
    return argc % 2 == 1;
}

int main(int argc, char **argv)
{
    uint64_t states = 600, seconds = 0, seed = 0, total = 0;
    const char *name = NULL;
    bool teeth = false, good = true;
    if (!parse(argc, argv, &name, &states, &seconds, &seed, &teeth)) {
        fprintf(stderr,
                "usage: varve_deals [--scenario group|interval|trim] [--states N] [--seconds N] [--seed S]\n"
                "                 [--teeth 1]\n");
        return 2;
    }
    /* Buffers come and go with every opening: the memory is kept, not handed back each time. */
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
    seed = seed != 0 ? seed : test_rng_seed();
    if (teeth) {
        return show_teeth(seed, states) ? 0 : 1;
    }
    time_t end = time(NULL) + (time_t)seconds;
    do {
        for (unsigned i = 0; good && i < SCENARIOS; i++) {
            if (name == NULL || strcmp(name, scenarios[i].name) == 0) {
                good = explore(&scenarios[i], seed, states, DEAL_TOOTH_NONE);
                total += states;
            }
        }
        seed = test_rng_mix(seed);
    } while (good && time(NULL) < end);
    printf("total: %" PRIu64 " states\n", total);
    return good && total > 0 ? 0 : 1;
}
