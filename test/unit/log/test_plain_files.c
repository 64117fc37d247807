/* SPDX-License-Identifier: Apache-2.0 */
#include "log/plain_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/plain.h"
#include "log/plain.h"
#include "log/plain_side.h"

static struct varve_io *io;
static struct varve_dir *dir;
static struct vv_plain_files files;
static struct varve_error error;

/* An empty directory at test_plain_path, with a folder in it unless that is NULL. */
static void make(const char *folder)
{
    struct varve_dir *sub;

    io = varve_io_system();
    assert_int_equal(io->dir_open(io, NULL, test_plain_next(), 1, &dir, NULL), 0);
    if (folder) {
        assert_int_equal(io->dir_open(io, dir, folder, 1, &sub, NULL), 0);
        io->dir_close(io, sub);
    }
}

static void put(const char *name, const void *bytes, size_t len)
{
    test_bytes_write(test_plain_path, name, bytes, len);
}

/* A file with a sound header of that number. */
static void put_made(const char *format, const char *name, uint64_t number)
{
    const struct varve_format *f = varve_format_get(format);
    struct varve_format_segment segment = {.number = number, .created_us = 1000000};
    uint8_t header[VARVE_FORMAT_HEADER_MAX];

    f->header_put(&segment, header);
    put(name, header, f->header_bytes);
}

static void load(const char *format)
{
    assert_int_equal(vv_plain_files_load(&files, varve_format_get(format), io, dir, &error), 0);
}

static void done(void)
{
    vv_plain_files_free(&files);
    io->dir_close(io, dir);
}

static void test_plain_files__order_and_names(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {2, 9, 10, 999999, 1000000};
    make("WAL");
    put_made("stra", "WAL/wal-000010.seg", 10);
    put_made("stra", "WAL/wal-1000000.seg", 1000000);
    put_made("stra", "WAL/wal-000002.seg", 2);
    put_made("stra", "WAL/wal-999999.seg", 999999);
    put_made("stra", "WAL/wal-000009.seg", 9);
    put("WAL/wal-00009.seg", "short", 5);
    put("WAL/wal-000011.seg.bak", "other", 5);
    load("stra");
    assert_int_equal(files.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(files.items[i].number, numbers[i]);
        assert_int_equal(files.items[i].state, VARVE_HEADER_SOUND);
        assert_int_equal(vv_plain_files_find(&files, numbers[i]), i);
        assert_int_equal(vv_plain_files_find(&files, numbers[i] + 1), i + 1);
    }
    assert_true(vv_plain_files_gap(&files, 2, 9));
    assert_false(vv_plain_files_gap(&files, 9, 10));
    assert_int_equal(vv_plain_files_refuse(&files, &error), 0);
    done();
}

/* lfwal's original file has the number 0; dbkv's files are named by seconds, and may lack any. */
static void test_plain_files__numbers(void **state)
{
    (void)state;
    make(NULL);
    put("wal-00000001.log", "", 0);
    put("wal.log", "", 0);
    load("lfwal");
    assert_int_equal(files.count, 2);
    assert_string_equal(files.items[0].name, "wal.log");
    assert_int_equal(files.items[0].number, 0);
    assert_false(vv_plain_files_gap(&files, 0, 1));
    done();
    make(NULL);
    put_made("dbkv", "wal-1795178697.log", 0);
    put_made("dbkv", "wal-999.log", 0);
    put_made("dbkv", "wal-current.log", 0);
    load("dbkv");
    assert_int_equal(files.count, 3);
    assert_int_equal(files.items[0].number, 999);
    assert_int_equal(files.items[2].number, VARVE_FORMAT_ACTIVE);
    assert_false(vv_plain_files_gap(&files, 999, 1795178697));
    done();
}

/* A folder that is not there, and the files in the directory itself. */
static void test_plain_files__without_a_folder(void **state)
{
    (void)state;
    make(NULL);
    put_made("wlog", "wal_000001.log", 0);
    load("wlog");
    assert_int_equal(files.count, 1);
    assert_ptr_equal(files.folder, files.dir);
    assert_true(vv_plain_files_exist(&files));
    done();
    make(NULL);
    load("wlog");
    assert_int_equal(files.count, 0);
    assert_null(files.folder);
    assert_false(vv_plain_files_exist(&files));
    done();
    make("wal");
    load("wlog");
    assert_true(vv_plain_files_exist(&files));
    assert_int_equal(vv_plain_files_made(&files), 0);
    done();
}

static void test_plain_files__never_made(void **state)
{
    (void)state;
    uint8_t zeros[4096] = {0};
    make("wal");
    put_made("wlog", "wal/wal_000001.log", 0);
    put("wal/wal_000002.log", zeros, sizeof zeros);
    put("wal/wal_000003.log", "WLOG", 4);
    load("wlog");
    assert_int_equal(files.count, 3);
    assert_int_equal(vv_plain_files_made(&files), 1);
    assert_true(files.items[1].blank && files.items[2].blank);
    /* One byte behind a header of zeros: something was there. */
    zeros[4095] = 1;
    put("wal/wal_000002.log", zeros, sizeof zeros);
    vv_plain_files_free(&files);
    load("wlog");
    assert_int_equal(files.items[1].state, VARVE_HEADER_UNMADE);
    assert_int_equal(vv_plain_files_made(&files), 2);
    /* It gets its header. */
    put_made("wlog", "wal/wal_000002.log", 0);
    assert_int_equal(vv_plain_files_reload(&files, &error), 0);
    assert_int_equal(files.items[1].state, VARVE_HEADER_SOUND);
    done();
}

