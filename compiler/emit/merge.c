/* Several relocatable objects (ELF) as one. Sections of a name are put one behind the other;
 * references keep their addends: one to a section's begin goes to a symbol that marks where that
 * object's part of it begins. Sections whose constants a linker shares (SHF_MERGE) stay apart,
 * since there an addend counts from the section's own begin. */
#include "emit/merge.h"

#include "base/diag.h"

#include <elf.h>
#include <string.h>

enum { NOWHERE = -1, ADDRSIG = 0x6fff4c03 /* SHT_LLVM_ADDRSIG: of symbols by number */ };

/* What both classes of files have, read into the wider form. */
typedef struct {
    const char *at;
    bool wide;                 /* 64 bits */
    int nsection, nsymbol, symbols; /* symbols: the section of its symbols */
    Elf64_Shdr *section;
    Elf64_Sym *symbol;
    int *part;                 /* of each section: the part it is, or NOWHERE */
    int *number;               /* of each symbol in what is made */
} Object;

/* An object's section where it comes to lie. */
typedef struct {
    const Object *of;
    int from, section;         /* its number there, and in what is made */
    int64_t base;              /* where it begins in that section */
    int mark;                  /* a symbol of its begin; 0: none yet */
} Part;

typedef struct { const char *name; Elf64_Shdr head; } Section;
typedef struct { const char *name; Elf64_Sym symbol; const Object *of; int from; } Symbol;

typedef struct {
    Arena *a;
    Object *object;
    int nobject;
    LIST(Part) parts;
    LIST(Section) sections;
    LIST(Symbol) symbols;
} Merge;

/* ---- reading ---- */

static Elf64_Shdr read_section(const Object *o, const char *at)
{
    Elf64_Shdr s;
    Elf32_Shdr t;
    if (o->wide) {
        memcpy(&s, at, sizeof s);
        return s;
    }
    memcpy(&t, at, sizeof t);
    return (Elf64_Shdr){t.sh_name, t.sh_type, t.sh_flags, t.sh_addr, t.sh_offset, t.sh_size,
                        t.sh_link, t.sh_info, t.sh_addralign, t.sh_entsize};
}

static Elf64_Sym read_symbol(const Object *o, const char *at)
{
    Elf64_Sym s;
    Elf32_Sym t;
    if (o->wide) {
        memcpy(&s, at, sizeof s);
        return s;
    }
    memcpy(&t, at, sizeof t);
    return (Elf64_Sym){t.st_name, t.st_info, t.st_other, t.st_shndx, t.st_value, t.st_size};
}

static const char *text_at(const Object *o, uint32_t table, uint32_t at)
{
    return o->at + o->section[table].sh_offset + at;
}

static uint32_t names_of_sections(const Object *o)
{
    return o->wide ? ((const Elf64_Ehdr *)o->at)->e_shstrndx
                   : ((const Elf32_Ehdr *)o->at)->e_shstrndx;
}

static Object object_read(Arena *a, Bytes bytes)
{
    Object o = {.at = bytes.at};
    if (bytes.size < sizeof(Elf32_Ehdr) || memcmp(o.at, ELFMAG, SELFMAG) != 0)
        bug("the code generator made no ELF object");
    o.wide = o.at[EI_CLASS] == ELFCLASS64;
    const Elf64_Ehdr *w = (const Elf64_Ehdr *)o.at;
    const Elf32_Ehdr *h = (const Elf32_Ehdr *)o.at;
    const char *table = o.at + (o.wide ? w->e_shoff : h->e_shoff);
    o.nsection = o.wide ? w->e_shnum : h->e_shnum;
    o.section = NEW_ARRAY(a, Elf64_Shdr, o.nsection);
    o.part = NEW_ARRAY(a, int, o.nsection);
    for (int i = 0; i < o.nsection; i++) {
        o.section[i] = read_section(&o, table + i * (o.wide ? sizeof(Elf64_Shdr)
                                                            : sizeof(Elf32_Shdr)));
        o.part[i] = NOWHERE;
        if (o.section[i].sh_type == SHT_SYMTAB)
            o.symbols = i;
        if (o.section[i].sh_type == SHT_GROUP)
            bug("the code has a group of sections");
    }
    const Elf64_Shdr *s = &o.section[o.symbols];
    o.nsymbol = (int)(s->sh_size / s->sh_entsize);
    o.symbol = NEW_ARRAY(a, Elf64_Sym, o.nsymbol);
    o.number = NEW_ARRAY(a, int, o.nsymbol);
    for (int i = 0; i < o.nsymbol; i++)
        o.symbol[i] = read_symbol(&o, o.at + s->sh_offset + (size_t)i * s->sh_entsize);
    return o;
}

