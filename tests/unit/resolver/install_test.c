/* tests/unit/resolver/install_test.c - installing below a folder that stands for / */
#include "resolver/resolver.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/program.h"
#include "resolver/lock.h"

#define JOURNAL "/var/lib/kube-tunnel-dns.json"

/* ---- a machine ---- */

static char *root;
static FILE *out;
static char *printed;
static size_t printed_len;

static int setup(void **state)
{
    char folder[] = "/tmp/kube-tunnel-resolver-XXXXXX";
    (void)state;

    root = xstrdup(mkdtemp(folder));
    out = open_memstream(&printed, &printed_len);
    AUTO_FREE char *lib = xasprintf("%s/var/lib", root);
    const char *const words[] = { "mkdir", "-p", lib, NULL };
    return program_run(words, NULL, NULL) == OK ? 0 : -1;
}

static int teardown(void **state)
{
    const char *const words[] = { "rm", "-rf", root, NULL };
    (void)state;

    int failed = program_run(words, NULL, NULL) != OK;
    fclose(out);
    free(printed);
    free(root);
    return failed;
}

static char *at(const char *path)
{
    return xasprintf("%s%s", root, path);
}

static void make_folders(const char *path)
{
    AUTO_FREE char *full = at(path);
    const char *const words[] = { "mkdir", "-p", full, NULL };

    assert_int_equal(program_run(words, NULL, NULL), OK);
}

