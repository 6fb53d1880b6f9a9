/* base/partition.c - the number and name of a part, for log lines and metrics */
#include "base/partition.h"

#include "base/own.h"

static struct {
    const char **names; /* by number */
    unsigned room, count;
} parts;

static void make_room(unsigned number)
{
    unsigned room = number + 1 + number / 2;

    parts.names = xrealloc(parts.names, room * sizeof(*parts.names));
    while (parts.room < room)
        parts.names[parts.room++] = NULL;
}

void partition_set_name(uint16_t number, const char *name)
{
    if (number >= parts.room) {
        if (!name)
            return;
        make_room(number);
    }
    parts.count -= parts.names[number] != NULL;
    parts.count += name != NULL;
    parts.names[number] = name;
    if (parts.count)
        return;
    free(TAKE(parts.names));
    parts.room = 0;
}

const char *partition_name(uint16_t number)
{
    return number < parts.room ? parts.names[number] : NULL;
}

unsigned partition_count(void)
{
    return parts.count;
}
