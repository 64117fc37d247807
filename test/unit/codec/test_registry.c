/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/codec.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const own[] = {"identity", "lz4", "zstd", "aes-256-gcm", "zstd+aes-256-gcm"};

static void test_registry__own(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < sizeof own / sizeof own[0]; id++) {
        const struct varve_codec *codec = varve_codec_by_id(id);
        /* The name is known also where the codec was left out. */
        assert_string_equal(varve_codec_name(id), own[id]);
        assert_ptr_equal(varve_codec_get(own[id]), codec);
        if (codec != NULL) {
            assert_int_equal(codec->id, id);
            assert_string_equal(codec->name, own[id]);
        }
    }
    assert_non_null(varve_codec_get("identity"));
#ifdef VARVE_HAVE_LZ4
    assert_non_null(varve_codec_get("lz4"));
#else
    assert_null(varve_codec_get("lz4"));
#endif
#ifdef VARVE_HAVE_ZSTD
    assert_non_null(varve_codec_get("zstd"));
#else
    assert_null(varve_codec_get("zstd"));
#endif
#ifdef VARVE_HAVE_OPENSSL
    assert_non_null(varve_codec_get("aes-256-gcm"));
#else
    assert_null(varve_codec_get("aes-256-gcm"));
    assert_null(varve_codec_get("zstd+aes-256-gcm"));
#endif
}

static void test_registry__unknown(void **state)
{
    (void)state;
    assert_null(varve_codec_get(NULL));
    assert_null(varve_codec_get(""));
    assert_null(varve_codec_get("gzip"));
    assert_null(varve_codec_by_id(127));
    assert_null(varve_codec_by_id(256));
    assert_null(varve_codec_by_id(UINT32_MAX));
    assert_string_equal(varve_codec_name(127), "unknown");
    assert_string_equal(varve_codec_name(UINT32_MAX), "unknown");
}

/* -- registering -- */

static size_t bound(size_t bytes)
{
    return bytes;
}

static int encode(void *context, const void *bytes, size_t length, void *out, size_t room, size_t *ret_length)
{
    (void)context, (void)bytes, (void)length, (void)out, (void)room, (void)ret_length;
    return VARVE_CODEC_NO_GAIN;
}

static int decode(void *context, const struct varve_codec_unit *unit, const void *bytes, size_t length,
                  void *out, size_t raw_length, struct varve_error *ret_error)
{
    (void)context, (void)unit, (void)bytes, (void)length, (void)out, (void)raw_length, (void)ret_error;
    return VARVE_E_CORRUPT;
}

static int prepare(void *context, const struct varve_codec_unit *unit, void *ret_key,
                   struct varve_error *ret_error)
{
    (void)context, (void)unit, (void)ret_key, (void)ret_error;
    return 0;
}

static int begin(void *context, const struct varve_codec_unit *unit, void *ret_head)
{
    (void)context, (void)unit, (void)ret_head;
    return 0;
}

static int more(void *context, const void *bytes, size_t length, void *out)
{
    (void)context, (void)bytes, (void)length, (void)out;
    return 0;
}

static int end(void *context, void *ret_tail)
{
    (void)context, (void)ret_tail;
    return 0;
}

static int open(const struct varve_codec_setup *setup, void **ret_context, struct varve_error *ret_error)
{
    (void)setup, (void)ret_context, (void)ret_error;
    return 0;
}

#define PACKS .bound = bound, .encode = encode, .decode = decode
#define SEALS .prepare = prepare, .seal_begin = begin, .seal_more = more, .seal_end = end, .decode = decode
#define SIZE  .size = sizeof(struct varve_codec)

static const struct varve_codec packer = {SIZE, .id = 200, .name = "packer", PACKS};
static const struct varve_codec sealer = {SIZE, .id = 201, .name = "sealer", .head_bytes = 1024, SEALS};
static const struct varve_codec stack = {SIZE, .id = 255, .name = "a-z.0+9", .packs = &packer,
                                         .seals = &sealer};

