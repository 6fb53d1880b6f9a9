/* net/changes.h - detects that the machine slept, or its addresses changed
 *
 * After either, connections may be dead although no error was reported.  Sleep shows as a
 * jump of CLOCK_BOOTTIME against CLOCK_MONOTONIC, which stands still meanwhile; addresses
 * are reported by the kernel over netlink (rtnetlink(7)).
 */
#pragma once

#include "net/loop.h"

struct changes;

/* *wake is woken after each.  Without netlink (a sandbox) only sleep is noticed. */
struct changes *changes_open(struct loop *l, struct task *wake);
void changes_close(struct changes *c); /* NULL accepted */
