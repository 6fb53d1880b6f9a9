/* tests/unit/kube/folder.c - a temporary folder of small files */
#include "folder.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void folder_create(struct folder *f)
{
    strcpy(f->path, "/tmp/kube-test-XXXXXX");
    assert(mkdtemp(f->path));
}

const char *folder_put(const struct folder *f, const char *name, const char *text)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/%s", f->path, name);
    FILE *out = fopen(path, "w");
    assert(out);
    fputs(text, out);
    fclose(out);
    return path;
}

void folder_destroy(struct folder *f)
{
    char path[512];
    DIR *dir = opendir(f->path);

    for (struct dirent *e; dir && (e = readdir(dir));) {
        snprintf(path, sizeof(path), "%s/%s", f->path, e->d_name);
        unlink(path);
    }
    closedir(dir);
    rmdir(f->path);
}