static void write_text(const char *path, const char *text)
{
    AUTO_FREE char *full = at(path);
    AUTO_FREE char *folder = xstrdup(path);

    *strrchr(folder, '/') = '\0';
    make_folders(folder);
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static char *read_text(const char *path)
{
    AUTO_FREE char *full = at(path);
    char *text = NULL;
    size_t len;

    return file_read(full, 1 << 20, &text, &len, NULL) == OK ? text : NULL;
}

static void assert_text(const char *path, const char *part)
{
    AUTO_FREE char *text = read_text(path);

    assert_non_null(text);
    if (!strstr(text, part))
        fail_msg("%s has no \"%s\":\n%s", path, part, text);
}

static bool exists(const char *path)
{
    AUTO_FREE char *full = at(path);
    struct stat facts;

    return lstat(full, &facts) == 0;
}

/* ---- what is wanted of it ---- */

static struct resolver_want want(const char *backend)
{
    struct resolver_want w = { .backend = xstrdup_or_null(backend),
                               .server = xstrdup("127.0.53.53"),
                               .port = 5354,
                               .low_ports = xstrdup("none") };

    texts_add(&w.domains, xstrdup("cluster.local"));
    texts_add(&w.domains, xstrdup("k8s"));
    return w;
}

static struct resolver_run run(void)
{
    return (struct resolver_run){ .machine = { root }, .out = out };
}

static enum err install(const char *backend, struct diag *why)
{
    AUTO(resolver_want_finish) struct resolver_want w = want(backend);
    struct resolver_run r = run();

    return resolver_install(&r, &w, why);
}

static enum err uninstall(struct diag *why)
{
    struct resolver_run r = run();

    return resolver_uninstall(&r, why);
}

static enum err read_installed(struct diag *why)
{
    AUTO(resolver_installed_finish) struct resolver_installed i = { 0 };
    struct machine m = { root };

    return resolver_read(&m, &i, why);
}

/* ---- backends ---- */

static void each_backend_writes_its_files_and_removes_them(void **state)
{
    static const struct {
        const char *backend, *path, *part;
    } rows[] = {
        { "resolved-delegate", "/etc/systemd/dns-delegate.d/kube-tunnel.dns-delegate",
          "[Delegate]\nDNS=127.0.53.53:5354\nDomains=~cluster.local "
          "~k8s\nDefaultRoute=no\n" },
        { "resolved-link", "/etc/systemd/system/kube-tunnel-dns.service",
          "ExecStart=resolvectl dns kube-tunnel 127.0.53.53:5354\nExecStart=resolvectl "
          "domain kube-tunnel ~cluster.local ~k8s\n" },
        { "networkmanager", "/etc/NetworkManager/dnsmasq.d/kube-tunnel.conf",
          "server=/cluster.local/127.0.53.53#5354\nrebind-domain-ok=/cluster.local/\n"
          "server=/k8s/127.0.53.53#5354\n" },
        { "dnsmasq", "/etc/dnsmasq.d/kube-tunnel.conf",
          "server=/k8s/127.0.53.53#5354\n" },
        { "macos", "/etc/resolver/cluster.local", "nameserver 127.0.53.53\nport 5354\n" },
        { "macos", "/etc/resolver/k8s", "nameserver 127.0.53.53\nport 5354\n" },
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(install(rows[i].backend, NULL), OK);
        assert_text(rows[i].path, rows[i].part);
        assert_int_equal(read_installed(NULL), OK);
        assert_int_equal(install(rows[i].backend, NULL), OK);
        assert_int_equal(uninstall(NULL), OK);
        assert_false(exists("/etc"));
        assert_false(exists(JOURNAL));
        assert_int_equal(read_installed(NULL), ERR_NOT_CONFIGURED);
    }
}

static void link_managers_leave_our_link_alone(void **state)
{
    (void)state;
    make_folders("/etc/systemd/network");
    make_folders("/etc/NetworkManager");
    assert_int_equal(install("resolved-link", NULL), OK);
    assert_text("/etc/systemd/network/10-kube-tunnel.network",
                "Name=kube-tunnel*\n\n[Link]\nUnmanaged=yes\n");
    assert_text("/etc/NetworkManager/conf.d/kube-tunnel.conf",
                "match-device=interface-name:kube-tunnel*\nmanaged=0\n");
    assert_int_equal(uninstall(NULL), OK);
    assert_true(exists("/etc/systemd/network") && exists("/etc/NetworkManager"));
    assert_false(exists("/etc/systemd/system") || exists("/etc/NetworkManager/conf.d"));
}

static void the_backend_is_the_resolver_that_is_found(void **state)
{
    static const struct {
        const char *path, *text, *backend;
    } rows[] = {
        { "/etc/hosts", "127.0.0.1 localhost\n", "hosts" },
        { "/etc/resolv.conf", "nameserver 10.0.0.1\n", "resolv.conf" },
        { "/System/Library/CoreServices/SystemVersion.plist", "", "macos" },
        { "/etc/resolv.conf", "nameserver 127.0.0.1\n", "macos" },
        { "/etc/dnsmasq.d/README", "", "dnsmasq" },
        { "/etc/NetworkManager/NetworkManager.conf", "[ifupdown]\ndns=dnsmasq\n",
          "dnsmasq" },
        { "/etc/NetworkManager/conf.d/dns.conf", "[main]\ndns = dnsmasq\n",
          "networkmanager" },
        { "/etc/NetworkManager/conf.d/other.conf", "[main]\ndns=none\n", "dnsmasq" },
        { "/etc/resolv.conf", "nameserver 127.0.0.53\noptions edns0\n", "resolved-link" },
        { "/usr/lib/systemd/libsystemd-shared-257.9-1.fc42.so", "", "resolved-link" },
        { "/usr/lib/systemd/libsystemd-shared-257.9-1.fc42.so", NULL, "resolved-link" },
        { "/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-258.so", "",
          "resolved-delegate" },
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(resolver_want_finish) struct resolver_want w = want(NULL);
        AUTO_FREE char *full = at(rows[i].path);
        struct resolver_run r = run();
        r.dry = true;
        if (rows[i].text)
            write_text(rows[i].path, rows[i].text);
        else
            unlink(full);
        enum err e = resolver_install(&r, &w, NULL);
        assert_true(e == OK || e == ERR_CONFIG);
        assert_string_equal(w.backend, rows[i].backend);
    }
}

static void resolv_conf_needs_port_53(void **state)
{
    AUTO(resolver_want_finish) struct resolver_want w = want("resolv.conf");
    struct resolver_run r = run();
    struct diag why = { "" };
    (void)state;

    write_text("/etc/resolv.conf", "search lan\nnameserver 10.0.0.1\n");
    assert_int_equal(resolver_install(&r, &w, &why), ERR_CONFIG);
    assert_non_null(strstr(why.text, "--low-ports setcap --dns-listen 127.0.53.53:53"));
    assert_false(exists(JOURNAL));
    w.port = 53;
    assert_int_equal(resolver_install(&r, &w, &why), OK);
    assert_text("/etc/resolv.conf",
                "nameserver 127.0.53.53\n# kube-tunnel: end\nsearch lan\n");
    assert_int_equal(uninstall(&why), OK);
    AUTO_FREE char *text = read_text("/etc/resolv.conf");
    assert_string_equal(text, "search lan\nnameserver 10.0.0.1\n");
}

static void a_link_to_a_file_of_another_program_is_not_replaced(void **state)
{
    AUTO(resolver_want_finish) struct resolver_want w = want("resolv.conf");
    AUTO_FREE char *path = at("/etc/resolv.conf");
    struct resolver_run r = run();
    struct diag why = { "" };
    (void)state;

    w.port = 53;
    write_text("/etc/resolvconf.txt", "nameserver 10.0.0.1\n");
    assert_int_equal(symlink("resolvconf.txt", path), 0);
    assert_int_equal(resolver_install(&r, &w, &why), ERR_IN_USE);
    assert_non_null(strstr(why.text, "is no regular file"));
    assert_false(exists(JOURNAL));
}

/* ---- changes by others ---- */

static void a_file_that_was_changed_is_left_and_named(void **state)
{
    struct diag why = { "" };
    (void)state;

    assert_int_equal(install("macos", NULL), OK);
    write_text("/etc/resolver/k8s", "nameserver 10.9.9.9\n");
    assert_int_equal(install("macos", &why), ERR_IN_USE);
    assert_non_null(
        strstr(why.text, "/etc/resolver/k8s: is not as kube-tunnel wrote it"));
    assert_int_equal(uninstall(&why), ERR_IN_USE);
    assert_text("/etc/resolver/k8s", "10.9.9.9");
    assert_false(exists("/etc/resolver/cluster.local"));
    assert_int_equal(read_installed(NULL), OK);
    AUTO_FREE char *path = at("/etc/resolver/k8s");
    unlink(path);
    assert_int_equal(uninstall(&why), OK);
    assert_false(exists(JOURNAL));
}

static void a_file_that_was_there_before_stops_the_installation(void **state)
{
    struct diag why = { "" };
    (void)state;

    write_text("/etc/resolver/k8s", "nameserver 10.9.9.9\n");
    assert_int_equal(install("macos", &why), ERR_IN_USE);
    assert_false(exists("/etc/resolver/cluster.local"));
    assert_false(exists(JOURNAL));
    assert_text("/etc/resolver/k8s", "10.9.9.9");
}

static void a_missing_file_is_written_again(void **state)
{
    AUTO_FREE char *path = at("/etc/resolver/k8s");
    (void)state;

    assert_int_equal(install("macos", NULL), OK);
    unlink(path);
    assert_int_equal(install("macos", NULL), OK);
    assert_text("/etc/resolver/k8s", "127.0.53.53");
}

static void a_folder_with_files_of_others_stays(void **state)
{
    (void)state;
    assert_int_equal(install("macos", NULL), OK);
    write_text("/etc/resolver/corp", "nameserver 10.9.9.9\n");
    assert_int_equal(uninstall(NULL), OK);
    assert_text("/etc/resolver/corp", "10.9.9.9");
    assert_false(exists(JOURNAL));
}

static void other_domains_replace_those_that_were_installed(void **state)
{
    AUTO(resolver_want_finish) struct resolver_want w = want("macos");
    struct resolver_run r = run();
    (void)state;

    assert_int_equal(install("macos", NULL), OK);
    free(w.domains.at[1]);
    w.domains.at[1] = xstrdup("corp.internal");
    assert_int_equal(resolver_install(&r, &w, NULL), OK);
    assert_true(exists("/etc/resolver/corp.internal"));
    assert_false(exists("/etc/resolver/k8s"));
    texts_add(&w.domains, xstrdup("k8s"));
    assert_int_equal(resolver_install(&r, &w, NULL), OK);
    assert_true(exists("/etc/resolver/corp.internal") && exists("/etc/resolver/k8s"));
    assert_int_equal(uninstall(NULL), OK);
    assert_false(exists("/etc"));
}

/* ---- another process that installs or uninstalls ---- */

struct other {
    pid_t id;
    int from, to;
};

static char hear(int fd)
{
    char byte = 0;

    assert_int_equal(read(fd, &byte, 1), 1);
    return byte;
}

/* A process that holds the lock, says so, and does `act` after that, on a byte in the pipe. */
static struct other start_other(void (*act)(void))
{
    struct machine m = { root };
    struct lock lock = { 0 };
    int from[2], to[2];

    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    pid_t id = fork();
    if (id == 0) {
        char held = lock_take(&m, 0, &lock, NULL) == OK ? 'y' : 'n', byte;
        if (write(from[1], &held, 1) == 1 && read(to[0], &byte, 1) == 1)
            act();
        lock_release(&lock);
        _exit(0);
    }
    close(from[1]);
    close(to[0]);
    assert_int_equal(hear(from[0]), 'y');
    return (struct other){ id, from[0], to[1] };
}

static void let_go(const struct other *o)
{
    assert_int_equal(write(o->to, "x", 1), 1);
}

static void end_other(const struct other *o)
{
    assert_int_equal(waitpid(o->id, NULL, 0), o->id);
    close(o->from);
    close(o->to);
}

static void do_nothing(void)
{
}

/* What it has written so far is not yet right. */
static void the_journal_of_another_process_is_not_read(void **state)
{
    AUTO(resolver_want_finish) struct resolver_want w = want("macos");
    struct resolver_run dry = run();
    struct diag why = { "" };
    (void)state;

    dry.dry = true;
    struct other other = start_other(do_nothing);
    AUTO_FREE char *words = xasprintf(
        "another \"kube-tunnel dns\" is running, process %d: wait", (int)other.id);
    write_text(JOURNAL, "{");
    assert_int_equal(install("macos", &why), ERR_IN_USE);
    assert_non_null(strstr(why.text, words));
    assert_int_equal(uninstall(&why), ERR_IN_USE);
    assert_int_equal(resolver_install(&dry, &w, &why), ERR_CONFIG); /* it needs no lock */
    assert_int_equal(resolver_uninstall(&dry, &why), ERR_CONFIG);
    let_go(&other);
    end_other(&other);
    assert_int_equal(uninstall(&why), ERR_CONFIG);
}

static enum err refuse(void *arg, struct resolver_want *w)
{
    bool *asked = arg;

    *asked = true;
    assert_string_equal(w->backend, "macos");
    return ERR_CANCELLED;
}

static void forget_the_installation(void)
{
    AUTO_FREE char *path = at(JOURNAL);
    const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };

    nanosleep(&pause, NULL); /* a repair that reads before it waits has read it by then */
    unlink(path);
}

