/* SPDX-License-Identifier: Apache-2.0 */
/* Codecs that a program brings along: they are used as Varve's own are, and a log that has one is refused by
 * name where it is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "lib/bytes.h"
#include "lib/child.h"
#include "lib/tmp.h"
#include "varve/varve.h"

/* -- one that packs: runs of a byte become the byte and their length -- */

static size_t run_bound(size_t bytes)
{
    return 2 * bytes;
}

static int run_encode(void *context, const void *bytes, size_t length, void *out, size_t room,
                      size_t *ret_length)
{
    const unsigned char *in = bytes;
    unsigned char *to = out;
    size_t made = 0;
    (void)context;
    for (size_t at = 0; at < length;) {
        size_t run = 1;
        while (run < 255 && at + run < length && in[at + run] == in[at]) {
            run++;
        }
        if (made + 2 > room) {
            return VARVE_CODEC_NO_GAIN;
        }
        to[made++] = in[at];
        to[made++] = (unsigned char)run;
        at += run;
    }
    *ret_length = made;
    return 0;
}

static int run_decode(void *context, const struct varve_codec_unit *unit, const void *bytes, size_t length,
                      void *out, size_t raw_length, struct varve_error *ret_error)
{
    const unsigned char *in = bytes;
    size_t made = 0;
    (void)context, (void)unit;
    for (size_t at = 0; at + 1 < length && in[at + 1] <= raw_length - made; at += 2) {
        memset((unsigned char *)out + made, in[at], in[at + 1]);
        made += in[at + 1];
    }
    if (made != raw_length) {
        *ret_error = (struct varve_error){.code = VARVE_E_CORRUPT, .message = "runs that do not add up"};
        return VARVE_E_CORRUPT;
    }
    return 0;
}

static const struct varve_codec runs = {
    .size = sizeof runs,
    .id = 200,
    .name = "runs",
    .bound = run_bound,
    .encode = run_encode,
    .decode = run_decode,
};

/* -- one that seals: every byte is changed by the unit, and a sum stands behind -- */

struct mask {
    unsigned char byte;
    uint64_t sum;
};

static int mask_open(const struct varve_codec_setup *setup, void **ret_context, struct varve_error *ret_error)
{
    (void)setup, (void)ret_error;
    *ret_context = calloc(1, sizeof(struct mask));
    return *ret_context != NULL ? 0 : VARVE_E_NOMEM;
}

static void mask_start(struct mask *mask, const struct varve_codec_unit *unit, const unsigned char *head)
{
    const unsigned char *aad = unit->aad;
    mask->byte = (unsigned char)(head[0] ^ unit->lsn);
    mask->sum = unit->lsn;
    for (size_t i = 0; i < unit->aad_bytes; i++) {
        mask->sum = mask->sum * 31 + aad[i];
    }
}

static int mask_prepare(void *context, const struct varve_codec_unit *unit, void *ret_key,
                        struct varve_error *ret_error)
{
    (void)context, (void)ret_error;
    memcpy(ret_key, &unit->salt, sizeof unit->salt);
    return 0;
}

static int mask_begin(void *context, const struct varve_codec_unit *unit, void *ret_head)
{
    /* The key is the segment's salt, which is not secret; this shows that it comes along. */
    assert_memory_equal(unit->key, &unit->salt, sizeof unit->salt);
    memcpy(ret_head, unit->key, sizeof unit->salt);
    mask_start(context, unit, ret_head);
    return 0;
}

static int mask_more(void *context, const void *bytes, size_t length, void *out)
{
    struct mask *mask = context;
    const unsigned char *in = bytes;
    unsigned char *to = out;
    for (size_t i = 0; i < length; i++) {
        mask->sum = mask->sum * 31 + in[i];
        to[i] = in[i] ^ mask->byte;
    }
    return 0;
}

static int mask_end(void *context, void *ret_tail)
{
    struct mask *mask = context;
    memcpy(ret_tail, &mask->sum, sizeof mask->sum);
    return 0;
}

static int mask_decode(void *context, const struct varve_codec_unit *unit, const void *bytes, size_t length,
                       void *out, size_t raw_length, struct varve_error *ret_error)
{
    struct mask *mask = context;
    const unsigned char *in = (const unsigned char *)bytes + 8;
    unsigned char *to = out;
    assert_int_equal(length, raw_length + 16);
    mask_start(mask, unit, bytes);
    for (size_t i = 0; i < raw_length; i++) {
        to[i] = in[i] ^ mask->byte;
        mask->sum = mask->sum * 31 + to[i];
    }
    if (memcmp(in + raw_length, &mask->sum, 8) != 0) {
        *ret_error = (struct varve_error){.code = VARVE_E_CORRUPT, .message = "the sum is another"};
        return VARVE_E_CORRUPT;
    }
    return 0;
}

static const struct varve_codec masks = {
    .size = sizeof masks,
    .id = 201,
    .name = "mask",
    .open = mask_open,
    .close = free,
    .head_bytes = 8,
    .tail_bytes = 8,
    .key_bytes = 8,
    .prepare = mask_prepare,
    .seal_begin = mask_begin,
    .seal_more = mask_more,
    .seal_end = mask_end,
    .decode = mask_decode,
};

static const struct varve_codec both = {
    .size = sizeof both, .id = 202, .name = "runs+mask", .packs = &runs, .seals = &masks};

