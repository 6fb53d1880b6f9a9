/* cli/har.h - requests as an HTTP archive (HAR 1.2), written while they come
 *
 * The file is for its user alone (mode 0600) and is valid JSON after each entry, also when
 * the disk is full.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

struct har;

/* Replaces the file, unless it is another user's, has two names or is not regular.
 * ERR_IO: *why has the reason. */
MUST_CHECK enum err har_create(const char *path, uint64_t limit, struct har **ret,
                               struct diag *why);
/* An event of the control socket, with its headers.
 * ERR_LIMIT: the file would exceed the limit.  ERR_IO: it could not be written.  The file
 * has the entries before. */
MUST_CHECK enum err har_add(struct har *h, const json_t *event, struct diag *why);
void har_close(struct har *h); /* NULL accepted */
