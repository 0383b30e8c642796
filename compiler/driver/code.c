/* The way to code. The emitter and LLVM are one shared object beside the program, loaded when
 * something must be compiled: what comes from the cache costs neither time nor memory of theirs. */
#define _GNU_SOURCE
#include "driver/code.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* ---- the shared object ---- */

/* lib/weft/emit.so where the program was built, or beside the folder it was installed in. */
static const char *emitter_path(Arena *a)
{
    static const char *const place[] = {"lib/weft/emit.so", "../lib/weft/emit.so"};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    while (n > 0 && self[n - 1] != '/')
        n--;
    for (int i = 0; n > 0 && i < 2; i++) {
        const char *path = arena_printf(a, "%.*s%s", (int)n, self, place[i]);
        if (access(path, R_OK) == 0)
            return path;
    }
    return NULL;
}

struct CodeLoad { const char *path; pthread_t thread; };

static void *load(void *p)
{
    dlopen(((CodeLoad *)p)->path, RTLD_NOW | RTLD_LOCAL);
    return NULL;
}

CodeLoad *code_load_begin(Arena *a)
{
    CodeLoad *l = NEW(a, CodeLoad);
    l->path = emitter_path(a);
    return l->path && !pthread_create(&l->thread, NULL, load, l) ? l : NULL;
}

void code_load_end(CodeLoad *l)
{
    if (l)
        pthread_join(l->thread, NULL);
}

/* It stays loaded: LLVM cannot be unloaded. */
const Emitter *code_emitter(Arena *a, Diag *d, Span at)
{
    const char *path = emitter_path(a);
    void *object = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    const Emitter *e = object ? dlsym(object, "weft_emitter") : NULL;
    if (e)
        return e;
    error_at(d, at, "the compiler cannot be loaded: %s (--interpret works without it)",
             path ? dlerror() : "there is no lib/weft/emit.so beside the program or its folder");
    return NULL;
}

/* ---- keys ---- */

/* The processor as it tells itself: maker, model, instruction sets, and what the system saves of
 * its registers. */
static void processor(uint32_t out[24])
{
    memset(out, 0, 24 * sizeof *out);
#if defined(__x86_64__)
    __cpuid(0, out[0], out[1], out[2], out[3]);
    __cpuid(1, out[4], out[5], out[6], out[7]);
    out[5] = 0; /* which of the cores is asked */
    __cpuid_count(7, 0, out[8], out[9], out[10], out[11]);
    __cpuid_count(7, 1, out[12], out[13], out[14], out[15]);
    __cpuid(0x80000001, out[16], out[17], out[18], out[19]);
    out[17] = 0;
    if (out[6] & 1u << 27) /* OSXSAVE */
        __asm__ volatile("xgetbv" : "=a"(out[20]), "=d"(out[21]) : "c"(0));
#endif
}

/* Hash of the emitter's file: another build makes other code. */
static bool build_hash(const char *path, uint64_t *hash)
{
    char buffer[1 << 16];
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return false;
    XXH3_state_t *s = XXH3_createState();
    XXH3_64bits_reset(s);
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        XXH3_64bits_update(s, buffer, (size_t)n);
    *hash = XXH3_64bits_digest(s);
    XXH3_freeState(s);
    close(fd);
    return n == 0;
}

static bool code_key(Arena *a, const Graph *g, const JitOptions *o, CacheKey *key)
{
    uint32_t host[24];
    uint64_t build = 0;
    int64_t block = o->rows ? block_room(o->rows) : 0;
    const uint32_t layout[] = {sizeof(Program), sizeof(Port), sizeof(StoreInfo),
                               sizeof(ProgramPhase), sizeof(Task)};
    const Target *t = o->target;
    const char *text = graph_text(a, g);
    const char *target = t ? arena_printf(a, "%s %s %s", t->triple, t->cpu, t->features) : "";
    processor(host);
    Bytes parts[] = {{"code", 4},         {host, sizeof host},
                     {&build, sizeof build}, {layout, sizeof layout},
                     {&block, sizeof block}, {target, strlen(target)},
                     {text, strlen(text)}};
    if (!build_hash(emitter_path(a), &build))
        return false;
    *key = cache_key(parts, sizeof parts / sizeof *parts);
    return true;
}

/* LLVM may be exchanged under the emitter's feet: an entry holds which one made it. */
typedef struct {
    char path[1000];
    int64_t size, seconds, nanoseconds;
} LlvmFile;

static bool llvm_stamp(const char *path, LlvmFile *f)
{
    struct stat st;
    memset(f, 0, sizeof *f);
    if (strlen(path) >= sizeof f->path || stat(path, &st) != 0)
        return false;
    strcpy(f->path, path);
    f->size = st.st_size;
    f->seconds = st.st_mtim.tv_sec;
    f->nanoseconds = st.st_mtim.tv_nsec;
    return true;
}

/* ---- programs ---- */

static Program *denied(Diag *d, Span at, Arena *a)
{
    error_at(d, at, "this system does not let a program run code that it made: %s (--interpret "
             "works without)", strerror(errno));
    arena_free(a);
    return NULL;
}

static Program *from_cache(Arena *a, const Cache *c, CacheKey key, CodeImage *image)
{
    Bytes bytes;
    LlvmFile was, is;
    if (!cache_get(a, c, key, &bytes) || bytes.size < sizeof was)
        return NULL;
    memcpy(&was, bytes.at, sizeof was);
    was.path[sizeof was.path - 1] = 0;
    if (!llvm_stamp(was.path, &is) || memcmp(&was, &is, sizeof is) != 0)
        return NULL;
    bytes = (Bytes){(const char *)bytes.at + sizeof was, bytes.size - sizeof was};
    return code_unpack(a, bytes, image);
}

static void keep(Arena *a, const Cache *c, CacheKey key, const Emitter *e, const Program *p,
                 const CodeImage *image)
{
    LlvmFile f;
    if (!llvm_stamp(e->llvm(a), &f))
        return;
    Bytes parts[] = {{&f, sizeof f}, code_pack(a, p, image)};
    cache_put(c, key, parts, 2);
}

Program *code_program(Diag *d, Span at, const Graph *g, const CodeOptions *o)
{
    Arena *a = arena_new(), *scratch = arena_new();
    CacheKey key;
    CodeImage image;
    const char *why = NULL;
    bool plain = !o->jit.debug && !o->jit.dump && !o->jit.profile;
    Stages *stages = o->jit.stages;
    double from = stage_begin(stages);
    bool cached = o->cache && plain && code_key(scratch, g, &o->jit, &key);
    Program *p = cached ? from_cache(a, o->cache, key, &image) : NULL;
    stage_end(stages, "look for code in the cache", from);
    from = stage_begin(stages);
    const Emitter *e = p ? NULL : code_emitter(scratch, d, at);
    if (!p)
        stage_end(stages, "load the compiler", from);
    if (e && !o->jit.debug) {
        from = stage_begin(stages);
        p = e->image(a, g, &o->jit, &image, &why);
        stage_end(stages, "compile", from);
        from = stage_begin(stages);
        if (p && cached)
            keep(scratch, o->cache, key, e, p, &image);
        stage_end(stages, "keep the code", from);
    }
    if (e && o->compiled)
        ++*o->compiled;
    if (p && !code_map(a, p, &image))
        p = denied(d, at, a);
    else if (!p)
        arena_free(a);
    if (e && o->jit.debug)
        p = e->compile(g, &o->jit, &why);
    if (!p && why)
        unsupported_at(d, at, "this cannot be compiled yet: %s (--interpret runs it, slowly)", why);
    arena_free(scratch);
    return p;
}
