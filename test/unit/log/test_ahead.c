/* SPDX-License-Identifier: Apache-2.0 */
/* With a second reader a walk finds what it finds without, whatever the log looks like. */
#include "log/ahead.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/pass.h"
#include "lib/sample.h"
#include "log/walk.h"

enum {
    FRAMES = 600
};

/* What a walk has found. */
struct found {
    unsigned frames;
    struct vv_scan_frame frame[FRAMES];
    int rc;
    struct varve_error error;
    struct vv_damage damage;
    unsigned damages;
    uint64_t expected, vouched, end_segment, end_offset, unvouched_offset, bytes_read;
};

/* Counts what threads other than the walk's own read. */
struct watcher {
    struct test_pass pass; /* first: pass.io is the table */
    pthread_t walker;
    _Atomic unsigned by_others;
};

static struct test_sample s;
static struct watcher watcher;
static struct found with, without;

static ssize_t watched_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len,
                             uint64_t offset)
{
    struct varve_io *below = test_pass_below(io);
    if (!pthread_equal(pthread_self(), watcher.walker)) {
        atomic_fetch_add(&watcher.by_others, 1);
    }
    return below->pread(below, file, buf, len, offset);
}

static int note_damage(void *arg, const struct vv_damage *damage)
{
    struct found *found = arg;
    found->damage = *damage;
    found->damages++;
    return 0;
}

static void walk_all(enum varve_policy policy, bool ahead, struct found *ret_found)
{
    struct varve_io *io = &watcher.pass.io;
    struct varve_dir *dir = test_sample_dir(&s);
    struct vv_chain chain;
    struct vv_walk walk;
    struct found *f = ret_found;
    memset(f, 0, sizeof *f);
    assert_int_equal(vv_chain_load(&chain, io, dir, NULL), 0);
    assert_int_equal(vv_walk_init(&walk, &chain, 0, policy), 0);
    walk.damaged = note_damage;
    walk.damaged_arg = f;
    if (ahead) {
        walk.scan.ahead = vv_ahead_start(&chain, walk.index, 0);
        assert_true(walk.scan.ahead != NULL || chain.count == 0);
    }
    while (f->frames < FRAMES && (f->rc = vv_walk_next(&walk, &f->frame[f->frames], &f->error)) == 0) {
        f->frames++;
    }
    assert_true(f->frames < FRAMES);
    vv_ahead_free(walk.scan.ahead);
    walk.scan.ahead = NULL;
    if (f->damages == 0) {
        f->damage = walk.damage;
    }
    f->expected = walk.expected;
    f->vouched = walk.vouched;
    f->end_segment = walk.end_segment;
    f->end_offset = walk.end_offset;
    f->unvouched_offset = walk.unvouched_offset;
    f->bytes_read = walk.scan.bytes_read;
    vv_walk_free(&walk);
    vv_chain_free(&chain);
    io->dir_close(io, dir);
}

static void compare(const char *what, unsigned number)
{
    static const enum varve_policy policies[] = {VARVE_POLICY_HALT, VARVE_POLICY_SKIP};
    for (unsigned i = 0; i < 2; i++) {
        walk_all(policies[i], false, &without);
        walk_all(policies[i], true, &with);
        if (with.rc != without.rc || with.frames != without.frames || with.damages != without.damages ||
            with.expected != without.expected || with.vouched != without.vouched ||
            with.end_segment != without.end_segment || with.end_offset != without.end_offset ||
            with.unvouched_offset != without.unvouched_offset ||
            with.damage.verdict != without.damage.verdict || with.damage.segment != without.damage.segment ||
            with.damage.offset != without.damage.offset ||
            strcmp(with.damage.message, without.damage.message) != 0 ||
            strcmp(with.error.message, without.error.message) != 0) {
            fail_msg(
                "%s %u, policy %d: %d after %u frames, LSN %llu ('%s%s'); without: %d after %u, LSN %llu "
                "('%s%s')",
                what, number, (int)policies[i], with.rc, with.frames, (unsigned long long)with.expected,
                with.error.message, with.damage.message, without.rc, without.frames,
                (unsigned long long)without.expected, without.error.message, without.damage.message);
        }
        for (unsigned j = 0; j < with.frames; j++) {
            assert_memory_equal(&with.frame[j].header, &without.frame[j].header, sizeof with.frame[j].header);
            assert_int_equal(with.frame[j].offset, without.frame[j].offset);
            assert_int_equal(with.frame[j].body_crc, without.frame[j].body_crc);
        }
    }
}

static void make(size_t record_bytes, unsigned records, bool clean)
{
    test_sample_make(&s, record_bytes, records, clean);
    test_sample_map(&s);
    test_pass_init(&watcher.pass, &s.memory.io);
    watcher.pass.io.pread = watched_pread;
    watcher.walker = pthread_self();
    atomic_store(&watcher.by_others, 0);
}

