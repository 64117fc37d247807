/* SPDX-License-Identifier: Apache-2.0 */
#include "format/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "format/segment.h"

static struct vv_frame_place place(void)
{
    return (struct vv_frame_place){
        .seed = vv_segment_seed(99), .sector_bytes = 512, .segment = 3, .offset = 8192, .capacity = 1 << 20};
}

static struct vv_frame_header sample(void)
{
    return (struct vv_frame_header){
        .body_crc = 0x01020304,
        .stored_bytes = 1000,
        .raw_bytes = 1000,
        .count = 5,
        .first_lsn = UINT64_C(0x1112131415161718),
        .durable_lsn = UINT64_C(0x1112131415161710),
        .time_us = UINT64_C(0x2122232425262728),
        .segment = 3,
        .sector = 16,
    };
}

static enum vv_frame_status decode(const struct vv_frame_header *h, struct vv_frame_header *ret_back)
{
    const struct vv_frame_place p = place();
    uint8_t bytes[VV_FRAME_HEADER_BYTES];
    vv_frame_encode(h, p.seed, bytes);
    return vv_frame_decode(bytes, &p, ret_back, NULL);
}

static void test_frame__round_trip(void **state)
{
    (void)state;
    struct vv_frame_header h = sample(), back;
    assert_int_equal(decode(&h, &back), VV_FRAME_OK);
    assert_int_equal(back.body_crc, h.body_crc);
    assert_int_equal(back.stored_bytes, h.stored_bytes);
    assert_int_equal(back.raw_bytes, h.raw_bytes);
    assert_int_equal(back.count, h.count);
    assert_int_equal(back.first_lsn, h.first_lsn);
    assert_int_equal(back.durable_lsn, h.durable_lsn);
    assert_int_equal(back.time_us, h.time_us);
    assert_int_equal(back.segment, h.segment);
    assert_int_equal(back.sector, h.sector);
    assert_int_equal(back.codec, 0);
    assert_int_equal(back.flags, 0);
}

static void test_frame__layout(void **state)
{
    (void)state;
    const struct vv_frame_place p = place();
    struct vv_frame_header h = sample(), back;
    uint8_t bytes[VV_FRAME_HEADER_BYTES];
    uint32_t crc = 0;
    vv_frame_encode(&h, p.seed, bytes);
    assert_memory_equal(bytes, "VFRM", 4);
    assert_int_equal(vv_get_u32(bytes + 4), vv_crc32c(p.seed, bytes + 8, 56));
    assert_int_equal(vv_get_u32(bytes + 8), h.body_crc);
    assert_int_equal(vv_get_u32(bytes + 12), 1000);
    assert_int_equal(vv_get_u32(bytes + 16), 1000);
    assert_int_equal(vv_get_u32(bytes + 20), 5);
    assert_int_equal(bytes[24], 0x18);
    assert_int_equal(vv_get_u64(bytes + 32), h.durable_lsn);
    assert_int_equal(vv_get_u64(bytes + 40), h.time_us);
    assert_int_equal(vv_get_u64(bytes + 48), 3);
    assert_int_equal(vv_get_u32(bytes + 56), 16);
    assert_int_equal(vv_get_u32(bytes + 60), 0);
    assert_int_equal(vv_frame_decode(bytes, &p, &back, &crc), VV_FRAME_OK);
    assert_int_equal(crc, back.header_crc);
}

/* Every bit: in the magic it is no frame any more, else it is one of ours that is broken. */
static void test_frame__every_bit(void **state)
{
    (void)state;
    const struct vv_frame_place p = place();
    struct vv_frame_header h = sample(), back;
    uint8_t bytes[VV_FRAME_HEADER_BYTES];
    vv_frame_encode(&h, p.seed, bytes);
    for (unsigned bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1U << bit % 8);
        assert_int_equal(vv_frame_decode(bytes, &p, &back, NULL), bit < 32 ? VV_FRAME_NONE : VV_FRAME_BROKEN);
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1U << bit % 8);
    }
    assert_int_equal(vv_frame_decode(bytes, &p, &back, NULL), VV_FRAME_OK);
}

