/* daemon/notify.h - tell the service manager, as sd_notify(3) does */
#pragma once

/* "READY=1", "STOPPING=1".  Without $NOTIFY_SOCKET nobody wants to know. */
void notify(const char *state);
