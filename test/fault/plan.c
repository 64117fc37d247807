/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/plan.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ERRNOS = 16
};

/* What each call can have, by the manual pages of the system calls behind it, but for what only a wrong
 * argument brings. */
static const int errnos[TEST_OP_COUNT][ERRNOS] = {
    /* open(2), O_DIRECTORY; mkdir(2) */
    [TEST_OP_DIR_OPEN] = {EACCES, EDQUOT, EIO, ELOOP, EMFILE, ENFILE, ENOENT, ENOMEM, ENOSPC, ENOTDIR, EROFS},
    /* open(2), getdents(2) */
    [TEST_OP_DIR_LIST] = {EACCES, EIO, EMFILE, ENFILE, ENOENT, ENOMEM},
    /* fsync(2) */
    [TEST_OP_DIR_SYNC] = {EDQUOT, EINVAL, EIO, ENOSPC, EROFS},
    [TEST_OP_DIR_SYNC_PARENT] = {EDQUOT, EINVAL, EIO, EMFILE, ENOSPC},
    /* rename(2) */
    [TEST_OP_RENAME] = {EACCES, EBUSY, EDQUOT, EEXIST, EIO, ENOENT, ENOMEM, ENOSPC, EPERM, EROFS},
    /* unlink(2) */
    [TEST_OP_UNLINK] = {EACCES, EBUSY, EIO, EISDIR, ENOENT, ENOMEM, EPERM, EROFS},
    /* statx(2); ENOENT is no failure but an answer */
    [TEST_OP_STAT_NAME] = {EACCES, EIO, ENOMEM},
    [TEST_OP_STAT] = {EIO, ENOMEM},
    /* statvfs(3) */
    [TEST_OP_SPACE] = {EIO, ENOMEM, ENOSYS},
    /* open(2) */
    [TEST_OP_OPEN] = {EACCES, EINTR, EINVAL, EIO, ELOOP, EMEDIUMTYPE, EMFILE, ENFILE, ENOENT, ENOMEM, EPERM,
                      EROFS},
    [TEST_OP_CREATE] = {EACCES, EDQUOT, EEXIST, EINTR, EINVAL, EIO, EMFILE, ENFILE, ENOMEM, ENOSPC, EPERM,
                        EROFS},
    /* pread(2); EBADMSG is how file systems call their own damage */
    [TEST_OP_PREAD] = {EAGAIN, EBADMSG, EINTR, EINVAL, EIO, ENOMEM},
    /* pwritev2(2), write(2) */
    [TEST_OP_WRITE] = {EAGAIN, EDQUOT, EFBIG, EINTR, EINVAL, EIO, ENOMEM, ENOSPC, EPERM},
    [TEST_OP_WRITE_DSYNC] = {EAGAIN, EDQUOT, EFBIG, EINTR, EINVAL, EIO, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM},
    /* fallocate(2) */
    [TEST_OP_ALLOCATE] = {EDQUOT, EFBIG, EINTR, EIO, ENODEV, ENOMEM, ENOSPC, EPERM},
    /* fdatasync(2) */
    [TEST_OP_SYNC] = {EDQUOT, EINTR, EINVAL, EIO, ENOSPC, EROFS},
    /* fcntl(2), open file description locks */
    [TEST_OP_LOCK] = {EACCES, EAGAIN, EBADF, EINTR, EINVAL, EIO, ENOLCK},
    /* ftruncate(2) */
    [TEST_OP_TRUNCATE] = {EFBIG, EINTR, EINVAL, EIO, EPERM, EROFS},
    /* getrandom(2) */
    [TEST_OP_RANDOM] = {EAGAIN, EINTR, ENOSYS},
};

/* The longer ones first. */
static const char *const prefixes[] = {"new-probe", "new-", "spare-", "MANIFEST", "FAILOVER", "LOCK",
                                       "PINS",      "wal-", "index",  "lost",     "log",      ""};