static void repair_reads_what_the_process_before_it_has_left(void **state)
{
    AUTO(resolver_want_finish) struct resolver_want w = { 0 };
    struct resolver_run r = run();
    bool asked = false;
    (void)state;

    assert_int_equal(install("macos", NULL), OK);
    struct other other = start_other(forget_the_installation);
    let_go(&other);
    r.wait_ms = 20000;
    assert_int_equal(resolver_repair(&r, refuse, &asked, &w, NULL), ERR_NOT_CONFIGURED);
    end_other(&other);
    assert_false(asked);
}

/* Of a process of its own, as the kernel's lock keeps out others only. */
static enum err uninstall_beside(void)
{
    int status = 0;
    pid_t id = fork();

    if (id == 0)
        _exit((int)uninstall(NULL));
    assert_int_equal(waitpid(id, &status, 0), id);
    return (enum err)WEXITSTATUS(status);
}

static enum err uninstall_meanwhile(void *arg, struct resolver_want *w)
{
    enum err *result = arg;

    *result = uninstall_beside();
    texts_add(&w->domains, xstrdup("corp.internal"));
    return OK;
}

static void nothing_is_uninstalled_between_the_steps_of_a_repair(void **state)
{
    AUTO(resolver_want_finish) struct resolver_want w = { 0 };
    struct resolver_run r = run();
    enum err result = OK;
    (void)state;

    assert_int_equal(install("macos", NULL), OK);
    assert_int_equal(resolver_repair(&r, uninstall_meanwhile, &result, &w, NULL), OK);
    assert_int_equal(result, ERR_IN_USE);
    assert_true(exists("/etc/resolver/corp.internal") && exists("/etc/resolver/k8s"));
    assert_int_equal(uninstall_beside(), OK);
    assert_false(exists("/etc"));
}

