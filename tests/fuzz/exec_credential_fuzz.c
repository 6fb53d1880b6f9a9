/* tests/fuzz/exec_credential_fuzz.c - any bytes as what plugins and providers answer
 *
 * What is accepted can become a header field and a text in a YAML file.
 */
#include <assert.h>

#include "base/own.h"
#include "base/rfc3339.h"
#include "kube/exec_credential.h"
#include "kube/exec_words.h"
#include "kube/jwt.h"
#include "kube/oidc_answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_word(const char *text)
{
    for (; text && *text; text++)
        assert((unsigned char)*text > ' ' && *text != 0x7f);
}

static void parse_credential(struct str text)
{
    struct diag why = { "" };
    struct secret s;

    if (exec_credential_parse(text, EXEC_API_V1, &s, &why)) {
        assert(why.text[0] && !s.token && !s.certificate && !s.key);
        return;
    }
    check_word(s.token);
    assert(s.token || s.certificate);
    assert(!s.certificate == !s.key);
    secret_finish(&s);
}

static void parse_answers(struct str text)
{
    struct oidc_tokens t = { 0 };
    struct diag why = { "" };
    char *endpoint = NULL;

    if (oidc_read_tokens(200, text, &t, &why) == OK) {
        check_word(t.id);
        check_word(t.refresh);
        oidc_tokens_finish(&t);
    }
    assert(oidc_read_tokens(400, text, &t, &why) != OK);
    if (oidc_read_discovery(text, true, &endpoint, &why) == OK)
        assert(str_starts(str_of(endpoint), STR("https://")));
    free(endpoint);
}

static void read_words(struct str text)
{
    char out[EXEC_TAIL_MAX];
    struct exec_words w;

    exec_words_begin(&w, "plugin", false);
    w.lines = EXEC_LINES_MAX + 1; /* not into the log */
    for (size_t at = 0; at < text.len; at += 7)
        exec_words_add(&w, str_first(str_skip(text, at), 7));
    exec_words_end(&w);
    for (size_t room = 1; room < sizeof(out); room *= 2) {
        exec_words_last(&w, out, room);
        assert(strlen(out) < room);
        for (const char *c = out; *c; c++)
            assert((unsigned char)*c >= ' ' && *c != 0x7f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    AUTO_FREE char *copy = str_dup((struct str){ (const char *)bytes, len });
    struct str text = { copy, len };
    char shown[RFC3339_ROOM];
    int64_t ms;

    parse_credential(text);
    parse_answers(text);
    read_words(text);
    if (jwt_expiry(text, &ms) == OK)
        rfc3339_write(ms, shown);
    if (rfc3339_parse(text, &ms) == OK) {
        rfc3339_write(ms, shown);
        assert(strlen(shown) == 20);
    }
    return 0;
}
