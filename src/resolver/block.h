/* resolver/block.h - a part of a text file that kube-tunnel manages, between two marker lines
 *
 * Texts to texts, without I/O.  What is outside the markers belongs to others and is kept byte
 * by byte: block_remove gives back what block_put was given.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

enum block_place { BLOCK_AT_END, BLOCK_AT_TOP };

/* The text with a block of these lines, in place of one that is there.  Each line ends with a
 * line feed.  *ret is owned by the caller.
 * ERR_CONFIG: the markers in the text are not one pair; *why names the line. */
MUST_CHECK enum err block_put(struct str text, struct str lines, enum block_place place,
                              char **ret, struct diag *why);
/* The text without a block; a copy of it if there is none. */
MUST_CHECK enum err block_remove(struct str text, char **ret, struct diag *why);
/* The lines of the block, a view into the text; ERR_NOT_FOUND: there is no block. */
MUST_CHECK enum err block_find(struct str text, struct str *ret_lines, struct diag *why);
