/* SPDX-License-Identifier: Apache-2.0 */
/* What the threads of a life do, and what they note of it. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "lib/crew.h"
#include "model/eye.h"
#include "model/history.h"

enum {
    BATCH = 5
};

struct model_worker {
    pthread_t thread;
    struct model_history *h;
    struct test_rng rng;
    struct model_notes notes;
    struct model_eye eye; /* a cursor of the log itself */
    uint64_t next_id;
    uint64_t own; /* LSN of its last append; 0 = none */
    bool over;    /* the log has failed */
};

bool model_may_fail(const struct model_history *h, int rc)
{
    return h->config->faults && (rc == VARVE_E_SYNC || rc == VARVE_E_READONLY);
}

/* Notes an error, and that there must not be one unless the log has failed. */
static void failed(struct model_worker *w, const char *what, int rc)
{
    if (!model_may_fail(w->h, rc)) {
        model_note_wrong(&w->notes, "%s gives %s", what, varve_error_name(rc));
    }
    w->over = true;
}

static bool in_memory(const struct model_worker *w)
{
    return w->h->options.durability == VARVE_MEMORY;
}

/* What the log must answer to a call that a log in memory cannot do. */
static bool refused(struct model_worker *w, const char *what, int rc)
{
    if (in_memory(w) && rc != VARVE_E_UNSUPPORTED) {
        model_note_wrong(&w->notes, "%s in a log in memory gives %s", what, varve_error_name(rc));
    }
    return in_memory(w);
}

/* -- appending -- */

static uint64_t new_ids(struct model_worker *w, uint32_t count)
{
    uint64_t id = w->next_id;
    w->next_id += count;
    return id;
}

static void appended(struct model_worker *w, struct model_append *a, int rc, bool durable)
{
    if (rc == VARVE_E_BACKPRESSURE && w->h->options.backpressure != VARVE_BACKPRESSURE_BLOCK) {
        return; /* nothing of it is in the log: its LSN would be a gap */
    }
    a->lsn = rc == 0 ? a->lsn : 0;
    model_note_append(&w->notes, a);
    if (rc != 0) {
        failed(w, "append", rc);
        return;
    }
    w->own = a->lsn + a->count - 1;
    model_note_bound(&w->notes, MODEL_LAST, "appending", a->begin, a->end, 0, a->lsn - 1);
    model_note_bound(&w->notes, MODEL_LAST, "appending", a->begin, a->end, w->own, MODEL_ANY);
    if (durable) {
        model_note_bound(&w->notes, MODEL_DURABLE, "appending", a->begin, a->end, w->own, MODEL_ANY);
    }
}

/* What must be said to a record that asks for this; 0 = it is taken. */
static int asked_in_vain(const struct model_worker *w, enum varve_durability asked)
{
    if (asked == VARVE_DURABILITY_DEFAULT || asked == w->h->options.durability) {
        return 0;
    }
    return asked < w->h->options.durability ? VARVE_E_INVALID : in_memory(w) ? VARVE_E_UNSUPPORTED : 0;
}

static enum varve_durability effective(const struct model_worker *w, enum varve_durability asked)
{
    return asked == VARVE_DURABILITY_DEFAULT ? w->h->options.durability : asked;
}

static void append_one(struct model_worker *w, bool wait, enum varve_durability asked)
{
    struct model_append a = {.id = new_ids(w, 1), .count = 1, .alone = effective(w, asked) == VARVE_STRICT};
    int vain = wait ? asked_in_vain(w, asked) : 0;
    struct model_record r;
    model_record_make(&r, &w->h->config->sizes, a.id);
    a.begin = model_tick(w->h);
    int rc = wait ? varve_append_record(w->h->log, &r.record, asked, &a.lsn)
                  : varve_append_async(w->h->log, &r.record, &a.lsn);
    a.end = model_tick(w->h);
    model_record_free(&r);
    if (vain == 0) {
        appended(w, &a, rc, wait && effective(w, asked) >= VARVE_GROUP);
    } else if (rc != vain) {
        model_note_wrong(&w->notes, "asking for durability %d gives %s", (int)asked, varve_error_name(rc));
    }
}

static void append_batch(struct model_worker *w)
{
    uint32_t count = (uint32_t)test_rng_range(&w->rng, 1, BATCH);
    enum varve_durability asked = test_rng_once_in(&w->rng, 4) ? VARVE_STRICT : VARVE_DURABILITY_DEFAULT;
    bool wait = !test_rng_once_in(&w->rng, 3);
    struct model_append a = {
        .id = new_ids(w, count), .count = count, .alone = effective(w, asked) == VARVE_STRICT};
    struct model_record r[BATCH];
    struct varve_record records[BATCH];
    int vain = asked_in_vain(w, asked);
    for (uint32_t i = 0; i < count; i++) {
        model_record_make(&r[i], &w->h->config->sizes, a.id + i);
        records[i] = r[i].record;
    }
    /* The pieces of a record are in r[i], which does not move. */
    a.begin = model_tick(w->h);
    int rc = varve_append_batch(w->h->log, records, count, asked, wait, &a.lsn);
    a.end = model_tick(w->h);
    for (uint32_t i = 0; i < count; i++) {
        model_record_free(&r[i]);
    }
    if (vain != 0 && rc != vain) {
        model_note_wrong(&w->notes, "asking for durability %d gives %s", (int)asked, varve_error_name(rc));
    } else if (vain == 0 && rc != VARVE_E_TOO_LARGE) {
        appended(w, &a, rc, wait && effective(w, asked) >= VARVE_GROUP);
    }
}

