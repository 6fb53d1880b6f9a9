/* exec/variables.c - the variables of a container, in the order in which they were set */
#include "exec/variables.h"

#include "base/own.h"

#define NAME_BYTES_MAX 1024

void variables_init(struct variables *v)
{
    *v = (struct variables){ 0 };
    map_init(&v->by_name);
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void variables_finish(struct variables *v)
{
    for (size_t i = 0; i < v->count; i++) {
        free(v->at[i]->name);
        wipe(v->at[i]->value);
        free(v->at[i]);
    }
    free(v->at);
    map_finish(&v->by_name);
    *v = (struct variables){ 0 };
}

bool variable_is_name(struct str name)
{
    if (str_empty(name) || name.len > NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                      c == '-' || c == '.';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return true;
}

const struct variable *variables_get(const struct variables *v, struct str name)
{
    return map_get(&v->by_name, name);
}

static struct variable *variable_of(struct variables *v, struct str name)
{
    struct variable *one = map_get(&v->by_name, name);

    if (one || v->count >= VARIABLES_MAX)
        return one;
    if ((v->count & (v->count - 1)) == 0)
        v->at =
            xrealloc(v->at, (v->count ? v->count * 2 : 1) * sizeof(struct variable *));
    one = xcalloc(1, sizeof(*one));
    one->name = str_dup(name);
    v->at[v->count++] = one;
    map_set(&v->by_name, name, one);
    return one;
}

enum err variables_set(struct variables *v, struct str name, struct str value,
                       enum omission omitted, struct diag *why)
{
    struct variable *one = variable_of(v, name);

    if (!one)
        return diag_set(why, ERR_LIMIT, "the container has more than %u variables",
                        VARIABLES_MAX);
    if (!omitted && (!variable_is_name(name) || value.len > VALUE_MAX ||
                     memchr(value.at, '\0', value.len)))
        omitted = OMITTED_INVALID;
    v->bytes -= one->value ? strlen(one->value) : 0;
    wipe(one->value);
    one->omitted = omitted;
    one->value = omitted ? NULL : str_dup(value);
    v->bytes += omitted ? 0 : value.len;
    if (v->bytes > VARIABLES_BYTES)
        return diag_set(why, ERR_LIMIT,
                        "the values of the container's variables are "
                        "larger than 2 MiB");
    return OK;
}

/* --- expansion --- */

struct expansion {
    char *at;
    size_t len, room;
};

static void put(struct expansion *x, struct str text)
{
    size_t left = VALUE_MAX + 1 - x->len;
    struct str fits = str_first(text, left);

    if (!x->at || x->len + fits.len + 1 > x->room) {
        x->room = (x->len + fits.len + 1) * 2;
        x->at = xrealloc(x->at, x->room);
    }
    if (fits.len)
        memcpy(x->at + x->len, fits.at, fits.len);
    x->len += fits.len;
    x->at[x->len] = '\0';
}

/* Takes "$(NAME)" from the text; false: it is not there. */
static bool take_reference(struct str *text, struct str *ret_name, struct str *ret_all)
{
    if (text->len < 2 || text->at[1] != '(')
        return false;
    struct str inside = str_skip(*text, 2);
    const char *end = memchr(inside.at, ')', inside.len);
    if (!end)
        return false;
    *ret_name = str_first(inside, (size_t)(end - inside.at));
    *ret_all = str_first(*text, ret_name->len + 3);
    *text = str_skip(*text, ret_all->len);
    return true;
}

char *variables_expand(const struct variables *v, struct str text,
                       enum omission *ret_omitted, size_t *ret_len)
{
    struct expansion x = { 0 };

    put(&x, STR(""));
    while (!str_empty(text) && x.len <= VALUE_MAX) {
        const char *dollar = memchr(text.at, '$', text.len);
        size_t plain = dollar ? (size_t)(dollar - text.at) : text.len;
        struct str name, all;
        put(&x, str_first(text, plain));
        text = str_skip(text, plain);
        if (str_empty(text))
            break;
        if (take_reference(&text, &name, &all)) {
            const struct variable *one = variables_get(v, name);
            if (one && one->omitted)
                *ret_omitted = one->omitted;
            put(&x, one && one->value ? str_of(one->value) : all);
            continue;
        }
        put(&x, STR("$"));
        text = str_skip(text, text.len > 1 && text.at[1] == '$' ? 2 : 1);
    }
    *ret_len = x.len;
    return x.at;
}
