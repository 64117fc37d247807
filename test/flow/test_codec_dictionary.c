/* SPDX-License-Identifier: Apache-2.0 */
/* Dictionaries: trained from a log, put into another one, found again; missing, damaged, encrypted; and that
 * no crash leaves frames without theirs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bytes.h"
#include "lib/codecs.h"
#include "lib/fault.h"
#include "lib/memory.h"
#include "varve/varve.h"

enum {
    RECORDS = 4000,
    BYTES = 600, /* of a record: a frame of two sectors */
    ROOM = 4096
};

static unsigned char dictionary[2][ROOM];
static size_t dictionary_bytes[2];

static void record_of(uint64_t lsn, char *out)
{
    test_codecs_fill(out, BYTES, lsn);
}

static struct varve_log *open_log(const char *path, const struct varve_options *given, int expected,
                                  struct varve_error *ret_error)
{
    struct varve_options options = *given;
    struct varve_log *log = NULL;
    options.size = sizeof options;
    options.segment_bytes = 4 << 20;
    options.mark_idle_ms = UINT32_MAX;
    int rc = varve_open(path, &options, &log, ret_error);
    if (rc != expected) {
        fail_msg("open: %d, not %d: %s", rc, expected, rc != 0 ? ret_error->message : "");
    }
    return log;
}

static void append(struct varve_log *log, unsigned count)
{
    char bytes[BYTES];
    for (unsigned i = 0; i < count; i++) {
        record_of(varve_last_lsn(log) + 1, bytes);
        assert_int_equal(varve_append(log, bytes, sizeof bytes, NULL), 0);
    }
}

static int read_all(const char *path, struct varve_io *io, struct varve_keys *keys, uint64_t *ret_count,
                    struct varve_error *ret_error)
{
    struct varve_options options = {
        .size = sizeof options, .io = io, .keys = keys, .flags = VARVE_OPEN_READ_ONLY};
    struct varve_cursor *cursor = NULL;
    struct varve_log *log = NULL;
    struct varve_entry entry;
    char bytes[BYTES];
    int rc;
    *ret_count = 0;
    assert_int_equal(varve_open(path, &options, &log, ret_error), 0);
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, ret_error), 0);
    while ((rc = varve_cursor_next(cursor, &entry)) == 0) {
        record_of(entry.lsn, bytes);
        assert_int_equal(entry.data_bytes, sizeof bytes);
        assert_memory_equal(entry.data, bytes, sizeof bytes);
        ++*ret_count;
    }
    varve_cursor_error(cursor, ret_error);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    return rc;
}

static struct varve_info info_of(const char *path, struct varve_io *io)
{
    struct varve_info info = {.size = sizeof info};
    assert_int_equal(varve_info_get(path, io, &info, NULL), 0);
    return info;
}

static void name_of(uint32_t id, char out[32])
{
    snprintf(out, 32, "dictionary-%08x", id);
}

/* Two different ones, of records of a log. */
static int train(void **state)
{
    (void)state;
    struct test_memory memory;
    struct varve_error error = {.message = "?"};
    test_memory_init(&memory, 512);
    const struct varve_options options = {.size = sizeof options, .io = &memory.io};
    struct varve_log *log = open_log("log", &options, 0, &error);
    append(log, RECORDS / 4);
    for (int i = 0; i < 2; i++) {
        append(log, RECORDS / 4);
        if (varve_train("log", &options, dictionary[i], i == 0 ? ROOM / 2 : ROOM, &dictionary_bytes[i],
                        &error) != 0) {
            fail_msg("%s", error.message);
        }
        assert_true(dictionary_bytes[i] > 0 && dictionary_bytes[i] <= ROOM);
    }
    /* The same log gives the same. */
    unsigned char again[ROOM];
    size_t bytes;
    assert_int_equal(varve_train("log", &options, again, ROOM, &bytes, NULL), 0);
    assert_int_equal(bytes, dictionary_bytes[1]);
    assert_memory_equal(again, dictionary[1], bytes);
    assert_int_equal(varve_close(log, NULL), 0);
    test_memory_close(&memory);
    return 0;
}