/* ---- sections ---- */

static bool is_reloc(const Elf64_Shdr *s)
{
    return s->sh_type == SHT_REL || s->sh_type == SHT_RELA;
}

/* The section that has the name, kind and, of references, place in question; 0: none. */
static int find_section(const Merge *m, const char *name, const Elf64_Shdr *like)
{
    for (int i = 1; i < m->sections.n; i++) {
        const Elf64_Shdr *s = &m->sections.at[i].head;
        if (strcmp(m->sections.at[i].name, name) == 0 && s->sh_type == like->sh_type &&
            s->sh_flags == like->sh_flags && (!is_reloc(s) || s->sh_info == like->sh_info))
            return i;
    }
    return 0;
}

static uint64_t aligned(uint64_t at, uint64_t to)
{
    return to > 1 ? (at + to - 1) / to * to : at;
}

/* Behind what is there of its name; of what only tells of the file, one is enough. */
static void take_section(Merge *m, Object *o, int i)
{
    Elf64_Shdr like = o->section[i], *s = &like;
    const char *name = text_at(o, names_of_sections(o), s->sh_name);
    if (is_reloc(s))
        s->sh_info = (uint32_t)m->parts.at[o->part[s->sh_info]].section;
    int to = s->sh_flags & SHF_MERGE ? 0 : find_section(m, name, s);
    if (to && !(s->sh_flags & SHF_ALLOC) && !is_reloc(s))
        return;
    if (!to) {
        Section new = {name, like};
        new.head.sh_size = 0;
        to = m->sections.n;
        list_push(m->a, &m->sections, new);
    }
    Elf64_Shdr *head = &m->sections.at[to].head;
    Part p = {o, i, to, (int64_t)aligned(head->sh_size, s->sh_addralign), 0};
    head->sh_size = (uint64_t)p.base + s->sh_size;
    head->sh_addralign = s->sh_addralign > head->sh_addralign ? s->sh_addralign
                                                              : head->sh_addralign;
    o->part[i] = m->parts.n;
    list_push(m->a, &m->parts, p);
}

/* Contents first, then references, whose sections name what they belong to. */
static void take_sections(Merge *m, bool reloc)
{
    for (int i = 0; i < m->nobject; i++)
        for (int k = 1; k < m->object[i].nsection; k++) {
            Object *o = &m->object[i];
            const Elf64_Shdr *s = &o->section[k];
            bool table = s->sh_type == SHT_SYMTAB || s->sh_type == SHT_STRTAB ||
                         s->sh_type == ADDRSIG;
            if (!table && is_reloc(s) == reloc && (!reloc || o->part[s->sh_info] != NOWHERE))
                take_section(m, o, k);
        }
}

/* ---- symbols ---- */

static int bind_of(const Elf64_Sym *s)
{
    return ELF64_ST_BIND(s->st_info);
}

/* Is it seen by nobody but the objects that are joined? */
static bool stays_inside(const Elf64_Sym *s)
{
    return bind_of(s) == STB_LOCAL ||
           (s->st_shndx != SHN_UNDEF && ELF64_ST_VISIBILITY(s->st_other) == STV_HIDDEN);
}

