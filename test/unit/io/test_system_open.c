/* SPDX-License-Identifier: Apache-2.0 */
#include "io/system.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
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
    /* Whatever hangs here is ended. */
    alarm(30);
    return place.io->dir_open(place.io, NULL, place.path, 0, &place.dir, NULL);
}

static int teardown(void **state)
{
    struct place *place = *state;
    place->io->dir_close(place->io, place->dir);
    test_tmp_free(place->path);
    alarm(0);
    return 0;
}

/* Opens and closes; gives the error. */
static int try_open(const struct place *place, const char *name, unsigned flags)
{
    struct varve_file *file = NULL;
    int rc = place->io->open(place->io, place->dir, name, flags, &file);
    assert_true((rc == 0) == (file != NULL));
    place->io->close(place->io, file);
    return rc;
}

/* Every way to open something that is not a regular file must end with `expected`. */
static void expect_refused(const struct place *place, const char *name, int expected)
{
    assert_int_equal(try_open(place, name, VARVE_IO_READ), expected);
    assert_int_equal(try_open(place, name, VARVE_IO_WRITE), expected);
    assert_int_equal(try_open(place, name, VARVE_IO_READ | VARVE_IO_DIRECT), expected);
    assert_int_equal(try_open(place, name, VARVE_IO_WRITE | VARVE_IO_CREATE), -EEXIST);
    assert_int_equal(try_open(place, name, VARVE_IO_WRITE | VARVE_IO_CREATE | VARVE_IO_DIRECT), -EEXIST);
}

static void test_system_open__fifo_is_refused_at_once(void **state)
{
    const struct place *place = *state;
    assert_int_equal(mkfifoat(place->dir->fd, "fifo", 0600), 0);
    expect_refused(place, "fifo", -EMEDIUMTYPE);
}

static void test_system_open__link_is_refused(void **state)
{
    const struct place *place = *state;
    test_bytes_write(place->path, "target", "x", 1);
    assert_int_equal(symlinkat("target", place->dir->fd, "link"), 0);
    expect_refused(place, "link", -ELOOP);
    assert_int_equal(symlinkat("nowhere", place->dir->fd, "dangling"), 0);
    expect_refused(place, "dangling", -ELOOP);
    assert_int_equal(faccessat(place->dir->fd, "nowhere", F_OK, 0), -1);
}

