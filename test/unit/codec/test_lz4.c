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

#ifdef VARVE_HAVE_LZ4

static void *open_level(int level)
{
    const struct varve_codec_setup setup = {.size = sizeof setup, .level = level};
    void *context = NULL;
    struct varve_error error = {0};
    assert_int_equal(vv_codec_lz4.open(&setup, &context, &error), 0);
    assert_non_null(context);
    return context;
}

/* Every level decodes to what it was given, and a higher one makes no more of it than the lowest. */
static void test_lz4__levels(void **state)
{
    (void)state;
    enum {
        BYTES = 100000
    };
    unsigned char *raw = malloc(BYTES), *out = malloc(BYTES), *back = malloc(BYTES);
    size_t first = 0;
    test_codecs_fill(raw, BYTES, 7);
    for (int level = 0; level <= 12; level++) {
        void *context = open_level(level);
        struct varve_error error = {0};
        size_t length = 0;
        assert_int_equal(vv_codec_lz4.encode(context, raw, BYTES, out, BYTES - 1, &length), 0);
        assert_true(length < BYTES / 2);
        first = level == 0 ? length : first;
        assert_true(length <= first);
        memset(back, 0, BYTES);
        assert_int_equal(vv_codec_lz4.decode(NULL, NULL, out, length, back, BYTES, &error), 0);
        assert_memory_equal(back, raw, BYTES);
        vv_codec_lz4.close(context);
    }
    free(raw);
    free(out);
    free(back);
}

/* Without a level, large frames are packed faster, and small ones as at level 1. */
static void test_lz4__default(void **state)
{
    (void)state;
    static unsigned char raw[100000], out[2][100000];
    static const size_t sizes[] = {1000, 65535, 65536, 100000};
    void *given = open_level(0), *first = open_level(1);
    test_codecs_fill(raw, sizeof raw, 7);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t lengths[2] = {0, 0};
        assert_int_equal(vv_codec_lz4.encode(given, raw, sizes[i], out[0], sizes[i] - 1, &lengths[0]), 0);
        assert_int_equal(vv_codec_lz4.encode(first, raw, sizes[i], out[1], sizes[i] - 1, &lengths[1]), 0);
        if (sizes[i] < 65536) {
            assert_int_equal(lengths[0], lengths[1]);
            assert_memory_equal(out[0], out[1], lengths[0]);
        } else {
            assert_true(lengths[0] > lengths[1] && lengths[0] < lengths[1] * 5 / 4);
        }
    }
    vv_codec_lz4.close(given);
    vv_codec_lz4.close(first);
}

static void test_lz4__bad_settings(void **state)
{
    (void)state;
    const struct varve_codec_setup bad[] = {
        {.size = sizeof bad[0], .level = 13},
        {.size = sizeof bad[0], .level = -1},
        {.size = sizeof bad[0], .dictionary = "x", .dictionary_bytes = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct varve_error error = {0};
        void *context = NULL;
        assert_int_equal(vv_codec_lz4.open(&bad[i], &context, &error), VARVE_E_INVALID);
        assert_non_null(strstr(error.message, "lz4"));
        assert_null(context);
    }
}

/* What is too long for its room is left alone, to the byte. */
static void test_lz4__room(void **state)
{
    (void)state;
    unsigned char raw[3000], out[4000];
    void *context = open_level(0);
    size_t length = 0, again = 0;
    test_codecs_fill(raw, sizeof raw, 1);
    assert_int_equal(vv_codec_lz4.encode(context, raw, sizeof raw, out, sizeof out, &length), 0);
    assert_true(length <= vv_codec_lz4.bound(sizeof raw));
    for (size_t room = 0; room < length; room += room + 50 < length ? 50 : 1) {
        memset(out, 0x5a, sizeof out);
        assert_int_equal(vv_codec_lz4.encode(context, raw, sizeof raw, out, room, &again),
                         VARVE_CODEC_NO_GAIN);
        assert_int_equal(out[room], 0x5a);
    }
    assert_int_equal(vv_codec_lz4.encode(context, raw, sizeof raw, out, length, &again), 0);
    assert_int_equal(again, length);
    assert_int_equal(vv_codec_lz4.bound((size_t)1 << 40), 0);
    vv_codec_lz4.close(context);
}

/* Cut off, too long, of another length than promised: never past the memory there is. */
static void test_lz4__damaged(void **state)
{
    (void)state;
    unsigned char raw[2000], out[2000];
    void *context = open_level(0);
    struct varve_error error = {0};
    size_t length = 0;
    test_codecs_fill(raw, sizeof raw, 3);
    assert_int_equal(vv_codec_lz4.encode(context, raw, sizeof raw, out, sizeof out, &length), 0);
    for (size_t cut = 0; cut < length; cut++) {
        unsigned char *part = malloc(cut + 1), *back = malloc(sizeof raw);
        memcpy(part, out, cut);
        assert_int_equal(vv_codec_lz4.decode(NULL, NULL, part, cut, back, sizeof raw, &error),
                         VARVE_E_CORRUPT);
        free(part);
        free(back);
    }
    for (size_t other = 0; other < sizeof raw; other += 7) {
        unsigned char *back = malloc(other + 1);
        assert_int_equal(vv_codec_lz4.decode(NULL, NULL, out, length, back, other, &error), VARVE_E_CORRUPT);
        free(back);
    }
    vv_codec_lz4.close(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lz4__levels),       cmocka_unit_test(test_lz4__default),
        cmocka_unit_test(test_lz4__bad_settings), cmocka_unit_test(test_lz4__room),
        cmocka_unit_test(test_lz4__damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    puts("built without lz4");
    return 77;
}

#endif
