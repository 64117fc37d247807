/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fault.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* An open file or directory of ours: the one below, and the name it was opened by. */
struct fault_handle {
    void *below;
    char name[];
};

/* What is to become of a call. */
struct fault_fate {
    bool touched;
    enum test_fault_action action;
    int error;
    size_t bytes;
};

static const char *const op_names[TEST_OP_COUNT] = {
    [TEST_OP_DIR_OPEN] = "dir_open",   [TEST_OP_DIR_LIST] = "dir_list",
    [TEST_OP_DIR_SYNC] = "dir_sync",   [TEST_OP_DIR_SYNC_PARENT] = "dir_sync_parent",
    [TEST_OP_RENAME] = "rename",       [TEST_OP_UNLINK] = "unlink",
    [TEST_OP_STAT_NAME] = "stat_name", [TEST_OP_SPACE] = "space",
    [TEST_OP_OPEN] = "open",           [TEST_OP_CREATE] = "create",
    [TEST_OP_STAT] = "stat",           [TEST_OP_PREAD] = "pread",
    [TEST_OP_WRITE] = "write",         [TEST_OP_WRITE_DSYNC] = "write_dsync",
    [TEST_OP_ALLOCATE] = "allocate",   [TEST_OP_SYNC] = "sync",
    [TEST_OP_LOCK] = "lock",           [TEST_OP_TRUNCATE] = "truncate",
    [TEST_OP_RANDOM] = "random",
};

const char *test_op_name(enum test_op op)
{
    return op >= 0 && op < TEST_OP_COUNT ? op_names[op] : "any";
}

