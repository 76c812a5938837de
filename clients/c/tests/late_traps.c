/* What must not happen where something ends, or comes again: `late_traps NAME URL` tries one of these, and prints `ok`. */
#include "parlor.h"
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define LAST_ERROR parlor_last_error
#include "trap.h"

#define SECOND INT64_C(1000000)
#define MESSAGES 3

static const char *g_url;
static int g_dropped, g_ended, g_stored, g_closed, g_behind;
static uint64_t g_told;
static parlor_rc g_waited;
static parlor_client *g_client;

static parlor_str text(const char *p_text) { return parlor_text(p_text); }

static void note(void *p_user, const parlor_event *p_event)
{
    (void)p_user;
    if (g_ended)
        count(&g_behind);
    if (p_event->p_kind == PARLOR_EVENT_ENDED) {
        g_waited = g_client ? parlor_wait_ended(g_client, SECOND) : 0;
        count(&g_ended);
    }
    if (p_event->p_kind != PARLOR_EVENT_SENT)
        return;
    g_told = p_event->p_request;
    if (p_event->p_error.p_size == 0)
        count(&g_stored);
    else if (p_event->p_error.p_size == 6 && memcmp(p_event->p_error.p_data, "closed", 6) == 0)
        count(&g_closed);
}

static void on_drop(void *p_user)
{
    (void)p_user;
    count(&g_dropped);
}

static parlor_client *kept_in(const char *p_outbox, const char *p_url)
{
    parlor_config config;
    parlor_client *client = NULL;
    parlor_config_init(&config, sizeof config);
    config.p_url = text(p_url);
    config.p_outbox = text(p_outbox);
    config.p_on_event = note;
    config.p_drop = on_drop;
    CHECK(parlor_open(&config, &client) == PARLOR_OK);
    return client;
}

static parlor_client *opened(const char *p_url) { return kept_in("", p_url); }

static parlor_client *ada(void)
{
    static char url[200];
    parlor_client *client;
    snprintf(url, sizeof url, "%s?user=ada", g_url);
    client = opened(url);
    CHECK(parlor_wait_online(client, 20 * SECOND) == PARLOR_OK);
    return client;
}

/* --- */

/* A program's object that is destroyed at its end has a client: behind all that belongs to its thread. */
static void last_of_all(void)
{
    CHECK(parlor_state(g_client) == PARLOR_STATE_ONLINE);
    CHECK(parlor_stop(g_client, 0) == PARLOR_OK);
    parlor_free(g_client);
    CHECK(parlor_state(g_client) == PARLOR_E_FREED && g_dropped == 1 && g_ended == 1);
    /* main has printed it already. */
}

static void exits_and_frees(void)
{
    g_client = ada();
    CHECK(atexit(last_of_all) == 0);
}

static void last_of_thread(void *p_client)
{
    parlor_client *other;
    parlor_free((parlor_client *)p_client);
    other = opened("ws://127.0.0.1:1/");
    parlor_free(other);
}

static void *use_and_leave(void *p_key)
{
    CHECK(pthread_setspecific(*(pthread_key_t *)p_key, ada()) == 0);
    return NULL;
}

