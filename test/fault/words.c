/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/words.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/segment.h"

enum {
    ANY = 0,
    TRANSIENT = -1, /* what a write is tried again after */
    TRIMMED = -3,   /* what makes a spare of a segment: its header is cleared, and it gets another name */
    AHEAD = -2,     /* whatever keeps a read from more than a header, once */
};

/* The first row that matches. An operation without a row must be told of. */
static const struct {
    int op;
    const char *prefix; /* of the file's name; NULL = any */
    int error;
    const char *why;
    const char *scenario; /* NULL = any */
} none[] = {
    {TEST_OP_PREAD, NULL, EINTR, "read again", NULL},
    {TEST_OP_PREAD, "wal-", AHEAD, "what was only to be read ahead is read when it is needed", NULL},
    {TEST_OP_WRITE, NULL, TRANSIENT, "written again", NULL},
    {TEST_OP_WRITE, "wal-", EIO, "written again: nothing was synced by it", NULL},
    {TEST_OP_WRITE, "new-", EINTR, "written again", NULL},
    {TEST_OP_WRITE_DSYNC, NULL, TRANSIENT, "written again", NULL},
    {TEST_OP_SPACE, NULL, ANY, "how much room is left is only asked so as to warn in time", NULL},
    {TEST_OP_OPEN, "wal-", TRIMMED, "what is trimmed is removed where it cannot be a spare", "trim"},
    {TEST_OP_STAT, "wal-", TRIMMED, "what is trimmed is removed where it cannot be a spare", "trim"},
    {TEST_OP_WRITE_DSYNC, "wal-", TRIMMED, "what is trimmed is removed where it cannot be a spare", "trim"},
    {TEST_OP_RENAME, "wal-", TRIMMED, "what is trimmed is removed where it cannot be a spare", "trim"},
    {TEST_OP_STAT_NAME, NULL, ANY, "sizes that are only added up", NULL},
    {TEST_OP_UNLINK, NULL, ENOENT, "it is gone, which was wanted", NULL},
    {TEST_OP_UNLINK, "new-probe", ANY, "the next opening removes it", NULL},
    {TEST_OP_OPEN, "spare-", ANY, "a new file is made instead", NULL},
    {TEST_OP_STAT, "spare-", ANY, "a new file is made instead", NULL},
    {TEST_OP_OPEN, NULL, ENOENT, "it is not there, which is in order, or is made, or looked for once more",
     NULL},
    {TEST_OP_LOCK, NULL, EAGAIN, "somebody else writes: readers stop where that one's word ends", NULL},
    {TEST_OP_LOCK, NULL, ENOLCK, "there are no locks here, so nobody holds one", NULL},
    {TEST_OP_LOCK, NULL, EINVAL, "there are no locks here, so nobody holds one", NULL},
    {TEST_OP_DIR_OPEN, NULL, ANY, "inspecting asks first whether it is a directory, and then opens it", NULL},
};

static bool words_is_transient(int error)
{
    return error == EINTR || error == EAGAIN || error == ENOSPC || error == EDQUOT || error == ENOMEM;
}

static bool words_matches(int wanted, const struct test_fault_rule *rule, const struct fault_site *site,
                          int error)
{
    switch (wanted) {
    case ANY:
        return true;
    case TRANSIENT:
        return words_is_transient(error);
    case TRIMMED:
        return rule->op != TEST_OP_WRITE_DSYNC || site->bytes == VV_SEGMENT_HEADER_BYTES;
    case AHEAD:
        return rule->times == 1 && site->bytes > VV_SEGMENT_HEADER_BYTES;
    default:
        return wanted == error;
    }
}

const char *fault_words_none(const struct fault_case *fault, const char *scenario)
{
    const struct test_fault_rule *rule = &fault->rule[0];
    if (fault->way == FAULT_KILL) {
        return "nobody is left to be told";
    }
    if (fault->way == FAULT_SHORT) {
        return "the rest is read or written too";
    }
    if (fault_case_lies(fault)) {
        return "the disk says that all is well";
    }
    if (fault->rule_count != 1 || fault->alloc_after >= 0) {
        return NULL;
    }
    /* An unlink that worked and failed finds nothing at the next try. */
    int error = rule->op == TEST_OP_UNLINK && rule->action == TEST_FAULT_PARTIAL ? ENOENT : rule->error;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        if (none[i].op == rule->op && (none[i].scenario == NULL || strcmp(none[i].scenario, scenario) == 0) &&
            (none[i].prefix == NULL ||
             strncmp(none[i].prefix, fault->site[0]->name, strlen(none[i].prefix)) == 0) &&
            words_matches(none[i].error, rule, fault->site[0], error)) {
            return none[i].why;
        }
    }
    return NULL;
}

