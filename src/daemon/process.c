/* daemon/process.c - the process as a whole: its limits, and where it runs */
#include "daemon/process.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kube/service_account.h"

#if defined(__has_feature)
#define IS_SANITIZED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

#define OWN_FILES 64 /* listeners, the API server's connections, files that are read */
#define SURPLUS_CLIENTS 64 /* clients that get a 503 */
/* RLIM_INFINITY, as a number to which others can be added without overflow */
#define FILES_MAX ((size_t)1 << 30)

static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Three of four descriptors are for clients: when many are connected, at least five share
 * a tunnel, and few have an own one. */
static struct client_limit share_files(size_t files, size_t max)
{
    size_t ours = files / 8 < OWN_FILES ? files / 8 : OWN_FILES;
    size_t surplus = files / 8 < SURPLUS_CLIENTS ? files / 8 : SURPLUS_CLIENTS;
    size_t clients = (files - ours - surplus) / 4 * 3;

    return (struct client_limit){
        .clients = clients < 1     ? 1
                   : clients < max ? clients
                                   : max,
        .surplus = surplus,
        .files = files,
    };
}

struct client_limit process_client_limit(size_t max)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > FILES_MAX)
        return share_files(FILES_MAX, max);
    return share_files((size_t)limit.rlim_cur, max);
}

/* The memory holds credentials: other processes of the user may not attach, and no core
 * is dumped.  Not in debug builds and with sanitizers, which need both (LeakSanitizer
 * attaches to its own threads). */
void process_forbid_dumps(void)
{
#if defined(__OPTIMIZE__) && !IS_SANITIZED
    const struct rlimit none = { 0 };

    prctl(PR_SET_DUMPABLE, 0);
    setrlimit(RLIMIT_CORE, &none);
#endif
}

void process_prepare(void)
{
    process_forbid_dumps();
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    mallopt(M_ARENA_MAX, 1); /* curl's resolver threads would get their own */
    setenv("UV_THREADPOOL_SIZE", "1", 0); /* unless it is set already */
}

bool in_pod(void)
{
    return service_account_present() && access(SERVICE_ACCOUNT_ROOT "/token", R_OK) == 0;
}

struct own_pod own_pod(const char *ns, char room[static OWN_NAME_ROOM])
{
    const char *uid = getenv("POD_UID");

    if (uid && !*uid)
        uid = NULL;
    if (!in_pod())
        return (struct own_pod){ .uid = uid };
    room[0] = room[OWN_NAME_ROOM - 1] = '\0';
    gethostname(room, OWN_NAME_ROOM - 1);
    return (struct own_pod){ .uid = uid, .ns = ns, .name = room };
}
