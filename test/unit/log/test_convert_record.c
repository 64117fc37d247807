/* SPDX-License-Identifier: Apache-2.0 */
#include "log/convert_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t commit[] = {3, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0};

static struct vv_converter between(const char *from, const char *to)
{
    return (struct vv_converter){.from = varve_format_get(from), .to = varve_format_get(to), .next_lsn = 1};
}

static struct vv_converted take(struct vv_converter *c, const struct varve_entry *entry)
{
    struct vv_converted converted;
    struct varve_error error;

    if (vv_convert_record(c, entry, &converted, &error) != 0)
        fail_msg("%s", error.message);
    return converted;
}

/* How many were lost in this way; and in no other. */
static void lost_only(const struct vv_converter *c, enum vv_loss loss, uint64_t records)
{
    for (enum vv_loss i = 0; i < VV_LOSS_COUNT; i++)
        assert_int_equal(c->losses[i].records, i == loss ? records : 0);
}

static void test_convert_record__times(void **state)
{
    static const struct {
        const char *from, *to;
        uint64_t time, want;
        enum vv_loss loss;
    } cases[] = {
        {"stra", "varve", 1700000000123456, 1700000000123456, VV_LOSS_COUNT},
        {"stra", "varve", 0, 1, VV_LOSS_TIME_UNIT},
        {"stra", "varve", UINT64_MAX, INT64_MAX, VV_LOSS_TIME_UNIT},
        {"stra", "dbkv", 7, 7000, VV_LOSS_COUNT},
        {"stra", "dbkv", UINT64_MAX, INT64_MAX, VV_LOSS_TIME_UNIT},
        {"dbkv", "dbkv", (uint64_t)-5, (uint64_t)-5, VV_LOSS_COUNT},
        {"dbkv", "stra", 7000, 7, VV_LOSS_COUNT},
        {"dbkv", "stra", 7001, 7, VV_LOSS_TIME_UNIT},
        {"dbkv", "stra", (uint64_t)-1, 0, VV_LOSS_TIME_UNIT},
        {"dbkv", "varve", (uint64_t)-1, 1, VV_LOSS_TIME_UNIT},
        {"lfwal", "varve", 9, 9000000, VV_LOSS_COUNT},
        {"lfwal", "stra", UINT64_MAX, UINT64_MAX, VV_LOSS_COUNT}, /* the payload tells it */
    };
    static const uint8_t remove_x[] = {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'x'};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vv_converter c = between(cases[i].from, cases[i].to);
        struct varve_entry entry = {
            .lsn = 1, .data = remove_x, .data_bytes = sizeof remove_x, .time = cases[i].time};
        struct vv_converted r = take(&c, &entry);

        assert_true(r.timed);
        assert_int_equal(r.record.flags & VARVE_RECORD_TIME, VARVE_RECORD_TIME);
        assert_int_equal(r.record.time, cases[i].want);
        assert_int_equal(r.is.time, cases[i].want);
        lost_only(&c, cases[i].loss, 1);
    }
}

static void test_convert_record__order(void **state)
{
    static const uint64_t times[] = {10, 8, 10, 12}, want[] = {10, 10, 10, 12};
    struct vv_converter c = between("stra", "varve");
    char text[160];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct varve_entry entry = {.lsn = i + 1, .time = times[i]};

        assert_int_equal(take(&c, &entry).record.time, want[i]);
    }
    lost_only(&c, VV_LOSS_TIME_ORDER, 1);
    vv_convert_loss(&c, VV_LOSS_TIME_ORDER, text, sizeof text);
    assert_string_equal(text, "varve: 1 record, from LSN 2 on, has a time before that of the record before, "
                              "which it gives the later one");
}

static void test_convert_record__fields(void **state)
{
    struct varve_entry entry = {.lsn = 1,
                                .data = commit,
                                .data_bytes = sizeof commit,
                                .type = 3,
                                .flags = VARVE_RECORD_TXN,
                                .txn_id = 5,
                                .time = 9};
    struct vv_converter c = between("lfwal", "varve");
    struct vv_converted r = take(&c, &entry);

    (void)state;
    assert_int_equal(r.record.type, 3);
    assert_int_equal(r.record.flags, VARVE_RECORD_TXN | VARVE_RECORD_TIME);
    assert_int_equal(r.record.txn_id, 5);
    lost_only(&c, VV_LOSS_COUNT, 0);
    /* What the payload tells is not lost where there is no field for it. */
    c = between("lfwal", "wlog");
    r = take(&c, &entry);
    assert_int_equal(r.record.flags, 0);
    lost_only(&c, VV_LOSS_COUNT, 0);
    /* Back: it tells the same. */
    c = between("varve", "lfwal");
    entry.time = 9000000;
    r = take(&c, &entry);
    assert_int_equal(r.is.type, 3);
    assert_int_equal(r.is.txn_id, 5);
    assert_int_equal(r.is.time, 9);
    lost_only(&c, VV_LOSS_COUNT, 0);
    entry.time++;
    (void)take(&c, &entry);
    assert_int_equal(c.losses[VV_LOSS_TIME].records, 1);
    assert_int_equal(c.losses[VV_LOSS_NUMBER].records, 1); /* the second one with LSN 1 */
    c = between("varve", "lfwal");
    entry.time--;
    entry.type = 4;
    entry.txn_id = 6;
    memset(entry.origin, 1, sizeof entry.origin);
    (void)take(&c, &entry);
    assert_int_equal(c.losses[VV_LOSS_TYPE].records, 1);
    assert_int_equal(c.losses[VV_LOSS_TXN].records, 1);
    assert_int_equal(c.losses[VV_LOSS_ORIGIN].records, 1);
}

static void test_convert_record__none_of_its_payloads(void **state)
{
    static const char *const formats[] = {"wlog", "aero", "dbkv", "lfwal"};
    const struct varve_entry entry = {.lsn = 1, .data = "", .data_bytes = 0};
    struct vv_converted converted;
    struct varve_error error;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct vv_converter c = between("varve", formats[i]);

        assert_int_not_equal(vv_convert_record(&c, &entry, &converted, &error), 0);
        assert_non_null(strstr(error.message, formats[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convert_record__times),
        cmocka_unit_test(test_convert_record__order),
        cmocka_unit_test(test_convert_record__fields),
        cmocka_unit_test(test_convert_record__none_of_its_payloads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
