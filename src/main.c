/* main.c - hands the command line to cli/ */
#include <fcntl.h>
#include <unistd.h>

#include "cli/cli.h"

/* A socket would get the number of a standard descriptor that the caller has closed, and
 * what is printed or logged would go there.  So each is opened, in the direction that is not
 * used: what is printed still fails. */
static void hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    hold_standard_descriptors();
    return cli_main(argc, argv);
}
