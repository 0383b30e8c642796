/* The choice between an object's versions: prints the number of the one that is chosen here, and
 * what asking for each gives. C and C++. */
#include "net.h"
#include "check.h"

int main(void)
{
    net_functions best, own;
    char *table = (char *)taken(sizeof best + 8);
    memset(&best, 0, sizeof best);
    expect(net_select(NULL) == WEFT_NULL, "no table");
    expect(net_select_version(NULL, 0) == WEFT_NULL, "no table for a version");
    expect(net_select((net_functions *)(void *)(table + 4)) == WEFT_MISALIGNED, "a table at 4");
    expect(net_select(&best) == WEFT_OK && best.predict, "select");
    expect(net_select_version(&best, -1) == WEFT_RANGE, "version -1");
    expect(net_select_version(&best, NET_AVX512 + 1) == WEFT_RANGE, "a version beyond the last");
    printf("%d:", (int)best.version);
    for (int v = NET_SSE2; v <= NET_AVX512; v++) {
        memset(&own, 0, sizeof own);
        int status = net_select_version(&own, v);
        printf(" %d", status);
        if (status == WEFT_OK)
            expect(own.version == v && own.predict, "a version asked for");
        else
            expect(!own.predict, "a table that was refused is filled");
        expect((v == best.version) == (own.predict == best.predict), "another version's function");
    }
    printf("\n");
    return failed;
}
