/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what the native format is made of. The first byte says as what: 0 = a segment's header, 1 = a
 * frame's, 2 = the records of a body, 3 = MANIFEST; and with 128 added the checksums are made right first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "format/frame.h"
#include "format/manifest.h"
#include "format/record.h"
#include "format/segment.h"
#include "lib/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_segment(uint8_t *bytes, size_t len, bool mend)
{
    uint8_t again[VV_SEGMENT_HEADER_BYTES];
    struct vv_segment_header header;
    enum vv_segment_status status;
    uint64_t number;

    if (mend && len >= VV_SEGMENT_CHECKED_BYTES)
        vv_put_u32(bytes + 124, vv_crc32c(0, bytes, 124));
    status = vv_segment_decode(bytes, len, &header);
    if (status == VV_SEGMENT_OK) {
        vv_segment_encode(&header, again);
        FUZZ_ASSERT(memcmp(again, bytes, 80) == 0);
        FUZZ_ASSERT(vv_segment_decode(again, sizeof again, &header) == VV_SEGMENT_OK);
    }
    if (len > 0 && bytes[len - 1] == 0)
        (void)vv_segment_name_parse((const char *)bytes, &number);
}

/* Behind 32 bytes that say where it stands. */
static void on_frame(uint8_t *bytes, size_t len, bool mend)
{
    uint8_t again[VV_FRAME_HEADER_BYTES];
    struct vv_frame_header header;
    struct vv_frame_place place = {.sector_bytes = 512};

    if (len < 32 + VV_FRAME_HEADER_BYTES)
        return;
    place.seed = vv_segment_seed(vv_get_u64(bytes));
    place.segment = vv_get_u64(bytes + 8);
    place.offset = vv_round_down(vv_get_u64(bytes + 16) % VV_SEGMENT_BYTES_MAX, 512);
    place.capacity = vv_get_u64(bytes + 24);
    bytes += 32;
    if (mend)
        vv_put_u32(bytes + 4, vv_crc32c(place.seed, bytes + 8, VV_FRAME_HEADER_BYTES - 8));
    if (vv_frame_decode(bytes, &place, &header, NULL) != VV_FRAME_OK)
        return;
    FUZZ_ASSERT(vv_frame_bytes(header.stored_bytes, 512) <= place.capacity - place.offset);
    vv_frame_encode(&header, place.seed, again);
    FUZZ_ASSERT(memcmp(again + 8, bytes + 8, 54) == 0);
}

static void mend_record(uint8_t *body, size_t len, size_t offset, uint32_t seed)
{
    uint64_t bytes, head;

    if (offset >= len || len - offset < VV_RECORD_HEADER_BYTES)
        return;
    head = body[offset + 9] & VV_RECORD_FLAG_TXN ? VV_RECORD_HEADER_BYTES + VV_RECORD_TXN_BYTES
                                                 : VV_RECORD_HEADER_BYTES;
    bytes = head + vv_get_u32(body + offset + 4);
    if (bytes <= len - offset)
        vv_put_u32(body + offset, vv_crc32c(seed, body + offset + 4, (size_t)bytes - 4));
}

static void on_body(uint8_t *bytes, size_t len, bool mend)
{
    uint32_t log_seed = vv_record_log_seed((const uint8_t *)"0123456789abcdef");
    enum vv_record_status status = VV_RECORD_OK;
    uint64_t offset = 0, next, lsn = 1;
    struct vv_record record;

    for (; status != VV_RECORD_LOST; lsn++) {
        uint32_t seed = vv_record_seed(log_seed, lsn);
        if (mend)
            mend_record(bytes, len, (size_t)offset, seed);
        status = vv_record_decode(bytes, len, offset, seed, &record, &next);
        if (status == VV_RECORD_LOST)
            break;
        FUZZ_ASSERT(next > offset && next <= len);
        FUZZ_ASSERT(record.payload >= bytes && record.payload + record.payload_bytes <= bytes + len);
        offset = next;
    }
}

static void on_manifest(uint8_t *bytes, size_t len, bool mend)
{
    char again[VV_MANIFEST_BYTES_MAX], sum[9];
    struct vv_manifest manifest;

    if (mend && len > 16 && len <= VV_MANIFEST_BYTES_MAX) {
        snprintf(sum, sizeof sum, "%08x", vv_crc32c(0, bytes, len - 16));
        memcpy(bytes + len - 16, "crc32c ", 7);
        memcpy(bytes + len - 9, sum, 8);
        bytes[len - 1] = '\n';
    }
    if (vv_manifest_decode((const char *)bytes, len, &manifest, NULL) == 0) {
        FUZZ_ASSERT(vv_manifest_encode(&manifest, again) == len);
        FUZZ_ASSERT(memcmp(again, bytes, len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parts[4])(uint8_t *, size_t, bool) = {on_segment, on_frame, on_body, on_manifest};
    size_t len = size > 0 ? size - 1 : 0;
    uint8_t *bytes = malloc(len > 0 ? len : 1);

    FUZZ_ASSERT(bytes != NULL);
    if (size > 0) {
        memcpy(bytes, data + 1, len);
        parts[data[0] & 3](bytes, len, data[0] & 128);
    }
    free(bytes);
    return 0;
}
