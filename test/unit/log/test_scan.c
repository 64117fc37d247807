/* SPDX-License-Identifier: Apache-2.0 */
#include "log/scan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "format/record.h"
#include "lib/fault.h"
#include "lib/sample.h"
#include "log/decode.h"

enum {
    FIRST = 4096, /* offset of the first frame */
};

struct place {
    struct test_sample sample;
    struct test_fault fault;
    struct varve_dir *dir;
    struct vv_chain chain;
    struct vv_scan scan;
};

static struct place place;

/* What was made in place.sample, loaded anew, and a scan that stands before the first frame of a segment. */
static void open_scan(size_t index)
{
    struct varve_error error = {0};
    test_fault_init(&place.fault, &place.sample.memory.io);
    struct varve_io *io = &place.fault.pass.io;
    assert_int_equal(io->dir_open(io, NULL, "log", 0, &place.dir, NULL), 0);
    assert_int_equal(vv_chain_load(&place.chain, io, place.dir, &error), 0);
    assert_int_equal(vv_scan_init(&place.scan, io), 0);
    if (vv_scan_open(&place.scan, &place.chain, &place.chain.links[index], &error) != 0) {
        fail_msg("%s", error.message);
    }
}

static void close_scan(void)
{
    vv_scan_free(&place.scan);
    vv_chain_free(&place.chain);
    place.fault.pass.io.dir_close(&place.fault.pass.io, place.dir);
    assert_int_equal(atomic_load(&place.fault.open_files), 0);
    test_fault_close(&place.fault);
}

static enum vv_scan_status look_at(uint64_t offset, struct vv_scan_frame *ret_frame)
{
    enum vv_scan_status status;
    struct varve_error error = {0};
    place.scan.offset = offset;
    if (vv_scan_look(&place.scan, ret_frame, &status, &error) != 0) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(place.scan.offset, offset);
    return status;
}

static void test_scan__frames(void **state)
{
    (void)state;
    struct vv_scan_frame frame;
    const uint8_t *body;
    test_sample_make(&place.sample, TEST_SAMPLE_SMALL, 5, true);
    open_scan(0);
    for (unsigned i = 0; i < 5; i++) {
        struct vv_record record;
        uint64_t next;
        assert_int_equal(look_at(FIRST + 512 * i, &frame), VV_SCAN_FRAME);
        assert_int_equal(frame.offset, FIRST + 512 * i);
        assert_int_equal(frame.bytes, 512);
        assert_int_equal(frame.header.first_lsn, i + 1);
        assert_int_equal(vv_decode_body(&place.scan, &frame, &body, NULL), 0);
        assert_int_equal(
            vv_record_decode(body, frame.header.raw_bytes, 0,
                             vv_record_seed(vv_record_log_seed(place.chain.manifest.uuid), i + 1), &record,
                             &next),
            VV_RECORD_OK);
        assert_true(test_sample_is(&place.sample, i + 1, record.payload, record.payload_bytes));
    }
    assert_int_equal(look_at(FIRST + 5 * 512, &frame), VV_SCAN_NONE);
    assert_true(frame.zero);
    assert_int_equal(look_at((1 << 20) - 512, &frame), VV_SCAN_NONE);
    assert_int_equal(look_at(1 << 20, &frame), VV_SCAN_FULL);
    close_scan();
    test_sample_close(&place.sample);
}

/* What stands where a frame should, by what was done to it. */
static void test_scan__what_stands_there(void **state)
{
    (void)state;
    struct vv_scan_frame frame;
    unsigned char was[512];
    size_t bytes;
    test_sample_make(&place.sample, TEST_SAMPLE_SMALL, 6, true);
    unsigned char *content = test_sample_read(&place.sample, 1, &bytes);
    memcpy(was, content + FIRST, sizeof was);
    free(content);
    test_sample_flip(&place.sample, 1, FIRST + 512 + 24, 3);        /* 2: its LSN */
    test_sample_flip(&place.sample, 1, FIRST + 2 * 512 + 70, 3);    /* 3: its body */
    test_sample_flip(&place.sample, 1, FIRST + 3 * 512, 3);         /* 4: its magic */
    test_sample_patch(&place.sample, 1, FIRST + 4 * 512, was, 512); /* 5: the first one's bytes */
    test_sample_flip(&place.sample, 1, FIRST + 5 * 512 + 49, 3);    /* 6: another segment's, and broken */
    test_sample_flip(&place.sample, 1, FIRST + 5 * 512 + 4, 3);
    open_scan(0);
    assert_int_equal(look_at(FIRST, &frame), VV_SCAN_FRAME);
    assert_int_equal(look_at(FIRST + 512, &frame), VV_SCAN_BROKEN);
    assert_int_not_equal(frame.header_crc, frame.header.header_crc);
    assert_int_equal(look_at(FIRST + 2 * 512, &frame), VV_SCAN_BAD_BODY);
    assert_int_not_equal(frame.body_crc, frame.header.body_crc);
    assert_int_equal(look_at(FIRST + 3 * 512, &frame), VV_SCAN_NONE);
    assert_false(frame.zero);
    assert_int_equal(look_at(FIRST + 4 * 512, &frame), VV_SCAN_BROKEN);
    assert_int_equal(look_at(FIRST + 5 * 512, &frame), VV_SCAN_OTHER);
    close_scan();
    test_sample_close(&place.sample);
}

