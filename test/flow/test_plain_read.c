/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs in formats of others, through the library's interface: what their own programs wrote reads as their
 * manifests say, and damage is met as each of these programs meets it, or as the caller asks.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc.h"
#include "lib/bytes.h"
#include "lib/plain.h"
#include "varve/varve.h"

static enum varve_policy habit(const char *format)
{
    return varve_format_get(format)->policy;
}

/* -- sound logs -- */

static uint64_t member(const char *line, const char *name)
{
    char key[64];

    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(line, key);
    assert_non_null(at);
    return strtoull(at + strlen(key), NULL, 10);
}

static void check_entry(const struct varve_entry *e, const char *line, unsigned index)
{
    char sum[64];

    assert_int_equal(e->lsn, index + 1);
    assert_int_equal(e->data_bytes, member(line, "payload_len"));
    assert_int_equal(e->frame_offset, member(line, "offset"));
    snprintf(sum, sizeof sum, "\"payload_crc32\":\"%08" PRIx32 "\"", vv_crc32(0, e->data, e->data_bytes));
    assert_non_null(strstr(line, sum));
}

static void test_plain_read__samples(void **state)
{
    (void)state;
    for (const struct test_plain *s = test_plains; s->format; s++) {
        struct varve_verify_result verified = {.size = sizeof verified};
        struct varve_info info = {.size = sizeof info};
        char *line, *manifest = test_plain_manifest(s, &line);
        struct varve_entry entry;
        struct test_plain_reader r;
        unsigned index = 0;

        test_plain_copy(s, test_plain_next());
        uint64_t before = test_bytes_dir_sum(test_plain_path);
        assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_DEFAULT, VARVE_POLICY_DEFAULT), 0);
        assert_string_equal(varve_log_format(r.log)->name, s->format);
        assert_int_equal(varve_first_lsn(r.log), 1);
        assert_int_equal(varve_last_lsn(r.log), s->records);
        for (; varve_cursor_next(r.cursor, &entry) == 0; index++) {
            check_entry(&entry, line, index);
            line = strchr(line, '\n') + 1;
        }
        assert_int_equal(index, s->records);
        assert_int_equal(*line, 0);
        assert_int_equal(varve_cursor_verdict(r.cursor), VARVE_VERDICT_CLEAN_END);
        assert_int_equal(r.warnings, 0);
        test_plain_shut(&r);

        assert_int_equal(varve_verify(test_plain_path, NULL, NULL, NULL, &verified, &r.error), 0);
        assert_int_equal(verified.found.verdict, VARVE_VERDICT_CLEAN_END);
        assert_int_equal(verified.found.records, s->records);
        assert_string_equal(verified.format, s->format);
        assert_int_equal(varve_info_get(test_plain_path, NULL, &info, &r.error), 0);
        assert_int_equal(info.records, s->records);
        assert_int_equal(info.last_lsn, s->records);
        assert_string_equal(info.format, s->format);
        /* LOCK was not made, nor anything else. */
        assert_int_equal(test_bytes_dir_sum(test_plain_path), before);
        free(manifest);
    }
}

static void test_plain_read__seek(void **state)
{
    (void)state;
    for (const struct test_plain *s = test_plains; s->format; s++) {
        struct varve_entry entry;
        struct test_plain_reader r;

        test_plain_copy(s, test_plain_next());
        assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_DEFAULT, VARVE_POLICY_DEFAULT), 0);
        for (unsigned lsn = s->records; lsn > 0; lsn--) {
            assert_int_equal(varve_cursor_seek_lsn(r.cursor, lsn), 0);
            assert_int_equal(varve_cursor_next(r.cursor, &entry), 0);
            assert_int_equal(entry.lsn, lsn);
        }
        assert_int_equal(varve_cursor_seek_lsn(r.cursor, s->records + 1), 0);
        assert_int_equal(varve_cursor_next(r.cursor, &entry), VARVE_END);
        assert_int_equal(varve_cursor_follow(r.cursor, 1, &entry), VARVE_END);
        bool timed = varve_format_get(s->format)->carries & VARVE_FIELD_TIME;
        assert_int_equal(varve_cursor_seek_time(r.cursor, 1), timed ? 0 : VARVE_E_UNSUPPORTED);
        if (timed) {
            assert_int_equal(varve_cursor_next(r.cursor, &entry), 0);
            assert_int_equal(entry.lsn, 1);
            assert_int_equal(varve_cursor_seek_time(r.cursor, entry.time_us + 1), 0);
            assert_int_equal(varve_cursor_next(r.cursor, &entry), 0);
            assert_true(entry.lsn > 1);
        }
        test_plain_shut(&r);
    }
}