static void register_all(void)
{
    static bool done;
    if (!done) {
        assert_int_equal(varve_codec_register(&runs, NULL), 0);
        assert_int_equal(varve_codec_register(&masks, NULL), 0);
        assert_int_equal(varve_codec_register(&both, NULL), 0);
    }
    done = true;
}

/* -- not there: before anything is registered -- */

static int write_elsewhere(void *arg)
{
    struct varve_options options = {.size = sizeof options, .codec = "runs", .segment_bytes = 1 << 20};
    static const char zeros[5000];
    struct varve_log *log;
    TEST_CHILD_CHECK(varve_codec_register(&runs, NULL) == 0);
    TEST_CHILD_CHECK(varve_open(arg, &options, &log, NULL) == 0);
    for (int i = 0; i < 5; i++) {
        TEST_CHILD_CHECK(varve_append(log, zeros, sizeof zeros, NULL) == 0);
    }
    TEST_CHILD_CHECK(varve_close(log, NULL) == 0);
    return 0;
}

static int other_decode(void *context, const struct varve_codec_unit *unit, const void *bytes, size_t length,
                        void *out, size_t raw_length, struct varve_error *ret_error)
{
    (void)context, (void)unit, (void)bytes, (void)length, (void)out, (void)raw_length, (void)ret_error;
    abort(); /* what it would make of somebody else's bytes is not to be found out */
}

/* The id means what MANIFEST says: another codec under it is not taken for the one that is meant. */
static int open_with_another(void *arg)
{
    static const struct varve_codec other = {.size = sizeof other,
                                             .id = 200,
                                             .name = "other",
                                             .bound = run_bound,
                                             .encode = run_encode,
                                             .decode = other_decode};
    struct varve_error error = {0};
    struct varve_log *log;
    TEST_CHILD_CHECK(varve_codec_register(&other, NULL) == 0);
    TEST_CHILD_CHECK(varve_open(arg, NULL, &log, &error) == VARVE_E_CODEC);
    TEST_CHILD_CHECK(strstr(error.message, "'runs'") != NULL);
    return 0;
}

/* But for LOCK, in which everybody writes who asks for it. */
static uint64_t sum_of(const char *dir)
{
    test_bytes_write(dir, "LOCK", "", 0);
    return test_bytes_dir_sum(dir);
}

static void test_codec_registered__not_there(void **state)
{
    (void)state;
    char *dir = test_tmp_new();
    assert_int_equal(test_child_run(write_elsewhere, dir), 0);
    uint64_t before = sum_of(dir);
    assert_int_equal(test_child_run(open_with_another, dir), 0);
    for (int i = 0; i < 4; i++) {
        static const char *const codecs[] = {NULL, "identity", NULL, "runs"};
        struct varve_options options = {
            .size = sizeof options, .codec = codecs[i], .flags = i == 2 ? VARVE_OPEN_READ_ONLY : 0};
        struct varve_error error = {0};
        struct varve_log *log;
        assert_int_equal(varve_open(dir, &options, &log, &error), VARVE_E_CODEC);
        assert_non_null(strstr(error.message, i == 3 ? "'runs'" : "'runs' (200)"));
    }
    assert_int_equal(sum_of(dir), before);
    /* What can be checked is checked, and what cannot be is said. */
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_info info = {.size = sizeof info};
    assert_int_equal(varve_verify(dir, NULL, NULL, NULL, &result, NULL), 0);
    assert_int_equal(result.found.verdict, VARVE_VERDICT_CLEAN_END);
    assert_int_equal(result.found.records, 5);
    assert_int_equal(result.unread_frames, 5);
    assert_int_equal(result.unread_records, 5);
    assert_int_equal(result.unread_code, VARVE_E_CODEC);
    assert_non_null(strstr(result.unread_why, "200"));
    assert_int_equal(varve_info_get(dir, NULL, &info, NULL), 0);
    assert_string_equal(info.codec_name, "runs");
    assert_int_equal(info.codec, 200);
    assert_int_equal(sum_of(dir), before);
    /* And once it is there, all is well. */
    register_all();
    struct varve_log *log;
    assert_int_equal(varve_open(dir, NULL, &log, NULL), 0);
    assert_int_equal(varve_last_lsn(log), 5);
    assert_int_equal(varve_close(log, NULL), 0);
    test_tmp_free(dir);
}

static void use(const char *name, struct varve_options options, size_t bytes_max)
{
    struct test_bed bed;
    options.codec = name;
    options.mark_idle_ms = 1;
    bed_init(&bed, BED_MEMORY, &options, bytes_max);
    bed.ledger.shrinks = 1;
    assert_int_equal(bed_open(&bed), 0);
    test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = TEST_OP_WRITE_DSYNC,
                                                         .prefix = "new-",
                                                         .after = 20,
                                                         .action = TEST_FAULT_PARTIAL,
                                                         .bytes = SIZE_MAX});
    assert_int_equal(bed_crowd(&bed, 4, 40), 0);
    test_ledger_check(&bed.ledger, bed.log);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.codec = NULL;
    bed_check(&bed);
    bed_end(&bed);
}

static void test_codec_registered__used(void **state)
{
    (void)state;
    static const char *const names[] = {"runs", "mask", "runs+mask"};
    register_all();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        use(names[i], (struct varve_options){.slot_bytes = 8192, .writes_in_flight = 4}, 3000);
        use(names[i], (struct varve_options){.slot_bytes = 4096}, 20000);
    }
}

int main(void)
{
    /* In this order: what is registered once stays. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec_registered__not_there),
        cmocka_unit_test(test_codec_registered__used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
