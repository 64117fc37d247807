/* SPDX-License-Identifier: Apache-2.0 */
/* Logs with codecs, from append to cursor: every codec in every mode, with threads, faults and power cuts;
 * logs that change their codec; codecs of others. */
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
#include "lib/bed.h"
#include "lib/codecs.h"
#include "varve/varve.h"

static struct varve_info info_of(struct test_bed *bed)
{
    struct varve_info info = {.size = sizeof info};
    struct varve_error error = {.message = "?"};
    if (varve_info_get(bed->path, &bed->memory.io, &info, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return info;
}

static bool packs(const char *name)
{
    const struct varve_codec *codec = varve_codec_get(name);
    return codec->encode != NULL || codec->packs != NULL;
}

/* What stands on disk is what the codec makes of it, and all of it can be read and verified. */
static void check_log(struct test_bed *bed, const char *name, bool shrinks)
{
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_info info = info_of(bed);
    struct varve_options options = {.size = sizeof options, .io = &bed->memory.io, .keys = bed->options.keys};
    struct varve_error error = {.message = "?"};
    assert_string_equal(info.codec_name, name);
    assert_int_equal(info.codec, varve_codec_get(name)->id);
    if (packs(name) && shrinks) {
        assert_true(info.stored_bytes < info.body_bytes / 2);
    }
    if (test_codecs_seals(name)) {
        assert_int_equal(info.encoded_frames, info.frames);
    }
    if (varve_verify(bed->path, &options, NULL, NULL, &result, &error) != 0) {
        fail_msg("%s: %s", name, error.message);
    }
    assert_int_equal(result.damages, 0);
    assert_int_equal(result.unread_frames, 0);
    assert_int_equal(result.found.records, info.records);
}

/* `bytes_max` above the slot: records that pass through it in pieces. */
static void run_mode(const char *name, struct varve_options options, size_t bytes_max, unsigned threads,
                     unsigned count, bool shrinks)
{
    struct test_bed bed;
    struct varve_keys *keys = test_codecs_keys(1);
    options.codec = name;
    options.keys = keys;
    bed_init(&bed, BED_MEMORY, &options, bytes_max);
    bed.ledger.shrinks = shrinks;
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(bed_crowd(&bed, threads, count), 0);
    assert_int_equal(varve_sync(bed.log), 0);
    test_ledger_check(&bed.ledger, bed.log);
    assert_int_equal(bed_shut(&bed), 0);
    /* What would take as many sectors as before is left as it is, and so is what is larger than a slot. */
    check_log(&bed, name, shrinks && bytes_max < options.slot_bytes && options.sector_bytes == 0);
    bed.options.codec = NULL; /* the log knows */
    bed_check(&bed);
    assert_string_equal(info_of(&bed).codec_name, name);
    bed_end(&bed);
    varve_keys_free(keys);
}

static void test_codec__modes(void **state)
{
    (void)state;
    static const struct varve_options modes[] = {
        {.slot_bytes = 8192, .writes_in_flight = 1},
        {.slot_bytes = 8192, .writes_in_flight = 4},
        {.slot_bytes = 16384, .durability = VARVE_BUFFERED, .sync_bytes = 65536},
        {.slot_bytes = 8192, .durability = VARVE_INTERVAL, .sync_interval_ms = 2},
        {.slot_bytes = 8192, .durability = VARVE_STRICT},
        {.slot_bytes = 8192, .backend = VARVE_BACKEND_BUFFERED, .sector_bytes = 4096},
    };
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        for (size_t k = 0; k < sizeof modes / sizeof modes[0]; k++) {
            run_mode(test_codecs_at(i), modes[k], 3000, 4, 40, true);
        }
        run_mode(test_codecs_at(i), modes[1], 3000, 4, 40, false); /* content that does not shrink */
    }
}

static void test_codec__large_records(void **state)
{
    (void)state;
    static const struct varve_options modes[] = {
        {.slot_bytes = 4096, .writes_in_flight = 2},
        {.slot_bytes = 4096, .durability = VARVE_BUFFERED},
    };
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        for (size_t k = 0; k < sizeof modes / sizeof modes[0]; k++) {
            run_mode(test_codecs_at(i), modes[k], 20000, 3, 20, true);
        }
    }
}

