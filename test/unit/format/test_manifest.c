/* SPDX-License-Identifier: Apache-2.0 */
#include "format/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc.h"

static struct vv_manifest sample(void)
{
    struct vv_manifest m = {
        .created_us = 1700000000000000, .first_segment = 3, .first_lsn = 12, .clean = 1, .last_lsn = 99};
    for (unsigned i = 0; i < 16; i++) {
        m.uuid[i] = (uint8_t)(0x10 * i + i);
    }
    return m;
}

static void name_codec(struct vv_manifest *m, const char *name)
{
    snprintf(m->codec_name, sizeof m->codec_name, "%s", name);
}

static int decode(const char *text, size_t len, struct vv_manifest *ret)
{
    struct varve_error error = {0};
    int rc = vv_manifest_decode(text, len, ret, &error);
    assert_int_equal(error.code, rc);
    assert_true(rc == 0 || error.message[0] != '\0');
    return rc;
}

/* `body` with the line of its checksum. */
static int decode_sealed(const char *body, struct vv_manifest *ret)
{
    char text[VV_MANIFEST_BYTES_MAX];
    int len = snprintf(text, sizeof text, "%s", body);
    len += snprintf(text + len, sizeof text - (size_t)len, "crc32c %08x\n", vv_crc32c(0, text, (size_t)len));
    return decode(text, (size_t)len, ret);
}

/* The path of a second directory: whatever a line can hold, and only in the version that knows it. */
static void test_manifest__failover(void **state)
{
    (void)state;
    char text[VV_MANIFEST_BYTES_MAX], body[VV_MANIFEST_BYTES_MAX], path[VV_MANIFEST_PATH_BYTES + 1];
    struct vv_manifest m = sample(), back;
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[VV_MANIFEST_PATH_BYTES] = 0;
    assert_false(vv_manifest_path_fits(path));
    path[VV_MANIFEST_PATH_BYTES - 1] = 0;
    const char *const fit[] = {"/", "/mnt/second disk/events", "/a\xc3\xa9", path};
    for (unsigned i = 0; i < 4; i++) {
        assert_true(vv_manifest_path_fits(fit[i]));
        snprintf(m.failover, sizeof m.failover, "%s", fit[i]);
        m.incomplete = i == 1;
        m.codec = i == 2 ? 7 : 0;
        name_codec(&m, i == 2 ? "x" : "");
        size_t len = vv_manifest_encode(&m, text);
        assert_memory_equal(text, "varve manifest 4\n", 17);
        assert_int_equal(decode(text, len, &back), 0);
        assert_string_equal(back.failover, fit[i]);
        assert_int_equal(back.incomplete, m.incomplete);
    }
    const char *const unfit[] = {"", "relative", "/line\nbreak", "/tab\tstop", "/del\x7f"};
    for (unsigned i = 0; i < 5; i++) {
        assert_false(vv_manifest_path_fits(unfit[i]));
    }
    /* Under a version that does not know the line it is refused, whatever the checksum says. */
    for (int version = 1; version <= 4; version++) {
        snprintf(body, sizeof body,
                 "varve manifest %d\nuuid 00112233445566778899aabbccddeeff\ncreated_us 1\nfirst_segment 1\n"
                 "first_lsn 1\nclean 0\nlast_lsn 0\nfailover /mnt\n",
                 version);
        assert_int_equal(decode_sealed(body, &back), version == 4 ? 0 : VARVE_E_VERSION);
    }
    snprintf(body, sizeof body, "%s",
             "varve manifest 4\nuuid 00112233445566778899aabbccddeeff\ncreated_us 1\nfirst_segment 1\n"
             "first_lsn 1\nclean 0\nlast_lsn 0\n");
    assert_int_equal(decode_sealed(body, &back), VARVE_E_VERSION);
}

static void test_manifest__round_trip(void **state)
{
    (void)state;
    char text[VV_MANIFEST_BYTES_MAX];
    struct vv_manifest m[4] = {sample(), sample(), sample(), sample()}, back;
    m[1].created_us = m[1].first_segment = m[1].first_lsn = m[1].last_lsn = UINT64_MAX;
    m[2] = (struct vv_manifest){.first_segment = 1, .first_lsn = 1};
    m[3].codec = 200;
    m[3].dictionary = 0xfedc1234;
    name_codec(&m[3], "a.codec-with+31-characters-0123");
    for (int i = 0; i < 4; i++) {
        size_t len = vv_manifest_encode(&m[i], text);
        memset(&back, 0xff, sizeof back);
        assert_int_equal(decode(text, len, &back), 0);
        assert_memory_equal(back.uuid, m[i].uuid, sizeof back.uuid);
        assert_int_equal(back.created_us, m[i].created_us);
        assert_int_equal(back.first_segment, m[i].first_segment);
        assert_int_equal(back.first_lsn, m[i].first_lsn);
        assert_int_equal(back.clean, m[i].clean);
        assert_int_equal(back.last_lsn, m[i].last_lsn);
        assert_int_equal(back.codec, m[i].codec);
        assert_string_equal(back.codec_name, m[i].codec_name);
        assert_int_equal(back.dictionary, m[i].dictionary);
    }
}

