/* The program: everything is in driver/. */
#include "driver/driver.h"

int main(int argc, char **argv)
{
    return weft_main(argc, argv);
}