static void test_codec_dictionary__train_refuses(void **state)
{
    (void)state;
    struct test_memory memory;
    struct varve_error error = {0};
    unsigned char out[ROOM];
    size_t bytes = 7;
    test_memory_init(&memory, 512);
    const struct varve_options options = {.size = sizeof options, .io = &memory.io};
    assert_int_equal(varve_train("log", &options, out, ROOM, &bytes, &error), VARVE_E_NOT_FOUND);
    struct varve_log *log = open_log("log", &options, 0, &error);
    append(log, 2);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(varve_train("log", &options, out, ROOM, &bytes, &error), VARVE_E_INVALID);
    assert_non_null(strstr(error.message, "2 records"));
    assert_int_equal(varve_train("log", &options, out, 1023, &bytes, &error), VARVE_E_INVALID);
    assert_int_equal(varve_train("log", &options, NULL, ROOM, &bytes, &error), VARVE_E_INVALID);
    assert_int_equal(bytes, 7);
    for (long n = 0; n < 3; n++) {
        vv_alloc_fail_after(n);
        int rc = varve_train("log", &options, out, ROOM, &bytes, &error);
        vv_alloc_fail_after(-1);
        assert_int_equal(rc, VARVE_E_NOMEM);
    }
    test_memory_close(&memory);
}

/* It becomes the log's, makes frames smaller, can be changed and given up; and all that was written is read.
 */
static int same_record(void *arg, const struct varve_entry *record)
{
    char bytes[BYTES];
    record_of(record->lsn, bytes);
    assert_int_equal(record->data_bytes, sizeof bytes);
    assert_memory_equal(record->data, bytes, sizeof bytes);
    ++*(unsigned *)arg;
    return 0;
}

/* What is set aside is found again with the dictionary that lies beside the log's segments. */
static void set_aside_all(struct varve_io *io)
{
    const struct varve_options options = {.size = sizeof options, .io = io};
    struct varve_options writing = {.io = io, .codec = "zstd"};
    struct varve_error error = {0};
    unsigned seen = 0;
    uint64_t id;
    struct varve_log *log = open_log("log", &writing, 0, &error);
    for (uint64_t lsn = 25; lsn <= 225; lsn += 50) {
        assert_int_equal(varve_set_aside(log, lsn, NULL, &id, &error), 0);
        assert_int_equal(varve_lost_read("log", &options, id, same_record, &seen, &error), 0);
    }
    assert_int_equal(seen, 5);
    assert_int_equal(varve_close(log, NULL), 0);
}

