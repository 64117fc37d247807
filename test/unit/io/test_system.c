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
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/child.h"
#include "lib/contract.h"
#include "lib/tmp.h"

static void test_system__table_is_full(void **state)
{
    (void)state;
    struct varve_io *io = varve_io_system();
    void *const *functions = (void *const *)(const void *)&io->dir_open;
    size_t count = (sizeof *io - offsetof(struct varve_io, dir_open)) / sizeof *functions;
    assert_int_equal(io->size, sizeof *io);
    assert_int_equal(count, 22);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(functions[i]);
    }
    assert_ptr_equal(io, varve_io_system());
}

static void test_system__name_is_plain(void **state)
{
    (void)state;
    char name[NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    name[NAME_MAX + 1] = '\0';
    assert_false(vv_system_name_is_plain(name));
    name[NAME_MAX] = '\0';
    assert_true(vv_system_name_is_plain(name));
    assert_true(vv_system_name_is_plain("..."));
    assert_true(vv_system_name_is_plain(".hidden"));
    assert_false(vv_system_name_is_plain(NULL));
}

/* With the standard descriptors closed, nothing of ours takes their place. */
static int open_without_stdio(void *arg)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;
    struct varve_file *file;
    close(0);
    close(1);
    close(2);
    TEST_CHILD_CHECK(io->dir_open(io, NULL, arg, 0, &dir, NULL) == 0);
    TEST_CHILD_CHECK(io->open(io, dir, "file", VARVE_IO_WRITE | VARVE_IO_CREATE, &file) == 0);
    for (int fd = 0; fd <= 2; fd++) {
        TEST_CHILD_CHECK(fcntl(fd, F_GETFD) == -1);
    }
    TEST_CHILD_CHECK((fcntl(dir->fd, F_GETFD) & FD_CLOEXEC) != 0);
    TEST_CHILD_CHECK((fcntl(file->fd, F_GETFD) & FD_CLOEXEC) != 0);
    io->close(io, file);
    io->dir_close(io, dir);
    return 0;
}

static void test_system__keeps_off_stdio(void **state)
{
    (void)state;
    char *path = test_tmp_new();
    assert_int_equal(test_child_run(open_without_stdio, path), 0);
    test_tmp_free(path);
}

static int allocate_past_limit(void *arg)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;
    struct varve_file *file;
    struct varve_io_stat st;
    TEST_CHILD_CHECK(io->dir_open(io, NULL, arg, 0, &dir, NULL) == 0);
    TEST_CHILD_CHECK(io->open(io, dir, "file", VARVE_IO_WRITE | VARVE_IO_CREATE, &file) == 0);
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){65536, 65536}) == 0);
    /* SIGXFSZ would end this process, and the parent would see it. */
    TEST_CHILD_CHECK(io->allocate(io, file, 65537) == -EFBIG);
    TEST_CHILD_CHECK(io->truncate(io, file, 65537) == -EFBIG);
    TEST_CHILD_CHECK(io->stat(io, file, &st) == 0 && st.size_bytes == 0);
    TEST_CHILD_CHECK(io->allocate(io, file, 65536) == 0);
    struct iovec iov = {"x", 1};
    TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, 65535, 1) == 1);
    io->close(io, file);
    io->dir_close(io, dir);
    return 0;
}

/* A file that was made when there was no limit, or a larger one. */
static int write_past_limit(void *arg)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;
    struct varve_file *file;
    struct iovec iov = {"x", 1}, two[2] = {{"xy", 2}, {"z", 1}};
    TEST_CHILD_CHECK(io->dir_open(io, NULL, arg, 0, &dir, NULL) == 0);
    TEST_CHILD_CHECK(io->open(io, dir, "larger", VARVE_IO_WRITE | VARVE_IO_CREATE, &file) == 0);
    TEST_CHILD_CHECK(io->allocate(io, file, 100000) == 0);
    io->close(io, file);
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){65536, 90000}) == 0);
    TEST_CHILD_CHECK(io->open(io, dir, "larger", VARVE_IO_WRITE, &file) == 0);
    for (int dsync = 0; dsync < 2; dsync++) {
        TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, 65536, dsync) == -EFBIG);
        TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, 99999, dsync) == -EFBIG);
        TEST_CHILD_CHECK(io->pwritev(io, file, two, 2, 65534, dsync) == -EFBIG);
        TEST_CHILD_CHECK(io->pwritev(io, file, two, 2, 65533, dsync) == 3);
        TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, INT64_MAX, dsync) == -EFBIG);
        TEST_CHILD_CHECK(io->pwritev(io, file, &(struct iovec){"x", SIZE_MAX}, 1, 2, dsync) == -EFBIG);
    }
    /* Raised while the file is open. */
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){90000, 90000}) == 0);
    TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, 89999, 1) == 1);
    TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, 90000, 1) == -EFBIG);
    io->close(io, file);
    io->dir_close(io, dir);
    return 0;
}

static void test_system__file_size_limit(void **state)
{
    (void)state;
    char *path = test_tmp_new();
    assert_int_equal(test_child_run(allocate_past_limit, path), 0);
    assert_int_equal(test_child_run(write_past_limit, path), 0);
    test_tmp_free(path);
    assert_int_equal(vv_system_check_size((uint64_t)INT64_MAX + 1), -EFBIG);
}

static int open_past_limit(void *arg)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir = NULL;
    struct varve_dir *other;
    struct varve_file *file;
    TEST_CHILD_CHECK(io->dir_open(io, NULL, arg, 0, &dir, NULL) == 0);
    TEST_CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)dir->fd + 1, (rlim_t)dir->fd + 1}) ==
                     0);
    TEST_CHILD_CHECK(io->open(io, dir, "file", VARVE_IO_WRITE | VARVE_IO_CREATE, &file) == -EMFILE);
    TEST_CHILD_CHECK(io->dir_open(io, dir, "dir", 1, &other, NULL) == -EMFILE);
    TEST_CHILD_CHECK(io->dir_list(io, dir, NULL, NULL) == -EMFILE);
    TEST_CHILD_CHECK(io->dir_sync_parent(io, dir) == -EMFILE);
    /* The directory was made, and could not be opened: it is gone again. */
    TEST_CHILD_CHECK(faccessat(dir->fd, "dir", F_OK, 0) != 0);
    io->dir_close(io, dir);
    return 0;
}

static void test_system__descriptor_limit(void **state)
{
    (void)state;
    char *path = test_tmp_new();
    assert_int_equal(test_child_run(open_past_limit, path), 0);
    test_tmp_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system__table_is_full),    cmocka_unit_test(test_system__name_is_plain),
        cmocka_unit_test(test_system__keeps_off_stdio),  cmocka_unit_test(test_system__file_size_limit),
        cmocka_unit_test(test_system__descriptor_limit),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char *tmp = test_tmp_new();
    char *path = test_tmp_join(tmp, "");
    failed += test_contract_run("the system's table", varve_io_system(), path);
    free(path);
    test_tmp_free(tmp);
    return failed;
}
