/* Two clients talk: one by a function, the other by a loop of poll(2). Prints what it sees. */
#include "parlor.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000)

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_changed = PTHREAD_COND_INITIALIZER;
static int g_joined, g_heard, g_ended, g_dropped;

static void fail(const char *p_what)
{
    fprintf(stderr, "%s: %s\n", p_what, parlor_last_error());
    exit(1);
}

static void set(int *p_flag)
{
    pthread_mutex_lock(&g_lock);
    *p_flag += 1;
    pthread_cond_broadcast(&g_changed);
    pthread_mutex_unlock(&g_lock);
}

static void wait_for(int *p_flag)
{
    pthread_mutex_lock(&g_lock);
    while (!*p_flag)
        pthread_cond_wait(&g_changed, &g_lock);
    pthread_mutex_unlock(&g_lock);
}

static int is(parlor_str p_text, const char *p_word)
{
    return p_text.p_size == strlen(p_word) && memcmp(p_text.p_data, p_word, p_text.p_size) == 0;
}

static void on_event(void *p_user, const parlor_event *p_event)
{
    char name[16];
    parlor_client **client = p_user;
    pthread_getname_np(pthread_self(), name, sizeof name);
    if (strcmp(name, "NetworkThread") != 0)
        fail("not the network's thread");
    if (parlor_wait_online(*client, SECOND) != PARLOR_E_MODE)
        fail("it waits within its function");
    if (p_event->p_kind == PARLOR_EVENT_ANSWER)
        set(&g_joined);
    if (p_event->p_kind == PARLOR_EVENT_ENTRY && is(p_event->p_type, "chat:message")) {
        printf("ada hears %.*s: %.*s\n", (int)p_event->p_user.p_size, p_event->p_user.p_data, (int)p_event->p_text.p_size,
               p_event->p_text.p_data);
        set(&g_heard);
    }
    if (p_event->p_kind == PARLOR_EVENT_ENDED)
        set(&g_ended);
}

static void on_drop(void *p_user)
{
    (void)p_user;
    set(&g_dropped);
}

static void on_log(void *p_user, int32_t p_level, parlor_str p_line)
{
    (void)p_user;
    fprintf(stderr, "log %d %.*s\n", (int)p_level, (int)p_line.p_size, p_line.p_data);
}

int main(int p_count, char **p_arguments)
{
    parlor_config config;
    parlor_client *ada = NULL, *bob = NULL;
    parlor_event *event = NULL;
    uint64_t sent = 0;
    char url[200];
    struct pollfd readable;
    int is_stored = 0, is_ended = 0;
    if (p_count != 2)
        return 2;

    parlor_config_init(&config, sizeof config);
    snprintf(url, sizeof url, "%s?user=ada", p_arguments[1]);
    config.p_url = parlor_text(url);
    config.p_thread_name = parlor_text("NetworkThread");
    config.p_user = &ada;
    config.p_on_event = on_event;
    config.p_on_log = on_log;
    config.p_drop = on_drop;
    errno = 77;
    if (parlor_open(&config, &ada) != PARLOR_OK)
        fail("ada");
    if (parlor_join(ada, parlor_text("tea"), NULL) != PARLOR_OK)
        fail("join");
    if (errno != 77)
        fail("errno");
    wait_for(&g_joined);

    parlor_config_init(&config, sizeof config);
    snprintf(url, sizeof url, "%s?user=bob", p_arguments[1]);
    config.p_url = parlor_text(url);
    if (parlor_open(&config, &bob) != PARLOR_OK)
        fail("bob");
    if (parlor_join(bob, parlor_text("tea"), NULL) != PARLOR_OK)
        fail("join");
    if (parlor_send_text(bob, parlor_text("tea"), parlor_text("good evening"), &sent) != PARLOR_OK || sent == 0)
        fail("send");
    readable.fd = (int)parlor_wait_handle(bob);
    readable.events = POLLIN;
    while (!is_ended) {
        if (poll(&readable, 1, 20000) != 1)
            fail("nothing to read");
        while (parlor_next(bob, 0, &event) == PARLOR_OK) {
            if (event->p_kind == PARLOR_EVENT_SENT && event->p_request == sent && event->p_error.p_size == 0) {
                printf("bob's message is stored\n");
                is_stored = 1;
                if (parlor_stop(bob, 10 * SECOND) != PARLOR_OK)
                    fail("stop");
            }
            is_ended = event->p_kind == PARLOR_EVENT_ENDED;
            parlor_event_free(event);
        }
    }
    if (!is_stored || parlor_next(bob, 0, &event) != PARLOR_E_CLOSED)
        fail("the end");
    wait_for(&g_heard);
    parlor_free(bob);
    if (parlor_stop(bob, 0) != PARLOR_E_FREED)
        fail("a client that was freed");
    parlor_free(ada);
    if (g_ended != 1 || g_dropped != 1 || parlor_state(ada) != PARLOR_E_FREED)
        fail("the end of ada");
    puts("done");
    return 0;
}
