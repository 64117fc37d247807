/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/judge.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* How many records are appended to see that a log goes on. */
enum {
    MORE = 3
};

static const enum varve_policy all_policies[] = {VARVE_POLICY_TRUNCATE, VARVE_POLICY_HALT, VARVE_POLICY_SKIP};

static bool is_damage(const struct test_verdict *v)
{
    return v->verdict > VARVE_VERDICT_TORN;
}

static int code_of(enum varve_verdict verdict)
{
    switch (verdict) {
    case VARVE_VERDICT_TORN:
        return VARVE_E_TORN;
    case VARVE_VERDICT_CORRUPT:
        return VARVE_E_CORRUPT;
    case VARVE_VERDICT_HOLE:
        return VARVE_E_HOLE;
    case VARVE_VERDICT_MISSING_SEGMENT:
        return VARVE_E_MISSING_SEGMENT;
    case VARVE_VERDICT_FOREIGN:
        return VARVE_E_FOREIGN;
    case VARVE_VERDICT_CLEAN_END:
        break;
    }
    return VARVE_END;
}

static uint64_t first_of(const struct test_verdict *v)
{
    return v->first != 0 ? v->first : 1;
}

static uint64_t gone_of(const struct test_verdict *v)
{
    return is_damage(v) && !v->without_manifest ? v->gone_last - v->sound_last : 0;
}

/* What a policy makes of it: 0 = the log opens, else the code. */
static int outcome(const struct test_verdict *v, enum varve_policy policy)
{
    if (v->verdict == VARVE_VERDICT_TORN && policy == VARVE_POLICY_HALT && !v->halt_goes_on) {
        return VARVE_E_TORN;
    }
    return is_damage(v) && policy != VARVE_POLICY_SKIP ? code_of(v->verdict) : 0;
}

/* -- reading -- */

enum varve_verdict test_judge_read(struct test_sample *sample, struct varve_log *log,
                                   enum varve_policy policy, const struct test_verdict *v, int end)
{
    bool past = end == VARVE_END && is_damage(v) && !v->without_manifest;
    uint64_t next = first_of(v), last = end == VARVE_END ? v->last : v->sound_last, saved = 0;
    struct varve_cursor *cursor = NULL;
    struct varve_error error = {0};
    struct varve_entry entry;
    if (varve_cursor_open(log, policy, &cursor, &error) != 0) {
        fail_msg("cursor: %s", error.message);
    }
    int rc;
    while ((rc = varve_cursor_next(cursor, &entry)) == 0) {
        if (past && entry.lsn > v->sound_last && entry.lsn <= v->gone_last) {
            saved++;
            assert_true(entry.lsn >= next);
            next = entry.lsn;
        } else if (past && next > v->sound_last && next <= v->gone_last) {
            next = v->gone_last + 1;
        }
        assert_int_equal(entry.lsn, next);
        assert_true(test_sample_is(sample, entry.lsn, entry.data, entry.data_bytes));
        next++;
    }
    if (past && next > v->sound_last && next <= v->gone_last) {
        next = v->gone_last + 1;
    }
    if (rc != end) {
        varve_cursor_error(cursor, &error);
        fail_msg("policy %d: LSN %" PRIu64 ": %d, not %d: %s", (int)policy, next, rc, end, error.message);
    }
    assert_int_equal(next, last + 1);
    assert_int_equal(varve_cursor_next(cursor, &entry), end);
    if (past && policy == VARVE_POLICY_SKIP) {
        assert_int_equal(saved, v->saved);
        assert_int_equal(varve_cursor_lost(cursor), gone_of(v) - saved);
    }
    if (end < 0) {
        memset(&error, 0, sizeof error);
        varve_cursor_error(cursor, &error);
        assert_int_equal(error.code, end);
        assert_true(error.message[0] != '\0');
    }
    enum varve_verdict verdict = varve_cursor_verdict(cursor);
    varve_cursor_close(cursor);
    return verdict;
}

/* -- the ways -- */

struct told {
    unsigned count;
    enum varve_verdict verdict;
    uint64_t segment, offset, first, last;
};

static void tell(void *arg, enum varve_verdict verdict, uint64_t segment, uint64_t offset, uint64_t lsn_first,
                 uint64_t lsn_last, const char *message)
{
    struct told *told = arg;
    assert_true(message[0] != '\0');
    if (told->count++ == 0) {
        *told = (struct told){1, verdict, segment, offset, lsn_first, lsn_last};
    }
}