static int push_symbol(Merge *m, const char *name, Elf64_Sym symbol, const Object *of, int from)
{
    Symbol s = {name, symbol, of, from};
    list_push(m->a, &m->symbols, s);
    return m->symbols.n - 1;
}

/* A symbol where a part begins: the section's own for its first. */
static int mark_of(Merge *m, Part *p)
{
    if (!p->mark) {
        const char *section = m->sections.at[p->section].name;
        const char *name = p->base ? arena_printf(m->a, "%s.%d", section, (int)(p - m->parts.at))
                                   : "";
        int type = p->base ? STT_NOTYPE : STT_SECTION;
        Elf64_Sym s = {.st_info = ELF64_ST_INFO(STB_LOCAL, type),
                       .st_shndx = (Elf64_Section)p->section, .st_value = (uint64_t)p->base};
        p->mark = push_symbol(m, name, s, NULL, 0);
    }
    return p->mark;
}

/* What is made of a symbol that its object defines, or that has no place. */
static int take_symbol(Merge *m, const Object *o, int i)
{
    Elf64_Sym s = o->symbol[i];
    const char *name = text_at(o, o->section[o->symbols].sh_link, s.st_name);
    if (s.st_shndx == SHN_COMMON)
        bug("the code has a common symbol '%s'", name);
    if (s.st_shndx < SHN_LORESERVE && s.st_shndx != SHN_UNDEF) {
        if (o->part[s.st_shndx] == NOWHERE)
            return 0;
        Part *p = &m->parts.at[o->part[s.st_shndx]];
        if (ELF64_ST_TYPE(s.st_info) == STT_SECTION)
            return mark_of(m, p);
        s.st_shndx = (Elf64_Section)p->section;
        s.st_value += (uint64_t)p->base;
    }
    if (stays_inside(&o->symbol[i])) {
        s.st_info = ELF64_ST_INFO(STB_LOCAL, ELF64_ST_TYPE(s.st_info));
        s.st_other = STV_DEFAULT;
    }
    return push_symbol(m, name, s, o, i);
}

static int find_defined(const Merge *m, const char *name)
{
    for (int i = 1; i < m->symbols.n; i++) {
        const Symbol *s = &m->symbols.at[i];
        if (s->of && bind_of(&s->of->symbol[s->from]) != STB_LOCAL && !strcmp(s->name, name))
            return i;
    }
    return 0;
}

static bool is_file(const Elf64_Sym *s)
{
    return ELF64_ST_TYPE(s->st_info) == STT_FILE;
}

/* Locals first, as the format wants it, the exported ones, what is nowhere. Returns how many
 * are local. */
static int take_symbols(Merge *m)
{
    int local = 0;
    push_symbol(m, "", (Elf64_Sym){0}, NULL, 0);
    for (int inside = 1; inside >= 0; inside--) {
        for (int i = 0; i < m->nobject; i++)
            for (int k = 1; k < m->object[i].nsymbol; k++) {
                Object *o = &m->object[i];
                const Elf64_Sym *s = &o->symbol[k];
                bool defined = s->st_shndx != SHN_UNDEF && !(is_file(s) && i);
                if (defined && stays_inside(s) == inside)
                    o->number[k] = take_symbol(m, o, k);
            }
        local = inside ? m->symbols.n : local;
    }
    for (int i = 0; i < m->nobject; i++)
        for (int k = 1; k < m->object[i].nsymbol; k++) {
            Object *o = &m->object[i];
            const Elf64_Sym *s = &o->symbol[k];
            if (s->st_shndx != SHN_UNDEF)
                continue;
            int at = find_defined(m, text_at(o, o->section[o->symbols].sh_link, s->st_name));
            o->number[k] = at ? at : take_symbol(m, o, k);
        }
    return local;
}

/* ---- writing ---- */

