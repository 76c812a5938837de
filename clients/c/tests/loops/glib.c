/* A client in GLib's main loop, with a timer beside it: `glib URL`. */
#include "parlor_glib.h"
#include <stdio.h>

static GMainLoop *g_loop;
static GThread *g_main_thread;
static parlor_client *g_client;
static int g_let_go, g_ticks;

static void see(void *p_user, const parlor_event *p_event)
{
    g_assert(p_user == &g_ticks && g_thread_self() == g_main_thread);
    if (p_event->p_kind == PARLOR_EVENT_STATE && p_event->p_state == PARLOR_STATE_ONLINE)
        g_print("online\n");
    if (p_event->p_kind == PARLOR_EVENT_SENT)
        parlor_stop(g_client, 0);
    if (p_event->p_kind == PARLOR_EVENT_ENDED) {
        g_print("ended\n");
        parlor_free(g_client);
    }
}

static void let_go(gpointer p_user)
{
    g_assert(p_user == &g_ticks);
    g_let_go++;
    g_main_loop_quit(g_loop);
}

static gboolean tick(gpointer p_user)
{
    (void)p_user;
    /* The loop is not held up. */
    if (++g_ticks == 5) {
        parlor_join(g_client, parlor_text("tea"), NULL);
        parlor_send_text(g_client, parlor_text("tea"), parlor_text("good evening"), NULL);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean too_late(gpointer p_user)
{
    (void)p_user;
    g_error("nothing came in time");
    return G_SOURCE_REMOVE;
}

static void nothing(void *p_user, const parlor_event *p_event)
{
    (void)p_user;
    (void)p_event;
}

int main(int p_count, char **p_arguments)
{
    parlor_config config;
    parlor_client *other;
    if (p_count != 2)
        return 2;
    g_main_thread = g_thread_self();
    g_loop = g_main_loop_new(NULL, FALSE);
    parlor_config_init(&config, sizeof config);
    config.p_url = parlor_text(p_arguments[1]);
    g_assert(parlor_open(&config, &g_client) == PARLOR_OK);
    g_assert(parlor_glib_attach(g_client, NULL, see, &g_ticks, let_go) != 0);
    /* One with a function of its own has nothing for a loop. */
    config.p_on_event = nothing;
    g_assert(parlor_open(&config, &other) == PARLOR_OK);
    g_assert(parlor_glib_attach(other, NULL, see, NULL, NULL) == 0);
    parlor_free(other);
    g_timeout_add(10, tick, NULL);
    g_timeout_add_seconds(20, too_late, NULL);
    g_main_loop_run(g_loop);
    g_main_loop_unref(g_loop);
    g_assert(g_let_go == 1 && g_ticks >= 5);
    g_print("done\n");
    return 0;
}
