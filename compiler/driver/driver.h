/* The command line. Returns the process's exit code: 0; 1 for a mistake of the
 * user's or a failure of the system; 2 for a limit of Weft's. */
#ifndef WEFT_DRIVER_H
#define WEFT_DRIVER_H

int weft_main(int argc, char **argv);

#endif
