/* daemon/notify.h - notify the service manager, as sd_notify(3) does */
#pragma once

/* "READY=1", "STOPPING=1".  Without $NOTIFY_SOCKET nothing is sent. */
void notify(const char *state);
/* "RELOADING=1", with the time that systemd asks for; "READY=1" follows. */
void notify_reloading(void);
