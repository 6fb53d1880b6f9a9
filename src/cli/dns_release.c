/* cli/dns_release.c - kube-tunnel dns release: give a port back to a server of this machine */
#include "cli/dns_release.h"

#include <stdio.h>

#include "base/str.h"
#include "cli/ask.h"

int dns_release(const struct args *a, const char *const *words, size_t word_count)
{
    json_t *answer = NULL;
    uint64_t port = 0;

    if (word_count != 1 || str_to_uint(str_of(words[0]), UINT16_MAX, &port) || !port)
        return print_error(
            "dns release takes one port; for instance: kube-tunnel dns release 5432");
    if (a->own_count)
        return print_error("\"dns release\" does not take --%s", a->own[0].name);
    int status = ask(a, "POST", "/v1/addresses/release",
                     json_pack("{s:I}", "port", (json_int_t)port), &answer);
    if (!status)
        printf(
            "port %lld is free at the addresses of services (%lld were closed); look-ups "
            "open it again after %lld s\n",
            number_of(answer, "port"), number_of(answer, "closed"),
            number_of(answer, "seconds"));
    json_decref(answer);
    return status;
}
