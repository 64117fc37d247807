/* SPDX-License-Identifier: Apache-2.0 */
#include "io/system.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bytes.h"
#include "lib/child.h"
#include "lib/tmp.h"

static int setup(void **state)
{
    *state = test_tmp_new();
    return 0;
}

static int teardown(void **state)
{
    test_tmp_free(*state);
    return 0;
}

static int open_path(const char *path, int create, int *ret_created)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir = NULL;
    int rc = io->dir_open(io, NULL, path, create, &dir, ret_created);
    assert_true((rc == 0) == (dir != NULL));
    io->dir_close(io, dir);
    return rc;
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777U;
}

static void test_system_dir__mode_whatever_the_umask(void **state)
{
    static const mode_t masks[] = {0, 022, 077, 0777};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        char name[] = {'d', (char)('0' + i), '\0'};
        char *path = test_tmp_join(*state, name);
        int created = -1;
        mode_t before = umask(masks[i]);
        int rc = open_path(path, 1, &created);
        umask(before);
        assert_int_equal(rc, 0);
        assert_int_equal(created, 1);
        assert_int_equal(mode_of(path), 0700);
        free(path);
    }
}

/* Whoever made it chose its mode. */
static void test_system_dir__existing_keeps_its_mode(void **state)
{
    char *path = test_tmp_join(*state, "d");
    int created = -1;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, 0750), 0);
    assert_int_equal(open_path(path, 1, &created), 0);
    assert_int_equal(created, 0);
    assert_int_equal(mode_of(path), 0750);
    free(path);
}

static void test_system_dir__link_is_refused(void **state)
{
    char *target = test_tmp_join(*state, "target");
    char *path = test_tmp_join(*state, "link");
    char *slashes = test_tmp_join(*state, "link//");
    char *dangling = test_tmp_join(*state, "dangling");
    assert_int_equal(mkdir(target, 0700), 0);
    assert_int_equal(symlink("target", path), 0);
    assert_int_equal(symlink("nowhere", dangling), 0);
    assert_int_equal(open_path(path, 0, NULL), -ELOOP);
    assert_int_equal(open_path(path, 1, NULL), -ELOOP);
    assert_int_equal(open_path(slashes, 0, NULL), -ELOOP);
    assert_int_equal(open_path(slashes, 1, NULL), -ELOOP);
    assert_int_equal(open_path(dangling, 1, NULL), -ELOOP);
    free(target);
    free(path);
    free(slashes);
    free(dangling);
}

static void test_system_dir__other_kinds_are_refused(void **state)
{
    char *file = test_tmp_join(*state, "file");
    char *fifo = test_tmp_join(*state, "fifo");
    char *below = test_tmp_join(*state, "file/dir");
    char *missing = test_tmp_join(*state, "missing/dir");
    test_bytes_write(*state, "file", "x", 1);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(open_path(file, 1, NULL), -ENOTDIR);
    assert_int_equal(open_path(fifo, 1, NULL), -ENOTDIR);
    assert_int_equal(open_path(below, 1, NULL), -ENOTDIR);
    assert_int_equal(open_path(missing, 1, NULL), -ENOENT);
    assert_int_equal(open_path("", 1, NULL), -ENOENT);
    assert_int_equal(open_path(NULL, 1, NULL), -EINVAL);
    free(file);
    free(fifo);
    free(below);
    free(missing);
}

static void test_system_dir__long_paths(void **state)
{
    (void)state;
    char path[PATH_MAX + 10];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(open_path(path, 1, NULL), -ENAMETOOLONG);
    path[NAME_MAX + 1] = '\0';
    assert_int_equal(open_path(path, 1, NULL), -ENAMETOOLONG);
}

static void test_system_dir__relative_path_and_root(void **state)
{
    char *before = getcwd(NULL, 0);
    int created = -1;
    assert_int_equal(chdir(*state), 0);
    assert_int_equal(open_path("log/", 1, &created), 0);
    assert_int_equal(created, 1);
    assert_int_equal(open_path("./log", 1, &created), 0);
    assert_int_equal(created, 0);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(open_path("/", 0, NULL), 0);
    assert_int_equal(open_path("///", 0, NULL), 0);
    free(before);
}

static void test_system_dir__no_memory(void **state)
{
    char *path = test_tmp_join(*state, "d");
    vv_alloc_fail_after(0);
    assert_int_equal(open_path(path, 1, NULL), -ENOMEM);
    assert_true(vv_alloc_fail_left() < 0);
    /* Nothing was made. */
    assert_int_equal(access(path, F_OK), -1);
    free(path);
}