/* -- torn tails and damage, as the formats' own programs meet them -- */

static void test_plain_read__torn_tails(void **state)
{
    (void)state;
    struct test_plain_torn torn;
    for (unsigned i = 0; test_plain_torn_at(i, &torn); i++) {
        struct varve_verify_result verified = {.size = sizeof verified};
        bool halts = habit(torn.format) == VARVE_POLICY_HALT;
        struct test_plain_reader r;
        unsigned records;
        char place[64];

        test_plain_tear(&torn, test_plain_next());
        uint64_t before = test_bytes_dir_sum(test_plain_path);
        /* aero does not even open. */
        int rc = test_plain_open(&r, NULL, VARVE_POLICY_DEFAULT, VARVE_POLICY_DEFAULT);
        assert_int_equal(rc, halts ? VARVE_E_TORN : 0);
        if (halts) {
            snprintf(place, sizeof place, "wal.log, byte %" PRIu64 ": torn tail", torn.stop);
            assert_non_null(strstr(r.error.message, place));
            assert_non_null(strstr(r.error.message, "AERO_WAL_CORRUPTION"));
            snprintf(place, sizeof place, "last good record is LSN %u", torn.records);
            assert_non_null(strstr(r.error.message, place));
        } else {
            struct varve_recovery recovery;
            varve_recovery_stats(r.log, &recovery);
            assert_int_equal(recovery.verdict, VARVE_VERDICT_TORN);
            assert_int_equal(recovery.offset, torn.stop);
            assert_int_equal(recovery.last_lsn, torn.records);
            assert_int_equal(test_plain_read_on(&r, &records), VARVE_END);
            assert_int_equal(records, torn.records);
            assert_int_equal(varve_cursor_verdict(r.cursor), VARVE_VERDICT_TORN);
            test_plain_shut(&r);
        }
        assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_TRUNCATE, VARVE_POLICY_HALT), 0);
        assert_int_equal(test_plain_read_on(&r, &records), VARVE_E_TORN);
        assert_int_equal(records, torn.records);
        test_plain_shut(&r);
        assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_HALT, VARVE_POLICY_HALT), VARVE_E_TORN);
        assert_int_equal(varve_verify(test_plain_path, NULL, NULL, NULL, &verified, &r.error), 0);
        assert_int_equal(verified.found.verdict, VARVE_VERDICT_TORN);
        assert_int_equal(verified.damages, 0);
        assert_int_equal(verified.found.records, torn.records);
        assert_int_equal(test_bytes_dir_sum(test_plain_path), before);
    }
}

struct damage {
    const char *format, *file;
    uint64_t offset; /* of the byte that changes */
    uint64_t record; /* where the record begins that it is in */
    unsigned before; /* records that come first */
};

static const struct damage damages[] = {
    {"stra", "WAL/wal-000001.seg", 150, 115, 2},
    {"wlog", "wal/wal_000001.log", 120, 107, 2},
    {"aero", "wal/wal.log", 75, 57, 1},
    {"dbkv", "wal-1795178697.log", 60, 32, 0},
    {"lfwal", "wal.log", 30, 0, 0},
};