static bool plan_begins(const char *name, const char *prefix)
{
    return name != NULL && strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Renames are matched by either name, so what a spare has to do with goes by that. */
static const char *plan_prefix(const struct test_fault_call *call)
{
    const char *const *at = prefixes;
    while (!plan_begins(call->name, *at) && !plan_begins(call->other, *at)) {
        at++;
    }
    return *at;
}

void fault_count_add(struct fault_count *count, const struct test_fault_call *call)
{
    assert(count->sites < FAULT_SITES);
    struct fault_site *site = &count->site[count->sites];
    *site = (struct fault_site){.op = call->op, .prefix = plan_prefix(call), .bytes = (size_t)call->bytes};
    snprintf(site->name, sizeof site->name, "%s", call->name);
    for (size_t i = 0; i < count->sites; i++) {
        const struct fault_site *other = &count->site[i];
        /* As a rule counts: by the beginning of the name. */
        site->nth += other->op == site->op &&
                     (plan_begins(other->name, site->prefix) || other->prefix == site->prefix);
    }
    count->sites++;
}

static void plan_add(struct fault_plan *plan, const struct fault_case *fault)
{
    if (plan->case_count == plan->room) {
        plan->room = plan->room != 0 ? 2 * plan->room : 1024;
        plan->cases = realloc(plan->cases, plan->room * sizeof *plan->cases);
        assert(plan->cases != NULL);
    }
    plan->cases[plan->case_count++] = *fault;
}

static struct test_fault_rule plan_rule(const struct fault_site *site, enum test_fault_action action,
                                        int error, size_t bytes)
{
    return (struct test_fault_rule){
        .op = (int)site->op,
        .prefix = site->prefix,
        .after = site->nth,
        .times = 1,
        .action = action,
        .error = error,
        .bytes = bytes,
    };
}

static void plan_add_one(struct fault_plan *plan, const struct fault_site *site, enum fault_way way,
                         struct test_fault_rule rule)
{
    if (way == FAULT_ON) {
        rule.times = TEST_FAULT_FOREVER;
    }
    plan_add(plan, &(struct fault_case){
                       .way = way, .rule_count = 1, .rule = {rule}, .site = {site}, .alloc_after = -1});
}

static bool plan_is_write(enum test_op op)
{
    return op == TEST_OP_WRITE || op == TEST_OP_WRITE_DSYNC;
}

/* A segment that is written directly is written in sectors, as far as it goes. */
static size_t plan_unit(const struct fault_plan *plan, const struct fault_site *site)
{
    bool segment = plan_begins(site->name, "wal-") || plan_begins(site->name, "new-") ||
                   plan_begins(site->name, "spare-");
    return plan_is_write(site->op) && segment && site->bytes % plan->unit == 0 ? plan->unit : 1;
}

/* Nothing, the least there is, half, all but the least. */
static void plan_add_short(struct fault_plan *plan, const struct fault_site *site)
{
    size_t unit = plan_unit(plan, site), last = SIZE_MAX;
    const size_t lengths[] = {0, unit, site->bytes / 2 / unit * unit, site->bytes - unit};
    for (unsigned i = 0; i < 4; i++) {
        if (lengths[i] < site->bytes && lengths[i] != last) {
            plan_add_one(plan, site, FAULT_SHORT, plan_rule(site, TEST_FAULT_SHORT, 0, lengths[i]));
            last = lengths[i];
        }
    }
}

static bool plan_changes(enum test_op op)
{
    switch (op) {
    case TEST_OP_DIR_SYNC:
    case TEST_OP_DIR_SYNC_PARENT:
    case TEST_OP_RENAME:
    case TEST_OP_UNLINK:
    case TEST_OP_WRITE:
    case TEST_OP_WRITE_DSYNC:
    case TEST_OP_ALLOCATE:
    case TEST_OP_SYNC:
    case TEST_OP_TRUNCATE:
        return true;
    default:
        return false;
    }
}

bool fault_op_changes_disk(enum test_op op)
{
    return op == TEST_OP_CREATE || plan_changes(op);
}

static bool plan_syncs(enum test_op op)
{
    return op == TEST_OP_SYNC || op == TEST_OP_WRITE_DSYNC || op == TEST_OP_DIR_SYNC;
}

static void plan_add_site(struct fault_plan *plan, const struct fault_site *site)
{
    for (const int *error = errnos[site->op]; *error != 0; error++) {
        plan_add_one(plan, site, FAULT_ONCE, plan_rule(site, TEST_FAULT_FAIL, *error, 0));
    }
    if (plan_is_write(site->op) || site->op == TEST_OP_PREAD) {
        plan_add_short(plan, site);
    }
    if (plan_changes(site->op)) {
        size_t half = site->bytes / 2 / plan_unit(plan, site) * plan_unit(plan, site);
        plan_add_one(plan, site, FAULT_DONE, plan_rule(site, TEST_FAULT_PARTIAL, EIO, half));
    }
    if (plan_changes(site->op) || site->op == TEST_OP_PREAD || site->op == TEST_OP_LOCK) {
        plan_add_one(plan, site, FAULT_LIE, plan_rule(site, TEST_FAULT_LIE, 0, 0));
    }
    plan_add_one(plan, site, FAULT_ON, plan_rule(site, TEST_FAULT_FAIL, EIO, 0));
    if (plan_is_write(site->op) || site->op == TEST_OP_CREATE || site->op == TEST_OP_ALLOCATE) {
        plan_add_one(plan, site, FAULT_ON, plan_rule(site, TEST_FAULT_FAIL, ENOSPC, 0));
        plan_add_one(plan, site, FAULT_ON, plan_rule(site, TEST_FAULT_FAIL, EAGAIN, 0));
    }
    if (plan_syncs(site->op)) {
        plan_add_one(plan, site, FAULT_ON, plan_rule(site, TEST_FAULT_LIE, 0, 0));
    }
}

/* How many calls before this one were the same, as far as can be told: reading and writing in pieces, and
 * again. */
static size_t plan_likes(const struct fault_count *count, size_t number)
{
    const struct fault_site *site = &count->site[number];
    size_t likes = 0;
    for (size_t i = 0; i < number; i++) {
        const struct fault_site *other = &count->site[i];
        likes += other->op == site->op && other->bytes == site->bytes && strcmp(other->name, site->name) == 0;
    }
    return likes;
}

/* Keeps three of the cases from `from` on, other ones at each turn: one that fails, one that comes short and
 * one more. */
static void plan_thin(struct fault_plan *plan, size_t from, size_t turn)
{
    size_t fails = 0, shorts = 0, count = plan->case_count - from, kept = from;
    for (size_t i = from; i < plan->case_count; i++) {
        fails += plan->cases[i].way == FAULT_ONCE;
        shorts += plan->cases[i].way == FAULT_SHORT;
    }
    const size_t wanted[] = {turn % fails, shorts > 0 ? fails + turn % shorts : count,
                             fails + shorts + turn % (count - fails - shorts)};
    for (size_t i = 0; i < count; i++) {
        if (i == wanted[0] || i == wanted[1] || i == wanted[2]) {
            plan->cases[kept++] = plan->cases[from + i];
        }
    }
    plan->case_count = kept;
}

static void plan_add_sites(struct fault_plan *plan, bool whole)
{
    for (size_t i = 0; i < plan->count->sites; i++) {
        size_t from = plan->case_count, likes = plan_likes(plan->count, i);
        plan_add_site(plan, &plan->count->site[i]);
        if (!whole && likes >= FAULT_LIKES) {
            plan_thin(plan, from, likes);
        }
    }
}

static void plan_add_gone(struct fault_plan *plan, long after)
{
    const struct test_fault_rule rule = {
        .op = TEST_OP_ANY, .after = after, .times = TEST_FAULT_FOREVER, .error = EIO};
    plan_add(plan,
             &(struct fault_case){.way = FAULT_GONE, .rule_count = 1, .rule = {rule}, .alloc_after = -1});
}

void fault_plan_make(struct fault_plan *plan, const struct fault_count *count, bool direct, bool whole)
{
    *plan = (struct fault_plan){.count = count, .unit = direct ? 512 : 1};
    plan_add_sites(plan, whole);
    for (size_t i = 0; i < count->sites; i++) {
        plan_add_gone(plan, (long)i);
    }
    long changes = 0;
    for (size_t i = 0; i < count->sites; i++) {
        if (fault_op_changes_disk(count->site[i].op)) {
            plan_add(plan,
                     &(struct fault_case){.way = FAULT_KILL, .alloc_after = -1, .kill_after = changes++});
        }
    }
    for (long i = 0; i < count->allocations; i++) {
        plan_add(plan, &(struct fault_case){.way = FAULT_ALLOC, .alloc_after = i});
    }
}

void fault_plan_free(struct fault_plan *plan)
{
    free(plan->cases);
    *plan = (struct fault_plan){.count = NULL};
}

void fault_plan_two(const struct fault_plan *plan, struct test_rng *rng, struct fault_case *ret_case)
{
    *ret_case = (struct fault_case){.way = FAULT_TWO, .alloc_after = -1};
    while (ret_case->rule_count < FAULT_RULES) {
        const struct fault_case *one = &plan->cases[test_rng_below(rng, plan->case_count)];
        if (one->way == FAULT_KILL) {
            continue;
        }
        if (one->way == FAULT_ALLOC) {
            ret_case->alloc_after = one->alloc_after;
            return;
        }
        ret_case->rule[ret_case->rule_count] = one->rule[0];
        ret_case->site[ret_case->rule_count++] = one->site[0];
    }
}

bool fault_case_passes(const struct fault_case *fault)
{
    for (unsigned i = 0; i < fault->rule_count; i++) {
        if (fault->rule[i].times == TEST_FAULT_FOREVER || fault->rule[i].action == TEST_FAULT_LIE) {
            return false;
        }
    }
    return true;
}

bool fault_case_is_single(const struct fault_case *fault)
{
    return fault->way != FAULT_ON && fault->way != FAULT_GONE && fault->way != FAULT_TWO;
}

bool fault_case_lies(const struct fault_case *fault)
{
    for (unsigned i = 0; i < fault->rule_count; i++) {
        const struct test_fault_rule *rule = &fault->rule[i];
        /* EAGAIN: somebody else holds the lock, when nobody does. */
        if (rule->action == TEST_FAULT_LIE || (rule->op == TEST_OP_LOCK && rule->error == EAGAIN)) {
            return true;
        }
    }
    return false;
}

bool fault_case_changes(const struct fault_case *fault)
{
    for (unsigned i = 0; i < fault->rule_count; i++) {
        int op = fault->rule[i].op;
        if (op < 0 || fault_op_changes_disk((enum test_op)op)) {
            return true;
        }
    }
    return fault->alloc_after >= 0;
}

static void plan_say_rule(const struct test_fault_rule *rule, const struct fault_site *site, char *text,
                          size_t size)
{
    char what[64];
    const char *name = rule->error != 0 ? strerrorname_np(rule->error) : "";
    switch (rule->action) {
    case TEST_FAULT_SHORT:
        snprintf(what, sizeof what, "comes short, %zu bytes", rule->bytes);
        break;
    case TEST_FAULT_PARTIAL:
        snprintf(what, sizeof what, "works and fails, %s", name);
        break;
    case TEST_FAULT_LIE:
        snprintf(what, sizeof what, "does nothing and says nothing");
        break;
    default:
        snprintf(what, sizeof what, "%s", name);
        break;
    }
    snprintf(text, size, "%s of '%s' number %ld (%zu bytes): %s%s", test_op_name((enum test_op)rule->op),
             site != NULL ? site->name : "anything", rule->after + 1, site != NULL ? site->bytes : 0, what,
             rule->times == TEST_FAULT_FOREVER ? ", from then on" : "");
}

void fault_case_say(const struct fault_case *fault, char *ret_text, size_t size)
{
    char texts[FAULT_RULES + 1][224] = {"", "", ""};
    for (unsigned i = 0; i < fault->rule_count; i++) {
        plan_say_rule(&fault->rule[i], fault->site[i], texts[i], sizeof texts[i]);
    }
    if (fault->alloc_after >= 0) {
        snprintf(texts[FAULT_RULES], sizeof texts[FAULT_RULES], "allocation number %ld",
                 fault->alloc_after + 1);
    }
    snprintf(ret_text, size, "%s%s%s%s%s", texts[0], fault->rule_count > 1 ? "; " : "", texts[1],
             fault->rule_count > 0 && fault->alloc_after >= 0 ? "; " : "", texts[FAULT_RULES]);
    if (fault->way == FAULT_NOTHING) {
        snprintf(ret_text, size, "nothing");
    }
    if (fault->way == FAULT_KILL) {
        snprintf(ret_text, size, "killed after %ld changes of the disk", fault->kill_after);
    }
}

const char *fault_way_name(enum fault_way way)
{
    static const char *const names[FAULT_WAYS] = {
        [FAULT_ONCE] = "once", [FAULT_SHORT] = "short",     [FAULT_DONE] = "done",   [FAULT_LIE] = "lie",
        [FAULT_ON] = "on",     [FAULT_GONE] = "gone",       [FAULT_ALLOC] = "alloc", [FAULT_KILL] = "kill",
        [FAULT_TWO] = "two",   [FAULT_NOTHING] = "nothing",
    };
    return names[way];
}
