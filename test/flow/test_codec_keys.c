/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted logs: keys that are wrong, missing, newer; that no nonce comes twice; that no bit can be changed.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "format/segment.h"
#include "lib/bed.h"
#include "lib/bytes.h"
#include "lib/codecs.h"
#include "lib/sample.h"
#include "varve/varve.h"

enum {
    BYTES = 700,
    SEALED_AT = 64 /* the stored body, behind the frame's header */
};

static const char *const sealing[] = {"aes-256-gcm", "zstd+aes-256-gcm"};

static bool available(const char *name)
{
    return varve_codec_get(name) != NULL;
}

static void make(struct test_sample *s, const char *codec, struct varve_keys *keys, unsigned records)
{
    test_sample_init(s, BYTES);
    s->options.codec = codec;
    s->options.keys = keys;
    struct varve_log *log = test_sample_open(s, VARVE_POLICY_HALT);
    test_sample_append(s, log, records);
    assert_int_equal(varve_close(log, NULL), 0);
    s->options.codec = NULL;
}

/* Reads until something is wrong; returns the code, and how many records came before. */
static int read_some(struct test_sample *s, enum varve_policy policy, uint64_t *ret_records,
                     struct varve_error *ret_error)
{
    struct varve_log *log = NULL;
    struct varve_cursor *cursor = NULL;
    struct varve_entry entry;
    *ret_records = 0;
    int rc = test_sample_try(s, policy, VARVE_OPEN_READ_ONLY, &log, ret_error);
    if (rc != 0) {
        return rc;
    }
    assert_int_equal(varve_cursor_open(log, policy, &cursor, ret_error), 0);
    while ((rc = varve_cursor_next(cursor, &entry)) == 0) {
        assert_true(test_sample_is(s, entry.lsn, entry.data, entry.data_bytes));
        ++*ret_records;
    }
    varve_cursor_error(cursor, ret_error);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    return rc;
}

struct shown {
    unsigned frames, records;
    int unread;
};

static int show_frame(void *arg, const struct varve_frame_info *frame)
{
    struct shown *shown = arg;
    assert_int_equal(frame->state, VARVE_FRAME_SOUND);
    shown->frames += frame->records != 0;
    shown->unread = frame->unread;
    return 0;
}

static int show_record(void *arg, const struct varve_record_info *record)
{
    struct shown *shown = arg;
    assert_true(record->sound);
    shown->records++;
    return 0;
}

static struct shown inspect(struct test_sample *s)
{
    struct shown shown = {0};
    const struct varve_visitor visitor = {.size = sizeof visitor,
                                          .arg = &shown,
                                          .frame = show_frame,
                                          .record = show_record,
                                          .keys = s->options.keys};
    assert_int_equal(varve_inspect("log", &s->memory.io, &visitor, NULL), 0);
    return shown;
}

