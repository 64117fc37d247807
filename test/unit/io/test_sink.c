/* SPDX-License-Identifier: Apache-2.0 */
#include "varve/message.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/child.h"
#include "lib/tmp.h"

static struct varve_message message(const char *text)
{
    return (struct varve_message){.size = sizeof(struct varve_message),
                                  .level = VARVE_MESSAGE_INFO,
                                  .event = VARVE_EVENT_CLOSED,
                                  .path = "log",
                                  .text = text};
}

static void tell(struct varve_sink *sink, const char *text)
{
    struct varve_message m = message(text);
    varve_sink_message(sink, &m);
}

static unsigned lines_of(const char *path, const char *text)
{
    char line[1000];
    unsigned count = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        return 0;
    }
    while (fgets(line, sizeof line, file)) {
        if (strstr(line, text) && line[0] == '1' && line[strlen(line) - 1] == '\n') {
            count++;
        }
    }
    fclose(file);
    return count;
}

/* A file is gone on with, and opened anew on request. */
static void test_sink__file(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *path = test_tmp_join(dir, "messages"),
         *old = test_tmp_join(dir, "messages.1");
    struct varve_sink *sink;
    struct stat st;
    assert_int_equal(varve_sink_open(VARVE_SINK_FILE, VARVE_FORM_TEXT, path, &sink, NULL), 0);
    tell(sink, "one");
    varve_sink_close(sink);
    assert_int_equal(varve_sink_open(VARVE_SINK_FILE, VARVE_FORM_TEXT, path, &sink, NULL), 0);
    tell(sink, "two");
    assert_int_equal(lines_of(path, "closed: log: "), 2);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(rename(path, old), 0);
    tell(sink, "three");
    assert_int_equal(lines_of(old, "three"), 1);
    /* As long as there is no new one the old one is gone on with. */
    assert_int_equal(mkdir(path, 0700), 0);
    varve_sink_reopen(sink);
    tell(sink, "four");
    assert_int_equal(lines_of(old, "four"), 1);
    assert_int_equal(rmdir(path), 0);
    tell(sink, "five");
    assert_int_equal(lines_of(old, "five"), 0);
    assert_int_equal(lines_of(path, "five"), 1);
    assert_int_equal(varve_sink_lost(sink), 0);
    varve_sink_close(sink);
    varve_sink_close(NULL);
    free(old);
    free(path);
    test_tmp_free(dir);
}

static void *tell_many(void *sink)
{
    for (int i = 0; i < 200; i++) {
        if (i % 50 == 0) {
            varve_sink_reopen(sink);
        }
        tell(sink, "by several threads at once");
    }
    return NULL;
}

static void test_sink__threads(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *path = test_tmp_join(dir, "messages");
    struct varve_sink *sink;
    pthread_t threads[4];
    assert_int_equal(varve_sink_open(VARVE_SINK_FILE, VARVE_FORM_TEXT, path, &sink, NULL), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, tell_many, sink), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    varve_sink_close(sink);
    assert_int_equal(lines_of(path, "info closed: log: by several threads at once\n"), 800);
    free(path);
    test_tmp_free(dir);
}

