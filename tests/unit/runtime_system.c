/* Threads, memory, signals, and where data are looked for. */
#include "runtime_check.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

static void test_machine(Check *c)
{
    EXPECT(c, system_threads() >= 1 && system_threads() <= (int)sysconf(_SC_NPROCESSORS_ONLN));
    EXPECT(c, system_memory() > (size_t)1 << 20 && system_peak() > (size_t)1 << 18);
    double t = system_seconds();
    usleep(2000);
    EXPECT(c, system_seconds() - t >= 0.002);
}

/* The first signal sets the flag, the second ends the process. */
static void test_signals(Check *c)
{
    pid_t child = fork();
    if (child == 0) {
        system_catch_signals();
        if (system_stopping())
            _exit(1);
        raise(SIGINT);
        if (system_stopping() != SIGINT)
            _exit(2);
        raise(SIGTERM);
        _exit(3);
    }
    int status;
    waitpid(child, &status, 0);
    EXPECT(c, WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM);
}

static void test_find(Check *c)
{
    const char *tried = NULL, *suffixes[] = {"", ".gz"};
    DataPlaces p = {path_of(c, "given"), path_of(c, "models")};
    mkdir(p.data_dir, 0777);
    mkdir(p.model_dir, 0777);
    mkdir(path_of(c, "env"), 0777);
    setenv("WEFT_DATA", path_of(c, "env"), 1);
    EXPECT(c, !data_find(c->a, &p, "data/x", NULL, 0, &tried));
    EXPECT(c, tried && strstr(tried, "given/data/x, ") && strstr(tried, "given/x, "));
    EXPECT(c, tried && strstr(tried, "env/data/x, ") && strstr(tried, "models/data/x and data/x"));
    put_text(c, "models/x", "");
    const char *found = data_find(c->a, &p, "x", suffixes, 2, &tried);
    EXPECT(c, found && !strcmp(found, path_of(c, "models/x")));
    put_text(c, "env/x.gz", "");
    found = data_find(c->a, &p, "data/x", suffixes, 2, &tried);
    EXPECT(c, found && !strcmp(found, path_of(c, "env/x.gz")));
    put_text(c, "given/x", "");
    found = data_find(c->a, &p, "data/x", suffixes, 2, &tried);
    EXPECT(c, found && !strcmp(found, path_of(c, "given/x")));
    EXPECT(c, !data_find(c->a, &p, "/no/such/x", NULL, 0, &tried) && !strcmp(tried, "/no/such/x"));
    unsetenv("WEFT_DATA");
}

int main(void)
{
    Check c = check_begin();
    test_machine(&c);
    test_signals(&c);
    test_find(&c);
    return check_end(&c);
}