/* Without a key: everything but the records. With a wrong one: told apart. */
static void test_codec_keys__three_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        if (!available(sealing[i])) {
            continue;
        }
        struct varve_keys *right = test_codecs_keys(1), *wrong = test_codecs_key(1, 9);
        struct varve_keys *other = test_codecs_key(7, 0);
        struct test_sample s;
        make(&s, sealing[i], right, 5);
        struct varve_error error = {0};
        struct varve_log *log = NULL;
        uint64_t records, before = test_sample_sum(&s);

        assert_int_equal(read_some(&s, VARVE_POLICY_HALT, &records, &error), VARVE_END);
        assert_int_equal(records, 5);

        struct varve_keys *const missing[] = {NULL, other};
        for (int k = 0; k < 2; k++) {
            struct varve_verify_result result = {.size = sizeof result};
            struct varve_info info = {.size = sizeof info};
            s.options.keys = missing[k];
            for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_SKIP; policy++) {
                assert_int_equal(read_some(&s, (enum varve_policy)policy, &records, &error),
                                 VARVE_E_KEY_MISSING);
                assert_int_equal(records, 0);
                assert_non_null(strstr(error.message, "key 1 "));
                assert_int_equal(test_sample_try(&s, (enum varve_policy)policy, 0, &log, &error),
                                 VARVE_E_KEY_MISSING);
            }
            const struct varve_options options = {
                .size = sizeof options, .io = &s.memory.io, .keys = missing[k]};
            assert_int_equal(varve_verify("log", &options, NULL, NULL, &result, &error), 0);
            assert_int_equal(result.damages, 0);
            assert_int_equal(result.found.verdict, VARVE_VERDICT_CLEAN_END);
            assert_int_equal(result.found.records, 5);
            assert_int_equal(result.unread_records, 5);
            assert_int_equal(result.unread_code, VARVE_E_KEY_MISSING);
            assert_non_null(strstr(result.unread_why, "key 1 "));
            assert_int_equal(varve_info_get("log", &s.memory.io, &info, NULL), 0);
            assert_int_equal(info.records, 5);
            struct shown shown = inspect(&s);
            assert_int_equal(shown.frames, 5);
            assert_int_equal(shown.records, 0);
            assert_int_equal(shown.unread, VARVE_E_KEY_MISSING);
        }

        s.options.keys = wrong;
        for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_SKIP; policy++) {
            assert_int_equal(read_some(&s, (enum varve_policy)policy, &records, &error), VARVE_E_KEY_WRONG);
            assert_int_equal(test_sample_try(&s, (enum varve_policy)policy, 0, &log, &error),
                             VARVE_E_KEY_WRONG);
        }
        const struct varve_options options = {.size = sizeof options, .io = &s.memory.io, .keys = wrong};
        struct varve_verify_result result = {.size = sizeof result};
        assert_int_equal(varve_verify("log", &options, NULL, NULL, &result, &error), VARVE_E_KEY_WRONG);
        assert_int_equal(inspect(&s).unread, VARVE_E_KEY_WRONG);
        assert_int_equal(test_sample_sum(&s), before);

        s.options.keys = right;
        assert_int_equal(inspect(&s).records, 5);
        test_sample_close(&s);
        varve_keys_free(right);
        varve_keys_free(wrong);
        varve_keys_free(other);
    }
}

/* A wrong key is found out also where the newest frame is a mark, or very large. */
static void test_codec_keys__wrong_behind_a_mark(void **state)
{
    (void)state;
    if (!available(sealing[0])) {
        skip();
    }
    struct varve_keys *right = test_codecs_keys(1), *wrong = test_codecs_key(1, 9);
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY,
              &(struct varve_options){.codec = sealing[0], .keys = right, .mark_idle_ms = 1}, 300);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
    BED_UNTIL(bed_stats(&bed).marks > 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.keys = wrong;
    assert_int_equal(bed_open(&bed), VARVE_E_KEY_WRONG);
    bed.options.keys = right;
    bed_check(&bed);
    bed_end(&bed);
    varve_keys_free(right);
    varve_keys_free(wrong);
}

/* -- rotation -- */

static uint32_t newest_key_on_disk(struct test_sample *s)
{
    uint32_t id = 0;
    test_sample_map(s);
    for (unsigned i = 0; i < s->frame_count; i++) {
        size_t bytes;
        unsigned char *segment = test_sample_read(s, s->frames[i].segment, &bytes);
        id = vv_get_u32(segment + s->frames[i].offset + SEALED_AT);
        free(segment);
    }
    return id;
}

static void test_codec_keys__rotation(void **state)
{
    (void)state;
    if (!available(sealing[0])) {
        skip();
    }
    struct varve_keys *keys = test_codecs_keys(1), *later = test_codecs_keys(3);
    struct varve_keys *newest = test_codecs_key(3, 0);
    struct test_sample s;
    make(&s, sealing[0], keys, 3);
    struct varve_error error = {0};
    uint64_t records;
    assert_int_equal(newest_key_on_disk(&s), 1);
    s.options.keys = later;
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_HALT);
    test_sample_append(&s, log, 3);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(newest_key_on_disk(&s), 3);
    assert_int_equal(read_some(&s, VARVE_POLICY_HALT, &records, &error), VARVE_END);
    assert_int_equal(records, 6);
    /* Old ones stay readable as long as their key is there. */
    s.options.keys = newest;
    assert_int_equal(read_some(&s, VARVE_POLICY_HALT, &records, &error), VARVE_E_KEY_MISSING);
    assert_int_equal(records, 0);
    s.options.keys = keys;
    assert_int_equal(read_some(&s, VARVE_POLICY_HALT, &records, &error), VARVE_E_KEY_MISSING);
    assert_int_equal(records, 3);
    assert_non_null(strstr(error.message, "key 3 "));
    test_sample_close(&s);
    varve_keys_free(keys);
    varve_keys_free(later);
    varve_keys_free(newest);
}

