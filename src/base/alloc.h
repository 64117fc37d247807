/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory. All of the library's memory comes from here, so that a test can make any one allocation fail.
 *
 * Threads: any. Errors: NULL when there is no memory; errno is not looked at.
 */
#ifndef VV_BASE_ALLOC_H
#define VV_BASE_ALLOC_H

#include <stddef.h>

void vv_free(void *p);

/* Each result is to be freed by vv_free. A size of 0 gives a pointer that is valid to free and to nothing
 * else. */
__attribute__((malloc, alloc_size(1))) void *vv_alloc(size_t bytes);
__attribute__((malloc, alloc_size(1))) void *vv_alloc_zero(size_t bytes);
/* `align`: a power of two, at least sizeof(void *). The content is not zeroed. */
__attribute__((malloc, alloc_align(1), alloc_size(2))) void *vv_alloc_aligned(size_t align, size_t bytes);
/* For buffers of megabytes that direct I/O goes out of: asks for huge pages, so that a write is not cut into
 * pieces of single pages. Aligned to 4096 bytes at least; not zeroed. Source: madvise(2), MADV_HUGEPAGE. */
__attribute__((malloc, alloc_size(1))) void *vv_alloc_large(size_t bytes);
/* count * bytes_each, zeroed; NULL as well when the product does not fit. */
__attribute__((malloc, alloc_size(1, 2))) void *vv_alloc_array(size_t count, size_t bytes_each);
/* On failure `p` stays as it was. `p` may be NULL. */
__attribute__((alloc_size(2))) void *vv_realloc(void *p, size_t bytes);

/*
 * For tests: `n` more allocations succeed, then one fails, then all succeed again; 0 fails the very next, a
 * negative `n` turns it off. Process-wide.
 */
void vv_alloc_fail_after(long n);
/* How many allocations are left before the one that fails; negative when it has failed or none was asked for.
 */
long vv_alloc_fail_left(void);

#endif
