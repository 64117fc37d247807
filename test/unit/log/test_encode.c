/* SPDX-License-Identifier: Apache-2.0 */
#include "log/stages.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"

#include "base/crc.h"
#include "format/frame.h"
#include "format/record.h"

/* The buffer holds just what the format says, whatever stood there before, and no byte beyond. */
static void test_encode__bytes(void **state)
{
    (void)state;
    static const unsigned char data[] = "abcdefghijklmnopqrstuvwxyz";
    for (size_t len = 0; len <= 26; len++) {
        for (int txn = 0; txn < 2; txn++) {
            _Alignas(64) unsigned char buffer[512];
            struct varve_log log = {.log_seed = 77};
            struct vv_slot slot = {.buffer = buffer, .floor_us = 1000};
            struct iovec iov[3] = {{(void *)(uintptr_t)data, len / 2},
                                   {NULL, 0},
                                   {(void *)(uintptr_t)(data + len / 2), len - len / 2}};
            struct varve_record record = {
                .iov = iov, .iov_count = 3, .type = 9, .txn_id = 0x0102030405060708};
            if (txn) {
                record.flags = VARVE_RECORD_TXN;
                memcpy(record.origin, "sixteen bytes ..", 16);
            }
            memset(buffer, 0xaa, sizeof buffer);
            vv_encode_record(&log, &slot, 16, 5, &record, len, 1234);
            const unsigned char *at = buffer + VV_FRAME_HEADER_BYTES + 16;
            const size_t head = txn ? 40 : 16, total = (head + len + 7) / 8 * 8;
            assert_int_equal(at[-1], 0xaa);
            assert_int_equal(at[total], 0xaa);
            assert_int_equal(at[4], len);
            assert_int_equal(at[8], 9);
            assert_int_equal(at[9], txn);
            assert_int_equal(at[10] | at[11], 0);
            assert_memory_equal(at + head, data, len);
            for (size_t i = head + len; i < total; i++) {
                assert_int_equal(at[i], 0);
            }
            if (txn) {
                assert_int_equal(at[16], 8);
                assert_int_equal(at[23], 1);
                assert_memory_equal(at + 24, "sixteen bytes ..", 16);
            }
            /* The checksum runs from behind itself to the end of the payload, from the log's and the LSN's.
             */
            uint32_t crc = vv_crc32c(vv_record_seed(77, 5), at + 4, head + len - 4), stored;
            memcpy(&stored, at, sizeof stored);
            assert_int_equal(stored, crc);
            assert_int_equal(slot.time_us, 1234);
            assert_int_equal(at[12] | at[13] | at[14] | at[15], 0);
        }
    }
}

/* The frame's time is its first record's; the others tell how much later they came, and never less. */
static void test_encode__times(void **state)
{
    (void)state;
    _Alignas(64) unsigned char buffer[512];
    struct varve_log log = {.log_seed = 77};
    struct vv_slot slot = {.buffer = buffer, .floor_us = 5000};
    static const struct {
        uint64_t now_us, expect;
    } steps[] = {{4000, 5000}, {5000, 5000}, {5001, 5001}, {4999, 5000}, {6000, 6000}, {0, 5000}};
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        uint32_t delta;
        vv_encode_record(&log, &slot, 0, 1, &(struct varve_record){.data = NULL}, 0, steps[i].now_us);
        memcpy(&delta, buffer + VV_FRAME_HEADER_BYTES + 12, sizeof delta);
        assert_int_equal(slot.time_us, 5000);
        assert_int_equal(slot.time_us + delta, steps[i].expect);
    }
}

static void test_encode__filled(void **state)
{
    (void)state;
    struct vv_slot slot = {.filled = 3};
    vv_encode_filled(&slot, 4);
    assert_int_equal(slot.filled, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode__bytes),
        cmocka_unit_test(test_encode__times),
        cmocka_unit_test(test_encode__filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