/* Records of every size around a slot's and a sector's end, in pieces as well. */
static void test_codec__sizes(void **state)
{
    (void)state;
    enum {
        MOST = 13000
    };
    static unsigned char bytes[MOST];
    test_codecs_fill(bytes, sizeof bytes, 3);
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        struct varve_keys *keys = test_codecs_keys(1);
        struct test_bed bed;
        struct varve_cursor *cursor = NULL;
        struct varve_entry entry;
        bed_start(
            &bed, BED_MEMORY,
            &(struct varve_options){
                .codec = test_codecs_at(i), .keys = keys, .slot_bytes = 4096, .mark_idle_ms = UINT32_MAX},
            8);
        size_t sizes[64], count = 0;
        for (size_t at = 0; at < MOST; at += at < 3960 ? 440 : at < 4110 ? 9 : 3000) {
            sizes[count++] = at;
        }
        for (size_t n = 0; n < count; n++) {
            const struct iovec iov[3] = {{bytes, sizes[n] / 3},
                                         {bytes + sizes[n] / 3, 0},
                                         {bytes + sizes[n] / 3, sizes[n] - sizes[n] / 3}};
            const struct varve_record record = {.iov = iov, .iov_count = 3, .type = (uint8_t)n};
            assert_int_equal(varve_append_record(bed.log, &record, VARVE_DURABILITY_DEFAULT, NULL), 0);
        }
        assert_int_equal(varve_cursor_open(bed.log, VARVE_POLICY_HALT, &cursor, NULL), 0);
        for (size_t n = 0; n < count; n++) {
            assert_int_equal(varve_cursor_next(cursor, &entry), 0);
            assert_int_equal(entry.data_bytes, sizes[n]);
            assert_memory_equal(entry.data, bytes, sizes[n]);
            assert_int_equal(entry.type, n);
        }
        varve_cursor_close(cursor);
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
        varve_keys_free(keys);
    }
}

/* The largest record that a segment holds, sealed. */
static void test_codec__largest_record(void **state)
{
    (void)state;
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        struct varve_keys *keys = test_codecs_keys(1);
        struct test_bed bed;
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){.codec = test_codecs_at(i), .keys = keys, .sector_bytes = 4096}, 8);
        size_t most = bed_stats(&bed).record_max;
        unsigned char *bytes = malloc(most + 1);
        struct varve_cursor *cursor = NULL;
        struct varve_entry entry;
        assert_non_null(bytes);
        test_codecs_fill(bytes, most + 1, 1);
        assert_int_equal(varve_append(bed.log, bytes, most + 1, NULL), VARVE_E_TOO_LARGE);
        assert_int_equal(varve_append(bed.log, bytes, most, NULL), 0);
        assert_int_equal(varve_append(bed.log, bytes, most, NULL), 0);
        assert_int_equal(varve_cursor_open(bed.log, VARVE_POLICY_HALT, &cursor, NULL), 0);
        for (int n = 0; n < 2; n++) {
            assert_int_equal(varve_cursor_next(cursor, &entry), 0);
            assert_int_equal(entry.data_bytes, most);
            assert_memory_equal(entry.data, bytes, most);
        }
        varve_cursor_close(cursor);
        free(bytes);
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
        varve_keys_free(keys);
    }
}

/* From every codec to every other, by closing and by a power cut: all that was written stays readable. */
static void test_codec__changes(void **state)
{
    (void)state;
    struct varve_keys *keys = test_codecs_keys(1);
    struct test_bed bed;
    unsigned codecs = 0;
    while (test_codecs_at(codecs) != NULL) {
        codecs++;
    }
    bed_init(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 8192, .keys = keys}, 3000);
    bed.ledger.shrinks = 1;
    for (unsigned from = 0; from <= codecs; from++) {
        for (unsigned to = 0; to <= codecs; to++) {
            const char *names[2] = {from < codecs ? test_codecs_at(from) : "identity",
                                    to < codecs ? test_codecs_at(to) : "identity"};
            for (int i = 0; i < 3; i++) {
                bed.options.codec = i < 2 ? names[i] : NULL;
                assert_int_equal(bed_open(&bed), 0);
                assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 6), 0);
                assert_int_equal(bed_shut(&bed), 0);
                assert_string_equal(info_of(&bed).codec_name, names[i < 2 ? i : 1]);
            }
        }
    }
    bed.options.codec = NULL;
    bed_check(&bed);
    check_log(&bed, "identity", false);
    bed_end(&bed);
    varve_keys_free(keys);
}

