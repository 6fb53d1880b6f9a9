#include "cluster/members.h"

#include "base/log.h"
#include "base/own.h"
#include "base/partition.h"

LOG_MODULE(cluster);

#define MEMBERS_MAX PARTITIONS_MAX

/* Until there are several, logs and metrics have no cluster label. */
static void name_partitions(const struct clusters *cs)
{
    size_t from = cs->count > 2 ? cs->count - 1 : 0;

    for (size_t i = from; cs->count > 1 && i < cs->count; i++)
        partition_set_name(cs->members[i]->number, cs->members[i]->label);
}

static bool may_have_label(const struct clusters *cs, const char *label)
{
    return !label_is_reserved(str_of(label), cs->choice.zone) &&
           !map_get(&cs->by_label, str_of(label));
}

/* The first of LABEL, LABEL-2, LABEL-3, ... that is free; numbers that were tried once are not
 * tried again, as none becomes free. */
static void choose_label(struct clusters *cs, struct member *m)
{
    char wanted[LABEL_ROOM];

    label_of_context(str_of(m->name), wanted);
    memcpy(m->label, wanted, sizeof(wanted));
    if (!may_have_label(cs, m->label)) {
        uintptr_t n = (uintptr_t)map_get(&cs->numbers, str_of(wanted));
        n = n ? n : 1;
        do
            label_with_number(wanted, (unsigned)++n, m->label);
        while (!may_have_label(cs, m->label));
        map_set(&cs->numbers, str_of(wanted), (void *)n);
    }
    if (strcmp(m->label, wanted) != 0)
        log_warn(NO_ID, "the label of a context is taken: a number was added",
                 LOG_S("context", m->name), LOG_S("wanted", wanted),
                 LOG_S("label", m->label));
    else
        log_debug(NO_ID, "context", LOG_S("context", m->name), LOG_S("label", m->label));
}

struct member *clusters_add(struct clusters *cs, const char *name)
{
    if (cs->count == MEMBERS_MAX - 1)
        return NULL;
    struct member *m = xcalloc(1, sizeof(*m));
    m->table = cs;
    m->name = xstrdup(name);
    m->number = (uint16_t)(cs->count + 1);
    m->present = true;
    choose_label(cs, m);
    if ((cs->count & (cs->count - 1)) == 0)
        cs->members =
            xrealloc(cs->members, (cs->count ? cs->count * 2 : 1) * sizeof(*cs->members));
    cs->members[cs->count++] = m;
    map_set(&cs->by_name, str_of(m->name), m);
    map_set(&cs->by_label, str_of(m->label), m);
    name_partitions(cs);
    return m;
}

void clusters_add_all(struct clusters *cs)
{
    list_for_each (e, &cs->kubeconfig->contexts.list, struct kc_entry, node) {
        if (map_get(&cs->by_name, str_of(e->name)))
            continue;
        if (!clusters_add(cs, e->name)) {
            log_warn(NO_ID, "too many contexts", LOG_U("max", MEMBERS_MAX - 1));
            return;
        }
    }
}
