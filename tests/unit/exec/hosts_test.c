/* tests/unit/exec/hosts_test.c - the hosts file of a view, as readers find it at any time */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include "base/own.h"
#include "exec/hosts.h"

struct file {
    int fd; /* the same file, to read it */
    struct hosts *hosts;
};

static struct file file_with(const char *machine)
{
    struct file f = { .fd = memfd_create("hosts", 0) };

    assert_int_equal(hosts_create(dup(f.fd), str_of(machine), &f.hosts, NULL), OK);
    return f;
}

static void file_finish(struct file *f)
{
    hosts_destroy(f->hosts);
    close(f->fd);
}

/* Without blank lines and comments, for the caller to free. */
static char *lines_of(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    AUTO_FREE char *text = xcalloc(1, (size_t)size + 1);
    char *lines = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&lines, &len);
    struct str rest = { text, (size_t)size }, line;

    assert_int_equal(pread(fd, text, (size_t)size, 0), size);
    while (!str_empty(rest)) {
        rest = str_cut(rest, '\n', &line);
        if (!str_empty(line) && line.at[0] != '#')
            fprintf(out, "%.*s\n", STR_ARG(line));
    }
    fclose(out);
    return lines;
}

static struct in_addr address(unsigned number)
{
    return (struct in_addr){ htonl(0x7f100000u + number) };
}

static void put(struct file *f, unsigned number, const char *name)
{
    assert_true(hosts_add(f->hosts, address(number), str_of(name)));
}

static void expect_lines(const struct file *f, const char *expected)
{
    AUTO_FREE char *lines = lines_of(f->fd);
    assert_string_equal(lines, expected);
}

static void names_follow_the_lines_of_the_machine(void **state)
{
    struct file f = file_with("127.0.0.1 localhost\n# mine\n10.0.0.1 nas"); /* no end */

    (void)state;
    hosts_begin(f.hosts);
    put(&f, 1, "web.shop.svc.cluster.local");
    put(&f, 1, "web");
    put(&f, 2, "db.shop.svc.cluster.local");
    assert_int_equal(hosts_end(f.hosts, NULL), OK);
    expect_lines(&f, "127.0.0.1 localhost\n10.0.0.1 nas\n"
                     "127.16.0.1 web.shop.svc.cluster.local web\n"
                     "127.16.0.2 db.shop.svc.cluster.local\n");
    file_finish(&f);
}

static void replacement_keeps_lines_and_removes_old_ones(void **state)
{
    struct file f = file_with("");

    (void)state;
    hosts_begin(f.hosts);
    put(&f, 1, "a.x");
    put(&f, 2, "b.x");
    put(&f, 3, "c.x");
    assert_int_equal(hosts_end(f.hosts, NULL), OK);
    off_t before = lseek(f.fd, 0, SEEK_END);
    hosts_begin(f.hosts);
    put(&f, 3, "c.x");
    put(&f, 4, "b.x");
    put(&f, 1, "a.x");
    assert_int_equal(hosts_end(f.hosts, NULL), OK);
    expect_lines(&f, "127.16.0.1 a.x\n127.16.0.3 c.x\n127.16.0.4 b.x\n");
    assert_int_equal(lseek(f.fd, 0, SEEK_END),
                     before + (off_t)strlen("127.16.0.4 b.x\n"));
    file_finish(&f);
}

static void many(struct file *f, unsigned from, unsigned to)
{
    hosts_begin(f->hosts);
    for (unsigned i = from; i < to; i++) {
        AUTO_FREE char *name =
            xasprintf("service-%u.some-namespace.svc.cluster.local", i);
        put(f, i, name);
    }
    assert_int_equal(hosts_end(f->hosts, NULL), OK);
}

/* musl and glibc read blocks that begin at multiples of their size. */
static void no_line_crosses_a_page(void **state)
{
    struct file f = file_with("127.0.0.1 localhost\n");
    char page[HOSTS_PAGE];
    unsigned lines = 0;
    ssize_t n;

    (void)state;
    many(&f, 0, 3000);
    for (off_t at = 0; (n = pread(f.fd, page, sizeof(page), at)) > 0; at += n) {
        assert_int_equal(page[n - 1], '\n');
        for (ssize_t i = 0; i < n; i++)
            lines += page[i] == ' ';
    }
    assert_int_equal(lines, 3001);
    file_finish(&f);
}

static void file_with_many_comments_is_written_anew(void **state)
{
    struct file f = file_with("127.0.0.1 localhost\n");

    (void)state;
    many(&f, 0, 3000);
    off_t full = lseek(f.fd, 0, SEEK_END);
    many(&f, 2990, 2995);
    assert_true(lseek(f.fd, 0, SEEK_END) < full / 10);
    AUTO_FREE char *lines = lines_of(f.fd);
    unsigned count = 0;
    for (const char *c = lines; *c; c++)
        count += *c == '\n';
    assert_int_equal(count, 6);
    assert_non_null(strstr(lines, "\n127.16.11.174 service-2990."));
    file_finish(&f);
}

