/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/codecs.h"
#include "lib/rng.h"

struct way {
    struct varve_keys *keys;
    struct vv_encoder encoder;
    struct vv_decoder decoder;
    unsigned char key[VV_CODEC_KEY_MAX];
    struct varve_codec_unit unit;
};

static void way_open(struct way *way, const char *name)
{
    struct varve_error error = {.message = "?"};
    way->keys = test_codecs_keys(1);
    const struct varve_codec_setup setup = {.size = sizeof setup, .bytes_max = 100000, .keys = way->keys};
    if (vv_encoder_open(&way->encoder, varve_codec_get(name), &setup, &error) != 0) {
        fail_msg("%s: %s", name, error.message);
    }
    vv_decoder_init(&way->decoder, &setup);
    way->unit = (struct varve_codec_unit){.salt = 3, .session = 4, .lsn = 5, .aad = "x", .aad_bytes = 1};
    if (way->encoder.sealer != NULL) {
        assert_int_equal(way->encoder.sealer->prepare(way->encoder.sealing, &way->unit, way->key, &error), 0);
        way->unit.key = way->key;
    }
}

static void way_close(struct way *way)
{
    vv_encoder_close(&way->encoder);
    vv_decoder_close(&way->decoder);
    varve_keys_free(way->keys);
}

/* Piece by piece, as in formats that encode each payload: content that shrinks and content that does not. */
static void check_codec(const char *name)
{
    static const size_t sizes[] = {1000, 0, 1, 7, 100, 100000};
    struct way *way = calloc(1, sizeof *way);
    struct test_rng rng;
    assert_non_null(way);
    test_rng_init(&rng, 1);
    way_open(way, name);
    uint32_t overhead = vv_codec_overhead(way->encoder.codec);
    for (size_t i = 0; i < 2 * (sizeof sizes / sizeof sizes[0]); i++) {
        size_t bytes = sizes[i / 2], length = 0;
        unsigned char *raw = malloc(bytes + 1), *out = malloc(bytes + overhead + 1),
                      *back = malloc(bytes + 1);
        struct varve_error error = {.message = "?"};
        uint8_t id = 255;
        if (i % 2 == 0) {
            test_codecs_fill(raw, bytes, i);
        } else {
            test_rng_fill(&rng, raw, bytes);
        }
        assert_int_equal(
            vv_encoder_encode(&way->encoder, &way->unit, raw, bytes, out, bytes + overhead, &length, &id), 0);
        bool packed = length < bytes + overhead;
        /* Chance does not shrink; the small ones may or may not. */
        if (i % 2 != 0 || bytes >= 1000 || way->encoder.packer == NULL) {
            assert_int_equal(packed, i % 2 == 0 && way->encoder.packer != NULL);
        }
        assert_int_equal(id, vv_encoder_id(&way->encoder, packed));
        if (vv_decoder_decode(&way->decoder, id, &way->unit, out, length, back, bytes, &error) != 0) {
            fail_msg("%s, %zu bytes: %s", name, bytes, error.message);
        }
        assert_memory_equal(back, raw, bytes);
        if (bytes + overhead > 0) {
            assert_int_equal(vv_encoder_encode(&way->encoder, &way->unit, raw, bytes, out,
                                               bytes + overhead - 1, &length, &id),
                             VARVE_E_INVALID);
        }
        free(raw);
        free(out);
        free(back);
    }
    way_close(way);
    free(way);
}

static void test_encoder__every_codec(void **state)
{
    (void)state;
    check_codec("identity");
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        check_codec(test_codecs_at(i));
    }
}

/* Of a stack each part is opened and closed, also when the second does not open. */
static void test_encoder__half_open(void **state)
{
    (void)state;
    const struct varve_codec *stack = varve_codec_by_id(VARVE_CODEC_ZSTD_AES_256_GCM);
    const struct varve_codec_setup setup = {.size = sizeof setup};
    struct vv_encoder encoder;
    struct varve_error error = {0};
    if (stack == NULL) {
        skip();
    }
    assert_int_equal(vv_encoder_open(&encoder, stack, &setup, &error), VARVE_E_KEY_MISSING);
    assert_int_equal(error.code, VARVE_E_KEY_MISSING);
    vv_encoder_close(&encoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoder__every_codec),
        cmocka_unit_test(test_encoder__half_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
