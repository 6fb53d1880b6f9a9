/* daemon/orders.h - the control socket, and what its clients may order
 *
 * Private to daemon/.
 */
#pragma once

struct daemon;

/* Opens d->control, unless the settings forbid it; all parts exist.  A failure is logged. */
void orders_listen(struct daemon *d);
