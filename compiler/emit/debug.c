/* Lines of the .model file for gdb, names of kernels for perf.
 *
 * Each function is a subprogram at the line of the node that named it; each
 * instruction carries the line of the node it computes. perf reads names from
 * a map file of address, size and name, one line a function.
 */
#include "emit/emit.h"

#include <llvm-c/DebugInfo.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { LLVMMetadataRef file, type, subprogram; int32_t source; } Scope;

struct DebugInfo {
    LLVMDIBuilderRef builder;
    LLVMMetadataRef unit;
    Scope at;
};

static LLVMMetadataRef file_of(Emit *e, Span span)
{
    const char *path = diag_file(e->diag, span);
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? arena_strndup(e->arena, path, (size_t)(slash - path)) : arena_strdup(e->arena, ".");
    const char *name = slash ? slash + 1 : path;
    return LLVMDIBuilderCreateFile(e->debug->builder, name, strlen(name), folder, strlen(folder));
}

void debug_begin(Emit *e)
{
    struct DebugInfo *d = NEW(e->arena, struct DebugInfo);
    e->debug = d;
    d->builder = LLVMCreateDIBuilder(e->m);
    LLVMMetadataRef file = LLVMDIBuilderCreateFile(d->builder, "weft", 4, ".", 1);
    d->unit = LLVMDIBuilderCreateCompileUnit(d->builder, LLVMDWARFSourceLanguageC99, file, "weft",
                                             4, 1, "", 0, 0, "", 0, LLVMDWARFEmissionLineTablesOnly,
                                             0, 0, 0, "", 0, "", 0);
    LLVMTypeRef i32 = e->i32;
    V three = LLVMConstInt(i32, LLVMDebugMetadataVersion(), 0);
    LLVMAddModuleFlag(e->m, LLVMModuleFlagBehaviorWarning, "Debug Info Version", 18,
                      LLVMValueAsMetadata(three));
}

void debug_end(Emit *e)
{
    if (!e->debug)
        return;
    LLVMDIBuilderFinalize(e->debug->builder);
    LLVMDisposeDIBuilder(e->debug->builder);
}

void debug_function(Emit *e, const char *name)
{
    struct DebugInfo *d = e->debug;
    if (!d)
        return;
    int line = 0, column;
    if (e->span.file)
        diag_line_column(e->diag, e->span, &line, &column);
    d->at.source = e->span.file;
    d->at.file = file_of(e, e->span);
    d->at.type = LLVMDIBuilderCreateSubroutineType(d->builder, d->at.file, NULL, 0, LLVMDIFlagZero);
    d->at.subprogram = LLVMDIBuilderCreateFunction(
        d->builder, d->unit, name, strlen(name), name, strlen(name), d->at.file, (unsigned)line,
        d->at.type, 0, 1, (unsigned)line, LLVMDIFlagZero, 1);
    LLVMSetSubprogram(e->fn, d->at.subprogram);
    debug_line(e, e->span);
}

void debug_line(Emit *e, Span span)
{
    struct DebugInfo *d = e->debug;
    if (!d)
        return;
    int line = 0, column = 0;
    if (span.file && span.file == d->at.source)
        diag_line_column(e->diag, span, &line, &column);
    LLVMSetCurrentDebugLocation2(e->b, LLVMDIBuilderCreateDebugLocation(e->cx, (unsigned)line, 0,
                                                                         d->at.subprogram, NULL));
}

static int by_address(const void *a, const void *b)
{
    uint64_t x = ((const CodeName *)a)->address, y = ((const CodeName *)b)->address;
    return (x > y) - (x < y);
}

void debug_perf_map(CodeName *name, int n)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%ld.map", (long)getpid()); /* where perf looks */
    FILE *f = fopen(path, "a");
    if (!f)
        return;
    qsort(name, (size_t)n, sizeof *name, by_address);
    for (int i = 0; i < n; i++) {
        uint64_t size = i + 1 < n ? name[i + 1].address - name[i].address : 4096;
        fprintf(f, "%llx %llx weft:%s\n", (unsigned long long)name[i].address,
                (unsigned long long)(size < 1 << 20 ? size : 4096), name[i].name);
    }
    fclose(f);
}