static void write_symbol(char *to, const Elf64_Sym *s, bool wide)
{
    Elf32_Sym t = {s->st_name, (Elf32_Addr)s->st_value, (Elf32_Word)s->st_size, s->st_info,
                   s->st_other, s->st_shndx};
    memcpy(to, wide ? (const void *)s : &t, wide ? sizeof *s : sizeof t);
}

static void write_section(char *to, const Elf64_Shdr *s, bool wide)
{
    Elf32_Shdr t = {s->sh_name, s->sh_type, (Elf32_Word)s->sh_flags, 0,
                    (Elf32_Off)s->sh_offset, (Elf32_Word)s->sh_size, s->sh_link, s->sh_info,
                    (Elf32_Word)s->sh_addralign, (Elf32_Word)s->sh_entsize};
    memcpy(to, wide ? (const void *)s : &t, wide ? sizeof *s : sizeof t);
}

/* An object's references, at `to`: their places move, their symbols have other numbers. */
static void write_relocs(const Merge *m, char *to, const Part *p)
{
    const Object *o = p->of;
    const Elf64_Shdr *s = &o->section[p->from];
    uint64_t base = (uint64_t)m->parts.at[o->part[s->sh_info]].base;
    for (uint64_t at = 0; at < s->sh_size; at += s->sh_entsize) {
        if (o->wide) { /* the addend behind it stays */
            Elf64_Rel r;
            memcpy(&r, to + at, sizeof r);
            r.r_offset += base;
            r.r_info = ELF64_R_INFO((uint64_t)o->number[ELF64_R_SYM(r.r_info)],
                                    ELF64_R_TYPE(r.r_info));
            memcpy(to + at, &r, sizeof r);
        } else {
            Elf32_Rel r;
            memcpy(&r, to + at, sizeof r);
            r.r_offset += (Elf32_Addr)base;
            r.r_info = ELF32_R_INFO((uint32_t)o->number[ELF32_R_SYM(r.r_info)],
                                    ELF32_R_TYPE(r.r_info));
            memcpy(to + at, &r, sizeof r);
        }
    }
}

/* The strings' table from its names, each of which gets its place. */
typedef struct { char *at; uint32_t size; } Strings;

static uint32_t add_string(Strings *t, const char *s)
{
    uint32_t at = t->size;
    size_t n = strlen(s) + 1;
    if (n == 1)
        return 0;
    memcpy(t->at + at, s, n);
    t->size += (uint32_t)n;
    return at;
}

static Strings strings_new(const Merge *m)
{
    size_t room = 64;
    for (int i = 0; i < m->symbols.n; i++)
        room += strlen(m->symbols.at[i].name) + 1;
    for (int i = 0; i < m->sections.n; i++)
        room += strlen(m->sections.at[i].name) + 1;
    return (Strings){NEW_ARRAY(m->a, char, (int)room), 1};
}

/* What sections say of other sections, by their new numbers. */
static void renumber(Merge *m, int symbols)
{
    for (int i = 0; i < m->parts.n; i++) {
        const Part *p = &m->parts.at[i];
        const Elf64_Shdr *from = &p->of->section[p->from];
        Elf64_Shdr *s = &m->sections.at[p->section].head;
        if (is_reloc(from))
            s->sh_link = (uint32_t)symbols;
        else if (from->sh_flags & SHF_LINK_ORDER)
            s->sh_link = (uint32_t)m->parts.at[p->of->part[from->sh_link]].section;
    }
}

static int push_table(Merge *m, const char *name, uint32_t type, uint64_t size, uint64_t align)
{
    Section s = {name, {.sh_type = type, .sh_size = size, .sh_addralign = align}};
    list_push(m->a, &m->sections, s);
    return m->sections.n - 1;
}

/* Places of the sections in the file; where their table begins. */
static uint64_t place_sections(Merge *m, uint64_t head)
{
    uint64_t at = head;
    for (int i = 1; i < m->sections.n; i++) {
        Elf64_Shdr *s = &m->sections.at[i].head;
        s->sh_offset = aligned(at, s->sh_addralign);
        at = s->sh_offset + (s->sh_type == SHT_NOBITS ? 0 : s->sh_size);
    }
    return aligned(at, 8);
}

