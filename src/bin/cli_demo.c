#include "bin/cli.h"
int cli_demo(int count, char **arguments) {
    (void)count;
    (void)arguments;
    return 1;
}
