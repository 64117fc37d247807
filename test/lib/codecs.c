/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/codecs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/rng.h"

const char *test_codecs_at(unsigned index)
{
    for (uint32_t id = 1; id < VARVE_CODEC_REGISTERED; id++) {
        const struct varve_codec *codec = varve_codec_by_id(id);
        if (codec != NULL && index-- == 0) {
            return codec->name;
        }
    }
    return NULL;
}

int test_codecs_seals(const char *name)
{
    const struct varve_codec *codec = varve_codec_get(name);
    return codec != NULL && (codec->seal_begin != NULL || codec->seals != NULL);
}

static void add(struct varve_keys *keys, uint32_t id, unsigned char twist)
{
    unsigned char key[VARVE_KEY_BYTES];
    for (unsigned i = 0; i < sizeof key; i++) {
        key[i] = (unsigned char)(id * 37 + i * 11 + twist);
    }
    assert_int_equal(varve_keys_add(keys, id, key, NULL), 0);
}

struct varve_keys *test_codecs_keys(uint32_t count)
{
    struct varve_keys *keys = NULL;
    assert_int_equal(varve_keys_new(&keys, NULL), 0);
    for (uint32_t id = 1; id <= count; id++) {
        add(keys, id, 0);
    }
    return keys;
}

struct varve_keys *test_codecs_key(uint32_t id, unsigned char twist)
{
    struct varve_keys *keys = NULL;
    assert_int_equal(varve_keys_new(&keys, NULL), 0);
    add(keys, id, twist);
    return keys;
}

void test_codecs_fill(void *buf, size_t bytes, uint64_t seed)
{
    static const char *const words[] = {"accepted", "connection", "from", "closed", "timeout", "retry",
                                        "session",  "user",       "GET",  "POST",   "200",     "404"};
    struct test_rng rng;
    char line[160];
    test_rng_init(&rng, seed);
    for (size_t at = 0; at < bytes;) {
        int len = snprintf(line, sizeof line, "2026-11-21T05:%02u:%02u.%03uZ %s %s 10.0.%u.%u %s\n",
                           (unsigned)test_rng_below(&rng, 60), (unsigned)test_rng_below(&rng, 60),
                           (unsigned)test_rng_below(&rng, 1000), words[test_rng_below(&rng, 12)],
                           words[test_rng_below(&rng, 12)], (unsigned)test_rng_below(&rng, 4),
                           (unsigned)test_rng_below(&rng, 256), words[test_rng_below(&rng, 12)]);
        size_t n = bytes - at < (size_t)len ? bytes - at : (size_t)len;
        memcpy((char *)buf + at, line, n);
        at += n;
    }
}
