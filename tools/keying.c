/* SPDX-License-Identifier: Apache-2.0 */
#include "keying.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By the first thread, while it reads options. */
static struct varve_keys *keying_set;
static unsigned char *keying_bytes;

static void keying_stop(struct cli *cli, int exit_code)
{
    cli->stop = true;
    cli->exit_code = exit_code;
}

bool keying_option(struct cli *cli, int key)
{
    struct varve_error error;
    int rc = 0;

    if (key != KEYING_KEY_FILE && key != KEYING_KEY_ENV && key != KEYING_KEY_FD)
        return false;
    if (!keying_set)
        rc = varve_keys_new(&keying_set, &error);
    if (rc == 0 && key == KEYING_KEY_FILE)
        rc = varve_keys_add_file(keying_set, cli->value, &error);
    else if (rc == 0 && key == KEYING_KEY_ENV)
        rc = varve_keys_add_env(keying_set, cli->value, &error);
    else if (rc == 0)
        rc = varve_keys_add_fd(keying_set, (int)cli_number(cli, 0, INT_MAX), &error);
    if (rc != 0 && !cli->stop)
        keying_stop(cli, say_library(cli->value, &error));
    return true;
}

struct varve_keys *keying_keys(void)
{
    return keying_set;
}

void keying_end(void)
{
    varve_keys_free(keying_set);
    keying_set = NULL;
    free(keying_bytes);
    keying_bytes = NULL;
}

/* A byte more than there may be is read, so that the library sees what is too long. */
void keying_dictionary(struct cli *cli, struct varve_options *options)
{
    const size_t room = (1u << 20) + 1;
    FILE *file = NULL;

    free(keying_bytes);
    keying_bytes = malloc(room);
    if (!keying_bytes) {
        keying_stop(cli, say_system(cli->value, ENOMEM));
        return;
    }
    options->dictionary = keying_bytes;
    options->dictionary_bytes = 0;
    if (strcmp(cli->value, "-") == 0)
        return;
    file = fopen(cli->value, "re");
    if (file)
        options->dictionary_bytes = fread(keying_bytes, 1, room, file);
    if (!file || ferror(file))
        keying_stop(cli, say_system(cli->value, errno));
    else if (options->dictionary_bytes == 0)
        cli_bad_value(cli, "the file is empty");
    if (file)
        fclose(file);
}

void keying_codec(struct cli *cli, struct varve_options *options)
{
    static char name[VARVE_CODEC_NAME_BYTES];
    const char *colon = strchr(cli->value, ':');
    size_t chars = colon ? (size_t)(colon - cli->value) : strlen(cli->value);
    char *end = NULL;
    long level;

    if (chars >= sizeof name) {
        cli_bad_value(cli, "not the name of a codec");
        return;
    }
    memcpy(name, cli->value, chars);
    name[chars] = '\0';
    if (!varve_codec_get(name)) {
        cli_bad_value(cli,
                      "must be one of identity lz4 zstd aes-256-gcm zstd+aes-256-gcm, as far as they are "
                      "in this build");
        return;
    }
    options->codec = name;
    if (!colon)
        return;
    errno = 0;
    level = strtol(colon + 1, &end, 10);
    if (errno != 0 || end == colon + 1 || *end || level == 0 || level < -100 || level > 100) {
        cli_bad_value(cli, "behind the colon must stand a level, as in zstd:9");
        return;
    }
    options->codec_level = (int)level;
}