/* MANIFEST says so before the first frame does: whenever the power is cut, a log that has frames of a codec
 * knows that it has it. */
static void test_codec__manifest_first(void **state)
{
    (void)state;
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        struct varve_keys *keys = test_codecs_keys(1);
        for (long calls = 0;; calls++) {
            struct test_bed bed;
            bed_start(&bed, BED_MEMORY, &(struct varve_options){.keys = keys, .slot_bytes = 8192}, 3000);
            assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
            assert_int_equal(bed_shut(&bed), 0);
            bed.options.codec = test_codecs_at(i);
            test_fault_fail_after(&bed.fault, calls, EIO);
            int rc = bed_open(&bed);
            long left = test_fault_left(&bed.fault);
            test_fault_fail_after(&bed.fault, -1, 0);
            if (rc == 0) {
                (void)test_ledger_fill(&bed.ledger, bed.log, 3);
                struct test_memory cut;
                struct varve_info info = {.size = sizeof info};
                test_memory_crash(&bed.memory, TEST_CRASH_NOTHING, NULL, &cut);
                assert_int_equal(varve_info_get("log", &cut.io, &info, NULL), 0);
                assert_true(info.encoded_frames == 0 || info.codec != 0);
                test_memory_close(&cut);
                (void)bed_shut(&bed);
            }
            bed.options.codec = NULL;
            bed_check(&bed);
            bed_end(&bed);
            if (left >= 0) {
                break;
            }
        }
        varve_keys_free(keys);
    }
}

/* Frames that move to a fresh segment are packed and sealed anew, for that. */
static void test_codec__moves(void **state)
{
    (void)state;
    static const struct varve_options modes[] = {
        {.slot_bytes = 4096, .writes_in_flight = 1},
        {.slot_bytes = 4096, .writes_in_flight = 4},
        {.slot_bytes = 4096,
         .durability = VARVE_BUFFERED,
         .backend = VARVE_BACKEND_BUFFERED,
         .sync_bytes = 20000},
    };
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        for (size_t k = 0; k < sizeof modes / sizeof modes[0]; k++) {
            struct varve_keys *keys = test_codecs_keys(1);
            struct varve_options options = modes[k];
            struct test_bed bed;
            options.codec = test_codecs_at(i);
            options.keys = keys;
            bed_init(&bed, BED_MEMORY, &options, k == 0 ? 9000 : 3000);
            bed.ledger.shrinks = 1;
            assert_int_equal(bed_open(&bed), 0);
            for (int n = 0; n < 4; n++) {
                test_fault_arm(&bed.fault, &(struct test_fault_rule){
                                               .op = k == 2 ? TEST_OP_SYNC : TEST_OP_WRITE_DSYNC,
                                               .prefix = "new-",
                                               .after = 3 + 8 * n,
                                               .action = n % 2 == 0 ? TEST_FAULT_PARTIAL : TEST_FAULT_FAIL,
                                               .bytes = n % 4 == 0 ? SIZE_MAX : 512});
            }
            assert_int_equal(bed_crowd(&bed, 4, 40), 0);
            assert_int_equal(varve_sync(bed.log), 0);
            assert_true(bed_stats(&bed).moves >= 1);
            assert_int_equal(varve_error_first(bed.log, NULL), 0);
            test_ledger_check(&bed.ledger, bed.log);
            assert_int_equal(bed_shut(&bed), 0);
            bed_check(&bed);
            bed_end(&bed);
            varve_keys_free(keys);
        }
    }
}

