/* SPDX-License-Identifier: Apache-2.0 */
#include "io/system.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bytes.h"
#include "lib/child.h"
#include "lib/tmp.h"

struct place {
    struct varve_io *io;
    struct varve_dir *dir;
    struct varve_file *file;
    char *path;
};

static int setup(void **state)
{
    static struct place place;
    place.io = varve_io_system();
    place.path = test_tmp_new();
    *state = &place;
    int rc = place.io->dir_open(place.io, NULL, place.path, 0, &place.dir, NULL);
    const unsigned flags = VARVE_IO_WRITE | VARVE_IO_CREATE;
    return rc != 0 ? rc : place.io->open(place.io, place.dir, "a", flags, &place.file);
}

static int teardown(void **state)
{
    struct place *place = *state;
    place->io->close(place->io, place->file);
    place->io->dir_close(place->io, place->dir);
    test_tmp_free(place->path);
    return 0;
}

/* Runs `fn` in a child with the place; skips where the kernel lets nothing be denied. */
static void run_in_child(int (*fn)(void *arg), void *place)
{
    int rc = test_child_run(fn, place);
    if (rc == TEST_CHILD_SKIPPED) {
        skip();
    }
    assert_int_equal(rc, 0);
}

static void test_system_file__commit_path_allocates_nothing(void **state)
{
    const struct place *place = *state;
    struct iovec iov[2] = {{"ab", 2}, {"cd", 2}};
    char buf[4];
    vv_alloc_fail_after(0);
    assert_int_equal(place->io->pwritev(place->io, place->file, iov, 2, 0, 0), 4);
    assert_int_equal(place->io->pwritev(place->io, place->file, iov, 2, 4, 1), 4);
    assert_int_equal(place->io->sync(place->io, place->file), 0);
    assert_int_equal(place->io->pread(place->io, place->file, buf, 4, 4), 4);
    assert_int_equal(vv_alloc_fail_left(), 0);
    vv_alloc_fail_after(-1);
}

static void test_system_file__too_many_pieces(void **state)
{
    const struct place *place = *state;
    static struct iovec iov[IOV_MAX + 1];
    for (size_t i = 0; i <= IOV_MAX; i++) {
        iov[i] = (struct iovec){"x", 1};
    }
    assert_int_equal(place->io->pwritev(place->io, place->file, iov, IOV_MAX, 0, 1), IOV_MAX);
    assert_int_equal(place->io->pwritev(place->io, place->file, iov, IOV_MAX + 1, 0, 1), -EINVAL);
}

static void test_system_file__allocated_blocks_are_owned(void **state)
{
    const struct place *place = *state;
    struct stat st;
    assert_int_equal(place->io->allocate(place->io, place->file, 1 << 20), 0);
    assert_int_equal(fstat(place->file->fd, &st), 0);
    assert_true(st.st_blocks * 512 >= 1 << 20);
}

static int write_without_rwf_dsync(void *arg)
{
    const struct place *place = arg;
    struct iovec iov = {"durable", 7};
    char buf[7];
    if (!test_child_deny(SYS_pwritev2, EOPNOTSUPP)) {
        return TEST_CHILD_SKIPPED;
    }
    TEST_CHILD_CHECK(!atomic_load(&place->file->without_dsync));
    TEST_CHILD_CHECK(place->io->pwritev(place->io, place->file, &iov, 1, 3, 1) == 7);
    TEST_CHILD_CHECK(atomic_load(&place->file->without_dsync));
    TEST_CHILD_CHECK(place->io->pread(place->io, place->file, buf, 7, 3) == 7);
    TEST_CHILD_CHECK(memcmp(buf, "durable", 7) == 0);
    /* From here on it is fdatasync that makes it durable, and its failure is the write's. */
    TEST_CHILD_CHECK(test_child_deny(SYS_fdatasync, EIO));
    TEST_CHILD_CHECK(place->io->pwritev(place->io, place->file, &iov, 1, 3, 1) == -EIO);
    TEST_CHILD_CHECK(place->io->pwritev(place->io, place->file, &iov, 1, 3, 0) == 7);
    TEST_CHILD_CHECK(place->io->sync(place->io, place->file) == -EIO);
    return 0;
}

static void test_system_file__falls_back_to_fdatasync(void **state)
{
    run_in_child(write_without_rwf_dsync, *state);
}

static int write_fails(void *arg)
{
    const struct place *place = arg;
    struct iovec iov = {"x", 1};
    if (!test_child_deny(SYS_pwritev2, EIO)) {
        return TEST_CHILD_SKIPPED;
    }
    /* An error of the disk is no reason to try another way. */
    TEST_CHILD_CHECK(place->io->pwritev(place->io, place->file, &iov, 1, 0, 1) == -EIO);
    TEST_CHILD_CHECK(!atomic_load(&place->file->without_dsync));
    return 0;
}

static void test_system_file__error_is_no_fallback(void **state)
{
    run_in_child(write_fails, *state);
}

