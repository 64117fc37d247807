/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/memory.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/contract.h"

enum {
    SECTOR = 512,
    SECTORS = 8
};

static void write_sectors(struct varve_io *io, struct varve_file *file, unsigned char value, int count,
                          int dsync)
{
    static unsigned char buf[SECTOR * SECTORS];
    memset(buf, value, sizeof buf);
    struct iovec iov = {buf, (size_t)(SECTOR * count)};
    assert_int_equal(io->pwritev(io, file, &iov, 1, 0, dsync), SECTOR * count);
}

static struct varve_dir *open_root(struct varve_io *io)
{
    struct varve_dir *dir;
    assert_int_equal(io->dir_open(io, NULL, ".", 0, &dir, NULL), 0);
    return dir;
}

static struct varve_file *create(struct varve_io *io, struct varve_dir *dir, const char *name)
{
    struct varve_file *file;
    assert_int_equal(io->open(io, dir, name, VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    return file;
}

static bool is_there(struct test_memory *memory, const char *name)
{
    struct varve_dir *dir = open_root(&memory->io);
    struct varve_io_stat st;
    int rc = memory->io.stat_name(&memory->io, dir, name, &st);
    memory->io.dir_close(&memory->io, dir);
    assert_true(rc == 0 || rc == -ENOENT);
    return rc == 0;
}

/* The content of `name`, or NULL when a power cut leaves no such file. */
static unsigned char *content(struct test_memory *memory, const char *name, size_t *ret_bytes)
{
    if (!is_there(memory, name)) {
        return NULL;
    }
    struct varve_dir *dir = open_root(&memory->io);
    unsigned char *buf = test_bytes_io_read(&memory->io, dir, name, ret_bytes);
    memory->io.dir_close(&memory->io, dir);
    return buf;
}

static void test_memory__names_are_durable_after_sync(void **state)
{
    (void)state;
    struct test_memory memory;
    struct test_memory crashed;
    struct varve_io *io = &memory.io;
    test_memory_init(&memory, SECTOR);
    struct varve_dir *dir = open_root(io);
    io->close(io, create(io, dir, "a"));
    test_memory_crash(&memory, TEST_CRASH_NOTHING, NULL, &crashed);
    assert_false(is_there(&crashed, "a"));
    test_memory_close(&crashed);
    assert_int_equal(io->dir_sync(io, dir), 0);
    assert_int_equal(io->rename(io, dir, "a", "b", 0), 0);
    test_memory_crash(&memory, TEST_CRASH_NOTHING, NULL, &crashed);
    assert_true(is_there(&crashed, "a"));
    assert_false(is_there(&crashed, "b"));
    test_memory_close(&crashed);
    test_memory_crash(&memory, TEST_CRASH_ALL, NULL, &crashed);
    assert_false(is_there(&crashed, "a"));
    assert_true(is_there(&crashed, "b"));
    test_memory_close(&crashed);
    assert_int_equal(io->unlink(io, dir, "b"), 0);
    test_memory_crash(&memory, TEST_CRASH_NOTHING, NULL, &crashed);
    assert_true(is_there(&crashed, "a"));
    test_memory_close(&crashed);
    io->dir_close(io, dir);
    test_memory_close(&memory);
}

static void test_memory__new_directory_needs_its_parent(void **state)
{
    (void)state;
    struct test_memory memory;
    struct test_memory crashed;
    struct varve_io *io = &memory.io;
    struct varve_dir *dir;
    test_memory_init(&memory, SECTOR);
    assert_int_equal(io->dir_open(io, NULL, "log", 1, &dir, NULL), 0);
    io->close(io, create(io, dir, "a"));
    assert_int_equal(io->dir_sync(io, dir), 0);
    test_memory_crash(&memory, TEST_CRASH_NOTHING, NULL, &crashed);
    assert_false(is_there(&crashed, "log"));
    test_memory_close(&crashed);
    assert_int_equal(io->dir_sync_parent(io, dir), 0);
    test_memory_crash(&memory, TEST_CRASH_NOTHING, NULL, &crashed);
    assert_true(is_there(&crashed, "log"));
    test_memory_close(&crashed);
    io->dir_close(io, dir);
    test_memory_close(&memory);
}

static void expect_first_byte(struct test_memory *memory, enum test_crash how, size_t bytes,
                              unsigned char value)
{
    struct test_memory crashed;
    size_t found = 0;
    test_memory_crash(memory, how, NULL, &crashed);
    unsigned char *buf = content(&crashed, "a", &found);
    assert_non_null(buf);
    assert_int_equal(found, bytes);
    if (bytes > 0) {
        assert_int_equal(buf[0], value);
        assert_int_equal(buf[bytes - 1], value);
    }
    free(buf);
    test_memory_close(&crashed);
}

static void test_memory__bytes_are_durable_after_sync(void **state)
{
    (void)state;
    struct test_memory memory;
    struct varve_io *io = &memory.io;
    test_memory_init(&memory, SECTOR);
    struct varve_dir *dir = open_root(io);
    struct varve_file *file = create(io, dir, "a");
    assert_int_equal(io->dir_sync(io, dir), 0);
    write_sectors(io, file, 1, SECTORS, 0);
    expect_first_byte(&memory, TEST_CRASH_NOTHING, 0, 0);
    expect_first_byte(&memory, TEST_CRASH_ALL, SECTOR * SECTORS, 1);
    assert_int_equal(io->sync(io, file), 0);
    expect_first_byte(&memory, TEST_CRASH_NOTHING, SECTOR * SECTORS, 1);
    write_sectors(io, file, 2, SECTORS, 0);
    expect_first_byte(&memory, TEST_CRASH_NOTHING, SECTOR * SECTORS, 1);
    write_sectors(io, file, 3, SECTORS, 1);
    /* The write of 2s came before: it must not come back over the durable 3s. */
    expect_first_byte(&memory, TEST_CRASH_ALL, SECTOR * SECTORS, 3);
    expect_first_byte(&memory, TEST_CRASH_NOTHING, SECTOR * SECTORS, 3);
    assert_int_equal(io->truncate(io, file, 0), 0);
    expect_first_byte(&memory, TEST_CRASH_NOTHING, SECTOR * SECTORS, 3);
    io->close(io, file);
    io->dir_close(io, dir);
    test_memory_close(&memory);
}

struct torn {
    struct test_memory *memory;
    struct test_rng rng;
    unsigned whole, none, part;
};

static void crash_in_the_middle(void *arg, const char *name)
{
    struct torn *torn = arg;
    assert_string_equal(name, "a");
    for (int i = 0; i < 200; i++) {
        struct test_memory crashed;
        size_t bytes = 0;
        test_memory_crash(torn->memory, TEST_CRASH_CHANCE, &torn->rng, &crashed);
        unsigned char *buf = content(&crashed, "a", &bytes);
        assert_int_equal(bytes, SECTOR * SECTORS);
        unsigned kept = 0;
        for (int sector = 0; sector < SECTORS; sector++) {
            /* A sector is never torn. */
            assert_int_equal(buf[sector * SECTOR], buf[sector * SECTOR + SECTOR - 1]);
            kept += buf[sector * SECTOR] == 2;
        }
        torn->whole += kept == SECTORS;
        torn->none += kept == 0;
        torn->part += kept > 0 && kept < SECTORS;
        free(buf);
        test_memory_close(&crashed);
    }
}

static void test_memory__power_cut_tears_a_write(void **state)
{
    (void)state;
    struct test_memory memory;
    struct varve_io *io = &memory.io;
    struct torn torn = {&memory, {{0}}, 0, 0, 0};
    test_rng_init(&torn.rng, test_rng_seed());
    test_memory_init(&memory, SECTOR);
    struct varve_dir *dir = open_root(io);
    struct varve_file *file = create(io, dir, "a");
    assert_int_equal(io->dir_sync(io, dir), 0);
    write_sectors(io, file, 1, SECTORS, 1);
    test_memory_set_hook(&memory, crash_in_the_middle, &torn);
    write_sectors(io, file, 2, SECTORS, 1);
    test_memory_set_hook(&memory, NULL, NULL);
    assert_true(torn.whole > 0 && torn.none > 0 && torn.part > 0);
    expect_first_byte(&memory, TEST_CRASH_NOTHING, SECTOR * SECTORS, 2);
    io->close(io, file);
    io->dir_close(io, dir);
    test_memory_close(&memory);
}

static void test_memory__space(void **state)
{
    (void)state;
    struct test_memory memory;
    struct varve_io *io = &memory.io;
    uint64_t bytes;
    test_memory_init(&memory, 0);
    test_memory_set_space(&memory, 3 * 4096);
    struct varve_dir *dir = open_root(io);
    struct varve_file *file = create(io, dir, "a");
    assert_int_equal(io->allocate(io, file, 4 * 4096), -ENOSPC);
    assert_int_equal(io->allocate(io, file, 2 * 4096), 0);
    struct iovec iov = {"x", 1};
    assert_int_equal(io->pwritev(io, file, &iov, 1, 3 * 4096, 0), -ENOSPC);
    assert_int_equal(io->pwritev(io, file, &iov, 1, 2 * 4096, 0), 1);
    assert_int_equal(io->space(io, dir, &bytes), 0);
    assert_int_equal(bytes, 0);
    assert_int_equal(io->unlink(io, dir, "a"), 0);
    assert_int_equal(io->dir_sync(io, dir), 0);
    io->close(io, file);
    assert_int_equal(io->space(io, dir, &bytes), 0);
    assert_int_equal(bytes, 3 * 4096);
    io->dir_close(io, dir);
    test_memory_close(&memory);
}

struct beside {
    struct varve_io *io;
    struct varve_file *file;
};

static void *write_beside(void *arg)
{
    struct beside *beside = arg;
    for (int i = 0; i < 200; i++) {
        unsigned char buf[SECTOR * SECTORS];
        memset(buf, i, sizeof buf);
        struct iovec iov = {buf, sizeof buf};
        (void)beside->io->pwritev(beside->io, beside->file, &iov, 1, 0, i % 2);
    }
    return NULL;
}

static void test_memory__sectors_stay_whole_beside_threads(void **state)
{
    (void)state;
    struct test_memory memory;
    test_memory_init(&memory, SECTOR);
    struct varve_dir *dir = open_root(&memory.io);
    struct beside beside = {&memory.io, create(&memory.io, dir, "a")};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_beside, &beside), 0);
    }
    for (int i = 0; i < 300; i++) {
        unsigned char buf[SECTOR * SECTORS];
        ssize_t got = memory.io.pread(&memory.io, beside.file, buf, sizeof buf, 0);
        for (ssize_t sector = 0; sector < got / SECTOR; sector++) {
            unsigned char *at = buf + sector * SECTOR;
            assert_memory_equal(at, at + 1, SECTOR - 1);
        }
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    memory.io.close(&memory.io, beside.file);
    memory.io.dir_close(&memory.io, dir);
    test_memory_close(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory__names_are_durable_after_sync),
        cmocka_unit_test(test_memory__new_directory_needs_its_parent),
        cmocka_unit_test(test_memory__bytes_are_durable_after_sync),
        cmocka_unit_test(test_memory__power_cut_tears_a_write),
        cmocka_unit_test(test_memory__space),
        cmocka_unit_test(test_memory__sectors_stay_whole_beside_threads),
    };
    struct test_memory memory;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_memory_init(&memory, 512);
    failed += test_contract_run("memory", &memory.io, "");
    test_memory_close(&memory);
    test_memory_init(&memory, 0);
    failed += test_contract_run("memory without direct I/O", &memory.io, "/");
    test_memory_close(&memory);
    return failed;
}