/* Another life of the file, another segment, another place. */
static void test_frame__elsewhere(void **state)
{
    (void)state;
    struct vv_frame_place p = place();
    struct vv_frame_header h = sample(), back;
    uint8_t bytes[VV_FRAME_HEADER_BYTES], zeros[VV_FRAME_HEADER_BYTES] = {0};
    h.segment = 2;
    vv_frame_encode(&h, vv_segment_seed(98), bytes);
    assert_int_equal(vv_frame_decode(bytes, &p, &back, NULL), VV_FRAME_OTHER);
    h.segment = 0; /* what is left of a header that was cut off */
    vv_frame_encode(&h, vv_segment_seed(98), bytes);
    assert_int_equal(vv_frame_decode(bytes, &p, &back, NULL), VV_FRAME_BROKEN);
    assert_int_equal(vv_frame_decode(zeros, &p, &back, NULL), VV_FRAME_NONE);
    h = sample();
    h.segment = 2;
    assert_int_equal(decode(&h, &back), VV_FRAME_MISPLACED);
    h = sample();
    h.sector = 17;
    assert_int_equal(decode(&h, &back), VV_FRAME_MISPLACED);
    h.sector = UINT32_MAX;
    assert_int_equal(decode(&h, &back), VV_FRAME_MISPLACED);
}

#define WITH(field, value, expected)                           \
    do {                                                       \
        struct vv_frame_header changed_ = sample(), back_;     \
        changed_.field = (value);                              \
        assert_int_equal(decode(&changed_, &back_), expected); \
    } while (0)

/* A header that checks, and says what cannot be. */
static void test_frame__bounds(void **state)
{
    (void)state;
    WITH(first_lsn, 0, VV_FRAME_IMPOSSIBLE);
    WITH(first_lsn, UINT64_MAX, VV_FRAME_IMPOSSIBLE);
    WITH(first_lsn, UINT64_MAX - 4, VV_FRAME_IMPOSSIBLE);
    WITH(first_lsn, UINT64_MAX - 5, VV_FRAME_OK);
    WITH(durable_lsn, sample().first_lsn - 1, VV_FRAME_OK);
    WITH(durable_lsn, sample().first_lsn, VV_FRAME_IMPOSSIBLE);
    WITH(durable_lsn, UINT64_MAX, VV_FRAME_IMPOSSIBLE);
    WITH(durable_lsn, 0, VV_FRAME_OK);
    WITH(flags, 1, VV_FRAME_IMPOSSIBLE);
    WITH(flags, 128, VV_FRAME_IMPOSSIBLE);
    WITH(raw_bytes, 1001, VV_FRAME_IMPOSSIBLE); /* without a codec they are the same */
    WITH(stored_bytes, 999, VV_FRAME_IMPOSSIBLE);
    WITH(stored_bytes, UINT32_MAX, VV_FRAME_IMPOSSIBLE);
    WITH(raw_bytes, UINT32_MAX, VV_FRAME_IMPOSSIBLE);
    WITH(count, 62, VV_FRAME_OK); /* 16 bytes each */
    WITH(count, 63, VV_FRAME_IMPOSSIBLE);
    WITH(count, UINT32_MAX, VV_FRAME_IMPOSSIBLE);
    WITH(count, 0, VV_FRAME_IMPOSSIBLE); /* a mark has no body */
    struct vv_frame_header mark = sample(), back;
    mark.count = mark.raw_bytes = mark.stored_bytes = 0;
    assert_int_equal(decode(&mark, &back), VV_FRAME_OK);
    mark.raw_bytes = 8;
    assert_int_equal(decode(&mark, &back), VV_FRAME_IMPOSSIBLE);
}