static void thread_ends(void)
{
    pthread_key_t key;
    pthread_t thread;
    CHECK(pthread_key_create(&key, last_of_thread) == 0);
    CHECK(pthread_create(&thread, NULL, use_and_leave, &key) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(g_dropped == 2 && g_ended == 2);
}

static parlor_message good_evening(const char *p_id)
{
    parlor_message message;
    memset(&message, 0, sizeof message);
    message.p_size = sizeof message;
    message.p_room = text("tea");
    message.p_text = text("good evening");
    message.p_id = text(p_id);
    return message;
}

/* Sent again with the same id: it is that message, and told once. */
static void repeats(void)
{
    parlor_client *client = opened("ws://127.0.0.1:1/");
    parlor_message message = good_evening("mine");
    uint64_t first = 0, again = 0, other = 77;
    CHECK(parlor_send(client, &message, &first) == PARLOR_OK && parlor_send(client, &message, &again) == PARLOR_OK);
    CHECK(first == again);
    message.p_text = text("good night");
    CHECK(parlor_send(client, &message, &other) == PARLOR_E_ARGUMENT && other == 77);
    CHECK(parlor_stop(client, 0) == PARLOR_OK);
    wait_for(&g_ended, 1);
    CHECK(g_closed == 1 && g_told == first && g_stored == 0);
    parlor_free(client);
}

/* Taken back, and sent again with the same id before that is told: it is another message, with a number of its own. */
static void taken_back(void)
{
    parlor_config config;
    parlor_client *client = NULL;
    parlor_message message = good_evening("mine");
    parlor_event *event = NULL;
    uint64_t first = 0, again = 0, told[2] = {0, 0};
    int at = 0;
    parlor_config_init(&config, sizeof config);
    config.p_url = text("ws://127.0.0.1:1/");
    CHECK(parlor_open(&config, &client) == PARLOR_OK);
    CHECK(parlor_send(client, &message, &first) == PARLOR_OK && parlor_cancel(client, first) == PARLOR_OK);
    CHECK(parlor_cancel(client, first) == PARLOR_E_REQUEST && parlor_retry(client, first) == PARLOR_E_REQUEST);
    message.p_text = text("good night");
    CHECK(parlor_send(client, &message, &again) == PARLOR_OK && again != first && again != 0);
    CHECK(parlor_stop(client, 0) == PARLOR_OK);
    while (parlor_next(client, SECOND, &event) == PARLOR_OK) {
        if (event->p_kind == PARLOR_EVENT_SENT) {
            CHECK(at < 2 && event->p_message.p_size > 0);
            CHECK(memcmp(event->p_error.p_data, at == 0 ? "cancelled" : "closed", event->p_error.p_size) == 0);
            told[at++] = event->p_request;
        }
        parlor_event_free(event);
    }
    CHECK(at == 2 && told[0] == first && told[1] == again);
    parlor_free(client);
}

static int is_unsent(parlor_client *p_client, const char *p_id)
{
    char about[1000];
    size_t length = 0;
    CHECK(parlor_about(p_client, PARLOR_ABOUT_UNSENT, text(""), about, sizeof about, &length) == PARLOR_OK);
    return strstr(about, p_id) != NULL;
}

/* A disk that is full: what is new is refused; what an earlier process has left stays, also if it is sent again. */
static void full_disk(void)
{
    char folder[] = "/tmp/parlor-outbox-XXXXXX", file[100];
    const parlor_message kept = good_evening("kept"), late = good_evening("late");
    struct rlimit limit, full;
    parlor_client *client;
    CHECK(mkdtemp(folder) != NULL && getrlimit(RLIMIT_FSIZE, &limit) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    full = limit;
    full.rlim_cur = 0;
    client = kept_in(folder, "ws://127.0.0.1:1/");
    CHECK(parlor_send(client, &kept, NULL) == PARLOR_OK);
    parlor_free(client);
    client = kept_in(folder, "ws://127.0.0.1:1/");
    CHECK(setrlimit(RLIMIT_FSIZE, &full) == 0);
    CHECK(parlor_send(client, &late, NULL) == PARLOR_E_OUTBOX && !is_unsent(client, "late"));
    /* Nobody says whose it is: it has failed, and this is another attempt. */
    CHECK(parlor_send(client, &kept, NULL) == PARLOR_OK && is_unsent(client, "kept"));
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    parlor_free(client);
    client = kept_in(folder, "ws://127.0.0.1:1/");
    CHECK(is_unsent(client, "kept") && !is_unsent(client, "late"));
    parlor_free(client);
    snprintf(file, sizeof file, "%s/outbox.ndjson", folder);
    CHECK(unlink(file) == 0 && rmdir(folder) == 0);
}

/* What becomes of each message is told, also if the client ends before. */
static void tells_of_all(void)
{
    parlor_client *client = opened("ws://127.0.0.1:1/");
    uint64_t request;
    int at;
    g_client = client;
    for (at = 0; at < MESSAGES; ++at)
        CHECK(parlor_send_text(client, text("tea"), text("good evening"), &request) == PARLOR_OK);
    CHECK(parlor_wait_ended(client, 0) == PARLOR_E_TIMEOUT);
    CHECK(parlor_stop(client, SECOND / 100) == PARLOR_OK);
    CHECK(parlor_wait_ended(client, 20 * SECOND) == PARLOR_OK);
    /* The last event was told before that. */
    CHECK(g_ended == 1 && g_closed == MESSAGES && g_behind == 0);
    CHECK(parlor_wait_ended(client, 0) == PARLOR_OK && g_waited == PARLOR_E_MODE);
    /* And nothing is begun any more. */
    CHECK(parlor_send_text(client, text("tea"), text("late"), &request) == PARLOR_E_CLOSED);
    CHECK(parlor_say(client, text("x"), text("{}")) == PARLOR_E_CLOSED);
    CHECK(parlor_join(client, text("tea"), NULL) == PARLOR_E_CLOSED);
    CHECK(parlor_mark_read(client, text("tea"), 0) == PARLOR_E_CLOSED);
    CHECK(parlor_typing(client, text("tea"), 1) == PARLOR_E_CLOSED);
    CHECK(parlor_watch(client, text("prices"), text(""), 0) == PARLOR_E_CLOSED);
    CHECK(parlor_watch_presence(client) == PARLOR_E_CLOSED);
    CHECK(parlor_pause(client) == PARLOR_E_CLOSED && parlor_retry_now(client) == PARLOR_E_CLOSED);
    CHECK(parlor_about(client, PARLOR_ABOUT_UNSENT, text(""), NULL, 0, NULL) == PARLOR_E_FULL);
    parlor_free(client);
    CHECK(g_dropped == 1);
}

#define NUMBERS 9

static void out_of_range(parlor_config *p_config, int p_which)
{
    switch (p_which) {
    case 0: p_config->p_backoff_min = 0; break;
    case 1: p_config->p_backoff_min = 999; break;
    case 2: p_config->p_backoff_max = p_config->p_backoff_min - 1; break;
    case 3: p_config->p_backoff_factor = 0; break;
    case 4: p_config->p_attempts = -2; break;
    case 5: p_config->p_ping_timeout = 0; break;
    case 6: p_config->p_timeout = 0; break;
    case 7: p_config->p_queue = 0; break;
    default: p_config->p_log_level = 6; break;
    }
}

/* A token that nobody wants, or two answers in one. */
static void tokens(void)
{
    parlor_config config;
    parlor_client *client = NULL;
    parlor_event *event = NULL;
    uint64_t wanted = 0;
    char about[1];
    size_t needed = 0;
    parlor_config_init(&config, sizeof config);
    config.p_url = text("ws://127.0.0.1:1/");
    config.p_asks_token = 1;
    CHECK(parlor_open(&config, &client) == PARLOR_OK);
    CHECK(parlor_token(client, 77, text("t"), text(""), 0) == PARLOR_E_REQUEST);
    while (wanted == 0 && parlor_next(client, 20 * SECOND, &event) == PARLOR_OK) {
        wanted = event->p_kind == PARLOR_EVENT_TOKEN ? event->p_request : 0;
        parlor_event_free(event);
    }
    CHECK(wanted != 0 && parlor_token(client, wanted, text("t"), text("none"), 0) == PARLOR_E_ARGUMENT);
    CHECK(parlor_token(client, wanted, text("t"), text(""), 0) == PARLOR_OK);
    CHECK(parlor_token(client, wanted, text("t"), text(""), 0) == PARLOR_E_REQUEST);
    CHECK(parlor_about(client, PARLOR_ABOUT_WHY, text(""), NULL, 9999, &needed) == PARLOR_E_ARGUMENT);
    CHECK(parlor_about(client, PARLOR_ABOUT_WHY, text(""), about, 1, &needed) == PARLOR_E_FULL && needed > 1);
    parlor_free(client);
}

/* What is refused at once, and lets go of what it was handed. */
static void refused(void)
{
    static const char *const FIELDS[] = {"Host: evil", "Sec-WebSocket-Key: x", "A\001: b", ": b", "A: \001"};
    static const int32_t CODES[] = {-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536};
    struct {
        parlor_config p_known;
        int64_t p_newer;
    } newer;
    parlor_config config;
    parlor_client *client = NULL;
    size_t at;
    for (at = 0; at < sizeof FIELDS / sizeof FIELDS[0]; ++at) {
        parlor_config_init(&config, sizeof config);
        config.p_url = text("ws://127.0.0.1:1/");
        config.p_mode = at % 2 ? PARLOR_MODE_SOCKET : PARLOR_MODE_CHAT;
        config.p_fields = text(FIELDS[at]);
        config.p_drop = on_drop;
        CHECK(parlor_open(&config, &client) == PARLOR_E_ARGUMENT && g_dropped == (int)at + 1 && client == NULL);
    }
    g_dropped = 0;
    parlor_config_init(&config, sizeof config);
    config.p_url = text("ws://127.0.0.1:1/");
    config.p_mode = PARLOR_MODE_SOCKET;
    config.p_protocols = text("a b");
    config.p_drop = on_drop;
    CHECK(parlor_open(&config, &client) == PARLOR_E_ARGUMENT && g_dropped == 1);
    parlor_config_init(&newer.p_known, sizeof newer);
    newer.p_known.p_url = text("ws://127.0.0.1:1/");
    newer.p_known.p_drop = on_drop;
    newer.p_newer = 1;
    CHECK(parlor_open(&newer.p_known, &client) == PARLOR_E_ARGUMENT && g_dropped == 2);
    for (at = 0; at < NUMBERS; ++at) {
        parlor_config_init(&config, sizeof config);
        config.p_url = text("ws://127.0.0.1:1/");
        out_of_range(&config, (int)at);
        CHECK(parlor_open(&config, &client) == PARLOR_E_ARGUMENT && client == NULL);
    }
    config.p_log_level = PARLOR_LOG_OFF;
    config.p_mode = PARLOR_MODE_SOCKET;
    config.p_protocols = text("");
    CHECK(parlor_open(&config, &client) == PARLOR_OK);
    for (at = 0; at < sizeof CODES / sizeof CODES[0]; ++at)
        CHECK(parlor_socket_close(client, CODES[at], text("why"), 0) == PARLOR_E_ARGUMENT);
    CHECK(parlor_socket_close(client, 4999, text("why"), 0) == PARLOR_OK);
    parlor_free(client);
}

int main(int p_count, char **p_arguments)
{
    static const trap TRAPS[] = {
        {"exits_and_frees", exits_and_frees}, {"thread_ends", thread_ends}, {"repeats", repeats},
        {"tells_of_all", tells_of_all}, {"refused", refused}, {"full_disk", full_disk},
        {"taken_back", taken_back}, {"tokens", tokens},
    };
    CHECK(p_count == 3);
    g_url = p_arguments[2];
    return try_one(TRAPS, sizeof TRAPS / sizeof TRAPS[0], p_arguments[1]);
}
