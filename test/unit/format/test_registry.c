/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "format/format.h"

/* A format of a test's own: a length and the payload, and nothing else. */
static void head_put(const struct varve_record *record, uint64_t payload_bytes,
                     const struct varve_format_stamp *stamp, uint8_t *out)
{
    (void)record;
    (void)stamp;
    out[0] = (uint8_t)payload_bytes;
}

static enum varve_found head_get(const uint8_t *bytes, struct varve_format_entry *entry)
{
    entry->payload_bytes = bytes[0];
    return VARVE_FOUND_RECORD;
}

static void name_put(uint64_t number, char *out)
{
    snprintf(out, VARVE_FORMAT_FILE_NAME_BYTES, "f%u", (unsigned)number);
}

static enum varve_format_name name_get(const char *name, uint64_t *ret_number)
{
    unsigned number;
    if (sscanf(name, "f%u", &number) != 1)
        return VARVE_NAME_NONE;
    *ret_number = number;
    return VARVE_NAME_SEGMENT;
}

static enum varve_format_name name_get_none(const char *name, uint64_t *ret_number)
{
    (void)name;
    (void)ret_number;
    return VARVE_NAME_NONE;
}

static const struct varve_format plain = {
    .size = sizeof plain,
    .name = "plain",
    .summary = "a length and bytes",
    .payload_max = 255,
    .folder = "",
    .segment_default = 4096,
    .segment_min = 1024,
    .segment_max = 1 << 20,
    .name_put = name_put,
    .name_get = name_get,
    .head_bytes = 1,
    .head_put = head_put,
    .head_get = head_get,
};

static void test_registry__the_library_s_own(void **state)
{
    (void)state;
    static const char *const names[] = {"varve", "stra", "wlog", "aero", "dbkv", "lfwal"};
    for (unsigned i = 0; i < 6; i++) {
        const struct varve_format *f = varve_format_at(i);
        assert_non_null(f);
        assert_string_equal(f->name, names[i]);
        assert_ptr_equal(varve_format_get(names[i]), f);
        assert_int_equal(f->size, sizeof *f);
        assert_true(strlen(f->summary) > 0);
        assert_int_equal(f->derives & ~f->carries, 0);
        assert_int_equal(f->traits & VARVE_FORMAT_NATIVE, i == 0 ? VARVE_FORMAT_NATIVE : 0);
    }
    assert_null(varve_format_get("plaine"));
    assert_null(varve_format_get(""));
    assert_null(varve_format_at(64));
    assert_null(varve_format_at(UINT32_MAX));
}

/* The library's own tables, under another name, are such as it would take. */
static void test_registry__the_library_s_own_are_sound(void **state)
{
    (void)state;
    static char names[6][32];
    static struct varve_format copies[6];
    unsigned before = 0;
    while (varve_format_at(before) != NULL)
        before++;
    for (unsigned i = 1; i < 6; i++) {
        struct varve_error error;
        copies[i] = *varve_format_at(i);
        snprintf(names[i], sizeof names[i], "%scopy", copies[i].name);
        copies[i].name = names[i];
        assert_int_equal(varve_format_register(&copies[i], &error), 0);
        assert_ptr_equal(varve_format_at(before + i - 1), &copies[i]);
        assert_ptr_equal(varve_format_get(names[i]), &copies[i]);
    }
}

static void refused(struct varve_format f, const char *why)
{
    struct varve_error error = {.code = 0};
    int rc = varve_format_register(&f, &error);
    if (rc != VARVE_E_INVALID || strstr(error.message, why) == NULL)
        fail_msg("%s: %d %s", why, rc, error.message);
}

#define REFUSED(why, ...)              \
    do {                               \
        struct varve_format f = plain; \
        __VA_ARGS__;                   \
        refused(f, why);               \
    } while (0)

