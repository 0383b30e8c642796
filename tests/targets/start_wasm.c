/* Output in a web page's machine: the host takes it. */
#include "run.h"

__attribute__((import_module("host"), import_name("put"))) void host_put(const void *p,
                                                                         unsigned bytes);

__attribute__((export_name("run"))) void run(void)
{
    target_run(host_put);
}
