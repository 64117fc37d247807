/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "varve/error.h"
#include "varve/payload.h"

static const uint8_t floats[8] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0};

static const struct varve_wlog_operation operations[] = {
    {.type = VARVE_WLOG_ADD_POSTING, .document = {1}, .start = 2, .length = 3, .floats = {floats, 8}},
    {.type = VARVE_WLOG_REMOVE_DOCUMENT, .document = {4}},
    {.type = VARVE_WLOG_STORE_TEXT, .document = {5}, .text = {"\xd0\xba", 2}},
    {.type = VARVE_WLOG_DELETE_TEXT, .document = {6}},
};

static const struct varve_wlog_transaction transaction = {
    .id = {7, 8}, .time_us = 9, .count = 4, .operations = operations};

static void check_operations(struct varve_wlog_transaction *t)
{
    for (unsigned i = 0; i < 4; i++) {
        struct varve_wlog_operation o;
        assert_int_equal(varve_wlog_next(t, &o), 0);
        assert_int_equal(o.type, operations[i].type);
        assert_memory_equal(o.document, operations[i].document, 16);
        assert_int_equal(o.start, operations[i].start);
        assert_int_equal(o.length, operations[i].length);
        assert_int_equal(o.floats.bytes, operations[i].floats.bytes);
        assert_int_equal(o.text.bytes, operations[i].text.bytes);
        if (o.floats.bytes > 0)
            assert_memory_equal(o.floats.data, floats, 8);
        if (o.text.bytes > 0)
            assert_memory_equal(o.text.data, "\xd0\xba", 2);
    }
    assert_int_equal(varve_wlog_next(t, &(struct varve_wlog_operation){0}), VARVE_END);
}

static void test_payload_wlog__round_trip(void **state)
{
    (void)state;
    struct varve_wlog_transaction back;
    uint8_t bytes[512];
    size_t len, want;
    assert_int_equal(varve_wlog_put(&transaction, bytes, sizeof bytes, &len), 0);
    assert_int_equal(len, 48 + 8 + (20 + 8 + 8 + 8) + 20 + (20 + 8 + 2) + 20);
    assert_int_equal(varve_wlog_get(bytes, len, &back), 0);
    assert_memory_equal(back.id, transaction.id, 16);
    assert_int_equal(back.time_us, 9);
    assert_int_equal(back.count, 4);
    check_operations(&back);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, bytes, cut);
        assert_int_equal(varve_wlog_get(exact, cut, &back), VARVE_E_CORRUPT);
        assert_int_equal(varve_wlog_put(&transaction, exact, cut, &want), VARVE_E_TOO_LARGE);
        assert_int_equal(want, len);
        free(exact);
    }
    /* As older programs wrote it: without the padding. */
    memmove(bytes + 40, bytes + 48, len - 48);
    assert_int_equal(varve_wlog_get(bytes, len - 8, &back), 0);
    check_operations(&back);
    assert_int_equal(varve_wlog_get(bytes, len - 7, &back), VARVE_E_CORRUPT);
}

/* With its checksum made right again, what the operations say is looked at. */
static void test_payload_wlog__damage(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } cases[] = {
        {24, 5},    /* another count in the head */
        {36, 1},    /* reserved */
        {48, 5},    /* another count in the list */
        {56, 4},    /* no such operation */
        {84, 99},   /* more floats than there are */
        {148, 0xff} /* the text */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct varve_wlog_transaction back;
        uint8_t bytes[512];
        size_t len;
        assert_int_equal(varve_wlog_put(&transaction, bytes, sizeof bytes, &len), 0);
        bytes[cases[i].at] = cases[i].value;
        if (cases[i].at >= 48) {
            assert_int_equal(varve_wlog_get(bytes, len, &back), VARVE_E_CORRUPT);
            vv_put_u32(bytes + 32, vv_crc32(0, bytes + 48, len - 48));
        }
        if (varve_wlog_get(bytes, len, &back) != VARVE_E_CORRUPT)
            fail_msg("case %zu", i);
    }
}

static void test_payload_wlog__refused(void **state)
{
    (void)state;
    static const struct varve_wlog_operation bad[] = {
        {.type = (enum varve_wlog_type)4},
        {.type = VARVE_WLOG_ADD_POSTING, .floats = {floats, 7}},
        {.type = VARVE_WLOG_STORE_TEXT, .text = {"\xff", 1}},
    };
    uint8_t bytes[512];
    size_t len = 77;
    for (unsigned i = 0; i < 3; i++) {
        const struct varve_wlog_transaction t = {.count = 1, .operations = &bad[i]};
        assert_int_equal(varve_wlog_put(&t, bytes, sizeof bytes, &len), VARVE_E_INVALID);
        assert_int_equal(len, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload_wlog__round_trip),
        cmocka_unit_test(test_payload_wlog__damage),
        cmocka_unit_test(test_payload_wlog__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
