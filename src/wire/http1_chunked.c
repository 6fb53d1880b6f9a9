/* wire/http1_chunked.c - the chunked transfer coding (RFC 9112, section 7.1)
 *
 * THEORY OF OPERATION
 *
 * Framing is read a byte at a time by the small machine below; payload is only counted.
 * The decoder never looks back and keeps no bytes, so its input may be cut anywhere and
 * needs no copy.  Each call returns one piece: framing up to the next payload byte, and
 * as much of that chunk's payload as the input has.
 *
 *      SIZE ─▶ MORE_SIZE ─▶ (SIZE_BLANK) ─▶ (EXTENSION) ─▶ SIZE_LF ─▶ PAYLOAD
 *       ▲                                     │          │
 *       └───── PAYLOAD_LF ◀─ PAYLOAD_CR ◀─────┼──────────┘
 *                                             │ size 0
 *                                             ▼
 *      DONE ◀──────── LAST_LF ◀──────────── TRAILER ─▶ TRAILER_NAME ─▶ TRAILER_VALUE
 *                                             ▲         (TRAILER_BLANK)   │
 *                                             └──────── TRAILER_LF ◀──────┘
 *
 * Common servers put blanks after a size (Tomcat's Coyote, small devices) and before the
 * colon of a trailer.  They are accepted in a response and dropped, and so are chunk
 * extensions, which are for one connection only: the client gets "SIZE CRLF" and "NAME
 * COLON VALUE CRLF".  A request must follow the grammar and is passed on unchanged.
 *
 * Trailer lines must follow the rules of field lines, because they are passed on
 * unchanged.  Which fields they contain is not checked, because no code here merges
 * trailers into a head.
 */
#include "wire/http1.h"

#include "wire/http1_chars.h"

#define CHUNK_MAX (UINT64_C(1) << 60)

enum {
    SIZE, /* the start of a body; a zeroed decoder is in this state */
    MORE_SIZE,
    SIZE_BLANK,
    EXTENSION,
    SIZE_LF,
    PAYLOAD,
    PAYLOAD_CR,
    PAYLOAD_LF,
    TRAILER,
    TRAILER_NAME,
    TRAILER_BLANK,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    DONE,
};

static enum err chunk_refuse(struct http1_chunked *c, const char *problem)
{
    c->problem = problem;
    return ERR_PROTO;
}

static enum err chunk_limit(struct http1_chunked *c, const char *problem)
{
    c->problem = problem;
    return ERR_LIMIT;
}

static enum err go(struct http1_chunked *c, int state)
{
    c->state = state;
    return OK;
}