/* A key that is added while the log is open is taken by the segments that are made ready from then on. */
static void test_codec_keys__rotation_while_open(void **state)
{
    (void)state;
    if (!available(sealing[0])) {
        skip();
    }
    struct varve_keys *keys = test_codecs_keys(1);
    unsigned char key[VARVE_KEY_BYTES] = {42};
    struct test_sample s;
    test_sample_init(&s, TEST_SAMPLE_BIG);
    s.options.codec = sealing[0];
    s.options.keys = keys;
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_HALT);
    test_sample_append(&s, log, 2);
    assert_int_equal(varve_keys_add(keys, 2, key, NULL), 0);
    test_sample_append(&s, log, 18);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(newest_key_on_disk(&s), 2);
    uint64_t records;
    struct varve_error error = {0};
    assert_int_equal(read_some(&s, VARVE_POLICY_HALT, &records, &error), VARVE_END);
    assert_int_equal(records, 20);
    test_sample_close(&s);
    varve_keys_free(keys);
}

/* Keys out of a callback: asked for ahead of need, and for old ones when they are met. */
static int give_key(void *arg, uint32_t id, uint32_t *ret_id, void *ret_key)
{
    _Atomic uint32_t *newest = arg;
    *ret_id = id != 0 ? id : *newest;
    memset(ret_key, (int)(*ret_id * 3), VARVE_KEY_BYTES);
    return *ret_id <= *newest ? 0 : -1;
}

static void test_codec_keys__from_a_callback(void **state)
{
    (void)state;
    if (!available(sealing[0])) {
        skip();
    }
    static _Atomic uint32_t newest = 1;
    struct varve_keys *keys[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(varve_keys_new(&keys[i], NULL), 0);
        varve_keys_set_source(keys[i], give_key, &newest);
    }
    struct test_sample s;
    make(&s, sealing[0], keys[0], 2);
    newest = 2;
    s.options.keys = keys[1];
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_HALT);
    test_sample_append(&s, log, 2);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(newest_key_on_disk(&s), 2);
    newest = 0;
    struct varve_keys *none;
    struct varve_error error = {0};
    uint64_t records;
    assert_int_equal(varve_keys_new(&none, NULL), 0);
    varve_keys_set_source(none, give_key, &newest);
    s.options.keys = none;
    assert_int_equal(read_some(&s, VARVE_POLICY_HALT, &records, &error), VARVE_E_KEY_MISSING);
    test_sample_close(&s);
    varve_keys_free(keys[0]);
    varve_keys_free(keys[1]);
    varve_keys_free(none);
}

/* MANIFEST is gone, and with it that the log is encrypted: the last segment says so. */
static void test_codec_keys__without_manifest(void **state)
{
    (void)state;
    if (!available(sealing[0])) {
        skip();
    }
    struct varve_keys *keys = test_codecs_keys(1);
    struct test_sample s;
    make(&s, sealing[0], keys, 3);
    test_sample_unlink(&s, "MANIFEST");
    s.options.keys = NULL;
    struct varve_error error = {0};
    struct varve_log *log = NULL;
    assert_int_equal(test_sample_try(&s, VARVE_POLICY_SKIP, 0, &log, &error), VARVE_E_KEY_MISSING);
    s.options.keys = keys;
    log = test_sample_open(&s, VARVE_POLICY_SKIP);
    test_sample_append(&s, log, 2);
    assert_int_equal(varve_close(log, NULL), 0);
    struct varve_info info = {.size = sizeof info};
    assert_int_equal(varve_info_get("log", &s.memory.io, &info, NULL), 0);
    assert_string_equal(info.codec_name, sealing[0]);
    assert_int_equal(info.encoded_frames, 5);
    test_sample_close(&s);
    varve_keys_free(keys);
}

/* -- nonces -- */

enum {
    SEALS_MAX = 20000
};

struct seal {
    unsigned char head[24]; /* key, check, salt, session */
    uint64_t lsn;
    uint32_t sum; /* of what is stored */
};

struct seals {
    struct seal all[SEALS_MAX];
    unsigned count, copies;
};

static int by_nonce(const void *a, const void *b)
{
    const struct seal *x = a, *y = b;
    int heads = memcmp(x->head, y->head, sizeof x->head);
    return heads != 0 ? heads : x->lsn < y->lsn ? -1 : x->lsn > y->lsn;
}

