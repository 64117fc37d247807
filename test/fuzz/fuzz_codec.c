/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a codec has stored. The first byte says of which one (id 1 to 4), and with 128 added the
 * bytes are sealed first, as somebody would who has the key: then what is below the seal is looked at; with
 * 64 added there is a dictionary, whose id the bytes of zstd may name and with which they are packed again.
 * Four bytes say how long it claims to have been, which is held against what is possible before anything is
 * allocated; the rest is what stands there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef VARVE_HAVE_ZSTD
#include <zdict.h>
#endif

#include "base/bytes.h"
#include "base/secret.h"
#include "codec/codec.h"
#include "lib/fuzz.h"
#include "varve/varve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    /* What is larger is checked, and not decoded: it would only be slow. */
    RAW_MAX = 1 << 20,
    DICTIONARY_BYTES = 4096,
};

static struct varve_keys *the_keys;
static unsigned char dictionary[DICTIONARY_BYTES];
static size_t dictionary_bytes;

#ifdef VARVE_HAVE_ZSTD
enum {
    DICTIONARY_ID = 0x5eed1d, /* the inputs that are kept name it */
    SAMPLES = 400,
    SAMPLE_BYTES = 128,
};

static void make_dictionary(void)
{
    static char samples[SAMPLES * SAMPLE_BYTES];
    size_t sizes[SAMPLES], at = 0;
    ZDICT_params_t parameters = {.dictID = DICTIONARY_ID};

    for (unsigned i = 0; i < SAMPLES; i++) {
        sizes[i] = (size_t)snprintf(
            samples + at, SAMPLE_BYTES,
            "{\"account\": %u, \"branch\": \"north-%u\", \"amount\": %u, \"currency\": \"EUR\"}", i * 7919,
            i % 7, i * 37 % 1000);
        at += sizes[i];
    }
    dictionary_bytes = ZDICT_finalizeDictionary(dictionary, sizeof dictionary, samples, sizeof dictionary / 2,
                                                samples, sizes, SAMPLES, parameters);
    FUZZ_ASSERT(!ZDICT_isError(dictionary_bytes));
    FUZZ_ASSERT(ZDICT_getDictID(dictionary, dictionary_bytes) == DICTIONARY_ID);
}

static int find_dictionary(void *arg, uint32_t id, const void **ret_bytes, size_t *ret_length,
                           struct varve_error *ret_error)
{
    (void)arg;
    if (id != DICTIONARY_ID) {
        ret_error->code = VARVE_E_DICTIONARY;
        return VARVE_E_DICTIONARY;
    }
    *ret_bytes = dictionary;
    *ret_length = dictionary_bytes;
    return 0;
}
#endif

static const struct varve_codec_setup *setup(void)
{
    static struct varve_codec_setup given = {.size = sizeof given, .bytes_max = RAW_MAX};
    unsigned char key[VARVE_KEY_BYTES];

    if (!the_keys) {
        for (unsigned i = 0; i < sizeof key; i++)
            key[i] = (unsigned char)i;
        FUZZ_ASSERT(varve_keys_new(&the_keys, NULL) == 0);
        FUZZ_ASSERT(varve_keys_add(the_keys, 1, key, NULL) == 0);
        given.keys = the_keys;
#ifdef VARVE_HAVE_ZSTD
        make_dictionary();
        given.find_dictionary = find_dictionary;
#endif
    }
    return &given;
}

static const struct varve_codec_unit place = {
    .salt = 1, .session = 2, .lsn = 3, .aad = "associated", .aad_bytes = 10};

/* `length` bytes as the codec that seals leaves them; to be freed. */
static uint8_t *seal(struct vv_encoder *encoder, const uint8_t *bytes, size_t length, size_t *ret_length)
{
    struct varve_codec_unit unit = place;
    void *key = vv_secret_alloc(encoder->sealer->key_bytes);
    uint8_t *out = malloc(length + vv_codec_overhead(encoder->codec));

    FUZZ_ASSERT(key && out);
    FUZZ_ASSERT(encoder->sealer->prepare(encoder->sealing, &unit, key, NULL) == 0);
    unit.key = key;
    FUZZ_ASSERT(vv_encoder_seal(encoder, &unit, bytes, length, out) == 0);
    vv_secret_free(key, encoder->sealer->key_bytes);
    *ret_length = length + vv_codec_overhead(encoder->codec);
    return out;
}

/* What was decoded comes back out of what is made of it. */
static void again(struct vv_encoder *encoder, struct vv_decoder *decoder, const uint8_t *raw, size_t length)
{
    size_t packed;
    uint8_t *room = malloc(length + 1), *out = malloc(length + 1), *stored = room;

    FUZZ_ASSERT(room && out);
    if (length > 0 && encoder->packer && vv_encoder_pack(encoder, raw, length, room, length, &packed)) {
        if (encoder->sealer)
            stored = seal(encoder, room, packed, &packed);
        FUZZ_ASSERT(
            vv_decoder_decode(decoder, encoder->codec->id, &place, stored, packed, out, length, NULL) == 0);
        FUZZ_ASSERT(memcmp(out, raw, length) == 0);
    }
    if (stored != room)
        free(stored);
    free(room);
    free(out);
}

static void decode(struct vv_encoder *encoder, const uint8_t *stored, size_t length, size_t raw_length)
{
    uint32_t id = encoder->codec->id;
    struct vv_decoder decoder;
    uint8_t *raw;
    int rc = vv_decoder_check(id, length, raw_length, NULL);

    FUZZ_ASSERT(rc == 0 || rc == VARVE_E_CORRUPT);
    if (rc != 0)
        return;
    FUZZ_ASSERT(raw_length <= (encoder->packer ? VV_CODEC_PACKED_MAX : length));
    if (raw_length > RAW_MAX)
        return;
    vv_decoder_init(&decoder, setup());
    raw = malloc(raw_length); /* of just that size, so that a byte more is seen */
    FUZZ_ASSERT(raw || raw_length == 0);
    rc = vv_decoder_decode(&decoder, id, &place, stored, length, raw, raw_length, NULL);
    FUZZ_ASSERT(rc == 0 || rc == VARVE_E_CORRUPT || rc == VARVE_E_DICTIONARY || rc == VARVE_E_KEY_MISSING ||
                rc == VARVE_E_KEY_WRONG);
    if (rc == 0)
        again(encoder, &decoder, raw, raw_length);
    free(raw);
    vv_decoder_close(&decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct varve_codec *codec = size >= 5 ? varve_codec_by_id((data[0] & 63u) % 4 + 1) : NULL;
    struct varve_codec_setup encoding;
    struct vv_encoder encoder;
    uint8_t *sealed = NULL, *stored;
    size_t length = size - 5;

    if (!codec)
        return 0;
    encoding = *setup();
    if ((data[0] & 64) && (codec->id == VARVE_CODEC_ZSTD || codec->id == VARVE_CODEC_ZSTD_AES_256_GCM)) {
        encoding.dictionary = dictionary;
        encoding.dictionary_bytes = dictionary_bytes;
    }
    FUZZ_ASSERT(vv_encoder_open(&encoder, codec, &encoding, NULL) == 0);
    if ((data[0] & 128) && encoder.sealer)
        sealed = seal(&encoder, data + 5, length, &length);
    stored = malloc(length);
    FUZZ_ASSERT(stored || length == 0);
    if (length > 0)
        memcpy(stored, sealed ? sealed : data + 5, length);
    free(sealed);
    decode(&encoder, stored, length, vv_get_u32(data + 1));
    free(stored);
    vv_encoder_close(&encoder);
    return 0;
}
