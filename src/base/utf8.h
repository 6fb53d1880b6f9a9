/* base/utf8.h - UTF-8 sequences, and text that is safe to show */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the sequence at the beginning of `len` bytes, at least one (RFC 3629, section
 * 4); 0: there is none. */
size_t utf8_length(const char *at, size_t len);
/* The code point of such a sequence of `len` bytes, up to three. */
uint32_t utf8_code_point(const char *at, size_t len);
/* Is this sequence one that a terminal acts upon, or that changes the order in which text is
 * shown: C0, DEL, C1, or a bidirectional control? */
bool utf8_is_control(const char *at, size_t len);

/* Make text from outside safe for a terminal or a page: a control, and a byte that is not
 * UTF-8, becomes '?'; white space becomes a blank.  lines: line feeds are kept. */
void text_make_printable(char *text, bool lines);
