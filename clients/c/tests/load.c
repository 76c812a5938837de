/* The library is loaded and unloaded while the program runs: `load LIBRARY URL`. */
#include "parlor.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ISO C knows no pointer to a function that is one to data. */
union symbol {
    void *p_data;
    parlor_rc (*p_open)(const parlor_config *, parlor_client **);
    void (*p_init)(parlor_config *, size_t);
    void (*p_free)(parlor_client *);
    parlor_rc (*p_wait_online)(parlor_client *, int64_t);
    parlor_str (*p_text)(const char *);
};

static void *g_library;

static union symbol named(const char *p_name)
{
    union symbol found;
    found.p_data = dlsym(g_library, p_name);
    if (!found.p_data) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return found;
}

int main(int p_count, char **p_arguments)
{
    int round;
    if (p_count != 3)
        return 2;
    for (round = 0; round < 4; round++) {
        parlor_config config;
        parlor_client *client;
        g_library = dlopen(p_arguments[1], RTLD_NOW | RTLD_LOCAL);
        if (!g_library) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        named("parlor_config_init").p_init(&config, sizeof config);
        config.p_url = named("parlor_text").p_text(p_arguments[2]);
        if (named("parlor_open").p_open(&config, &client) != PARLOR_OK)
            return 3;
        if (named("parlor_wait_online").p_wait_online(client, INT64_C(20000000)) != PARLOR_OK)
            return 4;
        /* The last time it is unloaded before its client is freed, whose thread runs on. */
        if (round < 3)
            named("parlor_free").p_free(client);
        dlclose(g_library);
        usleep(50000);
    }
    puts("ok");
    return 0;
}