/* A person reads it, and later versions do. */
static void test_manifest__text(void **state)
{
    (void)state;
    char text[VV_MANIFEST_BYTES_MAX];
    struct vv_manifest m = sample();
    static const char expected[] = "varve manifest 1\n"
                                   "uuid 00112233445566778899aabbccddeeff\n"
                                   "created_us 1700000000000000\n"
                                   "first_segment 3\n"
                                   "first_lsn 12\n"
                                   "clean 1\n"
                                   "last_lsn 99\n"
                                   "crc32c ";
    size_t len = vv_manifest_encode(&m, text);
    assert_int_equal(len, strlen(expected) + 9);
    assert_memory_equal(text, expected, strlen(expected));
    assert_int_equal(text[len - 1], '\n');
}

/* Any byte changed, any length: never taken for sound, in memory that ends there. */
static void test_manifest__damaged(void **state)
{
    (void)state;
    char whole[VV_MANIFEST_BYTES_MAX];
    struct vv_manifest m = sample(), back;
    size_t len = vv_manifest_encode(&m, whole);
    char *text = malloc(len + 1);
    assert_non_null(text);
    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(text, whole, len);
            text[i] = (char)(text[i] ^ 1 << bit);
            assert_int_equal(decode(text, len, &back), VARVE_E_CORRUPT);
        }
    }
    free(text);
    for (size_t cut = 0; cut < len; cut++) {
        text = malloc(cut + (cut == 0));
        assert_non_null(text);
        memcpy(text, whole, cut);
        assert_int_equal(decode(text, cut, &back), VARVE_E_CORRUPT);
        free(text);
    }
    whole[len] = '\n';
    assert_int_equal(decode(whole, len + 1, &back), VARVE_E_CORRUPT);
}

static void test_manifest__too_long(void **state)
{
    (void)state;
    char text[VV_MANIFEST_BYTES_MAX + 1];
    struct vv_manifest m = sample(), back;
    memset(text, 'x', sizeof text);
    vv_manifest_encode(&m, text);
    assert_int_equal(decode(text, sizeof text, &back), VARVE_E_CORRUPT);
    assert_int_equal(decode(text, sizeof text - 1, &back), VARVE_E_CORRUPT);
}

/* Sound, and not ours to understand: refused as newer, not as damaged. */
static void test_manifest__newer(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "varve manifest 2\nwhatever\n",
        "varve manifest 1\nuuid 00112233445566778899aabbccddeeff\ncreated_us 1\nfirst_segment 3\n"
        "first_lsn 12\nclean 1\nlast_lsn 99\nencrypted 1\n",
        "varve manifest 1\nuuid 00112233445566778899aabbccddeeff\ncreated_us 1\nfirst_segment 3\n"
        "first_lsn 12\nclean 2\nlast_lsn 99\n",
        "varve manifest 1\n",
    };
    struct vv_manifest back;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_int_equal(decode_sealed(bodies[i], &back), VARVE_E_VERSION);
    }
}

/* One form only: what another writer might have meant is not guessed at. */
static void test_manifest__one_form(void **state)
{
    (void)state;
    static const char form[] = "varve manifest 1\nuuid %s\ncreated_us %s\nfirst_segment %s\nfirst_lsn %s\n"
                               "clean %s\nlast_lsn %s\n";
    static const char id[] = "00112233445566778899aabbccddeeff";
    static const char *const values[][6] = {
        {id, "1", "3", "12", "1", "99"}, /* as it should be */
        {"00112233445566778899AABBCCDDEEFF", "1", "3", "12", "1", "99"},
        {"00112233445566778899aabbccddeef", "1", "3", "12", "1", "99"},
        {"00112233445566778899aabbccddeeff0", "1", "3", "12", "1", "99"},
        {id, "01", "3", "12", "1", "99"},
        {id, "-1", "3", "12", "1", "99"},
        {id, "18446744073709551616", "3", "12", "1", "99"},
        {id, "1", "0", "12", "1", "99"},
        {id, "1", "3", "0", "1", "99"},
        {id, "1", " 3", "12", "1", "99"},
        {id, "1", "3", "12", "-1", "99"},
        {id, "1", "3", "12", "1", "+99"},
        {id, "1", "3", "12", "1", "0x63"},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char body[1024];
        struct vv_manifest back;
        const char *const *v = values[i];
        snprintf(body, sizeof body, form, v[0], v[1], v[2], v[3], v[4], v[5]);
        assert_int_equal(decode_sealed(body, &back), i == 0 ? 0 : VARVE_E_VERSION);
    }
}

