/* Flat JSON objects as text: strings are jansson's, numbers the shortest that keep their bits. */
#include "progress.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static char *string_text(Arena *a, const char *s)
{
    json_t *v = json_string(s); /* null when s is no UTF-8 */
    char *text = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
    char *kept = arena_strdup(a, text ? text : "null");
    free(text);
    json_decref(v);
    return kept;
}

static char *number_text(Arena *a, double v)
{
    char text[40];
    if (!isfinite(v))
        return arena_strdup(a, "null");
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    /* A real stays one for readers that tell 1 from 1.0. */
    return arena_printf(a, "%s%s", text, text[strcspn(text, ".e")] ? "" : ".0");
}

static char *value_text(Arena *a, const JsonField *f)
{
    switch (f->kind) {
    case JSON_number: return number_text(a, f->number);
    case JSON_integer: return arena_printf(a, "%" PRId64, f->integer);
    case JSON_bool: return arena_strdup(a, f->integer ? "true" : "false");
    case JSON_text: break;
    }
    return f->text ? string_text(a, f->text) : arena_strdup(a, "null");
}

static char *object_text(Arena *a, const JsonField *fields, int n, const char *begin,
                         const char *between, const char *end)
{
    char **member = NEW_ARRAY(a, char *, n + 1);
    size_t size = strlen(begin) + strlen(end) + 1;
    for (int i = 0; i < n; i++) {
        member[i] = arena_printf(a, "%s%s: %s", i ? between : "", string_text(a, fields[i].name),
                                 value_text(a, &fields[i]));
        size += strlen(member[i]);
    }
    char *text = arena_alloc(a, size), *p = stpcpy(text, begin);
    for (int i = 0; i < n; i++)
        p = stpcpy(p, member[i]);
    stpcpy(p, end);
    return text;
}

char *json_fields_text(Arena *a, const JsonField *fields, int n)
{
    return object_text(a, fields, n, "{", ", ", "}");
}

char *json_fields_lines(Arena *a, const JsonField *fields, int n)
{
    return object_text(a, fields, n, "{\n  ", ",\n  ", "\n}\n");
}

void json_line(FILE *out, const char *event, const JsonField *fields, int n)
{
    Arena *a = arena_new();
    JsonField *all = NEW_ARRAY(a, JsonField, n + 1);
    all[0] = json_field_text("event", event);
    if (n)
        memcpy(all + 1, fields, sizeof *fields * (size_t)n);
    fprintf(out, "%s\n", json_fields_text(a, all, n + 1));
    fflush(out);
    arena_free(a);
}
