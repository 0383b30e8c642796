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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

static const char magic[8] = "weft\x1a\2\n"; /* with the version of the layout */

typedef struct {
    char magic[8];
    CacheKey key;
    uint64_t size;
    CacheKey sum;      /* of the content */
    uint64_t rest[2];  /* zero: the content begins at a multiple of 64 */
} Head;
_Static_assert(sizeof(Head) == 64, "contents are aligned to 64 bytes");

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

bool cache_key_file(const char *path, CacheKey *key)
{
    char buffer[1 << 16];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    XXH3_state_t *s = XXH3_createState();
    XXH3_128bits_reset(s);
    int64_t n;
    while ((n = fd_read(fd, buffer, sizeof buffer)) > 0)
        XXH3_128bits_update(s, buffer, (size_t)n);
    XXH128_hash_t h = XXH3_128bits_digest(s);
    XXH3_freeState(s);
    close(fd);
    *key = (CacheKey){h.low64, h.high64};
    return n == 0;
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

/* True when it is there, whatever it is. */
static bool make_folder(Arena *a, const char *path)
{
    if (access(path, F_OK) == 0)
        return true;
    for (const char *p = path; *p; p++)
        if (*p == '/' && p > path)
            mkdir(arena_strndup(a, path, (size_t)(p - path)), 0700);
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* The cache in a folder that is there or has been made; else null, and why. */
static Cache *open_folder(Arena *a, const char *dir, size_t most, const char **why)
{
    struct stat st;
    *why = stat(dir, &st) != 0                   ? strerror(errno)
           : !S_ISDIR(st.st_mode)                ? "it is a file"
           : st.st_uid != geteuid()              ? "it belongs to another user"
           : st.st_mode & (S_IWGRP | S_IWOTH)    ? "other users may write there"
                                                 : NULL;
    if (*why) {
        *why = arena_printf(a, "%s: %s", dir, *why);
        return NULL;
    }
    Cache *c = NEW(a, Cache);
    *c = (Cache){dir, most};
    return c;
}

Cache *cache_open(Arena *a, const char *dir, const char **why)
{
    *why = NULL;
    bool asked = dir != NULL;
    if (!asked)
        dir = default_dir(a);
    if (!dir || (!make_folder(a, dir) && !asked)) /* no home, or one that is read-only */
        return NULL;
    return open_folder(a, dir, MOST, why);
}

Cache *cache_within(Arena *a, const Cache *c, const char *name, size_t most, const char **why)
{
    const char *dir = arena_printf(a, "%s/%s", c->dir, name);
    *why = NULL;
    return make_folder(a, dir) ? open_folder(a, dir, most, why) : NULL;
}

static char *path_of(Arena *a, const Cache *c, CacheKey key)
{
    return arena_printf(a, "%s/%016" PRIx64 "%016" PRIx64 ".weft", c->dir, key.high, key.low);
}

/* ---- reading ---- */

/* An entry whose head is sound: its file, at the content; -1: none. */
static int open_entry(Arena *a, const Cache *c, CacheKey key, Head *h)
{
    struct stat st;
    int fd = open(path_of(a, c, key), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
        fd_read(fd, h, sizeof *h) == sizeof *h && memcmp(h->magic, magic, sizeof magic) == 0 &&
        memcmp(&h->key, &key, sizeof key) == 0 && h->size == (uint64_t)st.st_size - sizeof *h)
        return fd;
    close(fd);
    return -1;
}

/* The content is what was written: then it is used now. */
static bool is_sound(int fd, const Head *h, const Bytes *content)
{
    CacheKey sum = sum_of(content, 1);
    if (memcmp(&sum, &h->sum, sizeof sum) != 0)
        return false;
    futimens(fd, NULL);
    return true;
}

bool cache_get(Arena *a, const Cache *c, CacheKey key, Bytes *content)
{
    Head h;
    int fd = open_entry(a, c, key, &h);
    if (fd < 0)
        return false;
    char *bytes = arena_alloc(a, h.size + 1);
    *content = (Bytes){bytes, h.size};
    bool ok = fd_read(fd, bytes, h.size) == (int64_t)h.size && is_sound(fd, &h, content);
    close(fd);
    return ok;
}

/* Nobody writes into a file of the cache: it is replaced or removed, and pages that are mapped
 * remain those of the file that was. */
bool cache_map(Arena *a, const Cache *c, CacheKey key, Bytes *content, CacheMap *map)
{
    Head h;
    *map = (CacheMap){0};
    int fd = open_entry(a, c, key, &h);
    if (fd < 0)
        return false;
    size_t size = sizeof h + h.size;
    void *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (at != MAP_FAILED) {
        *map = (CacheMap){at, size};
        *content = (Bytes){(char *)at + sizeof h, h.size};
        if (!is_sound(fd, &h, content))
            cache_unmap(map);
    }
    close(fd);
    return map->at != NULL;
}

void cache_unmap(CacheMap *map)
{
    if (map->at)
        munmap(map->at, map->size);
    *map = (CacheMap){0};
}

/* ---- writing ---- */

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

/* What can be made again shall not be what fills a disk. */
static bool leaves_room(const Cache *c, uint64_t size)
{
    struct statvfs disk;
    return statvfs(c->dir, &disk) != 0 || (uint64_t)disk.f_bavail * disk.f_frsize / 4 >= size;
}

void cache_put(const Cache *c, CacheKey key, const Bytes *parts, int nparts)
{
    Head h = {.key = key, .sum = sum_of(parts, nparts)};
    memcpy(h.magic, magic, sizeof magic);
    for (int i = 0; i < nparts; i++)
        h.size += parts[i].size;
    if (h.size + sizeof h > c->most || !leaves_room(c, h.size))
        return;
    Arena *a = arena_new();
    char *path = path_of(a, c, key), *beside = arena_printf(a, "%s.XXXXXX", path);
    int fd = mkostemp(beside, O_CLOEXEC);
    if (fd >= 0) {
        bool ok = fd_write(fd, (Bytes){&h, sizeof h});
        for (int i = 0; ok && i < nparts; i++)
            ok = fd_write(fd, parts[i]);
        ok = close(fd) == 0 && ok;
        if (!ok || rename(beside, path) != 0)
            unlink(beside);
        make_room(a, c);
    }
    arena_free(a);
}
