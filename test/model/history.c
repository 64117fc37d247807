/* SPDX-License-Identifier: Apache-2.0 */
#include "model/history.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/bytes.h"
#include "lib/crew.h"
#include "log/open.h"
#include "model/eye.h"
#include "varve/varve.h"

#define PATH "log"

enum {
    QUIET_MS = 10000,
    FAULTS = 2 /* rules that are armed in a life */
};

/* The disk takes its time, so that several calls are under way at once. */
static int delay(void *arg, const struct test_fault_call *call)
{
    struct model_history *h = arg;
    uint64_t chance = test_rng_mix(h->pace ^ atomic_fetch_add(&h->paces, 1));
    bool durable = call->op == TEST_OP_WRITE_DSYNC || call->op == TEST_OP_SYNC;
    if (chance % 2 == 0 && (durable || (call->op == TEST_OP_WRITE && chance % 16 == 0))) {
        const struct timespec pause = {0, (long)(chance >> 8) & 0x1ffff};
        (void)nanosleep(&pause, NULL);
    }
    return 0;
}

static void use_memory(struct model_history *h, struct test_memory *memory)
{
    if (h->memory != NULL) {
        test_fault_close(&h->fault);
        test_memory_close(h->memory);
        free(h->memory);
    }
    h->memory = memory;
    test_fault_init(&h->fault, &memory->io);
    test_fault_set_hook(&h->fault, delay, h);
}

/* -- opening -- */

static unsigned draw(struct model_history *h, const unsigned *from, unsigned most)
{
    unsigned count = 0;
    while (count < most && from[count] != 0) {
        count++;
    }
    return from[test_rng_below(&h->rng, count)];
}

static void draw_options(struct model_history *h)
{
    const struct model_config *c = h->config;
    unsigned modes[4] = {c->durability[0], c->durability[1], c->durability[2], c->durability[3]};
    static const unsigned pressures[] = {VARVE_BACKPRESSURE_FAIL, VARVE_BACKPRESSURE_WAIT};
    h->options = (struct varve_options){
        .size = sizeof h->options,
        .durability = (enum varve_durability)draw(h, modes, 4),
        .backend = test_rng_once_in(&h->rng, 3) ? VARVE_BACKEND_BUFFERED : VARVE_BACKEND_DIRECT,
        .check = test_rng_once_in(&h->rng, 3) ? VARVE_CHECK_TAIL : VARVE_CHECK_FULL,
        .segment_bytes = 1 << 20,
        .slot_bytes = draw(h, c->slot_bytes, 3),
        .slot_count = draw(h, c->slot_count, 3),
        .sector_bytes = test_rng_once_in(&h->rng, 4) ? 4096 : 512,
        .writes_in_flight = draw(h, c->flights, 2),
        .codec = c->codec && varve_codec_get(c->codec) ? c->codec : NULL,
        .group_wait_us = test_rng_once_in(&h->rng, 5) ? 100 : 0,
        .sync_interval_ms = 1,
        .mark_idle_ms = c->marks ? 1 : UINT32_MAX,
        .spare_segments = (uint32_t)test_rng_range(&h->rng, 1, 2),
        .retry_count = 2,
        .io = &h->fault.pass.io,
    };
    /* What the log would refuse: slots that do not fit into a segment together, too many writes for few
     * slots. */
    while ((uint64_t)h->options.slot_bytes * h->options.slot_count > h->options.segment_bytes / 2) {
        h->options.slot_count /= 2;
    }
    if (h->options.writes_in_flight > h->options.slot_count / 2) {
        h->options.writes_in_flight = h->options.slot_count / 2;
    }
    if (test_rng_once_in(&h->rng, 4)) {
        h->options.backpressure = (enum varve_backpressure)pressures[test_rng_below(&h->rng, 2)];
        h->options.backpressure_ms = 1;
    }
}

/* Reads that fail while the log opens are an error, or are not noticed; they are never an end. One alone may
 * be tried again, of less. */
static int open_badly(struct model_history *h, struct varve_error *ret_error)
{
    bool segments = test_rng_once_in(&h->rng, 2);
    int rc;
    (void)test_fault_arm(&h->fault, &(struct test_fault_rule){
                                        .op = TEST_OP_PREAD,
                                        .prefix = segments ? "wal-" : NULL,
                                        .after = (long)test_rng_below(&h->rng, segments ? 6 : 12),
                                        .times = (long)test_rng_range(&h->rng, 1, 4),
                                        .action = TEST_FAULT_FAIL,
                                    });
    rc = varve_open(PATH, &h->options, &h->log, ret_error);
    h->tally->faults += (uint64_t)test_fault_hits(&h->fault, 0);
    test_fault_disarm(&h->fault);
    if (rc != 0 && rc != VARVE_E_IO) {
        model_wrong(h, "a read that fails makes opening give %s: %s", varve_error_name(rc),
                    ret_error->message);
    }
    return rc;
}