static void test_ahead__sound(void **state)
{
    (void)state;
    static const struct {
        size_t bytes;
        unsigned records;
    } logs[] = {{TEST_SAMPLE_BIG, 1},
                {TEST_SAMPLE_BIG, 4},
                {TEST_SAMPLE_BIG, 13},
                {TEST_SAMPLE_SMALL, 40},
                {TEST_SAMPLE_SMALL, 500}};
    for (unsigned i = 0; i < sizeof logs / sizeof logs[0]; i++) {
        for (int clean = 0; clean < 2; clean++) {
            make(logs[i].bytes, logs[i].records, clean);
            compare("log", i);
            assert_int_equal(with.frames, logs[i].records);
            assert_int_equal(with.rc, VARVE_END);
            test_sample_close(&s);
        }
    }
}

/* It does do something, and what it reads is counted. */
static void test_ahead__reads(void **state)
{
    (void)state;
    make(TEST_SAMPLE_BIG, 13, false);
    walk_all(VARVE_POLICY_HALT, false, &without);
    assert_int_equal(atomic_load(&watcher.by_others), 0);
    walk_all(VARVE_POLICY_HALT, true, &with);
    assert_true(atomic_load(&watcher.by_others) > 0);
    assert_true(with.bytes_read > without.bytes_read / 10 * 9);
    test_sample_close(&s);
}

static void damage_each(size_t record_bytes, unsigned records, unsigned step)
{
    make(record_bytes, records, false);
    for (unsigned i = 0; i < s.frame_count; i += step) {
        const struct test_sample_frame *f = &s.frames[i];
        uint64_t middle = f->offset + 64 + f->stored_bytes / 2;
        size_t bytes;
        uint8_t *segment = test_sample_read(&s, f->segment, &bytes);

        test_sample_flip(&s, f->segment, middle, 3);
        compare("a bit of the body of frame", i);
        test_sample_flip(&s, f->segment, middle, 3);
        test_sample_flip(&s, f->segment, f->offset + 17, 3);
        compare("a bit of the header of frame", i);
        test_sample_flip(&s, f->segment, f->offset + 17, 3);
        test_sample_zero(&s, f->segment, f->offset, f->bytes);
        compare("zeros in place of frame", i);
        test_sample_truncate(&s, f->segment, middle);
        compare("a file that ends in frame", i);
        /* A frame of another place, in the middle of this one's body. */
        test_sample_write_segment(&s, f->segment, segment, bytes);
        test_sample_patch(&s, f->segment, middle / 512 * 512, segment + s.frames[0].offset, 512);
        compare("another header inside frame", i);
        test_sample_write_segment(&s, f->segment, segment, bytes);
        vv_free(segment);
    }
    test_sample_close(&s);
}

static void test_ahead__damaged(void **state)
{
    (void)state;
    damage_each(TEST_SAMPLE_BIG, 13, 1);
    damage_each(TEST_SAMPLE_SMALL, 60, 4);
}

/* Something behind the end, in the half that the other one reads. */
static void test_ahead__behind_the_end(void **state)
{
    (void)state;
    make(TEST_SAMPLE_SMALL, 20, false);
    for (unsigned at = 20; at < 1900; at += 321) {
        test_sample_flip(&s, 1, (uint64_t)at * 512 + 100, 0);
        compare("a bit behind the end, in sector", at);
        test_sample_flip(&s, 1, (uint64_t)at * 512 + 100, 0);
    }
    test_sample_close(&s);
}

static void test_ahead__missing(void **state)
{
    (void)state;
    for (uint64_t segment = 1; segment <= 3; segment++) {
        make(TEST_SAMPLE_BIG, 13, false);
        test_sample_unlink_segment(&s, segment);
        compare("no segment", (unsigned)segment);
        test_sample_close(&s);
    }
}

/* Of a walk that ends early, the rest is not waited for to its end, and nothing is left behind. */
static void test_ahead__given_up(void **state)
{
    (void)state;
    struct vv_scan_frame frame;
    struct vv_chain chain;
    struct varve_dir *dir;
    struct vv_walk walk;
    make(TEST_SAMPLE_BIG, 13, false);
    dir = test_sample_dir(&s);
    assert_int_equal(vv_chain_load(&chain, &s.memory.io, dir, NULL), 0);
    assert_int_equal(vv_walk_init(&walk, &chain, 0, VARVE_POLICY_HALT), 0);
    walk.scan.ahead = vv_ahead_start(&chain, 0, 0);
    assert_int_equal(vv_walk_next(&walk, &frame, NULL), 0);
    vv_ahead_free(walk.scan.ahead);
    walk.scan.ahead = NULL;
    vv_ahead_free(NULL);
    assert_null(vv_ahead_start(&chain, 0, UINT64_MAX));
    for (long n = 0; n < 3; n++) {
        vv_alloc_fail_after(n);
        assert_null(vv_ahead_start(&chain, 0, 0));
    }
    vv_alloc_fail_after(-1);
    vv_walk_free(&walk);
    vv_chain_free(&chain);
    s.memory.io.dir_close(&s.memory.io, dir);
    test_sample_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ahead__sound),   cmocka_unit_test(test_ahead__reads),
        cmocka_unit_test(test_ahead__damaged), cmocka_unit_test(test_ahead__behind_the_end),
        cmocka_unit_test(test_ahead__missing), cmocka_unit_test(test_ahead__given_up),
    };
    return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