/* The descriptor stays with the directory, wherever that goes. */
static void test_system_dir__moved_while_open(void **state)
{
    struct varve_io *io = varve_io_system();
    char *path = test_tmp_join(*state, "old");
    char *moved = test_tmp_join(*state, "new");
    struct varve_dir *dir;
    struct varve_file *file;
    assert_int_equal(io->dir_open(io, NULL, path, 1, &dir, NULL), 0);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(io->open(io, dir, "a", VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    assert_int_equal(test_bytes_count(moved, "a"), 1);
    assert_int_equal(test_bytes_count(path, ""), 0);
    assert_int_equal(io->dir_sync_parent(io, dir), 0);
    io->close(io, file);
    io->dir_close(io, dir);
    free(path);
    free(moved);
}

/* To root no directory is closed, so the umask that takes the owner's rights away needs somebody else. */
static int create_under_umask(void *arg)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;
    struct stat st;
    if (chdir(arg) != 0 || setgid(65534) != 0 || setuid(65534) != 0 || chdir("d") != 0) {
        return TEST_CHILD_SKIPPED;
    }
    umask(0777);
    TEST_CHILD_CHECK(io->dir_open(io, NULL, "new", 1, &dir, NULL) == 0);
    TEST_CHILD_CHECK(fstat(dir->fd, &st) == 0 && (st.st_mode & 07777) == 0700);
    io->dir_close(io, dir);
    return 0;
}

static void test_system_dir__umask_of_an_ordinary_user(void **state)
{
    if (geteuid() != 0) {
        skip();
    }
    char *path = test_tmp_join(*state, "d");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(chmod(*state, 0711), 0);
    int rc = test_child_run(create_under_umask, *state);
    free(path);
    if (rc == TEST_CHILD_SKIPPED) {
        skip();
    }
    assert_int_equal(rc, 0);
}

static int sync_below_unreadable_parent(void *arg)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;
    /* As root nothing is unreadable. */
    if (chdir(arg) != 0 || setgid(65534) != 0 || setuid(65534) != 0) {
        return TEST_CHILD_SKIPPED;
    }
    TEST_CHILD_CHECK(open("..", O_RDONLY | O_DIRECTORY) == -1 || open(".", O_RDONLY | O_DIRECTORY) == -1);
    TEST_CHILD_CHECK(io->dir_open(io, NULL, "d", 0, &dir, NULL) == 0);
    TEST_CHILD_CHECK(io->dir_sync_parent(io, dir) == 0);
    io->dir_close(io, dir);
    return 0;
}

static void test_system_dir__parent_that_cannot_be_read(void **state)
{
    if (geteuid() != 0) {
        skip();
    }
    char *path = test_tmp_join(*state, "d");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(chmod(*state, 0711), 0);
    int rc = test_child_run(sync_below_unreadable_parent, *state);
    assert_int_equal(chmod(*state, 0700), 0);
    free(path);
    if (rc == TEST_CHILD_SKIPPED) {
        skip();
    }
    assert_int_equal(rc, 0);
}

static int sync_names_fails(void *arg)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;
    TEST_CHILD_CHECK(io->dir_open(io, NULL, arg, 0, &dir, NULL) == 0);
    if (!test_child_deny(SYS_fsync, EIO)) {
        return TEST_CHILD_SKIPPED;
    }
    TEST_CHILD_CHECK(io->dir_sync(io, dir) == -EIO);
    TEST_CHILD_CHECK(io->dir_sync_parent(io, dir) == -EIO);
    io->dir_close(io, dir);
    return 0;
}

static void test_system_dir__failed_sync_is_told(void **state)
{
    int rc = test_child_run(sync_names_fails, *state);
    if (rc == TEST_CHILD_SKIPPED) {
        skip();
    }
    assert_int_equal(rc, 0);
}

/* What fails behind mkdir takes the directory away again. */
static int create_fails_half_way(void *arg)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir = NULL;
    if (chdir(arg) != 0 || !test_child_deny(SYS_fchmod, EIO)) {
        return TEST_CHILD_SKIPPED;
    }
    TEST_CHILD_CHECK(io->dir_open(io, NULL, "d", 1, &dir, NULL) == -EIO);
    TEST_CHILD_CHECK(dir == NULL);
    TEST_CHILD_CHECK(access("d", F_OK) != 0);
    return 0;
}

static void test_system_dir__half_made_is_removed(void **state)
{
    int rc = test_child_run(create_fails_half_way, *state);
    if (rc == TEST_CHILD_SKIPPED) {
        skip();
    }
    assert_int_equal(rc, 0);
}

static int forget_name(void *arg, const char *name)
{
    (void)name;
    ++*(unsigned *)arg;
    return 0;
}

static void test_system_dir__lists_many(void **state)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;
    unsigned count = 0;
    for (int i = 0; i < 1000; i++) {
        char name[] = {(char)('a' + i / 100), (char)('0' + i / 10 % 10), (char)('0' + i % 10), '\0'};
        test_bytes_write(*state, name, "", 0);
    }
    assert_int_equal(io->dir_open(io, NULL, *state, 0, &dir, NULL), 0);
    assert_int_equal(io->dir_list(io, dir, forget_name, &count), 0);
    assert_int_equal(count, 1000);
    io->dir_close(io, dir);
}

static void test_system_dir__space(void **state)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;
    struct statvfs fs;
    uint64_t bytes = 0;
    assert_int_equal(io->dir_open(io, NULL, *state, 0, &dir, NULL), 0);
    assert_int_equal(io->space(io, dir, &bytes), 0);
    assert_int_equal(statvfs(*state, &fs), 0);
    /* Others write to the disk meanwhile. */
    uint64_t expected = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t apart = bytes > expected ? bytes - expected : expected - bytes;
    assert_true(apart < (uint64_t)fs.f_blocks * fs.f_frsize / 10);
    io->dir_close(io, dir);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_system_dir__mode_whatever_the_umask),
        CASE(test_system_dir__existing_keeps_its_mode),
        CASE(test_system_dir__link_is_refused),
        CASE(test_system_dir__other_kinds_are_refused),
        CASE(test_system_dir__long_paths),
        CASE(test_system_dir__relative_path_and_root),
        CASE(test_system_dir__no_memory),
        CASE(test_system_dir__moved_while_open),
        CASE(test_system_dir__umask_of_an_ordinary_user),
        CASE(test_system_dir__parent_that_cannot_be_read),
        CASE(test_system_dir__failed_sync_is_told),
        CASE(test_system_dir__half_made_is_removed),
        CASE(test_system_dir__lists_many),
        CASE(test_system_dir__space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
