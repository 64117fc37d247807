/* SPDX-License-Identifier: Apache-2.0 */
#include "format/spans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/sum.h"
#include "lib/rng.h"
#include "lib/source.h"

enum {
    BYTES = 300000
};

static const enum varve_format_sum kinds[] = {VARVE_SUM_CRC32, VARVE_SUM_CRC32C};

struct bed {
    uint8_t *bytes;
    struct test_source source;
    struct vv_spans *spans;
    uint32_t *sums;
    struct test_rng rng;
};

static int set_up(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    bed->bytes = malloc(BYTES);
    bed->spans = malloc(sizeof *bed->spans);
    bed->sums = malloc(vv_spans_count(BYTES) * sizeof *bed->sums);
    test_rng_init(&bed->rng, test_rng_seed());
    test_rng_fill(&bed->rng, bed->bytes, BYTES);
    bed->source = (struct test_source){.bytes = bed->bytes, .len = BYTES, .fail_after = -1};
    *state = bed;
    return 0;
}

static int tear_down(void **state)
{
    struct bed *bed = *state;
    free(bed->bytes);
    free(bed->spans);
    free(bed->sums);
    free(bed);
    return 0;
}

static void begin(struct bed *bed, enum varve_format_sum kind, uint64_t offset)
{
    struct vv_format_source table = test_source_of(&bed->source);
    vv_spans_init(bed->spans, kind, &table, bed->sums);
    vv_spans_begin(bed->spans, offset);
}

static void check(struct bed *bed, enum varve_format_sum kind, uint64_t from, uint64_t to)
{
    uint32_t sum;
    assert_int_equal(vv_spans_sum(bed->spans, from, to, &sum), 0);
    assert_int_equal(sum, vv_sum(kind, 0, bed->bytes + from, to - from));
}

/* Any stretch has the sum that reading it gives. */
static void test_spans__any_stretch(void **state)
{
    struct bed *bed = *state;
    for (unsigned k = 0; k < 2; k++) {
        begin(bed, kinds[k], 1001);
        check(bed, kinds[k], 1001, 1001);
        check(bed, kinds[k], 1001, BYTES);
        check(bed, kinds[k], BYTES, BYTES);
        for (unsigned i = 0; i < 3000; i++) {
            uint64_t from = test_rng_range(&bed->rng, 1001, BYTES);
            check(bed, kinds[k], from, test_rng_range(&bed->rng, from, BYTES));
        }
        for (uint64_t from = 1001; from < 1300; from++) {
            for (uint64_t to = from; to < from + 300; to += 7)
                check(bed, kinds[k], from, to);
        }
    }
}

/* What was summed up is not read again, and what nobody asks for is not summed up. */
static void test_spans__reads_once(void **state)
{
    struct bed *bed = *state;
    uint64_t before;

    begin(bed, VARVE_SUM_CRC32, 0);
    check(bed, VARVE_SUM_CRC32, 0, 200000);
    assert_true(bed->source.read_bytes < 200000 + 100);
    before = bed->source.read_bytes;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t from = test_rng_below(&bed->rng, 200000);
        check(bed, VARVE_SUM_CRC32, from, test_rng_range(&bed->rng, from, 200000));
    }
    assert_true(bed->source.read_bytes - before < 1000 * 2 * 64);
    vv_spans_begin(bed->spans, 100); /* within what is known */
    before = bed->source.read_bytes;
    check(bed, VARVE_SUM_CRC32, 100, 199000);
    assert_true(bed->source.read_bytes - before < 200);
    vv_spans_begin(bed->spans, 290000); /* far behind it */
    before = bed->source.read_bytes;
    check(bed, VARVE_SUM_CRC32, 290001, 290777);
    assert_true(bed->source.read_bytes - before < 1000);
}

static void test_spans__passes_on_errors(void **state)
{
    struct bed *bed = *state;
    uint32_t sum = 77;
    int rc = -1;

    for (int fail = 0; rc != 0; fail++) {
        bed->source.fail_after = fail;
        begin(bed, VARVE_SUM_CRC32, 0);
        rc = vv_spans_sum(bed->spans, 1000, 250001, &sum);
        assert_true(rc == 0 || (rc == VARVE_E_IO && sum == 77));
    }
    assert_int_equal(sum, vv_sum(VARVE_SUM_CRC32, 0, bed->bytes + 1000, 249001));
}

/* Memory stays small beside any file. */
static void test_spans__memory(void **state)
{
    (void)state;
    assert_true(vv_spans_count(0) >= 1);
    assert_true(vv_spans_count((uint64_t)64 << 20) * sizeof(uint32_t) <= (5u << 20));
    assert_true(vv_spans_count((uint64_t)4 << 30) * sizeof(uint32_t) <= (5u << 20));
    assert_true(vv_spans_count((uint64_t)1 << 40) * sizeof(uint32_t) <= (uint64_t)1 << 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_spans__any_stretch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_spans__reads_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_spans__passes_on_errors, set_up, tear_down),
        cmocka_unit_test(test_spans__memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
