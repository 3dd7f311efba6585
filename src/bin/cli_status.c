#include "bin/cli.h"
int cli_status(int count, char **arguments) {
    (void)count;
    (void)arguments;
    return 1;
}
