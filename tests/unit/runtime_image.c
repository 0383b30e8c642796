/* Pictures, arrays and tables out and in; single files for prediction. */
#include "image.h"
#include "runtime_check.h"

static const Span nowhere = {0, 0, 0};

static void test_png(Check *c)
{
    uint8_t px[4 * 6 * 3];
    for (size_t i = 0; i < sizeof px; i++)
        px[i] = (uint8_t)(7 * i);
    Image rgb = {4, 6, 3, px}, gray = {4, 6, 1, px};
    const char *path = path_of(c, "rgb.png"), *other = path_of(c, "gray.png");
    EXPECT(c, image_write(&c->d, nowhere, path, &rgb) && image_write(&c->d, nowhere, other, &gray));
    Image *m = image_read(c->a, &c->d, nowhere, path);
    EXPECT(c, m && m->height == 4 && m->width == 6 && m->channels == 3);
    EXPECT(c, m && !memcmp(m->data, px, sizeof px));
    m = image_read(c->a, &c->d, nowhere, other);
    EXPECT(c, m && m->channels == 1 && !memcmp(m->data, px, 24));
    EXPECT(c, image_channels(c->a, m, 3)->data[5] == px[1]);
    EXPECT(c, image_channels(c->a, &rgb, 1)->data[0] == (587 * 7 + 114 * 14 + 500) / 1000);
    size_t n;
    char *bytes = get(c, path, &n);
    for (size_t cut = 0; cut + 12 < n; cut++) {
        put(c, "cut.png", bytes, cut);
        EXPECT(c, !image_read(c->a, &c->d, nowhere, path_of(c, "cut.png")));
        REPORTED(c, "cut.png'");
    }
    Dataset *ds = dataset_open_file(c->a, &c->d, nowhere, path, "photo");
    EXPECT(c, ds && ds->count == 1 && ds->field[0].rank == 3 && ds->field[0].dim[2] == 3);
    ds = dataset_open_file(c->a, &c->d, nowhere, other, "photo");
    EXPECT(c, ds && ds->field[0].rank == 2 && !strcmp(ds->field[0].name, "photo"));
}

static void test_resize(Check *c)
{
    uint8_t flat[35], ramp[16];
    memset(flat, 200, sizeof flat);
    for (int i = 0; i < 16; i++)
        ramp[i] = (uint8_t)(i % 4 * 80);
    const Image *m = image_resize(c->a, &(Image){5, 7, 1, flat}, 3, 11);
    EXPECT(c, m->height == 3 && m->width == 11);
    for (int i = 0; i < 33; i++)
        EXPECT(c, m->data[i] == 200);
    m = image_resize(c->a, &(Image){4, 4, 1, ramp}, 2, 2);
    EXPECT(c, m->data[0] == 40 && m->data[1] == 200 && m->data[2] == 40);
    m = image_resize(c->a, &(Image){4, 4, 1, ramp}, 4, 8);
    EXPECT(c, m->data[0] == 0 && m->data[1] == 20 && m->data[2] == 60 && m->data[7] == 240);
    m = image_resize(c->a, &(Image){4, 4, 1, ramp}, 1, 1);
    EXPECT(c, m->data[0] == 120);
    const Image *color = image_channels(c->a, &(Image){4, 4, 1, ramp}, 3);
    color = image_resize(c->a, color, 3, 2);
    EXPECT(c, color->data[0] == 40 && color->data[3] == 200 && color->data[17] == 200);
}

static void test_files(Check *c)
{
    float x[6] = {1, 2, 3, 4, 5, 6};
    const char *path = path_of(c, "x.npy");
    size_t n;
    EXPECT(c, npy_write(&c->d, nowhere, path, DT_f32, 2, (int64_t[]){3, 2}, x));
    char *bytes = get(c, path, &n);
    EXPECT(c, n == 128 + 24 && !strncmp(bytes + 10, "{'descr': '<f4', 'fortran_order': False, "
                                                   "'shape': (3, 2,), }", 59));
    Dataset *ds = dataset_open_file(c->a, &c->d, nowhere, path, "x");
    EXPECT(c, ds && ds->count == 3 && dataset_value(ds, 0, false, 2, 1) == 6);
    ds = dataset_open_file(c->a, &c->d, nowhere, put_text(c, "x.csv", "a,b\n1,2\n3,4.5\n"), "x");
    EXPECT(c, ds && ds->count == 2 && dataset_value(ds, 0, false, 1, 1) == 4.5 && ds->nfield == 1);
    EXPECT(c, !dataset_open_file(c->a, &c->d, nowhere, put_text(c, "y.csv", "1,2\n3,a\n"), "x"));
    REPORTED(c, "line 2, column 'x2': 'a' is no number");
    ds = dataset_open_file(c->a, &c->d, nowhere,
                           put_gz(c, "i.gz", "\0\0\x08\x02\0\0\0\x02\0\0\0\x01\x07\x09", 14), "x");
    EXPECT(c, ds && ds->count == 2 && dataset_value(ds, 0, false, 1, 0) == 9);
    EXPECT(c, !dataset_open_file(c->a, &c->d, nowhere, put_text(c, "none", ""), "x"));
    REPORTED(c, "none' is empty");
    EXPECT(c, !dataset_open_file(c->a, &c->d, nowhere, path_of(c, "nothing"), "x"));
    REPORTED(c, "cannot read", "No such file");
    EXPECT(c, !dataset_open_file(c->a, &c->d, nowhere, c->dir, "x"));
    REPORTED(c, "directory");
    EXPECT(c, !dataset_open_file(c->a, &c->d, nowhere, put_text(c, "z", "PK\x03\x04zzzz"), "x"));
    REPORTED(c, "is an archive");
    const char *head[] = {"class", "p, q"}, *cells[] = {"a \"b\"", "1", "c", "2"};
    path = path_of(c, "out.csv");
    EXPECT(c, csv_write(&c->d, nowhere, path, head, 2, cells, 2));
    EXPECT(c, !strcmp(get(c, path, &n), "class,\"p, q\"\n\"a \"\"b\"\"\",1\nc,2\n"));
}

int main(void)
{
    Check c = check_begin();
    test_png(&c);
    test_resize(&c);
    test_files(&c);
    return check_end(&c);
}
