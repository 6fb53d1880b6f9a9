/* serve/explanation.h - the text of an error page, in parts
 *
 * Texts may hold what a client or a server sent: control characters are replaced here, the
 * rest is escaped where it is printed (serve/error_page.h).
 */
#pragma once

#include <stdint.h>

#include "base/own.h"
#include "base/str.h"

struct explanation {
    char first[512];      /* one line: what */
    char detail[512];     /* which object and why; may be empty */
    char hint[1024];      /* what to do about it; may have lines, or be empty */
    const char *link;     /* of a page that helps; borrowed; NULL: none */
    uint32_t retry_after; /* seconds; 0: not known */
};

/* The first line begins with `title`; everything else is empty. */
void explanation_begin(struct explanation *e, const char *title);
/* The rest of the first line, as it stands. */
void explanation_first(struct explanation *e, const char *format, ...) PRINTF_LIKE(2, 3);
void explanation_detail(struct explanation *e, const char *format, ...) PRINTF_LIKE(2, 3);
void explanation_hint(struct explanation *e, const char *format, ...) PRINTF_LIKE(2, 3);
