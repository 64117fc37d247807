/* SPDX-License-Identifier: Apache-2.0 */
#include "log/chain.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc.h"
#include "lib/fault.h"
#include "lib/sample.h"

/* Three segments: LSN 1 to 5, 6 to 10, 11 to 13. */
struct place {
    struct test_sample sample;
    struct test_fault fault;
    struct varve_dir *dir;
    struct vv_chain chain;
};

static struct place place;

static void open_place(unsigned records)
{
    test_sample_make(&place.sample, TEST_SAMPLE_BIG, records, true);
    test_fault_init(&place.fault, &place.sample.memory.io);
    struct varve_io *io = &place.fault.pass.io;
    assert_int_equal(io->dir_open(io, NULL, "log", 0, &place.dir, NULL), 0);
}

static void close_place(void)
{
    place.fault.pass.io.dir_close(&place.fault.pass.io, place.dir);
    assert_int_equal(atomic_load(&place.fault.open_files), 0);
    test_fault_close(&place.fault);
    test_sample_close(&place.sample);
}

static void load(void)
{
    struct varve_error error = {0};
    if (vv_chain_load(&place.chain, &place.fault.pass.io, place.dir, &error) != 0) {
        fail_msg("%s", error.message);
    }
}

static void test_chain__load(void **state)
{
    (void)state;
    static const uint64_t bases[] = {1, 6, 11}, ends[] = {6, 11, UINT64_MAX};
    open_place(13);
    /* What bears no name of ours is not looked at, but counted with the bytes. */
    test_sample_write(&place.sample, "notes", "12345", 5);
    test_sample_write(&place.sample, "spare-0000000000000099.seg", "x", 1);
    load();
    assert_int_equal(place.chain.manifest_rc, 0);
    assert_true(place.chain.count >= 3);
    for (unsigned i = 0; i < 3; i++) {
        const struct vv_link *link = &place.chain.links[i];
        assert_int_equal(link->number, i + 1);
        assert_int_equal(link->state, VV_LINK_SOUND);
        assert_int_equal(link->file_bytes, 1 << 20);
        assert_int_equal(link->header.base_lsn, bases[i]);
        assert_int_equal(link->end_lsn, ends[i]);
    }
    for (size_t i = 3; i < place.chain.count; i++) {
        assert_int_equal(place.chain.links[i].state, VV_LINK_BLANK);
    }
    assert_int_equal(place.chain.spares, 1);
    assert_int_equal(place.chain.stale, 0);
    assert_true(place.chain.disk_bytes > place.chain.count << 20);
    assert_int_equal(vv_chain_refuse(&place.chain, NULL), 0);
    assert_int_equal(vv_chain_find(&place.chain, 0), 0);
    assert_int_equal(vv_chain_find(&place.chain, 5), 0);
    assert_int_equal(vv_chain_find(&place.chain, 6), 1);
    assert_int_equal(vv_chain_find(&place.chain, UINT64_MAX), 2);
    vv_chain_free(&place.chain);
    close_place();
}

static void test_chain__empty(void **state)
{
    (void)state;
    open_place(1);
    struct varve_io *io = &place.fault.pass.io;
    struct varve_dir *dir;
    struct vv_chain chain;
    assert_int_equal(io->dir_open(io, NULL, "other", 1, &dir, NULL), 0);
    assert_int_equal(vv_chain_load(&chain, io, dir, NULL), 0);
    assert_int_equal(chain.manifest_rc, VARVE_E_NOT_FOUND);
    assert_int_equal(chain.count, 0);
    assert_int_equal(vv_chain_find(&chain, 1), 0);
    assert_int_equal(vv_chain_refuse(&chain, NULL), 0);
    vv_chain_free(&chain);
    io->dir_close(io, dir);
    close_place();
}

/* A header with these changes, and the right checksum. */
static void patch(uint64_t segment, unsigned at, uint32_t value)
{
    size_t bytes;
    uint8_t *content = test_sample_read(&place.sample, segment, &bytes);
    vv_put_u32(content + at, value);
    vv_put_u32(content + 124, vv_crc32c(0, content, 124));
    test_sample_patch(&place.sample, segment, 0, content, 128);
    free(content);
}