static void on_durable(void *arg, uint64_t durable_lsn)
{
    struct model_history *h = arg;
    uint64_t now = model_tick(h);
    pthread_mutex_lock(&h->told_lock);
    model_note_bound(&h->told, MODEL_DURABLE, "the callback", now, now, durable_lsn, MODEL_ANY);
    pthread_mutex_unlock(&h->told_lock);
}

/* The second rule is about the writes of frames that move, which sync in every mode: where it meets the
 * first, the log turns read-only. */
static void arm_faults(struct model_history *h)
{
    bool syncs = h->options.durability < VARVE_GROUP;
    for (int i = 0; i < FAULTS; i++) {
        (void)test_fault_arm(
            &h->fault, &(struct test_fault_rule){
                           .op = syncs && i == 0 ? TEST_OP_SYNC : TEST_OP_WRITE_DSYNC,
                           .prefix = syncs && i == 0 ? "wal-" : NULL, /* others sync too, who may not fail */
                           .after = (long)test_rng_below(&h->rng, syncs ? i == 0 ? 8 : 2 : 40),
                           .times = test_rng_once_in(&h->rng, 3) ? 4 : 1,
                           .action = test_rng_once_in(&h->rng, 2) ? TEST_FAULT_FAIL : TEST_FAULT_PARTIAL,
                           .bytes = (size_t)test_rng_below(&h->rng, 6) * 512,
                       });
    }
}

static bool open_life(struct model_history *h)
{
    struct varve_error error = {.message = "?"};
    int rc = VARVE_END;
    draw_options(h);
    if (h->clean && test_rng_once_in(&h->rng, 2)) {
        h->options.policy = VARVE_POLICY_HALT;
    }
    if (test_rng_once_in(&h->rng, 3)) {
        rc = open_badly(h, &error);
    }
    if (rc != 0) {
        rc = varve_open(PATH, &h->options, &h->log, &error);
    }
    if (rc != 0) {
        return model_wrong(h, "opening gives %s: %s", varve_error_name(rc), error.message);
    }
    test_watchdog_log(h->log);
    if (!model_check_found(h)) {
        return false;
    }
    if (h->options.durability != VARVE_MEMORY) {
        rc = varve_on_durable(h->log, on_durable, h);
        assert(rc == 0);
    }
    if (h->config->faults) {
        arm_faults(h);
    }
    return true;
}

/* -- ending -- */

/* The files as a crash leaves them. */
static struct test_memory *crash(struct model_history *h, enum test_crash how)
{
    struct test_memory *memory = malloc(sizeof *memory);
    assert(memory != NULL);
    h->before = model_tick(h);
    test_memory_crash(h->memory, how, &h->rng, memory);
    h->after = model_tick(h);
    return memory;
}

static void meanwhile(struct model_history *h)
{
    uint64_t calls = (uint64_t)h->config->threads * h->config->ops, at = 0;
    const struct timespec pause = {0, 20000};
    if (h->end != MODEL_END_KILL && h->end != MODEL_END_CUT) {
        return;
    }
    at = test_rng_below(&h->rng, calls);
    /* Threads stop early when the log fails: then this is after the last call. */
    for (uint64_t seen = 0, same = 0; atomic_load(&h->calls) < at && same < 50; nanosleep(&pause, NULL)) {
        uint64_t now = atomic_load(&h->calls);
        same = now == seen ? same + 1 : 0;
        seen = now;
    }
    h->left = crash(h, h->end == MODEL_END_KILL       ? TEST_CRASH_ALL
                       : test_rng_once_in(&h->rng, 3) ? TEST_CRASH_NOTHING
                                                      : TEST_CRASH_CHANCE);
    atomic_store(&h->stop, 1);
}

/* The last byte of evidence for the newest record: something on disk vouches for it, so damage to it is not
 * taken for a torn write. */
static void check_rot(struct model_history *h, uint64_t lsn, const struct varve_entry *entry)
{
    struct test_memory *copy = crash(h, TEST_CRASH_ALL);
    struct varve_options options = h->options;
    struct varve_log *log = NULL;
    struct varve_dir *dir;
    char name[64];
    int created, rc = copy->io.dir_open(&copy->io, NULL, PATH, 0, &dir, &created);
    assert(rc == 0);
    (void)snprintf(name, sizeof name, "wal-%016" PRIx64 ".seg", entry->segment);
    test_bytes_io_flip(&copy->io, dir, name, entry->frame_offset + test_rng_below(&h->rng, 64), 0);
    copy->io.dir_close(&copy->io, dir);
    options.io = &copy->io;
    options.policy = VARVE_POLICY_TRUNCATE;
    rc = varve_open(PATH, &options, &log, NULL);
    if (rc != VARVE_E_CORRUPT) {
        model_wrong(h, "LSN %" PRIu64 " was vouched for and is damaged, and opening gives %s", lsn,
                    varve_error_name(rc));
    }
    if (rc == 0) {
        vv_close_free(log);
    }
    test_memory_close(copy);
    free(copy);
    h->tally->rotten++;
}

