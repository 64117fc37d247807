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

#include "base/alloc.h"
#include "lib/codecs.h"

#ifdef VARVE_HAVE_ZSTD

#include <stdbool.h>
#include <zdict.h>

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

/* Without a level, small frames are packed at level 1 and others at level 3, in any order. */
static void test_zstd__default(void **state)
{
    (void)state;
    static unsigned char raw[100000], out[2][100000];
    static const size_t sizes[] = {100000, 1000, 65535, 65536, 2000, 100000};
    void *given = open_level(0), *levels[2] = {open_level(1), open_level(3)};
    test_codecs_fill(raw, sizeof raw, 7);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t lengths[2] = {0, 0};
        void *same = levels[sizes[i] >= 65536];
        assert_int_equal(vv_codec_zstd.encode(given, raw, sizes[i], out[0], sizes[i] - 1, &lengths[0]), 0);
        assert_int_equal(vv_codec_zstd.encode(same, raw, sizes[i], out[1], sizes[i] - 1, &lengths[1]), 0);
        assert_int_equal(lengths[0], lengths[1]);
        assert_memory_equal(out[0], out[1], lengths[0]);
    }
    vv_codec_zstd.close(given);
    vv_codec_zstd.close(levels[0]);
    vv_codec_zstd.close(levels[1]);
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

/* -- dictionaries -- */

enum {
    SHELF = 6,
    SAMPLES = 400,
    SAMPLE_BYTES = 200,
    DICTIONARY_BYTES = 4096
};

/* Dictionaries by id, and how often each was asked for. */
struct shelf {
    unsigned char bytes[SHELF][DICTIONARY_BYTES];
    size_t length[SHELF];
    uint32_t id[SHELF];
    unsigned asked;
    int fails;     /* 0, or what asking gives */
    bool mistaken; /* gives another one */
};

/* Text that such a dictionary is good for; each subject has words of its own. */
static size_t sample(char *out, unsigned subject, unsigned number)
{
    return (size_t)snprintf(out, SAMPLE_BYTES,
                            "{\"subject-%u\": \"account\", \"branch\": \"north-%u\", \"amount\": %u, "
                            "\"currency\": \"EUR\", \"remark\": \"transfer number %u\"}",
                            subject * 7919, subject, number * 37 % 1000, number);
}

static void fill_shelf(struct shelf *shelf)
{
    static char samples[SAMPLES * SAMPLE_BYTES];
    memset(shelf, 0, sizeof *shelf);
    for (unsigned i = 0; i < SHELF; i++) {
        size_t sizes[SAMPLES], at = 0;
        for (unsigned k = 0; k < SAMPLES; k++) {
            sizes[k] = sample(samples + at, i, k);
            at += sizes[k];
        }
        shelf->length[i] = ZDICT_trainFromBuffer(shelf->bytes[i], DICTIONARY_BYTES, samples, sizes, SAMPLES);
        assert_false(ZDICT_isError(shelf->length[i]));
        shelf->id[i] = ZDICT_getDictID(shelf->bytes[i], shelf->length[i]);
        assert_int_not_equal(shelf->id[i], 0);
    }
}

static int find_on_shelf(void *arg, uint32_t id, const void **ret_bytes, size_t *ret_length,
                         struct varve_error *ret_error)
{
    struct shelf *shelf = arg;
    shelf->asked++;
    for (unsigned i = 0; i < SHELF && shelf->fails == 0; i++) {
        if (shelf->id[i] == id) {
            unsigned given = shelf->mistaken ? (i + 1) % SHELF : i;
            *ret_bytes = shelf->bytes[given];
            *ret_length = shelf->length[given];
            return 0;
        }
    }
    ret_error->code = shelf->fails != 0 ? shelf->fails : VARVE_E_DICTIONARY;
    return ret_error->code;
}

static size_t pack(const struct shelf *shelf, unsigned i, const char *text, size_t bytes, unsigned char *out)
{
    size_t length = 0;
    void *context = open_setup(&(struct varve_codec_setup){.size = sizeof(struct varve_codec_setup),
                                                           .dictionary = shelf->bytes[i],
                                                           .dictionary_bytes = shelf->length[i]});
    assert_int_equal(vv_codec_zstd.encode(context, text, bytes, out, 2 * SAMPLE_BYTES, &length), 0);
    vv_codec_zstd.close(context);
    return length;
}

static void *open_reader(struct shelf *shelf)
{
    return open_setup(&(struct varve_codec_setup){.size = sizeof(struct varve_codec_setup),
                                                  .decodes = 1,
                                                  .find_dictionary = find_on_shelf,
                                                  .find_arg = shelf});
}