static void test_plain_read__damage(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        const struct damage *d = &damages[i];
        struct varve_verify_result verified = {.size = sizeof verified};
        enum varve_policy own = habit(d->format);
        struct test_plain_reader r;
        unsigned records;
        char place[128];

        print_message("%s\n", d->format);
        test_plain_fresh(d->format);
        test_bytes_flip(test_plain_path, d->file, d->offset, 3);
        uint64_t before = test_bytes_dir_sum(test_plain_path);
        snprintf(place, sizeof place, "%s, byte %" PRIu64 ":",
                 strrchr(d->file, '/') ? strrchr(d->file, '/') + 1 : d->file, d->record);
        int rc = test_plain_open(&r, NULL, VARVE_POLICY_DEFAULT, VARVE_POLICY_DEFAULT);
        assert_int_equal(rc, own == VARVE_POLICY_HALT ? VARVE_E_CORRUPT : 0);
        if (rc == 0 && own == VARVE_POLICY_SKIP) {
            assert_int_equal(test_plain_read_on(&r, &records), VARVE_END);
            assert_int_equal(records, 19);
            assert_int_equal(varve_cursor_lost(r.cursor), 1);
            assert_int_equal(r.warnings, 1);
            assert_non_null(strstr(r.warning, place));
        } else if (rc == 0) {
            assert_int_equal(test_plain_read_on(&r, &records), VARVE_E_CORRUPT);
            assert_int_equal(records, d->before);
            assert_non_null(strstr(r.error.message, place));
        } else {
            assert_non_null(strstr(r.error.message, place));
        }
        if (rc == 0) {
            test_plain_shut(&r);
        }
        /* What the caller asks for goes before that. */
        assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_SKIP, VARVE_POLICY_SKIP), 0);
        assert_int_equal(test_plain_read_on(&r, &records), VARVE_END);
        assert_int_equal(records, 19);
        assert_int_equal(varve_cursor_lost(r.cursor), 1);
        test_plain_shut(&r);
        for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_HALT; policy++) {
            assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_TRUNCATE, (enum varve_policy)policy), 0);
            assert_int_equal(test_plain_read_on(&r, &records), VARVE_E_CORRUPT);
            assert_int_equal(records, d->before);
            test_plain_shut(&r);
        }
        assert_int_equal(varve_verify(test_plain_path, NULL, NULL, NULL, &verified, &r.error), 0);
        assert_int_equal(verified.found.verdict, VARVE_VERDICT_CORRUPT);
        assert_int_equal(verified.damages, 1);
        assert_int_equal(verified.found.records, 19);
        assert_int_equal(verified.found.lost_records, 1);
        assert_int_equal(test_bytes_dir_sum(test_plain_path), before);
    }
}

/* -- what is refused, whatever the policy -- */

/* Under each policy opening, or reading, ends in that error, and nothing changes. */
static void refused(const char *format, int code, const char *says)
{
    uint64_t before = test_bytes_dir_sum(test_plain_path);

    for (int policy = VARVE_POLICY_DEFAULT; policy <= VARVE_POLICY_SKIP; policy++) {
        struct test_plain_reader r;
        unsigned records;
        int rc = test_plain_open(&r, format, (enum varve_policy)policy, (enum varve_policy)policy);
        if (rc == 0) {
            rc = test_plain_read_on(&r, &records);
        }
        if (r.log) {
            struct varve_error error = r.error;
            test_plain_shut(&r);
            r.error = error;
        }
        if (rc != code || !strstr(r.error.message, says)) {
            fail_msg("policy %d: %s: %s", policy, varve_error_name(rc), r.error.message);
        }
    }
    assert_int_equal(test_bytes_dir_sum(test_plain_path), before);
}

static void test_plain_read__unknown_versions(void **state)
{
    (void)state;
    test_plain_fresh("stra");
    test_bytes_patch(test_plain_path, "WAL/wal-000002.seg", 4, "\2", 1);
    refused(NULL, VARVE_E_VERSION, "wal-000002.seg");
    test_plain_fresh("wlog");
    test_bytes_patch(test_plain_path, "wal/wal_000001.log", 4, "\2", 1);
    refused(NULL, VARVE_E_VERSION, "wal_000001.log");
    test_plain_fresh("dbkv");
    test_bytes_patch(test_plain_path, "wal-current.log", 11, "\2", 1);
    refused(NULL, VARVE_E_VERSION, "wal-current.log");
    test_plain_fresh("lfwal");
    test_bytes_patch(test_plain_path, "wal.log", 51 + 12, "\2", 1);
    refused(NULL, VARVE_E_VERSION, "wal.log, byte 51");
    test_plain_fresh("stra");
    test_bytes_write(test_plain_path, "VARVE", "varve beside 2\ncrc32c 221b88ab\n", 31);
    refused("stra", VARVE_E_VERSION, "VARVE");
}

static void test_plain_read__files_of_another_log(void **state)
{
    (void)state;
    struct varve_verify_result verified = {.size = sizeof verified};
    struct varve_error error;

    test_plain_fresh("stra");
    test_bytes_flip(test_plain_path, "WAL/wal-000002.seg", 20, 0);
    refused(NULL, VARVE_E_FOREIGN, "wal-000002.seg");
    /* verify says so, and reads the others. */
    assert_int_equal(varve_verify(test_plain_path, NULL, NULL, NULL, &verified, &error), 0);
    assert_int_equal(verified.found.verdict, VARVE_VERDICT_FOREIGN);
    assert_int_equal(verified.damages, 1);
    assert_in_range(verified.found.records, 10, 19);
}

