/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc.h"
#include "lib/bed.h"
#include "lib/store.h"
#include "varve/pin.h"

#define KEY(text) text, sizeof(text) - 1

/* So many keys, and some that came and went. */
static void fill(struct test_store *s, int from, int to)
{
    char key[32], value[64];
    for (int i = from; i < to; i++) {
        const struct varve_kv_write h = {
            .size = sizeof h, .flags = VARVE_KV_NO_WAIT, .expires_us = i % 7 == 0 ? UINT64_MAX - 1 : 0};
        (void)snprintf(key, sizeof key, "key %d", i);
        (void)snprintf(value, sizeof value, "value %d", i);
        assert_int_equal(varve_kv_set(s->kv, key, strlen(key), value, strlen(value), &h, NULL), 0);
        if (i % 5 == 0)
            assert_int_equal(varve_kv_append(s->kv, key, strlen(key), "+", 1, &h, NULL, NULL), 0);
        if (i % 11 == 0)
            assert_int_equal(varve_kv_delete(s->kv, key, strlen(key), &h, NULL), 0);
    }
    assert_int_equal(varve_sync(varve_kv_log(s->kv)), 0);
}

static uint64_t snapshot(struct test_store *s)
{
    uint64_t lsn = 0;
    if (varve_kv_snapshot(s->kv, &lsn, &s->error) != 0)
        fail_msg("%s", s->error.message);
    return lsn;
}

static struct varve_kv_recovery recovery(struct test_store *s)
{
    struct varve_kv_recovery r = {.size = sizeof r};
    assert_int_equal(varve_kv_recovery_get(s->kv, &r), 0);
    return r;
}

static void expect_digest(struct test_store *s, const uint8_t *wanted)
{
    uint8_t digest[VARVE_KV_DIGEST_BYTES];
    store_digest(s, digest);
    assert_memory_equal(digest, wanted, sizeof digest);
}

static void test_snapshot__round(void **state)
{
    uint8_t before[VARVE_KV_DIGEST_BYTES];
    struct test_store s;
    uint64_t lsn;
    (void)state;
    store_start(&s);
    fill(&s, 0, 3000);
    lsn = snapshot(&s);
    assert_int_equal(lsn, varve_last_lsn(varve_kv_log(s.kv)));
    assert_int_equal(snapshot(&s), lsn);
    assert_int_equal(store_stats(&s).snapshots, 1);
    fill(&s, 2000, 4000);
    assert_int_equal(varve_kv_lock(s.kv, KEY("lock"), KEY("me"), 1000000, NULL), 0);
    store_digest(&s, before);
    store_again(&s);
    expect_digest(&s, before);
    assert_int_equal(recovery(&s).snapshot_lsn, lsn);
    assert_int_equal(recovery(&s).snapshots_bad, 0);
    assert_true(recovery(&s).records > 2000);
    /* From the log alone it is the same. */
    store_close(&s);
    {
        char name[VV_SNAP_NAME_BYTES];
        struct varve_dir *dir, *sub;
        vv_snap_name(lsn, name);
        assert_int_equal(s.memory.io.dir_open(&s.memory.io, NULL, "store", 0, &dir, NULL), 0);
        assert_int_equal(s.memory.io.dir_open(&s.memory.io, dir, VV_KV_SNAPSHOT_DIR, 0, &sub, NULL), 0);
        assert_int_equal(s.memory.io.unlink(&s.memory.io, sub, name), 0);
        s.memory.io.dir_close(&s.memory.io, sub);
        s.memory.io.dir_close(&s.memory.io, dir);
    }
    assert_int_equal(store_open(&s), 0);
    assert_int_equal(recovery(&s).snapshot_lsn, 0);
    expect_digest(&s, before);
    store_end(&s);
}

static int note_pin(void *arg, const struct varve_pin *pin)
{
    if (strcmp(pin->name, VV_KV_PIN) == 0)
        *(uint64_t *)arg = pin->lsn;
    return 0;
}