static void test_registry__register(void **state)
{
    (void)state;
    struct varve_error error = {0};
    assert_int_equal(varve_codec_register(&packer, &error), 0);
    assert_int_equal(varve_codec_register(&sealer, &error), 0);
    assert_int_equal(varve_codec_register(&stack, &error), 0);
    assert_ptr_equal(varve_codec_get("a-z.0+9"), &stack);
    assert_ptr_equal(varve_codec_by_id(255), &stack);
    assert_string_equal(varve_codec_name(201), "sealer");
    /* Not a second time, and not under a name that is taken, also by one that was left out. */
    assert_int_equal(varve_codec_register(&packer, &error), VARVE_E_EXISTS);
    assert_int_equal(error.code, VARVE_E_EXISTS);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        const struct varve_codec thief = {SIZE, .id = 210, .name = own[i], PACKS};
        assert_int_equal(varve_codec_register(&thief, NULL), VARVE_E_EXISTS);
    }
    const struct varve_codec other = {SIZE, .id = 200, .name = "other", PACKS};
    assert_int_equal(varve_codec_register(&other, NULL), VARVE_E_EXISTS);
    assert_null(varve_codec_get("other"));
}

static void test_registry__refused(void **state)
{
    (void)state;
    const struct varve_codec bad[] = {
        {.size = 8, .id = 220, .name = "x", PACKS},
        {SIZE, .id = 127, .name = "x", PACKS},
        {SIZE, .id = 256, .name = "x", PACKS},
        {SIZE, .id = 220, .name = NULL, PACKS},
        {SIZE, .id = 220, .name = "", PACKS},
        {SIZE, .id = 220, .name = "Upper", PACKS},
        {SIZE, .id = 220, .name = "with blank", PACKS},
        {SIZE, .id = 220, .name = "0123456789012345678901234567890123456789", PACKS},
        {SIZE, .id = 220, .name = "x"},
        {SIZE, .id = 220, .name = "x", .encode = encode, .decode = decode},
        {SIZE, .id = 220, .name = "x", .encode = encode, .bound = bound},
        {SIZE, .id = 220, .name = "x", PACKS, .head_bytes = 8},
        {SIZE, .id = 220, .name = "x", PACKS, .open = open},
        {SIZE, .id = 220, .name = "x", .seal_begin = begin, .decode = decode},
        {SIZE, .id = 220, .name = "x", SEALS, .head_bytes = 12},
        {SIZE, .id = 220, .name = "x", SEALS, .head_bytes = 1032},
        {SIZE, .id = 220, .name = "x", SEALS, .tail_bytes = 1025},
        {SIZE, .id = 220, .name = "x", SEALS, .key_bytes = 4097},
        {SIZE, .id = 220, .name = "x", .packs = &packer},
        {SIZE, .id = 220, .name = "x", .packs = &sealer, .seals = &packer},
        {SIZE, .id = 220, .name = "x", .packs = &packer, .seals = &sealer, .decode = decode},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct varve_error error = {0};
        assert_int_equal(varve_codec_register(&bad[i], &error), VARVE_E_INVALID);
        assert_int_equal(error.code, VARVE_E_INVALID);
        assert_true(error.message[0] != '\0');
    }
    assert_int_equal(varve_codec_register(NULL, NULL), VARVE_E_INVALID);
    assert_null(varve_codec_by_id(220));
}

/* Of several threads that want the same id, one gets it. */
enum {
    THREADS = 8
};
static struct varve_codec wanted[THREADS];
static char names[THREADS][8];

static void *want(void *codec)
{
    return varve_codec_register(codec, NULL) == 0 ? codec : NULL;
}

static void test_registry__threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    unsigned got = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        snprintf(names[i], sizeof names[i], "race%u", i);
        wanted[i] = (struct varve_codec){SIZE, .id = 230, .name = names[i], PACKS};
        assert_int_equal(pthread_create(&threads[i], NULL, want, &wanted[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        got += result != NULL;
        assert_true(result == NULL || varve_codec_by_id(230) == result);
    }
    assert_int_equal(got, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry__own),      cmocka_unit_test(test_registry__unknown),
        cmocka_unit_test(test_registry__register), cmocka_unit_test(test_registry__refused),
        cmocka_unit_test(test_registry__threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
