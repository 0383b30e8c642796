/* Joins the workers' objects (ELF, x86-64, relocatable) into one image: sections
 * are laid out, code first, and references resolved. All of them are relative to
 * where they stand, so the image runs anywhere. */
#include "emit/link.h"

#include <elf.h>
#include <string.h>

enum { NOWHERE = -1 };

typedef struct {
    const char *at;
    const Elf64_Ehdr *head;
    const Elf64_Shdr *section;
    int64_t *place;            /* of each section in the image; NOWHERE: left out */
    const Elf64_Sym *symbol;
    int nsymbol;
    const char *names;
    int64_t imports;           /* the first object's: where jumps to CODE_IMPORTS lie */
} Object;

enum { JUMP_BYTES = 8 };

static Object object_open(Arena *a, Bytes bytes)
{
    Object o = {.at = bytes.at, .head = bytes.at};
    if (bytes.size < sizeof *o.head || memcmp(o.head->e_ident, ELFMAG, SELFMAG) != 0 ||
        o.head->e_machine != EM_X86_64 || o.head->e_type != ET_REL)
        bug("the code generator made no object for x86-64");
    o.section = (const Elf64_Shdr *)(o.at + o.head->e_shoff);
    o.place = NEW_ARRAY(a, int64_t, o.head->e_shnum + 1);
    for (int i = 0; i < o.head->e_shnum; i++) {
        const Elf64_Shdr *s = &o.section[i];
        if (s->sh_type != SHT_SYMTAB)
            continue;
        o.symbol = (const Elf64_Sym *)(o.at + s->sh_offset);
        o.nsymbol = (int)(s->sh_size / sizeof *o.symbol);
        o.names = o.at + o.section[s->sh_link].sh_offset;
    }
    return o;
}

/* Unwind tables are for exceptions, which nothing throws. */
static bool is_wanted(const Object *o, const Elf64_Shdr *s, bool code)
{
    const char *name = o->at + o->section[o->head->e_shstrndx].sh_offset + s->sh_name;
    if (!(s->sh_flags & SHF_ALLOC) || !s->sh_size || strcmp(name, ".eh_frame") == 0)
        return false;
    if (s->sh_flags & SHF_WRITE || s->sh_type == SHT_NOBITS)
        bug("section %s of the code is not constant", name);
    return code == ((s->sh_flags & SHF_EXECINSTR) != 0);
}

/* Places the sections of code, or of constants, from `end` on; returns their end. */
static int64_t lay_out(Object *o, int n, bool code, int64_t end)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < o[i].head->e_shnum; k++) {
            const Elf64_Shdr *s = &o[i].section[k];
            int64_t align = s->sh_addralign > 1 ? (int64_t)s->sh_addralign : 1;
            if (!is_wanted(&o[i], s, code))
                continue;
            o[i].place[k] = (end + align - 1) / align * align;
            end = o[i].place[k] + (int64_t)s->sh_size;
        }
    return end;
}

/* Jumps through the addresses that the constants begin with. */
static void write_jumps(char *image, int64_t at, int64_t text)
{
    for (int i = 0; i < CODE_IMPORTS; i++, at += JUMP_BYTES) {
        static const unsigned char jump[] = {0xff, 0x25}; /* jmp *[rip + distance] */
        int32_t distance = (int32_t)(text + i * (int64_t)sizeof(void *) - (at + 6));
        memcpy(image + at, jump, sizeof jump);
        memcpy(image + at + sizeof jump, &distance, sizeof distance);
    }
}

static int64_t find_global(const Object *o, int n, const char *name)
{
    if (strcmp(name, "fmaf") == 0 || strcmp(name, "fma") == 0)
        return o->imports + JUMP_BYTES * (name[3] ? CODE_FMAF : CODE_FMA);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < o[i].nsymbol; k++) {
            const Elf64_Sym *s = &o[i].symbol[k];
            if (s->st_shndx != SHN_UNDEF && s->st_shndx < SHN_LORESERVE &&
                ELF64_ST_BIND(s->st_info) != STB_LOCAL && o[i].place[s->st_shndx] != NOWHERE &&
                strcmp(o[i].names + s->st_name, name) == 0)
                return o[i].place[s->st_shndx] + (int64_t)s->st_value;
        }
    bug("the code refers to '%s', which nothing defines", name);
}

static int64_t symbol_place(const Object *o, int n, const Object *of, const Elf64_Sym *s)
{
    if (s->st_shndx == SHN_UNDEF)
        return find_global(o, n, of->names + s->st_name);
    if (s->st_shndx >= SHN_LORESERVE || of->place[s->st_shndx] == NOWHERE)
        bug("the code refers to a section that it has not");
    return of->place[s->st_shndx] + (int64_t)s->st_value;
}

/* Resolves the references of one section that is in the image. */
static void relocate(char *image, const Object *o, int n, const Object *of, const Elf64_Shdr *table)
{
    const Elf64_Rela *r = (const Elf64_Rela *)(of->at + table->sh_offset);
    int64_t at = of->place[table->sh_info];
    for (size_t i = 0; i < table->sh_size / sizeof *r; i++, r++) {
        int64_t here = at + (int64_t)r->r_offset;
        int64_t there = symbol_place(o, n, of, &of->symbol[ELF64_R_SYM(r->r_info)]);
        int64_t distance = there + r->r_addend - here;
        int32_t narrow = (int32_t)distance;
        unsigned kind = (unsigned)ELF64_R_TYPE(r->r_info);
        if (kind == R_X86_64_PC64)
            memcpy(image + here, &distance, sizeof distance);
        else if ((kind == R_X86_64_PC32 || kind == R_X86_64_PLT32) && narrow == distance)
            memcpy(image + here, &narrow, sizeof narrow);
        else
            bug("the code has a reference of kind %u over %lld bytes", kind, (long long)distance);
    }
}

void image_link(Arena *a, const Bytes *object, int n, Program *p, CodeImage *image)
{
    Arena *scratch = arena_new();
    Object *o = NEW_ARRAY(scratch, Object, n);
    for (int i = 0; i < n; i++) {
        o[i] = object_open(scratch, object[i]);
        for (int k = 0; k < o[i].head->e_shnum; k++)
            o[i].place[k] = NOWHERE;
    }
    int64_t text = (lay_out(o, n, true, 0) + JUMP_BYTES - 1) / JUMP_BYTES * JUMP_BYTES;
    o->imports = text;
    text += JUMP_BYTES * CODE_IMPORTS;
    text = (text + CODE_PAGE - 1) / CODE_PAGE * CODE_PAGE;
    int64_t end = lay_out(o, n, false, text + CODE_IMPORTS * (int64_t)sizeof(void *));
    *image = (CodeImage){arena_alloc(a, (size_t)end), (size_t)text, (size_t)end};
    write_jumps(image->at, o->imports, text);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < o[i].head->e_shnum; k++)
            if (o[i].place[k] != NOWHERE)
                memcpy(image->at + o[i].place[k], o[i].at + o[i].section[k].sh_offset,
                       o[i].section[k].sh_size);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < o[i].head->e_shnum; k++)
            if (o[i].section[k].sh_type == SHT_RELA &&
                o[i].place[o[i].section[k].sh_info] != NOWHERE)
                relocate(image->at, o, n, &o[i], &o[i].section[k]);
    for (int i = 0; i < p->nphase; i++)
        for (int j = 0; j < p->phase[i].ntask; j++)
            p->phase[i].task[j].code = find_global(o, n, p->phase[i].task[j].name);
    arena_free(scratch);
}