static void test_sink__refused(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *link = test_tmp_join(dir, "link"), *fifo = test_tmp_join(dir, "fifo");
    char *below = test_tmp_join(dir, "no/file"), *target = test_tmp_join(dir, "target");
    struct varve_sink *sink = NULL;
    struct varve_error error;
    struct stat st;
    assert_int_equal(symlink("target", link), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(varve_sink_open(VARVE_SINK_FILE, VARVE_FORM_TEXT, link, &sink, &error),
                     VARVE_E_NOT_REGULAR);
    assert_int_not_equal(stat(target, &st), 0);
    assert_int_equal(varve_sink_open(VARVE_SINK_FILE, VARVE_FORM_TEXT, fifo, &sink, &error),
                     VARVE_E_NOT_REGULAR);
    assert_int_equal(varve_sink_open(VARVE_SINK_FILE, VARVE_FORM_TEXT, below, &sink, &error), VARVE_E_IO);
    assert_int_equal(varve_sink_open(VARVE_SINK_FILE, VARVE_FORM_TEXT, NULL, &sink, &error), VARVE_E_INVALID);
    assert_int_equal(varve_sink_open(VARVE_SINK_STDERR, VARVE_FORM_TEXT, "x", &sink, &error),
                     VARVE_E_INVALID);
    assert_int_equal(varve_sink_open((enum varve_sink_kind)3, VARVE_FORM_TEXT, NULL, &sink, &error),
                     VARVE_E_INVALID);
    assert_int_equal(varve_sink_open(VARVE_SINK_STDERR, (enum varve_message_form)3, NULL, &sink, &error),
                     VARVE_E_INVALID);
    for (long n = 0; n < 2; n++) {
        vv_alloc_fail_after(n);
        assert_int_equal(varve_sink_open(VARVE_SINK_FILE, VARVE_FORM_TEXT, target, &sink, &error),
                         VARVE_E_NOMEM);
    }
    vv_alloc_fail_after(-1);
    assert_null(sink);
    free(target);
    free(below);
    free(fifo);
    free(link);
    test_tmp_free(dir);
}

/* A reader that is gone, or a limit on the size of files, costs a line and not the process. */
static int write_into_nothing(void *arg)
{
    struct varve_sink *sink, *file;
    int ends[2];
    TEST_CHILD_CHECK(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    TEST_CHILD_CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    TEST_CHILD_CHECK(varve_sink_open(VARVE_SINK_STDERR, VARVE_FORM_JSON, NULL, &sink, NULL) == 0);
    TEST_CHILD_CHECK(varve_sink_open(VARVE_SINK_FILE, VARVE_FORM_JSON, arg, &file, NULL) == 0);
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, 0}) == 0);
    tell(sink, "lost");
    tell(file, "lost");
    tell(file, "lost");
    TEST_CHILD_CHECK(varve_sink_lost(sink) == 1);
    TEST_CHILD_CHECK(varve_sink_lost(file) == 2);
    sigset_t pending;
    TEST_CHILD_CHECK(sigpending(&pending) == 0);
    TEST_CHILD_CHECK(!sigismember(&pending, SIGPIPE) && !sigismember(&pending, SIGXFSZ));
    varve_sink_close(sink);
    varve_sink_close(file);
    return 0;
}

static void test_sink__lost(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *path = test_tmp_join(dir, "messages");
    assert_int_equal(test_child_run(write_into_nothing, path), 0);
    free(path);
    test_tmp_free(dir);
}

/* syslog(3) writes to standard error too when it is asked to: there the line can be read. */
static int write_to_syslog(void *arg)
{
    struct varve_sink *text, *json;
    int fd = open(arg, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    TEST_CHILD_CHECK(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
    openlog("varve-test", LOG_PERROR, LOG_USER);
    TEST_CHILD_CHECK(varve_sink_open(VARVE_SINK_SYSLOG, VARVE_FORM_TEXT, NULL, &text, NULL) == 0);
    TEST_CHILD_CHECK(varve_sink_open(VARVE_SINK_SYSLOG, VARVE_FORM_JSON, NULL, &json, NULL) == 0);
    for (int level = VARVE_MESSAGE_TRACE; level <= VARVE_MESSAGE_ERROR; level++) {
        struct varve_message m = message("in the system's log");
        m.level = (enum varve_message_level)level;
        varve_sink_message(text, &m);
        varve_sink_message(json, &m);
    }
    varve_sink_close(text);
    varve_sink_close(json);
    return 0;
}

static void test_sink__syslog(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *path = test_tmp_join(dir, "said"), line[1000];
    unsigned texts = 0, objects = 0;
    assert_int_equal(test_child_run(write_to_syslog, path), 0);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        texts += strstr(line, "varve-test: closed: log: in the system's log\n") != NULL;
        objects += strstr(line, "varve-test: {\"time\":\"1970") != NULL && strstr(line, "\"}\n") != NULL;
    }
    fclose(file);
    assert_int_equal(texts, 5);
    assert_int_equal(objects, 5);
    free(path);
    test_tmp_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sink__file),    cmocka_unit_test(test_sink__threads),
        cmocka_unit_test(test_sink__refused), cmocka_unit_test(test_sink__lost),
        cmocka_unit_test(test_sink__syslog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