struct gathering {
    struct seals *seals;
    struct test_bed *bed;
    unsigned char *segment;
    uint64_t number;
};

static int gather(void *arg, const struct varve_frame_info *frame)
{
    struct gathering *g = arg;
    if (frame->records == 0 || frame->state == VARVE_FRAME_BAD_HEADER) {
        return 0;
    }
    if (g->number != frame->segment) {
        struct varve_io *io = &g->bed->memory.io;
        struct varve_dir *dir = NULL;
        char name[VV_SEGMENT_NAME_BYTES];
        int created;
        size_t bytes;
        free(g->segment);
        vv_segment_name(frame->segment, name);
        assert_int_equal(io->dir_open(io, NULL, "log", 0, &dir, &created), 0);
        g->segment = test_bytes_io_read(io, dir, name, &bytes);
        io->dir_close(io, dir);
        g->number = frame->segment;
    }
    struct seal *seal = &g->seals->all[g->seals->count++];
    assert_true(g->seals->count < SEALS_MAX && frame->codec != 0);
    memcpy(seal->head, g->segment + frame->offset + SEALED_AT, sizeof seal->head);
    seal->lsn = frame->first_lsn;
    seal->sum = vv_crc32c(0, g->segment + frame->offset + SEALED_AT, frame->stored_bytes);
    return 0;
}

/* Every frame that is on disk, also in segments that failed: one key and one nonce never made two messages.
 */
static void check_nonces(struct test_bed *bed, struct seals *seals)
{
    struct gathering g = {.seals = seals, .bed = bed};
    const struct varve_visitor visitor = {.size = sizeof visitor, .arg = &g, .frame = gather};
    seals->count = seals->copies = 0;
    assert_int_equal(varve_inspect("log", &bed->memory.io, &visitor, NULL), 0);
    free(g.segment);
    qsort(seals->all, seals->count, sizeof seals->all[0], by_nonce);
    for (unsigned i = 1; i < seals->count; i++) {
        if (by_nonce(&seals->all[i - 1], &seals->all[i]) == 0) {
            assert_int_equal(seals->all[i - 1].sum, seals->all[i].sum);
        }
    }
    /* The same LSN under another key: a frame that moved, or one that a crash took and that was given again.
     */
    for (unsigned i = 0; i < seals->count; i++) {
        for (unsigned k = i + 1; k < seals->count; k++) {
            seals->copies += seals->all[i].lsn == seals->all[k].lsn;
        }
    }
}

static void test_codec_keys__no_nonce_twice(void **state)
{
    (void)state;
    static struct seals seals;
    for (size_t i = 0; i < 2; i++) {
        if (!available(sealing[i])) {
            continue;
        }
        struct varve_keys *keys = test_codecs_keys(1);
        struct test_bed bed;
        bed_init(&bed, BED_MEMORY,
                 &(struct varve_options){
                     .codec = sealing[i], .keys = keys, .slot_bytes = 4096, .writes_in_flight = 4},
                 6000);
        bed.ledger.shrinks = (int)i;
        /* Lives, in each of which writes fail for good: by turns the bytes have arrived or not. */
        for (int life = 0; life < 4; life++) {
            assert_int_equal(bed_open(&bed), 0);
            for (int n = 0; n < 5; n++) {
                test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = TEST_OP_WRITE_DSYNC,
                                                                     .prefix = life == 0 ? "new-" : "wal-",
                                                                     .after = 3 + 9 * n,
                                                                     .action = TEST_FAULT_PARTIAL,
                                                                     .bytes = n % 2 == 0 ? SIZE_MAX : 1024});
            }
            assert_int_equal(bed_crowd(&bed, 6, 20), 0);
            assert_int_equal(bed_shut(&bed), 0);
            test_fault_disarm(&bed.fault);
        }
        check_nonces(&bed, &seals);
        assert_true(seals.count >= 100);
        assert_true(seals.copies >= 4);
        bed_check(&bed);
        bed_end(&bed);
        varve_keys_free(keys);
    }
}

/* A copy of the directory, made while the log was open, goes on in the same segment with other records under
 * the same LSNs. */
