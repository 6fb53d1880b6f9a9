/* tests/fuzz/frames_websocket_fuzz.c - the same as frames_fuzz.c, in a WebSocket
 *
 * Op 1 sends bytes as the payload of a message, op 7 as they are.
 */
#define FRAMES_IN_WEBSOCKET 1
#include "frames_fuzz.c"
