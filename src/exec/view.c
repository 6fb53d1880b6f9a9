/* exec/view.c - a private view of the file system, in which names of the cluster resolve */
#include "exec/view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/file_write.h"
#include "base/own.h"
#include "exec/nsswitch.h"

#define HOSTS "/etc/hosts"
#define NSSWITCH "/etc/nsswitch.conf"
#define FILE_MAX ((size_t)16 << 20)
#define PRIVATE_OPTIONS "mode=0755,size=64m,nr_inodes=16"
#define PRIVATE_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* A directory that the private files cover while they are made and mounted. */
static const char *const covered[] = { "/tmp", "/run", "/var/tmp", "/mnt" };
/* Where glibc asks nscd, which has the machine's files. */
static const char *const nscd[] = { "/run/nscd", "/var/run/nscd" };

/* --- rights --- */

static bool read_capabilities(struct __user_cap_data_struct ret[2])
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };

    return syscall(SYS_capget, &header, ret) == 0;
}

static bool may_mount(void)
{
    struct __user_cap_data_struct capabilities[2];

    return read_capabilities(capabilities) &&
           (capabilities[0].effective & (1u << CAP_SYS_ADMIN));
}

enum err view_drop_rights(const struct view *v, struct diag *why)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    const struct __user_cap_data_struct none[2] = { { 0 } };

    if (!v->own_user_namespace)
        return OK;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) ||
        syscall(SYS_capset, &header, none))
        return diag_set(why, ERR_IO, "cannot give up capabilities: %s", strerror(errno));
    return OK;
}

/* --- why it is refused --- */

static bool setting_is(const char *path, const char *value)
{
    AUTO_FREE char *text = NULL;
    size_t len = 0;

    return !file_read(path, 4096, &text, &len, NULL) &&
           str_eq(str_trim_space(str_of(text)), str_of(value));
}

static bool apparmor_restricts(void)
{
    return setting_is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1");
}

static enum err explain_refusal(int error, struct diag *why)
{
    const char *reason = NULL;

    if (setting_is("/proc/sys/kernel/unprivileged_userns_clone", "0"))
        reason = "the sysctl kernel.unprivileged_userns_clone is 0; "
                 "sudo sysctl kernel.unprivileged_userns_clone=1 allows them";
    else if (setting_is("/proc/sys/user/max_user_namespaces", "0"))
        reason = "the sysctl user.max_user_namespaces is 0; "
                 "sudo sysctl user.max_user_namespaces=10000 allows them";
    else if (apparmor_restricts())
        reason = "AppArmor's kernel.apparmor_restrict_unprivileged_userns is 1; an "
                 "AppArmor profile of kube-tunnel with \"userns,\" allows it";
    else if (error == ENOSPC)
        reason = "the limit user.max_user_namespaces or user.max_mnt_namespaces is "
                 "reached";
    if (reason)
        return diag_set(why, ERR_UNAVAILABLE, "user namespaces are refused: %s", reason);
    return diag_set(why, ERR_UNAVAILABLE,
                    "user namespaces are refused (%s), as in a chroot or by a "
                    "container's seccomp profile",
                    strerror(error));
}

/* --- the namespaces --- */

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && file_write_all(fd, str_of(text));

    if (fd >= 0)
        close(fd);
    return done;
}

static bool write_maps(uid_t user, gid_t group)
{
    AUTO_FREE char *users = xasprintf("%u %u 1\n", user, user);
    AUTO_FREE char *groups = xasprintf("%u %u 1\n", group, group);

    return write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/uid_map", users) &&
           write_file("/proc/self/gid_map", groups);
}

/* A program with file capabilities, which "dns install --low-ports setcap" gives, cannot be
 * dumped, and its files in /proc belong to root. */
