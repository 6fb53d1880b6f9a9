/* tests/fuzz/tunnel_fuzz.c - tunnels end to end, on both transports
 *
 * The random test of tunnel_random_test.c with the input in place of its random numbers: bytes
 * go through the real tunnels both ways and arrive in order, and the rules of
 * tunnel_rules.c hold after every event.
 */
int random_test_main(int argc, char **argv); /* not called */
#define main random_test_main
#include "../session/tunnel_random_test.c"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    script = bytes;
    script_end = bytes + len;
    if (len)
        play();
    return 0;
}
