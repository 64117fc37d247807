/* SPDX-License-Identifier: Apache-2.0 */
#include "varve/writeset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "format/builtin.h"
#include "format/format.h"
#include "lib/hex.h"

#define TEXT(s) ((struct varve_bytes){(s), sizeof(s) - 1})

static struct varve_entity entity(enum varve_entity_kind kind)
{
    struct varve_entity e = {.kind = kind, .sequence = UINT64_C(0x1122334455667788)};
    e.name = TEXT("a");
    e.collection = TEXT("c\xd0\xba");
    for (uint8_t i = 0; i < 16; i++) {
        e.run[i] = i;
        e.document[i] = (uint8_t)(0xa0 + i);
    }
    return e;
}

/* Of docs/FORMATS.md: put of the key "a", value "b", version 1; and the record of stra with it. */
static void test_writeset__example(void **state)
{
    (void)state;
    const struct varve_entity kv = entity(VARVE_ENTITY_KV);
    struct varve_record record = {.flags = VARVE_RECORD_TXN, .txn_id = 1};
    const struct varve_format_stamp stamp = {0, 2};
    uint8_t expected[64], payload[64], out[128], sum[4];
    struct varve_writeset w;
    size_t bytes, len = test_hex("01 00 00 00 01 01 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"
                                 "01 00 00 00 61 01 00 00 00 00 00 00 00 01 00 00 00 62",
                                 expected);
    varve_writeset_begin(&w, payload, sizeof payload);
    assert_int_equal(varve_writeset_put(&w, &kv, 1, "b", 1), 0);
    assert_int_equal(varve_writeset_end(&w, &bytes), 0);
    assert_int_equal(bytes, len);
    assert_memory_equal(payload, expected, len);

    memcpy(record.origin, kv.run, sizeof record.origin);
    record.data = payload;
    record.data_bytes = bytes;
    vv_format_encode(&vv_format_stra, &record, bytes, &stamp, out);
    assert_int_equal(vv_format_record_bytes(&vv_format_stra, bytes), 81);
    assert_int_equal(out[0], 0x4d);
    test_hex("b9 1f 39 51", sum);
    assert_memory_equal(out + 77, sum, 4);
}

/* Every kind of mutation of every kind of entity. */
static size_t everything(uint8_t *out, size_t room, int *ret_rc)
{
    struct varve_writeset w;
    size_t bytes = 77;
    varve_writeset_begin(&w, out, room);
    for (int kind = VARVE_ENTITY_KV; kind <= VARVE_ENTITY_VECTOR; kind++) {
        const struct varve_entity e = entity((enum varve_entity_kind)kind);
        (void)varve_writeset_put(&w, &e, 10 + (uint64_t)kind, "value", 5);
        (void)varve_writeset_delete(&w, &e);
        (void)varve_writeset_append(&w, &e, UINT64_MAX, NULL, 0);
    }
    *ret_rc = varve_writeset_end(&w, &bytes);
    return bytes;
}

static void same_bytes(struct varve_bytes a, struct varve_bytes b)
{
    assert_int_equal(a.bytes, b.bytes);
    if (a.bytes > 0)
        assert_memory_equal(a.data, b.data, a.bytes);
}

static void check_entity(const struct varve_entity *read, enum varve_entity_kind kind)
{
    const struct varve_entity e = entity(kind);
    const struct varve_bytes none = {NULL, 0};
    bool named = kind == VARVE_ENTITY_KV || kind == VARVE_ENTITY_STATE || kind == VARVE_ENTITY_TRACE ||
                 kind == VARVE_ENTITY_VECTOR;
    assert_int_equal(read->kind, kind);
    assert_memory_equal(read->run, e.run, 16);
    same_bytes(read->name, named ? e.name : none);
    same_bytes(read->collection, kind == VARVE_ENTITY_VECTOR ? e.collection : none);
    assert_true(read->sequence == (kind == VARVE_ENTITY_EVENT ? e.sequence : 0));
    if (kind == VARVE_ENTITY_JSON)
        assert_memory_equal(read->document, e.document, 16);
    else
        assert_true(vv_is_zero(read->document, 16));
}

