/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs that the formats' own programs wrote (golden/data/samples) read as their manifests say, record by
 * record and field by field; the same records encode to the same bytes; and what those programs' crashes left
 * (c-torn.txt: how to cut the small sample) ends where it must, as a torn write.
 *
 * Where a format leaves freedom, and the bytes may differ: two fields of a wlog file's header, which hold
 * what lay in memory, and its times; the padding in a wlog transaction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc.h"
#include "lib/bytes.h"
#include "lib/hex.h"
#include "lib/render.h"
#include "lib/source.h"

enum {
    LINE_BYTES = 16 * 1024,
    RECORD_BYTES = 128 * 1024,
};

/* A sample: its format, its name, and its files in the order of the log, by their path below db/. */
struct sample {
    const char *format, *name;
    const char *files[4];
};

static const struct sample samples[] = {
    {"stra", "a-small", {"WAL/wal-000001.seg", "WAL/wal-000002.seg", "WAL/wal-000003.seg"}},
    {"stra", "a-snapshot", {"WAL/wal-000001.seg", "WAL/wal-000002.seg"}},
    {"wlog", "a-small", {"wal/wal_000001.log", "wal/wal_000002.log"}},
    {"wlog", "a-exactfit", {"wal/wal_000001.log", "wal/wal_000002.log", "wal/wal_000003.log"}},
    {"wlog", "a-txn", {"wal/wal_000001.log"}},
    {"aero", "a-small", {"wal/wal.log"}},
    {"dbkv", "a-small", {"wal-1795178697.log", "wal-current.log"}},
    {"dbkv", "a-snapshot", {"wal-current.log"}},
    {"dbkv", "a-decimal", {"wal-current.log"}},
    {"lfwal", "a-small", {"wal.log"}},
};

enum {
    SAMPLES = sizeof samples / sizeof samples[0]
};

static void *read_data(const char *format, const char *sample, const char *path, size_t *ret_len)
{
    char name[512];
    snprintf(name, sizeof name, "test/golden/data/samples/%s/%s%s", format, sample, path);
    return test_bytes_read(getenv("VARVE_SOURCE"), name, ret_len);
}