/* When the log has gone quiet, something on disk vouches for all that is durable: a reader is given it. */
static bool check_quiet(struct model_history *h)
{
    struct model_notes notes = {.wrong = ""};
    struct varve_error failed;
    struct varve_entry entry;
    struct model_eye eye;
    if (varve_sync(h->log) != 0) {
        return true;
    }
    uint64_t durable = varve_durable_lsn(h->log);
    if (durable < varve_first_lsn(h->log)) {
        return true;
    }
    if (model_eye_open(&eye, h, &notes, true)) {
        model_eye_seek(&eye, durable);
        if (model_eye_next(&eye, QUIET_MS, &entry) == 0) {
            check_rot(h, durable, &entry);
        } else if (!h->config->faults || varve_error_first(h->log, &failed) == 0) {
            /* Else what should have vouched for it failed, and the log with it. */
            model_note_wrong(&notes, "the log is quiet, and nothing on disk vouches for LSN %" PRIu64,
                             durable);
        }
        model_eye_close(&eye);
    }
    if (notes.wrong[0] != '\0') {
        model_wrong(h, "%s", notes.wrong);
    }
    model_notes_free(&notes);
    return h->message[0] == '\0';
}

static void end_life(struct model_history *h)
{
    struct varve_recovery recovery;
    varve_recovery_stats(h->log, &recovery);
    /* A torn end that nothing supersedes yet is found again as what it is. */
    bool torn = recovery.verdict == VARVE_VERDICT_TORN && varve_last_lsn(h->log) == h->base_last;
    test_fault_disarm(&h->fault);
    h->clean = false;
    if (h->end == MODEL_END_CUT_AT_REST) {
        h->left = crash(h, test_rng_once_in(&h->rng, 2) ? TEST_CRASH_NOTHING : TEST_CRASH_CHANCE);
    }
    if (h->end == MODEL_END_CLOSE) {
        h->clean = varve_close(h->log, NULL) == 0 && !torn && h->options.durability != VARVE_MEMORY;
    } else {
        vv_close_free(h->log);
    }
    if (h->left == NULL) {
        h->before = h->after = model_tick(h);
    }
    test_watchdog_log(NULL);
    h->log = NULL;
    model_notes_take(&h->notes, &h->told);
    if (h->left != NULL) {
        use_memory(h, h->left);
        h->left = NULL;
    }
}

/* -- a history -- */

static void count_life(struct model_history *h)
{
    struct varve_stats stats = {.size = sizeof stats};
    (void)varve_stats_get(h->log, &stats);
    h->tally->lives++;
    h->tally->ends[h->end]++;
    h->tally->calls += atomic_load(&h->calls);
    for (int i = 0; h->config->faults && i < FAULTS; i++) {
        h->tally->faults += (uint64_t)test_fault_hits(&h->fault, i);
    }
    h->tally->moves += stats.moves;
    h->tally->failed += varve_error_first(h->log, NULL) != 0;
}

static bool live(struct model_history *h)
{
    static const enum model_end ends[] = {MODEL_END_CLOSE, MODEL_END_DROP,       MODEL_END_KILL,
                                          MODEL_END_KILL,  MODEL_END_CUT,        MODEL_END_CUT,
                                          MODEL_END_CUT,   MODEL_END_CUT_AT_REST};
    bool good;
    if (!open_life(h)) {
        return false;
    }
    h->end = ends[test_rng_below(&h->rng, sizeof ends / sizeof *ends)];
    h->limit = 0;
    model_work(h, meanwhile);
    good = h->left != NULL || !h->config->marks || !test_rng_once_in(&h->rng, 2) || check_quiet(h);
    count_life(h);
    end_life(h);
    good = good && model_check_life(h);
    model_notes_free(&h->notes);
    return good;
}

static void free_history(struct model_history *h)
{
    if (h->log != NULL) {
        vv_close_free(h->log);
        test_watchdog_log(NULL);
    }
    test_fault_close(&h->fault);
    test_memory_close(h->memory);
    free(h->memory);
    model_notes_free(&h->notes);
    model_notes_free(&h->told);
    model_list_free(&h->list);
    free(h->untold);
    pthread_mutex_destroy(&h->told_lock);
}

bool model_history_run(const struct model_config *config, uint64_t seed, unsigned lives,
                       struct model_tally *tally)
{
    struct model_history h = {.config = config, .seed = seed, .pace = test_rng_mix(~seed), .tally = tally};
    struct test_memory *memory = malloc(sizeof *memory);
    assert(memory != NULL);
    test_memory_init(memory, 512);
    use_memory(&h, memory);
    test_rng_init(&h.rng, seed);
    model_list_init(&h.list);
    pthread_mutex_init(&h.told_lock, NULL);
    h.base_first = h.low = h.high = 1;
    bool good = true;
    for (h.life = 0; good && h.life < lives; h.life++) {
        good = live(&h);
    }
    good = good && open_life(&h);
    if (!good) {
        fprintf(stderr,
                "%s, seed %" PRIu64 ", life %u: %s\n"
                "once more, or a few times: varve_model --config %s --histories 1 --lives %u --seed %" PRIu64
                "\n",
                config->name, seed, h.life, h.message, config->name, lives, seed);
    }
    tally->histories++;
    free_history(&h);
    return good;
}