/* A frame of one sector is left as it is: nothing would be saved. */
static void test_codec__small_frames_do_not_grow(void **state)
{
    (void)state;
    static const char zeros[128];
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = UINT32_MAX}, 8);
    for (int n = 0; n < 50; n++) {
        assert_int_equal(varve_append(bed.log, zeros, sizeof zeros, NULL), 0);
    }
    assert_int_equal(bed_shut(&bed), 0);
    uint64_t plain = info_of(&bed).used_bytes;
    bed_end(&bed);
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        struct varve_keys *keys = test_codecs_keys(1);
        bed_start(
            &bed, BED_MEMORY,
            &(struct varve_options){.codec = test_codecs_at(i), .keys = keys, .mark_idle_ms = UINT32_MAX}, 8);
        for (int n = 0; n < 50; n++) {
            assert_int_equal(varve_append(bed.log, zeros, sizeof zeros, NULL), 0);
        }
        assert_int_equal(bed_shut(&bed), 0);
        assert_int_equal(info_of(&bed).used_bytes, plain);
        assert_int_equal(info_of(&bed).encoded_frames, test_codecs_seals(test_codecs_at(i)) ? 50 : 0);
        bed_end(&bed);
        varve_keys_free(keys);
    }
}

static void test_codec__unknown(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_init(&bed, BED_MEMORY, &(struct varve_options){.codec = "gzip"}, 8);
    assert_int_equal(bed_open(&bed), VARVE_E_CODEC);
    assert_non_null(strstr(bed.error.message, "gzip"));
    bed.options.codec = "0123456789012345678901234567890123456789";
    assert_int_equal(bed_open(&bed), VARVE_E_INVALID);
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        bed.options.codec = test_codecs_at(i);
        bed.options.codec_level = 1000;
        bed.options.keys = test_codecs_keys(1);
        assert_int_equal(bed_open(&bed), packs(test_codecs_at(i)) ? VARVE_E_INVALID : 0);
        if (bed.log != NULL) {
            assert_int_equal(bed_shut(&bed), 0);
        }
        varve_keys_free(bed.options.keys);
        if (test_codecs_seals(test_codecs_at(i))) {
            bed.options.keys = NULL;
            bed.options.codec_level = 0;
            assert_int_equal(bed_open(&bed), VARVE_E_KEY_MISSING);
        }
    }
    /* In `memory` mode nothing is written, and no codec made. */
    bed.options = (struct varve_options){.size = sizeof bed.options,
                                         .io = &bed.fault.pass.io,
                                         .durability = VARVE_MEMORY,
                                         .codec = "identity"};
    bed_end(&bed);
}

/* Every allocation and every call fails once while a log with a codec is opened. */
static void test_codec__open_countdown(void **state)
{
    (void)state;
    for (unsigned i = 0; test_codecs_at(i) != NULL; i++) {
        struct varve_keys *keys = test_codecs_keys(1);
        struct test_bed bed;
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){.codec = test_codecs_at(i), .keys = keys, .slot_bytes = 4096}, 300);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
        assert_int_equal(bed_shut(&bed), 0);
        for (long n = 0;; n++) {
            vv_alloc_fail_after(n);
            int rc = bed_open(&bed);
            long left = vv_alloc_fail_left();
            vv_alloc_fail_after(-1);
            if (rc == 0) {
                assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
                assert_int_equal(bed_shut(&bed), 0);
            }
            if (left >= 0) {
                break;
            }
        }
        bed_check(&bed);
        bed_end(&bed);
        varve_keys_free(keys);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec__modes),   cmocka_unit_test(test_codec__large_records),
        cmocka_unit_test(test_codec__sizes),   cmocka_unit_test(test_codec__largest_record),
        cmocka_unit_test(test_codec__changes), cmocka_unit_test(test_codec__manifest_first),
        cmocka_unit_test(test_codec__moves),   cmocka_unit_test(test_codec__small_frames_do_not_grow),
        cmocka_unit_test(test_codec__unknown), cmocka_unit_test(test_codec__open_countdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
