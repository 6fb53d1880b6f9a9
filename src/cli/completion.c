/* cli/completion.c - kube-tunnel completion, and what its scripts call
 *
 * The scripts are short: at each Tab they call the hidden command "__complete SHELL --
 * WORDS...", whose last word is the one being typed, and offer the lines that it prints.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "cli/command.h"
#include "cli/complete.h"
#include "config/setting.h"

/* --- the scripts --- */

static const char bash[] =
    "# bash completion of kube-tunnel: source <(kube-tunnel completion bash)\n"
    "_kube_tunnel() {\n"
    "    local line value\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        value=${line%%$'\\t'*}\n"
    "        if [ \"$value\" = :files ]; then\n"
    "            compopt -o filenames\n"
    "            mapfile -t COMPREPLY < <(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
    "            return\n"
    "        fi\n"
    "        [[ $value = */ ]] && compopt -o nospace\n"
    "        printf -v value %q \"$value\"\n"
    "        COMPREPLY+=(\"$value\")\n"
    "    done < <(\"${COMP_WORDS[0]}\" __complete bash -- \\\n"
    "        \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "}\n"
    "complete -F _kube_tunnel kube-tunnel\n";

static const char zsh[] =
    "#compdef kube-tunnel\n"
    "# zsh completion of kube-tunnel: source <(kube-tunnel completion zsh)\n"
    "_kube_tunnel() {\n"
    "    local line\n"
    "    local -a values texts lines\n"
    "    lines=(\"${(@f)$(\"${(Q)words[1]}\" __complete zsh -- \\\n"
    "        \"${(@Q)words[2,CURRENT-1]}\" \"${(Q)PREFIX}\" 2>/dev/null)}\")\n"
    "    for line in $lines; do\n"
    "        if [[ $line = :files ]]; then\n"
    "            _files\n"
    "            return\n"
    "        fi\n"
    "        values+=(\"${line%%$'\\t'*}\")\n"
    "        texts+=(\"${line/$'\\t'/ -- }\")\n"
    "    done\n"
    "    if [[ ${#values} -gt 0 && $values[1] = */ ]]; then\n"
    "        compadd -S '' -l -d texts -a values\n"
    "    else\n"
    "        compadd -l -d texts -a values\n"
    "    fi\n"
    "}\n"
    "compdef _kube_tunnel kube-tunnel\n";

static const char fish[] =
    "# fish completion of kube-tunnel: kube-tunnel completion fish | source\n"
    "function __kube_tunnel_complete\n"
    "    set -l words (commandline -opc)\n"
    "    set -l token (commandline -ct)\n"
    "    test -n \"$token\"; or set token ''\n"
    "    set -l lines ($words[1] __complete fish -- $words[2..-1] $token 2>/dev/null)\n"
    "    if test \"$lines[1]\" = :files\n"
    "        __fish_complete_path $token\n"
    "    else\n"
    "        printf '%s\\n' $lines\n"
    "    end\n"
    "end\n"
    "complete -c kube-tunnel -f -a '(__kube_tunnel_complete)'\n";

static void completion_help(void)
{
    print_help(
        "Usage: kube-tunnel completion bash|zsh|fish\n"
        "\n"
        "Print a script that completes commands, flags, settings, services, namespaces\n"
        "and contexts. Names of the cluster come from the running kube-tunnel, else "
        "from\n"
        "the API server, within a second.\n"
        "\n"
        "  source <(kube-tunnel completion bash)     # in ~/.bashrc\n"
        "  source <(kube-tunnel completion zsh)      # in ~/.zshrc, after compinit\n"
        "  kube-tunnel completion fish | source      # in ~/.config/fish/config.fish");
}

static int completion(const struct args *a, const char *const *words, size_t word_count)
{
    const char *shell = word_count ? words[0] : "";
    (void)a;

    if (word_count > 1)
        return refuse_words(words + 1, word_count - 1);
    if (strcmp(shell, "bash") == 0)
        fputs(bash, stdout);
    else if (strcmp(shell, "zsh") == 0)
        fputs(zsh, stdout);
    else if (strcmp(shell, "fish") == 0)
        fputs(fish, stdout);
    else
        return print_error("completion: \"%s\": expected bash, zsh or fish", shell);
    return EXIT_OK;
}

const struct command completion_command = {
    .name = "completion",
    .argument = "SHELL",
    .summary = "Print a script for bash, zsh or fish",
    .help = completion_help,
    .run = completion,
};

/* --- which kind of word is being typed --- */

static const struct {
    const char *command;
    size_t position; /* of the word after the command, from 0; further ones count as it */
    enum completes what;
    const char *list;
} positions[] = {
    { "explain", 0, COMPLETES_SERVICES, NULL },
    { "doctor", 0, COMPLETES_SERVICES, NULL },
    { "tail", 0, COMPLETES_SERVICES, NULL },
    { "exec", 0, COMPLETES_FILES, NULL },
    { "expose", 0, COMPLETES_SERVICES, NULL },
    { "ca", 0, COMPLETES_LIST, "install remove export status" },
    { "dns", 0, COMPLETES_LIST, "install uninstall status repair release" },
    { "config", 0, COMPLETES_LIST, "show check init" },
    { "config", 1, COMPLETES_SETTINGS, NULL },
    { "completion", 0, COMPLETES_LIST, "bash zsh fish" },
    { "port-forward", 0, COMPLETES_TARGETS, NULL },
    { "help", 0, COMPLETES_COMMANDS, NULL },
};