/* Three are kept, the log is held from the oldest of them on and no longer. */
static void test_snapshot__kept(void **state)
{
    uint8_t before[VARVE_KV_DIGEST_BYTES];
    uint64_t lsns[6], *there, pin = 0;
    struct test_store s;
    size_t count;
    (void)state;
    store_start(&s);
    assert_int_equal(varve_pin_list(varve_kv_log(s.kv), note_pin, &pin, NULL), 0);
    assert_int_equal(pin, 1);
    for (int i = 0; i < 6; i++) {
        fill(&s, i * 9000,
             (i + 1) * 9000 + 1000); /* more than a segment until the third one, however they lie */
        lsns[i] = snapshot(&s);
    }
    assert_int_equal(vv_snapshot_list(s.kv, &there, &count, NULL), 0);
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(there[i], lsns[5 - i]);
    vv_free(there);
    assert_int_equal(varve_pin_list(varve_kv_log(s.kv), note_pin, &pin, NULL), 0);
    assert_int_equal(pin, lsns[3] + 1);
    assert_true(varve_first_lsn(varve_kv_log(s.kv)) > 1);
    assert_true(varve_first_lsn(varve_kv_log(s.kv)) <= lsns[3] + 1);
    store_digest(&s, before);
    store_again(&s);
    expect_digest(&s, before);
    assert_int_equal(recovery(&s).snapshot_lsn, lsns[5]);
    store_end(&s);
}

/* The file of a snapshot, to be spoiled. */
struct spoiled {
    struct varve_dir *dir, *sub;
    struct varve_file *file;
    uint64_t size;
};

static void spoil_open(struct test_store *s, uint64_t lsn, struct spoiled *f)
{
    struct varve_io *io = &s->memory.io;
    struct varve_io_stat stat;
    char name[VV_SNAP_NAME_BYTES];
    vv_snap_name(lsn, name);
    assert_int_equal(io->dir_open(io, NULL, "store", 0, &f->dir, NULL), 0);
    assert_int_equal(io->dir_open(io, f->dir, VV_KV_SNAPSHOT_DIR, 0, &f->sub, NULL), 0);
    assert_int_equal(io->open(io, f->sub, name, VARVE_IO_WRITE, &f->file), 0);
    assert_int_equal(io->stat(io, f->file, &stat), 0);
    f->size = stat.size_bytes;
}

static void spoil_close(struct test_store *s, struct spoiled *f)
{
    struct varve_io *io = &s->memory.io;
    io->close(io, f->file);
    io->dir_close(io, f->sub);
    io->dir_close(io, f->dir);
}

static void flip(struct test_store *s, struct spoiled *f, uint64_t offset)
{
    struct varve_io *io = &s->memory.io;
    uint8_t byte;
    assert_int_equal(io->pread(io, f->file, &byte, 1, offset), 1);
    byte ^= 0x20;
    const struct iovec piece = {&byte, 1};
    assert_int_equal(io->pwritev(io, f->file, &piece, 1, offset, 0), 1);
}

/* Where replay begins: one that does not say, as older ones do not, is gone on from at the next record; one
 * that says what cannot be is none. */
static void test_snapshot__from_where(void **state)
{
    enum {
        FROM_AT = 32,
        SUM_AT = 60
    };
    uint8_t before[VARVE_KV_DIGEST_BYTES], header[SUM_AT + 4];
    struct test_store s;
    struct varve_io *io = &s.memory.io;
    struct spoiled f;
    uint64_t lsn;
    (void)state;
    store_start(&s);
    fill(&s, 0, 100);
    lsn = snapshot(&s);
    fill(&s, 50, 200);
    store_digest(&s, before);
    for (uint64_t from = 0; from <= lsn + 2; from += lsn + 2) {
        const struct iovec piece = {header, sizeof header};
        store_close(&s);
        spoil_open(&s, lsn, &f);
        assert_int_equal(io->pread(io, f.file, header, sizeof header, 0), sizeof header);
        vv_put_u64(header + FROM_AT, from);
        vv_put_u32(header + SUM_AT, vv_crc32c(0, header, SUM_AT));
        assert_int_equal(io->pwritev(io, f.file, &piece, 1, 0, 0), sizeof header);
        spoil_close(&s, &f);
        assert_int_equal(store_open(&s), 0);
        assert_int_equal(recovery(&s).snapshot_lsn, from == 0 ? lsn : 0);
        assert_int_equal(recovery(&s).snapshots_bad, from != 0);
        assert_int_equal(recovery(&s).records, varve_last_lsn(varve_kv_log(s.kv)) - (from == 0 ? lsn : 0));
        expect_digest(&s, before);
    }
    store_end(&s);
}

