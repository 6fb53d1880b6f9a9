/* config/file.h - read one configuration file into a struct config
 *
 * Private to config/, its unit tests and its fuzz target.
 */
#pragma once

#include "config/config.h"

#define CONFIG_FILE_MAX (1 * MIB)

/* Applies the settings in `text`, which replace those of sources with less precedence.
 * `path` is for origins and error texts, and must remain valid as long as c. */
MUST_CHECK enum err config_file_apply(struct config *c, enum source source,
                                      const char *path, struct str text,
                                      struct diag *why);
