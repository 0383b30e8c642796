/* Progress on a terminal of any width, in a log, and as JSON lines. */
#define _GNU_SOURCE
#include "progress.h"
#include "runtime_check.h"

#include <fcntl.h>
#include <math.h>
#include <sys/ioctl.h>
#include <termios.h>

static void some_epochs(Progress *p)
{
    Figure f[] = {{"loss", 0.25}, {"accuracy", 0.9375}, {"val_loss", 12345678}, {"tiny", 1e-5}};
    progress_begin(p, 1, 2, 469, 60000, 0, 0);
    for (int i = 1; i <= 469; i++) {
        if (i % 100 == 0)
            usleep(60000);
        if (progress_wants(p))
            progress_step(p, i, i * 128, f, 2);
    }
    progress_step(p, 469, 60000, f, 2);
    progress_end(p, f, 4);
}

static void test_lines(Check *c)
{
    size_t n;
    const char *path = path_of(c, "log");
    FILE *f = fopen(path, "w");
    some_epochs(progress_new(c->a, f, PROGRESS_auto));
    some_epochs(progress_new(c->a, f, PROGRESS_none));
    fclose(f);
    char *text = get(c, path, &n);
    EXPECT(c, strchr(text, '\n') == text + n - 1 && !strchr(text, '\r') && !strchr(text, 27));
    EXPECT(c, !strncmp(text, "epoch 1/2 - ", 12) && strstr(text, "/s - loss: 0.2500"));
    EXPECT(c, strstr(text, "accuracy: 0.9375 - val_loss: 1.2346e+07 - tiny: 1.0000e-05\n"));
}

/* A pseudo terminal: nothing that is redrawn may reach the last column. */
static void test_terminal(Check *c, int width, const char *locale, const char *has)
{
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", locale, 1);
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master))
        return; /* no pseudo terminals here */
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    struct winsize w = {.ws_col = (unsigned short)width, .ws_row = 24};
    ioctl(slave, TIOCSWINSZ, &w);
    FILE *f = fdopen(slave, "w");
    some_epochs(progress_new(c->a, f, PROGRESS_auto));
    fclose(f); /* what is in flight stays readable; then comes an error */
    static char buf[1 << 16];
    size_t n = 0;
    for (ssize_t got; n < sizeof buf - 1 && (got = read(master, buf + n, sizeof buf - 1 - n)) > 0;)
        n += (size_t)got;
    buf[n] = 0;
    EXPECT(c, n > 0 && strstr(buf, "Epoch 1/2") && strstr(buf, "469/469"));
    EXPECT(c, strstr(buf, has) && strstr(buf, "\r\n") && strstr(buf, "\x1b[K"));
    int columns = 0, frames = 0;
    char *last = strstr(buf, "469/469"); /* the frame that stays, with all figures */
    EXPECT(c, last && strstr(last, "- tiny: 1.0000e-05"));
    for (char *p = buf; p < last; p++) {
        frames += *p == '\r';
        if (*p == '\x1b')
            p += 2;
        else if (*p == '\r' || *p == '\n')
            columns = 0;
        else
            columns += (*p & 0xC0) != 0x80;
        EXPECT(c, columns < width);
    }
    EXPECT(c, frames >= 5 && frames < 20);
    close(master);
}

static void test_json(Check *c)
{
    size_t n;
    const char *path = path_of(c, "json");
    FILE *f = fopen(path, "w");
    JsonField fields[] = {json_field_integer("epoch", 1), json_field_number("loss", 0.1 + 0.2),
                          json_field_number("one", 1), json_field_number("inf", INFINITY),
                          json_field_text("bad", "\xFF"), json_field_text("s", "a\n\xC3\xA4")};
    json_line(f, "epoch", fields, 6);
    json_line(f, "end", NULL, 0);
    fclose(f);
    EXPECT(c, !strcmp(get(c, path, &n),
                      "{\"event\": \"epoch\", \"epoch\": 1, \"loss\": 0.30000000000000004, "
                      "\"one\": 1.0, \"inf\": null, \"bad\": null, \"s\": \"a\\n\xC3\xA4\"}\n"
                      "{\"event\": \"end\"}\n"));
}

int main(void)
{
    Check c = check_begin();
    test_lines(&c);
    test_terminal(&c, 120, "en_US.UTF-8", "━");
    test_terminal(&c, 80, "C", "====");
    test_terminal(&c, 30, "C.UTF-8", "469/469");
    test_terminal(&c, 14, "C", "469/469");
    test_json(&c);
    return check_end(&c);
}
