/* SPDX-License-Identifier: Apache-2.0 */
/* varve keygen: files of keys for encrypted logs. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "commands.h"

#define KEYGEN_TEXT_MAX 16384

static const struct cli_option keygen_options[] = {
    {'r', "rotate", NULL, "add a key with the next id to the FILE that\nis there"},
    CLI_OPTIONS_END,
};

struct keygen {
    const char *path;
    bool rotate;
    char *text; /* of the new file; wiped at the end */
    size_t used;
    uint32_t id; /* of the key that was made */
};

static int keygen_read(struct keygen *keygen)
{
    int fd = open(keygen->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    if (fd < 0)
        return say_system(keygen->path, errno);
    while (keygen->used < KEYGEN_TEXT_MAX &&
           (n = read(fd, keygen->text + keygen->used, KEYGEN_TEXT_MAX - keygen->used)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        keygen->used += (size_t)n;
    }
    close(fd);
    if (n < 0)
        return say_system(keygen->path, errno);
    if (keygen->used > 0 && keygen->text[keygen->used - 1] != '\n')
        keygen->text[keygen->used++] = '\n';
    return EXIT_FINE;
}

/* The highest id that stands in the file; the library has read it and found nothing wrong. */
static uint32_t keygen_highest(struct keygen *keygen)
{
    uint32_t highest = 0, id;

    keygen->text[keygen->used] = '\0';
    for (const char *line = keygen->text; *line; line += strcspn(line, "\n") + 1) {
        if (sscanf(line, "key %" SCNu32 " ", &id) == 1 && id > highest)
            highest = id;
        if (!line[strcspn(line, "\n")])
            break;
    }
    return highest;
}

/* What is there, checked by the library as it will be when it is used. */
static int keygen_old(struct keygen *keygen)
{
    struct varve_keys *keys = NULL;
    struct varve_error error;
    int rc = varve_keys_new(&keys, &error);

    if (rc == 0)
        rc = varve_keys_add_file(keys, keygen->path, &error);
    varve_keys_free(keys);
    if (rc)
        return say_library(keygen->path, &error);
    rc = keygen_read(keygen);
    if (rc)
        return rc;
    keygen->id = keygen_highest(keygen) + 1;
    if (keygen->id == 1)
        return say_usage("%s: holds a key without an id; write 'key 1 ' before it first", keygen->path);
    return EXIT_FINE;
}

static int keygen_make(struct keygen *keygen)
{
    unsigned char key[VARVE_KEY_BYTES];
    char *at = keygen->text + keygen->used;
    size_t room = KEYGEN_TEXT_MAX - keygen->used;
    int used;

    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return say_system("random bytes", errno);
    used = snprintf(at, room, "%skey %" PRIu32 " ",
                    keygen->used == 0 ? "# keys of varve logs: keep them apart\n" : "", keygen->id);
    if (used < 0 || (size_t)used + 2 * sizeof key + 2 > room) {
        explicit_bzero(key, sizeof key);
        return say_usage("%s: has no room for another key", keygen->path);
    }
    for (size_t i = 0; i < sizeof key; i++)
        used += snprintf(at + used, room - (size_t)used, "%02x", key[i]);
    used += snprintf(at + used, room - (size_t)used, "\n");
    explicit_bzero(key, sizeof key);
    keygen->used += (size_t)used;
    return EXIT_FINE;
}

/* Makes the name durable. */
static int keygen_sync_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = fd >= 0 ? fsync(fd) : -1;

    if (fd >= 0)
        close(fd);
    free(dir);
    return rc;
}

/* A new file under a name of its own, then under its final one: a crash leaves the old keys or the new ones.
 */
static int keygen_write(struct keygen *keygen)
{
    size_t chars = strlen(keygen->path) + sizeof ".new";
    char *temporary = malloc(chars);
    int fd, saved;

    if (!temporary)
        return say_system(keygen->path, ENOMEM);
    snprintf(temporary, chars, "%s.new", keygen->path);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        saved = errno;
        say_system(temporary, saved);
        free(temporary);
        return EXIT_FAILED;
    }
    errno = EIO;
    saved = 0;
    if (write(fd, keygen->text, keygen->used) != (ssize_t)keygen->used || fsync(fd) != 0)
        saved = errno;
    if (close(fd) != 0 && saved == 0)
        saved = errno;
    /* Without --rotate nothing is replaced, whoever was faster. */
    if (saved == 0 && (keygen->rotate ? rename(temporary, keygen->path) : link(temporary, keygen->path)) != 0)
        saved = errno;
    if (saved != 0 || !keygen->rotate)
        (void)unlink(temporary);
    free(temporary);
    if (saved == 0 && keygen_sync_dir(keygen->path) != 0)
        saved = errno;
    if (saved == 0)
        return EXIT_FINE;
    say_system(keygen->path, saved);
    if (saved == EEXIST)
        say_to_do("choose another name, or add a key to the file with --rotate");
    return EXIT_FAILED;
}

static int keygen_run(const struct cli_command *command, int argc, char **argv)
{
    struct keygen keygen = {.id = 1};
    struct cli cli;
    int key, rc;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0)
        keygen.rotate |= key == 'r';
    if (!cli_operands(&cli, 1, 1))
        return cli.exit_code;
    keygen.path = cli.operands[0];
    keygen.text = calloc(1, KEYGEN_TEXT_MAX + 2);
    if (!keygen.text)
        return say_system(keygen.path, ENOMEM);
    rc = keygen.rotate ? keygen_old(&keygen) : EXIT_FINE;
    if (rc == EXIT_FINE)
        rc = keygen_make(&keygen);
    if (rc == EXIT_FINE)
        rc = keygen_write(&keygen);
    explicit_bzero(keygen.text, KEYGEN_TEXT_MAX + 2);
    free(keygen.text);
    if (rc == EXIT_FINE)
        say("%s: key %" PRIu32 "; keep a copy apart from the logs: without it they cannot be read",
            keygen.path, keygen.id);
    return rc;
}

const struct cli_command command_keygen = {
    .name = "keygen",
    .operands = "FILE",
    .summary = "make a key for encrypted logs",
    .details = "Makes FILE with a random key, readable by its owner alone. With --rotate a newer key\n"
               "is added to it: logs take that one from then on, and read what was written under\n"
               "the older ones.",
    .options = keygen_options,
    .run = keygen_run,
};
