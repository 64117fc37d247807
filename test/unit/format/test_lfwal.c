/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "format/builtin.h"
#include "format/format.h"
#include "lib/hex.h"
#include "varve/payload.h"

static const struct varve_format *const f = &vv_format_lfwal;

/* Of docs/FORMATS.md: commit of transaction 5 at time 1. */
static const char example[] = "14 00 00 00 00 00 00 00 cf 0b 8f 16 01"
                              "03 00 00 00 05 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00";

static void test_lfwal__example(void **state)
{
    (void)state;
    const struct varve_lfwal_entry commit = {.type = VARVE_LFWAL_COMMIT, .tx = 5, .time_s = 1};
    const struct varve_format_stamp stamp = {9, 9};
    uint8_t bytes[64], payload[64], out[64];
    struct varve_record record = {.data = payload};
    struct varve_format_entry entry;
    size_t len = test_hex(example, bytes);
    assert_int_equal(varve_lfwal_put(&commit, payload, sizeof payload, &record.data_bytes), 0);
    vv_format_encode(f, &record, record.data_bytes, &stamp, out);
    assert_memory_equal(out, bytes, len);
    assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_RECORD);
    assert_int_equal(entry.type, VARVE_LFWAL_COMMIT);
    assert_int_equal(entry.flags, VARVE_RECORD_TXN);
    assert_int_equal(entry.txn_id, 5);
    assert_int_equal(entry.time, 1);
}

/* No checksum covers the version: it counts where the rest is right. */
static void test_lfwal__versions_and_lengths(void **state)
{
    (void)state;
    struct varve_format_entry entry;
    uint8_t bytes[64];
    size_t len = test_hex(example, bytes);
    bytes[12] = 2;
    assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_VERSION);
    bytes[13] ^= 1;
    assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_CHECKSUM);
    bytes[0] = 19;
    assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_LENGTH);
    vv_put_u64(bytes, (UINT64_C(1) << 30) + 1);
    assert_int_equal(vv_format_decode(f, bytes, len, UINT64_MAX, &entry), VARVE_FOUND_LENGTH);
    vv_put_u64(bytes, UINT64_C(1) << 30);
    assert_int_equal(vv_format_decode(f, bytes, len, UINT64_MAX, &entry), VARVE_FOUND_NEED);
    vv_put_u64(bytes, UINT64_MAX);
    assert_int_equal(vv_format_decode(f, bytes, len, UINT64_MAX, &entry), VARVE_FOUND_LENGTH);
}

/* Under a right checksum: a kind that there is not, a key of no bytes, bytes left over. */
static void test_lfwal__contents(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        enum varve_found found;
    } cases[] = {
        {"00000000 0500000000000000 0100000000000000 0100000000000000 6b 0000000000000000",
         VARVE_FOUND_RECORD},
        {"00000000 0500000000000000 0100000000000000 0000000000000000 0000000000000000", VARVE_FOUND_CONTENT},
        {"00000000 0500000000000000 0100000000000000 0100000000000000 ff 0000000000000000",
         VARVE_FOUND_CONTENT},
        {"00000000 0500000000000000 0100000000000000 0100000000000000 6b 000000000000000000",
         VARVE_FOUND_CONTENT},
        {"01000000 0500000000000000 0100000000000000 0100000000000000 6b 0000000000000000",
         VARVE_FOUND_CONTENT},
        {"01000000 0500000000000000 0100000000000000 0100000000000000 6b 0000000000000000 0000000000000000",
         VARVE_FOUND_RECORD},
        {"02000000 0500000000000000 0100000000000000 0100000000000000 6b 0000000000000000",
         VARVE_FOUND_RECORD},
        {"04000000 0500000000000000 0100000000000000", VARVE_FOUND_RECORD},
        {"05000000 0500000000000000 0100000000000000", VARVE_FOUND_CONTENT},
        {"00000000 0500000000000000 0100000000000000 ffffffffffffffff 6b 0000000000000000",
         VARVE_FOUND_CONTENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct varve_format_entry entry;
        uint8_t bytes[128] = {0};
        size_t len = test_hex(cases[i].payload, bytes + 13);
        vv_put_u64(bytes, len);
        vv_put_u32(bytes + 8, vv_crc32(0, bytes + 13, len));
        bytes[12] = 1;
        enum varve_found found = vv_format_decode(f, bytes, 13 + len, 13 + len, &entry);
        if (found != cases[i].found || (found == VARVE_FOUND_CONTENT && !entry.reason))
            fail_msg("case %zu: %s", i, vv_format_found_name(found));
    }
}

/* The one file that the format's own program writes comes first. */
static void test_lfwal__names(void **state)
{
    (void)state;
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t number = 77;
    f->name_put(1, name);
    assert_string_equal(name, "wal-00000001.log");
    f->name_put(0, name);
    assert_string_equal(name, "wal.log");
    assert_int_equal(f->name_get("wal.log", &number), VARVE_NAME_SEGMENT);
    assert_int_equal(number, 0);
    assert_int_equal(f->name_get("wal-123456789.log", &number), VARVE_NAME_SEGMENT);
    assert_int_equal(number, 123456789);
    assert_int_equal(f->name_get("wal-0000001.log", &number), VARVE_NAME_NONE);
    assert_int_equal(f->name_get("wal-00000000.log", &number), VARVE_NAME_NONE);
    assert_int_equal(f->name_get("wal.log.old", &number), VARVE_NAME_NONE);
    assert_int_equal(f->name_get("wal.log.checkpoint", &number), VARVE_NAME_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lfwal__example),
        cmocka_unit_test(test_lfwal__versions_and_lengths),
        cmocka_unit_test(test_lfwal__contents),
        cmocka_unit_test(test_lfwal__names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
