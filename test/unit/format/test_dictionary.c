/* SPDX-License-Identifier: Apache-2.0 */
#include "format/dictionary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

enum {
    STORED = 60
};

static const struct vv_dictionary_header sample = {.id = 0x01ab23cd,
                                                   .stored_bytes = STORED,
                                                   .raw_bytes = 20,
                                                   .codec = 3,
                                                   .salt = UINT64_C(0x1122334455667788)};

static void make(uint8_t *file)
{
    for (unsigned i = 0; i < STORED; i++) {
        file[VV_DICTIONARY_HEADER_BYTES + i] = (uint8_t)(i * 7);
    }
    vv_dictionary_encode(&sample, file + VV_DICTIONARY_HEADER_BYTES, file);
}

static void test_dictionary__round_trip(void **state)
{
    (void)state;
    uint8_t file[VV_DICTIONARY_HEADER_BYTES + STORED];
    struct vv_dictionary_header back;
    make(file);
    assert_memory_equal(file, "VARVEDIC\1\0\0\0\xcd\x23\xab\x01", 16);
    assert_int_equal(vv_dictionary_decode(file, sizeof file, &back), 0);
    assert_int_equal(back.id, sample.id);
    assert_int_equal(back.stored_bytes, sample.stored_bytes);
    assert_int_equal(back.raw_bytes, sample.raw_bytes);
    assert_int_equal(back.codec, sample.codec);
    assert_int_equal(back.salt, sample.salt);
}

static void test_dictionary__damaged(void **state)
{
    (void)state;
    uint8_t file[VV_DICTIONARY_HEADER_BYTES + STORED + 1] = {0};
    size_t whole = sizeof file - 1;
    struct vv_dictionary_header back;
    make(file);
    for (size_t bit = 0; bit < 8 * whole; bit++) {
        file[bit / 8] = (uint8_t)(file[bit / 8] ^ 1u << bit % 8);
        assert_int_not_equal(vv_dictionary_decode(file, whole, &back), 0);
        file[bit / 8] = (uint8_t)(file[bit / 8] ^ 1u << bit % 8);
    }
    for (size_t cut = 0; cut < whole; cut++) {
        uint8_t *part = malloc(cut + 1);
        assert_non_null(part);
        memcpy(part, file, cut);
        assert_int_not_equal(vv_dictionary_decode(part, cut, &back), 0);
        free(part);
    }
    assert_int_not_equal(vv_dictionary_decode(file, whole + 1, &back), 0);
    /* Lengths that cannot be, with a right checksum. */
    struct vv_dictionary_header bad = sample;
    bad.raw_bytes = VV_DICTIONARY_BYTES_MAX + 1;
    vv_dictionary_encode(&bad, file + VV_DICTIONARY_HEADER_BYTES, file);
    assert_int_not_equal(vv_dictionary_decode(file, whole, &back), 0);
    bad.raw_bytes = STORED + 1;
    vv_dictionary_encode(&bad, file + VV_DICTIONARY_HEADER_BYTES, file);
    assert_int_not_equal(vv_dictionary_decode(file, whole, &back), 0);
}

static void test_dictionary__name(void **state)
{
    (void)state;
    char name[VV_DICTIONARY_NAME_BYTES];
    vv_dictionary_name(0x01ab23cd, name);
    assert_string_equal(name, "dictionary-01ab23cd");
    vv_dictionary_name(UINT32_MAX, name);
    assert_string_equal(name, "dictionary-ffffffff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dictionary__round_trip),
        cmocka_unit_test(test_dictionary__damaged),
        cmocka_unit_test(test_dictionary__name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
