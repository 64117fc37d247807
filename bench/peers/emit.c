/* SPDX-License-Identifier: Apache-2.0 */
/* Results for programs: every round of everything, so that nothing is hidden behind a median. Each line is
 * whole when the next one begins, so what was measured before a break counts. */
#include "peers.h"

#include "varve/varve.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static void print_string(const char *key, const char *text)
{
    printf(", \"%s\": \"", key);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        if ((unsigned char)*text >= ' ')
            putchar(*text);
    }
    putchar('"');
}

static void print_number(const char *key, double value)
{
    if (value != 0)
        printf(", \"%s\": %.7g", key, value);
}

/* The first line of `path`, or what follows the first ':' of the first line that begins with `name`. */
static void read_line(const char *path, const char *name, char *text, size_t bytes)
{
    FILE *file = fopen(path, "re");
    char line[256];
    text[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (name != NULL && strncmp(line, name, strlen(name)) != 0)
            continue;
        const char *at = name != NULL ? strchr(line, ':') : line;
        if (at == NULL)
            continue;
        at += name != NULL;
        at += strspn(at, " \t");
        snprintf(text, bytes, "%.*s", (int)strcspn(at, "\n"), at);
        break;
    }
    if (file != NULL)
        fclose(file);
}

static const char *file_system(const char *dir)
{
    static const struct {
        long type;
        const char *name;
    } known[] = {
        {0xEF53, "ext4"},    {0x58465342, "xfs"},       {0x9123683E, "btrfs"}, {0xF2F52010, "f2fs"},
        {0x2FC12FC1, "zfs"}, {0x794c7630, "overlayfs"}, {0x6969, "nfs"},
    };
    struct statfs info;
    if (statfs(dir, &info) == 0) {
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (known[i].type == (long)info.f_type)
                return known[i].name;
        }
    }
    return "other";
}

static void print_device(const struct bench *bench)
{
    struct stat info;
    char path[96], text[128];
    if (stat(bench->dir, &info) < 0)
        return;
    static const char *const facts[] = {"write_cache", "fua", "rotational", "logical_block_size",
                                        "physical_block_size"};
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        snprintf(path, sizeof path, "/sys/dev/block/%u:%u/queue/%s", major(info.st_dev), minor(info.st_dev),
                 facts[i]);
        read_line(path, NULL, text, sizeof text);
        if (text[0] == '\0') { /* a partition: its disk has it */
            snprintf(path, sizeof path, "/sys/dev/block/%u:%u/../queue/%s", major(info.st_dev),
                     minor(info.st_dev), facts[i]);
            read_line(path, NULL, text, sizeof text);
        }
        if (text[0] != '\0')
            print_string(facts[i], text);
    }
}

void emit_run(const struct comparison *comparison)
{
    const struct profile *profile = &comparison->profile;
    struct utsname system = {0};
    char processor[128], memory[64];
    uname(&system);
    read_line("/proc/cpuinfo", "model name", processor, sizeof processor);
    read_line("/proc/meminfo", "MemTotal", memory, sizeof memory);
    printf("{\"line\": \"run\", \"version\": \"%s\", \"profile\": \"%s\", \"rounds\": %u", varve_version(),
           profile->name, profile->rounds);
    printf(", \"time\": %lld", (long long)time(NULL));
    printf(
        ", \"warmup_s\": %g, \"commit_s\": %g, \"inflight_s\": %g, \"stream_s\": %g, \"recover_records\": %u",
        profile->warmup_s, profile->commit_s, profile->inflight_s, profile->stream_s,
        profile->recover_records);
    print_string("kernel", system.release);
    print_string("machine", system.machine);
    print_string("processor", processor);
    printf(", \"processors\": %ld", sysconf(_SC_NPROCESSORS_ONLN));
    print_string("memory", memory);
    print_string("file_system", file_system(comparison->bench.dir));
    printf(", \"sector_bytes\": %u", comparison->bench.sector_bytes);
    print_device(&comparison->bench);
    puts("}");
}

void emit_peer(const struct peer_entry *entry)
{
    char version[PEER_VERSION_BYTES] = "";
    const struct peer *peer = entry->peer;
    printf("{\"line\": \"peer\", \"peer\": \"%s\"", entry->name);
    if (peer == NULL) {
        print_string("missing", entry->package);
        puts("}");
        return;
    }
    if (peer->version != NULL)
        peer->version(version);
    print_string("title", peer->title);
    print_string("version", version);
    print_string("settings", peer->settings);
    print_string("kind", (peer->flags & PEER_RAW) != 0 ? "raw" : "engine");
    printf(", \"has_log\": %s}\n", (peer->flags & PEER_NO_LOG) != 0 ? "false" : "true");
}

void emit_failed(const char *peer, const char *section)
{
    printf("{\"line\": \"failed\", \"peer\": \"%s\", \"section\": \"%s\"}\n", peer, section);
}

void emit_figures(const struct emit_key *key, const struct figures *figures)
{
    printf("{\"line\": \"figures\", \"section\": \"%s\", \"what\": \"%s\", \"peer\": \"%s\", \"round\": %u",
           key->section, key->what, key->peer, key->round);
    print_number("threads", key->threads);
    print_number("bytes", (double)key->bytes);
    print_number("count", (double)key->count);
    printf(", \"operations\": %llu, \"seconds\": %.6g, \"rate\": %.7g",
           (unsigned long long)figures->operations, figures->seconds, figures->rate);
    print_number("p50_us", figures->p50_us);
    print_number("p99_us", figures->p99_us);
    print_number("p999_us", figures->p999_us);
    print_number("max_us", figures->max_us);
    print_number("cpu_us", figures->cpu_us);
    print_number("switches", figures->switches);
    print_number("syscalls", figures->syscalls);
    print_number("syncs", figures->syncs);
    print_number("device_flushes", figures->device_flushes);
    print_number("device_bytes", figures->device_bytes);
    print_number("peak_kib", figures->peak_kib);
    print_number("disk_bytes", figures->disk_bytes);
    puts("}");
    fflush(stdout);
}

/* What others did on the machine meanwhile, and what the host took away, in percent of all its processors'
 * time. */
int emit_done(double seconds, int failures, const struct meter_machine *before,
              const struct meter_machine *after)
{
    double all_s = seconds * (double)sysconf(_SC_NPROCESSORS_ONLN);
    double own_s = after->own_s - before->own_s;
    double others_s = after->busy_s - before->busy_s - own_s;
    printf("{\"line\": \"done\", \"seconds\": %.1f, \"failures\": %d", seconds, failures);
    printf(", \"own_percent\": %.1f, \"others_percent\": %.1f, \"stolen_percent\": %.1f}\n",
           100 * own_s / all_s, others_s > 0 ? 100 * others_s / all_s : 0,
           100 * (after->stolen_s - before->stolen_s) / all_s);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : bench_fail(errno, "standard output");
}
