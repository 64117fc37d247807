/* SPDX-License-Identifier: Apache-2.0 */
#include "model/record.h"

#include <stdlib.h>
#include <string.h>

#include "lib/rng.h"

static size_t choose_bytes(const struct model_sizes *sizes, uint64_t id)
{
    uint64_t chance = test_rng_mix(id);
    size_t most = sizes->once_in != 0 && chance % sizes->once_in == 0 ? sizes->seldom : sizes->usual;
    size_t least = sizes->named ? sizeof id : 0;
    return least + (size_t)(test_rng_mix(chance) % (most - least + 1));
}

/* Pieces by chance, also empty ones. */
static void cut(struct model_record *r, size_t bytes, uint64_t chance)
{
    size_t at = 0;
    for (int i = 0; i < MODEL_PIECES; i++) {
        size_t len = i + 1 == MODEL_PIECES ? bytes - at : (size_t)(chance % (bytes - at + 1));
        r->pieces[i] = (struct iovec){r->bytes + at, len};
        at += len;
        chance = test_rng_mix(chance);
    }
    r->record.iov = r->pieces;
    r->record.iov_count = MODEL_PIECES;
}

void model_record_make(struct model_record *r, const struct model_sizes *sizes, uint64_t id)
{
    size_t bytes = choose_bytes(sizes, id);
    uint64_t chance = test_rng_mix(id ^ UINT64_C(0x5bd1e995));
    *r = (struct model_record){.bytes = malloc(bytes + sizeof id)};
    if (r->bytes == NULL) {
        abort();
    }
    for (size_t at = 0; at < bytes; at += sizeof id) {
        uint64_t word = at == 0 ? id : test_rng_mix(id + at);
        memcpy(r->bytes + at, &word, sizeof word);
    }
    r->record.type = (uint8_t)chance;
    if (chance >> 8 & 1) {
        r->record.flags = VARVE_RECORD_TXN;
        r->record.txn_id = test_rng_mix(chance);
        for (unsigned i = 0; i < VARVE_ORIGIN_BYTES; i++) {
            r->record.origin[i] = (uint8_t)(chance >> i);
        }
    }
    if (chance >> 9 & 1) {
        cut(r, bytes, test_rng_mix(chance));
    } else {
        r->record.data = r->bytes;
        r->record.data_bytes = bytes;
    }
}

static size_t record_bytes(const struct model_record *r)
{
    size_t bytes = r->record.data_bytes;
    for (int i = 0; i < r->record.iov_count; i++) {
        bytes += r->record.iov[i].iov_len;
    }
    return bytes;
}

void model_record_free(struct model_record *r)
{
    memset(r->bytes, 0xee, record_bytes(r));
    free(r->bytes);
}

uint64_t model_record_expected(const struct model_sizes *sizes, uint64_t id)
{
    struct model_record r;
    model_record_make(&r, sizes, id);
    uint64_t digest = model_record_digest(r.bytes, record_bytes(&r), r.record.type, r.record.flags,
                                          r.record.txn_id, r.record.origin);
    model_record_free(&r);
    return digest;
}

uint64_t model_record_digest(const void *data, size_t bytes, uint8_t type, uint8_t flags, uint64_t txn_id,
                             const uint8_t *origin)
{
    const unsigned char *at = data;
    uint64_t sum = test_rng_mix(bytes ^ (uint64_t)type << 56 ^ (uint64_t)flags << 48) + txn_id;
    for (unsigned i = 0; i < VARVE_ORIGIN_BYTES; i++) {
        sum = test_rng_mix(sum ^ origin[i]);
    }
    while (bytes > 0) {
        uint64_t word = 0;
        size_t n = bytes < sizeof word ? bytes : sizeof word;
        memcpy(&word, at, n);
        sum = test_rng_mix(sum ^ word);
        at += n;
        bytes -= n;
    }
    return sum;
}