/* Larger than the window; and cut off by the file's end, behind which zeros are read. */
static void test_scan__large(void **state)
{
    (void)state;
    struct vv_scan_frame frame;
    const uint8_t *body;
    test_sample_init(&place.sample, 3 << 20);
    place.sample.options.segment_bytes = 16 << 20;
    struct varve_log *log = test_sample_open(&place.sample, VARVE_POLICY_TRUNCATE);
    test_sample_append(&place.sample, log, 2);
    assert_int_equal(varve_close(log, NULL), 0);
    for (int cut = 0; cut < 2; cut++) {
        open_scan(0);
        assert_int_equal(look_at(FIRST, &frame), cut ? VV_SCAN_BAD_BODY : VV_SCAN_FRAME);
        assert_true(frame.bytes > 3 << 20);
        assert_int_equal(vv_decode_body(&place.scan, &frame, &body, NULL), 0);
        assert_int_equal(test_sample_is(&place.sample, 1, body + VV_RECORD_HEADER_BYTES, 3 << 20), !cut);
        if (cut) {
            assert_int_equal(body[frame.header.stored_bytes - 9], 0);
            assert_int_equal(look_at(FIRST + frame.bytes, &frame), VV_SCAN_NONE);
            assert_true(frame.zero);
        }
        close_scan();
        test_sample_truncate(&place.sample, 1, FIRST + (1 << 20));
    }
    test_sample_close(&place.sample);
}

static struct vv_scan_rest beyond(uint64_t offset, uint64_t within, uint64_t from_lsn, uint64_t want_lsn)
{
    struct vv_scan_rest rest;
    place.scan.offset = offset;
    assert_int_equal(vv_scan_beyond(&place.scan, within, from_lsn, want_lsn, &rest, NULL), 0);
    assert_int_equal(place.scan.offset, offset);
    return rest;
}

static void test_scan__beyond(void **state)
{
    (void)state;
    struct vv_scan_rest rest;
    test_sample_make(&place.sample, TEST_SAMPLE_SMALL, 6, true);
    test_sample_zero(&place.sample, 1, FIRST + 512, 2 * 512); /* LSN 2 and 3 */
    open_scan(0);
    /* Frame 4 is the next one, and vouches for 3. */
    rest = beyond(FIRST + 512, UINT64_MAX, 2, 2);
    assert_true(rest.found);
    assert_false(rest.all_zero);
    assert_int_equal(rest.frame.header.first_lsn, 4);
    assert_true(rest.vouched >= 3);
    /* Not so far. */
    rest = beyond(FIRST + 512, 2 * 512, 2, 2);
    assert_false(rest.found);
    assert_true(rest.all_zero);
    assert_int_equal(rest.vouched, 0);
    /* Only from an LSN on that none has. */
    rest = beyond(FIRST + 512, UINT64_MAX, 100, 100);
    assert_false(rest.found);
    assert_true(rest.vouched >= 5);
    /* Behind the last one. */
    rest = beyond(FIRST + 6 * 512, UINT64_MAX, 1, 1);
    assert_false(rest.found || rest.broken || rest.others);
    assert_true(rest.all_zero);
    close_scan();
    /* Broken ones are told. */
    test_sample_flip(&place.sample, 1, FIRST + 4 * 512 + 30, 1);
    test_sample_zero(&place.sample, 1, FIRST + 3 * 512, 512);
    open_scan(0);
    rest = beyond(FIRST + 512, 4 * 512, 2, 2);
    assert_true(rest.broken);
    assert_false(rest.found || rest.all_zero);
    close_scan();
    test_sample_close(&place.sample);
}

/* A read error is an error and never an end; one of what is only read ahead is none yet. */
static void test_scan__faults(void **state)
{
    (void)state;
    struct vv_scan_frame frame;
    struct vv_scan_rest rest;
    enum vv_scan_status status;
    struct varve_error error = {0};
    test_sample_make(&place.sample, TEST_SAMPLE_SMALL, 3, true);
    open_scan(0);
    test_fault_fail_always(&place.fault, TEST_OP_PREAD, 0, EIO);
    assert_int_equal(vv_scan_look(&place.scan, &frame, &status, &error), VARVE_E_IO);
    assert_int_equal(error.sys_errno, EIO);
    test_fault_disarm(&place.fault);
    /* Short reads and interruptions are gone on with. */
    test_fault_arm(&place.fault, &(struct test_fault_rule){.op = TEST_OP_PREAD, .error = EINTR});
    test_fault_arm(
        &place.fault,
        &(struct test_fault_rule){.op = TEST_OP_PREAD, .times = 3, .action = TEST_FAULT_SHORT, .bytes = 10});
    assert_int_equal(look_at(FIRST, &frame), VV_SCAN_FRAME);
    test_fault_disarm(&place.fault);
    test_fault_fail_always(&place.fault, TEST_OP_PREAD, 1, EIO);
    place.scan.offset = FIRST + 3 * 512;
    vv_scan_refresh(&place.scan);
    assert_int_equal(vv_scan_beyond(&place.scan, UINT64_MAX, 4, 4, &rest, &error), VARVE_E_IO);
    test_fault_disarm(&place.fault);
    vv_scan_close(&place.scan);
    /* A file that is gone was trimmed meanwhile. */
    test_sample_unlink_segment(&place.sample, 1);
    assert_int_equal(vv_scan_open(&place.scan, &place.chain, &place.chain.links[0], &error), VARVE_E_TRIMMED);
    close_scan();
    test_sample_close(&place.sample);
    struct vv_scan scan;
    vv_alloc_fail_after(0);
    assert_int_equal(vv_scan_init(&scan, &place.fault.pass.io), VARVE_E_NOMEM);
    vv_alloc_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan__frames), cmocka_unit_test(test_scan__what_stands_there),
        cmocka_unit_test(test_scan__large),  cmocka_unit_test(test_scan__beyond),
        cmocka_unit_test(test_scan__faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
