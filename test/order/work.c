/* SPDX-License-Identifier: Apache-2.0 */
#include "order/work.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/memory.h"
#include "lib/rng.h"
#include "order/graph.h"

enum {
    VALUE_ROOM = 8192,
    COUNTER = 3, /* of the single keys: a number, */
    LOCK = 4,    /* and a lock */
};

struct shared {
    const struct work_config *config;
    struct varve_kv *kv;
    _Atomic uint64_t clock, numbers;
    _Atomic unsigned running;
    pthread_barrier_t start;
};

struct worker {
    pthread_t thread;
    struct shared *shared;
    unsigned id;
    struct test_rng rng;
    struct work told;
    struct varve_kv_value value;
    uint64_t seen_version[WORK_SINGLES + WORK_SHARED], seen_number[WORK_SINGLES + WORK_SHARED];
    char text[VALUE_ROOM];
};

static void refuse(const char *what, int rc)
{
    fprintf(stderr, "%s: %s\n", what, varve_error_name(rc));
    abort();
}

static void *grow(void *memory, size_t *room, size_t count, size_t bytes)
{
    if (count <= *room) {
        return memory;
    }
    *room = count * 2 + 64;
    memory = realloc(memory, *room * bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void note_call(struct work *work, unsigned key, const struct linear_call *call)
{
    work->calls[key] =
        grow(work->calls[key], &work->call_room[key], work->call_count[key] + 1, sizeof *work->calls[key]);
    work->calls[key][work->call_count[key]++] = *call;
}

static void note_deal(struct work *work, const struct serial_deal *deal)
{
    work->deals = grow(work->deals, &work->deal_room, work->deal_count + 1, sizeof *work->deals);
    work->deals[work->deal_count++] = *deal;
}

static uint64_t tick(struct worker *w)
{
    return atomic_fetch_add(&w->shared->clock, 1);
}

/* A number that nobody has written, as text, of any length. */
static size_t new_text(struct worker *w, uint64_t *ret_number)
{
    size_t bytes, most = w->shared->config->value_bytes;
    *ret_number = atomic_fetch_add(&w->shared->numbers, 1);
    bytes = (size_t)snprintf(w->text, sizeof w->text, "%" PRIu64, *ret_number);
    if (most > bytes) {
        size_t more = (size_t)test_rng_below(&w->rng, most - bytes);
        memset(w->text + bytes, ' ', more);
        bytes += more;
    }
    return bytes;
}

static uint64_t number_of(const struct varve_kv_value *value)
{
    char text[32] = {0};
    memcpy(text, value->data, value->bytes < sizeof text - 1 ? value->bytes : sizeof text - 1);
    return strtoull(text, NULL, 10);
}

static enum linear_told told_of(int rc)
{
    if (rc != 0 && rc != VARVE_E_NO_KEY && rc != VARVE_E_CONFLICT) {
        refuse("a call", rc);
    }
    return rc == 0 ? LINEAR_DONE : rc == VARVE_E_NO_KEY ? LINEAR_NO_KEY : LINEAR_CONFLICT;
}

/* -- calls on one key -- */

static int set_it(struct worker *w, const char *name, struct linear_call *c)
{
    struct varve_kv_write how = {.size = sizeof how, .version = c->wanted};
    size_t bytes = (size_t)snprintf(w->text, sizeof w->text, "%" PRIu64, c->number);
    how.flags = c->kind == LINEAR_SET_ABSENT    ? VARVE_KV_IF_ABSENT
                : c->kind == LINEAR_SET_VERSION ? VARVE_KV_IF_VERSION
                                                : 0;
    return varve_kv_set(w->shared->kv, name, strlen(name), w->text, bytes, &how, &c->version);
}

static int carry_out(struct worker *w, const char *name, struct linear_call *c)
{
    struct varve_kv *kv = w->shared->kv;
    size_t bytes = strlen(name);
    char owner[24];
    int64_t sum = 0;
    int rc;
    switch (c->kind) {
    case LINEAR_GET:
        rc = varve_kv_get(kv, name, bytes, &w->value);
        c->result = rc == 0 ? number_of(&w->value) : 0;
        c->version = rc == 0 ? w->value.version : 0;
        return rc;
    case LINEAR_DELETE:
        return varve_kv_delete(kv, name, bytes, NULL, &c->version);
    case LINEAR_ADD:
        rc = varve_kv_add(kv, name, bytes, (int64_t)c->number, NULL, &sum, &c->version);
        c->result = (uint64_t)sum;
        return rc;
    case LINEAR_LOCK:
    case LINEAR_UNLOCK:
        (void)snprintf(owner, sizeof owner, "%" PRIu64, c->number);
        return c->kind == LINEAR_LOCK
                   ? varve_kv_lock(kv, name, bytes, owner, strlen(owner), 1000000000, &c->version)
                   : varve_kv_unlock(kv, name, bytes, owner, strlen(owner), &c->version);
    case LINEAR_SET:
    case LINEAR_SET_ABSENT:
    case LINEAR_SET_VERSION:
        break;
    }
    return set_it(w, name, c);
}

static enum linear_kind choose(struct worker *w, unsigned key)
{
    static const enum linear_kind any[] = {LINEAR_GET,         LINEAR_GET, LINEAR_SET,
                                           LINEAR_SET_VERSION, LINEAR_GET, LINEAR_SET_ABSENT,
                                           LINEAR_SET_VERSION, LINEAR_SET, LINEAR_DELETE};
    static const enum linear_kind counter[] = {LINEAR_ADD, LINEAR_ADD, LINEAR_ADD, LINEAR_GET, LINEAR_DELETE};
    static const enum linear_kind lock[] = {LINEAR_LOCK, LINEAR_LOCK, LINEAR_UNLOCK, LINEAR_GET};
    if (key == COUNTER) {
        return counter[test_rng_below(&w->rng, sizeof counter / sizeof *counter)];
    }
    return key == LOCK ? lock[test_rng_below(&w->rng, sizeof lock / sizeof *lock)]
                       : any[test_rng_below(&w->rng, sizeof any / sizeof *any)];
}

static void call_single(struct worker *w)
{
    unsigned key = (unsigned)test_rng_below(&w->rng, WORK_SINGLES);
    struct linear_call c = {.kind = choose(w, key), .wanted = w->seen_version[key]};
    char name[16];
    (void)snprintf(name, sizeof name, "single %u", key);
    c.number = key == LOCK      ? w->id + 1
               : key == COUNTER ? test_rng_range(&w->rng, 1, 5)
                                : atomic_fetch_add(&w->shared->numbers, 1);
    c.from = tick(w);
    int rc = carry_out(w, name, &c);
    c.to = tick(w);
    c.told = told_of(rc);
    w->seen_version[key] = c.version;
    note_call(&w->told, key, &c);
}

/* -- transactions, and calls on their keys -- */

static size_t shared_name(char name[16], unsigned key)
{
    return (size_t)snprintf(name, 16, "shared %u", key);
}

static void call_shared(struct worker *w)
{
    unsigned key = (unsigned)test_rng_below(&w->rng, WORK_SHARED),
             chance = (unsigned)test_rng_below(&w->rng, 6);
    unsigned at = WORK_SINGLES + key;
    struct varve_kv_write how = {.size = sizeof how};
    struct serial_deal d = {.single = true};
    char name[16];
    size_t name_bytes = shared_name(name, key), bytes;
    uint64_t number = 0;
    int rc;
    d.from = tick(w);
    if (chance < 3) {
        rc = varve_kv_get(w->shared->kv, name, name_bytes, &w->value);
        number = rc == 0 ? number_of(&w->value) : 0;
        d.reads[d.read_count++] = (struct serial_touch){key, number, rc == 0 ? w->value.version : 0};
        w->seen_number[at] = number;
        w->seen_version[at] = rc == 0 ? w->value.version : 0;
    } else if (chance == 3) {
        rc = varve_kv_delete(w->shared->kv, name, name_bytes, NULL, &d.lsn);
        if (rc == 0) {
            d.writes[d.write_count++] = (struct serial_touch){key, 0, 0};
        } else {
            d.reads[d.read_count++] = (struct serial_touch){key, 0, 0};
        }
    } else {
        bytes = new_text(w, &number);
        how.flags = chance == 4 ? VARVE_KV_IF_VERSION : 0;
        how.version = w->seen_version[at];
        rc = varve_kv_set(w->shared->kv, name, name_bytes, w->text, bytes, &how, &d.lsn);
        if (rc == 0) {
            d.writes[d.write_count++] = (struct serial_touch){key, number, 0};
        }
        if (rc == 0 && chance == 4) {
            d.reads[d.read_count++] = (struct serial_touch){key, w->seen_number[at], how.version};
        }
    }
    d.to = tick(w);
    (void)told_of(rc);
    note_deal(&w->told, &d);
}

/* What the transaction has of a key; reads[] and writes[] hold each once. */
static struct serial_touch *find_touch(struct serial_touch *touches, size_t count, unsigned key)
{
    for (size_t i = 0; i < count; i++) {
        if (touches[i].key == key) {
            return &touches[i];
        }
    }
    return NULL;
}

static void txn_read(struct worker *w, struct varve_kv_txn *txn, struct serial_deal *d, unsigned key)
{
    struct serial_touch *read = find_touch(d->reads, d->read_count, key);
    struct serial_touch *written = find_touch(d->writes, d->write_count, key);
    char name[16];
    int rc = varve_kv_txn_get(txn, name, shared_name(name, key), &w->value);
    uint64_t number = rc == 0 ? number_of(&w->value) : 0;
    if (rc != 0 && rc != VARVE_E_NO_KEY) {
        refuse("a transaction's get", rc);
    }
    if (written != NULL || read != NULL) {
        uint64_t before = written != NULL ? written->number : read->number;
        if (number != before) {
            (void)snprintf(w->told.wrong, WORK_WHY,
                           "a transaction reads key %u as %" PRIu64 ", and had %s %" PRIu64, key, number,
                           written != NULL ? "written" : "read", before);
        }
        return;
    }
    d->reads[d->read_count++] = (struct serial_touch){key, number, rc == 0 ? w->value.version : 0};
}

static void txn_write(struct worker *w, struct varve_kv_txn *txn, struct serial_deal *d, unsigned key)
{
    struct serial_touch *written = find_touch(d->writes, d->write_count, key);
    char name[16];
    size_t name_bytes = shared_name(name, key), bytes;
    uint64_t number = 0;
    int rc;
    if (test_rng_once_in(&w->rng, 5)) {
        rc = varve_kv_txn_delete(txn, name, name_bytes);
    } else {
        bytes = new_text(w, &number);
        rc = varve_kv_txn_set(txn, name, name_bytes, w->text, bytes, 0);
    }
    if (rc != 0) {
        refuse("a transaction's write", rc);
    }
    if (written == NULL) {
        written = &d->writes[d->write_count++];
    }
    *written = (struct serial_touch){key, number, 0};
}

static void call_transaction(struct worker *w)
{
    struct serial_deal d = {.lsn = 0};
    struct varve_kv_txn *txn;
    unsigned steps = (unsigned)test_rng_range(&w->rng, 1, 6);
    int rc;
    d.from = tick(w);
    rc = varve_kv_begin(w->shared->kv, 1000000, &txn);
    if (rc != 0) {
        refuse("a transaction", rc);
    }
    for (unsigned i = 0; i < steps; i++) {
        unsigned key = (unsigned)test_rng_below(&w->rng, WORK_SHARED);
        if (test_rng_once_in(&w->rng, 2)) {
            txn_read(w, txn, &d, key);
        } else {
            txn_write(w, txn, &d, key);
        }
        if (test_rng_once_in(&w->rng, 4)) {
            (void)sched_yield();
        }
    }
    rc = test_rng_once_in(&w->rng, 10) ? VARVE_E_CONFLICT : varve_kv_commit(txn, 0, &d.lsn);
    if (rc != 0) {
        varve_kv_abort(txn);
        d.lsn = 0;
    }
    d.to = tick(w);
    (void)told_of(rc);
    /* What nobody committed is in no version; what it has read has to be true all the same. */
    if (d.lsn == 0) {
        d.write_count = 0;
    }
    note_deal(&w->told, &d);
}

/* -- together -- */

static void *run_worker(void *arg)
{
    struct worker *w = arg;
    (void)pthread_barrier_wait(&w->shared->start);
    for (unsigned i = 0; i < w->shared->config->calls; i++) {
        unsigned chance = (unsigned)test_rng_below(&w->rng, 10);
        if (chance < 4) {
            call_single(w);
        } else if (chance < 6) {
            call_shared(w);
        } else {
            call_transaction(w);
        }
        if (test_rng_once_in(&w->rng, 8)) {
            (void)sched_yield();
        }
    }
    atomic_fetch_sub(&w->shared->running, 1);
    return NULL;
}

static void *run_snapshots(void *arg)
{
    struct shared *shared = arg;
    while (atomic_load(&shared->running) > 0) {
        int rc = varve_kv_snapshot(shared->kv, NULL, NULL);
        if (rc != 0) {
            refuse("a snapshot", rc);
        }
    }
    return NULL;
}

static void open_engine(struct shared *shared, struct varve_io *io)
{
    const struct varve_options log = {
        .size = sizeof log,
        .durability = shared->config->durability,
        .sync_interval_ms = 1,
        .segment_bytes = 1 << 20,
        .slot_bytes = 32768,
        .slot_count = 8,
        .record_max = 1 << 18,
        .io = io,
    };
    const struct varve_kv_options options = {
        .size = sizeof options,
        .log = &log,
        .shards = shared->config->shards,
        .snapshot_ms = VARVE_KV_NEVER,
        .snapshot_operations = VARVE_KV_UNLIMITED,
        .txn_bytes = shared->config->txn_bytes,
    };
    struct varve_error error = {0};
    if (varve_kv_open("store", &options, &shared->kv, &error) != 0) {
        fprintf(stderr, "an engine: %s\n", error.message);
        abort();
    }
}

static void merge(struct work *to, struct work *from)
{
    for (unsigned key = 0; key < WORK_SINGLES; key++) {
        for (size_t i = 0; i < from->call_count[key]; i++) {
            note_call(to, key, &from->calls[key][i]);
        }
    }
    for (size_t i = 0; i < from->deal_count; i++) {
        note_deal(to, &from->deals[i]);
    }
    if (from->wrong[0] != '\0') {
        memcpy(to->wrong, from->wrong, sizeof to->wrong);
    }
}

void work_run(const struct work_config *config, uint64_t seed, struct work *ret_work)
{
    struct worker *workers = calloc(WORK_THREADS, sizeof *workers);
    struct shared shared = {.config = config, .clock = 1, .numbers = 1, .running = WORK_THREADS};
    struct test_memory memory;
    pthread_t snapshots;
    if (workers == NULL) {
        abort();
    }
    memset(ret_work, 0, sizeof *ret_work);
    test_memory_init(&memory, 512);
    open_engine(&shared, &memory.io);
    (void)pthread_barrier_init(&shared.start, NULL, WORK_THREADS);
    for (unsigned i = 0; i < WORK_THREADS; i++) {
        workers[i].shared = &shared;
        workers[i].id = i;
        test_rng_init(&workers[i].rng, test_rng_mix(seed + i));
        if (pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) != 0) {
            abort();
        }
    }
    if (config->snapshots && pthread_create(&snapshots, NULL, run_snapshots, &shared) != 0) {
        abort();
    }
    for (unsigned i = 0; i < WORK_THREADS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        merge(ret_work, &workers[i].told);
        work_free(&workers[i].told);
        varve_kv_value_free(&workers[i].value);
    }
    if (config->snapshots) {
        (void)pthread_join(snapshots, NULL);
    }
    if (varve_kv_close(shared.kv, NULL) != 0) {
        abort();
    }
    test_memory_close(&memory);
    (void)pthread_barrier_destroy(&shared.start);
    free(workers);
}

void work_free(struct work *work)
{
    for (unsigned key = 0; key < WORK_SINGLES; key++) {
        free(work->calls[key]);
    }
    free(work->deals);
}

bool work_judge(struct work *work, char *ret_why, size_t room)
{
    char why[WORK_WHY];
    if (work->wrong[0] != '\0') {
        (void)snprintf(ret_why, room, "%s", work->wrong);
        return false;
    }
    for (unsigned key = 0; key < WORK_SINGLES; key++) {
        if (!linear_check(work->calls[key], work->call_count[key], why, sizeof why)) {
            (void)snprintf(ret_why, room, "key single %u is not linearisable: %s", key, why);
            return false;
        }
    }
    if (!serial_check(work->deals, work->deal_count, WORK_SHARED, why, sizeof why)) {
        (void)snprintf(ret_why, room, "not serialisable: %s", why);
        return false;
    }
    if (!graph_check(work->deals, work->deal_count, WORK_SHARED, why, sizeof why)) {
        (void)snprintf(ret_why, room, "not serialisable: %s", why);
        return false;
    }
    return true;
}
