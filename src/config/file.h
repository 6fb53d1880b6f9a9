/* config/file.h - one configuration file into a struct config
 *
 * Private to config/, its unit tests and its fuzz target.
 */
#pragma once

#include "config/config.h"

#define CONFIG_FILE_MAX (1 * MIB)

/* Put the settings in `text` over those from farther sources.  `path` is for origins and
 * complaints, and must live as long as c. */
MUST_CHECK enum err config_file_apply(struct config *c, enum source source,
                                      const char *path, struct str text,
                                      struct diag *why);
