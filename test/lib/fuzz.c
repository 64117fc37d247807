/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/sum.h"
#include "lib/source.h"

static test_fuzz_payload_fn on_payload;

void test_fuzz_fail(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    abort();
}

void test_fuzz_payloads(test_fuzz_payload_fn fn)
{
    on_payload = fn;
}

/* Makes the checksum of each record right, as far as the lengths lead. */
static void mend(const struct varve_format *f, uint8_t *bytes, size_t len)
{
    struct varve_format_entry entry;
    size_t at = f->header_bytes;

    while (at < len && vv_format_head(f, bytes + at, len - at, len - at, &entry) == VARVE_FOUND_RECORD) {
        uint8_t *tail = bytes + at + entry.bytes - f->tail_bytes;
        uint32_t sum =
            vv_sum(f->sum, 0, bytes + at + f->sum_from, (size_t)(tail - (bytes + at)) - f->sum_from);
        uint8_t *stored = f->sum_at < 0 ? tail : bytes + at + f->sum_at;
        if (f->traits & VARVE_FORMAT_BIG_ENDIAN_SUM)
            vv_put_u32_be(stored, sum);
        else
            vv_put_u32(stored, sum);
        at += entry.bytes;
    }
}

/* A sound record is one that may be appended, and is then the same. */
static void write_again(const struct varve_format *f, const uint8_t *at,
                        const struct varve_format_entry *entry)
{
    const uint8_t *payload = at + f->head_bytes;
    struct varve_record record = {
        .data = payload,
        .data_bytes = (size_t)entry->payload_bytes,
        .type = f->carries & VARVE_FIELD_TYPE ? entry->type : 0,
        .flags = entry->flags,
        .txn_id = entry->txn_id,
    };
    const struct varve_format_stamp stamp = {entry->lsn, entry->time};
    struct varve_error error;
    uint8_t *out = malloc(entry->bytes);

    FUZZ_ASSERT(out != NULL);
    memcpy(record.origin, entry->origin, sizeof record.origin);
    if (entry->payload_bytes >= f->payload_min) {
        FUZZ_ASSERT(vv_format_admit(f, &record, entry->payload_bytes, &error) == 0);
        vv_format_encode(f, &record, entry->payload_bytes, &stamp, out);
        FUZZ_ASSERT(memcmp(out, at, entry->bytes) == 0);
    }
    free(out);
    if (on_payload)
        on_payload(payload, (size_t)entry->payload_bytes);
}

/* Asks for no more than it was told to need. */
static enum varve_found decode(const struct varve_format *f, const uint8_t *at, size_t left,
                               struct varve_format_entry *entry)
{
    enum varve_found whole = vv_format_decode(f, at, left, left, entry), found;
    struct varve_format_entry again;

    FUZZ_ASSERT(whole != VARVE_FOUND_NEED);
    found = vv_format_decode(f, at, 0, left, &again);
    for (unsigned asked = 0; found == VARVE_FOUND_NEED; asked++) {
        size_t want = (size_t)again.bytes;
        uint8_t *exact = malloc(want);
        FUZZ_ASSERT(asked < 2 && want > 0 && want <= left && exact != NULL);
        memcpy(exact, at, want);
        found = vv_format_decode(f, exact, want, left, &again);
        free(exact);
    }
    FUZZ_ASSERT(found == whole && again.bytes == entry->bytes);
    FUZZ_ASSERT((entry->reason != NULL) == (found >= VARVE_FOUND_CUT));
    return found;
}

static void judge(const struct varve_format *f, const uint8_t *bytes, size_t len, size_t at)
{
    struct test_source source = {.bytes = bytes, .len = len, .fail_after = -1};
    struct vv_format_search *search = test_source_search(&source, f);
    struct vv_format_judgement j;
    struct varve_format_entry entry;
    uint64_t next = at;

    FUZZ_ASSERT(vv_format_judge(search, at, true, &j) == 0);
    FUZZ_ASSERT(j.verdict == VARVE_VERDICT_TORN || j.beyond > at);
    if (j.verdict == VARVE_VERDICT_TORN)
        FUZZ_ASSERT(!j.reordered && j.beyond == 0 && j.records_beyond == 0);
    else
        FUZZ_ASSERT(decode(f, bytes + j.beyond, len - (size_t)j.beyond, &entry) == VARVE_FOUND_RECORD &&
                    j.records_beyond > 0);
    while (vv_format_search_next(search, next + 1, &next) == 0)
        FUZZ_ASSERT(decode(f, bytes + next, len - (size_t)next, &entry) == VARVE_FOUND_RECORD);
    /* Work and not only memory is bounded by the input. */
    FUZZ_ASSERT(source.read_bytes < 4000 * (uint64_t)len + 1000000);
    free(search);
}

static void read_records(const struct varve_format *f, const uint8_t *bytes, size_t len)
{
    struct varve_format_entry entry;
    size_t at = f->header_bytes;
    enum varve_found found;

    while ((found = decode(f, bytes + at, len - at, &entry)) == VARVE_FOUND_RECORD) {
        write_again(f, bytes + at, &entry);
        at += (size_t)entry.bytes;
    }
    if (found != VARVE_FOUND_END && found != VARVE_FOUND_VERSION && !vv_is_zero(bytes + at, len - at))
        judge(f, bytes, len, at);
}

static void read_name(const struct varve_format *f, const uint8_t *bytes, size_t len)
{
    char name[VARVE_FORMAT_FILE_NAME_BYTES], again[VARVE_FORMAT_FILE_NAME_BYTES];
    size_t n = len < sizeof name - 1 ? len : sizeof name - 1;
    uint64_t number;

    memcpy(name, bytes, n);
    name[n] = 0;
    if (f->name_get(name, &number) == VARVE_NAME_SEGMENT) {
        f->name_put(number, again);
        FUZZ_ASSERT(strcmp(name, again) == 0);
    }
}

static void read_meta(const struct varve_format *f, const uint8_t *bytes, size_t len)
{
    uint8_t again[VARVE_FORMAT_META_MAX];
    struct varve_format_meta meta;

    if (f->meta_get && f->meta_get(bytes, len, &meta, NULL) == 0 && f->meta_put && meta.codec[0] != 0) {
        FUZZ_ASSERT(f->meta_put(&meta, again) == len);
        FUZZ_ASSERT(memcmp(again, bytes, len) == 0);
    }
}

void test_fuzz_format(const char *format, const uint8_t *data, size_t size)
{
    const struct varve_format *f = varve_format_get(format);
    struct varve_format_segment segment;
    const char *reason = NULL;
    size_t len = size > 0 ? size - 1 : 0;
    uint8_t *bytes = malloc(len > 0 ? len : 1);

    FUZZ_ASSERT(f != NULL && bytes != NULL);
    if (len > 0)
        memcpy(bytes, data + 1, len);
    read_name(f, bytes, len);
    read_meta(f, bytes, len);
    if (size > 0 && data[0] & 1)
        mend(f, bytes, len);
    (void)vv_format_matches(f, NULL, bytes, len, len);
    if (f->header_bytes > 0)
        FUZZ_ASSERT((f->header_get(bytes, len, &segment, &reason) == VARVE_HEADER_SOUND) == (reason == NULL));
    if (len >= f->header_bytes)
        read_records(f, bytes, len);
    free(bytes);
}
