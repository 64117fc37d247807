/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/contract.h"

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

/* [the one thread of the test] What the cases run on. */
static struct {
    struct varve_io *io;
    const char *path;
    int number;
} contract_now;

static int contract_setup(void **state)
{
    static struct test_contract contract;
    char path[4096];
    int created = -1;
    snprintf(path, sizeof path, "%scontract-%d", contract_now.path, contract_now.number++);
    contract.io = contract_now.io;
    int rc = contract.io->dir_open(contract.io, NULL, path, 1, &contract.dir, &created);
    *state = &contract;
    return rc == 0 && created == 1 ? 0 : -1;
}

static int contract_teardown(void **state)
{
    struct test_contract *c = *state;
    c->io->dir_close(c->io, c->dir);
    return 0;
}

static struct varve_file *contract_create(struct test_contract *c, const char *name)
{
    struct varve_file *file;
    assert_int_equal(c->io->open(c->io, c->dir, name, VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    return file;
}

static void contract_put(struct test_contract *c, struct varve_file *file, const void *buf, size_t len,
                         uint64_t offset, int dsync)
{
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    assert_int_equal(c->io->pwritev(c->io, file, &iov, 1, offset, dsync), len);
}

static void contract_expect_size(struct test_contract *c, struct varve_file *file, uint64_t bytes)
{
    struct varve_io_stat st;
    assert_int_equal(c->io->stat(c->io, file, &st), 0);
    assert_int_equal(st.kind, VARVE_IO_KIND_FILE);
    assert_int_equal(st.size_bytes, bytes);
}

/* The names in the directory, sorted by nothing but their first letter: one letter each. */
static int contract_note_name(void *arg, const char *name)
{
    unsigned *seen = arg;
    *seen |= strlen(name) == 1 && name[0] >= 'a' && name[0] <= 'z' ? 1U << (name[0] - 'a') : 1U << 31;
    return 0;
}

static unsigned contract_names(struct test_contract *c)
{
    unsigned seen = 0;
    assert_int_equal(c->io->dir_list(c->io, c->dir, contract_note_name, &seen), 0);
    return seen;
}

static int contract_stop_at_once(void *arg, const char *name)
{
    (void)name;
    ++*(int *)arg;
    return 7;
}

static void test_contract__dir(void **state)
{
    struct test_contract *c = *state;
    struct varve_dir *dir = NULL;
    int created = -1;
    assert_int_equal(c->io->dir_open(c->io, c->dir, "s", 0, &dir, &created), -ENOENT);
    assert_null(dir);
    assert_int_equal(created, -1);
    assert_int_equal(c->io->dir_open(c->io, c->dir, "s", 1, &dir, &created), 0);
    assert_int_equal(created, 1);
    assert_int_equal(c->io->dir_sync_parent(c->io, dir), 0);
    c->io->dir_close(c->io, dir);
    assert_int_equal(c->io->dir_open(c->io, c->dir, "s", 1, &dir, &created), 0);
    assert_int_equal(created, 0);
    assert_int_equal(c->io->dir_sync(c->io, dir), 0);
    c->io->dir_close(c->io, dir);
    assert_int_equal(c->io->dir_open(c->io, c->dir, "s", 1, &dir, NULL), 0);
    c->io->dir_close(c->io, dir);
    c->io->close(c->io, contract_create(c, "f"));
    assert_int_equal(c->io->dir_open(c->io, c->dir, "f", 1, &dir, &created), -ENOTDIR);
    assert_int_equal(c->io->dir_open(c->io, c->dir, "s/t", 1, &dir, &created), -EINVAL);
    assert_int_equal(c->io->dir_open(c->io, c->dir, "..", 0, &dir, &created), -EINVAL);
    assert_int_equal(c->io->dir_open(c->io, NULL, "", 1, &dir, &created), -ENOENT);
    c->io->dir_close(c->io, NULL);
}

static void test_contract__dir_list(void **state)
{
    struct test_contract *c = *state;
    struct varve_dir *dir;
    assert_int_equal(contract_names(c), 0);
    c->io->close(c->io, contract_create(c, "a"));
    c->io->close(c->io, contract_create(c, "z"));
    assert_int_equal(c->io->dir_open(c->io, c->dir, "m", 1, &dir, NULL), 0);
    c->io->dir_close(c->io, dir);
    assert_int_equal(contract_names(c), 1U << 0 | 1U << ('m' - 'a') | 1U << 25);
    /* A second walk starts at the beginning again. */
    assert_int_equal(contract_names(c), 1U << 0 | 1U << ('m' - 'a') | 1U << 25);
    int calls = 0;
    assert_int_equal(c->io->dir_list(c->io, c->dir, contract_stop_at_once, &calls), 7);
    assert_int_equal(calls, 1);
}

static void test_contract__open(void **state)
{
    struct test_contract *c = *state;
    struct varve_file *file = NULL;
    struct varve_dir *dir;
    assert_int_equal(c->io->open(c->io, c->dir, "a", VARVE_IO_READ, &file), -ENOENT);
    assert_int_equal(c->io->open(c->io, c->dir, "a", VARVE_IO_WRITE, &file), -ENOENT);
    assert_null(file);
    c->io->close(c->io, contract_create(c, "a"));
    assert_int_equal(c->io->open(c->io, c->dir, "a", VARVE_IO_WRITE | VARVE_IO_CREATE, &file), -EEXIST);
    assert_int_equal(c->io->dir_open(c->io, c->dir, "d", 1, &dir, NULL), 0);
    c->io->dir_close(c->io, dir);
    assert_int_equal(c->io->open(c->io, c->dir, "d", VARVE_IO_READ, &file), -EMEDIUMTYPE);
    assert_int_equal(c->io->open(c->io, c->dir, "d", VARVE_IO_WRITE, &file), -EMEDIUMTYPE);
    assert_int_equal(c->io->open(c->io, c->dir, "d", VARVE_IO_WRITE | VARVE_IO_CREATE, &file), -EEXIST);
    assert_int_equal(c->io->open(c->io, c->dir, "a", 1 << 20, &file), -EINVAL);
    assert_null(file);
    c->io->close(c->io, NULL);
}

static void test_contract__names_are_single_components(void **state)
{
    struct test_contract *c = *state;
    static const char *const bad[] = {"", ".", "..", "a/b", "/a", "a/", "../a"};
    struct varve_file *file = NULL;
    struct varve_io_stat st;
    c->io->close(c->io, contract_create(c, "a"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(c->io->open(c->io, c->dir, bad[i], VARVE_IO_WRITE | VARVE_IO_CREATE, &file),
                         -EINVAL);
        assert_int_equal(c->io->open(c->io, c->dir, bad[i], VARVE_IO_READ, &file), -EINVAL);
        assert_int_equal(c->io->rename(c->io, c->dir, "a", bad[i], 1), -EINVAL);
        assert_int_equal(c->io->rename(c->io, c->dir, bad[i], "b", 1), -EINVAL);
        assert_int_equal(c->io->unlink(c->io, c->dir, bad[i]), -EINVAL);
        assert_int_equal(c->io->stat_name(c->io, c->dir, bad[i], &st), -EINVAL);
    }
    assert_int_equal(contract_names(c), 1);
}

static void test_contract__rename(void **state)
{
    struct test_contract *c = *state;
    struct varve_file *file = contract_create(c, "a");
    contract_put(c, file, "one", 3, 0, 0);
    c->io->close(c->io, file);
    file = contract_create(c, "b");
    assert_int_equal(c->io->rename(c->io, c->dir, "a", "b", 0), -EEXIST);
    assert_int_equal(contract_names(c), 3);
    contract_expect_size(c, file, 0);
    assert_int_equal(c->io->rename(c->io, c->dir, "c", "d", 0), -ENOENT);
    assert_int_equal(c->io->rename(c->io, c->dir, "c", "b", 1), -ENOENT);
    assert_int_equal(c->io->rename(c->io, c->dir, "a", "b", 1), 0);
    assert_int_equal(contract_names(c), 2);
    /* Who has the replaced file open still has it. */
    contract_expect_size(c, file, 0);
    contract_put(c, file, "x", 1, 0, 0);
    c->io->close(c->io, file);
    assert_int_equal(c->io->rename(c->io, c->dir, "b", "c", 0), 0);
    assert_int_equal(contract_names(c), 4);
    assert_int_equal(c->io->open(c->io, c->dir, "c", VARVE_IO_READ, &file), 0);
    contract_expect_size(c, file, 3);
    c->io->close(c->io, file);
}

static void test_contract__unlink(void **state)
{
    struct test_contract *c = *state;
    struct varve_dir *dir;
    char buf[4];
    assert_int_equal(c->io->unlink(c->io, c->dir, "a"), -ENOENT);
    assert_int_equal(c->io->dir_open(c->io, c->dir, "d", 1, &dir, NULL), 0);
    c->io->dir_close(c->io, dir);
    assert_int_equal(c->io->unlink(c->io, c->dir, "d"), -EISDIR);
    struct varve_file *file = contract_create(c, "a");
    contract_put(c, file, "here", 4, 0, 0);
    assert_int_equal(c->io->unlink(c->io, c->dir, "a"), 0);
    assert_int_equal(c->io->unlink(c->io, c->dir, "a"), -ENOENT);
    assert_int_equal(c->io->pread(c->io, file, buf, 4, 0), 4);
    assert_memory_equal(buf, "here", 4);
    c->io->close(c->io, file);
}

static void test_contract__stat_name(void **state)
{
    struct test_contract *c = *state;
    struct varve_io_stat st;
    struct varve_dir *dir;
    assert_int_equal(c->io->stat_name(c->io, c->dir, "a", &st), -ENOENT);
    struct varve_file *file = contract_create(c, "a");
    contract_put(c, file, "12345", 5, 100, 0);
    c->io->close(c->io, file);
    assert_int_equal(c->io->stat_name(c->io, c->dir, "a", &st), 0);
    assert_int_equal(st.kind, VARVE_IO_KIND_FILE);
    assert_int_equal(st.size_bytes, 105);
    assert_int_equal(c->io->dir_open(c->io, c->dir, "d", 1, &dir, NULL), 0);
    c->io->dir_close(c->io, dir);
    assert_int_equal(c->io->stat_name(c->io, c->dir, "d", &st), 0);
    assert_int_equal(st.kind, VARVE_IO_KIND_DIR);
}

static void test_contract__write_and_read(void **state)
{
    struct test_contract *c = *state;
    struct varve_file *file = contract_create(c, "a");
    struct iovec iov[3] = {{"abc", 3}, {NULL, 0}, {"defgh", 5}};
    char buf[2000];
    assert_int_equal(c->io->pread(c->io, file, buf, sizeof buf, 0), 0);
    assert_int_equal(c->io->pwritev(c->io, file, iov, 3, 1000, 0), 8);
    contract_expect_size(c, file, 1008);
    memset(buf, 1, sizeof buf);
    assert_int_equal(c->io->pread(c->io, file, buf, sizeof buf, 0), 1008);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buf[i], 0);
    }
    assert_memory_equal(buf + 1000, "abcdefgh", 8);
    assert_int_equal(c->io->pread(c->io, file, buf, 3, 1004), 3);
    assert_memory_equal(buf, "efg", 3);
    assert_int_equal(c->io->pread(c->io, file, buf, 9, 1008), 0);
    assert_int_equal(c->io->pread(c->io, file, buf, 9, 5000), 0);
    contract_put(c, file, "XY", 2, 1002, 0);
    assert_int_equal(c->io->pread(c->io, file, buf, 8, 1000), 8);
    assert_memory_equal(buf, "abXYefgh", 8);
    assert_int_equal(c->io->pread(c->io, file, buf, 8, UINT64_MAX - 100), -EINVAL);
    assert_int_equal(c->io->pwritev(c->io, file, iov, 3, UINT64_MAX - 100, 0), -EINVAL);
    assert_int_equal(c->io->pwritev(c->io, file, iov, 3, UINT64_MAX, 1), -EINVAL);
    c->io->close(c->io, file);
}

static void test_contract__write_dsync(void **state)
{
    struct test_contract *c = *state;
    struct varve_file *file = contract_create(c, "a");
    char buf[6];
    contract_put(c, file, "durable", 7, 0, 1);
    contract_put(c, file, "DUR", 3, 0, 1);
    assert_int_equal(c->io->pread(c->io, file, buf, 6, 0), 6);
    assert_memory_equal(buf, "DURabl", 6);
    assert_int_equal(c->io->sync(c->io, file), 0);
    c->io->close(c->io, file);
}

static void test_contract__read_only(void **state)
{
    struct test_contract *c = *state;
    struct varve_file *file;
    struct iovec iov = {"x", 1};
    c->io->close(c->io, contract_create(c, "a"));
    assert_int_equal(c->io->open(c->io, c->dir, "a", VARVE_IO_READ, &file), 0);
    assert_int_equal(c->io->pwritev(c->io, file, &iov, 1, 0, 0), -EBADF);
    assert_int_equal(c->io->truncate(c->io, file, 10), -EINVAL);
    assert_int_equal(c->io->lock(c->io, file, 1), -EBADF);
    assert_int_equal(c->io->lock(c->io, file, 0), 0);
    contract_expect_size(c, file, 0);
    c->io->close(c->io, file);
}

static void contract_expect_zeros(struct test_contract *c, struct varve_file *file, uint64_t from,
                                  uint64_t to)
{
    static unsigned char buf[65536];
    while (from < to) {
        size_t bytes = to - from < sizeof buf ? (size_t)(to - from) : sizeof buf;
        ssize_t got = c->io->pread(c->io, file, buf, bytes, from);
        assert_true(got > 0);
        for (ssize_t i = 0; i < got; i++) {
            assert_int_equal(buf[i], 0);
        }
        from += (uint64_t)got;
    }
}

static void test_contract__allocate(void **state)
{
    struct test_contract *c = *state;
    struct varve_file *file = contract_create(c, "a");
    assert_int_equal(c->io->allocate(c->io, file, 300000), 0);
    contract_expect_size(c, file, 300000);
    contract_expect_zeros(c, file, 0, 300000);
    contract_put(c, file, "old bytes", 9, 100, 0);
    contract_put(c, file, "old bytes", 9, 299991, 0);
    /* A file that held something holds zeros after. */
    assert_int_equal(c->io->allocate(c->io, file, 200001), 0);
    contract_expect_size(c, file, 200001);
    contract_expect_zeros(c, file, 0, 200001);
    assert_int_equal(c->io->allocate(c->io, file, 300000), 0);
    contract_expect_zeros(c, file, 0, 300000);
    assert_int_equal(c->io->allocate(c->io, file, 0), 0);
    contract_expect_size(c, file, 0);
    assert_int_equal(c->io->allocate(c->io, file, UINT64_MAX), -EFBIG);
    c->io->close(c->io, file);
}

static void test_contract__truncate(void **state)
{
    struct test_contract *c = *state;
    struct varve_file *file = contract_create(c, "a");
    char buf[8];
    contract_put(c, file, "abcdefgh", 8, 0, 0);
    assert_int_equal(c->io->truncate(c->io, file, 4), 0);
    contract_expect_size(c, file, 4);
    assert_int_equal(c->io->truncate(c->io, file, 8), 0);
    assert_int_equal(c->io->pread(c->io, file, buf, 8, 0), 8);
    assert_memory_equal(buf, "abcd\0\0\0\0", 8);
    assert_int_equal(c->io->truncate(c->io, file, UINT64_MAX), -EFBIG);
    c->io->close(c->io, file);
}

static void test_contract__lock(void **state)
{
    struct test_contract *c = *state;
    struct varve_file *first = contract_create(c, "a");
    struct varve_file *second;
    struct varve_file *third;
    assert_int_equal(c->io->open(c->io, c->dir, "a", VARVE_IO_WRITE, &second), 0);
    assert_int_equal(c->io->open(c->io, c->dir, "a", VARVE_IO_READ, &third), 0);
    assert_int_equal(c->io->lock(c->io, second, 0), 0);
    assert_int_equal(c->io->lock(c->io, first, 1), 0);
    assert_int_equal(c->io->lock(c->io, first, 1), 0);
    assert_int_equal(c->io->lock(c->io, first, 0), 0);
    assert_int_equal(c->io->lock(c->io, second, 1), -EAGAIN);
    assert_int_equal(c->io->lock(c->io, second, 0), -EAGAIN);
    assert_int_equal(c->io->lock(c->io, third, 0), -EAGAIN);
    /* Closing another open file of the same file does not let the lock go. */
    c->io->close(c->io, third);
    assert_int_equal(c->io->lock(c->io, second, 1), -EAGAIN);
    c->io->close(c->io, first);
    assert_int_equal(c->io->lock(c->io, second, 1), 0);
    c->io->close(c->io, second);
}

static void test_contract__direct(void **state)
{
    struct test_contract *c = *state;
    struct varve_file *file = contract_create(c, "a");
    struct varve_io_stat st;
    assert_int_equal(c->io->stat(c->io, file, &st), 0);
    assert_int_equal(c->io->allocate(c->io, file, 65536), 0);
    c->io->close(c->io, file);
    int rc = c->io->open(c->io, c->dir, "a", VARVE_IO_WRITE | VARVE_IO_DIRECT, &file);
    if (rc == -EINVAL) {
        /* Where it is refused, a file that was to be created for it is not left behind. */
        rc = c->io->open(c->io, c->dir, "n", VARVE_IO_WRITE | VARVE_IO_CREATE | VARVE_IO_DIRECT, &file);
        assert_int_equal(rc, -EINVAL);
        assert_int_equal(contract_names(c), 1);
        return;
    }
    assert_int_equal(rc, 0);
    unsigned char *buf;
    assert_int_equal(posix_memalign((void **)&buf, 4096, 8192), 0);
    memset(buf, 0x5a, 8192);
    struct iovec iov = {buf, 4096};
    assert_int_equal(c->io->pwritev(c->io, file, &iov, 1, 4096, 1), 4096);
    assert_int_equal(c->io->pread(c->io, file, buf, 8192, 0), 8192);
    assert_int_equal(buf[4095], 0);
    assert_int_equal(buf[4096], 0x5a);
    if (st.direct_align != 0) {
        iov.iov_len = st.direct_align;
        assert_int_equal(c->io->pwritev(c->io, file, &iov, 1, st.direct_align, 1), st.direct_align);
        iov.iov_len = st.direct_align - 1;
        assert_int_equal(c->io->pwritev(c->io, file, &iov, 1, 0, 1), -EINVAL);
        iov.iov_len = st.direct_align;
        assert_int_equal(c->io->pwritev(c->io, file, &iov, 1, 100, 0), -EINVAL);
        assert_int_equal(c->io->pread(c->io, file, buf, 512, 100), -EINVAL);
    }
    free(buf);
    c->io->close(c->io, file);
    assert_int_equal(
        c->io->open(c->io, c->dir, "n", VARVE_IO_WRITE | VARVE_IO_CREATE | VARVE_IO_DIRECT, &file), 0);
    c->io->close(c->io, file);
}

static void test_contract__space_clock_random(void **state)
{
    struct test_contract *c = *state;
    uint64_t bytes = 0;
    assert_int_equal(c->io->space(c->io, c->dir, &bytes), 0);
    assert_true(bytes > 0);
    uint64_t before = c->io->monotonic_us(c->io);
    assert_true(c->io->monotonic_us(c->io) >= before);
    assert_true(c->io->realtime_us(c->io) > 0);
    if (c->io->monotonic_coarse_us != NULL) {
        uint64_t coarse = c->io->monotonic_coarse_us(c->io);
        assert_true(coarse <= c->io->monotonic_us(c->io));
    }
    unsigned char one[1000] = {0};
    unsigned char two[1000] = {0};
    assert_int_equal(c->io->random(c->io, one, sizeof one), 0);
    assert_int_equal(c->io->random(c->io, two, sizeof two), 0);
    assert_memory_not_equal(one, two, sizeof one);
    assert_memory_not_equal(one + 980, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    assert_int_equal(c->io->random(c->io, one, 0), 0);
}

#define CONTRACT_CASE(name) cmocka_unit_test_setup_teardown(name, contract_setup, contract_teardown)

int test_contract_run(const char *name, struct varve_io *io, const char *path)
{
    const struct CMUnitTest contract_cases[] = {
        CONTRACT_CASE(test_contract__dir),
        CONTRACT_CASE(test_contract__dir_list),
        CONTRACT_CASE(test_contract__open),
        CONTRACT_CASE(test_contract__names_are_single_components),
        CONTRACT_CASE(test_contract__rename),
        CONTRACT_CASE(test_contract__unlink),
        CONTRACT_CASE(test_contract__stat_name),
        CONTRACT_CASE(test_contract__write_and_read),
        CONTRACT_CASE(test_contract__write_dsync),
        CONTRACT_CASE(test_contract__read_only),
        CONTRACT_CASE(test_contract__allocate),
        CONTRACT_CASE(test_contract__truncate),
        CONTRACT_CASE(test_contract__lock),
        CONTRACT_CASE(test_contract__direct),
        CONTRACT_CASE(test_contract__space_clock_random),
    };
    contract_now.io = io;
    contract_now.path = path;
    print_message("the contract, on %s\n", name);
    return cmocka_run_group_tests_name(name, contract_cases, NULL, NULL);
}
