/* What the operating system tells and takes: threads, memory, signals, files. */
#ifndef WEFT_SYSTEM_H
#define WEFT_SYSTEM_H

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Threads worth starting: CPUs of the affinity mask, at most the cgroup's quota (v1 or v2)
 * rounded up, at least 1. */
int system_threads(void);

/* Bytes that may still be allocated without swapping: MemAvailable, at most what the cgroup
 * leaves; 0 when unknown. */
size_t system_memory(void);
/* Largest resident size of this process so far, in bytes. */
size_t system_peak(void);

/* Seconds of a clock that only runs forward. */
double system_seconds(void);

/* From now on the first SIGINT or SIGTERM only sets a flag, which system_stopping reads; a
 * second one ends the process at once (exit code 130 or 143). */
void system_catch_signals(void);
/* The signal that asked to stop, 0 when none did. */
int system_stopping(void);

/* ---- files ---- */

typedef struct { const void *at; size_t size; } Bytes;

/* Bytes read from where fd stands, fewer than size only at the file's end; -1 with errno set. */
int64_t fd_read(int fd, void *to, size_t size);
/* Writes all of part, or returns false with errno set. */
bool fd_write(int fd, Bytes part);

/* Writes the parts one after the other to a temporary file in path's folder, syncs it,
 * renames it to path and syncs the folder: path is either its old or its new self, at any
 * moment. Reports (full disk, no permission, ...) and returns false; then path is untouched
 * and no temporary file is left. */
bool file_write(Diag *d, Span at, const char *path, const Bytes *parts, int nparts);

/* The whole file with a NUL behind it, in the arena. Reports and returns null. Files above
 * `most` bytes are refused. */
char *file_read(Arena *a, Diag *d, Span at, const char *path, size_t most, size_t *size);

/* ---- where data are ---- */

typedef struct {
    const char *data_dir;  /* --data-dir; null when not given */
    const char *model_dir; /* the folder of the .model file; null: the current one */
} DataPlaces;

/* The first that exists of: path itself when absolute; else under data_dir, when given; else
 * under $WEFT_DATA, when set; else beside the .model file; else in the current folder. Under
 * data_dir and $WEFT_DATA also with leading folders of the path left out ("data/mnist", "mnist").
 * In each place every suffix is tried in turn (nsuffix 0: the path itself). Null when there is
 * none; then *tried lists the places, "a, b and c". */
const char *data_find(Arena *a, const DataPlaces *places, const char *path,
                      const char *const *suffixes, int nsuffix, const char **tried);

#endif
