/* Files under keys, with checksums. A file is written beside its place and renamed into it:
 * readers see all of it or nothing. It is not synced: what a crash leaves fails its checksum. */
#define _GNU_SOURCE
#include "cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static const char magic[8] = "weft\x1a\1\n"; /* with the version of the layout */

typedef struct {
    char magic[8];
    CacheKey key;
    uint64_t size;
    CacheKey sum;      /* of the content */
} Head;

enum { MOST = 256 << 20 };

CacheKey cache_key(const Bytes *parts, int nparts)
{
    XXH3_state_t *s = XXH3_createState();
    XXH3_128bits_reset(s);
    for (int i = 0; i < nparts; i++) {
        uint64_t size = parts[i].size;
        XXH3_128bits_update(s, &size, sizeof size); /* "a", "bc" is not "ab", "c" */
        XXH3_128bits_update(s, parts[i].at, parts[i].size);
    }
    XXH128_hash_t h = XXH3_128bits_digest(s);
    XXH3_freeState(s);
    return (CacheKey){h.low64, h.high64};
}

static CacheKey sum_of(const Bytes *parts, int nparts)
{
    XXH3_state_t *s = XXH3_createState();
    XXH3_128bits_reset(s);
    for (int i = 0; i < nparts; i++)
        XXH3_128bits_update(s, parts[i].at, parts[i].size);
    XXH128_hash_t h = XXH3_128bits_digest(s);
    XXH3_freeState(s);
    return (CacheKey){h.low64, h.high64};
}

/* ---- the folder ---- */

static const char *default_dir(Arena *a)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/')
        return arena_printf(a, "%s/weft", cache);
    return home && home[0] == '/' ? arena_printf(a, "%s/.cache/weft", home) : NULL;
}

static bool make_folder(Arena *a, const char *path)
{
    for (const char *p = path; *p; p++)
        if (*p == '/' && p > path)
            mkdir(arena_strndup(a, path, (size_t)(p - path)), 0700);
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

Cache *cache_open(Arena *a, const char *dir, const char **why)
{
    struct stat st;
    *why = NULL;
    bool asked = dir != NULL;
    if (!asked)
        dir = default_dir(a);
    bool there = dir && stat(dir, &st) == 0;
    if (!dir || (!there && !make_folder(a, dir) && !asked)) /* no home, or one that is read-only */
        return NULL;
    if (stat(dir, &st) != 0)
        *why = strerror(errno);
    else if (!S_ISDIR(st.st_mode))
        *why = "it is a file";
    else if (st.st_uid != geteuid())
        *why = "it belongs to another user";
    else if (st.st_mode & (S_IWGRP | S_IWOTH))
        *why = "other users may write there";
    if (*why) {
        *why = arena_printf(a, "%s: %s", dir, *why);
        return NULL;
    }
    Cache *c = NEW(a, Cache);
    *c = (Cache){dir, MOST};
    return c;
}

static char *path_of(Arena *a, const Cache *c, CacheKey key)
{
    return arena_printf(a, "%s/%016" PRIx64 "%016" PRIx64 ".weft", c->dir, key.high, key.low);
}

/* ---- reading ---- */

static bool read_all(int fd, void *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, (char *)to + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool read_entry(Arena *a, int fd, CacheKey key, Bytes *content)
{
    struct stat st;
    Head h;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        st.st_size < (off_t)sizeof h || !read_all(fd, &h, sizeof h) ||
        memcmp(h.magic, magic, sizeof magic) != 0 || memcmp(&h.key, &key, sizeof key) != 0 ||
        h.size != (uint64_t)st.st_size - sizeof h)
        return false;
    *content = (Bytes){arena_alloc(a, h.size + 1), h.size};
    if (!read_all(fd, (void *)content->at, h.size))
        return false;
    CacheKey sum = sum_of(content, 1);
    return memcmp(&sum, &h.sum, sizeof sum) == 0;
}

bool cache_get(Arena *a, const Cache *c, CacheKey key, Bytes *content)
{
    int fd = open(path_of(a, c, key), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool ok = read_entry(a, fd, key, content);
    if (ok)
        futimens(fd, NULL); /* used now */
    close(fd);
    return ok;
}

/* ---- writing ---- */

static bool write_all(int fd, const void *from, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, (const char *)from + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

typedef struct { const char *path; size_t size; struct timespec used; } Entry;

static int by_use(const void *a, const void *b)
{
    const struct timespec *x = &((const Entry *)a)->used, *y = &((const Entry *)b)->used;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* Removes the longest unused files until the rest is within bounds. Names are the cache's own:
 * whatever else lies in the folder is left alone. */
static void make_room(Arena *a, const Cache *c)
{
    LIST(Entry) all = {0};
    size_t sum = 0;
    DIR *dir = opendir(c->dir);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        struct stat st;
        const char *end = strstr(e->d_name, ".weft");
        Entry now = {.path = arena_printf(a, "%s/%s", c->dir, e->d_name)};
        if (!end || end - e->d_name != 32 || lstat(now.path, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        now.size = (size_t)st.st_size;
        now.used = st.st_mtim;
        sum += now.size;
        list_push(a, &all, now);
    }
    if (dir)
        closedir(dir);
    if (sum <= c->most)
        return;
    qsort(all.at, (size_t)all.n, sizeof *all.at, by_use);
    for (int i = 0; i < all.n && sum > c->most; i++)
        if (unlink(all.at[i].path) == 0)
            sum -= all.at[i].size;
}

void cache_put(const Cache *c, CacheKey key, const Bytes *parts, int nparts)
{
    Head h = {.key = key, .sum = sum_of(parts, nparts)};
    memcpy(h.magic, magic, sizeof magic);
    for (int i = 0; i < nparts; i++)
        h.size += parts[i].size;
    if (h.size + sizeof h > c->most)
        return;
    Arena *a = arena_new();
    char *path = path_of(a, c, key), *beside = arena_printf(a, "%s.XXXXXX", path);
    int fd = mkostemp(beside, O_CLOEXEC);
    if (fd >= 0) {
        bool ok = write_all(fd, &h, sizeof h);
        for (int i = 0; ok && i < nparts; i++)
            ok = write_all(fd, parts[i].at, parts[i].size);
        ok = close(fd) == 0 && ok;
        if (!ok || rename(beside, path) != 0)
            unlink(beside);
        make_room(a, c);
    }
    arena_free(a);
}