/* The lowest version that can say it: who knows no codec reads a log that has none. */
static void test_manifest__versions(void **state)
{
    (void)state;
    static const char first[] = "varve manifest 2\nuuid 00112233445566778899aabbccddeeff\ncreated_us 1\n"
                                "first_segment 3\nfirst_lsn 12\nclean 1\nlast_lsn 99\n";
    static const char *const rests[] = {
        "codec 2 zstd\ndictionary 00000000\n", /* as it should be */
        "codec 0 identity\ndictionary 00000000\n",
        "codec 2 zstd\n",
        "codec 2 zstd\ndictionary 0\n",
        "codec 2 zstd\ndictionary 000000000\n",
        "codec 2 zstd\ndictionary 0000000A\n",
        "codec 02 zstd\ndictionary 00000000\n",
        "codec 256 big\ndictionary 00000000\n",
        "codec -2 zstd\ndictionary 00000000\n",
        "codec 2 Zstd\ndictionary 00000000\n",
        "codec 2 zs td\ndictionary 00000000\n",
        "codec 2 \ndictionary 00000000\n",
        "codec 200 0123456789012345678901234567890x\ndictionary 00000000\n",
        "codec 2 zstd\ndictionary 00000000\nmore 1\n",
        "",
    };
    struct vv_manifest m = sample(), back;
    char text[VV_MANIFEST_BYTES_MAX];
    for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++) {
        snprintf(text, sizeof text, "%s%s", first, rests[i]);
        assert_int_equal(decode_sealed(text, &back), i == 0 ? 0 : VARVE_E_VERSION);
    }
    vv_manifest_encode(&m, text);
    assert_memory_equal(text, "varve manifest 1\n", 17);
    m.codec = 1;
    name_codec(&m, "lz4");
    vv_manifest_encode(&m, text);
    assert_memory_equal(text, "varve manifest 2\n", 17);
    assert_non_null(strstr(text, "\ncodec 1 lz4\ndictionary 00000000\ncrc32c "));
}

/* What is no log yet, with a codec and without. */
static void test_manifest__incomplete(void **state)
{
    (void)state;
    struct vv_manifest m = sample(), back;
    char text[VV_MANIFEST_BYTES_MAX];
    m.incomplete = 1;
    for (int i = 0; i < 2; i++) {
        size_t length = vv_manifest_encode(&m, text);
        assert_memory_equal(text, "varve manifest 3\n", 17);
        assert_non_null(strstr(text, "\nincomplete 1\ncrc32c "));
        assert_int_equal(decode(text, length, &back), 0);
        assert_int_equal(back.incomplete, 1);
        assert_int_equal(back.codec, m.codec);
        m.codec = 1;
        name_codec(&m, "lz4");
    }
    static const char first[] = "uuid 00112233445566778899aabbccddeeff\ncreated_us 1\n"
                                "first_segment 3\nfirst_lsn 12\nclean 0\nlast_lsn 99\n";
    static const struct {
        int version;
        const char *rest;
    } cases[] = {{3, "incomplete 1\n"}, {3, ""},
                 {3, "incomplete 0\n"}, {3, "incomplete 1\ncodec 2 zstd\ndictionary 00000000\n"},
                 {1, "incomplete 1\n"}, {2, "codec 2 zstd\ndictionary 00000000\nincomplete 1\n"},
                 {4, "incomplete 1\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "varve manifest %d\n%s%s", cases[i].version, first, cases[i].rest);
        assert_int_equal(decode_sealed(text, &back), i == 0 ? 0 : VARVE_E_VERSION);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest__failover),   cmocka_unit_test(test_manifest__round_trip),
        cmocka_unit_test(test_manifest__text),       cmocka_unit_test(test_manifest__damaged),
        cmocka_unit_test(test_manifest__too_long),   cmocka_unit_test(test_manifest__newer),
        cmocka_unit_test(test_manifest__one_form),   cmocka_unit_test(test_manifest__versions),
        cmocka_unit_test(test_manifest__incomplete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
