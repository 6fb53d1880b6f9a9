#include "playground/api/path.h"

#include "base/own.h"
#include "playground/head.h"

static struct str next_part(struct str *path)
{
    struct str part;
    *path = str_cut(*path, '/', &part);
    return part;
}

/* "pods/web-1/portforward", with the namespace already taken off. */
static enum err take_resource(struct str path, struct api_path *ret)
{
    ret->plural = next_part(&path);
    ret->name = next_part(&path);
    ret->subresource = next_part(&path);
    return str_empty(ret->plural) || !str_empty(path) ? ERR_NOT_FOUND : OK;
}

enum err api_path_parse(struct str path, struct api_path *ret)
{
    *ret = (struct api_path){ 0 };
    next_part(&path); /* the empty part before the first slash */
    struct str root = next_part(&path);
    if (str_eq(root, STR("apis")))
        ret->group = next_part(&path);
    else if (!str_eq(root, STR("api")))
        return ERR_NOT_FOUND;
    ret->version = next_part(&path);

    struct str rest = path;
    if (!str_eq(next_part(&rest), STR("namespaces")))
        return take_resource(path, ret);
    struct str ns = next_part(&rest);
    if (str_empty(rest))
        return take_resource(path, ret); /* the namespace itself */
    ret->ns = ns;
    return take_resource(rest, ret);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char decode_one(struct str raw, size_t *at)
{
    char c = raw.at[*at];
    if (c == '+')
        return ' ';
    if (c != '%' || *at + 2 >= raw.len)
        return c;
    int high = hex_digit(raw.at[*at + 1]);
    int low = hex_digit(raw.at[*at + 2]);
    if (high < 0 || low < 0)
        return c;
    *at += 2;
    return (char)(high << 4 | low);
}

char *query_value(struct str target, const char *key)
{
    struct str raw = target_query(target, str_of(key));
    if (!raw.at)
        return NULL;
    char *out = xmalloc(raw.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++)
        out[n++] = decode_one(raw, &i);
    out[n] = '\0';
    return out;
}
