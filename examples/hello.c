/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <varve/varve.h>

int main(void)
{
    struct varve_error error = {0};
    struct varve_cursor *cursor = NULL;
    struct varve_log *log = NULL;
    struct varve_entry entry;
    int rc = varve_open("hello.varve", NULL, &log, &error);

    if (rc == 0)
        rc = varve_append(log, "hello, world", 12, NULL); /* returns once it is durable */
    if (rc == 0)
        rc = varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, &error);
    while (rc == 0 && (rc = varve_cursor_next(cursor, &entry)) == 0)
        printf("%llu %.*s\n", (unsigned long long)entry.lsn, (int)entry.data_bytes, (const char *)entry.data);
    varve_cursor_close(cursor);
    if (rc != VARVE_END)
        fprintf(stderr, "hello: %s\n", error.message[0] ? error.message : varve_error_meaning(rc));
    return varve_close(log, &error) != 0 || rc != VARVE_END;
}
