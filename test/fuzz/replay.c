/* Stands in for libFuzzer: gives a fuzz target the empty input and every file of the folders named as
 * arguments. A folder that is not there holds no files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what, const char *name)
{
    fprintf(stderr, "%s %s: %s\n", what, name, strerror(errno));
    exit(1);
}

/* Each input is a block of exactly its size, so that AddressSanitizer sees a read past its end. */
static void replay_file(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        die("open", name);
    if (S_ISREG(st.st_mode)) {
        size_t size = (size_t)st.st_size;
        uint8_t *data = malloc(size);
        if ((data == NULL && size > 0) || read(fd, data, size) != st.st_size)
            die("read", name);
        printf("%s: %zu bytes\n", name, size);
        fflush(stdout);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    close(fd);
}

static void replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL && errno == ENOENT)
        return;
    if (folder == NULL)
        die("open", path);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        replay_file(dirfd(folder), entry->d_name);
    closedir(folder);
}

int main(int argc, char **argv)
{
    static const uint8_t nothing[1];
    LLVMFuzzerTestOneInput(nothing, 0);
    for (int i = 1; i < argc; i++)
        replay_folder(argv[i]);
    return 0;
}