static void test_codec_dictionary__used(void **state)
{
    (void)state;
    struct test_memory memory;
    struct varve_error error = {0};
    struct varve_options options = {.codec = "zstd"};
    uint64_t stored[5], records;
    uint32_t ids[5];
    test_memory_init(&memory, 512);
    options.io = &memory.io;
    for (int i = 0; i < 5; i++) {
        /* none, first, the log's own, second, given up */
        options.dictionary = i == 1 ? dictionary[0] : i == 3 ? dictionary[1] : i == 4 ? dictionary[0] : NULL;
        options.dictionary_bytes = i == 1 ? dictionary_bytes[0] : i == 3 ? dictionary_bytes[1] : 0;
        options.codec = i == 2 ? NULL : "zstd";
        uint64_t before = i > 0 ? info_of("log", &memory.io).stored_bytes : 0;
        struct varve_log *log = open_log("log", &options, 0, &error);
        ids[i] = info_of("log", &memory.io).dictionary;
        append(log, 50);
        assert_int_equal(varve_close(log, NULL), 0);
        assert_int_equal(info_of("log", &memory.io).dictionary, ids[i]); /* named before the first frame */
        stored[i] = info_of("log", &memory.io).stored_bytes - before;
    }
    assert_int_equal(ids[0], 0);
    assert_true(ids[1] != 0 && ids[3] != 0 && ids[1] != ids[3]);
    assert_int_equal(ids[2], ids[1]);
    assert_int_equal(ids[4], 0);
    assert_true(stored[1] < stored[0] * 8 / 10);
    assert_true(stored[2] < stored[0] * 8 / 10);
    assert_true(stored[3] < stored[0] * 8 / 10);
    assert_int_equal(read_all("log", &memory.io, NULL, &records, &error), VARVE_END);
    assert_int_equal(records, 250);
    set_aside_all(&memory.io);
    /* Another codec knows nothing of it. */
    options = (struct varve_options){.io = &memory.io, .codec = "zstd", .dictionary = dictionary[0]};
    options.dictionary_bytes = dictionary_bytes[0];
    assert_int_equal(varve_close(open_log("log", &options, 0, &error), NULL), 0);
    assert_int_equal(info_of("log", &memory.io).dictionary, ids[1]);
    options = (struct varve_options){.io = &memory.io, .codec = "identity"};
    assert_int_equal(varve_close(open_log("log", &options, 0, &error), NULL), 0);
    assert_int_equal(info_of("log", &memory.io).dictionary, 0);
    test_memory_close(&memory);
}

static void test_codec_dictionary__refused(void **state)
{
    (void)state;
    struct test_memory memory;
    struct varve_error error = {0};
    test_memory_init(&memory, 512);
    struct varve_options options = {.io = &memory.io, .codec = "zstd", .dictionary = "not a dictionary"};
    options.dictionary_bytes = 16;
    (void)open_log("log", &options, VARVE_E_INVALID, &error);
    static const char *const others[] = {"identity", "lz4", "aes-256-gcm"};
    struct varve_keys *keys = test_codecs_keys(1);
    options.dictionary = dictionary[0];
    options.dictionary_bytes = dictionary_bytes[0];
    options.keys = keys;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (varve_codec_get(others[i]) != NULL) {
            options.codec = others[i];
            (void)open_log("log", &options, VARVE_E_INVALID, &error);
            assert_non_null(strstr(error.message, "dictionary"));
        }
    }
    /* Nothing was made. */
    struct varve_info info = {.size = sizeof info};
    assert_int_equal(varve_info_get("log", &memory.io, &info, NULL), VARVE_E_NOT_FOUND);
    varve_keys_free(keys);
    test_memory_close(&memory);
}

/* Gone or damaged: said by name, by every way of reading, and mended by giving it again. */
static void test_codec_dictionary__missing(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct test_memory memory;
        struct varve_error error = {0};
        struct varve_dir *dir = NULL;
        uint64_t records;
        char name[32];
        int created;
        test_memory_init(&memory, 512);
        struct varve_options options = {.io = &memory.io, .codec = "zstd", .dictionary = dictionary[0]};
        options.dictionary_bytes = dictionary_bytes[0];
        struct varve_log *log = open_log("log", &options, 0, &error);
        append(log, 10);
        assert_int_equal(varve_close(log, NULL), 0);
        name_of(info_of("log", &memory.io).dictionary, name);
        assert_int_equal(memory.io.dir_open(&memory.io, NULL, "log", 0, &dir, &created), 0);
        if (how == 0) {
            assert_int_equal(memory.io.unlink(&memory.io, dir, name), 0);
        } else {
            test_bytes_io_flip(&memory.io, dir, name, 1000, 3);
        }
        memory.io.dir_close(&memory.io, dir);
        assert_int_equal(read_all("log", &memory.io, NULL, &records, &error), VARVE_E_DICTIONARY);
        assert_int_equal(records, 0);
        assert_non_null(strstr(error.message, name));
        const struct varve_options plain = {.size = sizeof plain, .io = &memory.io};
        struct varve_verify_result result = {.size = sizeof result};
        assert_int_equal(varve_verify("log", &plain, NULL, NULL, &result, &error), VARVE_E_DICTIONARY);
        assert_non_null(strstr(error.message, name));
        (void)open_log("log", &plain, VARVE_E_DICTIONARY, &error);
        struct varve_options other = options;
        other.dictionary = dictionary[1];
        other.dictionary_bytes = dictionary_bytes[1];
        (void)open_log("log", &other, VARVE_E_DICTIONARY, &error);
        test_memory_close(&memory);
    }
}