/* Damage in any part of the newest: the one before is taken, it is said, and the same comes out. */
static void test_snapshot__damaged(void **state)
{
    uint8_t before[VARVE_KV_DIGEST_BYTES];
    struct spoiled f;
    struct test_store s;
    uint64_t first, second, size;
    (void)state;
    store_start(&s);
    fill(&s, 0, 400);
    first = snapshot(&s);
    fill(&s, 300, 600);
    second = snapshot(&s);
    fill(&s, 500, 700);
    store_digest(&s, before);
    store_close(&s);
    spoil_open(&s, second, &f);
    size = f.size;
    spoil_close(&s, &f);
    for (uint64_t offset = 0; offset < size; offset += offset < 160 || offset + 80 > size ? 1 : 997) {
        spoil_open(&s, second, &f);
        flip(&s, &f, offset);
        s.told[0] = '\0';
        assert_int_equal(store_open(&s), 0);
        expect_digest(&s, before);
        assert_int_equal(recovery(&s).snapshot_lsn, first);
        assert_int_equal(recovery(&s).snapshots_bad, 1);
        assert_non_null(strstr(s.told, "snap-"));
        store_close(&s);
        flip(&s, &f, offset);
        spoil_close(&s, &f);
    }
    /* Cut off, and both damaged: the log has it all. */
    spoil_open(&s, second, &f);
    assert_int_equal(s.memory.io.truncate(&s.memory.io, f.file, size / 2), 0);
    spoil_close(&s, &f);
    assert_int_equal(store_open(&s), 0);
    expect_digest(&s, before);
    store_close(&s);
    spoil_open(&s, first, &f);
    flip(&s, &f, 100);
    spoil_close(&s, &f);
    assert_int_equal(store_open(&s), 0);
    expect_digest(&s, before);
    assert_int_equal(recovery(&s).snapshots_bad, 2);
    store_end(&s);
}

/* All that are there damaged, and the log trimmed behind them: refused, with the reason. */
static void test_snapshot__none_left(void **state)
{
    struct test_store s;
    struct spoiled f;
    uint64_t lsns[3] = {0};
    (void)state;
    store_start(&s);
    for (int i = 0; i < 40 && varve_first_lsn(varve_kv_log(s.kv)) == 1; i++) {
        fill(&s, 0, 6000);
        lsns[i % 3] = snapshot(&s);
    }
    assert_true(varve_first_lsn(varve_kv_log(s.kv)) > 1);
    store_close(&s);
    /* It may have been trimmed before there were three. */
    for (int i = 0; i < 3 && lsns[i] != 0; i++) {
        spoil_open(&s, lsns[i], &f);
        flip(&s, &f, 70);
        spoil_close(&s, &f);
    }
    assert_int_equal(store_open(&s), VARVE_E_SNAPSHOT);
    assert_non_null(strstr(s.error.message, "the log begins at LSN"));
    assert_non_null(strstr(s.error.message, "snap-"));
    store_end(&s);
}

