/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve_store: records a key-value engine in use and looks at the states that a power failure can leave of
 * it. README.md says what it wants of them. Exits with 1 at the first state that is wrong.
 */
#include <assert.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crash/cut.h"
#include "crash/disk.h"
#include "store/model.h"

enum {
    THREADS = 3,
    LIVES = 2,
    STATES_OF_CUT = 10,
    STATES_OF_TRACE = 150,
    WHY = 640,
    VALUE_MAX = 12000,
    NUMBERS = 5,  /* the first keys hold numbers, */
    LOCKS = 10,   /* those up to here locks, */
    STREAMS = 14, /* those up to here streams */
};

struct scenario {
    const char *name;
    enum varve_durability durability;
    unsigned calls; /* of each thread in a life */
    size_t value_bytes;
    unsigned snapshot_every; /* calls of the first thread */
    uint64_t txn_bytes;      /* 0: the engine's */
};

static const struct scenario scenarios[] = {
    {"group", VARVE_GROUP, 40, 300, 25, 0},
    {"interval", VARVE_INTERVAL, 60, 300, 25, 0},
    {"snapshots", VARVE_GROUP, 60, VALUE_MAX, 6, 0},
    {"streams", VARVE_GROUP, 40, 3000, 6, 4096},
};

enum {
    SCENARIOS = sizeof scenarios / sizeof *scenarios
};

struct run {
    const struct scenario *scenario;
    struct test_rng rng;
    struct crash_disk disk;
    struct crash_trace trace;
    struct model model;
    struct varve_kv *kv;
    _Atomic uint64_t numbers;
};

struct worker {
    pthread_t thread;
    struct run *run;
    struct test_rng rng;
    bool is_first;
    unsigned char value[VALUE_MAX];
};

static int open_store(const struct scenario *s, struct varve_io *io, struct varve_kv **ret_kv,
                      struct varve_error *ret_error)
{
    const struct varve_options log = {
        .size = sizeof log,
        .durability = s->durability,
        .sync_interval_ms = 1,
        .segment_bytes = 1 << 20,
        .slot_bytes = 32768,
        .slot_count = 8,
        .mark_idle_ms = UINT32_MAX,
        .record_max = 1 << 18,
        .io = io,
    };
    const struct varve_kv_options options = {
        .size = sizeof options,
        .log = &log,
        .shards = 4,
        .snapshot_ms = VARVE_KV_NEVER,
        .snapshot_operations = VARVE_KV_UNLIMITED,
        .snapshot_keep = 2,
        .txn_bytes = s->txn_bytes,
    };
    return varve_kv_open("store", &options, ret_kv, ret_error);
}

/* A value that is new, in w->value. */
static void new_value(struct worker *w, struct model_call *call)
{
    call->number = atomic_fetch_add(&w->run->numbers, 1);
    call->bytes = (size_t)test_rng_below(&w->rng, w->run->scenario->value_bytes);
    model_value(call->number, w->value, call->bytes);
}

static int call_number(struct worker *w, struct model_call *call, const char *name, size_t bytes)
{
    call->kind = MODEL_ADD;
    call->number = test_rng_below(&w->rng, 100);
    return varve_kv_add(w->run->kv, name, bytes, (int64_t)call->number, NULL, NULL, &call->lsn);
}

static int call_lock(struct worker *w, struct model_call *call, const char *name, size_t bytes)
{
    call->kind = MODEL_LOCK;
    call->number = w->is_first;
    call->bytes = 8;
    model_value(call->number, w->value, call->bytes);
    if (test_rng_once_in(&w->rng, 2)) {
        return varve_kv_lock(w->run->kv, name, bytes, w->value, call->bytes, 1000000000, &call->lsn);
    }
    call->kind = MODEL_DELETE;
    return varve_kv_unlock(w->run->kv, name, bytes, w->value, call->bytes, &call->lsn);
}

