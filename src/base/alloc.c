/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory with a countdown. Outside release builds (VARVE_RELEASE) memory is overwritten when it is freed, so
 * that whoever still reads it finds out.
 */
#include "base/alloc.h"

#include <assert.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    PAGE_BYTES = 4096,
    HUGE_BYTES = 2 << 20,
};

/* [atomic: any thread] Allocations before the one that fails; negative = none fails. */
static _Atomic long alloc_left = -1;

static bool alloc_must_fail(void)
{
    long left = atomic_load_explicit(&alloc_left, memory_order_relaxed);
    while (left >= 0) {
        if (atomic_compare_exchange_weak_explicit(&alloc_left, &left, left - 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return left == 0;
        }
    }
    return false;
}

/* malloc(0) may be NULL, which would read as a failure. */
static size_t alloc_size(size_t bytes)
{
    return bytes == 0 ? 1 : bytes;
}

void *vv_alloc(size_t bytes)
{
    return alloc_must_fail() ? NULL : malloc(alloc_size(bytes));
}

void *vv_alloc_zero(size_t bytes)
{
    return alloc_must_fail() ? NULL : calloc(1, alloc_size(bytes));
}

void *vv_alloc_array(size_t count, size_t bytes_each)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, bytes_each, &bytes)) {
        return NULL;
    }
    return vv_alloc_zero(bytes);
}

void *vv_alloc_aligned(size_t align, size_t bytes)
{
    assert(align >= sizeof(void *) && (align & (align - 1)) == 0);
    void *p;
    if (alloc_must_fail() || posix_memalign(&p, align, alloc_size(bytes)) != 0) {
        return NULL;
    }
    return p;
}

void *vv_alloc_large(size_t bytes)
{
    void *p = vv_alloc_aligned(bytes >= HUGE_BYTES ? HUGE_BYTES : PAGE_BYTES, bytes);

    /* A wish: where the kernel does not grant it, the memory is as good, and direct writes from it cost more.
     */
    if (p && bytes >= HUGE_BYTES) {
        (void)madvise(p, bytes / HUGE_BYTES * HUGE_BYTES, MADV_HUGEPAGE);
    }
    return p;
}

void *vv_realloc(void *p, size_t bytes)
{
    return alloc_must_fail() ? NULL : realloc(p, alloc_size(bytes));
}

/* Not inlined: a compiler that knew how much was asked for would object to the use of all that was given. */
__attribute__((noinline)) void vv_free(void *p)
{
#ifndef VARVE_RELEASE
    if (p != NULL) {
        memset(p, 0xdb, malloc_usable_size(p));
        /* Else the store before free() counts as dead and is left out. */
        __asm__ volatile("" : : "r"(p) : "memory");
    }
#endif
    free(p);
}

void vv_alloc_fail_after(long n)
{
    atomic_store_explicit(&alloc_left, n, memory_order_relaxed);
}

long vv_alloc_fail_left(void)
{
    return atomic_load_explicit(&alloc_left, memory_order_relaxed);
}