static void *read_file(const struct sample *s, unsigned index, size_t *ret_len)
{
    char path[256];
    snprintf(path, sizeof path, "/db/%s", s->files[index]);
    return read_data(s->format, s->name, path, ret_len);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* -- one record -- */

/* A record that appends what was read. */
static struct varve_record record_of(const struct varve_format *f, const struct varve_format_entry *e,
                                     const uint8_t *payload)
{
    struct varve_record record = {
        .data = payload,
        .data_bytes = (size_t)e->payload_bytes,
        .type = f->carries & VARVE_FIELD_TYPE ? e->type : 0,
        .flags = e->flags,
        .txn_id = e->txn_id,
    };
    memcpy(record.origin, e->origin, sizeof record.origin);
    return record;
}

/* Writes the record again, whole, in two pieces, and by its ends: the same bytes each time. */
static void check_again(const struct varve_format *f, const struct varve_format_entry *e, const uint8_t *at)
{
    const uint8_t *payload = at + f->head_bytes;
    struct varve_record record = record_of(f, e, payload);
    struct varve_format_stamp stamp = {e->lsn, e->time};
    size_t half = record.data_bytes / 2;
    struct iovec pieces[3] = {{(void *)(uintptr_t)payload, half},
                              {(void *)(uintptr_t)(payload + half), 0},
                              {(void *)(uintptr_t)(payload + half), record.data_bytes - half}};
    struct vv_format_ends ends;
    uint8_t *out = malloc(RECORD_BYTES);
    struct varve_error error;

    assert_non_null(out);
    assert_true(e->bytes <= RECORD_BYTES);
    assert_int_equal(vv_format_record_bytes(f, e->payload_bytes), e->bytes);
    assert_int_equal(vv_format_admit(f, &record, record.data_bytes, &error), 0);
    memset(out, 0xee, RECORD_BYTES);
    vv_format_encode(f, &record, record.data_bytes, &stamp, out);
    assert_memory_equal(out, at, e->bytes);
    assert_int_equal(out[e->bytes], 0xee);
    vv_format_ends(f, &record, record.data_bytes, &stamp, &ends);
    assert_memory_equal(ends.head, at, f->head_bytes);
    assert_memory_equal(ends.tail, at + e->bytes - f->tail_bytes, f->tail_bytes);

    record.data = NULL;
    record.data_bytes = 0;
    record.iov = pieces;
    record.iov_count = 3;
    assert_int_equal(vv_format_admit(f, &record, e->payload_bytes, &error), 0);
    memset(out, 0xee, RECORD_BYTES);
    vv_format_encode(f, &record, e->payload_bytes, &stamp, out);
    assert_memory_equal(out, at, e->bytes);
    vv_format_ends(f, &record, e->payload_bytes, &stamp, &ends);
    assert_memory_equal(ends.head, at, f->head_bytes);
    free(out);
}

/* Reads with only as many bytes as are asked for. */
static enum varve_found decode_by_need(const struct varve_format *f, const uint8_t *at, size_t left,
                                       struct varve_format_entry *entry)
{
    enum varve_found found = vv_format_decode(f, at, 0, left, entry);
    for (int asked = 0; found == VARVE_FOUND_NEED; asked++) {
        uint64_t want = entry->bytes;
        assert_true(asked < 2 && want <= left);
        uint8_t *exact = malloc(want);
        assert_non_null(exact);
        memcpy(exact, at, want);
        found = vv_format_decode(f, exact, want, left, entry);
        free(exact);
    }
    return found;
}

/* -- a whole sample -- */

static char *next_line(char **text)
{
    char *line = *text, *end = strchr(line, '\n');
    assert_non_null(end);
    *end = 0;
    *text = end + 1;
    return line;
}

static uint64_t number_of(const struct varve_format *f, const char *path)
{
    char again[VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t number = 12345;
    assert_int_equal(f->name_get(base_name(path), &number), VARVE_NAME_SEGMENT);
    f->name_put(number, again);
    assert_string_equal(again, base_name(path));
    return number;
}

/* Writes the header again; `bytes` is made equal where the format leaves it free. */
static void check_header(const struct varve_format *f, uint64_t number, uint8_t *bytes, size_t len)
{
    uint8_t again[VARVE_FORMAT_HEADER_MAX];
    struct varve_format_segment segment;
    const char *reason = NULL;

    if (f->header_bytes == 0)
        return;
    assert_int_equal(f->header_get(bytes, len, &segment, &reason), VARVE_HEADER_SOUND);
    assert_true(segment.number == 0 || segment.number == number);
    f->header_put(&segment, again);
    if (strcmp(f->name, "wlog") == 0) {
        memset(bytes + 12, 0, 4);
        memset(bytes + 28, 0, 4);
        memcpy(bytes + 40, bytes + 32, 8);
    }
    assert_memory_equal(again, bytes, f->header_bytes);
}

/* Reads one file and holds each record against the manifest's next line. */
static void check_file(const struct varve_format *f, const struct sample *s, unsigned index, char **manifest,
                       unsigned *records)
{
    struct test_place place = {.file = base_name(s->files[index]), .offset = f->header_bytes};
    size_t len;
    uint8_t *bytes = read_file(s, index, &len);
    char *line = malloc(LINE_BYTES);

    assert_non_null(line);
    place.number = number_of(f, s->files[index]);
    check_header(f, place.number, bytes, len);
    assert_int_equal(vv_format_matches(f, place.file, bytes, len, len), VV_FORMAT_LIKE_BYTES);
    for (;;) {
        struct varve_format_entry entry;
        uint8_t *at = bytes + place.offset;
        size_t left = len - (size_t)place.offset;
        enum varve_found found = decode_by_need(f, at, left, &entry);
        if (found == VARVE_FOUND_END)
            break;
        if (found == VARVE_FOUND_ZEROS) {
            for (size_t i = 0; i < left; i++)
                assert_int_equal(at[i], 0);
            break;
        }
        assert_int_equal(found, VARVE_FOUND_RECORD);
        assert_null(entry.reason);
        place.index = (*records)++;
        test_render_record(f, &place, &entry, at + f->head_bytes, line, LINE_BYTES);
        assert_string_equal(line, next_line(manifest));
        check_again(f, &entry, at);
        place.offset += entry.bytes;
    }
    free(line);
    free(bytes);
}

static void test_samples__read_as_their_manifests_say(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        const struct varve_format *f = varve_format_get(s->format);
        char expect[64], *manifest = read_data(s->format, s->name, "/manifest.jsonl", NULL), *at = manifest;
        unsigned records = 0;

        print_message("%s/%s\n", s->format, s->name);
        assert_non_null(f);
        char *meta = next_line(&at);
        for (unsigned file = 0; file < 4 && s->files[file] != NULL; file++)
            check_file(f, s, file, &at, &records);
        assert_int_equal(*at, 0);
        snprintf(expect, sizeof expect, "\"records\":%u,", records);
        assert_non_null(strstr(meta, expect));
        free(manifest);
    }
}

/* No format takes another's files for its own, but by their names. */
static void test_samples__are_told_apart(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SAMPLES; i++) {
        size_t len;
        uint8_t *bytes = read_file(&samples[i], 0, &len);
        const struct varve_format *f;
        for (unsigned n = 0; (f = varve_format_at(n)) != NULL; n++) {
            if (strcmp(f->name, samples[i].format) == 0)
                continue;
            enum vv_format_likeness like = vv_format_matches(f, NULL, bytes, len, len);
            assert_int_equal(like, VV_FORMAT_UNLIKE);
        }
        free(bytes);
    }
}

/* -- torn ones -- */

