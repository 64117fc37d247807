/* SPDX-License-Identifier: Apache-2.0 */
#include "log/metrics.h"

#include <errno.h>
#include <locale.h>
#include <pthread.h>
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
#include "lib/child.h"
#include "lib/tmp.h"
#include "varve/metrics.h"

static char text[VARVE_METRICS_BYTES + 1];

/* The value of the sample that begins so; fails when there is none. */
static double value(struct test_bed *bed, const char *sample)
{
    char line[200];
    size_t len = 0;
    assert_int_equal(varve_metrics_text(bed->log, NULL, text, sizeof text, &len), 0);
    assert_int_equal(strlen(text), len);
    snprintf(line, sizeof line, "\n%s ", sample);
    const char *at = strstr(text, line);
    if (at == NULL) {
        fail_msg("no %s", sample);
    }
    return strtod(at + strlen(line), NULL);
}

static void test_metrics__follow_the_log(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_BUFFERED, VARVE_INTERVAL, VARVE_GROUP, VARVE_STRICT};
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct test_bed bed;
        const struct varve_options options = {.durability = modes[i], .slot_bytes = 16384};
        bed_start(&bed, BED_MEMORY, &options, 1000);
        assert_true(value(&bed, "wal_appends_total") == 0);
        assert_int_equal(bed_crowd(&bed, 4, 50), 0);
        assert_int_equal(varve_sync(bed.log), 0);
        struct varve_stats stats = bed_stats(&bed);
        assert_true(value(&bed, "wal_appends_total") == 200);
        assert_true(value(&bed, "wal_records_total") == 200);
        assert_true(value(&bed, "wal_durable_lsn") == 200);
        assert_true(value(&bed, "wal_durable_lag_records") == 0);
        assert_true(value(&bed, "wal_frame_records_sum") == 200);
        assert_true(value(&bed, "wal_frame_records_count") == (double)stats.frames);
        assert_true(value(&bed, "wal_commit_duration_seconds_count") == (double)stats.frames);
        assert_true(value(&bed, "wal_flush_duration_seconds_count") >= 1);
        assert_true(value(&bed, "wal_flush_duration_seconds_count") <= value(&bed, "wal_flushes_total"));
        assert_true(value(&bed, "wal_record_bytes_total") == (double)stats.payload_bytes);
        assert_true(value(&bed, "wal_segments") == 1);
        assert_true(value(&bed, "wal_read_only") == 0);
        varve_metrics_transaction(bed.log, 1500);
        varve_metrics_transaction(bed.log, 20000000);
        assert_true(value(&bed, "transaction_duration_seconds_bucket{le=\"0.001\"}") == 0);
        assert_true(value(&bed, "transaction_duration_seconds_bucket{le=\"0.002\"}") == 1);
        assert_true(value(&bed, "transaction_duration_seconds_bucket{le=\"10\"}") == 1);
        assert_true(value(&bed, "transaction_duration_seconds_bucket{le=\"+Inf\"}") == 2);
        assert_int_equal(bed_shut(&bed), 0);
        /* Counters count from opening, positions do not. */
        assert_int_equal(bed_open(&bed), 0);
        assert_true(value(&bed, "wal_appends_total") == 0);
        assert_true(value(&bed, "wal_last_lsn") == 200);
        assert_int_equal(bed_shut(&bed), 0);
        bed_check(&bed);
        bed_end(&bed);
    }
}

