/* config/layer.h - apply the values of one source
 *
 * Sources are applied in ascending precedence.  The first value that a source has for a
 * setting replaces the earlier value; further ones are added to a list, and replace any
 * other value, for example of a flag that is given twice.  Private to config/.
 */
#pragma once

#include "config/setting.h"

/* *why begins with the value; the caller puts the place before it. */
MUST_CHECK enum err layer_apply(struct config *c, const struct setting *s,
                                const struct origin *origin, struct str text,
                                struct diag *why);

/* Has this source set the setting already? */
bool layer_holds(const struct config *c, const struct setting *s,
                 const struct origin *origin);
