/* SPDX-License-Identifier: Apache-2.0 */
/* The engine at work for a scenario: from a seed always the same. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "log/log.h"
#include "log/prepare.h"
#include "rot/log.h"
#include "rot/make.h"

_Noreturn void rot_must_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    abort();
}

/* -- time: the log's own threads look at it, and by that they can be waited for -- */

static uint64_t watch_monotonic_us(struct varve_io *io)
{
    struct rot_watch *watch = io->ctx;
    char name[16] = "";
    (void)pthread_getname_np(pthread_self(), name, sizeof name);
    uint64_t now = watch->pass.below->monotonic_us(watch->pass.below);
    /* Counted behind the look: who waits for two more knows that a whole round lies between. */
    if (strcmp(name, "varve-flush") == 0) {
        atomic_fetch_add(&watch->looks, 1);
    }
    return now;
}

/* The condition comes true by itself, by another thread's work. */
#define UNTIL(condition)                                          \
    do {                                                          \
        for (unsigned tries = 0; !(condition); tries++) {         \
            rot_must(tries < 100000);                             \
            (void)nanosleep(&(struct timespec){0, 200000}, NULL); \
        }                                                         \
    } while (0)

static struct varve_stats stats_of(struct rot_maker *maker)
{
    struct varve_stats stats = {.size = sizeof stats};
    rot_must(varve_stats_get(maker->open, &stats) == 0);
    return stats;
}

/* -- records -- */

static void record_fill(struct rot_maker *maker, struct rot_record *record, size_t low, size_t high)
{
    struct test_rng *rng = &maker->rng;
    *record = (struct rot_record){.bytes = (size_t)test_rng_range(rng, low, high)};
    record->data = crash_need(record->bytes + 1);
    /* Zeros, one byte again and again, and anything: none must be taken for more or less than it is. */
    uint64_t look = test_rng_below(rng, 8);
    if (look == 0) {
        memset(record->data, 0, record->bytes);
    } else if (look == 1) {
        memset(record->data, (int)test_rng_below(rng, 256), record->bytes);
    } else {
        test_rng_fill(rng, record->data, record->bytes);
    }
    record->type = (uint8_t)test_rng_below(rng, 256);
    if (test_rng_once_in(rng, 3)) {
        record->flags = VARVE_RECORD_TXN;
        record->txn_id = test_rng_next(rng);
        test_rng_fill(rng, record->origin, sizeof record->origin);
    }
}

/* The LSN is this record's; what was there before is kept among the older ones. */
static void record_keep(struct rot_log *log, uint64_t lsn, const struct rot_record *record)
{
    rot_must(lsn < ROT_RECORDS);
    struct rot_record old = log->records[lsn];
    log->records[lsn] = *record;
    for (unsigned i = 0; old.data != NULL; i++) {
        rot_must(i < ROT_LIVES);
        if (i == log->older_count) {
            log->older[log->older_count++] = crash_need(ROT_RECORDS * sizeof *log->older[0]);
        }
        if (log->older[i][lsn].data == NULL) {
            log->older[i][lsn] = old;
            break;
        }
    }
}

void rot_append(struct rot_maker *maker, unsigned count, size_t low, size_t high)
{
    enum {
        BATCH = 16
    };
    struct varve_record batch[BATCH];
    struct rot_record records[BATCH];
    uint64_t lsn = 0;
    rot_must(count <= BATCH);
    memset(batch, 0, sizeof batch);
    for (unsigned i = 0; i < count; i++) {
        struct rot_record *r = &records[i];
        record_fill(maker, r, low, high);
        batch[i] = (struct varve_record){
            .data = r->data, .data_bytes = r->bytes, .type = r->type, .flags = r->flags, .txn_id = r->txn_id};
        memcpy(batch[i].origin, r->origin, sizeof batch[i].origin);
    }
    test_clock_advance(&maker->clock, 1000);
    int rc = count == 1 ? varve_append_record(maker->open, batch, VARVE_DURABILITY_DEFAULT, &lsn)
                        : varve_append_batch(maker->open, batch, count, VARVE_DURABILITY_DEFAULT, 1, &lsn);
    rot_must(rc == 0 && lsn == maker->next_lsn);
    for (unsigned i = 0; i < count; i++) {
        record_keep(maker->log, lsn + i, &records[i]);
    }
    maker->next_lsn += count;
}

