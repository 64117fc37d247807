/* SPDX-License-Identifier: Apache-2.0 */
#include "log/stages.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"

#include "varve/cursor.h"

enum {
    SLOT = 8192,
    LIMIT =
        SLOT - 64 - 16, /* the largest payload that shares a slot: a frame's and a record's header go off */
};

static const struct varve_options small = {.slot_bytes = SLOT, .record_max = 300000, .mark_idle_ms = 3600000};

static unsigned char *pattern(size_t bytes, unsigned seed)
{
    unsigned char *p = test_malloc(bytes + 1);
    for (size_t i = 0; i < bytes; i++) {
        p[i] = (unsigned char)(i * 31 + seed + i / 251);
    }
    return p;
}

static void test_append__sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,         1,     7,         8,         9,        LIMIT - 8,
                                   LIMIT - 1, LIMIT, LIMIT + 1, LIMIT + 8, SLOT - 1, 2 * SLOT + 5,
                                   299999,    300000};
    const unsigned count = sizeof sizes / sizeof *sizes;
    struct test_bed bed;
    struct varve_cursor *cursor;
    struct varve_entry entry;
    uint64_t lsn;
    bed_start(&bed, BED_MEMORY, &small, 8);
    for (unsigned i = 0; i < count; i++) {
        unsigned char *p = pattern(sizes[i], i);
        lsn = 0;
        assert_int_equal(varve_append(bed.log, p, sizes[i], &lsn), 0);
        assert_int_equal(lsn, i + 1);
        test_free(p);
    }
    assert_int_equal(varve_append(bed.log, NULL, 0, NULL), 0);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(varve_cursor_open(bed.log, VARVE_POLICY_HALT, &cursor, NULL), 0);
        for (unsigned i = 0; i < count; i++) {
            unsigned char *p = pattern(sizes[i], i);
            assert_int_equal(varve_cursor_next(cursor, &entry), 0);
            assert_int_equal(entry.data_bytes, sizes[i]);
            assert_memory_equal(entry.data, p, sizes[i]);
            assert_int_equal(entry.type, 0);
            assert_int_equal(entry.flags, 0);
            test_free(p);
        }
        assert_int_equal(varve_cursor_next(cursor, &entry), 0);
        assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_END);
        varve_cursor_close(cursor);
        assert_int_equal(bed_shut(&bed), 0);
        assert_int_equal(bed_open(&bed), 0);
    }
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* What is refused leaves no trace: no LSN, no write. */
static void test_append__refusals(void **state)
{
    (void)state;
    struct test_bed bed;
    char byte = 'x';
    struct iovec iov[2] = {{&byte, 1}, {NULL, 5}};
    struct iovec vast[2] = {{&byte, SIZE_MAX}, {&byte, 2}}, wraps[2] = {{&byte, 2}, {&byte, SIZE_MAX}};
    const struct {
        struct varve_record record;
        int rc;
    } bad[] = {
        {{.data = &byte, .data_bytes = 300001}, VARVE_E_TOO_LARGE},
        {{.data = &byte, .data_bytes = SIZE_MAX}, VARVE_E_TOO_LARGE},
        {{.data = NULL, .data_bytes = 1}, VARVE_E_INVALID},
        {{.iov = iov, .iov_count = 2}, VARVE_E_INVALID},
        {{.iov = vast, .iov_count = 2}, VARVE_E_TOO_LARGE},
        {{.iov = wraps, .iov_count = 2}, VARVE_E_TOO_LARGE},
        {{.iov = iov, .iov_count = -1}, VARVE_E_INVALID},
        {{.iov = NULL, .iov_count = 1}, VARVE_E_INVALID},
        {{.iov = iov, .iov_count = 1, .data = &byte, .data_bytes = 1}, VARVE_E_INVALID},
        {{.data = &byte, .data_bytes = 1, .flags = 2}, VARVE_E_INVALID},
    };
    bed_start(&bed, BED_MEMORY, &small, 8);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    uint64_t writes = test_fault_calls(&bed.fault, TEST_OP_ANY_WRITE);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct varve_record batch[2] = {{.data = &byte, .data_bytes = 1}, bad[i].record};
        uint64_t lsn = 99;
        assert_int_equal(varve_append_record(bed.log, &bad[i].record, 0, &lsn), bad[i].rc);
        assert_int_equal(varve_append_async(bed.log, &bad[i].record, &lsn), bad[i].rc);
        assert_int_equal(varve_append_batch(bed.log, batch, 2, 0, 1, &lsn), bad[i].rc);
        assert_int_equal(lsn, 99);
    }
    assert_int_equal(varve_append_batch(bed.log, NULL, 0, 0, 1, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_last_lsn(bed.log), 1);
    assert_int_equal(varve_sync(bed.log), 0);
    assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_ANY_WRITE), writes);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    assert_int_equal(varve_last_lsn(bed.log), 2);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_append__durability(void **state)
{
    (void)state;
    for (int own = VARVE_MEMORY; own <= VARVE_STRICT; own++) {
        struct test_bed bed;
        struct varve_options options = small;
        options.durability = (enum varve_durability)own;
        bed_start(&bed, BED_MEMORY, &options, 8);
        for (int asked = VARVE_DURABILITY_DEFAULT; asked <= VARVE_STRICT + 1; asked++) {
            struct varve_record record = {.data = "x", .data_bytes = 1};
            int expect = asked == VARVE_DURABILITY_DEFAULT     ? 0
                         : asked < own || asked > VARVE_STRICT ? VARVE_E_INVALID
                         : own == VARVE_MEMORY && asked > own  ? VARVE_E_UNSUPPORTED
                                                               : 0;
            uint64_t lsn = 0, last = varve_last_lsn(bed.log);
            enum varve_durability durability = (enum varve_durability)asked;
            assert_int_equal(varve_append_record(bed.log, &record, durability, &lsn), expect);
            assert_int_equal(lsn, expect == 0 ? last + 1 : 0);
            assert_int_equal(varve_last_lsn(bed.log), expect == 0 ? last + 1 : last);
            if (asked >= VARVE_GROUP && expect == 0) {
                assert_int_equal(varve_durable_lsn(bed.log), lsn);
            }
            assert_int_equal(varve_append_batch(bed.log, &record, 1, durability, 1, NULL), expect);
        }
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
    }
}

