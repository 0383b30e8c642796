/* Files: written whole or not at all, read with a limit, found in the data folders. */
#define _GNU_SOURCE
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *reason(int error)
{
    return error == ENOSPC ? "no space is left on the disk" : strerror(error);
}

int64_t fd_read(int fd, void *to, size_t size)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(fd, (char *)to + got, size - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (int64_t)got;
}

bool fd_write(int fd, Bytes part)
{
    const char *p = part.at;
    for (size_t left = part.size; left > 0;) {
        ssize_t n = write(fd, p, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return false;
        }
        p += n;
        left -= (size_t)n;
    }
    return true;
}

static int open_retry(const char *path, int flags)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* The rename is on the disk only when the folder is. Some file systems cannot sync folders;
 * they say EINVAL, and nothing more can be done. */
static bool sync_folder(const char *folder)
{
    int fd = open_retry(folder, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return errno == EACCES; /* writable but not readable: the file itself is safe */
    bool ok = fsync(fd) == 0 || errno == EINVAL || errno == EROFS;
    int error = errno;
    close(fd);
    errno = error;
    return ok;
}

/* path with the permissions that a newly made file would have, or those of the file it
 * replaces: mkstemp makes files for the owner alone. */
static mode_t mode_for(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0)
        return st.st_mode & 0777;
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

bool file_write(Diag *d, Span at, const char *path, const Bytes *parts, int nparts)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == path  ? arena_strdup(d->arena, "/")
                   : slash        ? arena_strndup(d->arena, path, (size_t)(slash - path))
                                  : arena_strdup(d->arena, ".");
    char *temporary = arena_printf(d->arena, "%s/.weft-XXXXXX", folder);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return error_at(d, at, "cannot write '%s': %s", path, reason(errno));
    bool ok = fchmod(fd, mode_for(path)) == 0 || errno == EPERM;
    for (int i = 0; ok && i < nparts; i++)
        ok = fd_write(fd, parts[i]);
    ok = ok && (fsync(fd) == 0 || errno == EINVAL);
    int error = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        error = errno;
    }
    if (ok && rename(temporary, path) != 0) {
        ok = false;
        error = errno;
    }
    if (!ok) {
        unlink(temporary);
        return error_at(d, at, "cannot write '%s': %s", path, reason(error));
    }
    if (!sync_folder(folder))
        return error_at(d, at, "'%s' was written, but its folder cannot be synced: %s", path,
                        reason(errno));
    return true;
}

char *file_read(Arena *a, Diag *d, Span at, const char *path, size_t most, size_t *size)
{
    int fd = open_retry(path, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        error_at(d, at, "cannot read '%s': %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    const char *why = NULL;
    if (!S_ISREG(st.st_mode))
        why = S_ISDIR(st.st_mode) ? "it is a folder" : "it is not a regular file";
    else if ((size_t)st.st_size > most)
        why = arena_printf(d->arena, "it has %lld bytes, and at most %zu are taken",
                           (long long)st.st_size, most);
    char *text = why ? NULL : arena_alloc(a, (size_t)st.st_size + 1);
    int64_t got = text ? fd_read(fd, text, (size_t)st.st_size) : 0;
    if (got < 0)
        why = strerror(errno);
    close(fd);
    if (why) {
        error_at(d, at, "cannot read '%s': %s", path, why);
        return NULL;
    }
    *size = (size_t)got;
    return text;
}

/* ---- data folders ---- */

typedef struct {
    Arena *a;
    const char *const *suffixes;
    int nsuffix;
    LIST(const char *) tried;
} Search;

static const char *try_place(Search *s, const char *path)
{
    for (int i = 0; i < s->nsuffix; i++) {
        char *full = arena_printf(s->a, "%s%s", path, s->suffixes[i]);
        if (access(full, F_OK) == 0)
            return full;
    }
    for (int i = 0; i < s->tried.n; i++)
        if (!strcmp(s->tried.at[i], path))
            return NULL;
    list_push(s->a, &s->tried, path);
    return NULL;
}

static const char *join(Arena *a, const char *folder, const char *path)
{
    size_t n = strlen(folder);
    return arena_printf(a, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", path);
}

/* Under a folder that was named for data, leading folders of the path may be missing:
 * --data-dir ~/sets finds ~/sets/mnist for "data/mnist". */
static const char *try_folder(Search *s, const char *folder, const char *path)
{
    const char *found = NULL;
    for (const char *rest = path; rest && !found;) {
        found = try_place(s, join(s->a, folder, rest));
        rest = strchr(rest, '/');
        while (rest && *rest == '/')
            rest++;
        if (rest && !*rest)
            rest = NULL;
    }
    return found;
}

const char *data_find(Arena *a, const DataPlaces *places, const char *path,
                      const char *const *suffixes, int nsuffix, const char **tried)
{
    static const char *const nothing[] = {""};
    Search s = {a, suffixes, nsuffix, {0}};
    if (!nsuffix) {
        s.suffixes = nothing;
        s.nsuffix = 1;
    }
    const char *env = getenv("WEFT_DATA"), *found = NULL;
    if (path[0] == '/') {
        found = try_place(&s, path);
    } else {
        if (places && places->data_dir)
            found = try_folder(&s, places->data_dir, path);
        if (!found && env && *env)
            found = try_folder(&s, env, path);
        if (!found && places && places->model_dir && strcmp(places->model_dir, "."))
            found = try_place(&s, join(a, places->model_dir, path));
        if (!found)
            found = try_place(&s, path);
    }
    if (found)
        return found;
    const char *text = "";
    for (int i = 0; i < s.tried.n; i++)
        text = arena_printf(a, "%s%s%s", text,
                            i == 0 ? "" : i == s.tried.n - 1 ? " and " : ", ", s.tried.at[i]);
    *tried = text;
    return NULL;
}
