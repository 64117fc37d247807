/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MANIFEST <-> text. One form only: what decode accepts is what encode writes, byte for byte.
 *
 * There are four versions, and a log has the lowest one that can say what there is to say: a log without a
 * codec is understood by those who never heard of codecs. The third is for what is no log yet, so that those
 * who never heard of copies refuse it too; the fourth for a log that may have segments elsewhere, which
 * nobody may read or write as if it had not.
 */
#include "format/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc.h"
#include "base/error.h"

static const char title_stem[] = "varve manifest ";
static const char name_letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-+.";

static int version_of(const struct vv_manifest *m)
{
    return m->failover[0] ? 4 : m->incomplete ? 3 : m->codec != 0 ? 2 : 1;
}

size_t vv_manifest_encode(const struct vv_manifest *m, char *out)
{
    char uuid[33];
    int len;

    for (int i = 0; i < 16; i++)
        snprintf(uuid + 2 * i, 3, "%02x", m->uuid[i]);
    len = snprintf(out, VV_MANIFEST_BYTES_MAX,
                   "%s%d\nuuid %s\ncreated_us %" PRIu64 "\nfirst_segment %" PRIu64 "\nfirst_lsn %" PRIu64
                   "\nclean %d\nlast_lsn %" PRIu64 "\n",
                   title_stem, version_of(m), uuid, m->created_us, m->first_segment, m->first_lsn, m->clean,
                   m->last_lsn);
    if (m->codec != 0)
        len += snprintf(out + len, VV_MANIFEST_BYTES_MAX - (size_t)len,
                        "codec %" PRIu32 " %s\ndictionary %08" PRIx32 "\n", m->codec, m->codec_name,
                        m->dictionary);
    if (m->incomplete)
        len += snprintf(out + len, VV_MANIFEST_BYTES_MAX - (size_t)len, "incomplete 1\n");
    if (m->failover[0])
        len += snprintf(out + len, VV_MANIFEST_BYTES_MAX - (size_t)len, "failover %s\n", m->failover);
    len += snprintf(out + len, VV_MANIFEST_BYTES_MAX - (size_t)len, "crc32c %08" PRIx32 "\n",
                    vv_crc32c(0, out, (size_t)len));
    return (size_t)len;
}

int vv_manifest_path_fits(const char *path)
{
    size_t len = strlen(path);

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
            return 0;
    }
    return path[0] == '/' && len < VV_MANIFEST_PATH_BYTES;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static int parse_uuid(const char *text, uint8_t *out)
{
    for (int i = 0; i < 16; i++) {
        int high = hex_digit(text[2 * i]);
        int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

        if (low < 0)
            return 0;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return 1;
}

/* The rest of a line, which may hold blanks. */
static int parse_path(const char *line, char *out)
{
    size_t len = strcspn(line, "\n");

    if (len >= VV_MANIFEST_PATH_BYTES)
        return 0;
    memcpy(out, line, len);
    out[len] = 0;
    return vv_manifest_path_fits(out);
}

/* The fields by sscanf, whose leniency does no harm: the caller encodes the result again and compares. */
static int parse(const char *text, struct vv_manifest *m)
{
    char uuid[33];
    int version, rest = 0;
    const char *codec, *failover;

    memset(m, 0, sizeof *m);
    if (sscanf(text,
               "varve manifest %d uuid %32s created_us %" SCNu64 " first_segment %" SCNu64
               " first_lsn %" SCNu64 " clean %d last_lsn %" SCNu64 "%n",
               &version, uuid, &m->created_us, &m->first_segment, &m->first_lsn, &m->clean, &m->last_lsn,
               &rest) != 7)
        return 0;
    codec = strstr(text + rest, "\ncodec ");
    failover = strstr(text + rest, "\nfailover ");
    m->incomplete = version >= 3 && strstr(text + rest, "\nincomplete 1\n") != NULL;
    if (failover && !parse_path(failover + strlen("\nfailover "), m->failover))
        return 0;
    if (codec && (sscanf(codec, " codec %" SCNu32 " %31s dictionary %" SCNx32, &m->codec, m->codec_name,
                         &m->dictionary) != 3 ||
                  m->codec > VARVE_CODEC_ID_MAX || m->codec_name[strspn(m->codec_name, name_letters)]))
        return 0;
    if (strlen(uuid) != 32 || !parse_uuid(uuid, m->uuid))
        return 0;
    return m->first_segment != 0 && m->first_lsn != 0 && (m->clean == 0 || m->clean == 1);
}

/* Whether the last line carries the right checksum of all before it, whatever that says. */
static int checks(const char *text, size_t len)
{
    char line[32];
    size_t line_bytes = strlen("crc32c 00000000\n");

    if (len <= line_bytes)
        return 0;
    snprintf(line, sizeof line, "crc32c %08" PRIx32 "\n", vv_crc32c(0, text, len - line_bytes));
    return memcmp(text + len - line_bytes, line, line_bytes) == 0;
}

int vv_manifest_decode(const char *text, size_t len, struct vv_manifest *ret_manifest,
                       struct varve_error *ret_error)
{
    char copy[VV_MANIFEST_BYTES_MAX + 1], again[VV_MANIFEST_BYTES_MAX];
    struct vv_manifest m;

    if (len > VV_MANIFEST_BYTES_MAX || memchr(text, 0, len))
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "MANIFEST: %zu bytes that are not a manifest",
                            len);
    memcpy(copy, text, len);
    copy[len] = 0;
    if (strncmp(copy, title_stem, strlen(title_stem)) != 0)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "MANIFEST: does not begin with '%s'", title_stem);
    if (!checks(text, len))
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "MANIFEST: its checksum does not match");
    if (!parse(copy, &m) || vv_manifest_encode(&m, again) != len || memcmp(again, text, len) != 0)
        return vv_error_set(ret_error, VARVE_E_VERSION, 0,
                            "MANIFEST: is sound and has lines that this version does not know");
    *ret_manifest = m;
    return 0;
}
