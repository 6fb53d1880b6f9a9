/* cli/tail.c - kube-tunnel tail */
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "base/utf8.h"
#include "cli/ask.h"
#include "cli/har.h"
#include "control/client.h"

#define HAR_LIMIT (1ull << 30)

static void tail_help(void)
{
    print_help(
        "Usage: kube-tunnel tail [NAME] [--status 404|5xx] [--slow TIME] [-o json]\n"
        "                        [--har FILE] [--queries] [--bodies]\n"
        "\n"
        "Print requests and raw connections as they end, and where their time went.\n"
        "NAME is a host, a service or SERVICE.NAMESPACE. Values of queries, credentials\n"
        "and cookies are redacted.\n"
        "\n"
        "      --status S       Only this status, or class like 5xx\n"
        "      --slow TIME      Only requests that took so long, like 500ms\n"
        "  -o, --output json    One JSON object a line\n"
        "      --har FILE       Also write an HTTP archive, for you alone (mode 0600)\n"
        "      --har-limit N    Bytes that it may have; without it 1 GiB\n"
        "      --queries        Show values of queries, but for names like \"token\"\n"
        "      --bodies         Record bodies (64 KiB each) for -o json and --har; the\n"
        "                       log and kube-tunnel status say so while it runs\n"
        "      --name NAME      Of which kube-tunnel; \"default\" without it\n"
        "\n"
        "kube-tunnel replay ID sends a request that was shown again.");
}

struct tail {
    bool json, colour;
    uint64_t har_limit;
    struct har *har; /* NULL: none, or it is full */
    int status;      /* the exit status */
};

static volatile sig_atomic_t stop;

static void on_signal(int signum)
{
    (void)signum;
    stop = 1;
}

static void catch_signals(void)
{
    struct sigaction action = { .sa_handler =
                                    on_signal }; /* no SA_RESTART: poll returns */

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static const char *colour_of(long long status)
{
    return status >= 500 || !status ? "\033[31m"
           : status >= 400          ? "\033[33m"
                                    : "\033[32m";
}

static void print_phases(const json_t *ms)
{
    static const struct {
        const char *key, *shown;
    } phases[] = {
        { "head", "head" }, { "lookup", "look-up" }, { "wait", "waiting" },
        { "dial", "dial" }, { "pod", "pod" },        { "transfer", "transfer" }
    };
    const char *before = "  ";

    for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
        if (!number_of(ms, phases[i].key))
            continue;
        printf("%s%s %lld", before, phases[i].shown, number_of(ms, phases[i].key));
        before = ", ";
    }
}

static void print_clock(const json_t *event)
{
    time_t at = (time_t)(number_of(event, "at") / 1000);
    struct tm parts = { 0 };
    char clock[16] = "";

    if (localtime_r(&at, &parts))
        strftime(clock, sizeof(clock), "%H:%M:%S", &parts);
    printf("%s  %-7s  ", clock, text_of(event, "id"));
}

/* "closed", in the place of a status. */
static void print_connection(const struct tail *t, const json_t *event)
{
    const json_t *ms = json_object_get(event, "ms");
    const char *end = text_of(event, "end"), *reason = text_of(event, "reason");
    bool bad = strcmp(end, "reset") == 0 || strcmp(end, "failed") == 0;
    AUTO_FREE char *host = xstrdup(text_of(event, "host"));
    AUTO_FREE char *of_pod = event_pod(event);
    AUTO_FREE char *pod = of_pod ? TAKE(of_pod) : xstrdup("no pod");
    AUTO_FREE char *why = reason[0] ? xasprintf("  %s", reason) : xstrdup("");
    const char *colour = bad ? "\033[31m" : "\033[32m";

    text_make_printable(host, false);
    text_make_printable(pod, false);
    text_make_printable(why, false);
    print_clock(event);
    printf("%s%s%s  %5lld ms  TCP %s  %s  in %lld, out %lld bytes",
           t->colour ? colour : "", end, t->colour ? "\033[0m" : "",
           number_of(ms, "total"), host, pod, number_of(event, "bytesIn"),
           number_of(event, "bytesOut"));
    print_phases(ms);
    puts(why);
}

static void print_event(const struct tail *t, const json_t *event)
{
    const json_t *ms = json_object_get(event, "ms");
    long long status = number_of(event, "status");
    AUTO_FREE char *url =
        xasprintf("%s%s", text_of(event, "host"), text_of(event, "path"));
    AUTO_FREE char *of_pod = event_pod(event);
    AUTO_FREE char *pod = of_pod ? TAKE(of_pod) : xstrdup("kube-tunnel");
    AUTO_FREE char *method = xstrdup(text_of(event, "method"));

    text_make_printable(url, false);
    text_make_printable(pod, false);
    text_make_printable(method, false);
    print_clock(event);
    printf("%s%lld%s  %5lld ms  %s %s  %s", t->colour ? colour_of(status) : "",
           status ? status : 499, t->colour ? "\033[0m" : "", number_of(ms, "total"),
           method, url, pod);
    print_phases(ms);
    putchar('\n');
}

