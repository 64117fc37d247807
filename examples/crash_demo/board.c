/* SPDX-License-Identifier: Apache-2.0 */
/* The lines that are logged, and the board on which the writer notes what was acknowledged. */
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int demo_complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("crash_demo: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return -1;
}

uint64_t demo_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void demo_sleep_us(uint64_t us)
{
    struct timespec left = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

/* Fills demo->starts. A last line without a newline is left out: there is no telling whether it is whole. */
static int find_lines(struct demo *demo, size_t bytes, uint32_t lines_max)
{
    size_t room = 1024, at = 0;
    uint32_t count = 0;
    uint64_t *starts = malloc(room * sizeof *starts);
    while (starts != NULL && count < lines_max) {
        const char *newline = memchr(demo->text + at, '\n', bytes - at);
        starts[count] = at;
        if (newline == NULL)
            break;
        at = (size_t)(newline - demo->text) + 1;
        count++;
        if (count == room) {
            room *= 2;
            uint64_t *more = realloc(starts, room * sizeof *starts);
            if (more == NULL)
                free(starts);
            starts = more;
        }
    }
    if (starts == NULL)
        return demo_complain("no memory for the lines of the input");
    starts[count] = at;
    demo->starts = starts;
    demo->lines = count;
    return 0;
}

int board_read_input(struct demo *demo, uint32_t lines_max)
{
    int fd = open(demo->input_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return demo_complain("%s: %s", demo->input_path, strerror(errno));
    struct stat info;
    int failed = fstat(fd, &info) < 0;
    void *text = MAP_FAILED;
    if (!failed && info.st_size > 0)
        text = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (failed || text == MAP_FAILED)
        return demo_complain("%s: is empty or cannot be mapped", demo->input_path);
    demo->text = text;
    if (find_lines(demo, (size_t)info.st_size, lines_max) < 0)
        return -1;
    if (demo->lines < 10 * demo->threads)
        return demo_complain("%s: %u lines are too few for %u threads", demo->input_path, demo->lines,
                             demo->threads);
    return 0;
}

int board_make(struct demo *demo)
{
    size_t lines = demo->lines;
    size_t bytes = sizeof *demo->board + lines * (sizeof *demo->lsns + sizeof *demo->waits_ns + 1);
    void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return demo_complain("no memory to share: %s", strerror(errno));
    demo->board = shared; /* zeros, and by decreasing alignment from here on */
    demo->lsns = (void *)(demo->board + 1);
    demo->waits_ns = (void *)(demo->lsns + lines);
    demo->in_hand = (void *)(demo->waits_ns + lines);
    return 0;
}

const char *board_line(const struct demo *demo, uint32_t number, size_t *ret_bytes)
{
    *ret_bytes = (size_t)(demo->starts[number + 1] - demo->starts[number]) - 1;
    return demo->text + demo->starts[number];
}

uint64_t board_line_of(const struct demo *demo, unsigned thread, uint32_t index)
{
    return thread + (uint64_t)index * demo->threads;
}
