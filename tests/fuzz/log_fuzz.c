/* tests/fuzz/log_fuzz.c - any text in a log line: one line, and valid JSON
 *
 * The input is a byte of flags, then parts: a length, and so many bytes.  The first part is
 * the message, the others are fields.  Text lines are printable ASCII; a JSON line is an
 * object with the values that were logged, or their beginning where the line was cut.
 */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"

LOG_MODULE(serve);

#define FIELDS 4
#define LINE_ROOM 65536
#define LONG 0x80 /* of a length: the part is repeated */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char *const keys[FIELDS] = { "path", "reason", "client", "pod" };

struct script {
    const uint8_t *at, *end;
};

/* The next part, owned by the caller. */
static char *take_part(struct script *s)
{
    size_t n = s->at < s->end ? *s->at++ : 0;
    size_t times = n & LONG ? 1 + n % 64 : 1;
    char *part, *to;

    n &= 0x7f;
    if (n > (size_t)(s->end - s->at))
        n = (size_t)(s->end - s->at);
    to = part = xmalloc(n * times + 1);
    for (size_t i = 0; i < times; i++, to += n)
        memcpy(to, s->at, n);
    *to = '\0';
    s->at += n;
    return part;
}

static void check_text(const char *line, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++)
        assert(line[i] >= ' ' && line[i] < 0x7f);
}

/* What is not UTF-8 is replaced, so only other values can be compared. */
static void check_value(const json_t *object, const char *key, const char *value)
{
    json_t *valid = json_string(value);
    const char *got = json_string_value(json_object_get(object, key));

    if (valid && got) {
        size_t n = strlen(got);
        bool cut = n >= 3 && memcmp(got + n - 3, "...", 3) == 0;
        assert(strcmp(got, value) == 0 || (cut && strncmp(got, value, n - 3) == 0));
    }
    json_decref(valid);
}

static void check_json(const char *line, size_t len, char *const *parts)
{
    json_error_t error;
    json_t *object =
        json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);

    assert(json_is_object(object));
    assert(json_string_value(json_object_get(object, "level")));
    assert(json_string_value(json_object_get(object, "msg")));
    for (size_t i = 0; i < len - 1; i++)
        assert((unsigned char)line[i] >= ' ' && line[i] != 0x7f);
    check_value(object, "msg", parts[0]);
    for (size_t i = 0; i < FIELDS; i++)
        check_value(object, keys[i], parts[1 + i]);
    json_decref(object);
}

static int sink(void)
{
    static int fd = -1;

    if (fd < 0)
        fd = memfd_create("log", MFD_CLOEXEC);
    if (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET))
        abort();
    return fd;
}

static void log_parts(char *const *parts, uint64_t number)
{
    struct log_id id = { number % 3 ? 's' : 0, number, number % 5 };

    log_info(id, parts[0], LOG_S(keys[0], parts[1]), LOG_U("status", number),
             LOG_S(keys[1], parts[2]), LOG_I("left", -(int64_t)(number >> 1)),
             LOG_S(keys[2], parts[3]), LOG_ID("tunnel", id), LOG_S(keys[3], parts[4]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static char line[LINE_ROOM];
    struct script script = { bytes + 1, bytes + len };
    char *parts[1 + FIELDS];
    int fd = sink();

    if (len == 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        parts[i] = take_part(&script);
    bool json = bytes[0] & 1;
    log_set_level(LEVEL_INFO);
    log_set_format(json ? LOG_JSON : LOG_TEXT);
    log_set_fd(fd, false);
    log_parts(parts, bytes[0] & 2 ? UINT64_MAX - bytes[0] : bytes[0]);
    log_flush();
    ssize_t n = pread(fd, line, sizeof(line), 0);
    assert(n > 1 && memchr(line, '\n', (size_t)n) == line + n - 1);
    if (json)
        check_json(line, (size_t)n, parts);
    else
        check_text(line, (size_t)n);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        free(parts[i]);
    return 0;
}