void rot_append_some(struct rot_maker *maker, unsigned frames, unsigned count, size_t low, size_t high)
{
    for (unsigned i = 0; i < frames; i++) {
        rot_append(maker, (unsigned)test_rng_range(&maker->rng, 1, count), low, high);
    }
}

void rot_sync(struct rot_maker *maker)
{
    rot_must(varve_sync(maker->open) == 0);
}

void rot_mark(struct rot_maker *maker)
{
    uint64_t marks = stats_of(maker).marks;
    /* The flusher has seen that the log moved, at this time; and then time goes on. */
    unsigned looks = atomic_load(&maker->watch.looks);
    UNTIL(atomic_load(&maker->watch.looks) - looks >= 3);
    rot_must(stats_of(maker).marks == marks);
    test_clock_advance(&maker->clock, 1000 * (uint64_t)maker->options.mark_idle_ms);
    UNTIL(stats_of(maker).marks == marks + 1);
    UNTIL(atomic_load(&maker->open->vouched_lsn) >= atomic_load(&maker->open->durable_lsn));
}

/* Records until so many segments were begun in this life. */
static void fill_segments(struct rot_maker *maker, uint64_t segments, size_t bytes)
{
    while (stats_of(maker).segments_opened < segments) {
        rot_append(maker, 1, bytes, bytes);
    }
}

/* Records until the next segment is wanted, and until it is there. */
static void fill_until_ready(struct rot_maker *maker, size_t bytes)
{
    while (atomic_load(&maker->open->room_bytes) >= vv_prepare_threshold(maker->open)) {
        rot_append(maker, 1, bytes, bytes);
    }
    UNTIL(atomic_load(&maker->open->ready_count) == 1);
}

void rot_recycle(struct rot_maker *maker, size_t bytes)
{
    fill_segments(maker, 2, bytes);
    fill_until_ready(maker, bytes);
    rot_must(varve_trim(maker->open, maker->next_lsn, NULL) == 0);
    rot_must(stats_of(maker).segments_trimmed == 1);
    fill_segments(maker, 3, bytes);
    fill_until_ready(maker, bytes);
    rot_must(stats_of(maker).spares_used == 1);
    fill_segments(maker, 4, bytes);
    rot_must(varve_trim(maker->open, maker->next_lsn, NULL) == 0);
    rot_must(stats_of(maker).segments_trimmed == 3);
}

/* -- lives -- */

void rot_open(struct rot_maker *maker)
{
    struct varve_error error = {0};
    test_rng_init(&maker->clock.rng, test_rng_mix(maker->log->seed ^ ++maker->life));
    maker->options.io = &maker->watch.pass.io;
    if (varve_open("log", &maker->options, &maker->open, &error) != 0) {
        fprintf(stderr, "a log that is made does not open: %s\n", error.message);
        abort();
    }
    rot_must(varve_last_lsn(maker->open) + 1 == maker->next_lsn);
}

static bool is_blank(const struct crash_fs *fs, uint32_t node)
{
    unsigned char header[4096];
    crash_fs_read(fs, node, header, sizeof header, 0);
    return vv_is_zero(header, sizeof header);
}

/* How far the log has prepared the next segment depends on who was faster: it goes. */
void rot_make_strip(struct crash_fs *fs)
{
    uint32_t dir = crash_fs_find(fs, CRASH_ROOT, "log");
    const struct crash_node *node = &fs->nodes[dir];
    for (size_t i = node->name_count; i-- > 0;) {
        const char *name = node->names[i].name;
        bool temporary = strncmp(name, "new-", 4) == 0 || strcmp(name, "MANIFEST.tmp") == 0;
        if (temporary || (strncmp(name, "wal-", 4) == 0 && is_blank(fs, node->names[i].node))) {
            char copy[CRASH_NAME];
            memcpy(copy, name, sizeof copy);
            crash_fs_drop_name(fs, dir, copy);
        }
    }
    crash_fs_sweep(fs);
}

