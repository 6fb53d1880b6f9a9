/* tests/unit/kube/folder.h - a temporary folder of small files */
#pragma once

struct folder {
    char path[64];
};

void folder_create(struct folder *f);
/* Write a file into it; the result is its path, valid until the next call. */
const char *folder_put(const struct folder *f, const char *name, const char *text);
void folder_destroy(struct folder *f);
