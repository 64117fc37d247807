/* SPDX-License-Identifier: Apache-2.0 */
/* The program `varve`: finds the subcommand and hands over. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "keying.h"
#include "say.h"

#ifndef VARVE_PROGRAM_VERSION
#define VARVE_PROGRAM_VERSION VARVE_VERSION_STRING
#endif

static const struct cli_command *const commands[] = {
    &command_append,  &command_cat,      &command_tail,  &command_dump,   &command_verify,  &command_stat,
    &command_trim,    &command_pin,      &command_lost,  &command_repair,
#ifdef VARVE_HAVE_KV
    &command_kv,      &command_snapshot,
#endif
    &command_formats, &command_keygen,   &command_train, &command_rekey,  &command_convert, &command_bench,
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct cli_command *main_find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void main_usage(FILE *to)
{
    fprintf(to, "usage: varve SUB [OPTION]... DIR\n"
                "       varve help [SUB]\n"
                "       varve --version\n\n"
                "A write-ahead log: records in, durably; records out, byte for byte.\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\nfor example:\n"
                "  journalctl -f | varve append mylog     every line a record, durable\n"
                "  varve tail -f mylog                    watch them arrive\n"
                "  varve verify mylog                     check every byte\n\n"
                "exit codes: 0 fine, 1 the log is damaged, 2 usage, 3 I/O or system error\n"
                "more: varve help SUB, man varve\n");
}

static int main_flushed(void)
{
    errno = EIO; /* for an error that an earlier write met */
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_FINE;
    return say_system("standard output", errno);
}

/* The number of letters to change, add or drop to make one word of the other; both are short. */
static size_t main_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    size_t row[16];

    if (a_len >= 16 || b_len >= 16)
        return 16;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = corner + (a[i - 1] != b[j - 1]);

            corner = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_len];
}

static int main_unknown(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (main_distance(name, commands[i]->name) <= 2)
            return say_usage("unknown subcommand '%s'; did you mean '%s'?", name, commands[i]->name);
    return say_usage("unknown subcommand '%s'", name);
}

static int main_help(int argc, char **argv)
{
    const struct cli_command *command;

    if (argc < 2) {
        main_usage(stdout);
        return main_flushed();
    }
    if (argc > 2)
        return say_usage("help: unexpected argument '%s'", argv[2]);
    command = main_find(argv[1]);
    if (!command)
        return main_unknown(argv[1]);
    cli_help(command);
    return main_flushed();
}

static int main_version(void)
{
    printf("varve %s", VARVE_PROGRAM_VERSION);
    if (strcmp(varve_version(), VARVE_PROGRAM_VERSION) != 0)
        printf(" (library %s)", varve_version());
    printf("\n");
    return main_flushed();
}

/*
 * Two things inherited from whoever started this would make it misbehave: an ignored SIGPIPE, with which the
 * reader's going away looks like an I/O error, and closed standard descriptors, whose numbers the next opened
 * files, segments among them, would get and then be written to as if they were standard output.
 */
static void main_inherit(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    sigaction(SIGPIPE, &action, NULL);
    /* Opened the wrong way round, so that using them still fails. */
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
            _exit(EXIT_FAILED);
}

int main(int argc, char **argv)
{
    const struct cli_command *command;
    int rc;

    main_inherit();
    if (argc < 2) {
        main_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return main_help(argc - 1, argv + 1);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return main_version();
    if (argv[1][0] == '-')
        return say_usage("unknown option '%s'", argv[1]);
    command = main_find(argv[1]);
    if (!command)
        return main_unknown(argv[1]);
    say_begin(command->name);
    rc = command->run(command, argc - 1, argv + 1);
    keying_end();
    if (rc == EXIT_FINE)
        rc = main_flushed();
    return rc;
}