static void test_writeset__round_trip(void **state)
{
    (void)state;
    uint8_t bytes[2048], again[2048];
    int rc;
    size_t len = everything(bytes, sizeof bytes, &rc);
    struct varve_writeset_cursor cursor;
    struct varve_writeset w;
    struct varve_mutation m;
    assert_int_equal(rc, 0);
    assert_int_equal(varve_writeset_open(&cursor, bytes, len), 0);
    assert_int_equal(cursor.count, 21);
    varve_writeset_begin(&w, again, sizeof again);
    for (int i = 0; i < 21; i++) {
        enum varve_entity_kind kind = (enum varve_entity_kind)(1 + i / 3);
        assert_int_equal(varve_writeset_next(&cursor, &m), 0);
        check_entity(&m.entity, kind);
        assert_int_equal(m.kind, 1 + i % 3);
        if (m.kind == VARVE_MUTATION_PUT) {
            assert_int_equal(m.version, 10 + kind);
            same_bytes(m.value, TEXT("value"));
            rc = varve_writeset_put(&w, &m.entity, m.version, m.value.data, m.value.bytes);
        } else if (m.kind == VARVE_MUTATION_DELETE) {
            assert_int_equal(m.version, 0);
            rc = varve_writeset_delete(&w, &m.entity);
        } else {
            assert_true(m.version == UINT64_MAX);
            rc = varve_writeset_append(&w, &m.entity, m.version, m.value.data, m.value.bytes);
        }
        assert_int_equal(rc, 0);
    }
    assert_int_equal(varve_writeset_next(&cursor, &m), VARVE_END);
    assert_int_equal(varve_writeset_next(&cursor, &m), VARVE_END);
    assert_null(cursor.reason);
    size_t again_len;
    assert_int_equal(varve_writeset_end(&w, &again_len), 0);
    assert_int_equal(again_len, len);
    assert_memory_equal(again, bytes, len);
}

/* Into any room; the length is told in any case. */
static void test_writeset__any_room(void **state)
{
    (void)state;
    uint8_t bytes[2048];
    int rc;
    size_t len = everything(bytes, sizeof bytes, &rc);
    for (size_t room = 0; room < len + 2; room++) {
        uint8_t *exact = malloc(room + 1);
        assert_int_equal(everything(room > 0 ? exact : NULL, room, &rc), len);
        assert_int_equal(rc, room < len ? VARVE_E_TOO_LARGE : 0);
        if (rc == 0)
            assert_memory_equal(exact, bytes, len);
        free(exact);
    }
}

static void test_writeset__empty(void **state)
{
    (void)state;
    struct varve_writeset w;
    struct varve_writeset_cursor cursor;
    struct varve_mutation m;
    uint8_t bytes[4];
    size_t len;
    varve_writeset_begin(&w, bytes, sizeof bytes);
    assert_int_equal(varve_writeset_end(&w, &len), 0);
    assert_int_equal(len, 4);
    assert_memory_equal(bytes, "\0\0\0\0", 4);
    assert_int_equal(varve_writeset_open(&cursor, bytes, 4), 0);
    assert_int_equal(varve_writeset_next(&cursor, &m), VARVE_END);
}

