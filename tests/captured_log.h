/* tests/captured_log.h - the log of the program under test, as text */
#pragma once

/* From now on lines of level info and above are captured; a limit on warnings of a module per
 * second still holds. */
void captured_log_begin(void);
/* The lines since the last call; valid until the next one. */
const char *captured_log(void);
void captured_log_end(void);
