/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Master keys by id. In: bytes, or texts with keys. Out: copies for those who derive from them, who wipe
 * them.
 *
 * No message ever holds anything of a key, nor of a line that should have been one.
 */
#include "codec/keys.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"

struct key_entry {
    uint32_t id;
    uint8_t bytes[VARVE_KEY_BYTES];
};

struct varve_keys {
    pthread_mutex_t mutex;
    struct key_entry *entries; /* [mutex] secret; room for VARVE_KEYS_MAX */
    unsigned count;            /* [mutex] */
    varve_key_fn source;       /* [const while logs use the keys] */
    void *source_arg;
};

#define ENTRIES_BYTES (VARVE_KEYS_MAX * sizeof(struct key_entry))

int varve_keys_new(struct varve_keys **ret_keys, struct varve_error *ret_error)
{
    struct varve_keys *keys = vv_alloc_zero(sizeof *keys);

    if (keys)
        keys->entries = vv_secret_alloc(ENTRIES_BYTES);
    if (!keys || !keys->entries) {
        vv_free(keys);
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "keys");
    }
    pthread_mutex_init(&keys->mutex, NULL);
    *ret_keys = keys;
    return 0;
}

void varve_keys_free(struct varve_keys *keys)
{
    if (!keys)
        return;
    vv_secret_free(keys->entries, ENTRIES_BYTES);
    pthread_mutex_destroy(&keys->mutex);
    vv_free(keys);
}

void varve_keys_set_source(struct varve_keys *keys, varve_key_fn fn, void *arg)
{
    keys->source = fn;
    keys->source_arg = arg;
}

/* [mutex] */
static struct key_entry *entry_of(struct varve_keys *keys, uint32_t id)
{
    for (unsigned i = 0; i < keys->count; i++) {
        if (keys->entries[i].id == id)
            return &keys->entries[i];
    }
    return NULL;
}

/* [mutex] */
static int add_locked(struct varve_keys *keys, uint32_t id, const void *key, struct varve_error *ret_error)
{
    struct key_entry *entry = entry_of(keys, id);

    if (entry && memcmp(entry->bytes, key, VARVE_KEY_BYTES) == 0)
        return 0;
    if (entry)
        return vv_error_set(ret_error, VARVE_E_EXISTS, 0,
                            "key %" PRIu32 ": there is another key with this id", id);
    if (keys->count == VARVE_KEYS_MAX)
        return vv_error_set(ret_error, VARVE_E_LIMIT, 0, "key %" PRIu32 ": there are %d keys already", id,
                            VARVE_KEYS_MAX);
    entry = &keys->entries[keys->count++];
    entry->id = id;
    memcpy(entry->bytes, key, VARVE_KEY_BYTES);
    return 0;
}

int varve_keys_add(struct varve_keys *keys, uint32_t id, const void *key, struct varve_error *ret_error)
{
    int rc;

    if (!keys || !key || id == 0)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "a key needs an id of 1 or more");
    pthread_mutex_lock(&keys->mutex);
    rc = add_locked(keys, id, key, ret_error);
    pthread_mutex_unlock(&keys->mutex);
    return rc;
}

