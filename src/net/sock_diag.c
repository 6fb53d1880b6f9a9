#include "net/sock_diag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"

/* At most this many answers to earlier queries are skipped; normally there are none. */
#define STALE_MAX 8

struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
};

static void put_end(const struct sockaddr_storage *a, uint32_t address[static 4],
                    uint16_t *port)
{
    struct str bytes = address_bytes((const struct sockaddr *)a);

    *port = htons(address_port((const struct sockaddr *)a));
    memcpy(address, bytes.at, bytes.len);
}

/* The query for the socket that is bound to `own` and connected to `other`. */
static struct question question_about(const struct sockaddr_storage *own,
                                      const struct sockaddr_storage *other,
                                      uint32_t sequence)
{
    struct question q = {
        .head = { .nlmsg_len = sizeof(q),
                  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                  .nlmsg_flags = NLM_F_REQUEST,
                  .nlmsg_seq = sequence },
        .body = { .sdiag_family = (uint8_t)own->ss_family,
                  .sdiag_protocol = IPPROTO_TCP,
                  .idiag_states = UINT32_MAX },
    };
    put_end(own, q.body.id.idiag_src, &q.body.id.idiag_sport);
    put_end(other, q.body.id.idiag_dst, &q.body.id.idiag_dport);
    q.body.id.idiag_cookie[0] = q.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    return q;
}

static enum err err_of_kernel(int error)
{
    if (error == -ENOENT)
        return ERR_NOT_FOUND;
    return error == -EPERM || error == -EACCES ? ERR_ACCESS : ERR_IO;
}

/* Is the answer about the queried connection?  If there is none, the kernel returns a
 * socket that listens on that port; and one in SYN_SENT is not connected yet.  Either may
 * belong to another user. */
static bool is_about(const struct inet_diag_msg *found, const struct question *q)
{
    return found->idiag_state != TCP_LISTEN && found->idiag_state != TCP_SYN_SENT &&
           found->id.idiag_sport == q->body.id.idiag_sport &&
           found->id.idiag_dport == q->body.id.idiag_dport;
}

static enum err answer_read(const char *bytes, size_t len, const struct question *q,
                            struct sock_facts *ret)
{
    const struct nlmsghdr *head = (const void *)bytes;
    const struct inet_diag_msg *found = NLMSG_DATA(head);
    const struct nlmsgerr *error = NLMSG_DATA(head);

    if (!NLMSG_OK(head, len))
        return ERR_IO;
    if (head->nlmsg_seq != q->head.nlmsg_seq)
        return ERR_AGAIN;
    if (head->nlmsg_type == NLMSG_ERROR &&
        head->nlmsg_len >= NLMSG_LENGTH(sizeof(*error)))
        return err_of_kernel(error->error);
    if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        head->nlmsg_len < NLMSG_LENGTH(sizeof(*found)))
        return ERR_IO;
    if (!is_about(found, q))
        return ERR_NOT_FOUND;
    *ret = (struct sock_facts){ found->idiag_uid, found->idiag_inode };
    return OK;
}

static enum err exchange_with_kernel(struct sock_diag *d, const struct question *q,
                                     struct sock_facts *ret)
{
    char bytes[512] __attribute__((aligned(NLMSG_ALIGNTO)));
    enum err e = ERR_AGAIN;

    if (send(d->fd, q, sizeof(*q), 0) != (ssize_t)sizeof(*q))
        return err_of_kernel(-errno);
    for (int i = 0; i < STALE_MAX && e == ERR_AGAIN; i++) {
        ssize_t n = recv(d->fd, bytes, sizeof(bytes), 0);
        e = n > 0 ? answer_read(bytes, (size_t)n, q, ret) : ERR_IO;
    }
    return e == ERR_AGAIN ? ERR_IO : e;
}

bool sock_diag_open(struct sock_diag *d)
{
    if (d->fd < 0)
        d->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                       NETLINK_SOCK_DIAG);
    return d->fd >= 0;
}

enum err sock_diag_query(struct sock_diag *d, const struct sock_ends *ends,
                         struct sock_facts *ret)
{
    struct sock_facts near;

    if (!sock_diag_open(d))
        return err_of_kernel(-errno);
    struct question q = question_about(&ends->far, &ends->near, ++d->sequence);
    enum err e = exchange_with_kernel(d, &q, ret);
    if (e != ERR_NOT_FOUND)
        return e;
    q = question_about(&ends->near, &ends->far, ++d->sequence);
    return exchange_with_kernel(d, &q, &near) ? ERR_IO : ERR_NOT_FOUND;
}

void sock_diag_close(struct sock_diag *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
}
