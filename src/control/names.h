/* control/names.h - a stream of names and their addresses
 *
 * A reader gets a line of JSON for each name of its namespaces, a line {"type":"ready"}, and then
 * each change.  Their addresses stay open until it leaves.  A reader that does not read gets the latest
 * state of each name later: nothing waits for it in memory.  Private to control/.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct address_pin;
struct bufq;
struct control;
struct task;

/* Parameters of the query: context=LABEL, namespace=NAME[,NAME...].  wake: woken when there is more
 * to write.  ERR_CONFIG: *why names the parameter.  Others: pin_open. */
MUST_CHECK enum err names_open(const struct control *c, struct str query,
                               struct task *wake, struct address_pin **ret,
                               struct diag *why);
/* Writes as many lines as there is room for. */
void names_write(const struct control *c, struct address_pin *p, struct bufq *out);