static void use_fs(struct rot_maker *maker, struct crash_fs *fs)
{
    crash_disk_close(&maker->disk);
    crash_disk_init(&maker->disk, fs, 1);
}

void rot_kill(struct rot_maker *maker)
{
    struct crash_fs fs;
    crash_disk_copy(&maker->disk, &fs);
    (void)varve_close(maker->open, NULL);
    maker->open = NULL;
    rot_make_strip(&fs);
    use_fs(maker, &fs);
}

void rot_make_close(struct rot_maker *maker)
{
    struct crash_fs fs;
    rot_must(varve_close(maker->open, NULL) == 0);
    maker->open = NULL;
    crash_disk_copy(&maker->disk, &fs);
    rot_make_strip(&fs);
    use_fs(maker, &fs);
}

void rot_keep_stale(struct rot_maker *maker)
{
    crash_fs_free(&maker->log->stale);
    crash_disk_copy(&maker->disk, &maker->log->stale);
    rot_make_strip(&maker->log->stale);
}

void rot_fail_write(struct rot_maker *maker, size_t bytes)
{
    rot_must(test_fault_arm(&maker->fault, &(struct test_fault_rule){.op = TEST_OP_WRITE_DSYNC,
                                                                     .action = TEST_FAULT_PARTIAL,
                                                                     .error = EIO,
                                                                     .bytes = bytes}) >= 0);
}

/* -- the tear -- */

struct tear {
    struct crash_fs *fs;
    uint32_t dir;
    uint64_t lsn;
    bool torn;
};

static int tear_frame(void *arg, const struct varve_frame_info *info)
{
    struct tear *tear = arg;
    char name[CRASH_NAME];
    if (info->records != 0 && info->state == VARVE_FRAME_SOUND && tear->lsn >= info->first_lsn &&
        tear->lsn - info->first_lsn < info->records) {
        (void)snprintf(name, sizeof name, "wal-%016" PRIx64 ".seg", info->segment);
        crash_fs_write(tear->fs, crash_fs_find(tear->fs, tear->dir, name), NULL, 512, info->offset);
        tear->torn = true;
    }
    return 0;
}

void rot_tear(struct rot_maker *maker, uint64_t lsn)
{
    struct crash_fs fs;
    crash_disk_copy(&maker->disk, &fs);
    struct tear tear = {.fs = &fs, .dir = crash_fs_find(&fs, CRASH_ROOT, "log"), .lsn = lsn};
    struct varve_visitor visitor = {.size = sizeof visitor, .arg = &tear, .frame = tear_frame};
    rot_must(varve_inspect("log", &maker->disk.io, &visitor, NULL) == 0 && tear.torn);
    use_fs(maker, &fs);
    maker->next_lsn = lsn;
}

/* -- all of it -- */

void rot_make_init(struct rot_maker *maker, struct rot_log *log, uint32_t sector_bytes)
{
    struct crash_fs fs;
    *maker = (struct rot_maker){.log = log, .next_lsn = 1};
    test_rng_init(&maker->rng, log->seed);
    crash_fs_init(&fs);
    crash_disk_init(&maker->disk, &fs, 1);
    test_fault_init(&maker->fault, &maker->disk.io);
    test_clock_init(&maker->clock, &maker->fault.pass.io, UINT64_C(1800000000000000), 0, 1);
    test_pass_init(&maker->watch.pass, &maker->clock.pass.io);
    maker->watch.pass.io.ctx = &maker->watch;
    maker->watch.pass.io.monotonic_us = watch_monotonic_us;
    maker->watch.pass.io.monotonic_coarse_us = watch_monotonic_us;
    maker->options = (struct varve_options){
        .size = sizeof maker->options,
        .segment_bytes = 1 << 20,
        .slot_bytes = 8192,
        .slot_count = 8,
        .sector_bytes = sector_bytes,
        .mark_idle_ms = UINT32_MAX,
        .writes_in_flight = 1,
        .retry_count = 2,
    };
}

void rot_make_free(struct rot_maker *maker)
{
    test_clock_close(&maker->clock);
    test_fault_close(&maker->fault);
    crash_disk_close(&maker->disk);
}
