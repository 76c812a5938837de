/* parlor_glib.h: a client in a main loop of GLib's; for C99 and C++98. */
#ifndef PARLOR_GLIB_H
#define PARLOR_GLIB_H

#include "parlor.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <unistd.h>

/* So many events are handed over before the loop does something else. */
#define PARLOR_GLIB_EVENTS 64

#ifdef __cplusplus
#define PARLOR_GLIB_CAST(p_type, p_value) static_cast<p_type>(p_value)
#else
#define PARLOR_GLIB_CAST(p_type, p_value) ((p_type)(p_value))
#endif

typedef struct parlor_glib_source {
    GSource p_source;
    parlor_client *p_client;
    parlor_event_fn p_see;
    int p_descriptor;
} parlor_glib_source;

/* The loop's own, as it looks at it until it has heard that the client was freed. */
static inline int parlor_glib_descriptor(parlor_client *p_client)
{
    const int descriptor = PARLOR_GLIB_CAST(int, parlor_wait_handle(p_client));
    int own;
    if (descriptor < 0)
        return -1;
#ifdef F_DUPFD_CLOEXEC
    own = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
#else
    own = dup(descriptor);
    if (own >= 0)
        fcntl(own, F_SETFD, FD_CLOEXEC);
#endif
    return own;
}

static inline parlor_glib_source *parlor_glib_own(GSource *p_source)
{
    return PARLOR_GLIB_CAST(parlor_glib_source *, PARLOR_GLIB_CAST(void *, p_source));
}

static inline void parlor_glib_finalize(GSource *p_source) { close(parlor_glib_own(p_source)->p_descriptor); }

static inline gboolean parlor_glib_dispatch(GSource *p_source, GSourceFunc p_callback, gpointer p_user)
{
    parlor_glib_source *own = parlor_glib_own(p_source);
    parlor_rc rc;
    (void)p_callback;
    rc = parlor_drain(own->p_client, PARLOR_GLIB_EVENTS, own->p_see, p_user);
    return rc == PARLOR_OK || rc == PARLOR_E_TIMEOUT ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static inline gboolean parlor_glib_nothing(gpointer p_user)
{
    (void)p_user;
    return G_SOURCE_REMOVE;
}

/* Has a function called with each event of a client by a main loop: that of this context, or of the default one (NULL),
 * on its thread. The loop lets go of it behind PARLOR_EVENT_ENDED, and once the client was freed; p_notify (may be NULL)
 * is called with p_user then. Returns what g_source_remove takes (of the default context), or 0 if there is no descriptor,
 * as with p_on_event. */
static inline guint parlor_glib_attach(parlor_client *p_client, GMainContext *p_context, parlor_event_fn p_see, gpointer p_user,
                                       GDestroyNotify p_notify)
{
    static GSourceFuncs functions = {NULL, NULL, parlor_glib_dispatch, parlor_glib_finalize, NULL, NULL};
    const int descriptor = parlor_glib_descriptor(p_client);
    GSource *source;
    guint id;
    if (descriptor < 0)
        return 0;
    source = g_source_new(&functions, sizeof(parlor_glib_source));
    parlor_glib_own(source)->p_client = p_client;
    parlor_glib_own(source)->p_see = p_see;
    parlor_glib_own(source)->p_descriptor = descriptor;
    g_source_set_name(source, "parlor");
    g_source_add_unix_fd(source, descriptor, G_IO_IN);
    g_source_set_callback(source, parlor_glib_nothing, p_user, p_notify);
    id = g_source_attach(source, p_context);
    g_source_unref(source);
    return id;
}

#endif