static void test_codec_keys__copies_differ(void **state)
{
    (void)state;
    if (!available(sealing[0])) {
        skip();
    }
    struct varve_keys *keys = test_codecs_keys(1);
    struct test_sample s, copies[2];
    make(&s, sealing[0], keys, 3);
    unsigned char *segments[2];
    for (unsigned i = 0; i < 2; i++) {
        size_t bytes;
        test_sample_copy(&s, &copies[i]);
        if (i == 1) {
            test_sample_next_life(&copies[i], 4);
        }
        struct varve_log *log = test_sample_open(&copies[i], VARVE_POLICY_HALT);
        test_sample_append(&copies[i], log, 1);
        assert_int_equal(varve_close(log, NULL), 0);
        test_sample_map(&copies[i]);
        segments[i] = test_sample_read(&copies[i], 1, &bytes);
    }
    const struct test_sample_frame *frame = test_sample_frame_of(&copies[0], 4);
    assert_int_equal(frame->segment, 1);
    assert_int_equal(frame->offset, test_sample_frame_of(&copies[1], 4)->offset);
    /* The same salt, and another session. */
    uint64_t at = frame->offset + SEALED_AT;
    assert_memory_equal(segments[0] + at + 8, segments[1] + at + 8, 8);
    assert_memory_not_equal(segments[0] + at + 16, segments[1] + at + 16, 8);
    for (unsigned i = 0; i < 2; i++) {
        free(segments[i]);
        test_sample_close(&copies[i]);
    }
    test_sample_close(&s);
    varve_keys_free(keys);
}

/* -- bits -- */

/* Makes the checksums of a changed frame right again, as somebody who means harm would. */
static void mend(unsigned char *segment, uint64_t offset, uint32_t stored)
{
    struct vv_segment_header header;
    unsigned char *frame = segment + offset;
    assert_int_equal(vv_segment_decode(segment, 4096, &header), VV_SEGMENT_OK);
    uint32_t seed = vv_segment_seed(header.salt);
    vv_put_u32(frame + 8, vv_crc32c(seed, frame + 64, stored));
    vv_put_u32(frame + 4, vv_crc32c(seed, frame + 8, 56));
}

/* Every bit of one frame, header and body: found by the checksums; and by the tag, when these were made anew.
 */
static void test_codec_keys__every_bit(void **state)
{
    (void)state;
    if (!available(sealing[0])) {
        skip();
    }
    struct varve_keys *keys = test_codecs_keys(1);
    struct test_sample s;
    test_sample_init(&s, 40);
    s.options.codec = sealing[0];
    s.options.keys = keys;
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_HALT);
    test_sample_append(&s, log, 3);
    assert_int_equal(varve_close(log, NULL), 0);
    s.options.codec = NULL;
    test_sample_map(&s);
    const struct test_sample_frame frame = *test_sample_frame_of(&s, 2);
    const struct varve_options options = {.size = sizeof options, .io = &s.memory.io, .keys = keys};
    size_t bytes;
    unsigned char *sound = test_sample_read(&s, 1, &bytes), changed[512];
    assert_int_equal(frame.bytes, sizeof changed);
    assert_int_equal(frame.stored_bytes, 16 + 40 + 40);
    for (unsigned bit = 0; bit < 8 * (64 + frame.stored_bytes); bit++) {
        for (int mended = 0; mended < 2; mended++) {
            struct varve_verify_result result = {.size = sizeof result};
            struct varve_error error = {0};
            uint64_t records = 0;
            unsigned char *at = sound + frame.offset;
            if (mended && bit >= 32 && bit < 96) {
                continue; /* these are the checksums themselves */
            }
            at[bit / 8] = (unsigned char)(at[bit / 8] ^ 1u << bit % 8);
            memcpy(changed, at, sizeof changed);
            if (mended) {
                unsigned char kept[512];
                memcpy(kept, at, sizeof kept);
                mend(sound, frame.offset, frame.stored_bytes);
                memcpy(changed, at, sizeof changed);
                memcpy(at, kept, sizeof kept);
            }
            test_sample_patch(&s, 1, frame.offset, changed, sizeof changed);
            int rc = varve_verify("log", &options, NULL, NULL, &result, &error);
            /* A codec or a key that there is not is no damage; but that it was not looked at is said. */
            if (rc == 0 && result.damages == 0 && result.unread_frames == 0) {
                fail_msg("bit %u%s: verify finds nothing", bit, mended ? ", mended" : "");
            }
            rc = mended ? read_some(&s, VARVE_POLICY_TRUNCATE, &records, &error) : VARVE_E_CORRUPT;
            if (rc >= 0 || (mended && records != 1)) {
                fail_msg("bit %u%s: %d after %" PRIu64 " records", bit, mended ? ", mended" : "", rc,
                         records);
            }
            at[bit / 8] = (unsigned char)(at[bit / 8] ^ 1u << bit % 8);
        }
    }
    test_sample_patch(&s, 1, frame.offset, sound + frame.offset, sizeof changed);
    uint64_t records;
    struct varve_error error = {0};
    assert_int_equal(read_some(&s, VARVE_POLICY_HALT, &records, &error), VARVE_END);
    assert_int_equal(records, 3);
    free(sound);
    test_sample_close(&s);
    varve_keys_free(keys);
}