/* -- waiting -- */

static void wait_for(struct model_worker *w)
{
    uint64_t last = varve_last_lsn(w->h->log), lsn = w->own;
    int timeout_ms = (int)test_rng_below(&w->rng, 3);
    uint64_t chance = test_rng_below(&w->rng, 8);
    if (chance < 2) {
        lsn = last + test_rng_range(&w->rng, 1, 4); /* not given yet */
    } else if (chance < 5 && last > 0) {
        lsn = last - test_rng_below(&w->rng, last < 20 ? last : 20);
    }
    if (chance >= 2 && test_rng_once_in(&w->rng, 3)) {
        timeout_ms = VARVE_WAIT_FOREVER;
    }
    uint64_t begin = model_tick(w->h);
    int rc = varve_wait(w->h->log, lsn, timeout_ms);
    uint64_t end = model_tick(w->h);
    if (refused(w, "wait", rc)) {
        return;
    }
    if (rc == 0) {
        model_note_bound(&w->notes, MODEL_DURABLE, "waiting", begin, end, lsn, MODEL_ANY);
    } else if (rc == VARVE_E_TIMEOUT && timeout_ms >= 0 && lsn > 0) {
        model_note_bound(&w->notes, MODEL_DURABLE, "waiting", begin, end, 0, lsn - 1);
    } else {
        failed(w, "wait", rc);
    }
}

static void sync_all(struct model_worker *w)
{
    struct model_bound sync = {.begin = model_tick(w->h)};
    int rc = varve_sync(w->h->log);
    sync.end = model_tick(w->h);
    if (refused(w, "sync", rc)) {
        return;
    }
    if (rc != 0) {
        failed(w, "sync", rc);
        return;
    }
    model_bounds_add(&w->notes.syncs, &sync);
}

/* -- asking -- */

static void look_at_stats(struct model_worker *w)
{
    struct varve_stats s = {.size = sizeof s};
    uint64_t begin = model_tick(w->h);
    int rc = varve_stats_get(w->h->log, &s);
    uint64_t end = model_tick(w->h);
    if (rc != 0) {
        model_note_wrong(&w->notes, "stats gives %s", varve_error_name(rc));
        return;
    }
    if (s.reserved_lsn < s.encoded_lsn || s.encoded_lsn < s.written_lsn || s.written_lsn < s.durable_lsn ||
        s.durable_lsn < s.acked_lsn) {
        model_note_wrong(&w->notes,
                         "the positions are not in order: reserved %" PRIu64 " encoded %" PRIu64
                         " written %" PRIu64 " durable %" PRIu64 " acked %" PRIu64,
                         s.reserved_lsn, s.encoded_lsn, s.written_lsn, s.durable_lsn, s.acked_lsn);
    }
    model_note_bound(&w->notes, MODEL_LAST, "stats", begin, end, s.reserved_lsn, s.reserved_lsn);
    model_note_bound(&w->notes, MODEL_DURABLE, "stats", begin, end, s.durable_lsn, s.durable_lsn);
    model_note_bound(&w->notes, MODEL_FIRST, "stats", begin, end, s.first_lsn, s.first_lsn);
}

static void look(struct model_worker *w, enum model_number number, uint64_t (*ask)(struct varve_log *log))
{
    uint64_t begin = model_tick(w->h), value = ask(w->h->log), end = model_tick(w->h);
    model_note_bound(&w->notes, number, "asking", begin, end, value, value);
}

static void look_at_one(struct model_worker *w)
{
    switch (test_rng_below(&w->rng, 4)) {
    case 0:
        look(w, MODEL_LAST, varve_last_lsn);
        break;
    case 1:
        look(w, MODEL_DURABLE, varve_durable_lsn);
        break;
    case 2:
        look(w, MODEL_FIRST, varve_first_lsn);
        break;
    default:
        look_at_stats(w);
        break;
    }
}

/* -- trimming -- */

static void trim(struct model_worker *w)
{
    uint64_t first = varve_first_lsn(w->h->log), last = varve_last_lsn(w->h->log), now_first = 0;
    struct model_trim t = {.asked = first + test_rng_below(&w->rng, last - first + 2)};
    t.begin = model_tick(w->h);
    int rc = varve_trim(w->h->log, t.asked, &now_first);
    t.end = model_tick(w->h);
    if (refused(w, "trim", rc)) {
        return;
    }
    model_note_trim(&w->notes, &t);
    if (rc != 0) {
        failed(w, "trim", rc);
        return;
    }
    model_note_bound(&w->notes, MODEL_FIRST, "trimming", t.begin, t.end, now_first, now_first);
}