/* -- what is said -- */

static bool words_has(struct fault_run *run, const char *words)
{
    return strstr(run->said, words) != NULL;
}

/* The number in "wal-000000000000000a.seg" and the like. */
static bool words_has_segment(struct fault_run *run, const char *name)
{
    char words[64];
    const char *dash = strchr(name, '-');
    uint64_t number = dash != NULL ? strtoull(dash + 1, NULL, 16) : 0;
    snprintf(words, sizeof words, "segment %" PRIu64, number);
    bool said = words_has(run, words);
    snprintf(words, sizeof words, "wal-%016" PRIx64, number);
    return said || words_has(run, words);
}

/* A segment that is being made, or a spare, whose number is another then. */
static bool words_has_making(struct fault_run *run)
{
    return words_has(run, "cannot make segment") || words_has(run, "a file cannot be made") ||
           words_has(run, "backend direct") || words_has(run, "was trimmed");
}

static bool words_name_it(struct fault_run *run, const char *name)
{
    if (strncmp(name, "MANIFEST", strlen("MANIFEST")) == 0) {
        return words_has(run, "MANIFEST");
    }
    if (strcmp(name, "FAILOVER") == 0) {
        return words_has(run, "FAILOVER: whether it is there cannot be told");
    }
    if (strcmp(name, "VARVE") == 0) {
        return words_has(run, "VARVE: cannot be read") || words_has(run, "VARVE: not a regular file");
    }
    if (strncmp(name, "PINS", strlen("PINS")) == 0) {
        return words_has(run, "PINS");
    }
    if (strcmp(name, "LOCK") == 0) {
        return words_has(run, "LOCK") || words_has(run, "open for writing");
    }
    if (strcmp(name, "index") == 0 || strcmp(name, "lost") == 0) {
        return words_has(run, "lost");
    }
    if (strcmp(name, FAULT_LOG) == 0) {
        return words_has(run, FAULT_LOG ": ") || words_has(run, "the directory ") || words_has_making(run) ||
               words_has(run, "MANIFEST: cannot be written");
    }
    if (strcmp(name, "WAL") == 0 || strcmp(name, "wal") == 0) {
        return words_has(run, "the directory ") || words_has(run, "the log's format");
    }
    if (name[0] == '\0') {
        return words_has(run, "random") || words_has(run, "cannot make segment") ||
               words_has_segment(run, "-1");
    }
    return words_has_segment(run, name) || words_has_making(run) || words_has(run, "lost");
}

/* Errors that have words of their own. */
static bool words_tell_error(struct fault_run *run, int op, int error)
{
    switch (error) {
    case ENOMEM:
        return words_has(run, varve_error_name(VARVE_E_NOMEM));
    case ELOOP:
    case EMEDIUMTYPE:
    case ENOTDIR:
        return words_has(run, "not a regular file") || words_has(run, "not a directory");
    case ENOENT:
        return words_has(run, "there is no") || words_has(run, "does not exist");
    case EAGAIN:
        return op == TEST_OP_LOCK && words_has(run, "open for writing");
    case EACCES:
        return op == TEST_OP_LOCK && words_has(run, "open for writing");
    case EEXIST:
        /* Somebody else has made it: it is opened, and is not there. */
        return words_has(run, strerror(ENOENT));
    default:
        return false;
    }
}

void fault_words_check(struct fault_run *run)
{
    const struct fault_case *fault = run->fault;
    const struct test_fault_rule *rule = &fault->rule[0];
    bool fails = rule->action == TEST_FAULT_FAIL || rule->action == TEST_FAULT_PARTIAL;
    if (run->errors == 0 || run->base->code != 0 || fault->rule_count != 1 || fault->site[0] == NULL ||
        fault->alloc_after >= 0 || !fails || fault_case_lies(fault)) {
        return;
    }
    /* One that goes on meets other files too, and those are named. */
    bool named = words_name_it(run, fault->site[0]->name) ||
                 (fault->site[0]->name[0] != '\0' && words_has(run, fault->site[0]->name)) ||
                 (rule->times == TEST_FAULT_FOREVER && rule->prefix != NULL &&
                  strcmp(rule->prefix, "wal-") == 0 && words_has(run, "segment "));
    if (!named) {
        fault_die(run, "what was said does not name the file");
    }
    if (!words_has(run, strerror(rule->error)) && !words_tell_error(run, rule->op, rule->error)) {
        fault_die(run, "what was said does not say '%s'", strerror(rule->error));
    }
}