/* A slow disk is seen in the buckets, and a failing one in the counters. */
static void test_metrics__disk(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_gate gate = {.op = TEST_OP_WRITE_DSYNC};
    const struct varve_options options = {.slot_bytes = 16384, .mark_idle_ms = 3600000};
    bed_start(&bed, BED_MEMORY, &options, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    atomic_store(&gate.shut, 1);
    struct varve_record record = {.data = "x", .data_bytes = 1};
    assert_int_equal(varve_append_async(bed.log, &record, NULL), 0);
    BED_UNTIL(atomic_load(&gate.waiting) == 1);
    assert_true(value(&bed, "wal_durable_lag_records") == 1);
    for (unsigned i = 0; i < 60; i++) {
        bed_pause();
    }
    atomic_store(&gate.shut, 0);
    assert_int_equal(varve_sync(bed.log), 0);
    test_fault_set_hook(&bed.fault, NULL, NULL);
    assert_true(value(&bed, "wal_flush_duration_seconds_bucket{le=\"0.05\"}") == 1);
    assert_true(value(&bed, "wal_flush_duration_seconds_bucket{le=\"+Inf\"}") == 2);
    assert_true(value(&bed, "wal_commit_duration_seconds_sum") >= 0.06);

    assert_int_equal(varve_append(bed.log, NULL, 1, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_append_record(bed.log, &record, VARVE_MEMORY, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_append_batch(bed.log, &record, 0, VARVE_DURABILITY_DEFAULT, 1, NULL),
                     VARVE_E_INVALID);
    assert_true(value(&bed, "wal_errors_total{type=\"invalid\"}") == 3);
    assert_true(value(&bed, "wal_errors_total{type=\"sync\"}") == 0);
    test_fault_fail_always(&bed.fault, TEST_OP_ANY_WRITE, 0, EIO);
    assert_int_equal(varve_append(bed.log, "x", 1, NULL), VARVE_E_SYNC);
    assert_true(value(&bed, "wal_errors_total{type=\"sync\"}") == 1);
    assert_true(value(&bed, "wal_read_only") == 1);
    assert_true(bed_shut(&bed) != 0);
    test_fault_disarm(&bed.fault);
    bed_end(&bed);
}

static void test_metrics__text(void **state)
{
    (void)state;
    struct test_bed bed;
    char labels[250];
    size_t bare, labelled;
    int too_small, fits;
    const struct varve_options options = {.slot_bytes = 16384};
    bed_start(&bed, BED_MEMORY, &options, 1000);
    assert_int_equal(varve_metrics_text(bed.log, "", text, sizeof text, &bare), 0);
    memset(labels, 'x', sizeof labels);
    memcpy(labels, "log=\"", 5);
    labels[199] = '"';
    labels[200] = '\0';
    assert_int_equal(varve_metrics_text(bed.log, labels, text, sizeof text, &labelled), 0);
    assert_true(labelled > bare && labelled < VARVE_METRICS_BYTES);
    labels[200] = 'x';
    labels[201] = '\0';
    assert_int_equal(varve_metrics_text(bed.log, labels, text, sizeof text, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_metrics_text(bed.log, "a=\"}\"", text, sizeof text, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_metrics_text(bed.log, "log=\"a\"", text, sizeof text, NULL), 0);
    assert_non_null(strstr(text, "\nwal_errors_total{log=\"a\",type=\"io\"} 0\n"));
    assert_non_null(strstr(text, "\nwal_segments{log=\"a\"} "));
    /* Just as much room as it takes: a figure may get a digit more between two calls, so that counts which
     * has the same length before and behind. */
    do {
        assert_int_equal(varve_metrics_text(bed.log, NULL, text, sizeof text, &bare), 0);
        too_small = varve_metrics_text(bed.log, NULL, text, bare, NULL);
        fits = varve_metrics_text(bed.log, NULL, text, bare + 1, NULL);
        assert_int_equal(varve_metrics_text(bed.log, NULL, text, sizeof text, &labelled), 0);
    } while (bare != labelled);
    assert_int_equal(too_small, VARVE_E_TOO_LARGE);
    assert_int_equal(fits, 0);
    assert_int_equal(varve_metrics_text(bed.log, NULL, NULL, 0, NULL), VARVE_E_INVALID);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(varve_metrics_text(bed.log, NULL, text, sizeof text, NULL), VARVE_E_UNSUPPORTED);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static int make_locale(void *arg)
{
    char *const *words = arg;
    if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL) {
        return 1;
    }
    execlp("localedef", "localedef", "-c", "-i", words[0], words[1], (char *)NULL);
    return 1;
}

/* A locale whose numbers have a comma, made for this test: no machine is sure to have one. */
static char *comma_locales(void)
{
    char *dir = test_tmp_new(), *source = test_tmp_join(dir, "source"), *out = test_tmp_join(dir, "comma");
    char *const words[] = {source, out};
    FILE *file = fopen(source, "we");
    assert_non_null(file);
    fputs("LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \"\"\ngrouping -1\nEND LC_NUMERIC\n", file);
    assert_int_equal(fclose(file), 0);
    (void)test_child_run(make_locale, (void *)words);
    free(source);
    free(out);
    return dir;
}

/* Whatever the program's locale, numbers have a point. */
static void test_metrics__locale(void **state)
{
    (void)state;
    char *dir = comma_locales(), number[16];
    assert_int_equal(setenv("LOCPATH", dir, 1), 0);
    bool made = setlocale(LC_NUMERIC, "comma") != NULL;
    unsetenv("LOCPATH");
    if (!made) {
        test_tmp_free(dir);
        skip(); /* no localedef: not a system with glibc */
    }
    struct test_bed bed;
    const struct varve_options options = {.slot_bytes = 16384};
    bed_start(&bed, BED_MEMORY, &options, 1000);
    assert_int_equal(varve_metrics_text(bed.log, NULL, text, sizeof text, NULL), 0);
    snprintf(number, sizeof number, "%.1f", 0.5);
    assert_non_null(setlocale(LC_NUMERIC, "C"));
    assert_string_equal(number, "0,5"); /* the caller's locale is as it was */
    assert_non_null(strstr(text, "le=\"0.001\""));
    assert_null(strstr(text, "le=\"0,"));
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
    test_tmp_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics__follow_the_log),
        cmocka_unit_test(test_metrics__disk),
        cmocka_unit_test(test_metrics__text),
        cmocka_unit_test(test_metrics__locale),
    };
#ifdef VARVE_NO_METRICS
    printf("skipped: built without metrics\n");
    return 77;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