static void write_contents(const Merge *m, char *out)
{
    for (int i = 0; i < m->parts.n; i++) {
        const Part *p = &m->parts.at[i];
        const Elf64_Shdr *s = &p->of->section[p->from];
        char *to = out + m->sections.at[p->section].head.sh_offset + p->base;
        if (s->sh_type == SHT_NOBITS)
            continue;
        memcpy(to, p->of->at + s->sh_offset, s->sh_size);
        if (is_reloc(s))
            write_relocs(m, to, p);
    }
}

static void write_head(char *out, const Object *like, uint64_t table, int nsection, int names)
{
    size_t size = like->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
    memcpy(out, like->at, size);
    if (like->wide) {
        Elf64_Ehdr *h = (Elf64_Ehdr *)out;
        h->e_shoff = table;
        h->e_shnum = (Elf64_Half)nsection;
        h->e_shstrndx = (Elf64_Half)names;
    } else {
        Elf32_Ehdr *h = (Elf32_Ehdr *)out;
        h->e_shoff = (Elf32_Off)table;
        h->e_shnum = (Elf32_Half)nsection;
        h->e_shstrndx = (Elf32_Half)names;
    }
}

static Bytes write_object(Merge *m, int local)
{
    bool wide = m->object[0].wide;
    size_t symbol_bytes = wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
    size_t section_bytes = wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
    int symbols = push_table(m, ".symtab", SHT_SYMTAB, (uint64_t)m->symbols.n * symbol_bytes,
                             wide ? 8 : 4);
    int names = push_table(m, ".strtab", SHT_STRTAB, 0, 1);
    Strings strings = strings_new(m);
    for (int i = 0; i < m->symbols.n; i++)
        m->symbols.at[i].symbol.st_name = add_string(&strings, m->symbols.at[i].name);
    for (int i = 0; i < m->sections.n; i++)
        m->sections.at[i].head.sh_name = add_string(&strings, m->sections.at[i].name);
    m->sections.at[names].head.sh_size = strings.size;
    m->sections.at[symbols].head.sh_link = (uint32_t)names;
    m->sections.at[symbols].head.sh_info = (uint32_t)local;
    m->sections.at[symbols].head.sh_entsize = symbol_bytes;
    renumber(m, symbols);
    uint64_t table = place_sections(m, wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr));
    size_t size = table + (size_t)m->sections.n * section_bytes;
    char *out = NEW_ARRAY(m->a, char, (int)size);
    write_head(out, &m->object[0], table, m->sections.n, names);
    write_contents(m, out);
    memcpy(out + m->sections.at[names].head.sh_offset, strings.at, strings.size);
    for (int i = 0; i < m->symbols.n; i++)
        write_symbol(out + m->sections.at[symbols].head.sh_offset + (size_t)i * symbol_bytes,
                     &m->symbols.at[i].symbol, wide);
    for (int i = 0; i < m->sections.n; i++)
        write_section(out + table + (size_t)i * section_bytes, &m->sections.at[i].head, wide);
    return (Bytes){out, size};
}

Bytes objects_merge(Arena *a, const Bytes *object, int n)
{
    if (n == 1) {
        char *copy = NEW_ARRAY(a, char, object->size);
        memcpy(copy, object->at, object->size);
        return (Bytes){copy, object->size};
    }
    Merge m = {.a = a, .object = NEW_ARRAY(a, Object, n), .nobject = n};
    for (int i = 0; i < n; i++)
        m.object[i] = object_read(a, object[i]);
    Section none = {.name = ""};
    list_push(a, &m.sections, none);
    take_sections(&m, false);
    take_sections(&m, true);
    int local = take_symbols(&m);
    return write_object(&m, local);
}
