/* SPDX-License-Identifier: Apache-2.0 */
#include "log/export.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "lib/tmp.h"
#include "varve/metrics.h"

static char text[VARVE_METRICS_BYTES + 1];
static struct varve_metrics_export facts;

static int read_file(struct test_bed *bed, const char *path)
{
    facts = (struct varve_metrics_export){.size = sizeof facts};
    return varve_metrics_read(path, text, sizeof text, &facts, &bed->error);
}

static bool says(struct test_bed *bed, const char *path, const char *line)
{
    assert_int_equal(read_file(bed, path), 0);
    return strstr(text, line) != NULL;
}

static void test_export__follows(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_GROUP, VARVE_MEMORY};
    for (unsigned i = 0; i < 2; i++) {
        char *dir = test_tmp_new(), *path = test_tmp_join(dir, "metrics");
        struct test_bed bed;
        const struct varve_options options = {
            .durability = modes[i], .slot_bytes = 16384, .metrics_file = path};
        bed_start(&bed, BED_MEMORY, &options, 1000);
        BED_UNTIL(access(path, R_OK) == 0 && read_file(&bed, path) == 0);
        assert_int_equal(facts.pid, getpid());
        assert_int_equal(facts.closed, 0);
        assert_int_equal(facts.text_bytes, strlen(text));
        uint64_t updated = facts.updated_us;
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 20), 0);
        BED_UNTIL(says(&bed, path, "\nwal_appends_total 20\n"));
        BED_UNTIL(read_file(&bed, path) == 0 && facts.updated_us > updated);

        struct varve_options second = bed.options;
        struct varve_log *log;
        assert_int_equal(varve_open("second", &second, &log, &bed.error), VARVE_E_LOCKED);
        assert_non_null(strstr(bed.error.message, "metrics_file"));
        assert_int_equal(varve_metrics_read(path, text, 10, &facts, NULL), VARVE_E_TOO_LARGE);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
        assert_int_equal(bed_shut(&bed), 0);
        assert_true(says(&bed, path, "\nwal_appends_total 21\n"));
        assert_int_equal(facts.closed, 1);
        bed.options.metrics_file = NULL;
        if (modes[i] != VARVE_MEMORY) {
            bed_check(&bed);
        }
        bed_end(&bed);
        free(path);
        test_tmp_free(dir);
    }
}

static void test_export__refused(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *below = test_tmp_join(dir, "no/metrics"),
         *other = test_tmp_join(dir, "other");
    struct test_bed bed;
    const struct varve_options options = {.slot_bytes = 16384, .metrics_file = below};
    bed_init(&bed, BED_MEMORY, &options, 1000);
    assert_int_equal(bed_open(&bed), VARVE_E_IO);
    assert_non_null(strstr(bed.error.message, "no/metrics"));
    bed.options.metrics_file = dir;
    assert_true(bed_open(&bed) < 0);
    assert_int_equal(read_file(&bed, below), VARVE_E_NOT_FOUND);
    assert_int_equal(read_file(&bed, dir), VARVE_E_NOT_REGULAR);
    int fd = open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "VARVEMET", 8), 8);
    assert_int_equal(close(fd), 0);
    assert_int_equal(read_file(&bed, other), VARVE_E_FORMAT);
    facts.size = 1;
    assert_int_equal(varve_metrics_read(other, text, sizeof text, &facts, NULL), VARVE_E_INVALID);
    bed.options.metrics_file = NULL;
    bed_end(&bed);
    free(below);
    free(other);
    test_tmp_free(dir);
}

/* A child that was forked has no thread to stop, and leaves the parent's file alone. */
static void test_export__fork(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *path = test_tmp_join(dir, "metrics");
    struct test_bed bed;
    int status = 0;
    const struct varve_options options = {.slot_bytes = 16384, .metrics_file = path};
    bed_start(&bed, BED_MEMORY, &options, 1000);
    BED_UNTIL(access(path, R_OK) == 0 && read_file(&bed, path) == 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(varve_close(bed.log, NULL) == VARVE_E_FORKED ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
    BED_UNTIL(says(&bed, path, "\nwal_appends_total 5\n"));
    assert_int_equal(facts.closed, 0);
    assert_int_equal(bed_shut(&bed), 0);
    assert_int_equal(read_file(&bed, path), 0);
    assert_int_equal(facts.closed, 1);
    bed.options.metrics_file = NULL;
    bed_check(&bed);
    bed_end(&bed);
    free(path);
    test_tmp_free(dir);
}

/* A child that lives on and knows nothing of logs does not keep the file from the next one to export there.
 */
static void test_export__child_outlives_the_log(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *path = test_tmp_join(dir, "metrics"), byte = 0;
    struct test_bed bed;
    int status = 0, ready[2], go[2];
    const struct varve_options options = {.slot_bytes = 16384, .metrics_file = path};
    bed_start(&bed, BED_MEMORY, &options, 1000);
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        close(go[1]);
        /* Only now the handlers of fork have run. */
        _exit(write(ready[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 0 ? 0 : 1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.metrics_file = path;
    int rc = bed_open(&bed);
    close(go[0]);
    close(go[1]);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(rc, 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.metrics_file = NULL;
    bed_check(&bed);
    bed_end(&bed);
    free(path);
    test_tmp_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_export__follows),
        cmocka_unit_test(test_export__refused),
        cmocka_unit_test(test_export__fork),
        cmocka_unit_test(test_export__child_outlives_the_log),
    };
#ifdef VARVE_NO_METRICS
    puts("skipped: built without metrics");
    return 77;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
