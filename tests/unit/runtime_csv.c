/* csv(): columns, classes, missing cells, and files that are none. */
#include "runtime_check.h"

#include <math.h>

static void bad(Check *c, const char *text, const char *says, const char *more)
{
    put_text(c, "bad.csv", text);
    EXPECT(c, !load(c, OPEN(c, "csv", text_arg(NULL, "bad.csv"))));
    REPORTED(c, says, more);
}

static void test_iris(Check *c)
{
    put_text(c, "iris.csv", "\xEF\xBB\xBFsepal length (cm),width,2nd,species\r\n"
                            "5.1,3.5,1e1,setosa\r\n\r\n4.9,-3,.25,\"virginica, \"\"big\"\"\"\r\n"
                            "  7 ,+0.1,3.,setosa");
    Dataset *ds = load(c, OPEN(c, "csv", text_arg(NULL, "iris.csv")));
    EXPECT(c, ds && ds->count == 3 && ds->nfield == 5 && ds->test_count == 0);
    if (!ds)
        return;
    EXPECT(c, !strcmp(ds->field[0].name, "features") && ds->field[0].dim[0] == 3);
    EXPECT(c, !strcmp(ds->field[1].name, "sepal_length_cm") && !strcmp(ds->field[3].name, "x2nd"));
    EXPECT(c, dataset_value(ds, 0, false, 0, 0) == (double)5.1f);
    EXPECT(c, dataset_value(ds, 0, false, 1, 2) == 0.25 && dataset_value(ds, 0, false, 0, 2) == 10);
    EXPECT(c, dataset_value(ds, 0, false, 2, 0) == 7 && dataset_value(ds, 2, false, 1, 0) == -3);
    EXPECT(c, ds->class_field == 4 && ds->nclass == 2 && ds->field[4].dtype == DT_i32);
    EXPECT(c, !strcmp(ds->classes[0], "setosa") && !strcmp(ds->classes[1], "virginica, \"big\""));
    EXPECT(c, dataset_value(ds, 4, false, 1, 0) == 1 && dataset_value(ds, 4, false, 2, 0) == 0);
}

static void test_forms(Check *c)
{
    put_text(c, "plain.csv", "1;2;7\n3;4;8\n");
    Dataset *ds = load(c, OPEN(c, "csv", text_arg(NULL, "plain.csv")));
    EXPECT(c, ds && ds->count == 2 && !strcmp(ds->field[1].name, "x1"));
    EXPECT(c, ds && !strcmp(ds->field[3].name, "label") && ds->field[3].dtype == DT_i32);
    EXPECT(c, ds && ds->field[0].dim[0] == 2 && dataset_value(ds, 3, false, 1, 0) == 8);
    ds = load(c, OPEN(c, "csv", text_arg(NULL, "plain.csv"), number_arg("target", 1)));
    EXPECT(c, ds && !strcmp(ds->field[1].name, "label") && dataset_value(ds, 0, false, 1, 1) == 8);
    ds = load(c, OPEN(c, "csv", text_arg(NULL, "plain.csv"), bool_arg("header", true)));
    EXPECT(c, ds && ds->count == 1 && !strcmp(ds->field[3].name, "x7"));
    ds = load(c, OPEN(c, "csv", text_arg(NULL, "plain.csv"), text_arg("separator", "|")));
    EXPECT(c, ds && ds->nfield == 1 && ds->nclass == 1 && !strcmp(ds->classes[0], "3;4;8"));
    const char *cols[] = {"c", "a"};
    put_text(c, "named.csv", "a\tb\tc\ty\n1\tq\t3\t0.5\n4\tr\t6\t1.5\n");
    DataArg list = {.name = "columns", .kind = DATA_list_text, .n = 2, .texts = cols};
    ds = load(c, OPEN(c, "csv", text_arg(NULL, "named.csv"), list, text_arg("target", "y")));
    EXPECT(c, ds && dataset_value(ds, 0, false, 0, 0) == 3);
    EXPECT(c, ds && dataset_value(ds, 0, false, 0, 1) == 1);
    EXPECT(c, ds && ds->class_field == -1 && ds->field[4].dtype == DT_f32);
    cols[1] = "b";
    EXPECT(c, !OPEN(c, "csv", text_arg(NULL, "named.csv"), list));
    REPORTED(c, "column 'b' holds texts (2 classes)");
    cols[1] = "bb";
    EXPECT(c, !OPEN(c, "csv", text_arg(NULL, "named.csv"), list));
    REPORTED(c, "no column 'bb'", "did you mean 'b'");
    EXPECT(c, !OPEN(c, "csv", text_arg(NULL, "named.csv"), text_arg("target", "zzzzzz")));
    REPORTED(c, "no column 'zzzzzz' among its 4");
    EXPECT(c, !OPEN(c, "csv", text_arg(NULL, "named.csv"), number_arg("target", 5)));
    REPORTED(c, "target is column 5", "1 to 4");
    EXPECT(c, !OPEN(c, "csv", text_arg(NULL, "named.csv"), text_arg("missing", "drop")));
    REPORTED(c, "missing is 'drop'");
    EXPECT(c, !OPEN(c, "csv", text_arg(NULL, "named.csv"), text_arg("header", "yes")));
    REPORTED(c, "header is 'yes'");
    EXPECT(c, !OPEN(c, "csv", text_arg(NULL, "named.csv"), text_arg("separator", "ab")));
    REPORTED(c, "not a single character");
}

