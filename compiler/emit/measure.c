/* What an object takes: bytes of its sections, and of stack; what it calls outside. */
#include "emit/module.h"

#include <llvm-c/Object.h>
#include <stdlib.h>
#include <string.h>

/* ---- sections ---- */

/* A section of code: of the version in whose name it ends. */
static void add_code(ObjectSpec *o, const char *name, int64_t bytes)
{
    o->code += bytes;
    for (int v = 0; v < NVERSION; v++) {
        size_t n = strlen(name), m = strlen(version_names[v]);
        if (n > m && strcmp(name + n - m, version_names[v]) == 0)
            o->version_code[v] += bytes;
    }
}

static void add_section(LLVMSectionIteratorRef at, ObjectSpec *o)
{
    static const char *const code_names[] = {".text", "__text", "CODE"};
    static const char *const other_names[] = {".rodata", ".rdata", ".data", "__const", "__literal",
                                              "DATA", ".srodata"};
    const char *name = LLVMGetSectionName(at);
    int64_t bytes = (int64_t)LLVMGetSectionSize(at);
    for (size_t i = 0; name && i < sizeof code_names / sizeof *code_names; i++)
        if (strncmp(name, code_names[i], strlen(code_names[i])) == 0)
            add_code(o, name, bytes);
    for (size_t i = 0; name && i < sizeof other_names / sizeof *other_names; i++)
        o->constants += strncmp(name, other_names[i], strlen(other_names[i])) == 0 ? bytes : 0;
}

static bool is_noted(const ObjectSpec *o, const char *name)
{
    for (int i = 0; i < o->helpers.n; i++)
        if (!strcmp(o->helpers.at[i], name))
            return true;
    return false;
}

/* Symbols of no section that the section's code refers to. */
static void add_helpers(Arena *a, LLVMBinaryRef binary, LLVMSectionIteratorRef from, ObjectSpec *o)
{
    LLVMSectionIteratorRef home = LLVMObjectFileCopySectionIterator(binary);
    LLVMRelocationIteratorRef at = LLVMGetRelocations(from);
    for (; !LLVMIsRelocationIteratorAtEnd(from, at); LLVMMoveToNextRelocation(at)) {
        LLVMSymbolIteratorRef symbol = LLVMGetRelocationSymbol(at);
        if (!LLVMObjectFileIsSymbolIteratorAtEnd(binary, symbol)) { /* else it names a section */
            const char *name = LLVMGetSymbolName(symbol);
            LLVMMoveToContainingSection(home, symbol);
            if (LLVMObjectFileIsSectionIteratorAtEnd(binary, home) && !is_noted(o, name))
                list_push(a, &o->helpers, (const char *)arena_strdup(a, name));
        }
        LLVMDisposeSymbolIterator(symbol);
    }
    LLVMDisposeRelocationIterator(at);
    LLVMDisposeSectionIterator(home);
}

void measure_object(Arena *a, ObjectSpec *o)
{
    char *error = NULL;
    LLVMMemoryBufferRef buffer =
        LLVMCreateMemoryBufferWithMemoryRange(o->bytes.at, o->bytes.size, "object", 0);
    LLVMBinaryRef binary = LLVMCreateBinary(buffer, NULL, &error);
    if (!binary)
        bug("the object cannot be read: %s", error);
    LLVMSectionIteratorRef at = LLVMObjectFileCopySectionIterator(binary);
    for (; !LLVMObjectFileIsSectionIteratorAtEnd(binary, at); LLVMMoveToNextSection(at)) {
        add_section(at, o);
        add_helpers(a, binary, at, o);
    }
    LLVMDisposeSectionIterator(at);
    LLVMDisposeBinary(binary);
    LLVMDisposeMemoryBuffer(buffer);
}

/* ---- stack ----
 * A call goes through five functions at most: the entry, its whole, the walk, a phase, a kernel
 * (a row phase between the two), and those of soft.c. The most of each kind together bound what
 * is taken. */

enum { KIND_entry, KIND_all, KIND_run, KIND_body, KIND_phase, KIND_kernel, KIND_soft, KIND_round,
       KINDS };

struct StackSizes { int64_t most[KINDS]; };

static int kind_of(const char *name)
{
    static const struct { const char *part; int kind; } parts[] = {
        {".all", KIND_all},  {".run", KIND_run},    {".rows", KIND_body},
        {".level", KIND_body}, {".phase", KIND_phase}, {"soft.round", KIND_round},
        {"soft.", KIND_soft}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i].part))
            return parts[i].kind;
    return strchr(name, '.') ? KIND_kernel : KIND_entry;
}

/* "stack frame size (24) exceeds limit (0) in function 'net_predict'" */
static void note(LLVMDiagnosticInfoRef info, void *context)
{
    struct StackSizes *s = context;
    char *text = LLVMGetDiagInfoDescription(info);
    const char *size = strstr(text, "stack frame size ("), *name = strchr(text, '\'');
    if (!size && LLVMGetDiagInfoSeverity(info) == LLVMDSError)
        bug("%s", text);
    if (size && name) {
        int64_t bytes = strtoll(size + strlen("stack frame size ("), NULL, 10);
        int kind = kind_of(name + 1);
        s->most[kind] = bytes > s->most[kind] ? bytes : s->most[kind];
    }
    LLVMDisposeMessage(text);
}

StackSizes *watch_stack(Arena *a, Module *m)
{
    StackSizes *s = NEW(a, StackSizes);
    LLVMAttributeRef warn = LLVMCreateStringAttribute(m->cx, "warn-stack-size", 15, "0", 1);
    for (V f = LLVMGetFirstFunction(m->m); f; f = LLVMGetNextFunction(f))
        if (LLVMCountBasicBlocks(f) > 0)
            LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, warn);
    LLVMContextSetDiagnosticHandler(m->cx, note, s);
    return s;
}

void stack_join(StackSizes *all, const StackSizes *s)
{
    for (int i = 0; i < KINDS; i++)
        all->most[i] = s->most[i] > all->most[i] ? s->most[i] : all->most[i];
}

int64_t stack_most(const StackSizes *s)
{
    enum { RETURN_BYTES = 8 };
    int64_t sum = 0;
    for (int i = 0; i < KINDS; i++)
        sum += s->most[i] + RETURN_BYTES;
    return sum;
}
