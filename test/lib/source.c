/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/source.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Hands out a copy in a block of exactly that size, and only until the next call: who looks further, or keeps
 * the pointer, is found out. */
static int source_read(void *arg, uint64_t offset, size_t len, const uint8_t **ret_bytes)
{
    static uint8_t *block;
    struct test_source *source = arg;

    assert(offset <= source->len && len <= source->len - offset);
    if (source->fail_after == 0)
        return VARVE_E_IO;
    if (source->fail_after > 0)
        source->fail_after--;
    source->reads++;
    source->read_bytes += len;
    free(block);
    block = malloc(len > 0 ? len : 1);
    assert(block != NULL);
    memcpy(block, source->bytes + offset, len);
    *ret_bytes = block;
    return 0;
}

struct vv_format_source test_source_of(struct test_source *source)
{
    return (struct vv_format_source){source_read, source, source->len};
}

struct vv_format_search *test_source_search(struct test_source *source, const struct varve_format *format)
{
    struct vv_format_source table = test_source_of(source);
    void *memory = malloc(vv_format_search_bytes(source->len));

    assert(memory != NULL);
    return vv_format_search_init(memory, format, &table);
}

struct vv_format_judgement test_source_judge(const struct varve_format *format, const uint8_t *bytes,
                                             size_t len, uint64_t at)
{
    struct test_source source = {.bytes = bytes, .len = len, .fail_after = -1};
    struct vv_format_search *search = test_source_search(&source, format);
    struct vv_format_judgement judgement;
    int rc = vv_format_judge(search, at, true, &judgement);

    assert(rc == 0);
    free(search);
    return judgement;
}