/* The log has lost what the snapshot knows of: nothing is made up for that. */
static void test_snapshot__newer_than_the_log(void **state)
{
    struct test_store s, other;
    struct varve_io *io, *from;
    struct varve_dir *dir, *sub;
    struct varve_file *file;
    struct spoiled f;
    static uint8_t bytes[1 << 20];
    char name[VV_SNAP_NAME_BYTES];
    uint64_t lsn;
    (void)state;
    store_start(&s);
    fill(&s, 0, 100);
    lsn = snapshot(&s);
    store_close(&s);
    store_start(&other);
    store_set(&other, "a", "one");
    store_close(&other);
    spoil_open(&s, lsn, &f);
    from = &s.memory.io;
    assert_true(f.size < sizeof bytes);
    assert_int_equal(from->pread(from, f.file, bytes, f.size, 0), (int)f.size);
    spoil_close(&s, &f);
    io = &other.memory.io;
    vv_snap_name(lsn, name);
    assert_int_equal(io->dir_open(io, NULL, "store", 0, &dir, NULL), 0);
    assert_int_equal(io->dir_open(io, dir, VV_KV_SNAPSHOT_DIR, 0, &sub, NULL), 0);
    assert_int_equal(io->open(io, sub, name, VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    const struct iovec piece = {bytes, f.size};
    assert_int_equal(io->pwritev(io, file, &piece, 1, 0, 0), (int)f.size);
    io->close(io, file);
    io->dir_close(io, sub);
    io->dir_close(io, dir);
    assert_int_equal(store_open(&other), VARVE_E_SNAPSHOT);
    assert_non_null(strstr(other.error.message, "newer than the log"));
    store_end(&other);
    store_end(&s);
}

/* Every call on the disk fails once while a snapshot is made: what was there stays, and the next one works.
 */
static void test_snapshot__faults(void **state)
{
    static const int errors[] = {EIO, ENOSPC};
    (void)state;
    for (size_t e = 0; e < 2; e++) {
        for (long n = 0;; n++) {
            uint8_t before[VARVE_KV_DIGEST_BYTES];
            struct test_store s, after;
            int rc;
            store_start(&s);
            fill(&s, 0, 50);
            snapshot(&s);
            fill(&s, 20, 60);
            store_digest(&s, before);
            test_fault_fail_after(&s.fault, n, errors[e]);
            rc = varve_kv_snapshot(s.kv, NULL, &s.error);
            bool done = test_fault_left(&s.fault) >= 0;
            test_fault_disarm(&s.fault);
            if (rc != 0)
                assert_true(strlen(s.error.message) > 1);
            store_cut(&s, &after);
            expect_digest(&after, before);
            assert_true(recovery(&after).snapshot_lsn > 0);
            if (varve_error_first(varve_kv_log(s.kv), NULL) == 0)
                snapshot(&s);
            store_end(&after);
            store_end(&s);
            if (done) {
                assert_int_equal(rc, 0);
                break;
            }
            assert_true(n < 200);
        }
    }
}

struct busy {
    struct test_store *s;
    _Atomic bool stop;
};

static void *keep_busy(void *arg)
{
    struct busy *busy = arg;
    for (int i = 0; !atomic_load(&busy->stop); i = (i + 100) % 5000)
        fill(busy->s, i, i + 100);
    return NULL;
}

/* Made while a thread writes; whatever moment they caught, replay makes them whole. */
static void test_snapshot__beside_a_writer(void **state)
{
    uint8_t before[VARVE_KV_DIGEST_BYTES];
    struct test_store s;
    struct busy busy = {.s = &s};
    pthread_t thread;
    (void)state;
    store_start(&s);
    fill(&s, 0, 5000);
    assert_int_equal(pthread_create(&thread, NULL, keep_busy, &busy), 0);
    for (int i = 0; i < 8; i++)
        snapshot(&s);
    atomic_store(&busy.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    store_digest(&s, before);
    store_again(&s);
    assert_true(recovery(&s).snapshot_lsn > 0);
    expect_digest(&s, before);
    store_end(&s);
}

struct listed {
    unsigned count, bad;
    uint64_t newest, entries;
};

static int note_snapshot(void *arg, const struct varve_kv_snapshot_info *info)
{
    struct listed *l = arg;
    assert_int_equal(info->size, sizeof *info);
    if (l->count++ == 0) {
        l->newest = info->lsn;
        l->entries = info->entries;
    }
    l->bad += info->code != 0 && info->message[0] != '\0';
    return 0;
}

/* Listed by their ends; verified to the last byte. */
static void test_snapshot__list(void **state)
{
    struct listed l = {0};
    struct test_store s;
    struct spoiled f;
    uint64_t lsn;
    (void)state;
    store_start(&s);
    assert_int_equal(varve_kv_snapshot_list("store", s.log.io, 1, note_snapshot, &l, NULL), 0);
    assert_int_equal(l.count, 0);
    assert_int_equal(varve_kv_snapshot_list("nowhere", s.log.io, 1, note_snapshot, &l, &s.error),
                     VARVE_E_NOT_FOUND);
    fill(&s, 0, 100);
    snapshot(&s);
    fill(&s, 50, 150);
    lsn = snapshot(&s);
    assert_int_equal(varve_kv_snapshot_list("store", s.log.io, 1, note_snapshot, &l, NULL), 0);
    assert_int_equal(l.count, 2);
    assert_int_equal(l.bad, 0);
    assert_int_equal(l.newest, lsn);
    assert_int_equal(l.entries, varve_kv_count(s.kv));
    spoil_open(&s, lsn, &f);
    flip(&s, &f, 300);
    spoil_close(&s, &f);
    l = (struct listed){0};
    assert_int_equal(varve_kv_snapshot_list("store", s.log.io, 0, note_snapshot, &l, NULL), 0);
    assert_int_equal(l.bad, 0);
    assert_int_equal(varve_kv_snapshot_list("store", s.log.io, 1, note_snapshot, &l, NULL), 0);
    assert_int_equal(l.bad, 1);
    store_end(&s);
}

struct past {
    char text[256];
};

static int note_change(void *arg, const struct varve_kv_change *change)
{
    struct past *past = arg;
    size_t at = strlen(past->text);
    (void)snprintf(past->text + at, sizeof past->text - at, "%s %.*s;", varve_kv_change_name(change->kind),
                   (int)change->value_bytes, (const char *)change->value);
    return 0;
}

/* Every change of a key, and the state as of any LSN and time. */
static void test_snapshot__the_past(void **state)
{
    struct test_store s;
    struct past past = {""};
    uint64_t lsns[4], middle_us;
    (void)state;
    store_start(&s);
    lsns[0] = store_set(&s, "k", "one");
    lsns[1] = store_set(&s, "k", "two");
    store_set(&s, "other", "x");
    snapshot(&s);
    bed_pause();
    bed_pause();
    middle_us = s.memory.io.realtime_us(&s.memory.io);
    bed_pause();
    bed_pause();
    assert_int_equal(varve_kv_append(s.kv, KEY("k"), "+", 1, NULL, NULL, &lsns[2]), 0);
    assert_int_equal(varve_kv_delete(s.kv, KEY("k"), NULL, &lsns[3]), 0);
    snapshot(&s);
    assert_int_equal(varve_kv_history(varve_kv_log(s.kv), KEY("k"), note_change, &past, NULL), 0);
    assert_string_equal(past.text, "set one;set two;append +;delete ;");
    assert_int_equal(varve_kv_history(varve_kv_log(s.kv), "", 0, note_change, &past, &s.error),
                     VARVE_E_INVALID);
    store_close(&s);
    s.options.at_lsn = lsns[0];
    assert_int_equal(store_open(&s), VARVE_E_INVALID);
    s.log.flags = VARVE_OPEN_READ_ONLY;
    static const char *const values[] = {"one", "two", "two+", NULL};
    for (int i = 0; i < 4; i++) {
        s.options.at_lsn = lsns[i];
        assert_int_equal(store_open(&s), 0);
        store_expect(&s, "k", values[i]);
        store_expect(&s, "other", i < 2 ? NULL : "x");
        store_close(&s);
    }
    s.options.at_lsn = 0;
    s.options.at_time_us = middle_us;
    assert_int_equal(store_open(&s), 0);
    store_expect(&s, "k", "two");
    store_close(&s);
    s.options.at_time_us = 1;
    assert_int_equal(store_open(&s), 0);
    store_expect(&s, "k", NULL);
    store_end(&s);
}

/* By themselves, after so many records. A file that a crash left half done is in nobody's way. */
static void test_snapshot__by_itself(void **state)
{
    struct test_store s;
    (void)state;
    store_init(&s);
    s.options.snapshot_operations = 100;
    assert_int_equal(store_open(&s), 0);
    fill(&s, 0, 300);
    BED_UNTIL(store_stats(&s).snapshots > 0);
    store_close(&s);
    {
        struct varve_io *io = &s.memory.io;
        struct varve_dir *dir, *sub;
        struct varve_file *file;
        assert_int_equal(io->dir_open(io, NULL, "store", 0, &dir, NULL), 0);
        assert_int_equal(io->dir_open(io, dir, VV_KV_SNAPSHOT_DIR, 0, &sub, NULL), 0);
        assert_int_equal(io->open(io, sub, VV_SNAP_TEMP, VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
        io->close(io, file);
        io->dir_close(io, sub);
        io->dir_close(io, dir);
    }
    assert_int_equal(store_open(&s), 0);
    fill(&s, 0, 300);
    BED_UNTIL(store_stats(&s).snapshots > 0);
    store_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot__round),     cmocka_unit_test(test_snapshot__kept),
        cmocka_unit_test(test_snapshot__damaged),   cmocka_unit_test(test_snapshot__from_where),
        cmocka_unit_test(test_snapshot__none_left), cmocka_unit_test(test_snapshot__newer_than_the_log),
        cmocka_unit_test(test_snapshot__faults),    cmocka_unit_test(test_snapshot__beside_a_writer),
        cmocka_unit_test(test_snapshot__by_itself), cmocka_unit_test(test_snapshot__list),
        cmocka_unit_test(test_snapshot__the_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
