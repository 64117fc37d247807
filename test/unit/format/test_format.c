/* SPDX-License-Identifier: Apache-2.0 */
/* What the formats share: admission, encoding, decoding, likeness. Their own fields have tests of their own.
 */
#include "format/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "lib/build.h"
#include "lib/rng.h"

#define EACH_FORMAT(f)                                                   \
    for (unsigned f##_i = 0; test_build_formats[f##_i] != NULL; f##_i++) \
        for (const struct varve_format *f = varve_format_get(test_build_formats[f##_i]); f != NULL; f = NULL)

/* -- admission -- */

/* A payload that is good for the format, in a record that says no more. */
static struct varve_record good_record(const struct varve_format *f, uint8_t *payload)
{
    return (struct varve_record){.data = payload, .data_bytes = test_build_payload(f, "content", 7, payload)};
}

static int admit(const struct varve_format *f, const struct varve_record *record, struct varve_error *error)
{
    memset(error, 0, sizeof *error);
    return vv_format_admit(f, record, record->data_bytes, error);
}

/* What a format does not have is refused by name, and what it has is not. */
static void test_format__fields_that_it_does_not_have(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t payload[256];
        struct varve_error error;
        struct varve_record record = good_record(f, payload);
        assert_int_equal(admit(f, &record, &error), 0);

        record.type = f->type_max + 1;
        bool typed = f->carries & VARVE_FIELD_TYPE;
        assert_int_equal(admit(f, &record, &error), typed ? VARVE_E_INVALID : VARVE_E_UNSUPPORTED);
        assert_non_null(strstr(error.message, f->name));
        assert_non_null(strstr(error.message, "type"));

        record = good_record(f, payload);
        record.flags = VARVE_RECORD_TXN;
        record.txn_id = 7; /* as test_build_payload has it, for the format that tells */
        assert_int_equal(admit(f, &record, &error), f->carries & VARVE_FIELD_TXN ? 0 : VARVE_E_UNSUPPORTED);
        record.origin[15] = 1;
        assert_int_equal(admit(f, &record, &error),
                         f->carries & VARVE_FIELD_ORIGIN ? 0 : VARVE_E_UNSUPPORTED);
        record.flags = 0; /* without the flag neither is looked at */
        assert_int_equal(admit(f, &record, &error), 0);
    }
}

static void test_format__sizes(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t payload[256];
        struct varve_error error;
        struct varve_record record = good_record(f, payload);
        record.data_bytes = 0;
        assert_int_equal(admit(f, &record, &error), f->payload_min > 0 ? VARVE_E_INVALID : 0);
        assert_int_equal(vv_format_admit(f, &record, f->payload_max + 1, &error), VARVE_E_TOO_LARGE);
        if (f->check == NULL)
            assert_int_equal(vv_format_admit(f, &record, f->payload_max, &error), 0);
    }
}

/* A payload that the format could not read back is not let in, wherever it breaks. */
static void test_format__payloads_that_break_its_rules(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t payload[256];
        struct varve_error error;
        struct varve_record record = good_record(f, payload);
        size_t whole = record.data_bytes;
        if (f->check == NULL)
            continue;
        for (record.data_bytes = 0; record.data_bytes < whole; record.data_bytes++)
            assert_int_equal(admit(f, &record, &error), VARVE_E_INVALID);
        payload[whole] = 0;
        record.data_bytes = whole + 1;
        assert_int_equal(admit(f, &record, &error), VARVE_E_INVALID);
        assert_non_null(strstr(error.message, f->name));
    }
}

/* Type and transaction that are part of the payload must agree with what is given. */
static void test_format__derived_fields(void **state)
{
    (void)state;
    uint8_t payload[256];
    struct varve_error error;
    const struct varve_format *f = varve_format_get("lfwal");
    struct varve_record record = good_record(f, payload);

    record.type = 3; /* it is an insert, 0 */
    assert_int_equal(admit(f, &record, &error), VARVE_E_INVALID);
    record.type = 0;
    record.flags = VARVE_RECORD_TXN;
    record.txn_id = 8; /* it is of 7 */
    assert_int_equal(admit(f, &record, &error), VARVE_E_INVALID);
    assert_non_null(strstr(error.message, "transaction 7"));

    f = varve_format_get("dbkv");
    record = good_record(f, payload);
    record.type = 1;
    assert_int_equal(admit(f, &record, &error), 0);
    record.type = 2;
    assert_int_equal(admit(f, &record, &error), VARVE_E_INVALID);
}

/* stra writes no transaction as one of zeros, so one of zeros cannot be told from none. */
static void test_format__the_transaction_that_stands_for_none(void **state)
{
    (void)state;
    const struct varve_format *f = varve_format_get("stra");
    struct varve_record record = {.data = "x", .data_bytes = 1, .flags = VARVE_RECORD_TXN};
    struct varve_error error;
    assert_int_equal(admit(f, &record, &error), VARVE_E_UNSUPPORTED);
    record.origin[0] = 1;
    assert_int_equal(admit(f, &record, &error), 0);
    record.origin[0] = 0;
    record.txn_id = 1;
    assert_int_equal(admit(f, &record, &error), 0);
}

static void test_format__room(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint64_t room = vv_format_payload_room(f, 1024);
        if (f->traits & VARVE_FORMAT_ALONE) {
            assert_true(room == UINT64_MAX);
            continue;
        }
        assert_int_equal(f->header_bytes + vv_format_record_bytes(f, room), 1024);
        assert_int_equal(vv_format_payload_room(f, f->header_bytes), 0);
        assert_int_equal(vv_format_payload_room(f, 0), 0);
    }
}

