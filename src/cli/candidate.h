/* cli/candidate.h - a word that is being typed in a shell, and what it may become */
#pragma once

#include <stdio.h>

#include "cli/args.h"

/* What a word can be. */
enum completes {
    COMPLETES_NOTHING,
    COMPLETES_COMMANDS,
    COMPLETES_SETTINGS,
    COMPLETES_SERVICES,
    COMPLETES_NAMESPACES,
    COMPLETES_CONTEXTS,
    COMPLETES_TARGETS, /* of port-forward, and their ports */
    COMPLETES_FILES,
    COMPLETES_LIST, /* of fixed words */
};

struct typed_word {
    struct str word;    /* as far as it is typed */
    size_t cut;         /* bytes of it that the shell keeps: not to be printed again */
    bool cut_at_equals; /* ... because it parts words at "=" */
    struct str prefix;  /* printed before each candidate */
    enum completes what;
    const char *list;          /* of COMPLETES_LIST: "bash zsh fish" */
    const char *const *before; /* the words before it, without the program */
    size_t before_count;
};

/* A line of its own, which no name may be: the shell is to complete files. */
#define CANDIDATE_FILES ":files"

/* Prints a line with the text and, after a tab, the description (NULL: none), if the text
 * begins with the word and has no control characters. */
void candidate_write(FILE *to, const struct typed_word *t, const char *text,
                     const char *description);
/* The same to standard output. */
void print_candidate(const struct typed_word *t, const char *text,
                     const char *description);

/* bash parts words at "=" and ":"; joins them to *joined, which has room for `count` and whose
 * texts are the caller's, and sets how much of the last one the shell keeps.  Returns how many
 * there are. */
size_t candidate_join(const char *const *words, size_t count, char **joined,
                      struct typed_word *t);