static int call_value(struct worker *w, struct model_call *call, const char *name, size_t bytes)
{
    uint64_t chance = test_rng_below(&w->rng, 10);
    new_value(w, call);
    if (chance < 2) {
        call->kind = MODEL_DELETE;
        return varve_kv_delete(w->run->kv, name, bytes, NULL, &call->lsn);
    }
    if (chance < 4) {
        call->kind = MODEL_APPEND;
        return varve_kv_append(w->run->kv, name, bytes, w->value, call->bytes, NULL, NULL, &call->lsn);
    }
    call->kind = MODEL_SET;
    return varve_kv_set(w->run->kv, name, bytes, w->value, call->bytes, NULL, &call->lsn);
}

static int call_stream(struct worker *w, struct model_call *call, const char *name, size_t bytes)
{
    struct varve_kv_stream stream = {.size = sizeof stream};
    uint64_t chance = test_rng_below(&w->rng, 10);
    int rc;
    if (chance == 0) {
        call->kind = MODEL_DELETE;
        return varve_kv_delete(w->run->kv, name, bytes, NULL, &call->lsn);
    }
    if (chance <= 2) {
        call->kind = MODEL_TRIM;
        rc = varve_kv_stream_get(w->run->kv, name, bytes, &stream);
        call->number = rc == 0 ? test_rng_range(&w->rng, stream.first, stream.next) : 0;
        return rc != 0 ? rc : varve_kv_stream_trim(w->run->kv, name, bytes, call->number, NULL, &call->lsn);
    }
    call->kind = MODEL_EVENT;
    new_value(w, call);
    return varve_kv_stream_append(w->run->kv, name, bytes, w->value, call->bytes, NULL, NULL, &call->lsn);
}

/* Several keys at once; reads one of them first, so that it may lose against another. */
static int call_transaction(struct worker *w, struct model_call *calls, size_t *ret_count)
{
    struct varve_kv_value value = {.data = NULL};
    size_t count = (size_t)test_rng_range(&w->rng, 2, 5), deleted = 0;
    unsigned first = (unsigned)test_rng_below(&w->rng, MODEL_KEYS);
    struct varve_kv_txn *txn;
    uint64_t lsn = 0;
    int rc = varve_kv_begin(w->run->kv, 1000000, &txn);
    assert(rc == 0);
    for (size_t i = 0; i < count && rc == 0; i++) {
        char name[16];
        struct model_call *call = &calls[i - deleted];
        *call = (struct model_call){.kind = MODEL_SET};
        call->key = LOCKS + (first + (unsigned)i) % (MODEL_KEYS - LOCKS);
        size_t bytes = model_key(call->key, name);
        if (call->key < STREAMS) {
            call->kind = MODEL_EVENT;
            new_value(w, call);
            rc = varve_kv_txn_stream_append(txn, name, bytes, w->value, call->bytes);
            continue;
        }
        int found = varve_kv_txn_get(txn, name, bytes, &value);
        new_value(w, call);
        if (found != 0 || test_rng_once_in(&w->rng, 2)) {
            rc = varve_kv_txn_set(txn, name, bytes, w->value, call->bytes, 0);
        } else {
            call->kind = MODEL_DELETE;
            rc = varve_kv_txn_delete(txn, name, bytes);
        }
    }
    if (rc == 0) {
        rc = varve_kv_commit(txn, 0, &lsn);
    }
    if (rc != 0) {
        varve_kv_abort(txn);
    }
    for (size_t i = 0; i < count; i++) {
        calls[i].lsn = lsn;
    }
    *ret_count = count;
    varve_kv_value_free(&value);
    return rc;
}

/* A key that is over as soon as it is there: nobody sees it, and it goes again. */
static void call_expiring(struct worker *w)
{
    const struct varve_kv_write past = {.size = sizeof past, .expires_us = 1};
    char name[16];
    int bytes = snprintf(name, sizeof name, "over %u", (unsigned)test_rng_below(&w->rng, 5));
    (void)varve_kv_set(w->run->kv, name, (size_t)bytes, "x", 1, &past, NULL);
}