/* "cut SIZE", "put OFFSET zeros LENGTH" or "put OFFSET HEX"; `bytes` has room for 1 KiB more. */
static void edit_bytes(const char *edit, uint8_t *bytes, size_t *len)
{
    char data[256];
    size_t at, more;

    if (sscanf(edit, "cut %zu", len) == 1)
        return;
    if (sscanf(edit, "put %zu zeros %zu", &at, &more) == 2) {
        memset(bytes + at, 0, more);
    } else {
        assert_int_equal(sscanf(edit, "put %zu %255s", &at, data), 2);
        more = test_hex(data, bytes + at);
    }
    if (at + more > *len)
        *len = at + more;
}

struct torn {
    char name[32], file[64], sum[16], edit[256];
    unsigned records;
    size_t stop, size;
};

/* How many records there are before the last file, by the manifest of the small sample. */
static unsigned records_before(const struct sample *s, const struct varve_format *f, const char *file)
{
    unsigned records = 0;
    for (unsigned i = 0; strcmp(s->files[i], file) != 0; i++) {
        size_t len, at = f->header_bytes;
        struct varve_format_entry entry;
        uint8_t *bytes = read_file(s, i, &len);
        for (; vv_format_decode(f, bytes + at, len - at, len - at, &entry) == VARVE_FOUND_RECORD; records++)
            at += entry.bytes;
        free(bytes);
    }
    return records;
}

static void check_torn(const struct sample *s, const struct torn *torn)
{
    const struct varve_format *f = varve_format_get(s->format);
    struct varve_format_entry entry;
    enum varve_found found;
    struct vv_format_judgement judgement;
    size_t len, at = f->header_bytes;
    char path[128], sum[16];
    unsigned records = records_before(s, f, torn->file);

    print_message("%s/c-torn/%s\n", s->format, torn->name);
    snprintf(path, sizeof path, "/db/%s", torn->file);
    uint8_t *whole = read_data(s->format, "a-small", path, &len), *bytes = malloc(len + 1024);
    assert_non_null(bytes);
    memcpy(bytes, whole, len);
    edit_bytes(torn->edit, bytes, &len);
    snprintf(sum, sizeof sum, "%08x", vv_crc32(0, bytes, len));
    assert_int_equal(len, torn->size);
    assert_string_equal(sum, torn->sum);

    while ((found = decode_by_need(f, bytes + at, len - at, &entry)) == VARVE_FOUND_RECORD) {
        at += entry.bytes;
        records++;
    }
    assert_int_equal(records, torn->records);
    assert_int_equal(at, torn->stop);
    assert_int_not_equal(found, VARVE_FOUND_END);
    judgement = test_source_judge(f, bytes, len, at);
    assert_int_equal(judgement.verdict, VARVE_VERDICT_TORN);
    assert_false(judgement.reordered);
    assert_int_equal(judgement.beyond, 0);
    free(bytes);
    free(whole);
}

static void test_samples__torn_tails_are_torn(void **state)
{
    (void)state;
    unsigned cases = 0;
    for (unsigned i = 0; i < SAMPLES; i++) {
        if (strcmp(samples[i].name, "a-small") != 0)
            continue;
        char *text = read_data(samples[i].format, "c-torn.txt", "", NULL), *at = text;
        while (*at != 0) {
            struct torn torn;
            assert_int_equal(sscanf(next_line(&at), "%31s %u %63s %zu %zu %15s %255[^\n]", torn.name,
                                    &torn.records, torn.file, &torn.stop, &torn.size, torn.sum, torn.edit),
                             7);
            check_torn(&samples[i], &torn);
            cases++;
        }
        free(text);
    }
    assert_int_equal(cases, 28);
}

/* MANIFEST of stra: read, and written again to the same bytes. */
static void test_samples__manifest(void **state)
{
    (void)state;
    static const char *const names[] = {"a-small", "a-snapshot"};
    static const uint64_t last[] = {3, 2}, marks[] = {0, 25}, snapshots[] = {0, 1};
    const struct varve_format *f = varve_format_get("stra");
    for (unsigned i = 0; i < 2; i++) {
        uint8_t again[VARVE_FORMAT_META_MAX];
        struct varve_format_meta meta;
        struct varve_error error;
        size_t len;
        uint8_t *bytes = read_data("stra", names[i], "/db/MANIFEST", &len);
        assert_int_equal(f->meta_get(bytes, len, &meta, &error), 0);
        assert_string_equal(meta.codec, "identity");
        assert_true(meta.last_segment <= last[i]);
        assert_int_equal(meta.watermark, marks[i]);
        assert_int_equal(meta.snapshot, snapshots[i]);
        assert_int_equal(f->meta_put(&meta, again), len);
        assert_memory_equal(again, bytes, len);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples__read_as_their_manifests_say),
        cmocka_unit_test(test_samples__are_told_apart),
        cmocka_unit_test(test_samples__torn_tails_are_torn),
        cmocka_unit_test(test_samples__manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
