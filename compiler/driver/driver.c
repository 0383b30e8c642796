/* The program: command line in, command run, messages out, exit code. */
#include "driver/driver.h"

#include "driver/job.h"
#include "system.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char weft_version[] = WEFT_VERSION;

static int (*const command_function[NCOMMAND])(Job *) = {
#define COMMAND(name, ...) command_##name,
#include "driver/command.def"
};

/* When the process began: its CPU time so far went into loading libraries. */
static double process_start(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
        return system_seconds();
    return system_seconds() - ((double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
}

/* Large blocks go back to the system when they are freed, always: what glibc learns from the first
 * of them would keep those of the initial values beside the training's own. */
static void give_back_blocks(void)
{
#ifdef __GLIBC__
    enum { LARGE = 1 << 18 };
    mallopt(M_MMAP_THRESHOLD, LARGE);
#endif
}

static int run(Job *j)
{
    const Options *o = j->options;
    if (o->wants_version) {
        printf("weft %s\n", weft_version);
        return 0;
    }
    if (o->wants_help) {
        bool whole = o->command == CMD_help;
        fputs(whole ? options_help(j->arena) : options_command_help(j->arena, o->command), stdout);
        return 0;
    }
    if (!job_begin(j))
        return 1;
    return command_function[o->command](j);
}

int weft_main(int argc, char **argv)
{
    double started = process_start();
    give_back_blocks();
    signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error of write, with a message */
    Arena *arena = arena_new();
    Diag diag = {.arena = arena};
    Options options;
    Job job = {.arena = arena, .diag = &diag, .options = &options, .started = started};
    int code = 1;
    if (options_parse(arena, &diag, argc, argv, &options))
        code = run(&job);
    /* what was printed but could not be written (a full disk) was not said */
    if ((fflush(stdout) != 0 || ferror(stdout)) && diag_ok(&diag))
        error_at(&diag, (Span){0}, "cannot write to stdout: %s", strerror(errno));
    int from_messages = diag_exit_code(&diag);
    diag_print(&diag, stderr);
    if (from_messages)
        code = from_messages;
    job_end(&job);
    arena_free(arena);
    return code;
}