/* A table that contradicts itself is told so, and is not taken. */
static void test_registry__what_is_refused(void **state)
{
    (void)state;
    unsigned count = 0;
    while (varve_format_at(count) != NULL)
        count++;
    REFUSED("table", f.size--);
    REFUSED("table", f.size = 0);
    REFUSED("name", f.name = NULL);
    REFUSED("name", f.name = "");
    REFUSED("name", f.name = "Plain");
    REFUSED("name", f.name = "a-b");
    REFUSED("name", f.name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    REFUSED("summary", f.summary = NULL);
    REFUSED("derives", f.derives = VARVE_FIELD_TYPE);
    REFUSED("only varve", f.traits = VARVE_FORMAT_NATIVE);
    REFUSED("only varve", f.carries = VARVE_FIELD_FRAMES);
    REFUSED("time_unit_ns", f.time_unit_ns = 1000);
    REFUSED("time_unit_ns", f.carries = VARVE_FIELD_TIME);
    REFUSED("time_unit_ns", f.carries = VARVE_FIELD_TIME; f.time_unit_ns = 7);
    REFUSED("origin", f.carries = VARVE_FIELD_ORIGIN);
    REFUSED("type_m", f.type_max = 3);
    REFUSED("type_m", f.carries = VARVE_FIELD_TYPE; f.type_min = 4; f.type_max = 3);
    REFUSED("payload_m", f.payload_min = 256);
    REFUSED("payload_m", f.payload_max = UINT64_C(1) << 32);
    REFUSED("folder", f.folder = NULL);
    REFUSED("folder", f.folder = "a/b");
    REFUSED("name_put", f.name_put = NULL);
    REFUSED("name_get", f.name_get = NULL);
    REFUSED("name_get does not read", f.name_get = name_get_none);
    REFUSED("name_get does not read", f.layout = VARVE_LAYOUT_RENAMED);
    REFUSED("header", f.header_bytes = 8);
    REFUSED("header", f.header_bytes = VARVE_FORMAT_HEADER_MAX + 1);
    REFUSED("segment_min", f.segment_min = 0);
    REFUSED("segment_min", f.segment_min = 8192);
    REFUSED("segment_min", f.segment_max = 2048);
    REFUSED("segment_min", f.segment_max = UINT64_MAX);
    REFUSED("fixed size", f.traits = VARVE_FORMAT_FIXED);
    REFUSED("head_bytes", f.head_bytes = 0);
    REFUSED("head_bytes", f.head_bytes = VARVE_FORMAT_HEAD_MAX + 1);
    REFUSED("head_put", f.head_put = NULL);
    REFUSED("head_get", f.head_get = NULL);
    REFUSED("sum", f.sum = (enum varve_format_sum)3);
    REFUSED("sum_from", f.sum_from = 2);
    REFUSED("tail_bytes", f.tail_bytes = 4);
    REFUSED("sum_at", f.sum = VARVE_SUM_CRC32; f.sum_at = -1);
    REFUSED("sum_at", f.sum = VARVE_SUM_CRC32; f.sum_at = 0; f.sum_from = 1);
    REFUSED("meta_get", f.meta_name = "META");
    REFUSED("meta_name", f.meta_put = varve_format_get("stra")->meta_put);
    assert_null(varve_format_at(count));
    assert_int_equal(varve_format_register(NULL, NULL), VARVE_E_INVALID);
}

/* Registered, it encodes and decodes as any other; twice is once too often; and the list has an end. */
static void test_registry__register(void **state)
{
    (void)state;
    static char names[64][16];
    static struct varve_format more[64];
    const struct varve_record record = {.data = "abc", .data_bytes = 3};
    const struct varve_format_stamp stamp = {1, 0};
    struct varve_format_entry entry;
    struct varve_error error;
    uint8_t bytes[4];
    int rc = 0;

    assert_int_equal(varve_format_register(&plain, &error), 0);
    assert_int_equal(varve_format_register(&plain, &error), VARVE_E_EXISTS);
    assert_int_equal(vv_format_admit(&plain, &record, 3, &error), 0);
    vv_format_encode(&plain, &record, 3, &stamp, bytes);
    assert_memory_equal(bytes, "\3abc", 4);
    assert_int_equal(vv_format_decode(&plain, bytes, 4, 4, &entry), VARVE_FOUND_RECORD);
    assert_int_equal(entry.payload_bytes, 3);
    assert_int_equal(vv_format_decode(&plain, bytes, 3, 3, &entry), VARVE_FOUND_CUT);

    for (unsigned i = 0; i < 64 && rc == 0; i++) {
        snprintf(names[i], sizeof names[i], "more%u", i);
        more[i] = plain;
        more[i].name = names[i];
        rc = varve_format_register(&more[i], &error);
        assert_true(rc != 0 || varve_format_get(names[i]) == &more[i]);
    }
    assert_int_equal(rc, VARVE_E_LIMIT);
    assert_non_null(varve_format_at(63));
    assert_null(varve_format_at(64));
}

static void test_registry__times(void **state)
{
    (void)state;
    const struct varve_format *ns = varve_format_get("dbkv"), *us = varve_format_get("stra");
    const struct varve_format *s = varve_format_get("lfwal"), *none = varve_format_get("wlog");
    assert_int_equal(varve_format_time_us(ns, 1999), 1);
    assert_int_equal(varve_format_time_us(ns, (uint64_t)-1), 0);
    assert_int_equal(varve_format_time_us(us, 77), 77);
    assert_int_equal(varve_format_time_us(s, 3), 3000000);
    assert_true(varve_format_time_us(s, UINT64_MAX) == UINT64_MAX);
    assert_int_equal(varve_format_time_us(none, 5), 0);
    assert_int_equal(varve_format_time_of_us(ns, 5), 5000);
    assert_true(varve_format_time_of_us(ns, UINT64_MAX) == INT64_MAX);
    assert_true(varve_format_time_of_us(us, UINT64_MAX) == UINT64_MAX);
    assert_int_equal(varve_format_time_of_us(s, 2999999), 2);
    assert_int_equal(varve_format_time_of_us(none, 5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry__the_library_s_own),
        cmocka_unit_test(test_registry__the_library_s_own_are_sound),
        cmocka_unit_test(test_registry__what_is_refused),
        cmocka_unit_test(test_registry__register),
        cmocka_unit_test(test_registry__times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
