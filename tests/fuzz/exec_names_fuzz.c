/* tests/fuzz/exec_names_fuzz.c - any lines as those of the control socket's names
 *
 * What is written to the hosts file has a loopback address of a service and names with the form
 * of the cluster's, or short ones of the chosen namespaces.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/own.h"
#include "exec/names.h"
#include "exec/nsswitch.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_line(struct str line)
{
    struct str address, name, rest = str_cut(line, ' ', &address);
    AUTO_FREE char *text = str_dup(address);
    struct in_addr parsed;

    assert(line.len <= HOSTS_LINE);
    assert(inet_pton(AF_INET, text, &parsed) == 1);
    assert(ntohl(parsed.s_addr) >> 24 == 127 && ntohl(parsed.s_addr) >> 16 != 0x7f00);
    while (!str_empty(rest)) {
        rest = str_cut(rest, ' ', &name);
        assert(hosts_is_name(name) && !str_eq(name, STR("localhost")));
    }
}

static void check_file(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    AUTO_FREE char *text = xcalloc(1, (size_t)size + 1);
    struct str line, rest = { text, (size_t)size };

    assert(pread(fd, text, (size_t)size, 0) == size);
    while (!str_empty(rest)) {
        rest = str_cut(rest, '\n', &line);
        if (!str_empty(line) && line.at[0] != '#')
            check_line(line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char *const namespaces[] = { "shop", "a" };
    struct str line, all = { (const char *)bytes, len }, rest = all;
    int fd = memfd_create("hosts", 0);
    struct hosts *h = NULL;
    struct service_names n;

    service_names_init(&n, namespaces, ARRAY_LEN(namespaces));
    service_names_set_machine(&n, str_first(all, 64));
    if (hosts_create(dup(fd), STR(""), &h, NULL))
        abort();
    while (!str_empty(rest)) {
        rest = str_cut(rest, '\n', &line);
        if (service_names_take(&n, line) && service_names_store(&n, h, NULL))
            abort();
    }
    check_file(fd);
    hosts_destroy(h);
    service_names_finish(&n);
    close(fd);
    free(nsswitch_derive(all));
    return 0;
}
