/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log of each codec as an earlier version wrote it, which is read for ever: golden/data/codec-*.txt, with
 * the key beside them in codec.key. What a codec makes of bytes may change with its library, so nothing is
 * compared with what is written today; but what is encrypted without being packed is the same.
 *
 * VARVE_TEST_GOLDEN=DIR puts what is written now into files of these names there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/codecs.h"
#include "lib/dump.h"
#include "lib/sample.h"

enum {
    RECORDS = 20,
    RECORD_BYTES = 900,
    DICTIONARY_BYTES = 2048,
    TEXT_BYTES = 1 << 17
};

static const struct golden {
    const char *name, *codec;
    int dictionary;
} goldens[] = {
    {"codec-lz4.txt", "lz4", 0},
    {"codec-zstd.txt", "zstd", 0},
    {"codec-zstd-dictionary.txt", "zstd", 1},
    {"codec-aes-256-gcm.txt", "aes-256-gcm", 0},
    {"codec-zstd-aes-256-gcm.txt", "zstd+aes-256-gcm", 0},
};

enum {
    GOLDENS = sizeof goldens / sizeof goldens[0],
    SEALED_ONLY = 3
};

static struct varve_record record_of(uint64_t lsn, unsigned char *bytes)
{
    test_codecs_fill(bytes, RECORD_BYTES, lsn);
    return (struct varve_record){.data = bytes,
                                 .data_bytes = RECORD_BYTES - lsn % 8,
                                 .type = (uint8_t)lsn,
                                 .flags = lsn % 5 == 0 ? VARVE_RECORD_TXN : 0,
                                 .txn_id = lsn % 5 == 0 ? lsn : 0};
}

static void folder(char out[4096])
{
    const char *source = getenv("VARVE_SOURCE");
    snprintf(out, 4096, "%s/test/golden/data", source != NULL ? source : ".");
}

static struct varve_keys *kept_keys(void)
{
    struct varve_keys *keys = NULL;
    char path[4096];
    size_t length;
    folder(path);
    char *text = test_bytes_read(path, "codec.key", &length);
    assert_int_equal(varve_keys_new(&keys, NULL), 0);
    assert_int_equal(varve_keys_add_text(keys, text, length, NULL), 0);
    free(text);
    return keys;
}

/* -- writing -- */

static size_t train(struct test_sample *s, unsigned char *out)
{
    static unsigned char bytes[RECORD_BYTES];
    struct varve_options options = s->options;
    struct varve_log *log = NULL;
    size_t length;
    options.codec = NULL;
    options.io = &s->memory.io;
    assert_int_equal(varve_open("samples", &options, &log, NULL), 0);
    for (uint64_t lsn = 1000; lsn < 2000; lsn++) {
        const struct varve_record record = record_of(lsn, bytes);
        assert_int_equal(varve_append_async(log, &record, NULL), 0);
    }
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(varve_train("samples", &options, out, DICTIONARY_BYTES, &length, NULL), 0);
    return length;
}

static char *write_log(struct test_sample *s, const struct golden *golden, struct varve_keys *keys)
{
    static unsigned char bytes[3][RECORD_BYTES], dictionary[DICTIONARY_BYTES];
    struct varve_info info = {.size = sizeof info};
    struct varve_options options;
    struct varve_log *log = NULL;
    struct test_clock clock;
    char *text = calloc(1, TEXT_BYTES), name[32];
    size_t at = 0;
    assert_non_null(text);
    test_sample_init(s, 0);
    test_clock_init(&clock, &s->memory.io, 1700000000000000, 0, 1);
    options = s->options;
    options.io = &clock.pass.io;
    options.codec = golden->codec;
    options.keys = keys;
    options.writes_in_flight = 1;
    if (golden->dictionary) {
        options.dictionary_bytes = train(s, dictionary);
        options.dictionary = dictionary;
    }
    assert_int_equal(varve_open("log", &options, &log, NULL), 0);
    for (uint64_t lsn = 1; lsn <= RECORDS; lsn++) {
        const struct varve_record batch[3] = {record_of(lsn, bytes[0]), record_of(lsn + 1, bytes[1]),
                                              record_of(lsn + 2, bytes[2])};
        unsigned count = lsn % 4 == 1 && lsn + 2 <= RECORDS ? 3 : 1;
        test_clock_advance(&clock, 1000);
        assert_int_equal(varve_append_batch(log, batch, count, VARVE_DURABILITY_DEFAULT, 1, NULL), 0);
        lsn += count - 1;
    }
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(varve_info_get("log", &s->memory.io, &info, NULL), 0);
    struct varve_dir *dir = test_sample_dir(s);
    at = test_dump_add(text, TEXT_BYTES, at, &s->memory.io, dir, "MANIFEST");
    if (info.dictionary != 0) {
        snprintf(name, sizeof name, "dictionary-%08x", info.dictionary);
        at = test_dump_add(text, TEXT_BYTES, at, &s->memory.io, dir, name);
    }
    test_dump_add(text, TEXT_BYTES, at, &s->memory.io, dir, "wal-0000000000000001.seg");
    s->memory.io.dir_close(&s->memory.io, dir);
    test_clock_close(&clock);
    return text;
}