static void call_one(struct worker *w)
{
    struct model_call calls[5] = {{.lsn = 0}};
    size_t count = 1;
    char name[16];
    int rc;
    if (test_rng_once_in(&w->rng, 12)) {
        call_expiring(w);
        return;
    }
    if (test_rng_once_in(&w->rng, 5)) {
        rc = call_transaction(w, calls, &count);
    } else {
        calls[0].key = (unsigned)test_rng_below(&w->rng, MODEL_KEYS);
        size_t bytes = model_key(calls[0].key, name);
        rc = calls[0].key < NUMBERS   ? call_number(w, calls, name, bytes)
             : calls[0].key < LOCKS   ? call_lock(w, calls, name, bytes)
             : calls[0].key < STREAMS ? call_stream(w, calls, name, bytes)
                                      : call_value(w, calls, name, bytes);
    }
    if (rc != 0) {
        assert(rc == VARVE_E_NO_KEY || rc == VARVE_E_INVALID || rc == VARVE_E_CONFLICT ||
               rc == VARVE_E_TOO_LARGE);
        return;
    }
    model_note(&w->run->model, calls, count);
    if (w->run->scenario->durability >= VARVE_GROUP) {
        model_ack(&w->run->model, calls[0].lsn);
    } else if (test_rng_once_in(&w->rng, 6)) {
        rc = varve_wait(varve_kv_log(w->run->kv), calls[0].lsn, VARVE_WAIT_FOREVER);
        assert(rc == 0);
        model_ack(&w->run->model, calls[0].lsn);
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    const struct scenario *s = w->run->scenario;
    for (unsigned i = 0; i < s->calls; i++) {
        call_one(w);
        if (w->is_first && i % s->snapshot_every == s->snapshot_every - 1) {
            struct varve_error error = {0};
            if (varve_kv_snapshot(w->run->kv, NULL, &error) != 0) {
                fprintf(stderr, "a snapshot fails: %s\n", error.message);
                abort();
            }
        }
    }
    return NULL;
}

static void live(struct run *run)
{
    struct worker *workers = crash_need(THREADS * sizeof *workers);
    struct varve_error error = {0};
    if (open_store(run->scenario, &run->trace.pass.io, &run->kv, &error) != 0) {
        fprintf(stderr, "an engine that is recorded does not open: %s\n", error.message);
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
    free(workers);
    if (varve_kv_close(run->kv, &error) != 0) {
        fprintf(stderr, "closing fails: %s\n", error.message);
        abort();
    }
}

static void record(struct run *run, const struct scenario *scenario, uint64_t seed)
{
    struct crash_fs fs, empty;
    memset(run, 0, sizeof *run);
    run->scenario = scenario;
    test_rng_init(&run->rng, seed);
    crash_fs_init(&fs);
    crash_fs_copy(&fs, &empty);
    crash_disk_init(&run->disk, &fs, test_rng_next(&run->rng));
    crash_trace_init(&run->trace, &run->disk.io, &empty);
    crash_fs_free(&empty);
    run->trace.pace_us = 50;
    model_init(&run->model, &run->trace);
    unsigned lives = (unsigned)test_rng_range(&run->rng, 1, LIVES);
    for (unsigned i = 0; i < lives; i++) {
        live(run);
    }
    model_seal(&run->model);
}

static void run_close(struct run *run)
{
    model_close(&run->model);
    crash_trace_close(&run->trace);
    crash_disk_close(&run->disk);
}

/* Opens it again: the same comes out, and it can be written to. */
static bool again(struct run *run, struct varve_io *io, const uint8_t *digest, char *why)
{
    uint8_t second[VARVE_KV_DIGEST_BYTES];
    struct varve_error error = {0};
    struct varve_kv *kv;
    int rc = open_store(run->scenario, io, &kv, &error);
    if (rc != 0) {
        (void)snprintf(why, WHY, "it does not open again: %s", error.message);
        return false;
    }
    rc = varve_kv_digest(kv, second);
    if (rc == 0 && memcmp(second, digest, sizeof second) != 0) {
        (void)snprintf(why, WHY, "a second opening gives another state");
        rc = 1;
    }
    if (rc == 0) {
        rc = varve_kv_set(kv, "key 39", 6, "x", 1, NULL, NULL);
    }
    if (rc == 0) {
        rc = varve_kv_snapshot(kv, NULL, &error);
    }
    if (rc < 0) {
        (void)snprintf(why, WHY, "it does not go on: %s: %s", varve_error_name(rc), error.message);
    }
    (void)varve_kv_close(kv, NULL);
    return rc == 0;
}

static bool check_state(struct run *run, const struct crash_cut *cut, uint64_t number, enum model_tooth tooth,
                        char *why)
{
    uint8_t digest[VARVE_KV_DIGEST_BYTES];
    struct varve_kv_recovery recovery = {.size = sizeof recovery};
    struct varve_error error = {0};
    struct crash_disk disk;
    struct crash_fs fs;
    struct varve_kv *kv;
    crash_cut_state(cut, number, &fs);
    crash_disk_init(&disk, &fs, number);
    bool good = open_store(run->scenario, &disk.io, &kv, &error) == 0;
    if (!good) {
        (void)snprintf(why, WHY, "it does not open: %s", error.message);
    } else {
        good = varve_kv_recovery_get(kv, &recovery) == 0 && varve_kv_digest(kv, digest) == 0;
        good = good && model_judge(&run->model, kv, recovery.last_lsn, cut->moment, tooth, why, WHY);
        (void)varve_kv_close(kv, NULL);
    }
    if (good && number % 4 == 0) {
        good = again(run, &disk.io, digest, why);
    }
    crash_disk_close(&disk);
    return good;
}

static bool check_cut(struct run *run, struct test_rng *rng, enum model_tooth tooth, uint64_t *states)
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
        if (!good && tooth == MODEL_TOOTH_NONE) {
            fprintf(stderr, "scenario %s: state %" PRIu64 " at %" PRIu64 " of %" PRIu64 ": %s\n",
                    run->scenario->name, number, moment, run->trace.clock, why);
            crash_cut_explain(&cut, number);
        }
    }
    crash_cut_close(&cut);
    return good;
}

