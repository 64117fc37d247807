/* SPDX-License-Identifier: Apache-2.0 */
#include "log/salvage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/sample.h"
#include "log/chain.h"

enum {
    FIRST = 4096, /* offset of the first frame */
};

/* Reads what lies from `offset` to `end` of a segment, where these LSNs should be, and checks what is given:
 * bit n of the result is set when the record with LSN first + n came, with its bytes. */
static unsigned saved(struct test_sample *s, uint64_t segment, uint64_t offset, uint64_t end, uint64_t first,
                      uint64_t last)
{
    const struct vv_damage damage = {.verdict = VARVE_VERDICT_CORRUPT,
                                     .segment = segment,
                                     .offset = offset,
                                     .end_offset = end,
                                     .lsn_first = first,
                                     .lsn_last = last};
    struct varve_dir *dir = test_sample_dir(s);
    struct vv_salvage salvage = {.bytes = NULL};
    struct vv_salvaged record;
    struct vv_chain chain;
    struct vv_scan scan;
    uint64_t before = 0;
    unsigned mask = 0;
    assert_int_equal(vv_chain_load(&chain, &s->memory.io, dir, NULL), 0);
    assert_int_equal(vv_scan_init(&scan, &s->memory.io), 0);
    assert_int_equal(
        vv_salvage_read(&salvage, &scan, dir, &damage, vv_record_log_seed(chain.manifest.uuid), NULL), 0);
    while (vv_salvage_next(&salvage, &record)) {
        assert_true(record.lsn >= first && record.lsn <= last && record.lsn > before);
        assert_int_equal(record.segment, segment);
        assert_true(test_sample_is(s, record.lsn, record.record.payload, record.record.payload_bytes));
        before = record.lsn;
        mask |= 1u << (record.lsn - first);
    }
    assert_false(vv_salvage_has(&salvage));
    vv_salvage_clear(&salvage);
    vv_scan_free(&scan);
    vv_chain_free(&chain);
    s->memory.io.dir_close(&s->memory.io, dir);
    return mask;
}

/* Frames of one record each, some of them damaged. */
static void test_salvage__frames(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 8, true);
    assert_int_equal(saved(&s, 1, FIRST, FIRST + 8 * 512, 1, 8), 0xff);
    test_sample_flip(&s, 1, FIRST + 512 + 64 + 16 + 5, 1); /* 2: its payload */
    test_sample_flip(&s, 1, FIRST + 2 * 512 + 8, 1);       /* 3: only its frame's checksum */
    test_sample_zero(&s, 1, FIRST + 3 * 512, 512);         /* 4 */
    test_sample_flip(&s, 1, FIRST + 4 * 512 + 24 + 2, 1);  /* 5: the LSN in its frame */
    assert_int_equal(saved(&s, 1, FIRST + 512, FIRST + 5 * 512, 2, 5), 1u << 1);
    /* Only what is missing is given, not what else stands there. */
    assert_int_equal(saved(&s, 1, FIRST + 512, FIRST + 8 * 512, 2, 6), 1u << 1 | 1u << 4);
    /* Nothing to read, or no such file. */
    assert_int_equal(saved(&s, 1, FIRST, FIRST, 1, 8), 0);
    assert_int_equal(saved(&s, 77, FIRST, FIRST + 512, 1, 8), 0);
    test_sample_close(&s);
}

/* One frame of many records: each speaks for itself. */
static void test_salvage__records(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_init(&s, TEST_SAMPLE_SMALL);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append_batch(&s, log, 10);
    assert_int_equal(varve_close(log, NULL), 0);
    const uint64_t record = 16 + 104;                         /* header, and 100 bytes padded to 8 */
    test_sample_flip(&s, 1, FIRST + 4, 1);                    /* the frame's header */
    test_sample_flip(&s, 1, FIRST + 64 + 2 * record + 30, 1); /* 3: payload */
    test_sample_flip(&s, 1, FIRST + 64 + 5 * record + 12, 1); /* 6: its time */
    assert_int_equal(saved(&s, 1, FIRST, FIRST + 512 * 3, 1, 10), 0x3ff & ~(1u << 2 | 1u << 5));
    /* A damaged length: what follows in the frame has no beginning any more. */
    test_sample_flip(&s, 1, FIRST + 64 + 7 * record + 7, 7);
    assert_int_equal(saved(&s, 1, FIRST, FIRST + 512 * 3, 1, 10), 0x7f & ~(1u << 2 | 1u << 5));
    test_sample_close(&s);
}

/* Records of an earlier life of the file, or under another LSN, do not pass. */
static void test_salvage__not_in_its_place(void **state)
{
    (void)state;
    struct test_sample s;
    unsigned char *content;
    size_t bytes;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 4, true);
    content = test_sample_read(&s, 1, &bytes);
    test_sample_patch(&s, 1, FIRST + 512, content + FIRST + 2 * 512, 512); /* 3 in the place of 2 */
    free(content);
    assert_int_equal(saved(&s, 1, FIRST + 512, FIRST + 2 * 512, 2, 2), 0);
    test_sample_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_salvage__frames),
        cmocka_unit_test(test_salvage__records),
        cmocka_unit_test(test_salvage__not_in_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
