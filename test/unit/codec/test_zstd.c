/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/codecs.h"

#ifdef VARVE_HAVE_ZSTD

static void *open_setup(const struct varve_codec_setup *setup)
{
    void *context = NULL;
    struct varve_error error = {.message = "?"};
    if (vv_codec_zstd.open(setup, &context, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return context;
}

static void *open_level(int level)
{
    return open_setup(&(struct varve_codec_setup){.size = sizeof(struct varve_codec_setup), .level = level});
}

static void *open_decoder(void)
{
    return open_setup(&(struct varve_codec_setup){.size = sizeof(struct varve_codec_setup), .decodes = 1});
}

static void test_zstd__levels(void **state)
{
    (void)state;
    enum {
        BYTES = 100000
    };
    static const int levels[] = {-7, -1, 0, 1, 3, 9, 19, 22};
    unsigned char *raw = malloc(BYTES), *out = malloc(BYTES), *back = malloc(BYTES);
    void *decoder = open_decoder();
    test_codecs_fill(raw, BYTES, 7);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        void *context = open_level(levels[i]);
        struct varve_error error = {0};
        size_t length = 0;
        assert_int_equal(vv_codec_zstd.encode(context, raw, BYTES, out, BYTES - 1, &length), 0);
        assert_true(length < BYTES / 2 && length <= vv_codec_zstd.bound(BYTES));
        memset(back, 0, BYTES);
        assert_int_equal(vv_codec_zstd.decode(decoder, NULL, out, length, back, BYTES, &error), 0);
        assert_memory_equal(back, raw, BYTES);
        vv_codec_zstd.close(context);
    }
    vv_codec_zstd.close(decoder);
    free(raw);
    free(out);
    free(back);
}

static void test_zstd__bad_settings(void **state)
{
    (void)state;
    const struct varve_codec_setup bad[] = {
        {.size = sizeof bad[0], .level = 23},
        {.size = sizeof bad[0], .level = -8},
        {.size = sizeof bad[0], .dictionary = "no dictionary at all", .dictionary_bytes = 20},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct varve_error error = {0};
        void *context = NULL;
        assert_int_equal(vv_codec_zstd.open(&bad[i], &context, &error), VARVE_E_INVALID);
        assert_true(error.message[0] != '\0');
        assert_null(context);
    }
}

/* One context, sizes up and down: each comes back. */
static void test_zstd__reused(void **state)
{
    (void)state;
    enum {
        BYTES = 300000
    };
    static const size_t sizes[] = {1, 300, 5000, BYTES, 77, 20000, 1000};
    unsigned char *raw = malloc(BYTES), *out = malloc(2 * BYTES), *back = malloc(BYTES);
    void *context = open_level(0), *decoder = open_decoder();
    test_codecs_fill(raw, BYTES, 5);
    for (unsigned round = 0; round < 40; round++) {
        size_t bytes = sizes[round % 7], length = 0;
        struct varve_error error = {0};
        assert_int_equal(vv_codec_zstd.encode(context, raw, bytes, out, 2 * BYTES, &length), 0);
        assert_int_equal(vv_codec_zstd.decode(decoder, NULL, out, length, back, bytes, &error), 0);
        assert_memory_equal(back, raw, bytes);
        assert_int_equal(vv_codec_zstd.encode(context, raw, bytes, out, length - 1, &length),
                         VARVE_CODEC_NO_GAIN);
    }
    vv_codec_zstd.close(context);
    vv_codec_zstd.close(decoder);
    free(raw);
    free(out);
    free(back);
}

/* Whatever stands there: exactly the length that was promised, or CORRUPT. */
static void test_zstd__damaged(void **state)
{
    (void)state;
    unsigned char raw[2000], out[4200];
    void *context = open_level(0), *decoder = open_decoder();
    struct varve_error error = {0};
    size_t length = 0, second = 0;
    test_codecs_fill(raw, sizeof raw, 3);
    assert_int_equal(vv_codec_zstd.encode(context, raw, sizeof raw, out, 2000, &length), 0);
    for (size_t cut = 0; cut < length; cut++) {
        unsigned char *part = malloc(cut + 1), *back = malloc(sizeof raw);
        memcpy(part, out, cut);
        assert_int_equal(vv_codec_zstd.decode(decoder, NULL, part, cut, back, sizeof raw, &error),
                         VARVE_E_CORRUPT);
        free(part);
        free(back);
    }
    for (size_t other = 0; other < 2 * sizeof raw; other += other == sizeof raw - 1 ? 2 : 1) {
        unsigned char *back = malloc(other + 1);
        assert_int_equal(vv_codec_zstd.decode(decoder, NULL, out, length, back, other, &error),
                         VARVE_E_CORRUPT);
        free(back);
    }
    /* Two frames, one behind the other, are not what encoding makes. */
    assert_int_equal(vv_codec_zstd.encode(context, raw, sizeof raw, out + length, 2000, &second), 0);
    unsigned char *back = malloc(2 * sizeof raw);
    assert_int_equal(vv_codec_zstd.decode(decoder, NULL, out, length + second, back, 2 * sizeof raw, &error),
                     VARVE_E_CORRUPT);
    free(back);
    vv_codec_zstd.close(context);
    vv_codec_zstd.close(decoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zstd__levels),
        cmocka_unit_test(test_zstd__bad_settings),
        cmocka_unit_test(test_zstd__reused),
        cmocka_unit_test(test_zstd__damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    puts("built without zstd");
    return 77;
}

#endif
