/* SPDX-License-Identifier: Apache-2.0 */
/* Pages for keys. They share no page with anything else, so that what is said of a page is said of the key.
 */
#include "base/secret.h"

#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/bytes.h"

enum {
    PAGE_BYTES = 4096
};

static size_t whole_pages(size_t bytes)
{
    return vv_round_up(bytes, PAGE_BYTES);
}

void *vv_secret_alloc(size_t bytes)
{
    void *secret = vv_alloc_aligned(PAGE_BYTES, whole_pages(bytes));

    if (!secret)
        return NULL;
    /* Wishes: a system that does not know them keeps the key as it keeps everything else. */
    (void)madvise(secret, whole_pages(bytes), MADV_DONTDUMP);
    (void)mlock(secret, whole_pages(bytes));
    memset(secret, 0, whole_pages(bytes));
    return secret;
}

void vv_secret_free(void *secret, size_t bytes)
{
    if (!secret)
        return;
    vv_secret_wipe(secret, whole_pages(bytes));
    (void)munlock(secret, whole_pages(bytes));
    (void)madvise(secret, whole_pages(bytes), MADV_DODUMP);
    vv_free(secret);
}

void vv_secret_wipe(void *at, size_t bytes)
{
    explicit_bzero(at, bytes);
}
