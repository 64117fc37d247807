/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/run.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

void fault_die(struct fault_run *run, const char *fmt, ...)
{
    char what[256];
    va_list args;
    fault_case_say(run->fault, what, sizeof what);
    fprintf(stderr, "scenario %s, %s: at '%s': ", run->scenario->name, what, run->step);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    pthread_mutex_lock(&run->said_lock);
    fprintf(stderr, "\nwhat was said:\n%s", run->said_bytes > 0 ? run->said : "nothing\n");
    pthread_mutex_unlock(&run->said_lock);
    (void)fflush(stderr);
    _exit(FAULT_EXIT_WRONG);
}

static void run_say(struct fault_run *run, const char *name, const char *text)
{
    pthread_mutex_lock(&run->said_lock);
    int n =
        snprintf(run->said + run->said_bytes, sizeof run->said - run->said_bytes, "  %s: %s\n", name, text);
    if (n > 0 && (size_t)n < sizeof run->said - run->said_bytes) {
        run->said_bytes += (size_t)n;
    }
    pthread_mutex_unlock(&run->said_lock);
}

static void run_message(void *arg, const struct varve_message *message)
{
    struct fault_run *run = arg;
    run_say(run, message->level <= VARVE_MESSAGE_INFO ? "info" : "warning", message->text);
}

void fault_run_init(struct fault_run *run, const struct fault_scenario *scenario, struct fault_base *base,
                    const struct fault_case *fault, enum fault_tooth_kind tooth, char *step)
{
    memset(run, 0, sizeof *run);
    run->scenario = scenario;
    run->fault = fault;
    run->base = base;
    run->step = step;
    pthread_mutex_init(&run->said_lock, NULL);
    pthread_mutex_init(&run->killed_lock, NULL);
    test_fault_init(&run->faults, &base->memory.io);
    fault_watch_init(&run->watch, &run->faults.pass.io);
    fault_tooth_init(&run->tooth, &run->watch.pass.io, tooth);
    run->options = base->options;
    run->options.size = sizeof run->options;
    run->options.io = &run->tooth.pass.io;
    run->options.message = run_message;
    run->options.message_arg = run;
    fault_step(run, "begin");
}

/* Before each call. The system keeps what a process has written when it dies. */
static int run_kill(void *arg, const struct test_fault_call *call)
{
    struct fault_run *run = arg;
    struct fault_killed *killed = &run->killed;
    pthread_mutex_lock(&run->killed_lock);
    if (fault_op_changes_disk(call->op) && killed->changes++ == run->fault->kill_after) {
        killed->taken = true;
        killed->trimmed = run->base->trimmed;
        killed->accepted = run->accepted;
        /* First what was promised: what is promised from now on need not be on the disk yet. */
        test_ledger_copy(&run->base->ledger, &killed->ledger);
        test_memory_crash(&run->base->memory, TEST_CRASH_ALL, NULL, &killed->memory);
    }
    pthread_mutex_unlock(&run->killed_lock);
    return 0;
}

void fault_run_tell(struct fault_run *run)
{
    if (run->scenario->begin != NULL) {
        run->scenario->begin(run);
    }
    for (unsigned i = 0; i < run->fault->rule_count; i++) {
        (void)test_fault_arm(&run->faults, &run->fault->rule[i]);
    }
    if (run->fault->way == FAULT_KILL) {
        test_fault_set_hook(&run->faults, run_kill, run);
    }
    vv_alloc_fail_after(run->fault->alloc_after);
    run->scenario->story(run);
    run->struck = fault_struck(run);
    if (run->allocations != NULL) {
        *run->allocations = run->fault->alloc_after - vv_alloc_fail_left();
    }
    vv_alloc_fail_after(-1);
    test_fault_disarm(&run->faults);
    if (run->fault->way == FAULT_KILL) {
        test_fault_set_hook(&run->faults, NULL, NULL);
    }
    if (run->scenario->end != NULL) {
        run->scenario->end(run);
    }
    fault_step(run, "after the story");
    assert(run->log == NULL);
}