static void a_repair_that_is_refused_changes_nothing(void **state)
{
    AUTO(resolver_want_finish) struct resolver_want w = { 0 };
    struct resolver_run r = run();
    bool asked = false;
    (void)state;

    assert_int_equal(resolver_repair(&r, refuse, &asked, &w, NULL), ERR_NOT_CONFIGURED);
    assert_false(asked);
    assert_int_equal(install("macos", NULL), OK);
    AUTO_FREE char *before = read_text(JOURNAL);
    assert_int_equal(resolver_repair(&r, refuse, &asked, &w, NULL), ERR_CANCELLED);
    assert_true(asked);
    assert_text(JOURNAL, before);
    assert_false(exists(LOCK_FOLDER));
}

/* ---- hosts ---- */

static enum err install_names(const char *names, struct diag *why)
{
    AUTO(resolver_want_finish) struct resolver_want w = want("hosts");
    struct resolver_run r = run();

    w.names = xstrdup_or_null(names);
    return resolver_install(&r, &w, why);
}

static void lines_of_others_in_hosts_are_kept(void **state)
{
    struct diag why = { "" };
    (void)state;

    write_text("/etc/hosts", "127.0.0.1 localhost");
    assert_int_equal(install_names(NULL, &why), ERR_CONFIG);
    assert_int_equal(install_names("127.5.1.1 a.b.svc.cluster.local\n", &why), OK);
    AUTO_FREE char *text = read_text("/etc/hosts");
    AUTO_FREE char *longer = xasprintf("%s127.0.1.1 me\n", text);
    write_text("/etc/hosts", longer);
    assert_int_equal(install_names("127.5.1.2 c.b.svc.cluster.local\n", &why), OK);
    assert_text("/etc/hosts", "127.5.1.2 c.b.svc.cluster.local\n");
    assert_int_equal(uninstall(&why), OK);
    AUTO_FREE char *bare = read_text("/etc/hosts");
    assert_string_equal(bare, "127.0.0.1 localhost\n127.0.1.1 me\n");
}