static const struct {
    const char *flag;
    enum completes what;
    const char *list;
} values[] = {
    { "context", COMPLETES_CONTEXTS, NULL },
    { "namespace", COMPLETES_NAMESPACES, NULL },
    { "namespaces", COMPLETES_NAMESPACES, NULL },
    { "allow-namespace", COMPLETES_NAMESPACES, NULL },
    { "deny-namespace", COMPLETES_NAMESPACES, NULL },
    { "expose", COMPLETES_SERVICES, NULL },
    { "kubeconfig", COMPLETES_FILES, NULL },
    { "config", COMPLETES_FILES, NULL },
    { "filename", COMPLETES_FILES, NULL },
    { "log-level", COMPLETES_LIST, "error warn info debug" },
    { "level", COMPLETES_LIST, "watch lookup" },
    { "output", COMPLETES_LIST, "wide json yaml name" },
};

/* "text|json" of the help becomes the list. */
static void complete_choices(struct typed_word *t, const struct setting *s, char **ret)
{
    const char *argument = setting_argument(s);

    if (!argument || !strchr(argument, '|'))
        return;
    *ret = xstrdup(argument);
    for (char *c = *ret; *c; c++)
        if (*c == '|')
            *c = ' ';
    t->what = COMPLETES_LIST;
    t->list = *ret;
}

/* `flag` without dashes. */
static void complete_value(struct typed_word *t, struct str flag, char **ret_list)
{
    const struct setting *s = setting_find(flag);

    if (str_eq(flag, STR("n")))
        flag = STR("namespace");
    else if (str_eq(flag, STR("o")))
        flag = STR("output");
    else if (str_eq(flag, STR("f")))
        flag = STR("filename");
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        if (!str_eq(flag, str_of(values[i].flag)))
            continue;
        t->what = values[i].what;
        t->list = values[i].list;
        return;
    }
    if (s)
        complete_choices(t, s, ret_list);
}

static struct str without_dashes(struct str flag)
{
    while (flag.len && flag.at[0] == '-')
        flag = str_skip(flag, 1);
    return flag;
}

static bool takes_value(struct str word)
{
    struct str flag = without_dashes(word);
    const struct setting *s = setting_find(flag);

    if (flag.len == word.len || memchr(word.at, '=', word.len))
        return false;
    return s ? !setting_is_bool(s) : args_takes_value(flag);
}

static void print_flag(const struct typed_word *t, const char *name, const char *help)
{
    AUTO_FREE char *text = xasprintf("--%s", name);
    print_candidate(t, text, help);
}

static void print_flags(const struct typed_word *t, const char *command)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        print_flag(t, settings[i].name, settings[i].help);
    for (size_t i = 0; args_flag_at(i); i++)
        if (args_is_of(args_flag_at(i), command))
            print_flag(t, args_flag_at(i), NULL);
    print_flag(t, "config", "Configuration file, instead of the usual ones");
    print_flag(t, "help", "Print the help");
}

/* The words before that are no flags: how many, and the first. */
static size_t count_words(const struct typed_word *t, const char **ret_first)
{
    size_t count = 0;

    *ret_first = NULL;
    for (size_t i = 0; i < t->before_count; i++) {
        struct str word = str_of(t->before[i]);
        if (takes_value(word))
            i++;
        else if (!str_starts(word, STR("-")) && count++ == 0)
            *ret_first = t->before[i];
    }
    return count;
}

static void complete_position(struct typed_word *t, const char *command, size_t position)
{
    for (size_t i = 0; i < ARRAY_LEN(positions); i++) {
        if (strcmp(command, positions[i].command) != 0 ||
            positions[i].position > position)
            continue;
        t->what = positions[i].what;
        t->list = positions[i].list;
    }
}

static void complete_typed(struct typed_word *t)
{
    AUTO_FREE char *list = NULL;
    const char *command;
    size_t count = count_words(t, &command);
    struct str flag, value = str_cut(t->word, '=', &flag);
    struct str last = t->before_count ? str_of(t->before[t->before_count - 1]) : STR("");

    if (takes_value(last)) {
        complete_value(t, without_dashes(last), &list);
        t->before_count--; /* it has no value yet */
    } else if (str_starts(t->word, STR("-")) && value.at) {
        size_t kept = flag.len + 1;
        complete_value(t, without_dashes(flag), &list);
        t->word = value;
        t->cut = t->cut > kept ? t->cut - kept : 0;
        /* A shell that does not part words at "=" replaces the whole word. */
        t->prefix = t->cut_at_equals ? STR("") : (struct str){ flag.at, kept };
    } else if (str_starts(t->word, STR("-"))) {
        print_flags(t, command ? command : "run");
        return;
    } else if (!command) {
        t->what = COMPLETES_COMMANDS;
    } else {
        complete_position(t, command, count - 1);
    }
    print_candidates(t);
}

static int complete(const struct args *a, const char *const *words, size_t word_count)
{
    struct typed_word t = { .what = COMPLETES_NOTHING };
    bool parted = word_count && strcmp(words[0], "bash") == 0;
    (void)a;

    if (word_count < 2)
        return EXIT_OK;
    char **joined = xcalloc(word_count, sizeof(*joined));
    size_t count = 0;
    if (parted)
        count = candidate_join(words + 1, word_count - 1, joined, &t);
    else
        for (size_t i = 1; i < word_count; i++)
            joined[count++] = xstrdup(words[i]);
    t.word = str_of(joined[count - 1]);
    t.before = (const char *const *)joined;
    t.before_count = count - 1;
    complete_typed(&t);
    for (size_t i = 0; i < count; i++)
        free(joined[i]);
    free(joined);
    return EXIT_OK;
}

static void complete_help(void)
{
    print_help(
        "Usage: kube-tunnel __complete SHELL -- WORD...\n\nCalled by the scripts of "
        "kube-tunnel completion.");
}

/* Without a summary it is in no list of commands. */
const struct command complete_command = {
    .name = "__complete",
    .help = complete_help,
    .run = complete,
};