void test_judge_verify(struct test_sample *sample, const struct test_verdict *v)
{
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_options options = {
        .size = sizeof options, .io = &sample->memory.io, .keys = sample->options.keys};
    struct varve_info info = {.size = sizeof info};
    struct varve_error error = {0};
    struct told told = {0};
    if (varve_verify("log", &options, tell, &told, &result, &error) != 0) {
        fail_msg("verify: %s", error.message);
    }
    assert_int_equal(result.found.verdict, v->verdict);
    assert_int_equal(result.damages, is_damage(v) ? 1 : 0);
    assert_int_equal(result.found.lost_records, gone_of(v));
    assert_int_equal(result.found.last_lsn, v->last >= first_of(v) ? v->last : 0);
    assert_int_equal(told.count, v->verdict == VARVE_VERDICT_CLEAN_END ? 0 : 1);
    if (told.count != 0) {
        assert_int_equal(told.verdict, v->verdict);
    }
    if (gone_of(v) != 0) {
        assert_int_equal(told.first, v->sound_last + 1);
        assert_int_equal(told.last, v->gone_last);
    }
    if (v->segment != 0) {
        assert_int_equal(result.found.segment, v->segment);
        assert_int_equal(result.found.offset, v->offset);
        assert_int_equal(told.segment, v->segment);
        assert_int_equal(told.offset, v->offset);
    }
    assert_int_equal(varve_info_get("log", &sample->memory.io, &info, &error), 0);
    assert_int_equal(info.verdict, v->verdict);
    assert_int_equal(info.records, result.found.records);
}

void test_judge_read_only(struct test_sample *sample, const struct test_verdict *v)
{
    for (unsigned i = 0; i < 3; i++) {
        struct varve_error error = {0};
        struct varve_log *log = NULL;
        if (test_sample_try(sample, all_policies[i], VARVE_OPEN_READ_ONLY, &log, &error) != 0) {
            fail_msg("read-only: %s", error.message);
        }
        if (!is_damage(v)) {
            assert_int_equal(varve_durable_lsn(log), v->last);
        }
        for (unsigned k = 0; k < 3; k++) {
            int rc = outcome(v, all_policies[k]);
            enum varve_verdict found =
                test_judge_read(sample, log, all_policies[k], v, rc != 0 ? rc : VARVE_END);
            if (rc != 0 || !is_damage(v)) {
                assert_int_equal(found, v->verdict);
            }
        }
        assert_int_equal(varve_close(log, &error), 0);
    }
}

