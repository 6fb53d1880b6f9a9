#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "authorities.h"

#include "playground/tls_server.h"

struct local_ca *ca, *other_ca;

int authorities_make(void **state)
{
    (void)state;
    struct diag why;

    if (local_ca_create("test authority", &ca, &why) ||
        local_ca_create("another authority", &other_ca, &why))
        return -1;
    return 0;
}

int authorities_drop(void **state)
{
    (void)state;
    local_ca_destroy(ca);
    local_ca_destroy(other_ca);
    return 0;
}

struct tls_context *context_of_server(const struct offered *offered)
{
    const char *const names[] = { offered->name, NULL };
    struct certificate_request request = {
        .common_name = "web", .names = names, .server = true, .days = offered->days
    };
    struct tls_context *context = NULL;
    struct identity id = { 0 };
    struct diag why;

    assert_int_equal(local_ca_issue(offered->by, &request, &id, &why), OK);
    struct tls_server_settings settings = { .certificate = id.certificate,
                                            .key = id.key,
                                            .alpn = offered->alpn };
    assert_int_equal(tls_server_context(&settings, &context, &why), OK);
    identity_finish(&id);
    return context;
}
