// A function of the program's that throws, in spite of what parlor.h says: `throws URL`.
#include "parlor.h"

#include <unistd.h>

static void thrower(void *, const parlor_event *) { throw 7; }

int main(int p_count, char **p_arguments)
{
    if (p_count != 2)
        return 2;
    parlor_config config;
    parlor_config_init(&config, sizeof config);
    config.p_url = parlor_text(p_arguments[1]);
    config.p_on_event = thrower;
    parlor_client *client = nullptr;
    if (parlor_open(&config, &client) != PARLOR_OK)
        return 3;
    sleep(20);
    return 4;
}