static void add_to_har(struct tail *t, const json_t *event)
{
    struct diag why = { "" };

    if (!t->har || !har_add(t->har, event, &why))
        return;
    print_failure("%s; requests are no longer written there", why.text);
    har_close(TAKE(t->har));
    t->status = EXIT_FAILED;
}

static void take_end(struct tail *t, struct str line, const json_t *event, bool request)
{
    if (t->json)
        printf("%.*s\n", STR_ARG(line));
    else if (request)
        print_event(t, event);
    else
        print_connection(t, event);
    fflush(stdout);
    if (request) /* an HTTP archive has nothing else */
        add_to_har(t, event);
}

/* False: the stream has ended in order. */
static bool take_line(struct tail *t, struct str line)
{
    json_t *event = json_loadb(line.at, line.len, JSON_ALLOW_NUL, NULL);
    const char *type = text_of(event, "type");
    bool ends = strcmp(type, "end") == 0;

    bool request = strcmp(type, "request") == 0;

    if (request || strcmp(type, "connection") == 0)
        take_end(t, line, event, request);
    else if (strcmp(type, "lost") == 0)
        print_failure("%lld requests were not shown, because they came too fast",
                      number_of(event, "events"));
    json_decref(event);
    return !ends;
}

static int follow(struct tail *t, struct control_lines *lines)
{
    struct str line;
    enum err e = OK;

    catch_signals();
    while (!e && !ferror(stdout)) {
        e = control_lines_next(lines, &stop, &line);
        if (!e && !take_line(t, line)) {
            print_failure("kube-tunnel has ended");
            return t->status;
        }
    }
    if (e && e != ERR_AGAIN && !stop)
        return print_failure("kube-tunnel has ended without notice");
    return t->status;
}

static void add_parameter(FILE *path, const char *key, const char *value)
{
    AUTO_FREE char *encoded = query_encode(value);

    fprintf(path, "&%s=%s", key, encoded);
}

/* The path of the operation, with the filters; owned by the caller. */
static char *path_of(const struct args *a, const char *name, uint64_t slow_ms, bool heads)
{
    char *text = NULL;
    size_t len = 0;
    FILE *path = open_memstream(&text, &len);

    if (!path)
        abort();
    fprintf(path, "/v1/events?slow=%llu", (unsigned long long)slow_ms);
    if (name)
        add_parameter(path, "name", name);
    if (args_own(a, "status"))
        add_parameter(path, "status", args_own(a, "status"));
    if (args_own(a, "queries"))
        fputs("&queries=1", path);
    if (args_own(a, "bodies"))
        fputs("&bodies=1", path);
    if (heads)
        fputs("&heads=1", path);
    if (fclose(path))
        abort();
    return text;
}

static int read_har_limit(const struct args *a, struct tail *t)
{
    const char *text = args_own(a, "har-limit");

    t->har_limit = HAR_LIMIT;
    if (text && str_to_uint(str_of(text), INT64_MAX, &t->har_limit))
        return print_error("--har-limit \"%s\": expected a number of bytes", text);
    return EXIT_OK;
}

/* An archive that exists is overwritten only once a kube-tunnel has answered. */
static int follow_path(const struct args *a, struct tail *t, const char *name,
                       const char *path)
{
    const char *har = args_own(a, "har");
    struct control_lines *lines = NULL;
    struct diag why = { "" };
    enum err e = control_lines_open(name, path, &lines, &why);

    if (!e && har)
        e = har_create(har, t->har_limit, &t->har, &why);
    int status = e ? print_failure("%s", diag_text(&why, e)) : follow(t, lines);
    control_lines_close(lines);
    har_close(t->har);
    return status;
}

static int run_tail(const struct args *a, const char *const *words, size_t word_count)
{
    const char *slow = args_own(a, "slow"), *output = args_own(a, "output");
    struct tail t = { .colour = may_colour(STDOUT_FILENO) };
    AUTO_FREE char *name = NULL;
    uint64_t slow_ms = 0;

    if (word_count > 1)
        return refuse_words(words + 1, word_count - 1);
    if (output && strcmp(output, "json") != 0)
        return print_error("--output \"%s\": expected json", output);
    if (slow && str_to_duration_ms(str_of(slow), &slow_ms))
        return print_error("--slow \"%s\": expected a time like 500ms", slow);
    t.json = output != NULL;
    int status = asked_name(a, &name);
    if (!status)
        status = read_har_limit(a, &t);
    if (status)
        return status;
    AUTO_FREE char *path =
        path_of(a, word_count ? words[0] : NULL, slow_ms, args_own(a, "har") || t.json);
    return follow_path(a, &t, name, path);
}

const struct command tail_command = {
    .name = "tail",
    .argument = "[NAME]",
    .summary = "Print requests as they end, and where the time went",
    .help = tail_help,
    .run = run_tail,
};
