/* SPDX-License-Identifier: Apache-2.0 */
#include "io/system.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/child.h"
#include "lib/tmp.h"

struct place {
    struct varve_io *io;
    struct varve_dir *dir;
    char *path;
};

static int setup(void **state)
{
    static struct place place;
    place.io = varve_io_system();
    place.path = test_tmp_new();
    *state = &place;
    test_bytes_write(place.path, "from", "new", 3);
    return place.io->dir_open(place.io, NULL, place.path, 0, &place.dir, NULL);
}

static int teardown(void **state)
{
    struct place *place = *state;
    place->io->dir_close(place->io, place->dir);
    test_tmp_free(place->path);
    return 0;
}

/* A rename that must not replace, in whatever way it is done. */
static int check_rename_new(const struct place *place)
{
    struct varve_io_stat st;
    TEST_CHILD_CHECK(place->io->rename(place->io, place->dir, "from", "to", 0) == 0);
    TEST_CHILD_CHECK(place->io->stat_name(place->io, place->dir, "from", &st) == -ENOENT);
    TEST_CHILD_CHECK(place->io->stat_name(place->io, place->dir, "to", &st) == 0 && st.size_bytes == 3);
    test_bytes_write(place->path, "other", "old", 3);
    TEST_CHILD_CHECK(place->io->rename(place->io, place->dir, "to", "other", 0) == -EEXIST);
    TEST_CHILD_CHECK(place->io->stat_name(place->io, place->dir, "to", &st) == 0);
    char *content = test_bytes_read(place->path, "other", NULL);
    int kept = strcmp(content, "old") == 0;
    free(content);
    TEST_CHILD_CHECK(kept);
    TEST_CHILD_CHECK(place->io->rename(place->io, place->dir, "missing", "x", 0) == -ENOENT);
    TEST_CHILD_CHECK(symlinkat("nowhere", place->dir->fd, "dangling") == 0);
    TEST_CHILD_CHECK(place->io->rename(place->io, place->dir, "to", "dangling", 0) == -EEXIST);
    TEST_CHILD_CHECK(place->io->rename(place->io, place->dir, "to", "other", 1) == 0);
    return 0;
}

static int rename_plain(void *arg)
{
    return check_rename_new(arg);
}

static int rename_without_the_flag(void *arg)
{
    return test_child_deny(SYS_renameat2, EINVAL) ? check_rename_new(arg) : TEST_CHILD_SKIPPED;
}

static int rename_without_links(void *arg)
{
    if (!test_child_deny(SYS_renameat2, EINVAL) || !test_child_deny(SYS_linkat, EPERM)) {
        return TEST_CHILD_SKIPPED;
    }
    return check_rename_new(arg);
}

static int rename_fails(void *arg)
{
    const struct place *place = arg;
    struct varve_io_stat st;
    if (!test_child_deny(SYS_renameat2, EIO)) {
        return TEST_CHILD_SKIPPED;
    }
    TEST_CHILD_CHECK(place->io->rename(place->io, place->dir, "from", "to", 0) == -EIO);
    TEST_CHILD_CHECK(place->io->stat_name(place->io, place->dir, "from", &st) == 0);
    TEST_CHILD_CHECK(place->io->stat_name(place->io, place->dir, "to", &st) == -ENOENT);
    return 0;
}

static void run_in_child(int (*fn)(void *arg), void *place)
{
    int rc = test_child_run(fn, place);
    if (rc == TEST_CHILD_SKIPPED) {
        skip();
    }
    assert_int_equal(rc, 0);
}

static void test_system_name__rename_replaces_nothing(void **state)
{
    run_in_child(rename_plain, *state);
}

static void test_system_name__rename_by_a_second_name(void **state)
{
    run_in_child(rename_without_the_flag, *state);
}

static void test_system_name__rename_after_looking(void **state)
{
    run_in_child(rename_without_links, *state);
}

static void test_system_name__rename_error_is_no_fallback(void **state)
{
    run_in_child(rename_fails, *state);
}

static void test_system_name__kinds(void **state)
{
    const struct place *place = *state;
    struct varve_io_stat st;
    assert_int_equal(symlinkat("from", place->dir->fd, "link"), 0);
    assert_int_equal(mkfifoat(place->dir->fd, "fifo", 0600), 0);
    assert_int_equal(mkdirat(place->dir->fd, "dir", 0700), 0);
    assert_int_equal(place->io->stat_name(place->io, place->dir, "from", &st), 0);
    assert_int_equal(st.kind, VARVE_IO_KIND_FILE);
    assert_int_equal(place->io->stat_name(place->io, place->dir, "link", &st), 0);
    assert_int_equal(st.kind, VARVE_IO_KIND_OTHER);
    assert_int_equal(place->io->stat_name(place->io, place->dir, "fifo", &st), 0);
    assert_int_equal(st.kind, VARVE_IO_KIND_OTHER);
    assert_int_equal(place->io->stat_name(place->io, place->dir, "dir", &st), 0);
    assert_int_equal(st.kind, VARVE_IO_KIND_DIR);
    assert_int_equal(st.direct_align, 0);
}

static void test_system_name__unlink_takes_the_link(void **state)
{
    const struct place *place = *state;
    struct varve_io_stat st;
    assert_int_equal(symlinkat("from", place->dir->fd, "link"), 0);
    assert_int_equal(place->io->unlink(place->io, place->dir, "link"), 0);
    assert_int_equal(place->io->stat_name(place->io, place->dir, "link", &st), -ENOENT);
    assert_int_equal(place->io->stat_name(place->io, place->dir, "from", &st), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_system_name__rename_replaces_nothing),
        CASE(test_system_name__rename_by_a_second_name),
        CASE(test_system_name__rename_after_looking),
        CASE(test_system_name__rename_error_is_no_fallback),
        CASE(test_system_name__kinds),
        CASE(test_system_name__unlink_takes_the_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