void fault_run_close(struct fault_run *run)
{
    test_fault_close(&run->faults);
    fault_watch_close(&run->watch);
    pthread_mutex_destroy(&run->said_lock);
    pthread_mutex_destroy(&run->killed_lock);
}

bool fault_struck(struct fault_run *run)
{
    if (run->struck || run->killed.taken) {
        return true;
    }
    for (unsigned i = 0; i < run->fault->rule_count; i++) {
        if (test_fault_hits(&run->faults, (int)i) > 0) {
            return true;
        }
    }
    return run->fault->alloc_after >= 0 && vv_alloc_fail_left() < 0;
}

bool fault_passed(struct fault_run *run)
{
    bool one = run->fault->rule_count + (run->fault->alloc_after >= 0) == 1;
    return one && fault_case_passes(run->fault) && fault_struck(run);
}

void fault_step(struct fault_run *run, const char *what)
{
    snprintf(run->step, FAULT_STEP, "%s", what);
}

void fault_told(struct fault_run *run, int code, const struct varve_error *error, const int *codes)
{
    run->errors++;
    run_say(run, varve_error_name(code), error != NULL ? error->message : "(no message)");
    while (*codes != 0 && *codes != code) {
        codes++;
    }
    if (*codes == 0) {
        fault_die(run, "%s is no error that this function documents", varve_error_name(code));
    }
    if (error != NULL && (error->code != code || error->message[0] == '\0')) {
        fault_die(run, "returned %s, and the error says %s: '%s'", varve_error_name(code),
                  varve_error_name(error->code), error->message);
    }
    if (!fault_struck(run) && run->base->code == 0) {
        fault_die(run, "%s, and nothing has failed", varve_error_name(code));
    }
}

static void run_nothing_open(struct fault_run *run)
{
    long files = atomic_load(&run->faults.open_files), dirs = atomic_load(&run->faults.open_dirs);
    if (files != 0 || dirs != 0) {
        fault_die(run, "%ld files and %ld directories were left open", files, dirs);
    }
}

/* What holds at any time. */
static void run_look(struct fault_run *run)
{
    char name[FAULT_WATCH_NAME];
    struct varve_error first = {0};
    struct varve_stats s = {.size = sizeof s};
    if (!fault_watch_is_fine(&run->watch, name)) {
        fault_die(run, "%s was synced again after a sync of it had failed", name);
    }
    if (run->log == NULL) {
        return;
    }
    int code = varve_error_first(run->log, &first);
    if (code != 0 && run->first.code == 0) {
        run->first = first;
        run->failed = true;
        run_say(run, "first error", first.message);
    }
    if (code != run->first.code || first.sys_errno != run->first.sys_errno ||
        strcmp(first.message, run->first.message) != 0) {
        fault_die(run, "the log's first error was '%s' and is '%s'", run->first.message, first.message);
    }
    int rc = varve_stats_get(run->log, &s);
    if (rc != 0 || s.reserved_lsn < s.encoded_lsn || s.encoded_lsn < s.written_lsn ||
        s.written_lsn < s.durable_lsn || s.durable_lsn < s.acked_lsn || s.durable_lsn < run->durable) {
        fault_die(run, "positions %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " after %" PRIu64,
                  s.reserved_lsn, s.encoded_lsn, s.written_lsn, s.durable_lsn, s.acked_lsn, run->durable);
    }
    run->durable = s.durable_lsn;
}

static const int open_codes[] = {VARVE_E_UNSUPPORTED,
                                 VARVE_E_INVALID,
                                 VARVE_E_NOMEM,
                                 VARVE_E_IO,
                                 VARVE_E_NOSPC,
                                 VARVE_E_LOCKED,
                                 VARVE_E_CORRUPT,
                                 VARVE_E_TORN,
                                 VARVE_E_HOLE,
                                 VARVE_E_FOREIGN,
                                 VARVE_E_MISSING_SEGMENT,
                                 VARVE_E_VERSION,
                                 VARVE_E_CODEC,
                                 VARVE_E_NOT_FOUND,
                                 VARVE_E_EXISTS,
                                 VARVE_E_NOT_REGULAR,
                                 VARVE_E_FORMAT,
                                 VARVE_E_LIMIT,
                                 0};

