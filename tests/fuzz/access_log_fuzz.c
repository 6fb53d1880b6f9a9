/* tests/fuzz/access_log_fuzz.c - lines of the access log: whatever a request has, it is one line of
 * bounded length, which a parser of its format reads */
#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/own.h"
#include "base/sched.h"
#include "serve/access_log.h"
#include "serve/accounting.h"
#include "serve/target.h"
#include "wire/http1.h"

#define LINE_MAX_BYTES 8192
#define FIELDS 64

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_line(const char *line, size_t len, enum access_format format)
{
    assert(len > 1 && len <= LINE_MAX_BYTES && line[len - 1] == '\n');
    assert(!memchr(line, '\n', len - 1));
    if (format == ACCESS_JSON) {
        json_t *object = json_loadb(line, len, 0, NULL);
        assert(json_is_object(object));
        json_decref(object);
        return;
    }
    size_t quotes = 0;
    for (size_t i = 0; i + 1 < len; i++) {
        assert(line[i] >= ' ' && line[i] <= '~');
        if (line[i] == '\\')
            i++;
        else
            quotes += line[i] == '"';
    }
    assert(quotes == (format == ACCESS_COMBINED ? 6 : 2));
}

static void write_one(const struct accounting *a, enum access_format format)
{
    struct sched sched;
    struct access_log *log = NULL;
    int fd = memfd_create("log", MFD_CLOEXEC);
    AUTO_FREE char *path = xasprintf("/proc/self/fd/%d", fd);
    char line[LINE_MAX_BYTES + 1];

    sched_init(&sched, 1);
    enum err e = access_log_open(&sched, path, format, &log, NULL);
    assert(fd >= 0 && !e);
    access_log_note(log, a);
    access_log_close(log);
    sched_finish(&sched);
    ssize_t n = pread(fd, line, sizeof(line), 0);
    assert(n > 0);
    check_line(line, (size_t)n, format);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct http1_field fields[FIELDS];
    struct http1_head head = { .fields = fields, .room = FIELDS };
    struct lease lease = { 0 };
    struct target target = { 0 };

    if (!len || http1_request_parse((const char *)bytes, len, &head))
        return 0;
    target.path = head.target;
    const struct accounting a = { .client = "127.0.0.1",
                                  .request = &head,
                                  .target = &target,
                                  .lease = &lease,
                                  .status = bytes[0] % 2 ? 200 : 0 };
    for (enum access_format f = ACCESS_COMMON; f <= ACCESS_JSON; f++)
        write_one(&a, f);
    return 0;
}