/* -- reading -- */

static void read_some(struct model_worker *w, struct model_eye *eye, uint64_t count)
{
    struct varve_entry entry;
    for (uint64_t i = 0; i < count; i++) {
        int rc = model_eye_next(eye, test_rng_once_in(&w->rng, 6) ? 1 : 0, &entry);
        if (rc < 0) {
            model_eye_seek(eye, 0);
        }
        if (rc != 0) {
            break;
        }
        test_watchdog_alive();
    }
    /* What was given is durable, also by what the log itself says afterwards. */
    look(w, MODEL_DURABLE, varve_durable_lsn);
}

static void read_at_home(struct model_worker *w)
{
    if (w->eye.cursor == NULL && !model_eye_open(&w->eye, w->h, &w->notes, false)) {
        return;
    }
    switch (test_rng_below(&w->rng, 8)) {
    case 0:
        model_eye_close(&w->eye);
        return;
    case 1:
        model_eye_seek(&w->eye, 0);
        break;
    case 2:
        model_eye_seek_time(&w->eye);
        break;
    case 3: {
        uint64_t last = varve_last_lsn(w->h->log), back = test_rng_below(&w->rng, 40);
        model_eye_seek(&w->eye, last + 3 > back ? last + 3 - back : 0);
        break;
    }
    default:
        break;
    }
    read_some(w, &w->eye, test_rng_range(&w->rng, 1, 20));
}

static void read_beside(struct model_worker *w)
{
    struct model_eye eye;
    if (!model_eye_open(&eye, w->h, &w->notes, true)) {
        return;
    }
    if (test_rng_once_in(&w->rng, 2)) {
        uint64_t last = varve_last_lsn(eye.reader);
        model_eye_seek(&eye, last > 10 ? last - 10 : 0);
    }
    read_some(w, &eye, test_rng_range(&w->rng, 1, 30));
    model_eye_close(&eye);
}

static void open_again(struct model_worker *w)
{
    struct varve_log *second = NULL;
    int rc = varve_open("log", &w->h->options, &second, NULL);
    if (rc != VARVE_E_LOCKED) {
        model_note_wrong(&w->notes, "opening the log a second time gives %s", varve_error_name(rc));
    }
}

static void pause_a_little(struct model_worker *w)
{
    const struct timespec pause = {0, (long)test_rng_below(&w->rng, 2500000)};
    (void)nanosleep(&pause, NULL);
}

static void step(struct model_worker *w)
{
    static const enum varve_durability asked[] = {VARVE_DURABILITY_DEFAULT, VARVE_BUFFERED, VARVE_GROUP,
                                                  VARVE_STRICT};
    uint64_t chance = test_rng_below(&w->rng, 100 + w->h->config->trims);
    if (chance < 26) {
        append_one(w, true, VARVE_DURABILITY_DEFAULT);
    } else if (chance < 43) {
        append_one(w, false, VARVE_DURABILITY_DEFAULT);
    } else if (chance < 50) {
        append_one(w, true, asked[test_rng_below(&w->rng, 4)]);
    } else if (chance < 58) {
        append_batch(w);
    } else if (chance < 66) {
        wait_for(w);
    } else if (chance < 70) {
        sync_all(w);
    } else if (chance < 80) {
        look_at_one(w);
    } else if (chance < 93) {
        read_at_home(w);
    } else if (chance < 96) {
        read_beside(w);
    } else if (chance < 97) {
        open_again(w);
    } else if (chance < 100) {
        pause_a_little(w);
    } else {
        trim(w);
    }
}

static void *work(void *arg)
{
    struct model_worker *w = arg;
    for (unsigned i = 0; i < w->h->config->ops && !w->over && !atomic_load(&w->h->stop); i++) {
        step(w);
        w->over = w->over || w->notes.wrong[0] != '\0';
        atomic_fetch_add(&w->h->calls, 1);
        test_watchdog_alive();
    }
    model_eye_close(&w->eye);
    return NULL;
}

void model_work(struct model_history *h, void (*meanwhile)(struct model_history *h))
{
    struct model_worker workers[MODEL_THREADS];
    assert(h->config->threads <= MODEL_THREADS);
    atomic_store(&h->stop, 0);
    atomic_store(&h->calls, 0);
    for (unsigned i = 0; i < h->config->threads; i++) {
        memset(&workers[i], 0, sizeof workers[i]);
        workers[i].h = h;
        workers[i].next_id =
            (test_rng_mix(h->seed) >> 40 | 1) << 40 | (uint64_t)h->life << 32 | (i + 1) << 24;
        workers[i].own = h->base_last;
        test_rng_init(&workers[i].rng, test_rng_next(&h->rng));
    }
    for (unsigned i = 0; i < h->config->threads; i++) {
        int rc = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        assert(rc == 0);
        (void)rc;
    }
    meanwhile(h);
    for (unsigned i = 0; i < h->config->threads; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        model_notes_take(&h->notes, &workers[i].notes);
    }
}
