/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers: test cases 13 to 16 of "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega, which
 * NIST SP 800-38D refers to; those with keys of 256 bits and nonces of 96. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#ifdef VARVE_HAVE_OPENSSL

#include "codec/gcm.h"
#include "lib/hex.h"

struct known {
    const char *key, *nonce, *plain, *aad, *cipher, *tag;
};

static const struct known answers[] = {
    {
        .key = "0000000000000000000000000000000000000000000000000000000000000000",
        .nonce = "000000000000000000000000",
        .plain = "",
        .aad = "",
        .cipher = "",
        .tag = "530f8afbc74536b9a963b4f1c4cb738b",
    },
    {
        .key = "0000000000000000000000000000000000000000000000000000000000000000",
        .nonce = "000000000000000000000000",
        .plain = "00000000000000000000000000000000",
        .aad = "",
        .cipher = "cea7403d4d606b6e074ec5d3baf39d18",
        .tag = "d0d1c8a799996bf0265b98b5d48ab919",
    },
    {
        .key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        .nonce = "cafebabefacedbaddecaf888",
        .plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
        .aad = "",
        .cipher = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
        .tag = "b094dac5d93471bdec1a502270e3cc6c",
    },
    {
        .key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        .nonce = "cafebabefacedbaddecaf888",
        .plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        .aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        .cipher = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
        .tag = "76fc6ece0f4e1768cddf8853bb2d551b",
    },
};

struct message {
    uint8_t key[32], nonce[12], plain[64], aad[32], cipher[64], tag[16];
    size_t bytes, aad_bytes;
};

static struct message read_known(const struct known *known)
{
    struct message m;
    assert_int_equal(test_hex_within(known->key, m.key, sizeof m.key), sizeof m.key);
    assert_int_equal(test_hex_within(known->nonce, m.nonce, sizeof m.nonce), sizeof m.nonce);
    assert_int_equal(test_hex_within(known->tag, m.tag, sizeof m.tag), sizeof m.tag);
    m.bytes = test_hex_within(known->plain, m.plain, sizeof m.plain);
    assert_int_equal(test_hex_within(known->cipher, m.cipher, sizeof m.cipher), m.bytes);
    m.aad_bytes = test_hex_within(known->aad, m.aad, sizeof m.aad);
    return m;
}

/* In pieces of `piece` bytes, out of place or in place. */
static void run(struct vv_gcm *gcm, const struct message *m, size_t piece, bool in_place, bool encrypts,
                uint8_t *out, uint8_t *tag)
{
    const uint8_t *in = encrypts ? m->plain : m->cipher;
    assert_true(vv_gcm_begin(gcm, m->key, m->nonce, encrypts));
    for (size_t at = 0; at < m->aad_bytes; at += piece) {
        assert_true(vv_gcm_aad(gcm, m->aad + at, m->aad_bytes - at < piece ? m->aad_bytes - at : piece));
    }
    memcpy(out, in, in_place ? m->bytes : 0);
    for (size_t at = 0; at < m->bytes; at += piece) {
        size_t n = m->bytes - at < piece ? m->bytes - at : piece;
        assert_true(vv_gcm_more(gcm, in_place ? out + at : in + at, n, out + at));
    }
    assert_true(vv_gcm_end(gcm, tag));
}

static void test_gcm__known_answers(void **state)
{
    (void)state;
    struct vv_gcm gcm = {0};
    assert_true(vv_gcm_open(&gcm));
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        const struct message m = read_known(&answers[i]);
        for (size_t piece = 1; piece <= 64; piece++) {
            uint8_t out[64], tag[16];
            run(&gcm, &m, piece, piece % 2 == 0, true, out, tag);
            assert_memory_equal(out, m.cipher, m.bytes);
            assert_memory_equal(tag, m.tag, sizeof tag);
            run(&gcm, &m, piece, piece % 3 == 0, false, out, tag);
            assert_memory_equal(out, m.plain, m.bytes);
        }
    }
    vv_gcm_close(&gcm);
}

/* Any bit of nonce, data, ciphertext or tag changed: the tag does not fit. */
static void test_gcm__every_bit(void **state)
{
    (void)state;
    struct vv_gcm gcm = {0};
    const struct message m = read_known(&answers[3]);
    assert_true(vv_gcm_open(&gcm));
    for (unsigned bit = 0; bit < 8 * (12 + 20 + 60 + 16); bit++) {
        struct message changed = m;
        uint8_t out[64];
        unsigned at = bit / 8;
        uint8_t *byte = at < 12   ? &changed.nonce[at]
                        : at < 32 ? &changed.aad[at - 12]
                        : at < 92 ? &changed.cipher[at - 32]
                                  : &changed.tag[at - 92];
        *byte = (uint8_t)(*byte ^ 1u << bit % 8);
        assert_true(vv_gcm_begin(&gcm, changed.key, changed.nonce, false));
        assert_true(vv_gcm_aad(&gcm, changed.aad, changed.aad_bytes));
        assert_true(vv_gcm_more(&gcm, changed.cipher, changed.bytes, out));
        assert_false(vv_gcm_end(&gcm, changed.tag));
    }
    vv_gcm_close(&gcm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gcm__known_answers),
        cmocka_unit_test(test_gcm__every_bit),
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
