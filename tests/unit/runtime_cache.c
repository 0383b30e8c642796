/* The cache: keys, contents, what is damaged, and how much of it stays. */
#include "cache.h"
#include "runtime_check.h"

#include <sys/time.h>

static CacheKey key_of(const char *text)
{
    return cache_key(&(Bytes){text, strlen(text)}, 1);
}

static bool holds(Check *c, const Cache *k, const char *name)
{
    Bytes b;
    return cache_get(c->a, k, key_of(name), &b);
}

static void test_keys(Check *c)
{
    Bytes a[] = {{"ab", 2}, {"c", 1}}, b[] = {{"a", 1}, {"bc", 2}};
    CacheKey x = cache_key(a, 2), y = cache_key(b, 2), z = cache_key(a, 2);
    EXPECT(c, memcmp(&x, &y, sizeof x) != 0);
    EXPECT(c, memcmp(&x, &z, sizeof x) == 0);
}

static void test_content(Check *c, const Cache *k)
{
    Bytes got;
    EXPECT(c, !cache_get(c->a, k, key_of("one"), &got));
    cache_put(k, key_of("one"), (Bytes[]){{"first ", 6}, {"second", 6}}, 2);
    EXPECT(c, cache_get(c->a, k, key_of("one"), &got));
    EXPECT(c, got.size == 12 && memcmp(got.at, "first second", 12) == 0);
    EXPECT(c, !cache_get(c->a, k, key_of("two"), &got));
    cache_put(k, key_of("one"), &(Bytes){"", 0}, 1);
    EXPECT(c, cache_get(c->a, k, key_of("one"), &got) && got.size == 0);
}

/* Mapped content is the entry's own pages: aligned, and the same after the entry is gone. */
static void test_map(Check *c, const Cache *k)
{
    Bytes got;
    CacheMap map;
    EXPECT(c, !cache_map(c->a, k, key_of("mapped"), &got, &map));
    EXPECT(c, map.at == NULL);
    cache_put(k, key_of("mapped"), &(Bytes){"content", 7}, 1);
    EXPECT(c, cache_map(c->a, k, key_of("mapped"), &got, &map));
    EXPECT(c, got.size == 7 && (uintptr_t)got.at % 64 == 0);
    cache_put(k, key_of("mapped"), &(Bytes){"another", 7}, 1);
    EXPECT(c, memcmp(got.at, "content", 7) == 0);
    cache_unmap(&map);
    EXPECT(c, cache_map(c->a, k, key_of("mapped"), &got, &map));
    EXPECT(c, memcmp(got.at, "another", 7) == 0);
    cache_unmap(&map);
}

static void test_file_keys(Check *c)
{
    CacheKey one, same, other;
    static char large[200000];
    put(c, "one", large, sizeof large);
    put(c, "same", large, sizeof large);
    large[150000] = 1;
    put(c, "other", large, sizeof large);
    EXPECT(c, cache_key_file(path_of(c, "one"), &one));
    EXPECT(c, cache_key_file(path_of(c, "same"), &same));
    EXPECT(c, cache_key_file(path_of(c, "other"), &other));
    EXPECT(c, memcmp(&one, &same, sizeof one) == 0 && memcmp(&one, &other, sizeof one) != 0);
    EXPECT(c, !cache_key_file(path_of(c, "none"), &one));
    EXPECT(c, !cache_key_file(path_of(c, "."), &one)); /* a folder */
}

/* A cache within a cache; what cannot be made is silent, what is not safe is told. */
static void test_within(Check *c, const Cache *k)
{
    const char *why;
    const Cache *in = cache_within(c->a, k, "data", 100, &why);
    EXPECT(c, in && in->most == 100 && !why);
    put(c, "cache/file", "", 0);
    EXPECT(c, !cache_within(c->a, k, "file", 100, &why) && strstr(why, "it is a file"));
    EXPECT(c, !cache_within(c->a, k, "file/x", 100, &why) && !why);
}

/* The longest unused go, foreign files stay, and what is larger than the whole is not kept. */
static void test_bound(Check *c, Cache *k)
{
    static char bytes[1000];
    const char *name[] = {"a", "b", "c"};
    put(c, "cache/notes.txt", bytes, sizeof bytes);
    k->most = 2500;
    for (int i = 0; i < 3; i++) {
        cache_put(k, key_of(name[i]), &(Bytes){bytes, sizeof bytes}, 1);
        usleep(20000);
        EXPECT(c, holds(c, k, "a")); /* used now, so that b is the oldest */
        usleep(20000);
    }
    EXPECT(c, !holds(c, k, "b"));
    EXPECT(c, holds(c, k, "c"));
    EXPECT(c, access(path_of(c, "cache/notes.txt"), R_OK) == 0);
    k->most = 500;
    cache_put(k, key_of("d"), &(Bytes){bytes, sizeof bytes}, 1);
    EXPECT(c, !holds(c, k, "d"));
    EXPECT(c, holds(c, k, "c"));
}

int main(void)
{
    Check c = check_begin();
    const char *why;
    Cache *k = cache_open(c.a, path_of(&c, "cache"), &why);
    EXPECT(&c, k != NULL);
    test_keys(&c);
    test_content(&c, k);
    test_map(&c, k);
    test_within(&c, k);
    test_file_keys(&c);
    test_bound(&c, k);
    return check_end(&c);
}