/* The lines are the same: only the journal has the new domain. */
static void the_journal_has_what_was_wanted_last(void **state)
{
    AUTO(resolver_want_finish) struct resolver_want w = want("hosts");
    AUTO(resolver_installed_finish) struct resolver_installed i = { 0 };
    struct resolver_run r = run();
    (void)state;

    write_text("/etc/hosts", "127.0.0.1 localhost\n");
    w.names = xstrdup("127.5.1.1 a.b.svc.cluster.local\n");
    assert_int_equal(resolver_install(&r, &w, NULL), OK);
    texts_add(&w.domains, xstrdup("corp.internal"));
    assert_int_equal(resolver_install(&r, &w, NULL), OK);
    assert_int_equal(resolver_read(&r.machine, &i, NULL), OK);
    assert_int_equal(i.want.domains.count, 3);
    assert_string_equal(i.want.domains.at[2], "corp.internal");
    assert_int_equal(uninstall(NULL), OK);
    assert_text("/etc/hosts", "127.0.0.1 localhost\n");
}

static void names_of_others_are_refused(void **state)
{
    static const char *const wrong[] = {
        "127.5.1.1 example.com\n",         "10.0.0.1 a.b.svc.cluster.local\n",
        "127.5.1.1 xcluster.local\n",      "127.5.1.1\n",
        "127.5.1.1 a.cluster.local",       "127.5.1.1 a.cluster.local\tgoogle.com\n",
        "127.5.1.1 a.cluster.local # x\n", "# kube-tunnel: end\n",
        "127.5.1.1  a.cluster.local\n",    "127.5.1.1 A.cluster.local\n",
        "::1 a.cluster.local\n",           "\n",
    };
    (void)state;

    write_text("/etc/hosts", "127.0.0.1 localhost\n");
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct diag why = { "" };
        assert_int_equal(install_names(wrong[i], &why), ERR_CONFIG);
        assert_non_null(strstr(why.text, "names, line 1"));
    }
    assert_false(exists(JOURNAL));
}