static void test_plain_files__headers(void **state)
{
    (void)state;
    make("WAL");
    put_made("stra", "WAL/wal-000001.seg", 1);
    put_made("stra", "WAL/wal-000002.seg", 3);
    put("WAL/wal-000003.seg", "this is no header of that format, though it is as long", 54);
    load("stra");
    assert_int_equal(files.items[1].state, VARVE_HEADER_BAD);
    assert_non_null(strstr(files.items[1].reason, "number"));
    assert_int_equal(files.items[2].state, VARVE_HEADER_BAD);
    done();
}

/* The next active file: without the active one it takes its place. */
static void test_plain_files__unborn(void **state)
{
    (void)state;
    make(NULL);
    put_made("dbkv", "wal-5.log", 0);
    put_made("dbkv", "wal-current-new.log", 0);
    load("dbkv");
    assert_int_equal(files.count, 2);
    assert_true(files.borne);
    assert_int_equal(files.items[1].number, VARVE_FORMAT_ACTIVE);
    assert_string_equal(files.items[1].name, "wal-current-new.log");
    put_made("dbkv", "wal-current.log", 0);
    assert_int_equal(vv_plain_files_reload(&files, &error), 0);
    assert_int_equal(files.count, 2);
    assert_true(files.unborn && !files.borne);
    assert_string_equal(files.items[1].name, "wal-current.log");
    assert_int_equal(vv_plain_files_facts(&files, &error), 0);
    test_bytes_patch(test_plain_path, "wal-current-new.log", 32, "x", 1);
    assert_int_equal(vv_plain_files_reload(&files, &error), 0);
    assert_int_equal(vv_plain_files_facts(&files, &error), VARVE_E_CORRUPT);
    done();
}

static void test_plain_files__a_rotation_is_seen(void **state)
{
    (void)state;
    make(NULL);
    put_made("dbkv", "wal-5.log", 0);
    put_made("dbkv", "wal-current.log", 0);
    load("dbkv");
    files.items[0].first_lsn = 1;
    files.items[1].first_lsn = 8;
    assert_int_equal(vv_plain_files_reload(&files, &error), 0);
    assert_int_equal(files.rotated, 0);
    assert_int_equal(files.items[1].first_lsn, 8);
    put_made("dbkv", "wal-6.log", 0);
    assert_int_equal(vv_plain_files_reload(&files, &error), 0);
    assert_int_equal(files.rotated, 6);
    assert_int_equal(files.items[1].first_lsn, 8);
    assert_int_equal(files.items[2].first_lsn, 0);
    done();
}

/* Files below the first that VARVE names are no part of the log. */
static void test_plain_files__trimmed(void **state)
{
    (void)state;
    struct vv_side side = {.format = "stra", .first = 3, .first_lsn = 40};
    make("WAL");
    for (unsigned i = 1; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "WAL/wal-%06u.seg", i);
        put_made("stra", name, i);
    }
    assert_int_equal(vv_plain_side_write(io, dir, &side, &error), 0);
    load("stra");
    assert_int_equal(files.stale, 2);
    assert_int_equal(files.count, 2);
    assert_int_equal(files.items[0].number, 3);
    /* VARVE of another format. */
    snprintf(side.format, sizeof side.format, "wlog");
    assert_int_equal(vv_plain_side_write(io, dir, &side, &error), 0);
    assert_int_equal(vv_plain_files_reload(&files, &error), 0);
    assert_int_equal(vv_plain_files_refuse(&files, &error), VARVE_E_FORMAT);
    done();
}

static void test_plain_files__not_regular(void **state)
{
    (void)state;
    struct varve_dir *sub;
    make("WAL");
    assert_int_equal(io->dir_open(io, NULL, "elsewhere", 1, &sub, NULL), 0);
    io->dir_close(io, sub);
    char name[64];
    snprintf(name, sizeof name, "%s/WAL/wal-000001.seg", test_plain_path);
    assert_int_equal(io->dir_open(io, NULL, name, 1, &sub, NULL), 0);
    io->dir_close(io, sub);
    int rc = vv_plain_files_load(&files, varve_format_get("stra"), io, dir, &error);
    assert_int_equal(rc, VARVE_E_NOT_REGULAR);
    assert_non_null(strstr(error.message, "wal-000001.seg"));
    io->dir_close(io, dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_files__order_and_names),
        cmocka_unit_test(test_plain_files__numbers),
        cmocka_unit_test(test_plain_files__without_a_folder),
        cmocka_unit_test(test_plain_files__never_made),
        cmocka_unit_test(test_plain_files__headers),
        cmocka_unit_test(test_plain_files__unborn),
        cmocka_unit_test(test_plain_files__a_rotation_is_seen),
        cmocka_unit_test(test_plain_files__trimmed),
        cmocka_unit_test(test_plain_files__not_regular),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