static bool fault_op_changes(enum test_op op)
{
    switch (op) {
    case TEST_OP_DIR_SYNC:
    case TEST_OP_DIR_SYNC_PARENT:
    case TEST_OP_RENAME:
    case TEST_OP_UNLINK:
    case TEST_OP_CREATE:
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

static bool fault_op_matches(int wanted, enum test_op op)
{
    switch (wanted) {
    case TEST_OP_ANY:
        return true;
    case TEST_OP_ANY_WRITE:
        return op == TEST_OP_WRITE || op == TEST_OP_WRITE_DSYNC;
    case TEST_OP_ANY_CHANGE:
        return fault_op_changes(op);
    default:
        return wanted == (int)op;
    }
}

static bool fault_name_matches(const char *prefix, const char *name)
{
    return name != NULL && strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool fault_rule_matches(const struct test_fault_rule *rule, const struct test_fault_call *call)
{
    if (!fault_op_matches(rule->op, call->op)) {
        return false;
    }
    return rule->prefix == NULL || fault_name_matches(rule->prefix, call->name) ||
           fault_name_matches(rule->prefix, call->other);
}

static struct fault_fate fault_consult_rules(struct test_fault *fault, const struct test_fault_call *call)
{
    struct fault_fate fate = {0};
    for (int i = 0; i < fault->rule_count; i++) {
        const struct test_fault_rule *rule = &fault->rules[i].rule;
        if (!fault_rule_matches(rule, call)) {
            continue;
        }
        long nth = fault->rules[i].seen++;
        if (fate.touched || nth < rule->after ||
            fault->rules[i].hits >= (rule->times != 0 ? rule->times : 1)) {
            continue;
        }
        fault->rules[i].hits++;
        fate = (struct fault_fate){true, rule->action, rule->error != 0 ? rule->error : EIO, rule->bytes};
    }
    if (fault->countdown >= 0 && fault->countdown-- == 0) {
        fate = (struct fault_fate){true, TEST_FAULT_FAIL, fault->countdown_error, 0};
    }
    return fate;
}

/* Counts the call, asks the hook, then the rules. */
static struct fault_fate fault_consult(struct test_fault *fault, const struct test_fault_call *call)
{
    pthread_mutex_lock(&fault->lock);
    fault->calls[call->op]++;
    test_fault_hook hook = fault->hook;
    void *hook_arg = fault->hook_arg;
    pthread_mutex_unlock(&fault->lock);
    int error = hook != NULL ? hook(hook_arg, call) : 0;
    if (error != 0) {
        return (struct fault_fate){true, TEST_FAULT_FAIL, -error, 0};
    }
    pthread_mutex_lock(&fault->lock);
    struct fault_fate fate = fault_consult_rules(fault, call);
    pthread_mutex_unlock(&fault->lock);
    /* A handle or a fact cannot be made up. */
    assert(!fate.touched || fate.action != TEST_FAULT_LIE || call->op == TEST_OP_LOCK ||
           call->op == TEST_OP_PREAD || (fault_op_changes(call->op) && call->op != TEST_OP_CREATE));
    return fate;
}

/* Whether the call goes down at all; if not, *ret is what it returns. */
static bool fault_stops(const struct fault_fate *fate, int *ret)
{
    if (fate->touched && (fate->action == TEST_FAULT_FAIL || fate->action == TEST_FAULT_LIE)) {
        *ret = fate->action == TEST_FAULT_FAIL ? -fate->error : 0;
        return true;
    }
    return false;
}

/* What the caller is told of a call that went down and returned `rc`. */
static int fault_result(const struct fault_fate *fate, int rc)
{
    return fate->touched && fate->action == TEST_FAULT_PARTIAL && rc >= 0 ? -fate->error : rc;
}

static void *fault_handle_new(void *below, const char *name)
{
    size_t bytes = strlen(name) + 1;
    struct fault_handle *handle = malloc(sizeof *handle + bytes);
    assert(handle != NULL);
    handle->below = below;
    memcpy(handle->name, name, bytes);
    return handle;
}

static void *fault_below(const void *handle)
{
    return handle != NULL ? ((const struct fault_handle *)handle)->below : NULL;
}

static const char *fault_name(const void *handle)
{
    return ((const struct fault_handle *)handle)->name;
}

static const char *fault_last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static int fault_dir_open(struct varve_io *io, struct varve_dir *parent, const char *path, int create,
                          struct varve_dir **ret_dir, int *ret_created)
{
    struct test_fault *fault = io->ctx;
    struct varve_io *below = fault->pass.below;
    const char *name = fault_last_component(path);
    struct fault_fate fate =
        fault_consult(fault, &(struct test_fault_call){.op = TEST_OP_DIR_OPEN, .name = name});
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    struct varve_dir *dir;
    rc = below->dir_open(below, fault_below(parent), path, create, &dir, ret_created);
    if (rc != 0) {
        return rc;
    }
    if (fault_result(&fate, 0) != 0) {
        below->dir_close(below, dir);
        return fault_result(&fate, 0);
    }
    *ret_dir = fault_handle_new(dir, name);
    atomic_fetch_add(&fault->open_dirs, 1);
    return 0;
}

static void fault_dir_close(struct varve_io *io, struct varve_dir *dir)
{
    struct test_fault *fault = io->ctx;
    if (dir != NULL) {
        fault->pass.below->dir_close(fault->pass.below, fault_below(dir));
        free(dir);
        atomic_fetch_sub(&fault->open_dirs, 1);
    }
}

static int fault_dir_list(struct varve_io *io, struct varve_dir *dir, varve_io_name_fn fn, void *arg)
{
    struct test_fault *fault = io->ctx;
    struct fault_fate fate =
        fault_consult(fault, &(struct test_fault_call){.op = TEST_OP_DIR_LIST, .name = fault_name(dir)});
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    return fault_result(&fate, fault->pass.below->dir_list(fault->pass.below, fault_below(dir), fn, arg));
}

static int fault_dir_sync(struct varve_io *io, struct varve_dir *dir)
{
    struct test_fault *fault = io->ctx;
    struct fault_fate fate =
        fault_consult(fault, &(struct test_fault_call){.op = TEST_OP_DIR_SYNC, .name = fault_name(dir)});
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    return fault_result(&fate, fault->pass.below->dir_sync(fault->pass.below, fault_below(dir)));
}

static int fault_dir_sync_parent(struct varve_io *io, struct varve_dir *dir)
{
    struct test_fault *fault = io->ctx;
    struct test_fault_call call = {.op = TEST_OP_DIR_SYNC_PARENT, .name = fault_name(dir)};
    struct fault_fate fate = fault_consult(fault, &call);
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    return fault_result(&fate, fault->pass.below->dir_sync_parent(fault->pass.below, fault_below(dir)));
}

static int fault_rename(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to,
                        int replace)
{
    struct test_fault *fault = io->ctx;
    struct fault_fate fate =
        fault_consult(fault, &(struct test_fault_call){.op = TEST_OP_RENAME, .name = from, .other = to});
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    rc = fault->pass.below->rename(fault->pass.below, fault_below(dir), from, to, replace);
    return fault_result(&fate, rc);
}

static int fault_unlink(struct varve_io *io, struct varve_dir *dir, const char *name)
{
    struct test_fault *fault = io->ctx;
    struct fault_fate fate =
        fault_consult(fault, &(struct test_fault_call){.op = TEST_OP_UNLINK, .name = name});
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    return fault_result(&fate, fault->pass.below->unlink(fault->pass.below, fault_below(dir), name));
}

static int fault_stat_name(struct varve_io *io, struct varve_dir *dir, const char *name,
                           struct varve_io_stat *ret_stat)
{
    struct test_fault *fault = io->ctx;
    struct fault_fate fate =
        fault_consult(fault, &(struct test_fault_call){.op = TEST_OP_STAT_NAME, .name = name});
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    rc = fault->pass.below->stat_name(fault->pass.below, fault_below(dir), name, ret_stat);
    return fault_result(&fate, rc);
}

static int fault_space(struct varve_io *io, struct varve_dir *dir, uint64_t *ret_free_bytes)
{
    struct test_fault *fault = io->ctx;
    struct fault_fate fate =
        fault_consult(fault, &(struct test_fault_call){.op = TEST_OP_SPACE, .name = fault_name(dir)});
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    return fault_result(&fate, fault->pass.below->space(fault->pass.below, fault_below(dir), ret_free_bytes));
}

static int fault_open(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                      struct varve_file **ret_file)
{
    struct test_fault *fault = io->ctx;
    struct varve_io *below = fault->pass.below;
    enum test_op op = (flags & VARVE_IO_CREATE) != 0 ? TEST_OP_CREATE : TEST_OP_OPEN;
    struct fault_fate fate = fault_consult(fault, &(struct test_fault_call){.op = op, .name = name});
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    struct varve_file *file;
    rc = below->open(below, fault_below(dir), name, flags, &file);
    if (rc != 0) {
        return rc;
    }
    if (fault_result(&fate, 0) != 0) {
        below->close(below, file);
        return fault_result(&fate, 0);
    }
    *ret_file = fault_handle_new(file, name);
    atomic_fetch_add(&fault->open_files, 1);
    return 0;
}

static void fault_close(struct varve_io *io, struct varve_file *file)
{
    struct test_fault *fault = io->ctx;
    if (file != NULL) {
        fault->pass.below->close(fault->pass.below, fault_below(file));
        free(file);
        atomic_fetch_sub(&fault->open_files, 1);
    }
}

static int fault_stat(struct varve_io *io, struct varve_file *file, struct varve_io_stat *ret_stat)
{
    struct test_fault *fault = io->ctx;
    struct fault_fate fate =
        fault_consult(fault, &(struct test_fault_call){.op = TEST_OP_STAT, .name = fault_name(file)});
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    return fault_result(&fate, fault->pass.below->stat(fault->pass.below, fault_below(file), ret_stat));
}

static ssize_t fault_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len,
                           uint64_t offset)
{
    struct test_fault *fault = io->ctx;
    struct varve_io *below = fault->pass.below;
    struct test_fault_call call = {TEST_OP_PREAD, fault_name(file), NULL, offset, len};
    struct fault_fate fate = fault_consult(fault, &call);
    int rc;
    if (fate.touched && fate.action == TEST_FAULT_LIE) {
        memset(buf, 0xa5, len);
        return (ssize_t)len;
    }
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    if (fate.touched && fate.action == TEST_FAULT_SHORT && len > fate.bytes) {
        len = fate.bytes;
    }
    ssize_t got = below->pread(below, fault_below(file), buf, len, offset);
    if (fate.touched && fate.action == TEST_FAULT_FLIP && got > 0 && (size_t)got > fate.bytes) {
        ((unsigned char *)buf)[fate.bytes] ^= 1;
    }
    return fate.touched && fate.action == TEST_FAULT_PARTIAL ? -fate.error : got;
}

static size_t fault_iov_bytes(const struct iovec *iov, int iov_count)
{
    size_t bytes = 0;
    for (int i = 0; i < iov_count; i++) {
        bytes += iov[i].iov_len;
    }
    return bytes;
}

/* Writes less or other than was asked for. The pieces are laid together in memory that direct I/O can use
 * too. */
static ssize_t fault_write_altered(struct varve_io *below, void *file, const struct iovec *iov, int iov_count,
                                   uint64_t offset, int dsync, const struct fault_fate *fate)
{
    size_t bytes = fault_iov_bytes(iov, iov_count);
    void *copy;
    int rc = posix_memalign(&copy, 4096, bytes + 1);
    assert(rc == 0);
    (void)rc;
    unsigned char *at = copy;
    for (int i = 0; i < iov_count; i++) {
        memcpy(at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    if (fate->action == TEST_FAULT_FLIP && fate->bytes < bytes) {
        ((unsigned char *)copy)[fate->bytes] ^= 1;
    }
    if (fate->action != TEST_FAULT_FLIP && fate->bytes < bytes) {
        bytes = fate->bytes;
    }
    ssize_t put = 0;
    if (bytes > 0) {
        put = below->pwritev(below, file, &(struct iovec){copy, bytes}, 1, offset, dsync);
    }
    free(copy);
    return fate->action == TEST_FAULT_PARTIAL ? -fate->error : put;
}

static ssize_t fault_pwritev(struct varve_io *io, struct varve_file *file, const struct iovec *iov,
                             int iov_count, uint64_t offset, int dsync)
{
    struct test_fault *fault = io->ctx;
    struct varve_io *below = fault->pass.below;
    size_t bytes = fault_iov_bytes(iov, iov_count);
    enum test_op op = dsync ? TEST_OP_WRITE_DSYNC : TEST_OP_WRITE;
    struct test_fault_call call = {op, fault_name(file), NULL, offset, bytes};
    struct fault_fate fate = fault_consult(fault, &call);
    if (!fate.touched) {
        return below->pwritev(below, fault_below(file), iov, iov_count, offset, dsync);
    }
    switch (fate.action) {
    case TEST_FAULT_FAIL:
        return -fate.error;
    case TEST_FAULT_LIE:
        return (ssize_t)bytes;
    default:
        return fault_write_altered(below, fault_below(file), iov, iov_count, offset, dsync, &fate);
    }
}

static int fault_allocate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    struct test_fault *fault = io->ctx;
    struct test_fault_call call = {TEST_OP_ALLOCATE, fault_name(file), NULL, 0, size_bytes};
    struct fault_fate fate = fault_consult(fault, &call);
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    return fault_result(&fate, fault->pass.below->allocate(fault->pass.below, fault_below(file), size_bytes));
}

static int fault_sync(struct varve_io *io, struct varve_file *file)
{
    struct test_fault *fault = io->ctx;
    struct fault_fate fate =
        fault_consult(fault, &(struct test_fault_call){.op = TEST_OP_SYNC, .name = fault_name(file)});
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    return fault_result(&fate, fault->pass.below->sync(fault->pass.below, fault_below(file)));
}

static int fault_lock(struct varve_io *io, struct varve_file *file, int exclusive)
{
    struct test_fault *fault = io->ctx;
    struct fault_fate fate =
        fault_consult(fault, &(struct test_fault_call){.op = TEST_OP_LOCK, .name = fault_name(file)});
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    return fault_result(&fate, fault->pass.below->lock(fault->pass.below, fault_below(file), exclusive));
}

static int fault_truncate(struct varve_io *io, struct varve_file *file, uint64_t size_bytes)
{
    struct test_fault *fault = io->ctx;
    struct test_fault_call call = {TEST_OP_TRUNCATE, fault_name(file), NULL, 0, size_bytes};
    struct fault_fate fate = fault_consult(fault, &call);
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    return fault_result(&fate, fault->pass.below->truncate(fault->pass.below, fault_below(file), size_bytes));
}

static int fault_random(struct varve_io *io, void *buf, size_t len)
{
    struct test_fault *fault = io->ctx;
    struct test_fault_call call = {TEST_OP_RANDOM, "", NULL, 0, len};
    struct fault_fate fate = fault_consult(fault, &call);
    int rc;
    if (fault_stops(&fate, &rc)) {
        return rc;
    }
    return fault_result(&fate, fault->pass.below->random(fault->pass.below, buf, len));
}

void test_fault_init(struct test_fault *fault, struct varve_io *below)
{
    memset(fault, 0, sizeof *fault);
    test_pass_init(&fault->pass, below);
    struct varve_io *io = &fault->pass.io;
    io->dir_open = fault_dir_open;
    io->dir_close = fault_dir_close;
    io->dir_list = fault_dir_list;
    io->dir_sync = fault_dir_sync;
    io->dir_sync_parent = fault_dir_sync_parent;
    io->rename = fault_rename;
    io->unlink = fault_unlink;
    io->stat_name = fault_stat_name;
    io->space = fault_space;
    io->open = fault_open;
    io->close = fault_close;
    io->stat = fault_stat;
    io->pread = fault_pread;
    io->pwritev = fault_pwritev;
    io->allocate = fault_allocate;
    io->sync = fault_sync;
    io->lock = fault_lock;
    io->truncate = fault_truncate;
    io->random = fault_random;
    pthread_mutex_init(&fault->lock, NULL);
    fault->countdown = -1;
}

void test_fault_close(struct test_fault *fault)
{
    pthread_mutex_destroy(&fault->lock);
}

int test_fault_arm(struct test_fault *fault, const struct test_fault_rule *rule)
{
    pthread_mutex_lock(&fault->lock);
    int number = fault->rule_count;
    assert(number < TEST_FAULT_RULES);
    memset(&fault->rules[number], 0, sizeof fault->rules[number]);
    fault->rules[number].rule = *rule;
    fault->rule_count++;
    pthread_mutex_unlock(&fault->lock);
    return number;
}

void test_fault_disarm(struct test_fault *fault)
{
    pthread_mutex_lock(&fault->lock);
    fault->rule_count = 0;
    fault->countdown = -1;
    pthread_mutex_unlock(&fault->lock);
}

long test_fault_hits(struct test_fault *fault, int rule)
{
    pthread_mutex_lock(&fault->lock);
    assert(rule >= 0 && rule < fault->rule_count);
    long hits = fault->rules[rule].hits;
    pthread_mutex_unlock(&fault->lock);
    return hits;
}

int test_fault_fail_once(struct test_fault *fault, int op, long after, int error)
{
    return test_fault_arm(fault, &(struct test_fault_rule){.op = op, .after = after, .error = error});
}

int test_fault_fail_always(struct test_fault *fault, int op, long after, int error)
{
    return test_fault_arm(fault, &(struct test_fault_rule){
                                     .op = op, .after = after, .times = TEST_FAULT_FOREVER, .error = error});
}

void test_fault_fail_after(struct test_fault *fault, long n, int error)
{
    pthread_mutex_lock(&fault->lock);
    fault->countdown = n < 0 ? -1 : n;
    fault->countdown_error = error;
    pthread_mutex_unlock(&fault->lock);
}

long test_fault_left(struct test_fault *fault)
{
    pthread_mutex_lock(&fault->lock);
    long left = fault->countdown;
    pthread_mutex_unlock(&fault->lock);
    return left;
}

void test_fault_set_hook(struct test_fault *fault, test_fault_hook hook, void *arg)
{
    pthread_mutex_lock(&fault->lock);
    fault->hook = hook;
    fault->hook_arg = arg;
    pthread_mutex_unlock(&fault->lock);
}

uint64_t test_fault_calls(struct test_fault *fault, int op)
{
    pthread_mutex_lock(&fault->lock);
    uint64_t calls = 0;
    for (int i = 0; i < TEST_OP_COUNT; i++) {
        calls += fault_op_matches(op, (enum test_op)i) ? fault->calls[i] : 0;
    }
    pthread_mutex_unlock(&fault->lock);
    return calls;
}

void test_fault_reset_calls(struct test_fault *fault)
{
    pthread_mutex_lock(&fault->lock);
    memset(fault->calls, 0, sizeof fault->calls);
    pthread_mutex_unlock(&fault->lock);
}