/* In an encrypted log the dictionary is encrypted as well: it is made of records. */
static void test_codec_dictionary__sealed(void **state)
{
    (void)state;
    if (varve_codec_get("zstd+aes-256-gcm") == NULL) {
        skip();
    }
    struct varve_keys *keys = test_codecs_keys(1), *wrong = test_codecs_key(1, 3);
    struct test_memory memory;
    struct varve_error error = {0};
    uint64_t records;
    test_memory_init(&memory, 512);
    /* By turns from the start, and when the log changes. */
    for (int later = 0; later < 2; later++) {
        const char *path = later ? "later" : "log";
        struct varve_options options = {.io = &memory.io,
                                        .codec = later ? "zstd" : "zstd+aes-256-gcm",
                                        .keys = keys,
                                        .dictionary = dictionary[0]};
        options.dictionary_bytes = dictionary_bytes[0];
        struct varve_log *log = open_log(path, &options, 0, &error);
        append(log, 10);
        assert_int_equal(varve_close(log, NULL), 0);
        if (later) {
            options = (struct varve_options){.io = &memory.io, .codec = "zstd+aes-256-gcm", .keys = keys};
            log = open_log(path, &options, 0, &error);
            append(log, 10);
            assert_int_equal(varve_close(log, NULL), 0);
        }
        struct varve_dir *dir = NULL;
        char name[32];
        size_t bytes;
        int created;
        name_of(info_of(path, &memory.io).dictionary, name);
        assert_int_equal(memory.io.dir_open(&memory.io, NULL, path, 0, &dir, &created), 0);
        unsigned char *file = test_bytes_io_read(&memory.io, dir, name, &bytes);
        memory.io.dir_close(&memory.io, dir);
        assert_int_equal(bytes, 40 + dictionary_bytes[0] + 40);
        assert_null(memmem(file, bytes, dictionary[0] + dictionary_bytes[0] - 64, 32));
        free(file);
        assert_int_equal(read_all(path, &memory.io, keys, &records, &error), VARVE_END);
        assert_int_equal(records, later ? 20 : 10);
        if (later) {
            assert_int_equal(read_all(path, &memory.io, wrong, &records, &error), VARVE_E_KEY_WRONG);
        }
    }
    test_memory_close(&memory);
    varve_keys_free(keys);
    varve_keys_free(wrong);
}

/* A key whose segments are gone can be given up: the dictionary does not stay under it. And a new log that
 * got its dictionary at its first opening still has it when that opening did not end in order. */
