#include "serve/socks_greeting.h"

#include "base/own.h"
#include "serve/proxy_users.h"

static void put(struct bufq *out, const uint8_t *bytes, size_t n)
{
    bufq_write(out, bytes, n); /* nothing else is in it */
}

static enum err refuse_request(const struct socks_greeting *g, enum socks_reply reply,
                               struct bufq *out)
{
    uint8_t bytes[SOCKS_REPLY_MAX];

    put(out, bytes, socks_reply_encode(g->version, reply, bytes));
    return ERR_PROTO;
}

static enum err choose_method(struct socks_greeting *g, const struct socks5_offer *offer,
                              struct bufq *out, struct diag *why)
{
    bool anonymous = offer->anonymous && !g->users;
    enum socks5_method method = anonymous         ? SOCKS5_ANONYMOUS
                                : offer->password ? SOCKS5_PASSWORD
                                                  : SOCKS5_NO_METHOD;
    uint8_t bytes[SOCKS_REPLY_MAX];

    put(out, bytes, socks5_choice_encode(method, bytes));
    g->step = method == SOCKS5_PASSWORD ? SOCKS_LOGIN : SOCKS_REQUEST;
    if (method == SOCKS5_NO_METHOD)
        return diag_set(why, ERR_UNSUPPORTED, "%s",
                        g->users ? "it offers no password, and --proxy-users needs one"
                                 : "it offers neither no authentication nor a password");
    return OK;
}

static enum err read_offer(struct socks_greeting *g, const uint8_t *in, size_t len,
                           size_t *used, struct bufq *out, struct diag *why)
{
    struct socks5_offer offer;
    enum err e = socks5_offer_decode(in, len, &offer, used);

    return e ? e : choose_method(g, &offer, out, why);
}

static enum err read_login(struct socks_greeting *g, const uint8_t *in, size_t len,
                           size_t *used, struct bufq *out, struct diag *why)
{
    struct socks5_login login;
    uint8_t bytes[SOCKS_REPLY_MAX];
    enum err e = socks5_login_decode(in, len, &login, used);

    if (e)
        return e;
    bool accepted = !g->users || proxy_users_accept(g->users, str_of(login.user),
                                                    str_of(login.password));
    explicit_bzero(&login, sizeof(login));
    put(out, bytes, socks5_login_reply_encode(accepted, bytes));
    g->step = SOCKS_REQUEST;
    if (accepted)
        return OK;
    return diag_set(why, ERR_UNAUTHORIZED,
                    "its user and password are none of --proxy-users");
}

static enum err check_command(struct socks_greeting *g, struct bufq *out,
                              struct diag *why)
{
    g->step = SOCKS_DONE;
    if (g->users && g->version == 4) {
        refuse_request(g, SOCKS_FAILED, out);
        return diag_set(why, ERR_UNAUTHORIZED,
                        "SOCKS 4 has no passwords, and --proxy-users needs one");
    }
    if (g->request.command == SOCKS_CONNECT && g->request.port)
        return OK;
    bool connect = g->request.command == SOCKS_CONNECT;
    refuse_request(g, connect ? SOCKS_REFUSED : SOCKS_COMMAND_UNSUPPORTED, out);
    return diag_set(why, ERR_UNSUPPORTED, "%s",
                    connect ? "port 0"
                    : g->request.command == SOCKS_BIND
                        ? "BIND: pods cannot connect to this machine"
                        : "UDP ASSOCIATE: a port-forward carries TCP only");
}

static enum err read_request(struct socks_greeting *g, const uint8_t *in, size_t len,
                             size_t *used, struct bufq *out, struct diag *why)
{
    enum err e = g->version == 4 ? socks4_request_decode(in, len, &g->request, used)
                                 : socks5_request_decode(in, len, &g->request, used);

    if (e && e != ERR_AGAIN)
        refuse_request(g, e == ERR_UNSUPPORTED ? SOCKS_ADDRESS_UNSUPPORTED : SOCKS_FAILED,
                       out);
    return e ? e : check_command(g, out, why);
}

static enum err take_message(struct socks_greeting *g, struct bufq *in, struct bufq *out,
                             struct diag *why)
{
    uint8_t bytes[SOCKS4_MESSAGE_MAX];
    size_t used = 0, len = bufq_copy(in, 0, bytes, sizeof(bytes));
    enum err e;

    if (g->version == 5 && g->step == SOCKS_OFFER)
        e = read_offer(g, bytes, len, &used, out, why);
    else if (g->step == SOCKS_LOGIN)
        e = read_login(g, bytes, len, &used, out, why);
    else
        e = read_request(g, bytes, len, &used, out, why);
    bufq_skip(in, used);
    return e;
}

enum err socks_greeting_run(struct socks_greeting *g, struct bufq *in, struct bufq *out,
                            struct diag *why)
{
    enum err e = OK;

    while (!e && g->step != SOCKS_DONE)
        e = take_message(g, in, out, why);
    return e;
}
