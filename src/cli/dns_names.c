/* cli/dns_names.c - names of the cluster as lines for a hosts file */
#include "cli/dns_names.h"

#include <jansson.h>

#include "base/own.h"
#include "control/client.h"

#define LINES_MAX (512 * 1024)

/* What was read so far. */
struct known {
    const struct texts *domains;
    char *text;
    size_t len, room;
    bool ready, too_long;
};

static bool is_below_one(const char *name, const struct texts *domains)
{
    for (size_t i = 0; i < domains->count; i++) {
        AUTO_FREE char *suffix = xasprintf(".%s", domains->at[i]);
        if (str_ends(str_of(name), str_of(suffix)))
            return true;
    }
    return false;
}

static void add_line(struct known *k, const char *address, const char *name)
{
    AUTO_FREE char *line = xasprintf("%s %s\n", address, name);
    size_t len = strlen(line);

    if (k->len + len > LINES_MAX) {
        k->too_long = true;
        return;
    }
    if (k->len + len + 1 > k->room) {
        k->room = 2 * k->room + len + 1;
        k->text = xrealloc(k->text, k->room);
    }
    memcpy(k->text + k->len, line, len + 1);
    k->len += len;
}

/* The first name is the longest. */
static void take_line(struct known *k, struct str line)
{
    json_t *json = json_loadb(line.at, line.len, 0, NULL);
    const char *type = json_string_value(json_object_get(json, "type"));
    const char *address = json_string_value(json_object_get(json, "address"));
    const char *name =
        json_string_value(json_array_get(json_object_get(json, "names"), 0));

    if (type && strcmp(type, "ready") == 0)
        k->ready = true;
    if (type && strcmp(type, "name") == 0 && address && name &&
        is_below_one(name, k->domains))
        add_line(k, address, name);
    json_decref(json);
}

static enum err read_lines(struct control_lines *l, struct known *k, struct diag *why)
{
    static const volatile sig_atomic_t never = 0;
    struct str line;
    enum err e = OK;

    while (!e && !k->ready && !k->too_long) {
        e = control_lines_next(l, &never, &line);
        if (!e)
            take_line(k, line);
    }
    if (k->too_long)
        return diag_set(why, ERR_LIMIT, "the names are more than %d bytes", LINES_MAX);
    return e ? diag_set(why, e, "the list of names ended early") : OK;
}

char *dns_known_names(const struct args *a, const struct texts *domains, struct diag *why)
{
    AUTO(config_unrefp) struct config *config = NULL;
    struct known k = { .domains = domains, .text = xstrdup("") };
    struct control_lines *lines = NULL;
    enum err e = read_config(a, &config, why);

    if (!e)
        e = control_lines_open(config->name, "/v1/names", &lines, why);
    if (!e)
        e = read_lines(lines, &k, why);
    control_lines_close(lines);
    if (e || !k.len) {
        free(k.text);
        return NULL;
    }
    return k.text;
}