static bool run_opened_reader(struct fault_run *run)
{
    /* Of a damaged log it says how far that is sound. */
    if (run->durable < run->base->ledger.acked_lsn && run->base->code == 0 && !fault_case_lies(run->fault)) {
        fault_die(run, "the log ends with LSN %" PRIu64 " and %" PRIu64 " was acknowledged", run->durable,
                  run->base->ledger.acked_lsn);
    }
    return true;
}

/* A disk that lies while it is read can hide what is on it, and what is written then comes in its place: that
 * is where such a story ends. */
static bool run_opened_writer(struct fault_run *run, enum varve_policy policy)
{
    bool refused = run->base->code != 0 && policy != VARVE_POLICY_SKIP;
    bool less = run->durable < run->base->ledger.acked_lsn;
    if (!refused && !less) {
        return true;
    }
    if (!fault_case_lies(run->fault)) {
        fault_die(run, "it opens with LSN %" PRIu64 " of %" PRIu64 "%s%s", run->durable,
                  run->base->ledger.acked_lsn, refused ? ", and should have said " : "",
                  refused ? varve_error_name(run->base->code) : "");
    }
    run->blind = true;
    fault_close(run);
    return false;
}

bool fault_open(struct fault_run *run, unsigned flags, enum varve_policy policy)
{
    struct varve_options options = run->options;
    fault_step(run, "open");
    options.flags |= flags;
    options.policy = policy;
    for (int tries = 0;; tries++) {
        struct varve_error error = {.code = 0};
        fault_watch_forget(&run->watch);
        int rc = varve_open(FAULT_LOG, &options, &run->log, &error);
        if (rc == 0) {
            break;
        }
        assert(run->log == NULL);
        fault_told(run, rc, &error, open_codes);
        if (strstr(error.message, FAULT_LOG) == NULL) {
            fault_die(run, "the message does not name the log");
        }
        run_nothing_open(run);
        run_look(run);
        bool expected = rc == run->base->code && policy != VARVE_POLICY_SKIP;
        if (!fault_passed(run) || expected || tries > 0) {
            if (fault_passed(run) && !expected) {
                fault_die(run, "the fault has passed, and it still does not open");
            }
            return false;
        }
    }
    run->durable = varve_durable_lsn(run->log);
    run_look(run);
    return (flags & VARVE_OPEN_READ_ONLY) != 0 ? run_opened_reader(run) : run_opened_writer(run, policy);
}

static const int close_codes[] = {VARVE_E_SYNC,     VARVE_E_IO,    VARVE_E_NOSPC,
                                  VARVE_E_READONLY, VARVE_E_NOMEM, 0};

static void run_ack_pending(struct fault_run *run)
{
    for (unsigned i = 0; i < run->pending_count; i++) {
        test_ledger_ack(&run->base->ledger, run->pending[i].lsn, run->pending[i].id);
    }
    run->pending_count = 0;
}

void fault_close(struct fault_run *run)
{
    struct varve_error error = {.code = 0};
    run_look(run);
    fault_step(run, "close");
    bool read_only = varve_wait(run->log, 0, 0) == VARVE_E_UNSUPPORTED;
    int rc = varve_close(run->log, &error);
    run->log = NULL;
    if (rc != 0) {
        fault_told(run, rc, &error, close_codes);
    }
    if (run->first.code != 0 &&
        (rc != run->first.code || strstr(error.message, run->first.message) == NULL)) {
        fault_die(run, "close says '%s' and the first error was '%s'", error.message, run->first.message);
    }
    if (rc == 0 && !read_only) {
        run_ack_pending(run);
    }
    run->first = (struct varve_error){.code = 0};
    run_nothing_open(run);
    run_look(run);
}