/* ---- the journal ---- */

static void a_journal_that_cannot_be_trusted_is_not_used(void **state)
{
    static const struct {
        const char *text, *words;
        enum err e;
    } rows[] = {
        { "{\"format\":2}", "another version", ERR_VERSION },
        { "{\"format\":1}", "damaged", ERR_CONFIG },
        { "{\"format\":1,\"steps\":[]}", "damaged", ERR_CONFIG },
        { "{", "damaged", ERR_CONFIG },
        { "", "damaged", ERR_CONFIG },
        { "[]", "damaged", ERR_CONFIG },
        { "{\"format\":1,\"want\":{\"server\":\"127.0.0.9\",\"port\":53,\"domains\":"
          "[\"k8s\"],\"lowPorts\":\"none\"},\"steps\":[{\"kind\":\"file\",\"path\":"
          "\"/etc/../etc/passwd\",\"after\":\"\"}]}",
          "damaged", ERR_CONFIG },
        { "{\"format\":1,\"want\":{\"server\":\"127.0.0.9\",\"port\":53,\"domains\":"
          "[\"k8s\"],\"lowPorts\":\"none\"},\"steps\":[{\"kind\":\"other\",\"path\":"
          "\"/etc/x\",\"after\":\"\"}]}",
          "damaged", ERR_CONFIG },
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct diag why = { "" };
        write_text(JOURNAL, rows[i].text);
        assert_int_equal(read_installed(&why), rows[i].e);
        assert_non_null(strstr(why.text, rows[i].words));
        assert_int_equal(install("macos", &why), rows[i].e);
        assert_int_equal(uninstall(&why), rows[i].e);
        assert_text(JOURNAL, rows[i].text);
    }
    assert_false(exists("/etc"));
}

static void a_journal_that_others_may_write_is_not_used(void **state)
{
    AUTO_FREE char *path = at(JOURNAL);
    struct diag why = { "" };
    (void)state;

    assert_int_equal(install("macos", NULL), OK);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(uninstall(&why), ERR_CONFIG);
    assert_non_null(strstr(why.text, "other users may write it"));
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(uninstall(&why), OK);
}

/* ---- what may be written into files ---- */

static void values_that_would_be_read_as_something_else_are_refused(void **state)
{
    static const char *const domains[] = { "",     ".",   "a..b", "a b", "a;b", "-a",
                                           "a\nb", "A.b", "$(x)", "a/b", "%n",  "a." };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(domains); i++) {
        AUTO(resolver_want_finish) struct resolver_want w = want(NULL);
        texts_add(&w.domains, xstrdup(domains[i]));
        assert_int_equal(resolver_want_check(&w, NULL), ERR_CONFIG);
    }
    static const char *const servers[] = { "10.0.0.1", "::1", "127.0.0.1 x", "",
                                           "localhost" };
    for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
        AUTO(resolver_want_finish) struct resolver_want w = want(NULL);
        free(w.server);
        w.server = xstrdup(servers[i]);
        assert_int_equal(resolver_want_check(&w, NULL), ERR_CONFIG);
    }
}