static void test_system_open__socket_and_device_are_refused(void **state)
{
    const struct place *place = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    char *before = getcwd(NULL, 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(chdir(place->path), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(chdir(before), 0);
    free(before);
    close(fd);
    expect_refused(place, "socket", -EMEDIUMTYPE);
    if (mknodat(place->dir->fd, "device", S_IFCHR | 0600, makedev(1, 3)) == 0) {
        expect_refused(place, "device", -EMEDIUMTYPE);
    }
}

/* What was looked at may be something else when it is opened: the second look must find out. */
static void *exchange_all_the_time(void *arg)
{
    const struct place *place = arg;
    while (renameat2(place->dir->fd, "a", place->dir->fd, "b", RENAME_EXCHANGE) == 0) {
    }
    return NULL;
}

static void test_system_open__exchanged_between_two_looks(void **state)
{
    struct place *place = *state;
    pthread_t thread;
    unsigned opened = 0;
    unsigned refused = 0;
    test_bytes_write(place->path, "a", "x", 1);
    assert_int_equal(mkfifoat(place->dir->fd, "b", 0600), 0);
    assert_int_equal(pthread_create(&thread, NULL, exchange_all_the_time, place), 0);
    for (int i = 0; i < 100000 && (i < 20000 || opened == 0 || refused == 0); i++) {
        struct varve_file *file;
        struct stat st;
        /* To read a FIFO without O_NONBLOCK would hang. */
        unsigned flags = i % 2 == 0 ? VARVE_IO_WRITE : VARVE_IO_READ;
        int rc = place->io->open(place->io, place->dir, "a", flags, &file);
        if (rc == 0) {
            assert_int_equal(fstat(file->fd, &st), 0);
            assert_true(S_ISREG(st.st_mode));
            place->io->close(place->io, file);
            opened++;
        } else {
            assert_int_equal(rc, -EMEDIUMTYPE);
            refused++;
        }
    }
    assert_true(opened > 0 && refused > 0);
    assert_int_equal(unlinkat(place->dir->fd, "b", 0), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_system_open__mode_whatever_the_umask(void **state)
{
    const struct place *place = *state;
    static const mode_t masks[] = {0, 022, 077, 0777};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        char name[] = {'f', (char)('0' + i), '\0'};
        struct stat st;
        mode_t before = umask(masks[i]);
        int rc = try_open(place, name, VARVE_IO_WRITE | VARVE_IO_CREATE);
        umask(before);
        assert_int_equal(rc, 0);
        assert_int_equal(fstatat(place->dir->fd, name, &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
}

static void test_system_open__existing_keeps_its_mode(void **state)
{
    const struct place *place = *state;
    struct stat st;
    test_bytes_write(place->path, "a", "x", 1);
    assert_int_equal(fchmodat(place->dir->fd, "a", 0640, 0), 0);
    assert_int_equal(try_open(place, "a", VARVE_IO_WRITE), 0);
    assert_int_equal(fstatat(place->dir->fd, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_size, 1);
}

static void test_system_open__descriptor_flags(void **state)
{
    const struct place *place = *state;
    struct varve_file *file;
    assert_int_equal(place->io->open(place->io, place->dir, "a", VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    assert_true((fcntl(file->fd, F_GETFD) & FD_CLOEXEC) != 0);
    int status = fcntl(file->fd, F_GETFL);
    assert_int_equal(status & O_ACCMODE, O_RDWR);
    assert_int_equal(status & (O_NONBLOCK | O_DIRECT | O_APPEND), 0);
    place->io->close(place->io, file);
    if (place->io->open(place->io, place->dir, "a", VARVE_IO_DIRECT, &file) == 0) {
        status = fcntl(file->fd, F_GETFL);
        assert_int_equal(status & O_ACCMODE, O_RDONLY);
        assert_int_equal(status & (O_NONBLOCK | O_DIRECT), O_DIRECT);
        place->io->close(place->io, file);
    }
}

static void test_system_open__no_memory(void **state)
{
    const struct place *place = *state;
    vv_alloc_fail_after(0);
    assert_int_equal(try_open(place, "a", VARVE_IO_WRITE | VARVE_IO_CREATE), -ENOMEM);
    assert_true(vv_alloc_fail_left() < 0);
    assert_int_equal(test_bytes_count(place->path, ""), 0);
}

static int open_where_direct_is_refused(void *arg)
{
    const struct place *place = arg;
    /* Setting O_DIRECT is what fcntl is last used for. */
    if (!test_child_deny(SYS_fcntl, EINVAL)) {
        return TEST_CHILD_SKIPPED;
    }
    struct varve_file *file = NULL;
    const unsigned flags = VARVE_IO_WRITE | VARVE_IO_CREATE | VARVE_IO_DIRECT;
    TEST_CHILD_CHECK(place->io->open(place->io, place->dir, "a", flags, &file) == -EINVAL);
    TEST_CHILD_CHECK(file == NULL);
    TEST_CHILD_CHECK(faccessat(place->dir->fd, "a", F_OK, 0) != 0);
    return 0;
}

static void test_system_open__half_made_is_removed(void **state)
{
    int rc = test_child_run(open_where_direct_is_refused, *state);
    if (rc == TEST_CHILD_SKIPPED) {
        skip();
    }
    assert_int_equal(rc, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_system_open__fifo_is_refused_at_once),
        CASE(test_system_open__link_is_refused),
        CASE(test_system_open__socket_and_device_are_refused),
        CASE(test_system_open__exchanged_between_two_looks),
        CASE(test_system_open__mode_whatever_the_umask),
        CASE(test_system_open__existing_keeps_its_mode),
        CASE(test_system_open__descriptor_flags),
        CASE(test_system_open__no_memory),
        CASE(test_system_open__half_made_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
