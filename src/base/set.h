/* base/set.h - elements by their text keys, hashed
 *
 * Like base/map.h for elements that contain their key: it takes 20 bytes for each, with tens of
 * thousands of them.  The set owns nothing.  The key of an element must not change while it is in
 * there.  An iteration may remove the element that it stands on, and no other.
 */
#pragma once

#include "base/str.h"

struct set {
    struct str (*key)(const void *element);
    void **slots;     /* NULL: empty */
    uint32_t *hashes; /* of the elements, in the same block of memory */
    size_t capacity;  /* a power of two, or 0 */
    size_t count;
    size_t used; /* private: slots that hold an element or did */
};

void set_init(struct set *s, struct str (*key)(const void *element));
void set_finish(struct set *s); /* empty afterwards, and usable */

void *set_get(const struct set *s, struct str key); /* NULL: not there */
/* There is none with its key. */
void set_add(struct set *s, void *element);
void *set_remove(struct set *s, struct str key); /* the element, or NULL */

/* for (size_t at = 0; (element = set_next(s, &at)); ) */
void *set_next(const struct set *s, size_t *at);