static void address_with_many_names_has_several_lines(void **state)
{
    struct file f = file_with("");
    char name[200];

    (void)state;
    hosts_begin(f.hosts);
    for (unsigned i = 0; i < 9; i++) {
        memset(name, 'a', sizeof(name) - 1);
        for (size_t at = 60; at < sizeof(name) - 1; at += 60)
            name[at] = '.';
        name[0] = (char)('a' + i);
        name[sizeof(name) - 1] = '\0';
        put(&f, 1, name);
    }
    assert_int_equal(hosts_end(f.hosts, NULL), OK);
    AUTO_FREE char *lines = lines_of(f.fd);
    struct str rest = str_of(lines), line;
    unsigned count = 0, names = 0;
    while (!str_empty(rest)) {
        rest = str_cut(rest, '\n', &line);
        assert_true(line.len <= HOSTS_LINE);
        assert_true(str_starts(line, STR("127.16.0.1 ")));
        count++;
        for (size_t i = 0; i < line.len; i++)
            names += line.at[i] == ' ';
    }
    assert_int_equal(count, 5);
    assert_int_equal(names, 9);
    file_finish(&f);
}

static void hostile_names_are_left_out(void **state)
{
    static const char *const bad[] = {
        "",     "a b",  "a\nb", "a\t127.0.0.1", "#a",         ".a",  "a.",   "a..b",
        "-a.b", "a-.b", "a/b",  "a\\b",         "\xc3\xa4.b", "a%b", "a\rb", "*.b",
    };
    struct file f = file_with("");
    char label[65] = { 0 }, name[256] = { 0 };

    (void)state;
    hosts_begin(f.hosts);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(hosts_add(f.hosts, address(1), str_of(bad[i])));
    assert_false(hosts_add(f.hosts, address(1), (struct str){ "a\0b", 3 }));
    memset(label, 'a', 64);
    assert_false(hosts_is_name(str_of(label)));
    assert_true(hosts_is_name(str_first(str_of(label), 63)));
    for (size_t i = 0; i < 254; i++)
        name[i] = i % 2 ? '.' : 'a';
    assert_true(hosts_is_name(str_first(str_of(name), 253)));
    memset(name + 252, 'a', 2);
    assert_false(hosts_is_name(str_first(str_of(name), 254)));
    assert_int_equal(hosts_end(f.hosts, NULL), OK);
    expect_lines(&f, "");
    file_finish(&f);
}

/* As when the private file system is full. */
static void file_without_room_is_an_error(void **state)
{
    struct file f = file_with("");
    struct rlimit old, small;
    struct diag why = { "" };

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){ 100, old.rlim_max };
    setrlimit(RLIMIT_FSIZE, &small);
    hosts_begin(f.hosts);
    for (unsigned i = 0; i < 40; i++)
        put(&f, i, "a.x");
    enum err e = hosts_end(f.hosts, &why);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(e, ERR_LIMIT);
    assert_non_null(strstr(why.text, "hosts file"));
    file_finish(&f);
}

static void put_range(struct file *f, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        AUTO_FREE char *name = xasprintf("service-%u.shop.svc.cluster.local", i);
        put(f, i, name);
    }
}

/* Services come and go while there is no room, and then there is some. */
static void updates_go_on_after_a_failed_write(void **state)
{
    struct file f = file_with("127.0.0.1 localhost\n");
    struct rlimit old, small;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    hosts_begin(f.hosts);
    put(&f, 1, "old.x");
    put(&f, 2, "kept.x");
    assert_int_equal(hosts_end(f.hosts, NULL), OK);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){ (rlim_t)2 * HOSTS_PAGE, old.rlim_max };
    setrlimit(RLIMIT_FSIZE, &small);
    hosts_begin(f.hosts);
    put(&f, 2, "kept.x");
    put_range(&f, 10, 500);
    enum err e = hosts_end(f.hosts, NULL);
    AUTO_FREE char *full = lines_of(f.fd);
    hosts_begin(f.hosts);
    put(&f, 2, "kept.x");
    put(&f, 3, "new.x");
    enum err again = hosts_end(f.hosts, NULL);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(e, ERR_LIMIT);
    assert_null(strstr(full, "old.x"));
    assert_non_null(strstr(full, "kept.x"));
    assert_int_equal(again, OK);
    expect_lines(&f, "127.0.0.1 localhost\n127.16.0.2 kept.x\n127.16.0.3 new.x\n");
    hosts_begin(f.hosts);
    put(&f, 3, "new.x");
    assert_int_equal(hosts_end(f.hosts, NULL), OK);
    expect_lines(&f, "127.0.0.1 localhost\n127.16.0.3 new.x\n");
    file_finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_follow_the_lines_of_the_machine),
        cmocka_unit_test(replacement_keeps_lines_and_removes_old_ones),
        cmocka_unit_test(no_line_crosses_a_page),
        cmocka_unit_test(file_with_many_comments_is_written_anew),
        cmocka_unit_test(address_with_many_names_has_several_lines),
        cmocka_unit_test(hostile_names_are_left_out),
        cmocka_unit_test(file_without_room_is_an_error),
        cmocka_unit_test(updates_go_on_after_a_failed_write),
    };
    return cmocka_run_group_tests_name("exec/hosts", tests, NULL, NULL);
}
