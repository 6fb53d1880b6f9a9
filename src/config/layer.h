/* config/layer.h - values from one source over those from farther ones
 *
 * Sources are applied from far to near.  The first value that a source has for a setting
 * replaces what was there; further ones add to a list and replace anything else, as a
 * flag given twice does.  Private to config/.
 */
#pragma once

#include "config/setting.h"

/* The message begins with the value; the caller prefixes the place. */
MUST_CHECK enum err layer_apply(struct config *c, const struct setting *s,
                                const struct origin *origin, struct str text,
                                struct diag *why);

/* Has this source set it already? */
bool layer_holds(const struct config *c, const struct setting *s,
                 const struct origin *origin);
