/* daemon/process.c - the process as a whole: its limits, and where it runs */
#include "daemon/process.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kube/service_account.h"

static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void process_prepare(void)
{
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    mallopt(M_ARENA_MAX, 1); /* curl's resolver threads would get their own */
    setenv("UV_THREADPOOL_SIZE", "1", 0); /* unless somebody knows better */
}

bool in_pod(void)
{
    return service_account_present() && access(SERVICE_ACCOUNT_ROOT "/token", R_OK) == 0;
}

struct own_pod own_pod(const char *ns, char room[static OWN_NAME_ROOM])
{
    const char *uid = getenv("POD_UID");

    if (!in_pod())
        return (struct own_pod){ 0 };
    room[0] = room[OWN_NAME_ROOM - 1] = '\0';
    gethostname(room, OWN_NAME_ROOM - 1);
    return (struct own_pod){ .uid = uid && *uid ? uid : NULL, .ns = ns, .name = room };
}