static void test_plain_read__codec_of_payloads(void **state)
{
    (void)state;
    struct varve_verify_result verified = {.size = sizeof verified};
    struct varve_error error;
    uint8_t meta[64], sum[4];

    test_plain_fresh("stra");
    test_bytes_read_at(test_plain_path, "MANIFEST", 0, meta, sizeof meta);
    memcpy(meta + 28, "deflated", 8);
    vv_put_u32(sum, vv_crc32(0, meta, 60));
    memcpy(meta + 60, sum, 4);
    test_bytes_write(test_plain_path, "MANIFEST", meta, sizeof meta);
    refused(NULL, VARVE_E_CODEC, "deflated");
    assert_int_equal(varve_verify(test_plain_path, NULL, NULL, NULL, &verified, &error), 0);
    assert_int_equal(verified.unread_code, VARVE_E_CODEC);
    assert_int_equal(verified.unread_records, 20);
}

static void test_plain_read__formats_asked_for(void **state)
{
    struct varve_dir *dir;
    (void)state;
    struct test_plain_reader r;

    test_plain_fresh("wlog");
    assert_int_equal(test_plain_open(&r, "wlog", VARVE_POLICY_DEFAULT, VARVE_POLICY_DEFAULT), 0);
    test_plain_shut(&r);
    refused("stra", VARVE_E_FORMAT, "the log is in the format wlog, not in stra");
    refused("varve", VARVE_E_FORMAT, "the log is in the format wlog, not in varve");
    refused("wlag", VARVE_E_INVALID, "'wlag' is not one of varve, stra, wlog, aero, dbkv, lfwal");
    /* Bytes that are no format's, under a name of two. */
    test_bytes_copy_dir(test_plain_path, "unknown");
    memcpy(test_plain_path, "unknown", 8);
    test_bytes_truncate(test_plain_path, "wal/wal_000002.log", 0);
    for (unsigned at = 0; at < 500; at += 48) {
        test_bytes_patch(test_plain_path, "wal/wal_000001.log", at,
                         "these are no records of anything, at any offset\n", 48);
    }
    assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_HALT, VARVE_POLICY_HALT), VARVE_E_CORRUPT);
    assert_non_null(strstr(r.error.message, "wal_000001.log, byte 0: its header is damaged"));
    refused("stra", VARVE_E_NOT_FOUND, "there is no log");
    assert_int_equal(varve_io_system()->dir_open(varve_io_system(), NULL, test_plain_next(), 1, &dir, NULL),
                     0);
    varve_io_system()->dir_close(varve_io_system(), dir);
    test_bytes_write(test_plain_path, "notes.txt", "hello\n", 6);
    refused(NULL, VARVE_E_NOT_FOUND, "there is no log in the directory");
    refused("lfwal", VARVE_E_NOT_FOUND, "there is no log in the directory");
}

/* -- missing files and damaged facts -- */

static void gone(const char *name)
{
    struct varve_io *io = varve_io_system();
    char folder[64];
    struct varve_dir *dir;
    const char *slash = strchr(name, '/');

    snprintf(folder, sizeof folder, "%s/%.*s", test_plain_path, slash ? (int)(slash - name) : 0, name);
    assert_int_equal(io->dir_open(io, NULL, folder, 0, &dir, NULL), 0);
    assert_int_equal(io->unlink(io, dir, slash ? slash + 1 : name), 0);
    io->dir_close(io, dir);
}

static void test_plain_read__missing_segments(void **state)
{
    (void)state;
    struct test_plain_reader r;
    unsigned records;

    for (int last = 0; last < 2; last++) {
        const char *name = last ? "wal-000003.seg is missing" : "wal-000002.seg is missing";
        test_plain_fresh("stra");
        test_bytes_patch(test_plain_path, "MANIFEST", 0, "", 0);
        gone(last ? "WAL/wal-000003.seg" : "WAL/wal-000002.seg");
        assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_DEFAULT, VARVE_POLICY_DEFAULT), 0);
        assert_int_equal(test_plain_read_on(&r, &records), VARVE_E_MISSING_SEGMENT);
        assert_non_null(strstr(r.error.message, name));
        test_plain_shut(&r);
        assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_HALT, VARVE_POLICY_HALT),
                         VARVE_E_MISSING_SEGMENT);
        assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_SKIP, VARVE_POLICY_SKIP), 0);
        assert_int_equal(test_plain_read_on(&r, &records), VARVE_END);
        assert_int_equal(varve_cursor_lost(r.cursor), 1);
        assert_in_range(records, 5, 19);
        test_plain_shut(&r);
    }
    /* A log may begin with any number. */
    test_plain_fresh("stra");
    gone("WAL/wal-000001.seg");
    assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_HALT, VARVE_POLICY_HALT), 0);
    assert_int_equal(test_plain_read_on(&r, &records), VARVE_END);
    test_plain_shut(&r);
    /* aero has one file, which a reader must find. */
    test_plain_fresh("aero");
    gone("wal/wal.log");
    assert_int_equal(test_plain_open(&r, "aero", VARVE_POLICY_DEFAULT, VARVE_POLICY_DEFAULT),
                     VARVE_E_CORRUPT);
    assert_non_null(strstr(r.error.message, "wal.log is missing"));
}