static int hex_value(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte = (char)(byte | 0x20);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The limit is checked before the shift, which may lose the top bits. */
static enum err add_digit(struct http1_chunked *c, uint64_t digit)
{
    if (c->left > (CHUNK_MAX - digit) / 16)
        return chunk_refuse(c, "a chunk size is too large");
    c->left = c->left * 16 + digit;
    return go(c, MORE_SIZE);
}

static enum err on_size(struct http1_chunked *c, char byte)
{
    int digit = hex_value(byte);

    if (digit >= 0)
        return add_digit(c, (uint64_t)digit);
    if (c->state == SIZE)
        return chunk_refuse(c, "a chunk size is missing");
    if (byte == '\r')
        return go(c, SIZE_LF);
    if (byte == ';')
        return go(c, EXTENSION);
    if (is_blank(byte))
        return go(c, SIZE_BLANK);
    return chunk_refuse(c, "a forbidden character after a chunk size");
}

/* A digit after the blank is refused: another parser might read it as part of the
 * size. */
static enum err on_size_blank(struct http1_chunked *c, char byte)
{
    if (byte == ';')
        return go(c, EXTENSION);
    if (is_blank(byte))
        return OK;
    if (byte == '\r' && c->answer)
        return go(c, SIZE_LF);
    return chunk_refuse(c, "a forbidden character after a chunk size");
}

static enum err on_extension(struct http1_chunked *c, char byte)
{
    if (byte == '\r')
        return go(c, SIZE_LF);
    if (is_text_char(byte))
        return OK;
    return chunk_refuse(c, "a control character in a chunk extension");
}

static enum err on_size_lf(struct http1_chunked *c, char byte)
{
    if (byte != '\n')
        return chunk_refuse(c, "a chunk size line does not end in CRLF");
    c->overhead = 0;
    return go(c, c->left > 0 ? PAYLOAD : TRAILER);
}

static enum err on_payload_cr(struct http1_chunked *c, char byte)
{
    return byte == '\r' ? go(c, PAYLOAD_LF)
                        : chunk_refuse(c, "a chunk does not end where its size says");
}

static enum err on_payload_lf(struct http1_chunked *c, char byte)
{
    if (byte != '\n')
        return chunk_refuse(c, "a chunk does not end where its size says");
    c->overhead = 0;
    return go(c, SIZE);
}

static enum err on_trailer(struct http1_chunked *c, char byte)
{
    if (byte == '\r')
        return go(c, LAST_LF);
    if (is_token_char(byte))
        return go(c, TRAILER_NAME);
    return chunk_refuse(c, is_blank(byte) ? "a folded trailer line"
                                          : "a trailer does not begin with a name");
}

static enum err on_trailer_name(struct http1_chunked *c, char byte)
{
    if (byte == ':')
        return go(c, TRAILER_VALUE);
    if (is_token_char(byte))
        return OK;
    if (is_blank(byte) && c->answer)
        return go(c, TRAILER_BLANK);
    return chunk_refuse(c, "a forbidden character in a trailer name");
}

static enum err on_trailer_blank(struct http1_chunked *c, char byte)
{
    if (byte == ':')
        return go(c, TRAILER_VALUE);
    return is_blank(byte) ? OK
                          : chunk_refuse(c, "a forbidden character in a trailer name");
}

static enum err on_trailer_value(struct http1_chunked *c, char byte)
{
    if (byte == '\r')
        return go(c, TRAILER_LF);
    if (is_text_char(byte))
        return OK;
    return chunk_refuse(c, "a control character in a trailer");
}

static enum err on_trailer_lf(struct http1_chunked *c, char byte)
{
    return byte == '\n' ? go(c, TRAILER)
                        : chunk_refuse(c, "a trailer does not end in CRLF");
}

static enum err on_last_lf(struct http1_chunked *c, char byte)
{
    return byte == '\n' ? go(c, DONE)
                        : chunk_refuse(c, "the trailers do not end in CRLF");
}

/* What a byte of framing means in each state, and how long the line or block that the
 * state belongs to may get. */
static const struct {
    enum err (*on_byte)(struct http1_chunked *c, char byte);
    uint32_t max;
    const char *too_long;
} states[] = {
/* clang-format off */
#define LINE HTTP1_CHUNK_LINE_MAX, "a chunk size line is too long"
#define TRAILERS HTTP1_TRAILERS_MAX, "the trailers are too long"
    [SIZE]          = { on_size,          LINE },
    [MORE_SIZE]     = { on_size,          LINE },
    [SIZE_BLANK]    = { on_size_blank,    LINE },
    [EXTENSION]     = { on_extension,     LINE },
    [SIZE_LF]       = { on_size_lf,       LINE },
    [PAYLOAD_CR]    = { on_payload_cr,    LINE },
    [PAYLOAD_LF]    = { on_payload_lf,    LINE },
    [TRAILER]       = { on_trailer,       TRAILERS },
    [TRAILER_NAME]  = { on_trailer_name,  TRAILERS },
    [TRAILER_BLANK] = { on_trailer_blank, TRAILERS },
    [TRAILER_VALUE] = { on_trailer_value, TRAILERS },
    [TRAILER_LF]    = { on_trailer_lf,    TRAILERS },
    [LAST_LF]       = { on_last_lf,       TRAILERS },
#undef LINE
#undef TRAILERS
    /* clang-format on */
};

/* The limit of the current line; that of a size's digits is narrower than that of its
 * extensions. */
static uint32_t most(const struct http1_chunked *c)
{
    bool is_after_size = c->state > MORE_SIZE && c->state <= SIZE_LF;

    return c->answer && is_after_size ? HTTP1_ANSWER_CHUNK_LINE_MAX
                                      : states[c->state].max;
}

static enum err read_framing(struct http1_chunked *c, char byte)
{
    if (c->overhead == most(c))
        return chunk_limit(c, states[c->state].too_long);
    c->overhead++;
    return states[c->state].on_byte(c, byte);
}

uint32_t http1_chunked_trailers(const struct http1_chunked *c)
{
    return c->state >= TRAILER ? c->overhead : 0;
}

bool http1_chunked_drops(const struct http1_chunked *c, char byte)
{
    if (!c->answer)
        return false;
    switch (c->state) {
    case MORE_SIZE:
        return byte == ';' || is_blank(byte);
    case SIZE_BLANK:
    case EXTENSION:
        return byte != '\r';
    case TRAILER_NAME:
        return is_blank(byte);
    case TRAILER_BLANK:
        return byte != ':';
    default:
        return false;
    }
}

/* Reads framing from in[*at] on: a run of bytes that are all dropped, or all passed
 * on. */
static enum err read_run(struct http1_chunked *c, const uint8_t *in, size_t len,
                         bool dropped, size_t *at)
{
    while (*at < len && c->state != PAYLOAD && c->state != DONE) {
        char byte = (char)in[*at];
        if (http1_chunked_drops(c, byte) != dropped)
            return OK;
        enum err e = read_framing(c, byte);
        if (e)
            return e;
        ++*at;
    }
    return OK;
}

static size_t read_payload(struct http1_chunked *c, size_t len)
{
    size_t n = c->left < len ? (size_t)c->left : len;

    c->left -= n;
    if (c->left == 0)
        c->state = PAYLOAD_CR;
    return n;
}

enum err http1_chunked_decode(struct http1_chunked *c, const uint8_t *in, size_t len,
                              struct http1_piece *ret)
{
    struct http1_piece piece = { 0 };

    if (len == 0)
        return ERR_AGAIN;
    enum err e = read_run(c, in, len, true, &piece.dropped);
    size_t at = piece.dropped;
    if (!e)
        e = read_run(c, in, len, false, &at);
    if (e)
        return e;
    piece.framing = at - piece.dropped;
    if (c->state == PAYLOAD)
        piece.payload = read_payload(c, len - at);
    piece.done = c->state == DONE;
    *ret = piece;
    return OK;
}

size_t http1_chunk_head_encode(size_t n, char out[static HTTP1_CHUNK_HEAD_MAX])
{
    size_t len = 0;

    for (size_t rest = n; rest > 0 || len == 0; rest >>= 4)
        len++;
    for (size_t i = len; i > 0; i--, n >>= 4)
        out[i - 1] = "0123456789abcdef"[n & 15];
    out[len] = '\r';
    out[len + 1] = '\n';
    return len + 2;
}
