/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of an environment as bytes: what is in it. docs/KV.md has every one. */
#ifndef VV_KV_FACTS_H
#define VV_KV_FACTS_H

#include "kv/env.h"

#define VV_FACTS_KEY "varve-kv"

size_t vv_facts_bytes(const struct vv_env_facts *facts);
/* Writes vv_facts_bytes. */
void vv_facts_put(const struct vv_env_facts *facts, uint8_t *out);
/* Errors: CORRUPT VERSION. */
int vv_facts_get(const uint8_t *at, size_t bytes, struct vv_env_facts *ret_facts);

#endif
