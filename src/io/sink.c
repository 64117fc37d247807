/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where messages go: standard error, a file, the system's log.
 *
 * A line is one write, at the end of the file, so that lines of several processes do not mix. What cannot be
 * written is counted and given up: nothing waits for an operator's disk to have room. A reader that is gone,
 * or a limit on the size of files, is an error here and not the signal that ends the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "io/system.h"
#include "varve/message.h"

struct varve_sink {
    enum varve_sink_kind kind;    /* [const] */
    enum varve_message_form form; /* [const] */
    char *path;                   /* [const] of a file, else NULL */
    pthread_mutex_t mutex;        /* made for the calls on the file */
    int fd;                       /* [mutex] */
    _Atomic bool reopen;          /* [atomic: a signal handler sets it] */
    _Atomic uint64_t lost;        /* [atomic] only grows */
};

static int open_file(const char *path, int *ret_fd)
{
    struct stat st;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0)
        return errno == ENXIO ? -EMEDIUMTYPE : -errno; /* ENXIO: a pipe that nobody reads */
    fd = vv_system_move_fd(fd);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return -EMEDIUMTYPE;
    }
    *ret_fd = fd;
    return 0;
}

int varve_sink_open(enum varve_sink_kind kind, enum varve_message_form form, const char *path,
                    struct varve_sink **ret_sink, struct varve_error *ret_error)
{
    struct varve_sink *sink;
    int rc = 0;

    if ((unsigned)kind > VARVE_SINK_SYSLOG || (unsigned)form > VARVE_FORM_JSON || !ret_sink ||
        (kind == VARVE_SINK_FILE ? !path || !*path : path != NULL))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "messages: the kind, the form, or the path");
    sink = vv_alloc_zero(sizeof *sink);
    if (sink && path)
        sink->path = vv_alloc(strlen(path) + 1);
    if (!sink || (path && !sink->path)) {
        vv_free(sink);
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "messages");
    }
    sink->kind = kind;
    sink->form = form;
    sink->fd = STDERR_FILENO;
    if (path) {
        memcpy(sink->path, path, strlen(path) + 1);
        rc = open_file(path, &sink->fd);
    }
    if (rc != 0) {
        vv_free(sink->path);
        vv_free(sink);
        if (rc == -EMEDIUMTYPE || rc == -ELOOP)
            return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "messages: %s", path);
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "messages: %s cannot be opened", path);
    }
    pthread_mutex_init(&sink->mutex, NULL);
    *ret_sink = sink;
    return 0;
}

void varve_sink_reopen(struct varve_sink *sink)
{
    atomic_store(&sink->reopen, true);
}

uint64_t varve_sink_lost(struct varve_sink *sink)
{
    return atomic_load(&sink->lost);
}

void varve_sink_close(struct varve_sink *sink)
{
    if (!sink)
        return;
    if (sink->kind == VARVE_SINK_FILE)
        (void)close(sink->fd);
    pthread_mutex_destroy(&sink->mutex);
    vv_free(sink->path);
    vv_free(sink);
}

/* Source: signal(7): SIGPIPE and SIGXFSZ go to the thread whose call caused them, so it can take them back.
 */
static ssize_t write_quietly(int fd, const char *line, size_t len)
{
    const struct timespec at_once = {0};
    sigset_t signals, before, pending;
    ssize_t n;

    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    do {
        n = write(fd, line, len);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EPIPE || errno == EFBIG)) {
        int number = errno == EPIPE ? SIGPIPE : SIGXFSZ;

        /* One that was waiting before is not this call's. */
        if (!sigismember(&pending, number)) {
            sigemptyset(&signals);
            sigaddset(&signals, number);
            while (sigtimedwait(&signals, NULL, &at_once) < 0 && errno == EINTR)
                ;
        }
        n = -1;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n;
}

static void write_line(struct varve_sink *sink, const char *line, size_t len)
{
    int fd;

    pthread_mutex_lock(&sink->mutex);
    if (sink->path && atomic_exchange(&sink->reopen, false)) {
        if (open_file(sink->path, &fd) == 0) {
            (void)close(sink->fd);
            sink->fd = fd;
        } else {
            atomic_store(&sink->reopen, true); /* with the next line again */
        }
    }
    if (write_quietly(sink->fd, line, len) != (ssize_t)len)
        atomic_fetch_add(&sink->lost, 1);
    pthread_mutex_unlock(&sink->mutex);
}

static int priority(enum varve_message_level level)
{
    switch (level) {
    case VARVE_MESSAGE_ERROR:
        return LOG_ERR;
    case VARVE_MESSAGE_WARNING:
        return LOG_WARNING;
    case VARVE_MESSAGE_INFO:
        return LOG_INFO;
    default:
        return LOG_DEBUG;
    }
}

void varve_sink_message(void *arg, const struct varve_message *message)
{
    struct varve_sink *sink = arg;
    char line[VARVE_MESSAGE_LINE_BYTES];
    const char *from = line;
    int saved = errno;
    size_t len;

    if (varve_message_render(message, sink->form, line, sizeof line, &len) == 0) {
        if (sink->kind != VARVE_SINK_SYSLOG) {
            write_line(sink, line, len);
        } else {
            /* It has a time and a level of its own: in text both are the words before the event. */
            for (int words = 0; sink->form == VARVE_FORM_TEXT && words < 2; words++)
                from += strcspn(from, " ") + 1;
            syslog(priority(message->level), "%.*s", (int)(len - 1 - (size_t)(from - line)), from);
        }
    }
    errno = saved;
}