static bool map_user(uid_t user, gid_t group)
{
    int before = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);

    if (before != 1 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
        return false;
    bool done = write_maps(user, group);
    int error = errno;
    /* The kernel accepts 0 and 1 only; 2 differs from 0 in the owner of a core. */
    if (before != 1 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return false;
    errno = error;
    return done;
}

static enum err enter_namespaces(struct view *v, struct diag *why)
{
    uid_t user = geteuid();
    gid_t group = getegid();

    v->own_user_namespace = !may_mount();
    if (unshare(CLONE_NEWNS | (v->own_user_namespace ? CLONE_NEWUSER : 0)))
        return explain_refusal(errno, why);
    if (v->own_user_namespace && !map_user(user, group))
        return diag_set(why, ERR_IO, "cannot map the user: %s", strerror(errno));
    /* What is mounted outside later appears inside. */
    if (!v->own_user_namespace && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
        return diag_set(why, ERR_IO, "cannot separate mounts: %s", strerror(errno));
    return OK;
}

/* --- the files --- */

static enum err mount_failed(const char *what, struct diag *why)
{
    return diag_set(why, ERR_IO, "cannot mount a private %s: %s", what, strerror(errno));
}

static const char *cover(void)
{
    for (size_t i = 0; i < ARRAY_LEN(covered); i++)
        if (mount("kube-tunnel", covered[i], "tmpfs", PRIVATE_FLAGS, PRIVATE_OPTIONS) ==
            0)
            return covered[i];
    return NULL;
}

/* Mounts `private` on `target`, read-only: programs open it in place of the machine's file. */
static bool put_in_place(const char *private, const char *target)
{
    return mount(private, target, NULL, MS_BIND, NULL) == 0 &&
           mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | PRIVATE_FLAGS,
                 NULL) == 0;
}

static enum err replace_hosts(const char *folder, struct view *v, struct diag *why)
{
    AUTO_FREE char *path = xasprintf("%s/hosts", folder);

    v->hosts = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (v->hosts < 0 || fchmod(v->hosts, 0644) || !put_in_place(path, HOSTS))
        return mount_failed(HOSTS, why);
    return OK;
}

/* A system without the file, such as one with musl, asks the hosts file first. */
static enum err replace_nsswitch(const char *folder, struct diag *why)
{
    AUTO_FREE char *path = xasprintf("%s/nsswitch.conf", folder);
    AUTO_FREE char *text = NULL;
    size_t len = 0;

    if (file_read(NSSWITCH, FILE_MAX, &text, &len, NULL))
        return OK;
    AUTO_FREE char *derived = nsswitch_derive((struct str){ text, len });
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    bool done = fd >= 0 && file_write_all(fd, str_of(derived)) && fchmod(fd, 0644) == 0 &&
                put_in_place(path, NSSWITCH);
    if (fd >= 0)
        close(fd);
    return done ? OK : mount_failed(NSSWITCH, why);
}

static enum err hide_nscd(const char *folder, struct diag *why)
{
    AUTO_FREE char *empty = xasprintf("%s/empty", folder);

    if (mkdir(empty, 0755))
        return mount_failed("directory", why);
    for (size_t i = 0; i < ARRAY_LEN(nscd); i++) {
        struct stat s;
        if (stat(nscd[i], &s) || !S_ISDIR(s.st_mode))
            continue;
        return put_in_place(empty, nscd[i]) ? OK : mount_failed(nscd[i], why);
    }
    return OK;
}

static enum err make_files(struct view *v, struct diag *why)
{
    const char *folder = cover();

    if (!folder)
        return mount_failed("tmpfs", why);
    enum err e = replace_nsswitch(folder, why);
    if (!e)
        e = hide_nscd(folder, why);
    if (!e)
        e = replace_hosts(folder, v, why);
    if (umount2(folder, MNT_DETACH) && !e)
        e = mount_failed("tmpfs", why);
    return e;
}

/* Tried in a child, because the process could not leave the namespaces again: on some systems
 * they can be made, and nothing can be mounted in them. */
static bool may_make_files(void)
{
    int status = 1;
    pid_t child = fork();

    if (child == 0) {
        struct view v = { .hosts = -1 };
        _exit(enter_namespaces(&v, NULL) || make_files(&v, NULL));
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && status == 0;
}

enum err view_enter(struct view *ret, struct diag *why)
{
    struct view v = { .hosts = -1 };
    bool entered = false;

    if (file_read(HOSTS, FILE_MAX, &v.machine, &v.machine_len, why))
        return diag_prefix(why, ERR_UNAVAILABLE, "no private hosts file is possible");
    bool hopeless = apparmor_restricts() && !may_mount() && !may_make_files();
    enum err e = hopeless ? explain_refusal(EPERM, why) : enter_namespaces(&v, why);
    entered = !e || e == ERR_IO;
    if (!e)
        e = make_files(&v, why);
    if (!e) {
        *ret = v;
        return OK;
    }
    if (entered && view_drop_rights(&v, NULL)) /* the first error is the reason */
        e = ERR_IO;
    free(v.machine);
    if (v.hosts >= 0)
        close(v.hosts);
    return e;
}
