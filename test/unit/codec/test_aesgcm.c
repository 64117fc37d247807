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

#ifdef VARVE_HAVE_OPENSSL

#include "base/bytes.h"
#include "codec/gcm.h"
#include "codec/hkdf.h"

enum {
    HEAD = 24,
    TAG = 16,
    BYTES = 300
};

static const uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint8_t aad[20] = "associated data, ...";

struct fixture {
    struct varve_keys *keys;
    void *encoder, *decoder;
    uint8_t key[256];
    struct varve_codec_unit unit;
};

static void *open_context(struct varve_keys *keys, int decodes)
{
    struct varve_codec_setup setup = {.size = sizeof setup, .decodes = decodes, .keys = keys};
    struct varve_error error = {.message = "?"};
    void *context = NULL;
    memcpy(setup.uuid, uuid, sizeof uuid);
    if (vv_codec_aesgcm.open(&setup, &context, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return context;
}

static struct fixture set_up(uint32_t keys, uint64_t salt, uint64_t session, uint64_t lsn)
{
    struct fixture f = {.keys = test_codecs_keys(keys)};
    struct varve_error error = {0};
    assert_true(vv_codec_aesgcm.key_bytes <= sizeof f.key);
    f.encoder = open_context(f.keys, 0);
    f.decoder = open_context(f.keys, 1);
    f.unit = (struct varve_codec_unit){
        .salt = salt, .session = session, .lsn = lsn, .aad = aad, .aad_bytes = sizeof aad};
    assert_int_equal(vv_codec_aesgcm.prepare(f.encoder, &f.unit, f.key, &error), 0);
    return f;
}

static void tear_down(struct fixture *f)
{
    vv_codec_aesgcm.close(f->encoder);
    vv_codec_aesgcm.close(f->decoder);
    varve_keys_free(f->keys);
}

static void seal(struct fixture *f, const void *bytes, size_t length, uint8_t *out)
{
    struct varve_codec_unit unit = f->unit;
    unit.key = f->key;
    assert_int_equal(vv_codec_aesgcm.seal_begin(f->encoder, &unit, out), 0);
    assert_int_equal(vv_codec_aesgcm.seal_more(f->encoder, bytes, length, out + HEAD), 0);
    assert_int_equal(vv_codec_aesgcm.seal_end(f->encoder, out + HEAD + length), 0);
}

static int unseal(struct fixture *f, const uint8_t *bytes, size_t length, uint8_t *out)
{
    struct varve_error error = {0};
    int rc = vv_codec_aesgcm.decode(f->decoder, &f->unit, bytes, length, out, length - HEAD - TAG, &error);
    assert_int_equal(error.code, rc);
    return rc;
}

/* Made once more from the parts: what docs/FORMAT.md says is what is done. */
static void test_aesgcm__as_documented(void **state)
{
    (void)state;
    struct fixture f = set_up(2, 0x1122334455667788, 0x99aabbccddeeff00, 12345);
    uint8_t raw[BYTES], out[HEAD + BYTES + TAG], master[32], info[35], check[4], key[32], nonce[12] = {0};
    uint8_t expected[BYTES], tag[TAG];
    struct vv_gcm gcm = {0};
    test_codecs_fill(raw, sizeof raw, 1);
    seal(&f, raw, sizeof raw, out);
    assert_int_equal(vv_get_u32(out), 2); /* the newest key */
    assert_int_equal(vv_get_u64(out + 8), f.unit.salt);
    assert_int_equal(vv_get_u64(out + 16), f.unit.session);
    for (unsigned i = 0; i < sizeof master; i++) {
        master[i] = (uint8_t)(2 * 37 + i * 11);
    }
    assert_true(vv_hkdf_sha256(uuid, 16, master, 32, "varve key check 1", 17, check, 4));
    assert_memory_equal(out + 4, check, 4);
    memcpy(info, "varve aes-256-gcm 1", 19);
    memcpy(info + 19, out + 8, 16);
    assert_true(vv_hkdf_sha256(uuid, 16, master, 32, info, 35, key, 32));
    vv_put_u64(nonce, 12345);
    assert_true(vv_gcm_open(&gcm));
    assert_true(vv_gcm_begin(&gcm, key, nonce, true) && vv_gcm_aad(&gcm, aad, sizeof aad) &&
                vv_gcm_aad(&gcm, out, HEAD) && vv_gcm_more(&gcm, raw, BYTES, expected) &&
                vv_gcm_end(&gcm, tag));
    assert_memory_equal(out + HEAD, expected, BYTES);
    assert_memory_equal(out + HEAD + BYTES, tag, TAG);
    vv_gcm_close(&gcm);
    tear_down(&f);
}

static void test_aesgcm__round_trip(void **state)
{
    (void)state;
    struct fixture f = set_up(1, 1, 2, 3);
    static const size_t sizes[] = {0, 1, 15, 16, 17, 4096, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t n = sizes[i];
        uint8_t *raw = malloc(n + 1), *out = malloc(n + HEAD + TAG), *back = malloc(n + 1);
        test_codecs_fill(raw, n, i);
        seal(&f, raw, n, out);
        assert_true(n < 15 || memcmp(out + HEAD, raw, n) != 0);
        assert_int_equal(unseal(&f, out, n + HEAD + TAG, back), 0);
        assert_memory_equal(back, raw, n);
        /* The same unit with the same bytes gives the same; and in place, both ways. */
        uint8_t *again = malloc(n + HEAD + TAG);
        memcpy(again + HEAD, raw, n);
        seal(&f, again + HEAD, n, again);
        assert_memory_equal(again, out, n + HEAD + TAG);
        assert_int_equal(unseal(&f, again, n + HEAD + TAG, again + HEAD), 0);
        assert_memory_equal(again + HEAD, raw, n);
        free(raw);
        free(out);
        free(back);
        free(again);
    }
    tear_down(&f);
}

/* Every bit, of what is stored and of what is authenticated with it. */
static void test_aesgcm__every_bit(void **state)
{
    (void)state;
    struct fixture f = set_up(1, 77, 78, 79);
    uint8_t raw[BYTES], out[HEAD + BYTES + TAG], back[BYTES], own_aad[sizeof aad];
    test_codecs_fill(raw, sizeof raw, 1);
    seal(&f, raw, sizeof raw, out);
    for (size_t bit = 0; bit < 8 * sizeof out; bit++) {
        int expected = bit < 32 ? VARVE_E_KEY_MISSING : bit < 64 ? VARVE_E_KEY_WRONG : VARVE_E_CORRUPT;
        /* Of another salt or session comes another key, whose check is the same. */
        out[bit / 8] = (uint8_t)(out[bit / 8] ^ 1u << bit % 8);
        memset(back, 0x5a, sizeof back);
        int rc = unseal(&f, out, sizeof out, back);
        if (rc != expected) {
            fail_msg("bit %zu: %d, not %d", bit, rc, expected);
        }
        /* What came out of a message that is not one is not left behind. */
        assert_true(rc != VARVE_E_CORRUPT || vv_is_zero(back, sizeof back));
        out[bit / 8] = (uint8_t)(out[bit / 8] ^ 1u << bit % 8);
    }
    f.unit.aad = own_aad;
    for (size_t bit = 0; bit < 8 * sizeof own_aad; bit++) {
        memcpy(own_aad, aad, sizeof aad);
        own_aad[bit / 8] = (uint8_t)(own_aad[bit / 8] ^ 1u << bit % 8);
        assert_int_equal(unseal(&f, out, sizeof out, back), VARVE_E_CORRUPT);
    }
    memcpy(own_aad, aad, sizeof aad);
    f.unit.lsn++;
    assert_int_equal(unseal(&f, out, sizeof out, back), VARVE_E_CORRUPT);
    f.unit.lsn--;
    assert_int_equal(unseal(&f, out, sizeof out, back), 0);
    for (size_t cut = 0; cut < sizeof out; cut++) {
        struct varve_error error;
        assert_int_equal(vv_codec_aesgcm.decode(f.decoder, &f.unit, out, cut, back,
                                                cut >= HEAD + TAG ? cut - HEAD - TAG : 0, &error),
                         VARVE_E_CORRUPT);
    }
    tear_down(&f);
}

/* Other salt, other session, other log, other master key: nothing of the ciphertext is the same. */
static void test_aesgcm__keys_differ(void **state)
{
    (void)state;
    const uint8_t zeros[64] = {0};
    uint8_t first[HEAD + 64 + TAG], other[HEAD + 64 + TAG];
    for (unsigned i = 0; i < 3; i++) {
        struct fixture f = set_up(1, 5, 6, 7);
        struct fixture g = set_up(i == 2 ? 2 : 1, i == 0 ? 4 : 5, i == 1 ? 7 : 6, 7);
        seal(&f, zeros, sizeof zeros, first);
        seal(&g, zeros, sizeof zeros, other);
        for (unsigned at = 0; at < 64; at += 8) {
            assert_memory_not_equal(first + HEAD + at, other + HEAD + at, 8);
        }
        tear_down(&f);
        tear_down(&g);
    }
}

/* A wrong key, a missing key, and a right one. */
static void test_aesgcm__three_errors(void **state)
{
    (void)state;
    struct fixture f = set_up(3, 1, 2, 3);
    uint8_t out[HEAD + 8 + TAG], back[8];
    seal(&f, "12345678", 8, out);
    void *right = f.decoder;
    struct varve_keys *wrong = test_codecs_key(3, 1), *other = test_codecs_keys(2);
    f.decoder = open_context(wrong, 1);
    assert_int_equal(unseal(&f, out, sizeof out, back), VARVE_E_KEY_WRONG);
    vv_codec_aesgcm.close(f.decoder);
    f.decoder = open_context(other, 1);
    assert_int_equal(unseal(&f, out, sizeof out, back), VARVE_E_KEY_MISSING);
    vv_codec_aesgcm.close(f.decoder);
    f.decoder = open_context(NULL, 1);
    assert_int_equal(unseal(&f, out, sizeof out, back), VARVE_E_KEY_MISSING);
    vv_codec_aesgcm.close(f.decoder);
    f.decoder = right;
    assert_int_equal(unseal(&f, out, sizeof out, back), 0);
    assert_memory_equal(back, "12345678", 8);
    /* To encrypt without a key is refused when it is asked for. */
    struct varve_codec_setup setup = {.size = sizeof setup};
    struct varve_error error = {0};
    void *context = NULL;
    assert_int_equal(vv_codec_aesgcm.open(&setup, &context, &error), VARVE_E_KEY_MISSING);
    varve_keys_free(wrong);
    varve_keys_free(other);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aesgcm__as_documented), cmocka_unit_test(test_aesgcm__round_trip),
        cmocka_unit_test(test_aesgcm__every_bit),     cmocka_unit_test(test_aesgcm__keys_differ),
        cmocka_unit_test(test_aesgcm__three_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    puts("built without OpenSSL");
    return 77;
}

#endif