/* A frame ends within its segment. */
static void test_frame__fits(void **state)
{
    (void)state;
    uint32_t room = (1 << 20) - 8192 - VV_FRAME_HEADER_BYTES;
    struct vv_frame_header h = sample(), back;
    h.raw_bytes = h.stored_bytes = room;
    assert_int_equal(decode(&h, &back), VV_FRAME_OK);
    h.raw_bytes = h.stored_bytes = room + 1;
    assert_int_equal(decode(&h, &back), VV_FRAME_IMPOSSIBLE);

    struct vv_frame_place p = place();
    uint8_t bytes[VV_FRAME_HEADER_BYTES];
    h = sample();
    vv_frame_encode(&h, p.seed, bytes);
    p.capacity = p.offset; /* nothing fits behind the end */
    assert_int_equal(vv_frame_decode(bytes, &p, &back, NULL), VV_FRAME_IMPOSSIBLE);
    p.capacity = 0;
    assert_int_equal(vv_frame_decode(bytes, &p, &back, NULL), VV_FRAME_IMPOSSIBLE);

    p = place();
    p.capacity = UINT64_C(4) << 30;
    h.raw_bytes = h.stored_bytes = (uint32_t)VV_FRAME_BODY_MAX;
    vv_frame_encode(&h, p.seed, bytes);
    assert_int_equal(vv_frame_decode(bytes, &p, &back, NULL), VV_FRAME_OK);
    h.raw_bytes = h.stored_bytes = (uint32_t)VV_FRAME_BODY_MAX + 1;
    vv_frame_encode(&h, p.seed, bytes);
    assert_int_equal(vv_frame_decode(bytes, &p, &back, NULL), VV_FRAME_IMPOSSIBLE);
}

static void test_frame__bytes(void **state)
{
    (void)state;
    assert_int_equal(vv_frame_bytes(0, 512), 512);
    assert_int_equal(vv_frame_bytes(448, 512), 512);
    assert_int_equal(vv_frame_bytes(449, 512), 1024);
    assert_int_equal(vv_frame_bytes(0, 4096), 4096);
    assert_int_equal(vv_frame_bytes(4032, 4096), 4096);
    assert_int_equal(vv_frame_bytes(4033, 4096), 8192);
    assert_int_equal(vv_frame_bytes(UINT32_MAX, 512), UINT64_C(4294967296) + 512);
}

/* What was packed is not larger before than it could have been; what was sealed is larger on disk. */
static void test_frame__codec(void **state)
{
    (void)state;
    static const struct {
        uint32_t codec, stored, raw;
        enum vv_frame_status status;
    } cases[] = {
        {1, 100, 1000, VV_FRAME_OK},
        {2, 100, VV_FRAME_PACKED_MAX, VV_FRAME_OK},
        {2, 100, VV_FRAME_PACKED_MAX + 1, VV_FRAME_IMPOSSIBLE},
        {3, 1040, 1000, VV_FRAME_OK},
        {255, 1000, 1000, VV_FRAME_OK},
        {1, 0, 1000, VV_FRAME_IMPOSSIBLE},
        {1, 100, 79, VV_FRAME_IMPOSSIBLE}, /* five records have 80 bytes of headers */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vv_frame_header h = sample(), back;
        h.codec = (uint8_t)cases[i].codec;
        h.stored_bytes = cases[i].stored;
        h.raw_bytes = cases[i].raw;
        assert_int_equal(decode(&h, &back), cases[i].status);
        assert_int_equal(back.codec, cases[i].codec);
    }
    /* A mark has no codec to ask. */
    struct vv_frame_header mark = sample(), back;
    mark.count = mark.stored_bytes = mark.raw_bytes = 0;
    assert_int_equal(decode(&mark, &back), VV_FRAME_OK);
    mark.codec = 1;
    assert_int_equal(decode(&mark, &back), VV_FRAME_IMPOSSIBLE);
}

static void test_frame__seed_of(void **state)
{
    (void)state;
    struct vv_frame_header h = sample();
    uint8_t bytes[VV_FRAME_HEADER_BYTES];
    for (uint64_t salt = 1; salt < 1000; salt++) {
        vv_frame_encode(&h, vv_segment_seed(salt), bytes);
        assert_int_equal(vv_frame_seed_of(bytes), vv_segment_seed(salt));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame__codec),      cmocka_unit_test(test_frame__seed_of),
        cmocka_unit_test(test_frame__round_trip), cmocka_unit_test(test_frame__layout),
        cmocka_unit_test(test_frame__every_bit),  cmocka_unit_test(test_frame__elsewhere),
        cmocka_unit_test(test_frame__bounds),     cmocka_unit_test(test_frame__fits),
        cmocka_unit_test(test_frame__bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