static void low_ports_by_a_unit_need_a_plain_path_and_a_user(void **state)
{
    AUTO(resolver_want_finish) struct resolver_want w = want("macos");
    struct resolver_run r = run();
    (void)state;

    free(w.low_ports);
    w.low_ports = xstrdup("unit");
    w.program = xstrdup("/opt/my programs/kube-tunnel");
    w.user = xstrdup("root");
    assert_int_equal(resolver_want_check(&w, NULL), ERR_CONFIG);
    free(w.program);
    w.program = xstrdup("/opt/kube-tunnel");
    assert_int_equal(resolver_install(&r, &w, NULL), OK);
    assert_text("/etc/systemd/system/kube-tunnel.service",
                "User=root\nEnvironment=XDG_RUNTIME_DIR=/run/user/0\n"
                "AmbientCapabilities=CAP_NET_BIND_SERVICE\n");
    assert_text("/etc/systemd/system/kube-tunnel.service",
                "ExecStart=/opt/kube-tunnel run\n");
    assert_int_equal(uninstall(NULL), OK);
    assert_false(exists("/etc"));
    free(w.user);
    w.user = xstrdup("nosuchuser-kt");
    assert_int_equal(resolver_install(&r, &w, NULL), ERR_CONFIG);
    free(w.user);
    w.user = xstrdup("root\nExecStart=x");
    assert_int_equal(resolver_want_check(&w, NULL), ERR_CONFIG);
}

static void mdns_before_the_dns_is_an_obstacle_for_local_only(void **state)
{
    AUTO(resolver_want_finish) struct resolver_want w = want(NULL);
    struct machine m = { root };
    (void)state;

    write_text("/etc/nsswitch.conf",
               "hosts: files mdns4_minimal [NOTFOUND=return] dns\n");
    AUTO_FREE char *obstacle = resolver_obstacle(&m, &w.domains);
    assert_non_null(
        strstr(obstacle, "\"hosts: files dns mdns4_minimal [NOTFOUND=return]\""));
    free(w.domains.at[0]);
    w.domains.at[0] = xstrdup("corp.internal");
    assert_null(resolver_obstacle(&m, &w.domains));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_backend_writes_its_files_and_removes_them),
        TEST(link_managers_leave_our_link_alone),
        TEST(the_backend_is_the_resolver_that_is_found),
        TEST(resolv_conf_needs_port_53),
        TEST(a_link_to_a_file_of_another_program_is_not_replaced),
        TEST(a_file_that_was_changed_is_left_and_named),
        TEST(a_file_that_was_there_before_stops_the_installation),
        TEST(a_missing_file_is_written_again),
        TEST(a_folder_with_files_of_others_stays),
        TEST(other_domains_replace_those_that_were_installed),
        TEST(the_journal_of_another_process_is_not_read),
        TEST(repair_reads_what_the_process_before_it_has_left),
        TEST(nothing_is_uninstalled_between_the_steps_of_a_repair),
        TEST(a_repair_that_is_refused_changes_nothing),
        TEST(lines_of_others_in_hosts_are_kept),
        TEST(the_journal_has_what_was_wanted_last),
        TEST(names_of_others_are_refused),
        TEST(a_journal_that_cannot_be_trusted_is_not_used),
        TEST(a_journal_that_others_may_write_is_not_used),
        TEST(values_that_would_be_read_as_something_else_are_refused),
        TEST(low_ports_by_a_unit_need_a_plain_path_and_a_user),
        TEST(mdns_before_the_dns_is_an_obstacle_for_local_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