/* -- decoding -- */

/* Whatever is cut off or asked for in pieces: never a byte beyond what is there. */
static void test_format__needs(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t bytes[512];
        size_t len = test_build_record(f, "some content", 12, 5, bytes);
        for (size_t have = 0; have <= len; have++) {
            uint8_t *exact = malloc(have + 1);
            struct varve_format_entry entry;
            memcpy(exact, bytes, have);
            enum varve_found found = vv_format_decode(f, exact, have, len, &entry);
            if (have == len) {
                assert_int_equal(found, VARVE_FOUND_RECORD);
            } else {
                assert_int_equal(found, VARVE_FOUND_NEED);
                assert_int_equal(entry.bytes, have < f->head_bytes ? f->head_bytes : len);
            }
            /* And if that is all there is. */
            found = vv_format_decode(f, exact, have, have, &entry);
            if (have == len)
                assert_int_equal(found, VARVE_FOUND_RECORD);
            else if (have == 0 || (f->traits & VARVE_FORMAT_FIXED && have < f->head_bytes))
                assert_int_equal(found, VARVE_FOUND_END);
            else if (f->traits & VARVE_FORMAT_FIXED)
                assert_int_equal(found, VARVE_FOUND_LENGTH);
            else
                assert_int_equal(found, VARVE_FOUND_CUT);
            if (found == VARVE_FOUND_CUT && have >= f->head_bytes)
                assert_int_equal(entry.bytes, len);
            free(exact);
        }
    }
}

/* Zeros are a record of no format. */
static void test_format__zeros(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t zeros[4096] = {0};
        struct varve_format_entry entry;
        for (size_t len = 1; len < sizeof zeros; len += len < 100 ? 1 : 97) {
            enum varve_found found = vv_format_decode(f, zeros, len, len, &entry);
            if (len < f->head_bytes)
                assert_int_equal(found, f->traits & VARVE_FORMAT_FIXED ? VARVE_FOUND_END : VARVE_FOUND_CUT);
            else
                assert_int_equal(found,
                                 f->traits & VARVE_FORMAT_FIXED ? VARVE_FOUND_ZEROS : VARVE_FOUND_LENGTH);
        }
    }
}