static void test_append__pieces_type_and_transaction(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_cursor *cursor;
    struct varve_entry entry;
    unsigned char *p = pattern(50000, 3);
    struct iovec iov[5] = {{p, 1}, {NULL, 0}, {p + 1, 6}, {p + 7, 1000}, {p + 1007, 48993}};
    struct varve_record record = {.iov = iov,
                                  .iov_count = 5,
                                  .type = 200,
                                  .flags = VARVE_RECORD_TXN,
                                  .txn_id = UINT64_C(0x1122334455667788),
                                  .origin = "0123456789abcde"};
    bed_start(&bed, BED_MEMORY, &small, 8);
    assert_int_equal(varve_append_record(bed.log, &record, 0, NULL), 0);
    record.iov_count = 4;
    assert_int_equal(varve_append_record(bed.log, &record, 0, NULL), 0);
    assert_int_equal(varve_cursor_open(bed.log, VARVE_POLICY_HALT, &cursor, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(varve_cursor_next(cursor, &entry), 0);
        assert_int_equal(entry.data_bytes, i == 0 ? 50000 : 1007);
        assert_memory_equal(entry.data, p, entry.data_bytes);
        assert_int_equal(entry.type, 200);
        assert_int_equal(entry.flags, VARVE_RECORD_TXN);
        assert_true(entry.txn_id == record.txn_id);
        assert_memory_equal(entry.origin, record.origin, sizeof record.origin);
    }
    varve_cursor_close(cursor);
    test_free(p);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static void test_append__batch(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_record *records = test_calloc(65537, sizeof *records);
    struct varve_options options = small;
    uint64_t lsn = 0;
    options.slot_bytes = 65536;
    options.slot_count = 4;
    bed_start(&bed, BED_MEMORY, &options, 8);
    const size_t fits = (65536 - 64) / 16;
    assert_int_equal(varve_append_batch(bed.log, records, 1, 0, 1, &lsn), 0);
    assert_int_equal(lsn, 1);
    assert_int_equal(varve_append_batch(bed.log, records, fits, 0, 1, &lsn), 0);
    assert_int_equal(lsn, 2);
    assert_int_equal(varve_durable_lsn(bed.log), fits + 1);
    assert_int_equal(bed_stats(&bed).frames, 2);
    assert_int_equal(varve_append_batch(bed.log, records, fits + 1, 0, 1, &lsn), VARVE_E_TOO_LARGE);
    assert_int_equal(varve_append_batch(bed.log, records, 65537, 0, 1, &lsn), VARVE_E_INVALID);
    assert_int_equal(varve_last_lsn(bed.log), fits + 1);
    assert_int_equal(varve_append_batch(bed.log, records, 10, VARVE_STRICT, 0, &lsn), 0);
    assert_int_equal(lsn, fits + 2);
    assert_int_equal(varve_wait(bed.log, lsn + 9, VARVE_WAIT_FOREVER), 0);
    test_free(records);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append__sizes),      cmocka_unit_test(test_append__refusals),
        cmocka_unit_test(test_append__durability), cmocka_unit_test(test_append__pieces_type_and_transaction),
        cmocka_unit_test(test_append__batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
