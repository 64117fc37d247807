/* SPDX-License-Identifier: Apache-2.0 */
/* varve kv DIR append, range, trim: streams of events. */
#include <inttypes.h>
#include <string.h>

#include "json.h"
#include "kv.h"
#include "units.h"
#include "varve/stream.h"

bool kv_positions(struct kv_wish *wish, const char *const *operands, size_t count)
{
    wish->from = 1;
    wish->to = VARVE_KV_STREAM_END;
    if (count > 0 && (!units_number(operands[0], &wish->from) || wish->from == 0))
        return false;
    return count < 2 || (units_number(operands[1], &wish->to) && wish->to >= wish->from);
}

int kv_append(struct kv_wish *wish)
{
    uint64_t position = 0;
    int rc = varve_kv_stream_append(wish->keeping.kv, wish->key, strlen(wish->key), wish->value,
                                    strlen(wish->value), NULL, &position, NULL);

    if (rc)
        return kv_said(wish, rc);
    out_print(&wish->out, "%" PRIu64 "\n", position);
    return EXIT_FINE;
}

int kv_trim(struct kv_wish *wish)
{
    int rc = varve_kv_stream_trim(wish->keeping.kv, wish->key, strlen(wish->key), wish->from, NULL, NULL);

    if (rc == VARVE_E_INVALID) {
        say("%s: the stream '%s' has no position %" PRIu64 " yet", wish->keeping.path, wish->key, wish->from);
        return EXIT_FAILED;
    }
    return rc ? kv_said(wish, rc) : EXIT_FINE;
}

static int kv_event(void *arg, const struct varve_kv_event *e)
{
    struct kv_wish *wish = arg;
    struct json json = {.out = &wish->out};

    if (wish->json) {
        json_object(&json, NULL);
        json_number(&json, "position", e->position);
        json_number(&json, "lsn", e->lsn);
        json_object(&json, "event");
        json_payload(&json, e->data, e->bytes);
        json_object_end(&json);
        json_object_end(&json);
        json_line_end(&json);
    } else {
        out_print(&wish->out, "%" PRIu64 "\t", e->position);
        out_bytes(&wish->out, e->data, e->bytes);
        out_byte(&wish->out, '\n');
    }
    return out_is_abandoned(&wish->out) ? 1 : 0;
}

int kv_range(struct kv_wish *wish)
{
    int rc = varve_kv_stream_range(wish->keeping.kv, wish->key, strlen(wish->key), wish->from, wish->to,
                                   (size_t)wish->limit, kv_event, wish, NULL);

    return rc < 0 ? kv_said(wish, rc) : EXIT_FINE;
}
