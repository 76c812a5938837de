/* Two clients and standard input in one loop of poll(2)'s: `poll URL`. */
#include "parlor_poll.h"
#include <stdio.h>
#include <string.h>

static parlor_client *g_ada, *g_bob;
static int g_heard, g_stored;

static void see(void *p_name, const parlor_event *p_event)
{
    if (p_event->p_kind == PARLOR_EVENT_STATE && p_event->p_state == PARLOR_STATE_ONLINE)
        printf("%s is online\n", (const char *)p_name);
    if (p_event->p_kind == PARLOR_EVENT_ENTRY && strncmp(p_event->p_type.p_data, "chat:message", p_event->p_type.p_size) == 0) {
        printf("%s hears: %.*s\n", (const char *)p_name, (int)p_event->p_text.p_size, p_event->p_text.p_data);
        g_heard++;
    }
    if (p_event->p_kind == PARLOR_EVENT_SENT)
        g_stored++;
    if (g_heard == 2 && g_stored == 1) {
        parlor_stop(g_ada, 0);
        parlor_stop(g_bob, 0);
    }
}

static parlor_client *opened(const char *p_url, const char *p_name)
{
    char url[200];
    parlor_config config;
    parlor_client *client = NULL;
    snprintf(url, sizeof url, "%s?user=%s", p_url, p_name);
    parlor_config_init(&config, sizeof config);
    config.p_url = parlor_text(url);
    if (parlor_open(&config, &client) != PARLOR_OK)
        fprintf(stderr, "%s\n", parlor_last_error());
    parlor_join(client, parlor_text("tea"), NULL);
    return client;
}

int main(int p_count, char **p_arguments)
{
    struct pollfd waits[3];
    int open = 2;
    if (p_count != 2)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    g_ada = opened(p_arguments[1], "ada");
    g_bob = opened(p_arguments[1], "bob");
    waits[0] = parlor_pollfd(g_ada);
    waits[1] = parlor_pollfd(g_bob);
    waits[2].fd = 0;
    waits[2].events = POLLIN;
    while (open > 0) {
        char line[100];
        if (poll(waits, 3, 20000) <= 0)
            return 3;
        if (waits[0].revents && parlor_drain(g_ada, 64, see, "ada") == PARLOR_E_CLOSED)
            waits[0].fd = -1, open--;
        if (waits[1].revents && parlor_drain(g_bob, 64, see, "bob") == PARLOR_E_CLOSED)
            waits[1].fd = -1, open--;
        if (waits[2].revents) {
            if (!fgets(line, sizeof line, stdin))
                waits[2].fd = -1;
            else if (parlor_send_text(g_bob, parlor_text("tea"), parlor_text(line), NULL) != PARLOR_OK)
                return 4;
        }
    }
    parlor_free(g_ada);
    parlor_free(g_bob);
    puts("done");
    return 0;
}
