/* Gives the code generator's own pages back to the system.
 *
 * libLLVM's code and constants take some 50 MB of a process's resident memory
 * and are not needed while a compiled program trains. They are unmodified pages
 * of a file: dropped, they come back from the file cache when touched again. */
#define _GNU_SOURCE
#include "emit/pages.h"

#include <malloc.h>
#include <stdint.h>
#include <string.h>

#ifdef __linux__
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

static int drop(struct dl_phdr_info *object, size_t size, void *context)
{
    (void)size;
    (void)context;
    if (!object->dlpi_name || !strstr(object->dlpi_name, "libLLVM"))
        return 0;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        /* What can be written holds relocated addresses that no file has. */
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
            continue;
        uintptr_t from = object->dlpi_addr + segment->p_vaddr, to = from + segment->p_filesz;
        from = (from + page - 1) & ~(page - 1);
        to &= ~(page - 1);
        if (from < to)
            madvise((void *)from, to - from, MADV_DONTNEED);
    }
    return 0;
}
#endif

void pages_give_back(void)
{
    malloc_trim(0);
#ifdef __linux__
    dl_iterate_phdr(drop, NULL);
#endif
}