/* A frame says which dictionary it needs; a reader asks for each once, as long as it can keep it. */
static void test_zstd__dictionaries(void **state)
{
    (void)state;
    struct shelf *shelf = malloc(sizeof *shelf);
    struct varve_error error = {0};
    char text[SAMPLE_BYTES], back[SAMPLE_BYTES];
    unsigned char out[2 * SAMPLE_BYTES], plain[2 * SAMPLE_BYTES];
    assert_non_null(shelf);
    fill_shelf(shelf);
    void *reader = open_reader(shelf), *without = open_level(0);
    /* Four are kept: the first four are asked for once each, a fifth makes one give way. */
    static const unsigned order[] = {0, 0, 1, 2, 3, 0, 1, 2, 3, 4, 3, 0};
    static const unsigned asked[] = {1, 1, 2, 3, 4, 4, 4, 4, 4, 5, 5, 6};
    for (unsigned k = 0; k < sizeof order / sizeof *order; k++) {
        size_t bytes = sample(text, order[k], 1000 + k), length = pack(shelf, order[k], text, bytes, out);
        size_t alone = 0;
        assert_int_equal(vv_codec_zstd.encode(without, text, bytes, plain, sizeof plain, &alone), 0);
        assert_true(length < alone);
        memset(back, 0, sizeof back);
        assert_int_equal(vv_codec_zstd.decode(reader, NULL, out, length, back, bytes, &error), 0);
        assert_memory_equal(back, text, bytes);
        assert_int_equal(shelf->asked, asked[k]);
    }
    vv_codec_zstd.close(reader);
    vv_codec_zstd.close(without);
    free(shelf);
}

static void test_zstd__dictionary_not_to_be_had(void **state)
{
    (void)state;
    struct shelf *shelf = malloc(sizeof *shelf);
    struct varve_error error = {0};
    char text[SAMPLE_BYTES], back[SAMPLE_BYTES];
    unsigned char out[2 * SAMPLE_BYTES];
    assert_non_null(shelf);
    fill_shelf(shelf);
    size_t bytes = sample(text, 2, 5), length = pack(shelf, 2, text, bytes, out);
    void *reader = open_reader(shelf), *alone = open_decoder();
    assert_int_equal(vv_codec_zstd.decode(alone, NULL, out, length, back, bytes, &error), VARVE_E_DICTIONARY);
    shelf->mistaken = true;
    assert_int_equal(vv_codec_zstd.decode(reader, NULL, out, length, back, bytes, &error),
                     VARVE_E_DICTIONARY);
    shelf->mistaken = false;
    shelf->fails = VARVE_E_IO;
    assert_int_equal(vv_codec_zstd.decode(reader, NULL, out, length, back, bytes, &error), VARVE_E_IO);
    /* A failure is not kept. */
    shelf->fails = 0;
    assert_int_equal(vv_codec_zstd.decode(reader, NULL, out, length, back, bytes, &error), 0);
    assert_memory_equal(back, text, bytes);
    vv_codec_zstd.close(reader);
    vv_codec_zstd.close(alone);
    free(shelf);
}

/* zstd has no checksum here: a byte that is turned is found, or gives other bytes of the right number, which
 * the record's checksum is for. Never more than was promised, never anything else. */
static void test_zstd__bytes_turned(void **state)
{
    (void)state;
    struct shelf *shelf = malloc(sizeof *shelf);
    char text[SAMPLE_BYTES];
    unsigned char out[2 * SAMPLE_BYTES];
    unsigned corrupt = 0, unknown = 0;
    assert_non_null(shelf);
    fill_shelf(shelf);
    size_t bytes = sample(text, 1, 9), length = pack(shelf, 1, text, bytes, out);
    void *reader = open_reader(shelf);
    for (size_t at = 0; at < length; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct varve_error error = {0};
            unsigned char *back = malloc(bytes), *part = malloc(length);
            memcpy(part, out, length);
            part[at] ^= (unsigned char)(1U << bit);
            int rc = vv_codec_zstd.decode(reader, NULL, part, length, back, bytes, &error);
            assert_true(rc == 0 || rc == VARVE_E_CORRUPT || rc == VARVE_E_DICTIONARY);
            corrupt += rc == VARVE_E_CORRUPT;
            unknown += rc == VARVE_E_DICTIONARY;
            free(back);
            free(part);
        }
    }
    assert_true(corrupt > 50 && unknown > 20);
    vv_codec_zstd.close(reader);
    free(shelf);
}

static void test_zstd__no_memory(void **state)
{
    (void)state;
    struct varve_error error = {0};
    void *context = NULL;
    vv_alloc_fail_after(0);
    assert_int_equal(vv_codec_zstd.open(&(struct varve_codec_setup){.size = sizeof(struct varve_codec_setup)},
                                        &context, &error),
                     VARVE_E_NOMEM);
    vv_alloc_fail_after(-1);
    assert_null(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zstd__levels),       cmocka_unit_test(test_zstd__default),
        cmocka_unit_test(test_zstd__dictionaries), cmocka_unit_test(test_zstd__dictionary_not_to_be_had),
        cmocka_unit_test(test_zstd__bytes_turned), cmocka_unit_test(test_zstd__no_memory),
        cmocka_unit_test(test_zstd__bad_settings), cmocka_unit_test(test_zstd__reused),
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
