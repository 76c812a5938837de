/* `connect URL CA`: whether a client is online within three seconds, or why not. */
#include "parlor.h"
#include <stdio.h>

int main(int p_count, char **p_arguments)
{
    parlor_config config;
    parlor_client *client;
    if (p_count != 3)
        return 2;
    parlor_config_init(&config, sizeof config);
    config.p_url = parlor_text(p_arguments[1]);
    config.p_ca_file = parlor_text(p_arguments[2]);
    if (parlor_open(&config, &client) != PARLOR_OK || parlor_wait_online(client, INT64_C(3000000)) != PARLOR_OK)
        printf("%s\n", parlor_last_error());
    else
        puts("online");
    parlor_free(client);
    return 0;
}
