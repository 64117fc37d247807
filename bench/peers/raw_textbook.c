/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit as the textbook has it, which any number of threads can share. */
#include "peers.h"

#include "textbook.h"

#include <errno.h>
#include <stdlib.h>

static int textbook_open(const struct peer_setup *setup, void **ret_store)
{
    struct bench place = {0};
    struct textbook *textbook = NULL;
    snprintf(place.dir, sizeof place.dir, "%s", setup->dir);
    if (textbook_new(&place, setup->threads * (setup->bytes_max + BENCH_HEADER_BYTES), &textbook) < 0)
        return -1;
    *ret_store = textbook;
    return 0;
}

static int textbook_append(void *store, unsigned thread, const void *data, size_t bytes)
{
    (void)thread;
    return textbook_commit(store, data, bytes);
}

static int textbook_close(void *store)
{
    textbook_free(store);
    return 0;
}

const struct peer peer_raw_textbook = {
    .name = "raw-textbook",
    .title = "textbook group commit",
    .settings = "a mutex, a condition variable, a file that was written with zeros before, fdatasync",
    .flags = PEER_RAW,
    .modes = 1u << PEER_DURABLE,
    .open = textbook_open,
    .append = textbook_append,
    .close = textbook_close,
};