static void test_plain_read__damaged_facts(void **state)
{
    (void)state;
    static const char *const files[] = {"MANIFEST", "VARVE"};
    for (int i = 0; i < 2; i++) {
        struct varve_verify_result verified = {.size = sizeof verified};
        struct test_plain_reader r;
        unsigned records;

        test_plain_fresh("stra");
        if (i == 0) {
            test_bytes_flip(test_plain_path, "MANIFEST", 30, 0);
        } else {
            test_bytes_write(test_plain_path, "VARVE", "varve beside 1\nformat stra\n", 27);
        }
        assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_DEFAULT, VARVE_POLICY_DEFAULT),
                         VARVE_E_CORRUPT);
        assert_non_null(strstr(r.error.message, files[i]));
        assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_SKIP, VARVE_POLICY_SKIP), 0);
        assert_int_equal(r.warnings, 1);
        assert_non_null(strstr(r.warning, files[i]));
        assert_int_equal(test_plain_read_on(&r, &records), VARVE_END);
        assert_int_equal(records, 20);
        test_plain_shut(&r);
        assert_int_equal(varve_verify(test_plain_path, NULL, NULL, NULL, &verified, &r.error), 0);
        assert_int_equal(verified.found.verdict, VARVE_VERDICT_CORRUPT);
        assert_int_equal(verified.damages, 1);
        assert_int_equal(verified.found.records, 20);
    }
}

/* -- allocations that fail -- */

static void test_plain_read__no_memory(void **state)
{
    (void)state;
    static const char *const formats[] = {"stra", "dbkv"};
    for (int i = 0; i < 2; i++) {
        bool failed = true;

        test_plain_fresh(formats[i]);
        test_bytes_flip(test_plain_path, i == 0 ? "WAL/wal-000001.seg" : "wal-1795178697.log", 150, 1);
        for (long n = 0; failed; n++) {
            struct varve_verify_result verified = {.size = sizeof verified};
            struct test_plain_reader r;
            unsigned records = 0;

            assert_true(n < 200);
            vv_alloc_fail_after(n);
            int rc = test_plain_open(&r, NULL, VARVE_POLICY_SKIP, VARVE_POLICY_SKIP);
            if (rc == 0) {
                struct varve_entry entry;
                for (; (rc = varve_cursor_next(r.cursor, &entry)) == 0; records++) {
                    ;
                }
            }
            if (r.cursor) {
                varve_cursor_error(r.cursor, &r.error);
            }
            varve_cursor_close(r.cursor);
            (void)varve_close(r.log, NULL);
            bool no_memory = rc == VARVE_E_NOMEM || (rc == VARVE_E_IO && r.error.sys_errno == ENOMEM);
            if (!no_memory && !(rc == VARVE_END && records == 19)) {
                fail_msg("%s, allocation %ld: %s, %u records: %s", formats[i], n, varve_error_name(rc),
                         records, r.error.message);
            }
            if (rc == VARVE_END) {
                rc = varve_verify(test_plain_path, NULL, NULL, NULL, &verified, &r.error);
                no_memory = rc == VARVE_E_NOMEM || (rc == VARVE_E_IO && r.error.sys_errno == ENOMEM);
                assert_true(no_memory || (rc == 0 && verified.found.records == 19));
            }
            failed = vv_alloc_fail_left() < 0;
            vv_alloc_fail_after(-1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_read__samples),
        cmocka_unit_test(test_plain_read__seek),
        cmocka_unit_test(test_plain_read__torn_tails),
        cmocka_unit_test(test_plain_read__damage),
        cmocka_unit_test(test_plain_read__unknown_versions),
        cmocka_unit_test(test_plain_read__files_of_another_log),
        cmocka_unit_test(test_plain_read__codec_of_payloads),
        cmocka_unit_test(test_plain_read__formats_asked_for),
        cmocka_unit_test(test_plain_read__missing_segments),
        cmocka_unit_test(test_plain_read__damaged_facts),
        cmocka_unit_test(test_plain_read__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
