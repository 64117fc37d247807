/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log that one process writes and another follows. The follower opens it read-only: it takes no lock,
 * changes no byte, and is given nothing that is not durable. The last record reaches it once a later frame or
 * a mark vouches for it, mark_idle_ms (50) after the writer has gone quiet at the latest.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <varve/varve.h>

#define PATH    "follow.varve"
#define RECORDS 10

static void pause_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};

    nanosleep(&time, NULL);
}

/* The process that writes. A log belongs to the process that opened it, so it is opened after the fork. */
static int write_records(void)
{
    struct varve_error error;
    struct varve_log *log;
    int rc = varve_open(PATH, NULL, &log, &error);

    if (rc != 0) {
        fprintf(stderr, "follow: %s\n", error.message);
        return 1;
    }
    for (int i = 1; i <= RECORDS && rc == 0; i++) {
        char text[32];
        int bytes = snprintf(text, sizeof text, "reading %d", i);

        rc = varve_append(log, text, (size_t)bytes, NULL);
        pause_ms(5);
    }
    if (rc == 0)
        pause_ms(200); /* stay open: the follower shall see the last one beside a live writer */
    return varve_close(log, &error) != 0 || rc != 0;
}

static int follow(struct varve_log *log)
{
    struct varve_cursor *cursor;
    struct varve_entry entry = {.lsn = 0};
    struct varve_error error;
    int rc = varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, &error);

    if (rc != 0) {
        fprintf(stderr, "follow: %s\n", error.message);
        return 1;
    }
    while (entry.lsn < RECORDS && (rc = varve_cursor_follow(cursor, 10000, &entry)) == 0)
        printf("%" PRIu64 " %.*s\n", entry.lsn, (int)entry.data_bytes, (const char *)entry.data);
    if (rc == VARVE_END)
        fprintf(stderr, "follow: nothing came for ten seconds\n");
    else if (rc != 0) {
        varve_cursor_error(cursor, &error);
        fprintf(stderr, "follow: %s\n", error.message);
    }
    varve_cursor_close(cursor);
    return rc != 0;
}

int main(void)
{
    struct varve_options options = {.size = sizeof options, .flags = VARVE_OPEN_READ_ONLY};
    struct varve_error error;
    struct varve_log *log;
    pid_t writer = fork();
    int rc, status;

    if (writer < 0) {
        perror("follow: fork");
        return 1;
    }
    if (writer == 0)
        return write_records();
    /* The writer is about to create the log. */
    for (int tries = 0; (rc = varve_open(PATH, &options, &log, &error)) == VARVE_E_NOT_FOUND && tries < 500;
         tries++)
        pause_ms(10);
    if (rc == 0) {
        rc = follow(log);
        varve_close(log, NULL);
    } else {
        fprintf(stderr, "follow: %s\n", error.message);
    }
    if (waitpid(writer, &status, 0) != writer || status != 0)
        return 1;
    return rc != 0;
}
