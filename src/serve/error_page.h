/* serve/error_page.h - the page of a refusal, in the format that the client prefers
 *
 * Plain text, JSON or HTML.  Does not depend on the meaning of causes; escapes all texts.
 */
#pragma once

#include "serve/explanation.h"
#include "http/page.h"
#include "serve/refusal.h"
#include "wire/http1.h"

enum page_format { PAGE_TEXT, PAGE_JSON, PAGE_HTML };

/* From Accept; plain text when it has no preference, or head is NULL. */
enum page_format page_format_wanted(const struct http1_head *head);

/* Type, status and body of the page; the body is *ret_text, owned by the caller. */
void error_page_write(enum cause cause, const struct explanation *text,
                      enum page_format format, struct page *ret, char **ret_text);