/* The first refusal stays. */
static void test_writeset__what_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct varve_writeset w;
    size_t len = 77;
    struct varve_entity bad[4] = {entity(VARVE_ENTITY_KV), entity(VARVE_ENTITY_VECTOR),
                                  entity((enum varve_entity_kind)0), entity((enum varve_entity_kind)8)};
    const struct varve_entity good = entity(VARVE_ENTITY_RUN);
    bad[0].name = TEXT("\xff");
    bad[1].collection = TEXT("\xd0");
    for (unsigned i = 0; i < 4; i++) {
        varve_writeset_begin(&w, bytes, sizeof bytes);
        assert_int_equal(varve_writeset_delete(&w, &bad[i]), VARVE_E_INVALID);
        assert_int_equal(varve_writeset_delete(&w, &good), VARVE_E_INVALID);
        assert_int_equal(varve_writeset_end(&w, &len), VARVE_E_INVALID);
        assert_int_equal(len, 77);
    }
    varve_writeset_begin(&w, bytes, sizeof bytes);
    assert_int_equal(varve_writeset_put(&w, &good, 1, bytes, (size_t)UINT32_MAX + 1), VARVE_E_INVALID);
}

/* -- bytes of unknown worth -- */

static int read_all(const uint8_t *bytes, size_t len, const char **ret_reason)
{
    struct varve_writeset_cursor cursor;
    struct varve_mutation m;
    int rc = varve_writeset_open(&cursor, bytes, len);
    while (rc == 0)
        rc = varve_writeset_next(&cursor, &m);
    *ret_reason = cursor.reason;
    if (rc == VARVE_E_CORRUPT) {
        assert_non_null(cursor.reason);
        assert_int_equal(varve_writeset_next(&cursor, &m), VARVE_E_CORRUPT);
    }
    return rc;
}

static void test_writeset__cut_and_longer(void **state)
{
    (void)state;
    uint8_t bytes[2048];
    const char *reason;
    int rc;
    size_t len = everything(bytes, sizeof bytes, &rc);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, bytes, cut);
        assert_int_equal(read_all(exact, cut, &reason), VARVE_E_CORRUPT);
        free(exact);
    }
    bytes[len] = 0;
    assert_int_equal(read_all(bytes, len + 1, &reason), VARVE_E_CORRUPT);
    assert_string_equal(reason, "bytes are left over");
}

/* Four bytes that claim 1.5 billion mutations reserve nothing and read nothing. */
static void test_writeset__counts_that_cannot_be(void **state)
{
    (void)state;
    uint8_t bytes[4 + 36] = {0};
    const char *reason;
    vv_put_u32(bytes, 1500000000);
    assert_int_equal(read_all(bytes, 4, &reason), VARVE_E_CORRUPT);
    vv_put_u32(bytes, 3);
    assert_int_equal(read_all(bytes, sizeof bytes, &reason), VARVE_E_CORRUPT);
    assert_string_equal(reason, "insufficient data for so many mutations");
    vv_put_u32(bytes, 2); /* two deletes of a run */
    bytes[4] = bytes[22] = VARVE_MUTATION_DELETE;
    bytes[5] = bytes[23] = VARVE_ENTITY_RUN;
    assert_int_equal(read_all(bytes, sizeof bytes, &reason), VARVE_END);
    bytes[4] = 4;
    assert_int_equal(read_all(bytes, sizeof bytes, &reason), VARVE_E_CORRUPT);
    assert_string_equal(reason, "unknown mutation tag");
    bytes[4] = VARVE_MUTATION_DELETE;
    bytes[5] = 8;
    assert_int_equal(read_all(bytes, sizeof bytes, &reason), VARVE_E_CORRUPT);
    assert_string_equal(reason, "unknown entity tag");
    bytes[5] = VARVE_ENTITY_KV;
    bytes[22] = 1; /* a name of one byte */
    bytes[23] = 0;
    bytes[26] = 0xff;
    assert_int_equal(read_all(bytes, sizeof bytes, &reason), VARVE_E_CORRUPT);
    assert_string_equal(reason, "a text is not UTF-8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writeset__example),
        cmocka_unit_test(test_writeset__round_trip),
        cmocka_unit_test(test_writeset__any_room),
        cmocka_unit_test(test_writeset__empty),
        cmocka_unit_test(test_writeset__what_is_refused),
        cmocka_unit_test(test_writeset__cut_and_longer),
        cmocka_unit_test(test_writeset__counts_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
