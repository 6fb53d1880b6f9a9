/* cli/cli.h - the command line: argv in, exit status out
 *
 * Finds the command, reads its flags, loads the configuration and prints the output.  The
 * work of the commands is done elsewhere, mainly in daemon/.
 */
#pragma once

/* 0: done.  1: it failed.  2: the command line or the configuration is wrong. */
int cli_main(int argc, char **argv);
