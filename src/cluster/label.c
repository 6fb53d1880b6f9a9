/* cluster/label.c - a context's name as one label of DNS names */
#include "cluster/label.h"

#include <stdio.h>

#include "base/own.h"

#define LABEL_MAX (LABEL_ROOM - 1)

/* The part of a provider's long name that people know the cluster by. */
static struct str known_part(struct str context)
{
    bool arn = str_starts(context, STR("arn:"));
    bool gke = str_starts(context, STR("gke_"));
    size_t from = 0;

    for (size_t i = 0; i < context.len; i++) {
        char c = context.at[i];
        if ((arn && (c == '/' || c == ':')) || (gke && c == '_'))
            from = i + 1;
    }
    return from < context.len ? str_skip(context, from) : context;
}

static char plain(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ? c : '\0';
}

/* The last `len` characters are cut off, and what may not stand at the end then. */
static void cut(char *label, size_t len)
{
    while (len && label[len - 1] == '-')
        len--;
    label[len] = '\0';
}

void label_of_context(struct str context, char ret[static LABEL_ROOM])
{
    struct str part = known_part(context);
    bool replaced = false;
    size_t len = 0;

    for (size_t i = 0; i < part.len && len < LABEL_MAX; i++) {
        char c = plain(part.at[i]);
        bool again = !c && replaced;
        replaced = !c;
        c = c ? c : '-';
        if (!again && (len || c != '-'))
            ret[len++] = c;
    }
    cut(ret, len);
    if (!ret[0])
        snprintf(ret, LABEL_ROOM, "context");
}

void label_with_number(const char *label, unsigned number, char ret[static LABEL_ROOM])
{
    char suffix[16];
    size_t len = strnlen(label, LABEL_MAX);
    size_t tail = (size_t)snprintf(suffix, sizeof(suffix), "-%u", number);
    size_t room = LABEL_MAX - tail;

    memmove(ret, label, len);
    cut(ret, len < room ? len : room);
    memcpy(ret + strlen(ret), suffix, tail + 1);
}

bool label_is_reserved(struct str label, struct str zone)
{
    static const char *const reserved[] = { "svc", "pod", "deploy", "localhost", "k8s" };
    struct str rest;

    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (str_eq(label, str_of(reserved[i])))
            return true;
    if (str_ends(zone, STR(".")))
        zone = str_first(zone, zone.len - 1);
    struct str last = str_cut_last(zone, '.', &rest);
    return str_ieq(label, last.at ? last : zone);
}
