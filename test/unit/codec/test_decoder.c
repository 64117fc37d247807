/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/codecs.h"

/* Lengths are refused before anything is done with them, and before memory is taken for them. */
static void test_decoder__check(void **state)
{
    (void)state;
    struct varve_error error = {0};
    assert_int_equal(vv_decoder_check(0, 100, 100, &error), 0);
    assert_int_equal(vv_decoder_check(0, 100, 101, &error), VARVE_E_CORRUPT);
    assert_int_equal(vv_decoder_check(0, 100, 99, &error), VARVE_E_CORRUPT);
    assert_int_equal(vv_decoder_check(127, 1, 1, &error), VARVE_E_CODEC);
    assert_int_equal(vv_decoder_check(100000, 1, 1, &error), VARVE_E_CODEC);
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        const struct varve_codec *codec = varve_codec_get(test_codecs_at(i));
        uint32_t overhead = vv_codec_overhead(codec);
        if (vv_codec_packer(codec) != NULL) {
            assert_int_equal(vv_decoder_check(codec->id, overhead + 10, 64 << 20, &error), 0);
            assert_int_equal(vv_decoder_check(codec->id, overhead + 10, (64 << 20) + 1, &error),
                             VARVE_E_CORRUPT);
        } else {
            assert_int_equal(vv_decoder_check(codec->id, overhead + 10, 10, &error), 0);
            assert_int_equal(vv_decoder_check(codec->id, overhead + 10, 11, &error), VARVE_E_CORRUPT);
        }
        if (overhead > 0) {
            assert_int_equal(vv_decoder_check(codec->id, overhead - 1, 0, &error), VARVE_E_CORRUPT);
        }
    }
}

/* What is not in this build is named. */
static void test_decoder__missing(void **state)
{
    (void)state;
    const struct varve_codec_setup setup = {.size = sizeof setup};
    struct vv_decoder decoder;
    struct varve_error error = {0};
    unsigned char out[4];
    vv_decoder_init(&decoder, &setup);
    assert_int_equal(vv_decoder_decode(&decoder, 199, NULL, "abcd", 4, out, 4, &error), VARVE_E_CODEC);
    assert_non_null(strstr(error.message, "199"));
    for (uint32_t id = 1; id <= 4; id++) {
        if (varve_codec_by_id(id) == NULL) {
            assert_int_equal(vv_decoder_decode(&decoder, id, NULL, "abcd", 4, out, 4, &error), VARVE_E_CODEC);
            assert_non_null(strstr(error.message, varve_codec_name(id)));
        }
    }
    vv_decoder_close(&decoder);
}

/* -- more codecs than a decoder keeps -- */

enum {
    MANY = 12
};
static int opened, closed;

static int count_open(const struct varve_codec_setup *setup, void **ret_context,
                      struct varve_error *ret_error)
{
    (void)ret_error;
    assert_int_equal(setup->decodes, 1);
    opened++;
    *ret_context = &opened;
    return 0;
}

static void count_close(void *context)
{
    assert_ptr_equal(context, &opened);
    closed++;
}

static size_t bound(size_t bytes)
{
    return bytes;
}

static int encode(void *context, const void *bytes, size_t length, void *out, size_t room, size_t *ret_length)
{
    (void)context, (void)bytes, (void)length, (void)out, (void)room, (void)ret_length;
    return VARVE_CODEC_NO_GAIN;
}

/* As many of the one byte as there should be. */
static int repeat(void *context, const struct varve_codec_unit *unit, const void *bytes, size_t length,
                  void *out, size_t raw_length, struct varve_error *ret_error)
{
    (void)unit, (void)ret_error;
    assert_ptr_equal(context, &opened);
    assert_int_equal(length, 1);
    memset(out, *(const unsigned char *)bytes, raw_length);
    return 0;
}

static void test_decoder__many(void **state)
{
    (void)state;
    static struct varve_codec codecs[MANY];
    static char names[MANY][16];
    const struct varve_codec_setup setup = {.size = sizeof setup};
    struct vv_decoder decoder;
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "repeat%u", i);
        codecs[i] = (struct varve_codec){.size = sizeof codecs[i],
                                         .id = 150 + i,
                                         .name = names[i],
                                         .open = count_open,
                                         .close = count_close,
                                         .bound = bound,
                                         .encode = encode,
                                         .decode = repeat};
        assert_int_equal(varve_codec_register(&codecs[i], NULL), 0);
    }
    vv_decoder_init(&decoder, &setup);
    for (uint32_t i = 0; i < 3 * MANY; i++) {
        unsigned char out[100], wanted[100];
        unsigned char byte = (unsigned char)i;
        memset(wanted, byte, sizeof wanted);
        assert_int_equal(vv_decoder_decode(&decoder, 150 + i % MANY, NULL, &byte, 1, out, sizeof out, NULL),
                         0);
        assert_memory_equal(out, wanted, sizeof out);
    }
    /* Those that are kept are not made again. */
    assert_true(opened < 3 * MANY);
    vv_decoder_close(&decoder);
    assert_int_equal(opened, closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoder__check),
        cmocka_unit_test(test_decoder__missing),
        cmocka_unit_test(test_decoder__many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
