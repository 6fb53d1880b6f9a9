/* serve/error_page.c - the page of a refusal, in the format that the client prefers */
#include "serve/error_page.h"

#include <jansson.h>
#include <stdio.h>

#include "base/own.h"

struct error_page {
    enum cause cause;
    const struct explanation *text;
};

/* Which of ours a member of Accept means; false: none.  Wildcards are plain text, and
 * only when nothing else is named. */
static bool format_of(struct str type, enum page_format *ret, bool *ret_wild)
{
    *ret_wild = str_eq(type, STR("*/*")) || str_ieq(type, STR("text/*"));
    if (*ret_wild || str_ieq(type, STR("text/plain")))
        *ret = PAGE_TEXT;
    else if (str_ieq(type, STR("application/json")) || str_iends(type, STR("+json")))
        *ret = PAGE_JSON;
    else if (str_ieq(type, STR("text/html")))
        *ret = PAGE_HTML;
    else
        return false;
    return true;
}

/* "0.85" in thousandths; what is no number counts as 1. */
static unsigned weight_of(struct str parameters)
{
    while (!str_empty(parameters)) {
        struct str one;
        parameters = str_cut(parameters, ';', &one);
        one = str_trim(one);
        if (one.len < 3 || (one.at[0] | 0x20) != 'q' || one.at[1] != '=')
            continue;
        unsigned weight = one.at[2] == '0' ? 0 : 1000, unit = 100;
        for (size_t i = 4; i < one.len && unit; i++, unit /= 10)
            if (one.at[i] >= '0' && one.at[i] <= '9' && weight < 1000)
                weight += (unsigned)(one.at[i] - '0') * unit;
        return weight;
    }
    return 1000;
}

struct preference {
    enum page_format format;
    unsigned weight; /* twice the thousandths, less one for a wildcard */
};

static void prefer(struct preference *best, struct str member)
{
    struct str type;
    struct str parameters = str_cut(member, ';', &type);
    enum page_format format;
    bool wild;

    if (!format_of(str_trim(type), &format, &wild))
        return;
    unsigned weight = weight_of(parameters) * 2;
    if (weight && wild)
        weight = 1;
    if (weight > best->weight)
        *best = (struct preference){ format, weight };
}

enum page_format page_format_wanted(const struct http1_head *head)
{
    struct preference best = { PAGE_TEXT, 0 };

    for (size_t i = 0; head && i < head->count; i++) {
        struct str list = head->fields[i].value;
        while (head->fields[i].id == FIELD_ACCEPT && !str_empty(list)) {
            struct str member;
            list = str_cut(list, ',', &member);
            prefer(&best, member);
        }
    }
    return best.format;
}

static void print_text(FILE *out, const struct error_page *p)
{
    const struct explanation *e = p->text;

    fprintf(out, "%s\n", e->first);
    if (e->detail[0])
        fprintf(out, "\n%s\n", e->detail);
    if (e->hint[0])
        fprintf(out, "%s%s\n", e->detail[0] ? "" : "\n", e->hint);
}

/* JSON is UTF-8, and the texts of servers and clients may not be: bytes above ASCII become
 * question marks. */
static json_t *json_ascii(const char *text)
{
    AUTO_FREE char *ascii = xstrdup(text);

    for (char *at = ascii; *at; at++)
        if ((unsigned char)*at >= 0x7f)
            *at = '?';
    return json_string(ascii);
}

static void print_json(FILE *out, const struct error_page *p)
{
    const struct explanation *e = p->text;
    json_t *object =
        json_pack("{s:o, s:s, s:i, s:o, s:o}", "error", json_ascii(e->first), "cause",
                  cause_label(p->cause), "status", cause_status(p->cause), "detail",
                  json_ascii(e->detail), "hint", json_ascii(e->hint));

    if (e->retry_after)
        json_object_set_new(object, "retryAfter", json_integer(e->retry_after));
    json_dumpf(object, out, JSON_COMPACT);
    fputc('\n', out);
    json_decref(object);
}

static void print_escaped(FILE *out, const char *s)
{
    for (; *s; s++) {
        const char *entity = *s == '<'    ? "&lt;"
                             : *s == '>'  ? "&gt;"
                             : *s == '&'  ? "&amp;"
                             : *s == '"'  ? "&quot;"
                             : *s == '\'' ? "&#39;"
                                          : NULL;
        if (entity)
            fputs(entity, out);
        else
            fputc(*s, out);
    }
}

static void print_element(FILE *out, const char *element, const char *text)
{
    if (!text[0])
        return;
    fprintf(out, "<%s>", element);
    print_escaped(out, text);
    fprintf(out, "</%s>\n", element);
}

static void print_html(FILE *out, const struct error_page *p)
{
    int status = cause_status(p->cause);

    fprintf(out,
            "<!doctype html>\n<meta charset=\"utf-8\">\n<title>%d %s</title>\n"
            "<style>body{font:16px/1.5 sans-serif;max-width:44em;margin:3em auto;"
            "padding:0 1em}h1{font-size:1.2em}pre{white-space:pre-wrap}</style>\n",
            status, http1_reason(status));
    print_element(out, "h1", p->text->first);
    print_element(out, "p", p->text->detail);
    print_element(out, "pre", p->text->hint);
    if (p->text->link) {
        fputs("<p><a href=\"", out);
        print_escaped(out, p->text->link);
        fputs("\">Log in</a></p>\n", out);
    }
    fprintf(out, "<p><small>%d, from kube-tunnel</small></p>\n", status);
}

void error_page_write(enum cause cause, const struct explanation *text,
                      enum page_format format, struct page *ret, char **ret_text)
{
    static const struct {
        const char *type;
        void (*print)(FILE *out, const struct error_page *p);
    } formats[] = {
        [PAGE_TEXT] = { "text/plain; charset=utf-8", print_text },
        [PAGE_JSON] = { "application/json", print_json },
        [PAGE_HTML] = { "text/html; charset=utf-8", print_html },
    };
    const struct error_page p = { cause, text };
    size_t len = 0;
    FILE *out = open_memstream(ret_text, &len);

    if (!out)
        abort();
    formats[format].print(out, &p);
    if (fclose(out))
        abort();
    *ret = (struct page){
        .status = cause_status(cause),
        .type = formats[format].type,
        .body = { *ret_text, len },
        .retry_after = text->retry_after,
        .challenge = cause == CAUSE_PROXY_USER ? "Basic realm=\"kube-tunnel\"" : NULL,
    };
}
