/* SPDX-License-Identifier: Apache-2.0 */
/* What `varve kv` is asked for: the part that its files share. */
#ifndef KV_H
#define KV_H

#include <stdbool.h>
#include <stdint.h>

#include "keeping.h"
#include "out.h"

enum kv_action {
    KV_GET,
    KV_SET,
    KV_DEL,
    KV_SCAN,
    KV_COUNT,
    KV_STAT,
    KV_DIGEST,
    KV_HISTORY,
    KV_APPEND,
    KV_RANGE,
    KV_TRIM,
};

struct kv_wish {
    struct keeping keeping;
    enum kv_action action;
    const char *key, *value;
    uint64_t from, to; /* positions in a stream */
    uint64_t expire_ms, limit;
    bool json, raw, has_at;
    struct out out;
    uint64_t count;
    int failed; /* the exit code of what was said already */
};

/* Says what a call came to, and returns the exit code for it. */
int kv_said(const struct kv_wish *wish, int rc);

/* kv_stream.c: append, range, trim. */
int kv_append(struct kv_wish *wish);
int kv_range(struct kv_wish *wish);
int kv_trim(struct kv_wish *wish);

/* Their operands behind the key. False: they are none. */
bool kv_positions(struct kv_wish *wish, const char *const *operands, size_t count);

#endif