static void test_broken(Check *c)
{
    bad(c, "", "is empty", "bad.csv");
    bad(c, "\n\n\r\n", "is empty", "bad.csv");
    bad(c, "a,b\n", "is empty", "no line of data");
    bad(c, "a,b\n1,2\n1,2,3\n", "line 3 has 3 cells", "first line has 2");
    bad(c, "a,b\n1,\"2\n3,4\n", "line 2", "quote does not end");
    bad(c, "\"a,b\n1,2\n", "quote on line 1", "does not end");
    bad(c, "a,b\n1,2\n\n3,x4\n5,6\n", "line 4, column 'b'", "'x4' is no number");
    bad(c, "a,b\n1,2\n,4\n", "line 3, column 'a'", "the cell is missing");
    bad(c, "a,b\n1,2\n1e50,4\n", "line 3, column 'a'", "does not fit");
    bad(c, "a,b\n1,2\ninf,4\n3,4\n", "line 3, column 'a'", "'inf' is no number");
    bad(c, "a,a\n1,2\n", "two fields", "'a'");
    put(c, "bad.csv", "a,b\n1,\0\n", 8);
    EXPECT(c, !OPEN(c, "csv", text_arg(NULL, "bad.csv")));
    REPORTED(c, "no CSV file");
}

static void test_missing(Check *c)
{
    put_text(c, "m.csv", "a,b,k,y\n1,2,u,0\nNA,4,,1\n4,?,u,1\n");
    Dataset *ds = load(c, OPEN(c, "csv", text_arg(NULL, "m.csv"), text_arg("missing", "mean")));
    EXPECT(c, ds && dataset_value(ds, 0, false, 1, 0) == 2.5);
    EXPECT(c, ds && dataset_value(ds, 0, false, 2, 1) == 3);
    EXPECT(c, ds && dataset_value(ds, 3, false, 1, 0) == 0); /* the class of missing cells */
    EXPECT(c, ds && dataset_value(ds, 3, false, 0, 0) == 1);
    ds = load(c, OPEN(c, "csv", text_arg(NULL, "m.csv"), text_arg("missing", "zero")));
    EXPECT(c, ds && dataset_value(ds, 0, false, 1, 0) == 0);
}

static void test_parts(Check *c)
{
    put_text(c, "train.csv", "a,b,y\n1,2,cat\n3,4,dog\n");
    put_text(c, "test.csv", "y,a,b\ndog,5,6\n");
    DataArg test = text_arg("test", "test.csv");
    Dataset *ds = load(c, OPEN(c, "csv", text_arg(NULL, "train.csv"), test));
    EXPECT(c, ds && ds->test_count == 1 && dataset_value(ds, 3, true, 0, 0) == 1);
    EXPECT(c, ds && dataset_value(ds, 0, true, 0, 0) == 5 && dataset_value(ds, 0, true, 0, 1) == 6);
    put_text(c, "test.csv", "y,a,b\nfox,5,6\n");
    EXPECT(c, !OPEN(c, "csv", text_arg(NULL, "train.csv"), text_arg("test", "test.csv")));
    REPORTED(c, "'fox' is none of the 2 classes");
    put_text(c, "test.csv", "y,a,c\ndog,5,6\n");
    EXPECT(c, !OPEN(c, "csv", text_arg(NULL, "train.csv"), text_arg("test", "test.csv")));
    REPORTED(c, "no column 'b'");
    put_text(c, "test.csv", "y,a,b\ndog,5,x\ndog,5,y\n");
    EXPECT(c, !OPEN(c, "csv", text_arg(NULL, "train.csv"), text_arg("test", "test.csv")));
    REPORTED(c, "line 2, column 'b': 'x' is no number");
}

/* Decimal texts against the C library's. */
static void test_numbers(Check *c)
{
    static const char *const texts[] = {"0",     "-0.0",               "3.14159265358979", "1e22",
                                        "1e-22", "123456789012345678", "0.1e-5",           "1E+3",
                                        "00012.50", "4.9e-30"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put_text(c, "n.csv", arena_printf(c->a, "a,y\n%s,1\n", texts[i]));
        Dataset *ds = load(c, OPEN(c, "csv", text_arg(NULL, "n.csv")));
        EXPECT(c, ds && dataset_value(ds, 0, false, 0, 0) == (double)(float)strtod(texts[i], NULL));
    }
}

int main(void)
{
    Check c = check_begin();
    test_iris(&c);
    test_forms(&c);
    test_broken(&c);
    test_missing(&c);
    test_parts(&c);
    test_numbers(&c);
    return check_end(&c);
}