static int allocate_without_fallocate(void *arg)
{
    const struct place *place = arg;
    struct stat st;
    char buf[100];
    if (!test_child_deny(SYS_fallocate, EOPNOTSUPP)) {
        return TEST_CHILD_SKIPPED;
    }
    TEST_CHILD_CHECK(place->io->pwritev(place->io, place->file, &(struct iovec){"old", 3}, 1, 5, 0) == 3);
    TEST_CHILD_CHECK(place->io->allocate(place->io, place->file, 200001) == 0);
    TEST_CHILD_CHECK(fstat(place->file->fd, &st) == 0 && st.st_size == 200001);
    TEST_CHILD_CHECK(st.st_blocks * 512 >= 200001 || fdatasync(place->file->fd) == 0);
    TEST_CHILD_CHECK(place->io->pread(place->io, place->file, buf, sizeof buf, 0) == sizeof buf);
    for (size_t i = 0; i < sizeof buf; i++) {
        TEST_CHILD_CHECK(buf[i] == 0);
    }
    vv_alloc_fail_after(0);
    TEST_CHILD_CHECK(place->io->allocate(place->io, place->file, 200001) == -ENOMEM);
    return 0;
}

static void test_system_file__zeros_without_fallocate(void **state)
{
    run_in_child(allocate_without_fallocate, *state);
}

static int allocate_on_full_disk(void *arg)
{
    const struct place *place = arg;
    if (!test_child_deny(SYS_fallocate, ENOSPC)) {
        return TEST_CHILD_SKIPPED;
    }
    TEST_CHILD_CHECK(place->io->allocate(place->io, place->file, 200001) == -ENOSPC);
    return 0;
}

static void test_system_file__full_disk_is_no_fallback(void **state)
{
    run_in_child(allocate_on_full_disk, *state);
}

static int lock_from_another_process(void *arg)
{
    const struct place *place = arg;
    struct varve_file *file;
    TEST_CHILD_CHECK(place->io->open(place->io, place->dir, "a", VARVE_IO_WRITE, &file) == 0);
    TEST_CHILD_CHECK(place->io->lock(place->io, file, 0) == -EAGAIN);
    TEST_CHILD_CHECK(place->io->lock(place->io, file, 1) == -EAGAIN);
    place->io->close(place->io, file);
    return 0;
}

static int lock_and_die(void *arg)
{
    const struct place *place = arg;
    struct varve_file *file;
    TEST_CHILD_CHECK(place->io->open(place->io, place->dir, "a", VARVE_IO_WRITE, &file) == 0);
    TEST_CHILD_CHECK(place->io->lock(place->io, file, 1) == 0);
    (void)raise(SIGKILL);
    return 0;
}

static void test_system_file__lock_dies_with_its_process(void **state)
{
    struct place *place = *state;
    assert_int_equal(test_child_run(lock_and_die, place), -SIGKILL);
    assert_int_equal(place->io->lock(place->io, place->file, 1), 0);
    assert_int_equal(test_child_run(lock_from_another_process, place), 0);
    /* The child that inherited this descriptor closed its copy, and that lost nothing. */
    assert_int_equal(test_child_run(lock_from_another_process, place), 0);
}

/* A signal that comes all the time must not be seen from outside. */
static void count_signal(int number)
{
    (void)number;
}

static int work_under_signals(void *arg)
{
    const struct place *place = arg;
    struct sigaction action = {.sa_handler = count_signal};
    static char buf[1 << 16];
    TEST_CHILD_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    pid_t me = getpid();
    pid_t pest = fork();
    if (pest == 0) {
        while (kill(me, SIGUSR1) == 0) {
            usleep(100);
        }
        test_child_exit(0);
    }
    TEST_CHILD_CHECK(pest > 0);
    for (int i = 0; i < 100; i++) {
        struct iovec iov = {buf, sizeof buf};
        TEST_CHILD_CHECK(place->io->pwritev(place->io, place->file, &iov, 1, 0, 1) == (ssize_t)sizeof buf);
        TEST_CHILD_CHECK(place->io->sync(place->io, place->file) == 0);
        TEST_CHILD_CHECK(place->io->pread(place->io, place->file, buf, sizeof buf, 0) == (ssize_t)sizeof buf);
        TEST_CHILD_CHECK(place->io->allocate(place->io, place->file, 4 << 20) == 0);
        TEST_CHILD_CHECK(place->io->random(place->io, buf, sizeof buf) == 0);
    }
    TEST_CHILD_CHECK(kill(pest, SIGKILL) == 0);
    TEST_CHILD_CHECK(waitpid(pest, NULL, 0) == pest);
    return 0;
}

static void test_system_file__signals_are_not_seen(void **state)
{
    run_in_child(work_under_signals, *state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_system_file__commit_path_allocates_nothing),
        CASE(test_system_file__too_many_pieces),
        CASE(test_system_file__allocated_blocks_are_owned),
        CASE(test_system_file__falls_back_to_fdatasync),
        CASE(test_system_file__error_is_no_fallback),
        CASE(test_system_file__zeros_without_fallocate),
        CASE(test_system_file__full_disk_is_no_fallback),
        CASE(test_system_file__lock_dies_with_its_process),
        CASE(test_system_file__signals_are_not_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
