/* SPDX-License-Identifier: Apache-2.0 */
/* varve train: a dictionary for zstd out of what a log holds. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "keying.h"
#include "term.h"

#define KEY_SIZE (CLI_LONG + 0)

#define TRAIN_BYTES (110u << 10)

static const struct cli_option train_options[] = {
    {'o', "output", "FILE", "where the dictionary goes; made, never replaced"},
    {KEY_SIZE, "size", "SIZE", "the most that it has (110K); 1K to 1M"},
    KEYING_OPTIONS,
    CLI_OPTIONS_END,
};

static int train_write(const char *path, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), saved = 0;

    if (fd < 0)
        return say_system(path, errno);
    errno = EIO;
    if (write(fd, bytes, length) != (ssize_t)length || fsync(fd) != 0)
        saved = errno;
    if (close(fd) != 0 && saved == 0)
        saved = errno;
    if (saved == 0)
        return EXIT_FINE;
    (void)unlink(path);
    return say_system(path, saved);
}

static int train_log(const char *path, const char *output, size_t room)
{
    struct varve_options options = {.size = sizeof options};
    struct term_progress progress = {.what = "reading"};
    struct varve_error error;
    void *dictionary = malloc(room);
    size_t length = 0;
    int rc;

    if (!dictionary)
        return say_system("a dictionary", ENOMEM);
    options.keys = keying_keys();
    options.message = say_message;
    options.message_level = VARVE_MESSAGE_WARNING;
    options.progress = term_progress;
    options.progress_arg = &progress;
    rc = varve_train(path, &options, dictionary, room, &length, &error);
    term_progress_clear();
    rc = rc ? say_library(path, &error) : train_write(output, dictionary, length);
    if (rc == EXIT_FINE)
        say("%s: %zu bytes; it holds pieces of records, as the log does", output, length);
    free(dictionary);
    return rc;
}

static int train_run(const struct cli_command *command, int argc, char **argv)
{
    const char *output = NULL;
    size_t room = TRAIN_BYTES;
    struct cli cli;
    int key;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (keying_option(&cli, key))
            continue;
        if (key == 'o')
            output = cli.value;
        else if (key == KEY_SIZE)
            room = cli_size(&cli, 1u << 10, 1u << 20);
    }
    if (!cli_operands(&cli, 1, 1))
        return cli.exit_code;
    if (!output)
        return say_usage("--output FILE is missing");
    return train_log(cli.operands[0], output, room);
}

const struct cli_command command_train = {
    .name = "train",
    .operands = "DIR",
    .summary = "make a dictionary for zstd from a log",
    .details = "Makes a dictionary out of what the records of the log in DIR have in common. Given to\n"
               "'varve append --codec zstd --dictionary FILE', it makes small frames smaller, and\n"
               "becomes part of that log.",
    .options = train_options,
    .run = train_run,
};
