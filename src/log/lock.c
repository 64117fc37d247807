/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LOCK: a file with an open-file-description lock. It goes with the open file: the system releases it when
 * the process dies, however it dies, and a second open in the same process is refused like any other.
 *
 * A forked child shares the open file and with it the lock. So the child closes its copy at once (the
 * parent's keeps the lock), and its log refuses every call: two processes must never write through one log.
 */
#include "log/lock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "log/chain.h"
#include "log/export.h"
#include "log/failover.h"

static int64_t read_pid(struct varve_io *io, struct varve_file *file)
{
    char text[32];
    ssize_t n = io->pread(io, file, text, sizeof text - 1, 0);
    char *end;
    long long pid;

    if (n <= 0)
        return -1;
    text[n] = 0;
    pid = strtoll(text, &end, 10);
    return end != text && *end == '\n' && pid > 0 ? (int64_t)pid : -1;
}

/* Over what stands there: to give the block back first would make an opening wait for the file system's
 * journal, milliseconds where somebody else syncs. */
static int write_pid(struct varve_io *io, struct varve_file *file)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    struct iovec iov = {text, (size_t)len};
    struct varve_io_stat stat;
    ssize_t n;
    int rc = io->stat(io, file, &stat);

    if (rc != 0)
        return rc;
    n = io->pwritev(io, file, &iov, 1, 0, 0);
    if (n < 0)
        return (int)n;
    return stat.size_bytes > (uint64_t)len ? io->truncate(io, file, (uint64_t)len) : 0;
}

int vv_lock_take(struct varve_io *io, struct varve_dir *dir, struct varve_file **ret_file,
                 struct varve_error *ret_error)
{
    struct varve_file *file;
    int rc = io->open(io, dir, VV_LOCK_NAME, VARVE_IO_WRITE, &file);

    if (rc == -ENOENT)
        rc = io->open(io, dir, VV_LOCK_NAME, VARVE_IO_WRITE | VARVE_IO_CREATE, &file);
    if (rc == -EEXIST) /* somebody else made it just now */
        rc = io->open(io, dir, VV_LOCK_NAME, VARVE_IO_WRITE, &file);
    if (rc == -ELOOP || rc == -EMEDIUMTYPE)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, VV_LOCK_NAME ": not a regular file");
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, VV_LOCK_NAME ": cannot be opened");
    rc = io->lock(io, file, 1);
    if (rc == -EAGAIN || rc == -EACCES) {
        int64_t pid = read_pid(io, file);

        io->close(io, file);
        if (pid > 0)
            return vv_error_set(ret_error, VARVE_E_LOCKED, 0,
                                "process %" PRId64 " has the log open for writing", pid);
        return vv_error_set(ret_error, VARVE_E_LOCKED, 0, "another process has the log open for writing");
    }
    if (rc == 0)
        rc = write_pid(io, file);
    if (rc != 0) {
        io->close(io, file);
        return vv_error_set(ret_error, rc == -ENOSPC ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                            VV_LOCK_NAME ": cannot be locked");
    }
    *ret_file = file;
    return 0;
}

/* The file system has no locks, as on some networks: then nobody can hold one. */
static bool without_locks(int rc)
{
    return rc == -ENOLCK || rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -EINVAL;
}

int vv_lock_held(struct varve_io *io, struct varve_dir *dir, bool *ret_held, int64_t *ret_pid,
                 struct varve_error *ret_error)
{
    struct varve_file *file;
    int rc = vv_chain_open_file(io, dir, VV_LOCK_NAME, &file, ret_error);

    if (ret_pid)
        *ret_pid = -1;
    *ret_held = false;
    if (rc != 0)
        return rc == VARVE_E_NOT_FOUND ? 0 : rc;
    rc = io->lock(io, file, 0);
    *ret_held = rc == -EAGAIN;
    if (*ret_held && ret_pid)
        *ret_pid = read_pid(io, file);
    io->close(io, file);
    if (rc != 0 && rc != -EAGAIN && !without_locks(rc))
        return vv_error_set(ret_error, VARVE_E_IO, -rc,
                            VV_LOCK_NAME ": whether somebody writes the log cannot be told");
    return 0;
}

/* Every log of this process that has its lock: a fork must find them all. */
static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;
static struct varve_log *registry;
static int registry_rc;

static void before_fork(void)
{
    pthread_mutex_lock(&registry_mutex);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&registry_mutex);
}

/* Threads that the child does not have may have held these. */
static void renew_mutexes(struct varve_log *log)
{
    pthread_mutex_init(&log->times_mutex, NULL);
    pthread_mutex_init(&log->sync_mutex, NULL);
    pthread_mutex_init(&log->place_mutex, NULL);
    pthread_mutex_init(&log->write_mutex, NULL);
    pthread_mutex_init(&log->segments_mutex, NULL);
    pthread_mutex_init(&log->files_mutex, NULL);
    pthread_mutex_init(&log->pins_mutex, NULL);
    pthread_mutex_init(&log->facts_mutex, NULL);
    pthread_mutex_init(&log->error_mutex, NULL);
}

static void after_fork_in_child(void)
{
    for (struct varve_log *log = registry; log; log = log->registry_next) {
        atomic_store(&log->gate, VARVE_E_FORKED);
        renew_mutexes(log);
        vv_failover_forked(log);
        log->io->close(log->io, log->lock_file);
        log->lock_file = NULL;
        /* Its file is locked too, for as long as a copy of the descriptor is open. */
        vv_export_stop(log, true);
        log->registered = false;
    }
    registry = NULL;
    pthread_mutex_unlock(&registry_mutex);
}

static void set_handlers(void)
{
    registry_rc = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void add(struct varve_log *log)
{
    log->registry_prev = NULL;
    log->registry_next = registry;
    if (registry)
        registry->registry_prev = log;
    registry = log;
    log->registered = true;
}

static void take_out(struct varve_log *log)
{
    if (log->registry_prev)
        log->registry_prev->registry_next = log->registry_next;
    else
        registry = log->registry_next;
    if (log->registry_next)
        log->registry_next->registry_prev = log->registry_prev;
    log->registered = false;
}

/* The mutex is held over the calls on the file: a fork between locking and adding would leave a child that
 * has the lock and does not know it, for as long as it lives. */
int vv_lock_enter(struct varve_log *log, struct varve_error *ret_error)
{
    int rc;

    pthread_once(&registry_once, set_handlers);
    if (registry_rc != 0)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "fork handlers cannot be set");
    pthread_mutex_lock(&registry_mutex);
    rc = vv_lock_take(log->io, log->dir, &log->lock_file, ret_error);
    if (rc == 0)
        add(log);
    pthread_mutex_unlock(&registry_mutex);
    return rc;
}

void vv_lock_leave(struct varve_log *log)
{
    pthread_mutex_lock(&registry_mutex);
    if (log->registered) {
        take_out(log);
        log->io->close(log->io, log->lock_file);
        log->lock_file = NULL;
    }
    pthread_mutex_unlock(&registry_mutex);
}