static void test_codecs__written(void **state)
{
    (void)state;
    const char *out = getenv("VARVE_TEST_GOLDEN");
    struct varve_keys *keys = kept_keys();
    char path[4096];
    folder(path);
    for (unsigned i = 0; i < GOLDENS; i++) {
        struct test_sample s;
        if (varve_codec_get(goldens[i].codec) == NULL || (out == NULL && i != SEALED_ONLY)) {
            continue;
        }
        char *text = write_log(&s, &goldens[i], keys);
        if (out != NULL) {
            test_bytes_write(out, goldens[i].name, text, strlen(text));
        } else {
            char *kept = test_bytes_read(path, goldens[i].name, NULL);
            assert_string_equal(text, kept);
            free(kept);
        }
        free(text);
        test_sample_close(&s);
    }
    varve_keys_free(keys);
}

/* -- reading -- */

static void write_file(void *arg, const char *name, const void *bytes, size_t length)
{
    test_sample_write(arg, name, bytes, length);
}

static void read_log(struct varve_log *log)
{
    static unsigned char bytes[RECORD_BYTES];
    struct varve_cursor *cursor = NULL;
    struct varve_entry entry;
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_HALT, &cursor, NULL), 0);
    for (uint64_t lsn = 1; lsn <= RECORDS; lsn++) {
        const struct varve_record expected = record_of(lsn, bytes);
        assert_int_equal(varve_cursor_next(cursor, &entry), 0);
        assert_int_equal(entry.lsn, lsn);
        assert_int_equal(entry.type, expected.type);
        assert_int_equal(entry.flags, expected.flags);
        assert_int_equal(entry.txn_id, expected.txn_id);
        assert_int_equal(entry.data_bytes, expected.data_bytes);
        assert_memory_equal(entry.data, bytes, expected.data_bytes);
    }
    assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_END);
    varve_cursor_close(cursor);
}

static void read_for_ever(const struct golden *golden, struct varve_keys *keys)
{
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_info info = {.size = sizeof info};
    struct varve_log *log = NULL;
    struct varve_dir *dir = NULL;
    struct test_sample s;
    char path[4096];
    int created;
    folder(path);
    char *text = test_bytes_read(path, golden->name, NULL);
    test_sample_init(&s, 0);
    assert_int_equal(s.memory.io.dir_open(&s.memory.io, NULL, "log", 1, &dir, &created), 0);
    s.memory.io.dir_close(&s.memory.io, dir);
    test_dump_read(text, write_file, &s);
    free(text);
    s.options.keys = keys;
    const struct varve_options options = {.size = sizeof options, .io = &s.memory.io, .keys = keys};
    assert_int_equal(varve_info_get("log", &s.memory.io, &info, NULL), 0);
    assert_string_equal(info.codec_name, golden->codec);
    assert_int_equal(info.dictionary != 0, golden->dictionary);
    assert_true(info.encoded_frames >= 5); /* a frame of one record may be too small to pack */
    assert_int_equal(varve_verify("log", &options, NULL, NULL, &result, NULL), 0);
    assert_int_equal(result.found.verdict, VARVE_VERDICT_CLEAN_END);
    assert_int_equal(result.found.records, RECORDS);
    assert_int_equal(result.unread_records, 0);
    log = test_sample_open(&s, VARVE_POLICY_HALT);
    read_log(log);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

static void test_codecs__read_for_ever(void **state)
{
    (void)state;
    struct varve_keys *keys = kept_keys();
    for (unsigned i = 0; i < GOLDENS; i++) {
        if (varve_codec_get(goldens[i].codec) != NULL) {
            read_for_ever(&goldens[i], keys);
        }
    }
    varve_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codecs__written),
        cmocka_unit_test(test_codecs__read_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