/* -- texts -- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Exactly 64 digits. */
static bool read_hex(const char *text, size_t length, uint8_t *ret_key)
{
    if (length != (size_t)2 * VARVE_KEY_BYTES)
        return false;
    for (size_t i = 0; i < VARVE_KEY_BYTES; i++) {
        int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret_key[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* "key ID HEX" */
static bool read_line(const char *line, size_t length, uint32_t *ret_id, uint8_t *ret_key)
{
    uint64_t id = 0;
    size_t at = strlen("key ");

    if (length < at || memcmp(line, "key ", at) != 0)
        return false;
    for (; at < length && line[at] >= '0' && line[at] <= '9' && id <= UINT32_MAX; at++)
        id = id * 10 + (uint64_t)(line[at] - '0');
    if (id == 0 || id > UINT32_MAX || at == length || line[at] != ' ')
        return false;
    *ret_id = (uint32_t)id;
    return read_hex(line + at + 1, length - at - 1, ret_key);
}

static size_t without_blanks(const char *line, size_t length)
{
    while (length > 0 && strchr(" \t\r\n", line[length - 1]) && line[length - 1])
        length--;
    return length;
}

/* One line, without its end. */
static int take_line(struct varve_keys *keys, const char *line, size_t length, unsigned number, uint8_t *key,
                     struct varve_error *ret_error)
{
    uint32_t id = 1;

    length = without_blanks(line, length);
    if (length == 0 || line[0] == '#')
        return 0;
    if (!read_line(line, length, &id, key))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "line %u is not: key, an id from 1 on, 64 hexadecimal digits", number);
    return varve_keys_add(keys, id, key, ret_error);
}

int varve_keys_add_text(struct varve_keys *keys, const char *text, size_t length,
                        struct varve_error *ret_error)
{
    uint8_t key[VARVE_KEY_BYTES];
    const char *line = text, *end = text + length;
    unsigned added = 0;
    int rc = 0;

    if (!keys || !text || length > VV_KEYS_TEXT_MAX)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "keys are a text of at most %u bytes",
                            VV_KEYS_TEXT_MAX);
    if (read_hex(text, without_blanks(text, length), key)) {
        rc = varve_keys_add(keys, 1, key, ret_error);
        vv_secret_wipe(key, sizeof key);
        return rc;
    }
    for (unsigned number = 1; rc == 0 && line < end; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));

        stop = stop ? stop : end;
        rc = take_line(keys, line, (size_t)(stop - line), number, key, ret_error);
        added += rc == 0 && stop > line && *line != '#';
        line = stop + 1;
    }
    vv_secret_wipe(key, sizeof key);
    if (rc == 0 && added == 0)
        rc = vv_error_set(ret_error, VARVE_E_INVALID, 0, "there is no key");
    return rc;
}

/* -- for those who derive from them -- */

/* Asks the source, and keeps what it gives. */
static bool ask_source(struct varve_keys *keys, uint32_t id, uint32_t *ret_id, uint8_t *ret_key)
{
    *ret_id = id;
    if (!keys->source || keys->source(keys->source_arg, id, ret_id, ret_key) != 0 || *ret_id == 0 ||
        (id != 0 && *ret_id != id))
        return false;
    return varve_keys_add(keys, *ret_id, ret_key, NULL) == 0;
}

int vv_keys_find(struct varve_keys *keys, uint32_t id, uint8_t *ret_key, struct varve_error *ret_error)
{
    struct key_entry *entry = NULL;
    uint32_t given;

    if (keys) {
        pthread_mutex_lock(&keys->mutex);
        entry = entry_of(keys, id);
        if (entry)
            memcpy(ret_key, entry->bytes, VARVE_KEY_BYTES);
        pthread_mutex_unlock(&keys->mutex);
        if (entry || ask_source(keys, id, &given, ret_key))
            return 0;
    }
    return vv_error_set(ret_error, VARVE_E_KEY_MISSING, 0, "key %" PRIu32 " was not given", id);
}

int vv_keys_newest(struct varve_keys *keys, uint32_t *ret_id, uint8_t *ret_key, struct varve_error *ret_error)
{
    uint32_t newest = 0, given;

    if (!keys)
        return vv_error_set(ret_error, VARVE_E_KEY_MISSING, 0, "no key was given");
    (void)ask_source(keys, 0, &given, ret_key);
    pthread_mutex_lock(&keys->mutex);
    for (unsigned i = 0; i < keys->count; i++) {
        if (keys->entries[i].id > newest) {
            newest = keys->entries[i].id;
            memcpy(ret_key, keys->entries[i].bytes, VARVE_KEY_BYTES);
        }
    }
    pthread_mutex_unlock(&keys->mutex);
    if (newest == 0)
        return vv_error_set(ret_error, VARVE_E_KEY_MISSING, 0, "no key was given");
    *ret_id = newest;
    return 0;
}
