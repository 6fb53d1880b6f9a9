/* tests/fuzz/replay.c - run a fuzz target over its corpus without libFuzzer */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define INPUT_MAX (1 << 20)

static int replay(const char *folder, const char *name, uint8_t *room)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    size_t len = fread(room, 1, INPUT_MAX, f);
    fclose(f);
    LLVMFuzzerTestOneInput(room, len);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    uint8_t *room = malloc(INPUT_MAX);
    int failed = 0, count = 0;

    if (!dir || !room) {
        fprintf(stderr, "usage: replay CORPUS-FOLDER\n");
        return 2;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        failed |= replay(argv[1], e->d_name, room);
        count++;
    }
    closedir(dir);
    free(room);
    printf("%d inputs\n", count);
    return failed || count == 0;
}
