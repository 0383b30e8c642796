/* A cache: a folder of files that can be made again, each under a key that holds all that
 * decides its content. Several processes may use it at once; a file that is damaged, cut short
 * or another's counts as absent and is replaced when it has been made anew. */
#ifndef WEFT_CACHE_H
#define WEFT_CACHE_H

#include "base/arena.h"
#include "system.h"

typedef struct { uint64_t low, high; } CacheKey;
CacheKey cache_key(const Bytes *parts, int nparts);
/* The key of a file's content alone; false when it cannot be read. */
bool cache_key_file(const char *path, CacheKey *key);

typedef struct {
    const char *dir;
    size_t most;      /* bytes of all files together; the longest unused go first */
} Cache;

/* The cache in `dir`, bounded to 256 MB, or (null) in $XDG_CACHE_HOME/weft or ~/.cache/weft.
 * Makes the folder (mode 0700) where it is missing. Null when there can be none; *why tells, null
 * when nobody asked for it and there is no place. A folder that another user owns or others may
 * write is not used. */
Cache *cache_open(Arena *a, const char *dir, const char **why);

/* A cache of its own in a folder within c's, bounded to `most` bytes. Null when it cannot be made
 * (*why null) or, as above, is not safe. */
Cache *cache_within(Arena *a, const Cache *c, const char *name, size_t most, const char **why);

/* The content under the key, in the arena, and marks it as used. */
bool cache_get(Arena *a, const Cache *c, CacheKey key, Bytes *content);
/* The same as pages of the file itself, mapped to be read: nothing is copied, the content begins
 * at a multiple of 64 bytes. It stays what it is when the entry is replaced or removed. False with
 * an empty map, which cache_unmap, too, leaves behind. */
typedef struct { void *at; size_t size; } CacheMap;
bool cache_map(Arena *a, const Cache *c, CacheKey key, Bytes *content, CacheMap *map);
void cache_unmap(CacheMap *map);
/* Keeps the parts one after the other under the key, or silently does not (a full disk). */
void cache_put(const Cache *c, CacheKey key, const Bytes *parts, int nparts);

#endif
