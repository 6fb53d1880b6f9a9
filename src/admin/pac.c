#include "admin/pac.h"

#include <stdio.h>

#include "base/own.h"

/* The labels after the namespace in full names. */
static const char *const kinds[] = { "svc", "pod", "deploy" };

/* Is it free of bytes that could end a string of the script? */
static bool is_plain(struct str authority)
{
    const struct str others = STR(".:-[]");

    for (size_t i = 0; i < authority.len; i++) {
        char c = authority.at[i];
        bool alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && !memchr(others.at, c, others.len))
            return false;
    }
    return authority.len > 0 && authority.len < 256;
}

static void put_zones(FILE *out, const char *label, const char *zone)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        fprintf(out, "        \".%s.%s%s%s\",\n", kinds[i], label, *label ? "." : "",
                zone);
}

static void put_cluster(void *owner, const struct cluster_status *s)
{
    if (s->several)
        put_zones(owner, s->label, "k8s");
}

char *pac_text(const struct clusters *clusters, const char *zone, struct str authority)
{
    struct str proxy = is_plain(authority) ? authority : STR("localhost");
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        abort();
    fputs("function FindProxyForURL(url, host) {\n    var zones = [\n", out);
    put_zones(out, "", zone);
    clusters_each(clusters, put_cluster, out);
    fprintf(out,
            "    ];\n"
            "    host = host.toLowerCase().replace(/\\.$/, \"\");\n"
            "    for (var i = 0; i < zones.length; i++)\n"
            "        if (host.slice(-zones[i].length) === zones[i])\n"
            "            return \"PROXY %.*s\";\n"
            "    return \"DIRECT\";\n"
            "}\n",
            STR_ARG(proxy));
    if (fclose(out))
        abort();
    return text;
}
