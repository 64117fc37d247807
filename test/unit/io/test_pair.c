/* SPDX-License-Identifier: Apache-2.0 */
/* Two directories as one. */
#include "io/pair.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/device.h"
#include "lib/memory.h"

struct scene {
    struct test_memory memory;
    struct test_device device;
    struct vv_pair *pair;
    struct varve_io *io;
    struct varve_dir *dir;
};

static bool hides(const char *name)
{
    return strcmp(name, "own") == 0;
}

static void begin(struct scene *s)
{
    struct varve_dir *home, *away;
    memset(s, 0, sizeof *s);
    test_memory_init(&s->memory, 512);
    test_device_init(&s->device, &s->memory.io);
    struct varve_io *below = &s->device.pass.io;
    assert_int_equal(below->dir_open(below, NULL, "home", 1, &home, NULL), 0);
    assert_int_equal(below->dir_open(below, NULL, "/away", 1, &away, NULL), 0);
    assert_int_equal(vv_pair_open(below, home, away, hides, &s->pair), 0);
    s->io = vv_pair_io(s->pair);
    s->dir = vv_pair_dir(s->pair);
}

static void end(struct scene *s)
{
    s->io->dir_close(s->io, s->dir);
    test_memory_close(&s->memory);
}

static void put(struct scene *s, enum vv_half side, const char *name, const char *text)
{
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    struct varve_file *file;
    assert_int_equal(vv_pair_open_on(s->pair, side, name, VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    assert_int_equal(s->io->pwritev(s->io, file, &iov, 1, 0, 0), strlen(text));
    assert_int_equal(s->io->sync(s->io, file), 0);
    s->io->close(s->io, file);
    assert_int_equal(vv_pair_sync_on(s->pair, side), 0);
}

/* What a name says, in a static buffer; "" where it is not there. */
static const char *get(struct scene *s, const char *name)
{
    static char text[64];
    struct varve_file *file;
    struct varve_io_stat stat;
    memset(text, 0, sizeof text);
    int rc = s->io->open(s->io, s->dir, name, VARVE_IO_READ, &file);
    assert_int_equal(s->io->stat_name(s->io, s->dir, name, &stat), rc);
    if (rc == -ENOENT) {
        return text;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(s->io->pread(s->io, file, text, sizeof text, 0), stat.size_bytes);
    s->io->close(s->io, file);
    return text;
}

/* Keeps them in order. */
static int see(void *arg, const char *name)
{
    char *text = arg, item[64];
    size_t len = (size_t)snprintf(item, sizeof item, "%s ", name), at = 0;
    while (text[at] != 0 && strncmp(text + at, item, len) < 0) {
        at += strcspn(text + at, " ") + 1;
    }
    memmove(text + at + len, text + at, strlen(text + at) + 1);
    memcpy(text + at, item, len);
    return 0;
}

static const char *names(struct scene *s)
{
    static char text[256];
    memset(text, 0, sizeof text);
    assert_int_equal(s->io->dir_list(s->io, s->dir, see, text), 0);
    return text;
}

static void over(bool learnt)
{
    struct scene s;
    begin(&s);
    put(&s, VV_HOME, "both", "home");
    put(&s, VV_AWAY, "both", "away");
    put(&s, VV_HOME, "here", "1");
    put(&s, VV_AWAY, "there", "2");
    put(&s, VV_AWAY, "own", "3");
    put(&s, VV_AWAY, "LOCK", "");
    if (learnt) {
        assert_int_equal(vv_pair_learn(s.pair), 0);
    }
    assert_string_equal(get(&s, "both"), "away");
    assert_string_equal(get(&s, "here"), "1");
    assert_string_equal(get(&s, "there"), "2");
    assert_string_equal(get(&s, "own"), "");
    assert_string_equal(get(&s, "LOCK"), "");
    assert_string_equal(names(&s), "both here there ");
    assert_int_equal(vv_pair_is_away(s.pair, "both"), 1);
    assert_int_equal(vv_pair_is_away(s.pair, "here"), 0);
    /* A name stays on its side when it is changed. */
    assert_int_equal(s.io->rename(s.io, s.dir, "there", "thence", 0), 0);
    assert_int_equal(vv_pair_is_away(s.pair, "thence"), 1);
    assert_int_equal(vv_pair_is_away(s.pair, "there"), 0);
    assert_int_equal(s.io->rename(s.io, s.dir, "here", "hence", 0), 0);
    assert_string_equal(get(&s, "hence"), "1");
    /* Removed is removed on both, so that nothing comes to light. */
    assert_int_equal(s.io->unlink(s.io, s.dir, "both"), 0);
    assert_string_equal(get(&s, "both"), "");
    assert_int_equal(s.io->unlink(s.io, s.dir, "both"), -ENOENT);
    assert_int_equal(s.io->dir_sync(s.io, s.dir), 0);
    assert_string_equal(names(&s), "hence thence ");
    end(&s);
}

static void test_pair__away_over_home(void **state)
{
    (void)state;
    over(false);
}

static void test_pair__names_are_learnt(void **state)
{
    (void)state;
    over(true);
}

/* What is at HOME does not depend on AWAY, once that is known. */
static void test_pair__away_is_dead(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    put(&s, VV_HOME, "here", "1");
    put(&s, VV_AWAY, "there", "2");
    assert_int_equal(vv_pair_learn(s.pair), 0);
    assert_int_equal(s.io->dir_sync(s.io, s.dir), 0);
    test_device_set(&s.device, 1, TEST_DEVICE_DEAD);
    assert_string_equal(get(&s, "here"), "1");
    assert_int_equal(s.io->rename(s.io, s.dir, "here", "x", 0), 0);
    assert_int_equal(s.io->unlink(s.io, s.dir, "x"), 0);
    assert_int_equal(s.io->dir_sync(s.io, s.dir), 0);
    assert_string_equal(names(&s), "there ");
    end(&s);
}

/* Not learnt: whoever reads must not take what it cannot see for what is not there. */
static void test_pair__unknown_is_an_error(void **state)
{
    (void)state;
    struct scene s;
    struct varve_file *file;
    struct varve_io_stat stat;
    begin(&s);
    put(&s, VV_HOME, "both", "home");
    put(&s, VV_AWAY, "both", "away");
    test_device_set(&s.device, 1, TEST_DEVICE_DEAD);
    assert_int_equal(s.io->open(s.io, s.dir, "both", VARVE_IO_READ, &file), -EIO);
    assert_int_equal(s.io->stat_name(s.io, s.dir, "both", &stat), -EIO);
    assert_int_equal(s.io->unlink(s.io, s.dir, "both"), -EIO);
    assert_int_equal(s.io->rename(s.io, s.dir, "both", "x", 0), -EIO);
    assert_int_equal(s.io->dir_list(s.io, s.dir, see, NULL), -EIO);
    end(&s);
}

static void test_pair__goes_and_returns(void **state)
{
    (void)state;
    struct scene s;
    struct varve_file *file, *before;
    struct iovec iov = {(void *)(uintptr_t) "late", 4};
    begin(&s);
    put(&s, VV_HOME, "facts", "old");
    assert_int_equal(vv_pair_learn(s.pair), 0);
    assert_int_equal(s.io->open(s.io, s.dir, "facts", VARVE_IO_WRITE, &before), 0);
    vv_pair_go(s.pair, VV_AWAY);
    /* HOME is read, and not written. */
    assert_string_equal(get(&s, "facts"), "old");
    assert_int_equal(s.io->pwritev(s.io, before, &iov, 1, 0, 1), -ENODEV);
    assert_int_equal(s.io->sync(s.io, before), -ENODEV);
    s.io->close(s.io, before);
    assert_int_equal(s.io->unlink(s.io, s.dir, "facts"), -ENOENT);
    assert_int_equal(s.io->rename(s.io, s.dir, "facts", "x", 1), -ENODEV);
    /* What is made is made there, and covers what is here. */
    assert_int_equal(s.io->open(s.io, s.dir, "temp", VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    assert_int_equal(s.io->pwritev(s.io, file, &iov, 1, 0, 1), 4);
    s.io->close(s.io, file);
    assert_int_equal(s.io->rename(s.io, s.dir, "temp", "facts", 1), 0);
    assert_int_equal(s.io->dir_sync(s.io, s.dir), 0);
    assert_string_equal(get(&s, "facts"), "late");
    assert_int_equal(vv_pair_is_away(s.pair, "facts"), 1);

    test_device_set(&s.device, 0, TEST_DEVICE_FAILS);
    assert_int_equal(vv_pair_probe(s.pair, "probe"), -EIO);
    assert_int_equal(vv_pair_bring_home(s.pair, "facts.tmp", "facts", 64), -EIO);
    assert_string_equal(get(&s, "facts"), "late");
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    assert_int_equal(vv_pair_probe(s.pair, "probe"), 0);
    assert_int_equal(vv_pair_bring_home(s.pair, "facts.tmp", "facts", 64), 0);
    assert_int_equal(vv_pair_bring_home(s.pair, "none.tmp", "none", 64), 0);
    assert_int_equal(vv_pair_is_away(s.pair, "facts"), 0);
    vv_pair_go(s.pair, VV_HOME);
    assert_string_equal(get(&s, "facts"), "late");
    assert_string_equal(names(&s), "facts ");
    end(&s);
}

/* At whatever step the way home is cut off by a power cut, the file says what it said last. */
static void test_pair__home_at_each_moment(void **state)
{
    (void)state;
    for (uint64_t step = 0, steps = 1; step < steps; step++) {
        struct scene s, after;
        begin(&s);
        put(&s, VV_HOME, "facts", "old");
        put(&s, VV_AWAY, "facts", "new");
        assert_int_equal(s.io->dir_sync_parent(s.io, s.dir), 0);
        struct varve_io *below = &s.device.pass.io;
        assert_int_equal(below->dir_sync_parent(below, vv_pair_side_dir(s.pair, VV_AWAY)), 0);
        assert_int_equal(vv_pair_learn(s.pair), 0);
        vv_pair_go(s.pair, VV_AWAY);
        uint64_t began = atomic_load(&s.device.at[0].changes) + atomic_load(&s.device.at[1].changes);
        atomic_store(&s.device.stop_after, began + step + 1);
        int rc = vv_pair_bring_home(s.pair, "facts.tmp", "facts", 64);
        steps = rc == 0 ? step : step + 2;
        atomic_store(&s.device.stop_after, 0);

        memset(&after, 0, sizeof after);
        test_memory_crash(&s.memory, TEST_CRASH_NOTHING, NULL, &after.memory);
        test_device_init(&after.device, &after.memory.io);
        struct varve_io *io = &after.device.pass.io;
        struct varve_dir *home, *away;
        assert_int_equal(io->dir_open(io, NULL, "home", 0, &home, NULL), 0);
        assert_int_equal(io->dir_open(io, NULL, "/away", 0, &away, NULL), 0);
        assert_int_equal(vv_pair_open(io, home, away, hides, &after.pair), 0);
        after.io = vv_pair_io(after.pair);
        after.dir = vv_pair_dir(after.pair);
        assert_string_equal(get(&after, "facts"), "new");
        end(&after);
        end(&s);
    }
}

static void test_pair__locks_both(void **state)
{
    (void)state;
    struct scene s;
    struct varve_file *one, *two;
    begin(&s);
    assert_int_equal(s.io->open(s.io, s.dir, "LOCK", VARVE_IO_WRITE | VARVE_IO_CREATE, &one), 0);
    assert_int_equal(s.io->lock(s.io, one, 1), 0);
    for (int side = VV_HOME; side <= VV_AWAY; side++) {
        struct varve_io *below = vv_pair_below(s.pair);
        struct varve_dir *dir = vv_pair_side_dir(s.pair, (enum vv_half)side);
        assert_int_equal(below->open(below, dir, "LOCK", VARVE_IO_WRITE, &two), 0);
        assert_int_equal(below->lock(below, two, 1), -EAGAIN);
        below->close(below, two);
    }
    s.io->close(s.io, one);
    /* AWAY's is somebody else's: then HOME's is not kept either. */
    struct varve_io *below = vv_pair_below(s.pair);
    assert_int_equal(below->open(below, vv_pair_side_dir(s.pair, VV_AWAY), "LOCK", VARVE_IO_WRITE, &two), 0);
    assert_int_equal(below->lock(below, two, 1), 0);
    assert_int_equal(s.io->open(s.io, s.dir, "LOCK", VARVE_IO_WRITE, &one), 0);
    assert_int_equal(s.io->lock(s.io, one, 1), -EAGAIN);
    s.io->close(s.io, one);
    below->close(below, two);
    assert_int_equal(s.io->open(s.io, s.dir, "LOCK", VARVE_IO_WRITE, &one), 0);
    assert_int_equal(s.io->lock(s.io, one, 1), 0);
    s.io->close(s.io, one);
    end(&s);
}

/* Directories below are HOME's, and nothing of the pair's business. */
static void test_pair__below(void **state)
{
    (void)state;
    struct scene s;
    struct varve_dir *sub;
    struct varve_file *file;
    struct varve_io_stat stat;
    char text[64] = "";
    int created = 0;
    begin(&s);
    assert_int_equal(s.io->dir_open(s.io, s.dir, "sub", 1, &sub, &created), 0);
    assert_int_equal(created, 1);
    vv_pair_go(s.pair, VV_AWAY);
    assert_int_equal(s.io->open(s.io, sub, "a", VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    assert_int_equal(s.io->truncate(s.io, file, 10), 0);
    assert_int_equal(s.io->allocate(s.io, file, 20), 0);
    s.io->close(s.io, file);
    assert_int_equal(s.io->rename(s.io, sub, "a", "b", 0), 0);
    assert_int_equal(s.io->stat_name(s.io, sub, "b", &stat), 0);
    assert_int_equal(stat.size_bytes, 20);
    assert_int_equal(s.io->dir_list(s.io, sub, see, text), 0);
    assert_string_equal(text, "b ");
    assert_int_equal(s.io->unlink(s.io, sub, "b"), 0);
    assert_int_equal(s.io->dir_sync(s.io, sub), 0);
    assert_int_equal(s.io->dir_sync_parent(s.io, sub), 0);
    s.io->dir_close(s.io, sub);
    end(&s);
}

static void test_pair__absolute(void **state)
{
    (void)state;
    char out[4096], small[8], here[4096];
    assert_int_equal(vv_pair_absolute("/x/y", out, sizeof out), 0);
    assert_string_equal(out, "/x/y");
    assert_int_equal(vv_pair_absolute("/x/y/too/long", small, sizeof small), -ENAMETOOLONG);
    assert_int_equal(vv_pair_absolute("a", small, sizeof small), -ENAMETOOLONG);
    assert_non_null(realpath(".", here));
    strncat(here, "/a/b", 5);
    assert_int_equal(vv_pair_absolute("a/b", out, sizeof out), 0);
    assert_string_equal(out, here);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pair__away_over_home),   cmocka_unit_test(test_pair__names_are_learnt),
        cmocka_unit_test(test_pair__away_is_dead),     cmocka_unit_test(test_pair__unknown_is_an_error),
        cmocka_unit_test(test_pair__goes_and_returns), cmocka_unit_test(test_pair__home_at_each_moment),
        cmocka_unit_test(test_pair__locks_both),       cmocka_unit_test(test_pair__below),
        cmocka_unit_test(test_pair__absolute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
