/* SPDX-License-Identifier: Apache-2.0 */
#include "telling.h"

#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "say.h"

static const char *telling_path;
static enum varve_message_level telling_level;
static enum varve_message_form telling_form;
static bool telling_asked; /* for a form, or a place: else it is as ever */
static struct varve_sink *telling_sink;

bool telling_option(struct cli *cli, int key)
{
    static const char *const levels[] = {"trace", "debug", "info", "warning", "error", "off", NULL};
    static const char *const forms[] = {"text", "logfmt", "json", NULL};

    switch (key) {
    case TELLING_FILE:
        telling_path = cli->value;
        telling_asked = true;
        return true;
    case TELLING_LEVEL:
        telling_level = (enum varve_message_level)(cli_choice(cli, levels) + VARVE_MESSAGE_TRACE);
        return true;
    case TELLING_FORM:
        telling_form = (enum varve_message_form)cli_choice(cli, forms);
        telling_asked = true;
        return true;
    default:
        return false;
    }
}

static void telling_on_signal(int number)
{
    (void)number;
    varve_sink_reopen(telling_sink);
}

bool telling_start(struct varve_options *options)
{
    struct sigaction action = {.sa_handler = telling_on_signal, .sa_flags = SA_RESTART};
    enum varve_sink_kind kind = VARVE_SINK_FILE;
    const char *path = telling_path;
    struct varve_error error;

    options->message = say_message;
    options->message_level = telling_level ? telling_level : VARVE_MESSAGE_WARNING;
    if (!telling_asked)
        return true;
    if (!path || strcmp(path, "-") == 0)
        kind = VARVE_SINK_STDERR;
    else if (strcmp(path, "syslog") == 0)
        kind = VARVE_SINK_SYSLOG;
    if (varve_sink_open(kind, telling_form, kind == VARVE_SINK_FILE ? path : NULL, &telling_sink, &error)) {
        say_library(path ? path : "--messages", &error);
        return false;
    }
    if (kind == VARVE_SINK_FILE)
        sigaction(SIGUSR1, &action, NULL);
    options->message = varve_sink_message;
    options->message_arg = telling_sink;
    return true;
}

int telling_end(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    uint64_t lost;

    if (!telling_sink)
        return EXIT_FINE;
    if (telling_path)
        sigaction(SIGUSR1, &ignore, NULL);
    lost = varve_sink_lost(telling_sink);
    varve_sink_close(telling_sink);
    telling_sink = NULL;
    if (lost == 0)
        return EXIT_FINE;
    say("%s: %" PRIu64 " message%s could not be written", telling_path ? telling_path : "standard error",
        lost, lost == 1 ? "" : "s");
    return EXIT_FAILED;
}