static bool explore(const struct scenario *scenario, uint64_t seed, uint64_t states, enum model_tooth tooth)
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
    if (tooth == MODEL_TOOTH_NONE) {
        printf("%-9s %" PRIu64 " states in %" PRIu64 " traces\n", scenario->name, done, traces);
        (void)fflush(stdout);
    }
    return good;
}

static bool show_teeth(uint64_t seed, uint64_t states)
{
    bool all = true;
    for (int tooth = MODEL_TOOTH_NONE + 1; tooth < MODEL_TOOTH_COUNT; tooth++) {
        bool found = !explore(&scenarios[0], seed, states, (enum model_tooth)tooth);
        printf("tooth %d %s\n", tooth, found ? "found" : "NOT FOUND");
        all = all && found;
    }
    return all;
}

struct arguments {
    const char *name;
    uint64_t states, seconds, seed;
    bool teeth;
};

static bool parse(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 0);
        if (strcmp(argv[i], "--scenario") == 0) {
            a->name = argv[i + 1];
        } else if (strcmp(argv[i], "--states") == 0) {
            a->states = number;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            a->seconds = number;
        } else if (strcmp(argv[i], "--seed") == 0) {
            a->seed = number;
        } else if (strcmp(argv[i], "--teeth") == 0) {
            a->teeth = number != 0;
        } else {
            return false;
        }
    }
    return argc % 2 == 1;
}

int main(int argc, char **argv)
{
    struct arguments a = {.states = 300};
    uint64_t total = 0;
    bool good = true;
    if (!parse(argc, argv, &a)) {
        fprintf(
            stderr,
            "usage: varve_store [--scenario group|interval|snapshots|streams] [--states N] [--seconds N]\n"
            "                   [--seed S] [--teeth 1]\n");
        return 2;
    }
    /* Buffers come and go with every opening: the memory is kept, not handed back each time. */
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
    a.seed = a.seed != 0 ? a.seed : test_rng_seed();
    if (a.teeth) {
        return show_teeth(a.seed, a.states) ? 0 : 1;
    }
    time_t end = time(NULL) + (time_t)a.seconds;
    do {
        for (unsigned i = 0; good && i < SCENARIOS; i++) {
            if (a.name == NULL || strcmp(a.name, scenarios[i].name) == 0) {
                good = explore(&scenarios[i], a.seed, a.states, MODEL_TOOTH_NONE);
                total += a.states;
            }
        }
        a.seed = test_rng_mix(a.seed);
    } while (good && time(NULL) < end);
    printf("total: %" PRIu64 " states\n", total);
    return good && total > 0 ? 0 : 1;
}