/* Any bytes, at the end of a block: the sanitizers watch. Checksums are made right for a part of them, so
 * that what is behind the checksum sees them too. */
static void test_format__any_bytes(void **state)
{
    (void)state;
    struct test_rng rng;
    test_rng_init(&rng, test_rng_seed());
    EACH_FORMAT(f)
    {
        for (unsigned round = 0; round < 20000; round++) {
            size_t len = (size_t)test_rng_range(&rng, 1, 200);
            uint8_t *bytes = malloc(len), whole[512];
            struct varve_format_entry entry;
            test_rng_fill(&rng, bytes, len);
            if (test_rng_once_in(&rng, 2)) {
                size_t record = test_build_record(f, bytes, (len + 1) / 2, round + 1, whole);
                size_t at = (size_t)test_rng_below(&rng, record);
                whole[at] = (uint8_t)test_rng_next(&rng);
                len = record < len ? record : len;
                memcpy(bytes, whole, len);
            }
            (void)vv_format_decode(f, bytes, len, len, &entry);
            (void)vv_format_matches(f, NULL, bytes, len, len);
            free(bytes);
        }
    }
}

static void test_format__found_names(void **state)
{
    (void)state;
    for (int found = VARVE_FOUND_RECORD; found <= VARVE_FOUND_CONTENT; found++)
        assert_string_not_equal(vv_format_found_name((enum varve_found)found), "?");
}

/* -- likeness -- */

static void test_format__matches(void **state)
{
    (void)state;
    EACH_FORMAT(f)
    {
        uint8_t bytes[1024] = {0};
        char name[VARVE_FORMAT_FILE_NAME_BYTES];
        const struct varve_format_segment segment = {.number = 1};
        f->name_put(f->layout == VARVE_LAYOUT_RENAMED ? VARVE_FORMAT_ACTIVE : 1, name);
        assert_int_equal(vv_format_matches(f, name, bytes, 0, 0), VV_FORMAT_LIKE_NAME);
        assert_int_equal(vv_format_matches(f, NULL, bytes, 0, 0), VV_FORMAT_UNLIKE);
        assert_int_equal(vv_format_matches(f, "README", bytes, sizeof bytes, sizeof bytes), VV_FORMAT_UNLIKE);
        if (f->header_bytes > 0)
            f->header_put(&segment, bytes);
        size_t len = f->header_bytes + test_build_record(f, "x", 1, 1, bytes + f->header_bytes);
        assert_int_equal(vv_format_matches(f, NULL, bytes, len, len), VV_FORMAT_LIKE_BYTES);
        assert_int_equal(vv_format_matches(f, "README", bytes, len, len), VV_FORMAT_LIKE_BYTES);
        memset(bytes, 0xa5, sizeof bytes);
        assert_int_equal(vv_format_matches(f, name, bytes, len, len), VV_FORMAT_LIKE_NAME);
        assert_int_equal(vv_format_matches(f, NULL, bytes, len, len), VV_FORMAT_UNLIKE);
    }
    assert_int_equal(vv_format_matches(varve_format_get("varve"), "wal-0000000000000001.seg",
                                       (const uint8_t *)"VARVESEG", 8, 8),
                     VV_FORMAT_UNLIKE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format__fields_that_it_does_not_have),
        cmocka_unit_test(test_format__sizes),
        cmocka_unit_test(test_format__payloads_that_break_its_rules),
        cmocka_unit_test(test_format__derived_fields),
        cmocka_unit_test(test_format__the_transaction_that_stands_for_none),
        cmocka_unit_test(test_format__room),
        cmocka_unit_test(test_format__needs),
        cmocka_unit_test(test_format__zeros),
        cmocka_unit_test(test_format__any_bytes),
        cmocka_unit_test(test_format__found_names),
        cmocka_unit_test(test_format__matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
