/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for keys: pages of its own, left out of core dumps, kept from the swap where the system allows that,
 * and wiped before they are given back. Threads: any.
 */
#ifndef VV_BASE_SECRET_H
#define VV_BASE_SECRET_H

#include <stddef.h>

/* Zeroed; NULL without memory. To be given to vv_secret_free with the same length. Source: madvise(2),
 * MADV_DONTDUMP; mlock(2). */
__attribute__((malloc, alloc_size(1))) void *vv_secret_alloc(size_t bytes);
/* NULL is allowed. */
void vv_secret_free(void *secret, size_t bytes);

/* Overwrites memory that is not read again, also where a compiler would leave that out. */
void vv_secret_wipe(void *at, size_t bytes);

#endif
