/* SPDX-License-Identifier: Apache-2.0 */
#include "say.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "term.h"

static const char *say_subcommand; /* [const after say_begin] */

void say_begin(const char *subcommand)
{
    say_subcommand = subcommand;
}

/* In one call, so that lines of several threads do not mix. */
static void VARVE_PRINTF(1, 0) say_line(const char *format, va_list args)
{
    char text[2048];
    int used = vsnprintf(text, sizeof text, format, args);

    if (used < 0)
        return;
    /* A path may hold anything; a terminal is not to be told what to do by it. */
    for (char *at = text; *at; at++)
        if (iscntrl((unsigned char)*at))
            *at = '?';
    term_progress_clear();
    fprintf(stderr, "varve%s%s: %s\n", say_subcommand ? " " : "", say_subcommand ? say_subcommand : "", text);
}

void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_line(format, args);
    va_end(args);
}

void say_to_do(const char *what)
{
    fprintf(stderr, "what to do: %s\n", what);
}

int say_usage(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_line(format, args);
    va_end(args);
    if (say_subcommand)
        fprintf(stderr, "see 'varve %s --help'\n", say_subcommand);
    else
        fprintf(stderr, "see 'varve --help'\n");
    return EXIT_USAGE;
}

int say_system(const char *what, int system_errno)
{
    char text[256];

    say("%s: %s", what, strerror_r(system_errno, text, sizeof text));
    return EXIT_FAILED;
}

int say_is_damage(int code)
{
    switch (code) {
    case VARVE_E_CORRUPT:
    case VARVE_E_TORN:
    case VARVE_E_HOLE:
    case VARVE_E_MISSING_SEGMENT:
    case VARVE_E_FOREIGN:
        return 1;
    default:
        return 0;
    }
}

const char *say_verdict_remedy(enum varve_verdict verdict)
{
    switch (verdict) {
    case VARVE_VERDICT_CLEAN_END:
        return "nothing to do";
    case VARVE_VERDICT_TORN:
        return "nothing to do: what is torn was never acknowledged, and the next writer goes on after it";
    case VARVE_VERDICT_CORRUPT:
    case VARVE_VERDICT_HOLE:
        return "restore the log from a copy; what is left can be read with 'varve cat --policy skip'";
    case VARVE_VERDICT_MISSING_SEGMENT:
        return "put the file back; what is left can be read with 'varve cat --policy skip'";
    case VARVE_VERDICT_FOREIGN:
        return "move the file that belongs to another log out of the directory";
    }
    return "look into docs/RECOVERY.md";
}

/* The library's remedies speak to a programmer; these say the same to who types commands. */
static const char *say_remedy(int code)
{
    switch (code) {
    case VARVE_E_NOT_FOUND:
        return "check the path; 'varve append DIR' makes a log";
    case VARVE_E_INVALID:
        return "correct the value that the message names";
    case VARVE_E_CORRUPT:
        return say_verdict_remedy(VARVE_VERDICT_CORRUPT);
    case VARVE_E_TORN:
        return "use --policy truncate: nothing acknowledged is lost";
    case VARVE_E_HOLE:
        return say_verdict_remedy(VARVE_VERDICT_HOLE);
    case VARVE_E_MISSING_SEGMENT:
        return say_verdict_remedy(VARVE_VERDICT_MISSING_SEGMENT);
    case VARVE_E_TRIMMED:
        return "'varve stat DIR' names the first LSN that is left";
    case VARVE_E_READONLY:
        return "look at the first error, mend its cause, start again";
    case VARVE_E_LOCKED:
        return "stop the process that has the log open; reading works beside it";
    case VARVE_E_NOSPC:
        return "free space on the file system, or trim the log";
    case VARVE_E_FORMAT:
        return "check the path; what is there is not a log";
    case VARVE_E_NOT_REGULAR:
        return "look at what the message names: a log is a directory, no link, and holds regular files";
    case VARVE_E_KEY_MISSING:
        return "give the key that the message names with --key-file; 'varve verify' needs none";
    case VARVE_E_KEY_WRONG:
        return "give the keys that the log was written with; nothing is damaged";
    case VARVE_E_TOO_LARGE:
        return "split the record, or raise --record-max and --segment-bytes";
    case VARVE_E_LOG_FULL:
        return "'varve trim --dry-run DIR' names who holds old records; move that pin, or trim the log";
    case VARVE_E_NO_PIN:
        return "'varve pin DIR' names those there are";
    default:
        return varve_error_remedy(code);
    }
}

static int say_exit_code(int code)
{
    if (say_is_damage(code))
        return EXIT_FOUND;
    return code == VARVE_E_INVALID ? EXIT_USAGE : EXIT_FAILED;
}

int say_library(const char *what, const struct varve_error *error)
{
    const char *message = error->message[0] ? error->message : varve_error_meaning(error->code);
    size_t chars = strlen(what);

    /* Most messages about a log begin with its path already. */
    if (strncmp(message, what, chars) == 0 && strncmp(message + chars, ": ", 2) == 0)
        message += chars + 2;
    say("%s: %s", what, message);
    say_to_do(say_remedy(error->code));
    return say_exit_code(error->code);
}

int say_code(const char *what, int code)
{
    struct varve_error error = {.code = code};

    return say_library(what, &error);
}

void say_message(void *arg, const struct varve_message *message)
{
    (void)arg;
    say("%s: %s: %s", varve_message_level_name(message->level), message->path, message->text);
}
