/* daemon/notify.h - notify the service manager, as sd_notify(3) does */
#pragma once

/* "READY=1", "STOPPING=1".  Without $NOTIFY_SOCKET nothing is sent. */
void notify(const char *state);
