/* daemon/limits.h - limits of the process: clients, buffered bytes, sockets of addresses
 *
 * From the settings, the limit on open files and that of the cgroup.  Private to daemon/.
 */
#pragma once

struct daemon;

void limit_clients(struct daemon *d);
void limit_memory(struct daemon *d);
void limit_addresses(struct daemon *d); /* nothing where there are none */