static void test_codec_dictionary__rotated(void **state)
{
    (void)state;
    if (varve_codec_get("zstd+aes-256-gcm") == NULL) {
        skip();
    }
    struct varve_keys *first = test_codecs_keys(1), *both = test_codecs_keys(2);
    struct varve_keys *second = test_codecs_key(2, 0);
    struct varve_stats stats = {.size = sizeof stats};
    struct test_memory memory, cut;
    struct varve_error error = {0};
    uint64_t records;
    test_memory_init(&memory, 512);
    struct varve_options options = {
        .io = &memory.io, .codec = "zstd+aes-256-gcm", .keys = first, .dictionary = dictionary[0]};
    options.dictionary_bytes = dictionary_bytes[0];
    struct varve_log *log = open_log("log", &options, 0, &error);
    append(log, 3);
    test_memory_crash(&memory, TEST_CRASH_NOTHING, NULL, &cut);
    assert_int_equal(varve_close(log, NULL), 0);
    test_memory_close(&memory);
    assert_true(info_of("log", &cut.io).dictionary != 0);
    options = (struct varve_options){.io = &cut.io, .keys = both};
    log = open_log("log", &options, 0, &error);
    append(log, 3);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(read_all("log", &cut.io, first, &records, &error), VARVE_E_KEY_MISSING);
    assert_int_equal(records, 0); /* what its frames need is under the second key by now */
    assert_int_equal(read_all("log", &cut.io, both, &records, &error), VARVE_END);
    assert_int_equal(records, 6);
    log = open_log("log", &options, 0, &error);
    while (stats.segments_opened < 2) {
        append(log, 100);
        assert_int_equal(varve_stats_get(log, &stats), 0);
    }
    assert_int_equal(varve_trim(log, varve_last_lsn(log), NULL), 0);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(read_all("log", &cut.io, second, &records, &error), VARVE_END);
    assert_true(records > 0);
    test_memory_close(&cut);
    varve_keys_free(first);
    varve_keys_free(both);
    varve_keys_free(second);
}

/* Whatever call fails, and wherever the power is cut then: what is there can be read. */
static void test_codec_dictionary__crashes(void **state)
{
    (void)state;
    for (long calls = 0;; calls++) {
        struct test_memory memory, cut;
        struct test_fault fault;
        struct varve_error error = {0};
        uint64_t records, acked;
        test_memory_init(&memory, 512);
        test_fault_init(&fault, &memory.io);
        struct varve_options options = {.size = sizeof options, .io = &fault.pass.io, .codec = "zstd"};
        options.segment_bytes = 4 << 20;
        options.mark_idle_ms = UINT32_MAX;
        struct varve_log *log = NULL;
        assert_int_equal(varve_open("log", &options, &log, &error), 0);
        append(log, 3);
        assert_int_equal(varve_close(log, NULL), 0);
        options.dictionary = dictionary[1];
        options.dictionary_bytes = dictionary_bytes[1];
        test_fault_fail_after(&fault, calls, EIO);
        int rc = varve_open("log", &options, &log, &error);
        long left = test_fault_left(&fault);
        test_fault_fail_after(&fault, -1, 0);
        acked = 3;
        if (rc == 0) {
            append(log, 3);
            acked = 6;
        }
        test_memory_crash(&memory, TEST_CRASH_NOTHING, NULL, &cut);
        assert_int_equal(read_all("log", &cut.io, NULL, &records, &error), VARVE_END);
        assert_int_equal(records, acked);
        options = (struct varve_options){.io = &cut.io};
        struct varve_log *again = open_log("log", &options, 0, &error);
        append(again, 1);
        assert_int_equal(varve_close(again, NULL), 0);
        test_memory_close(&cut);
        if (rc == 0) {
            assert_int_equal(varve_close(log, NULL), 0);
        }
        test_fault_close(&fault);
        test_memory_close(&memory);
        if (left >= 0) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec_dictionary__train_refuses),
        cmocka_unit_test(test_codec_dictionary__used),
        cmocka_unit_test(test_codec_dictionary__refused),
        cmocka_unit_test(test_codec_dictionary__missing),
        cmocka_unit_test(test_codec_dictionary__sealed),
        cmocka_unit_test(test_codec_dictionary__rotated),
        cmocka_unit_test(test_codec_dictionary__crashes),
    };
    unsigned char out[ROOM];
    size_t bytes;
    if (varve_codec_get("zstd") == NULL) {
        if (varve_train("log", NULL, out, ROOM, &bytes, NULL) != VARVE_E_CODEC) {
            return 1;
        }
        puts("built without zstd");
        return 77;
    }
    return cmocka_run_group_tests(tests, train, NULL);
}