static void test_chain__states(void **state)
{
    (void)state;
    static const struct {
        unsigned at;
        uint32_t value;
        enum vv_link_state state;
        int refused;
    } cases[] = {
        {8, 2, VV_LINK_UNKNOWN, VARVE_E_VERSION},
        {76, 1, VV_LINK_UNKNOWN, VARVE_E_VERSION},
        {8, 0, VV_LINK_BAD, 0},
        {16, 77, VV_LINK_FOREIGN, VARVE_E_FOREIGN},
        {32, 9, VV_LINK_BAD, 0},
        {72, 4000, VV_LINK_SOUND, VARVE_E_CODEC},
        {48, 0, VV_LINK_BAD, 0},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct varve_error error = {0};
        open_place(13);
        patch(2, cases[i].at, cases[i].value);
        load();
        assert_int_equal(place.chain.links[1].state, cases[i].state);
        /* What is not sound ends nothing: the next one that is does. */
        assert_int_equal(place.chain.links[0].end_lsn, cases[i].state == VV_LINK_SOUND ? 6 : 11);
        int rc = vv_chain_refuse(&place.chain, &error);
        rc = rc != 0 ? rc : vv_chain_codecs(&place.chain, &error);
        assert_int_equal(rc, cases[i].refused);
        if (cases[i].refused != 0) {
            assert_non_null(strstr(error.message, "wal-0000000000000002.seg"));
        }
        vv_chain_free(&place.chain);
        close_place();
    }
    open_place(13);
    test_sample_flip(&place.sample, 2, 125, 0);
    test_sample_truncate(&place.sample, 3, 0);
    load();
    assert_int_equal(place.chain.links[1].state, VV_LINK_BAD);
    assert_int_equal(place.chain.links[2].state, VV_LINK_BLANK);
    assert_int_equal(place.chain.links[0].end_lsn, UINT64_MAX);
    assert_int_equal(vv_chain_find(&place.chain, 13), 0);
    vv_chain_free(&place.chain);
    close_place();
}

/* Without MANIFEST the first sound segment says whose log it is. */
static void test_chain__without_manifest(void **state)
{
    (void)state;
    open_place(13);
    test_sample_unlink(&place.sample, "MANIFEST");
    test_sample_unlink_segment(&place.sample, 1);
    patch(3, 16, 77);
    load();
    assert_int_equal(place.chain.manifest_rc, VARVE_E_NOT_FOUND);
    assert_int_equal(place.chain.manifest.first_segment, 2);
    assert_int_equal(place.chain.manifest.first_lsn, 6);
    assert_int_equal(place.chain.links[0].state, VV_LINK_SOUND);
    assert_int_equal(place.chain.links[1].state, VV_LINK_FOREIGN);
    vv_chain_free(&place.chain);
    close_place();
}

/* Looking again finds what was added, and what was trimmed gone. */
static void test_chain__reload(void **state)
{
    (void)state;
    open_place(3);
    load();
    size_t before = place.chain.count;
    assert_int_equal(place.chain.links[0].end_lsn, UINT64_MAX);
    struct varve_log *log = test_sample_open(&place.sample, VARVE_POLICY_TRUNCATE);
    test_sample_append(&place.sample, log, 10);
    assert_int_equal(vv_chain_reload(&place.chain, NULL), 0);
    assert_true(place.chain.count > before);
    assert_int_equal(place.chain.links[0].end_lsn, 6);
    assert_int_equal(place.chain.links[2].header.base_lsn, 11);
    assert_int_equal(varve_trim(log, 11, NULL), 0);
    assert_int_equal(vv_chain_reload(&place.chain, NULL), 0);
    assert_int_equal(place.chain.links[0].number, 3);
    assert_int_equal(place.chain.manifest.first_lsn, 11);
    assert_true(place.chain.spares <= 2); /* one may have been taken for the next segment by now */
    /* A trim that a crash interrupted: the file is there, and no part of the log. */
    test_sample_write(&place.sample, "wal-0000000000000001.seg", "x", 1);
    assert_int_equal(vv_chain_reload(&place.chain, NULL), 0);
    assert_int_equal(place.chain.links[0].number, 3);
    assert_int_equal(place.chain.stale, 1);
    vv_chain_free(&place.chain);
    assert_int_equal(varve_close(log, NULL), 0);
    close_place();
}