/* What was set aside: a line for it, and a copy of the bytes where there were any. */
static void check_lost(struct test_sample *sample, const struct test_verdict *v)
{
    struct varve_io *io = &sample->memory.io;
    struct varve_dir *dir = test_sample_dir(sample), *lost = NULL;
    struct varve_file *file = NULL;
    char text[1024], range[64], name[128], *at;
    int created;
    assert_int_equal(io->dir_open(io, dir, "lost", 0, &lost, &created), 0);
    assert_int_equal(io->open(io, lost, "index", VARVE_IO_READ, &file), 0);
    ssize_t n = io->pread(io, file, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    io->close(io, file);
    snprintf(range, sizeof range, "lsn %" PRIu64 " to %" PRIu64 " segment ", v->sound_last + 1, v->gone_last);
    assert_non_null(strstr(text, range));
    assert_non_null(strstr(text, varve_verdict_name(v->verdict)));
    at = strstr(text, " file ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, " file %127s", name), 1);
    if (strcmp(name, "-") != 0) {
        struct varve_io_stat st;
        assert_int_equal(io->stat_name(io, lost, name, &st), 0);
        size_t bytes = 0;
        if (v->segment != 0) {
            free(test_sample_read(sample, v->segment, &bytes));
        }
        /* A file may have been cut off at just that place. */
        assert_true(st.size_bytes > 0 || bytes <= v->offset);
    } else {
        assert_true(v->verdict == VARVE_VERDICT_MISSING_SEGMENT || v->verdict == VARVE_VERDICT_HOLE);
    }
    io->dir_close(io, lost);
    io->dir_close(io, dir);
}

/* An accepted log goes on: more records, read back beside the old ones, now and after opening again. */
static void go_on(struct test_sample *sample, const struct test_verdict *v, enum varve_policy policy)
{
    struct test_verdict now = *v;
    struct varve_recovery recovery;
    struct varve_log *log = test_sample_open(sample, policy);
    varve_recovery_stats(log, &recovery);
    assert_int_equal(recovery.verdict, v->without_manifest ? VARVE_VERDICT_CLEAN_END : v->verdict);
    assert_int_equal(recovery.lost_records, gone_of(v));
    assert_int_equal(varve_last_lsn(log), v->last);
    assert_int_equal(varve_durable_lsn(log), v->last);
    assert_int_equal(varve_first_lsn(log), first_of(v));

    test_sample_next_life(sample, v->last + 1);
    test_sample_append(sample, log, MORE);
    now.last = v->last + MORE;
    now.verdict = is_damage(v) ? v->verdict : VARVE_VERDICT_CLEAN_END;
    now.without_manifest = false;
    if (v->without_manifest) {
        now.verdict = VARVE_VERDICT_CLEAN_END;
    }
    (void)test_judge_read(sample, log, policy, &now, VARVE_END);
    assert_int_equal(varve_close(log, NULL), 0);
    if (gone_of(v) != 0) {
        check_lost(sample, v);
    }
    /* Passed over once, it is passed over from then on, under every policy; and what was superseded stays so.
     */
    for (unsigned i = 0; i < 3; i++) {
        log = test_sample_open(sample, all_policies[i]);
        assert_int_equal(varve_last_lsn(log), now.last);
        (void)test_judge_read(sample, log, all_policies[i], &now, VARVE_END);
        assert_int_equal(varve_close(log, NULL), 0);
    }
    test_sample_map(sample);
}

void test_judge_open(struct test_sample *sample, const struct test_verdict *v, enum varve_policy policy)
{
    struct test_sample copy;
    struct varve_error error = {0};
    struct varve_log *log = NULL;
    uint64_t before = test_sample_sum(sample);
    int expected = outcome(v, policy);
    test_sample_copy(sample, &copy);
    if (expected != 0) {
        int rc = test_sample_try(&copy, policy, 0, &log, &error);
        if (rc != expected) {
            fail_msg("policy %d: %d, not %d: %s", (int)policy, rc, expected, error.message);
        }
        assert_int_equal(error.code, expected);
        assert_int_equal(test_sample_sum(&copy), before);
    } else {
        go_on(&copy, v, policy);
        test_sample_close(&copy);
        /* Recovered twice, with a crash between, and with a close between, nothing appended: the same. */
        for (int i = 0; i < 2; i++) {
            test_sample_copy(sample, &copy);
            log = test_sample_open(&copy, policy);
            if (i == 0) {
                test_sample_crash(&copy, log);
            } else {
                assert_int_equal(varve_close(log, NULL), 0);
            }
            log = test_sample_open(&copy, VARVE_POLICY_TRUNCATE);
            assert_int_equal(varve_last_lsn(log), v->last);
            test_sample_next_life(&copy, v->last + 1);
            test_sample_append(&copy, log, MORE);
            test_sample_crash(&copy, log);
            log = test_sample_open(&copy, VARVE_POLICY_TRUNCATE);
            struct test_verdict now = *v;
            now.last = v->last + MORE;
            (void)test_judge_read(&copy, log, VARVE_POLICY_SKIP, &now, VARVE_END);
            assert_int_equal(varve_close(log, NULL), 0);
            if (i == 0) {
                test_sample_close(&copy);
            }
        }
    }
    test_sample_close(&copy);
}

void test_judge(struct test_sample *sample, const struct test_verdict *v)
{
    uint64_t before = test_sample_sum(sample);
    test_sample_map(sample);
    test_judge_verify(sample, v);
    test_judge_read_only(sample, v);
    assert_int_equal(test_sample_sum(sample), before);
    for (unsigned i = 0; i < 3; i++) {
        test_judge_open(sample, v, all_policies[i]);
    }
}

void test_judge_refused(struct test_sample *sample, int code)
{
    struct varve_error error = {0};
    struct varve_log *log = NULL;
    uint64_t before = test_sample_sum(sample);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(test_sample_try(sample, all_policies[i], 0, &log, &error), code);
        assert_int_equal(error.code, code);
        assert_int_equal(test_sample_try(sample, all_policies[i], VARVE_OPEN_READ_ONLY, &log, &error), code);
    }
    test_sample_map(sample);
    assert_int_equal(test_sample_sum(sample), before);
}
