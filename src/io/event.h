/* SPDX-License-Identifier: Apache-2.0 */
/* An eventfd: how a log tells an event loop that something has happened. Source: eventfd(2). */
#ifndef VV_IO_EVENT_H
#define VV_IO_EVENT_H

/* A non-blocking, close-on-exec eventfd in *ret_fd. Negative errno on failure. */
int vv_event_open(int *ret_fd);
/* Makes it readable. Never blocks; a counter that is full is readable already. */
void vv_event_signal(int fd);
void vv_event_close(int fd);

#endif
