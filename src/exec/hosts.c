/* exec/hosts.c - the hosts file of a view: the machine's lines, then names of services */
#include "exec/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/map.h"
#include "base/own.h"

#define NAME_MAX_LEN 253
#define LABEL_MAX_LEN 63
#define DEAD_MAX                                                                         \
    ((size_t)64 << 10) /* bytes of comments, before the file is written anew */

/* A line of the file. */
struct host_line {
    size_t at, len; /* with its end */
    unsigned generation;
};

struct hosts {
    int fd;
    size_t begin, end; /* of the lines of services in the file */
    size_t dead;       /* bytes of lines that are comments now */
    unsigned generation;
    struct map lines;      /* text with its end -> struct host_line */
    char page[HOSTS_PAGE]; /* what is to be written at `end`, inside one page */
    size_t filled;
    char line[HOSTS_LINE + 2]; /* being collected */
    size_t line_len;
    struct in_addr address; /* of it */
    bool anew;              /* this replacement writes every line again */
    enum err failed;        /* the first error of this replacement */
    int failed_errno;
};

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '_';
}

static bool is_label(struct str label)
{
    if (str_empty(label) || label.len > LABEL_MAX_LEN)
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!is_name_byte(label.at[i]))
            return false;
    return label.at[0] != '-' && label.at[label.len - 1] != '-';
}

bool hosts_is_name(struct str name)
{
    struct str rest = name, label;

    if (str_empty(name) || name.len > NAME_MAX_LEN || name.at[name.len - 1] == '.')
        return false;
    while (rest.at) {
        rest = str_cut(rest, '.', &label);
        if (!is_label(label))
            return false;
    }
    return true;
}

static void set_failed(struct hosts *h, int error)
{
    if (h->failed)
        return;
    h->failed = error == ENOSPC || error == EFBIG ? ERR_LIMIT : ERR_IO;
    h->failed_errno = error;
}

/* Also after an error: a line that is removed must not stay because another had no room. */
static bool write_at(struct hosts *h, const char *bytes, size_t len, size_t at)
{
    while (len) {
        ssize_t n = pwrite(h->fd, bytes, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            set_failed(h, errno);
            return false;
        }
        bytes += n;
        at += (size_t)n;
        len -= (size_t)n;
    }
    return true;
}

static void flush_page(struct hosts *h)
{
    if (write_at(h, h->page, h->filled, h->end))
        h->end += h->filled;
    h->filled = 0;
}

/* Blank lines up to the end of the page. */
static void pad_page(struct hosts *h)
{
    size_t used = (h->end + h->filled) % HOSTS_PAGE;

    while (used && used < HOSTS_PAGE) {
        h->page[h->filled++] = '\n';
        used++;
    }
    flush_page(h);
}

/* Where the next line of this length is going to be. */
static size_t place_line(struct hosts *h, size_t len)
{
    if ((h->end + h->filled) % HOSTS_PAGE + len > HOSTS_PAGE ||
        (h->filled && (h->end + h->filled) % HOSTS_PAGE == 0))
        pad_page(h);
    return h->end + h->filled;
}

static void append_line(struct hosts *h, struct str text, struct host_line *line)
{
    line->at = place_line(h, text.len);
    memcpy(h->page + h->filled, text.at, text.len);
    h->filled += text.len;
}

enum err hosts_create(int fd, struct str machine, struct hosts **ret, struct diag *why)
{
    struct hosts *h = xcalloc(1, sizeof(*h));

    h->fd = fd;
    map_init(&h->lines);
    if (write_at(h, machine.at, machine.len, 0))
        h->end = machine.len;
    if (machine.len && machine.at[machine.len - 1] != '\n' &&
        write_at(h, "\n", 1, h->end))
        h->end++;
    pad_page(h);
    h->begin = h->end;
    if (h->failed) {
        enum err e = diag_set(why, h->failed, "the private hosts file: %s",
                              strerror(h->failed_errno));
        hosts_destroy(h);
        return e;
    }
    *ret = h;
    return OK;
}

static void remove_all(struct hosts *h)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&h->lines, &at));)
        free(entry->value);
    map_finish(&h->lines);
}

void hosts_destroy(struct hosts *h)
{
    if (!h)
        return;
    remove_all(h);
    if (h->fd >= 0)
        close(h->fd);
    free(h);
}

int hosts_fd(const struct hosts *h)
{
    return h->fd;
}

/* After an error it is not known which lines the file has. */
static void forget_all(struct hosts *h)
{
    remove_all(h);
    map_init(&h->lines);
    h->end = h->begin;
    h->dead = 0;
}

void hosts_begin(struct hosts *h)
{
    h->generation++;
    h->line_len = 0;
    h->anew = h->failed != OK;
    h->failed = OK;
    if (h->anew)
        forget_all(h);
}

static void end_line(struct hosts *h)
{
    struct str text = { h->line, h->line_len + 1 };

    if (!h->line_len)
        return;
    h->line[h->line_len] = '\n';
    h->line_len = 0;
    struct host_line *line = map_get(&h->lines, text);
    if (!line) {
        line = xcalloc(1, sizeof(*line));
        line->len = text.len;
        append_line(h, text, line);
        map_set(&h->lines, text, line);
    }
    line->generation = h->generation;
}

static void begin_line(struct hosts *h, struct in_addr address)
{
    char text[INET_ADDRSTRLEN];

    h->address = address;
    inet_ntop(AF_INET, &address, text, sizeof(text));
    h->line_len = str_append(h->line, HOSTS_LINE, 0, str_of(text));
}

bool hosts_add(struct hosts *h, struct in_addr address, struct str name)
{
    if (!hosts_is_name(name))
        return false;
    if (h->line_len &&
        (h->address.s_addr != address.s_addr || h->line_len + 1 + name.len > HOSTS_LINE))
        end_line(h);
    if (!h->line_len)
        begin_line(h, address);
    h->line[h->line_len++] = ' ';
    h->line_len = str_append(h->line, HOSTS_LINE, h->line_len, name);
    return true;
}

/* Lines that were not added this time become comments. */
static void remove_old(struct hosts *h)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&h->lines, &at));) {
        struct host_line *line = entry->value;
        if (line->generation == h->generation)
            continue;
        write_at(h, "#", 1, line->at);
        h->dead += line->len;
        free(map_remove(&h->lines, (struct str){ entry->key, entry->key_len }));
    }
}

static void cut_rest(struct hosts *h)
{
    pad_page(h);
    if (!h->failed && ftruncate(h->fd, (off_t)h->end))
        set_failed(h, errno);
}

/* Writes the lines from the beginning, page by page: a reader may miss a line for a moment,
 * and sees none that is wrong. */
static void write_anew(struct hosts *h)
{
    struct map_entry *entry;

    h->end = h->begin;
    h->dead = 0;
    for (size_t at = 0; (entry = map_next(&h->lines, &at));)
        append_line(h, (struct str){ entry->key, entry->key_len }, entry->value);
    cut_rest(h);
}

enum err hosts_end(struct hosts *h, struct diag *why)
{
    end_line(h);
    flush_page(h);
    remove_old(h);
    if (h->anew)
        cut_rest(h);
    else if (h->dead > DEAD_MAX && h->dead > (h->end - h->begin) / 2)
        write_anew(h);
    if (!h->failed)
        return OK;
    return diag_set(why, h->failed, "the private hosts file: %s",
                    strerror(h->failed_errno));
}