/* What does not authenticate is damage: refused, or passed over and counted. */
static void test_codec_keys__forged(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        if (!available(sealing[i])) {
            continue;
        }
        for (uint64_t lsn = 3; lsn <= 5; lsn += 2) {
            struct varve_keys *keys = test_codecs_keys(1);
            struct test_sample s;
            make(&s, sealing[i], keys, 5);
            struct varve_verify_result result = {.size = sizeof result};
            struct varve_error error = {0};
            struct varve_log *log = NULL;
            size_t bytes;
            uint64_t records;
            test_sample_map(&s);
            const struct test_sample_frame frame = *test_sample_frame_of(&s, lsn);
            unsigned char *segment = test_sample_read(&s, 1, &bytes);
            segment[frame.offset + 64 + 30] ^= 1;
            mend(segment, frame.offset, frame.stored_bytes);
            test_sample_patch(&s, 1, frame.offset, segment + frame.offset, frame.bytes);
            free(segment);
            const struct varve_options options = {.size = sizeof options, .io = &s.memory.io, .keys = keys};
            assert_int_equal(varve_verify("log", &options, NULL, NULL, &result, &error), 0);
            assert_int_equal(result.damages, 1);
            assert_int_equal(result.found.verdict, VARVE_VERDICT_CORRUPT);
            assert_int_equal(result.found.lost_first, lsn);
            assert_int_equal(result.found.lost_records, 1);
            assert_int_equal(result.found.offset, frame.offset);
            assert_int_equal(read_some(&s, VARVE_POLICY_TRUNCATE, &records, &error), VARVE_E_CORRUPT);
            assert_int_equal(records, lsn - 1);
            assert_int_equal(read_some(&s, VARVE_POLICY_SKIP, &records, &error), VARVE_END);
            assert_int_equal(records, 4);
            /* Without the key nobody can tell. */
            assert_int_equal(varve_verify("log",
                                          &(struct varve_options){.size = sizeof options, .io = &s.memory.io},
                                          NULL, NULL, &result, &error),
                             0);
            assert_int_equal(result.damages, 0);
            assert_int_equal(result.unread_records, 5);
            /* Opening looks into the last frame. */
            int rc = test_sample_try(&s, VARVE_POLICY_TRUNCATE, 0, &log, &error);
            assert_int_equal(rc, lsn == 5 ? VARVE_E_CORRUPT : 0);
            if (rc == 0) {
                assert_int_equal(varve_close(log, NULL), 0);
            }
            log = test_sample_open(&s, VARVE_POLICY_SKIP);
            assert_int_equal(varve_last_lsn(log), 5);
            test_sample_append(&s, log, 1);
            assert_int_equal(varve_close(log, NULL), 0);
            test_sample_close(&s);
            varve_keys_free(keys);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec_keys__three_errors),
        cmocka_unit_test(test_codec_keys__wrong_behind_a_mark),
        cmocka_unit_test(test_codec_keys__rotation),
        cmocka_unit_test(test_codec_keys__rotation_while_open),
        cmocka_unit_test(test_codec_keys__from_a_callback),
        cmocka_unit_test(test_codec_keys__without_manifest),
        cmocka_unit_test(test_codec_keys__no_nonce_twice),
        cmocka_unit_test(test_codec_keys__copies_differ),
        cmocka_unit_test(test_codec_keys__every_bit),
        cmocka_unit_test(test_codec_keys__forged),
    };
    if (!available(sealing[0])) {
        puts("built without OpenSSL");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
