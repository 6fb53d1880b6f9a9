/* cli/complete.c - candidates for the word that is being typed in a shell */
#include "cli/complete.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/command.h"
#include "cli/complete_names.h"
#include "cli/complete_targets.h"
#include "config/setting.h"

#define DEADLINE_S 1

static void print_commands(const struct typed_word *t)
{
    for (size_t i = 0; command_at(i); i++)
        if (command_at(i)->summary)
            print_candidate(t, command_at(i)->name, command_at(i)->summary);
}

static void print_settings(const struct typed_word *t)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        print_candidate(t, settings[i].name, settings[i].help);
}

static void print_words(const struct typed_word *t)
{
    struct str word, rest = str_of(t->list);

    while (rest.at) {
        rest = str_cut(rest, ' ', &word);
        AUTO_FREE char *text = str_dup(word);
        print_candidate(t, text, NULL);
    }
}

/* The time is over.  The shell has the blocks that were written; what is still buffered is lost. */
static void on_alarm(int signum)
{
    (void)signum;
    _exit(0);
}

void print_candidates(const struct typed_word *t)
{
    signal(SIGALRM, on_alarm);
    alarm(DEADLINE_S);
    switch (t->what) {
    case COMPLETES_NOTHING:
        break;
    case COMPLETES_COMMANDS:
        print_commands(t);
        break;
    case COMPLETES_SETTINGS:
        print_settings(t);
        break;
    case COMPLETES_SERVICES:
        print_services(t);
        break;
    case COMPLETES_NAMESPACES:
        print_namespaces(t);
        break;
    case COMPLETES_CONTEXTS:
        print_contexts(t);
        break;
    case COMPLETES_TARGETS:
        print_targets(t);
        break;
    case COMPLETES_FILES:
        puts(CANDIDATE_FILES);
        break;
    case COMPLETES_LIST:
        print_words(t);
        break;
    }
}