static void test_chain__one_file(void **state)
{
    (void)state;
    char longer[300];
    size_t bytes;
    open_place(13);
    struct varve_io *io = &place.fault.pass.io;
    uint8_t *content = test_sample_read(&place.sample, 2, &bytes);
    test_sample_write(&place.sample, "copy", content, bytes);
    assert_int_equal(vv_chain_load_file(&place.chain, io, place.dir, "copy", NULL), 0);
    assert_int_equal(place.chain.count, 1);
    assert_int_equal(place.chain.links[0].number, 2);
    assert_int_equal(place.chain.links[0].state, VV_LINK_SOUND);
    assert_int_equal(place.chain.links[0].end_lsn, UINT64_MAX);
    vv_chain_free(&place.chain);
    /* A damaged header may say any number; a name of ours knows better. */
    content[32] ^= 1;
    test_sample_write_segment(&place.sample, 2, content, bytes);
    assert_int_equal(vv_chain_load_file(&place.chain, io, place.dir, "wal-0000000000000002.seg", NULL), 0);
    assert_int_equal(place.chain.links[0].state, VV_LINK_BAD);
    assert_int_equal(place.chain.links[0].number, 2);
    vv_chain_free(&place.chain);
    free(content);
    assert_int_equal(vv_chain_load_file(&place.chain, io, place.dir, "nowhere", NULL), VARVE_E_NOT_FOUND);
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(vv_chain_load_file(&place.chain, io, place.dir, longer, NULL), VARVE_E_INVALID);
    close_place();
}

/* Sectors are taken from a damaged header only if there can be such. */
static void test_chain__guess(void **state)
{
    (void)state;
    static const uint32_t sectors[][2] = {{512, 512}, {4096, 4096}, {0, 512},
                                          {513, 512}, {8192, 512},  {2048, 2048}};
    for (unsigned i = 0; i < sizeof sectors / sizeof *sectors; i++) {
        struct vv_link link = {
            .state = VV_LINK_BAD, .file_bytes = 12345, .header = {.sector_bytes = sectors[i][0]}};
        assert_int_equal(vv_chain_guess(&link).header.sector_bytes, sectors[i][1]);
        assert_int_equal(vv_chain_guess(&link).header.capacity, 12345);
        link.state = VV_LINK_BLANK;
        assert_int_equal(vv_chain_guess(&link).header.sector_bytes, 512);
    }
}

/* An error is told, and nothing of what was loaded leaks or stays open. */
static void test_chain__faults(void **state)
{
    (void)state;
    static const struct {
        int op;
        const char *prefix;
        int error;
    } faults[] = {
        {TEST_OP_DIR_LIST, NULL, EIO},
        {TEST_OP_OPEN, "wal-0000000000000002", EMFILE},
        {TEST_OP_STAT, "wal-0000000000000003", EIO},
        {TEST_OP_PREAD, "wal-0000000000000001", EIO},
        {TEST_OP_PREAD, "MANIFEST", EIO},
    };
    struct varve_error error;
    open_place(13);
    for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++) {
        int rule = test_fault_arm(&place.fault, &(struct test_fault_rule){
                                                    .op = faults[i].op,
                                                    .prefix = faults[i].prefix,
                                                    .error = faults[i].error,
                                                });
        error = (struct varve_error){0};
        assert_int_equal(vv_chain_load(&place.chain, &place.fault.pass.io, place.dir, &error), VARVE_E_IO);
        assert_int_equal(test_fault_hits(&place.fault, rule), 1);
        assert_int_equal(error.sys_errno, faults[i].error);
        test_fault_disarm(&place.fault);
    }
    int rc;
    long n = 0;
    do {
        vv_alloc_fail_after(n++);
        rc = vv_chain_load(&place.chain, &place.fault.pass.io, place.dir, &error);
        assert_true(rc == 0 || rc == VARVE_E_NOMEM || rc == VARVE_E_IO);
    } while (vv_alloc_fail_left() < 0);
    vv_alloc_fail_after(-1);
    assert_int_equal(rc, 0);
    assert_true(n >= 3);
    vv_chain_free(&place.chain);
    close_place();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain__load),   cmocka_unit_test(test_chain__empty),
        cmocka_unit_test(test_chain__states), cmocka_unit_test(test_chain__without_manifest),
        cmocka_unit_test(test_chain__reload), cmocka_unit_test(test_chain__one_file),
        cmocka_unit_test(test_chain__guess),  cmocka_unit_test(test_chain__faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
