/* What must not happen to a program: `traps NAME URL` tries one of these, and prints `ok`. */
#include "parlor.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAST_ERROR parlor_last_error
#include "trap.h"

#define SECOND INT64_C(1000000)
static const char *g_url;
static int g_online, g_ended, g_dropped, g_events_behind;

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec / 1000;
}

static void note(void *p_user, const parlor_event *p_event)
{
    (void)p_user;
    if (g_dropped)
        count(&g_events_behind);
    if (p_event->p_kind == PARLOR_EVENT_STATE && p_event->p_state == PARLOR_STATE_ONLINE)
        count(&g_online);
    if (p_event->p_kind == PARLOR_EVENT_ENDED)
        count(&g_ended);
}

static void on_drop(void *p_user)
{
    (void)p_user;
    count(&g_dropped);
}

static parlor_config configured(void)
{
    static char url[200];
    parlor_config config;
    parlor_config_init(&config, sizeof config);
    snprintf(url, sizeof url, "%s?user=ada", g_url);
    config.p_url = parlor_text(url);
    return config;
}

static parlor_client *opened(parlor_event_fn p_on_event)
{
    parlor_config config = configured();
    parlor_client *client = NULL;
    config.p_on_event = p_on_event;
    config.p_drop = on_drop;
    CHECK(parlor_open(&config, &client) == PARLOR_OK);
    return client;
}

static int threads(void)
{
    char line[200];
    int found = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status))
        sscanf(line, "Threads: %d", &found);
    fclose(status);
    return found;
}

/* --- */

static void arguments(void)
{
    parlor_config config;
    parlor_client *client = (parlor_client *)1;
    char bytes[sizeof(parlor_config) + 64];
    uint64_t request;
    size_t needed = 0;
    char small[4];
    parlor_str bad = {2, "\xff\xfe"};
    CHECK(parlor_open(NULL, &client) == PARLOR_E_ARGUMENT);
    config = configured();
    CHECK(parlor_open(&config, NULL) == PARLOR_E_ARGUMENT);
    config.p_url = parlor_text("nonsense");
    CHECK(parlor_open(&config, &client) == PARLOR_E_URL && strlen(parlor_last_error()) > 10);
    config = configured();
    config.p_mode = 7;
    CHECK(parlor_open(&config, &client) == PARLOR_E_ARGUMENT);
    config = configured();
    config.p_token = bad;
    CHECK(parlor_open(&config, &client) == PARLOR_E_ARGUMENT && strstr(parlor_last_error(), "p_token"));
    config = configured();
    config.p_ca_file = parlor_text("/nowhere");
    config.p_url = parlor_text("wss://localhost/");
    CHECK(parlor_open(&config, &client) == PARLOR_E_TRUST && strstr(parlor_last_error(), "/nowhere"));
    config = configured();
    config.p_outbox = parlor_text("/proc/nowhere");
    CHECK(parlor_open(&config, &client) == PARLOR_E_OUTBOX);
    config = configured();
    config.p_thread_name.p_data = "a\0b";
    config.p_thread_name.p_size = 3;
    CHECK(parlor_open(&config, &client) == PARLOR_E_ARGUMENT && strstr(parlor_last_error(), "p_thread_name"));
    config = configured();
    config.p_size = (size_t)1 << 40;
    CHECK(parlor_open(&config, &client) == PARLOR_E_ARGUMENT);
    config = configured();
    config.p_fields = parlor_text("no colon");
    CHECK(parlor_open(&config, &client) == PARLOR_E_ARGUMENT && strstr(parlor_last_error(), "p_fields"));
    config = configured();
    config.p_ping_timeout = -5;
    CHECK(parlor_open(&config, &client) == PARLOR_E_ARGUMENT && strstr(parlor_last_error(), "p_ping_timeout"));
    /* An older program's: it ends behind the URL. */
    parlor_config_init((parlor_config *)(void *)bytes, offsetof(parlor_config, p_token));
    config = configured();
    memcpy(bytes + offsetof(parlor_config, p_url), &config.p_url, sizeof config.p_url);
    CHECK(parlor_open((parlor_config *)(void *)bytes, &client) == PARLOR_OK);
    CHECK(parlor_wait_online(client, 20 * SECOND) == PARLOR_OK);
    CHECK(parlor_next(client, 0, NULL) == PARLOR_E_ARGUMENT);
    CHECK(parlor_send_text(client, parlor_text("no room"), parlor_text("x"), &request) == PARLOR_E_ARGUMENT);
    CHECK(parlor_send_text(client, parlor_text("tea"), bad, &request) == PARLOR_E_ARGUMENT);
    CHECK(parlor_request(client, parlor_text("info"), parlor_text("[]"), 0, &request) == PARLOR_E_ARGUMENT);
    CHECK(parlor_cancel(client, 999) == PARLOR_E_REQUEST);
    CHECK(parlor_hint(client, 9) == PARLOR_E_ARGUMENT);
    CHECK(parlor_socket_text(client, parlor_text("x")) == PARLOR_E_MODE);
    CHECK(parlor_about(client, PARLOR_ABOUT_WHY, parlor_text(NULL), small, sizeof small, &needed) == PARLOR_E_FULL);
    CHECK(needed > sizeof small);
    parlor_free(client);
    /* A newer program's: what it adds is not used. */
    parlor_config_init((parlor_config *)(void *)bytes, sizeof bytes);
    memcpy(bytes + offsetof(parlor_config, p_url), &config.p_url, sizeof config.p_url);
    CHECK(parlor_open((parlor_config *)(void *)bytes, &client) == PARLOR_OK);
    parlor_free(client);
    /* It is. */
    bytes[sizeof bytes - 1] = 1;
    CHECK(parlor_open((parlor_config *)(void *)bytes, &client) == PARLOR_E_ARGUMENT);
    CHECK(parlor_state((parlor_client *)12345) == PARLOR_E_FREED);
    parlor_free(NULL);
    parlor_free(client);
    parlor_event_free(NULL);
    CHECK(strcmp(parlor_rc_text(PARLOR_E_FULL), "") != 0 && strcmp(parlor_rc_text(-99), parlor_rc_text(99)) == 0);
}

static void handler(int p_number)
{
    (void)p_number;
    CHECK(!"a handler of the program's ran on the library's thread");
}

/* The program's signals are its own: all are blocked on the library's threads, and SIGPIPE kills nobody. */
static void signals(void)
{
    sigset_t before, after, only;
    parlor_client *client;
    int number, caught;
    sigemptyset(&only);
    sigaddset(&only, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &only, &before);
    signal(SIGUSR1, handler);
    client = opened(note);
    CHECK(parlor_wait_online(client, 20 * SECOND) == PARLOR_OK);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (number = 1; number < 32; number++)
        CHECK(sigismember(&after, number) == sigismember(&only, number));
    /* This thread blocks them now: the process has no other that could take it but the library's. */
    sigfillset(&only);
    pthread_sigmask(SIG_SETMASK, &only, NULL);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGPIPE);
    usleep(100000);
    sigemptyset(&only);
    sigaddset(&only, SIGUSR1);
    CHECK(sigwait(&only, &caught) == 0 && caught == SIGUSR1);
    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    CHECK(sigwait(&only, &caught) == 0 && caught == SIGPIPE);
    parlor_free(client);
}

static void forks(void)
{
    int status;
    parlor_client *client = opened(note);
    parlor_client *another = NULL;
    CHECK(parlor_wait_online(client, 20 * SECOND) == PARLOR_OK);
    if (fork() == 0) {
        parlor_config config = configured();
        int is_refused = parlor_stop(client, 0) == PARLOR_E_FORK && parlor_state(client) == PARLOR_E_FORK &&
                         parlor_open(&config, &another) == PARLOR_E_FORK;
        parlor_free(client);
        _exit(is_refused ? 7 : 8);
    }
    CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(parlor_state(client) == PARLOR_STATE_ONLINE);
    parlor_free(client);
    CHECK(g_dropped == 1);
    /* Nothing is left: a child may begin anew. */
    if (fork() == 0) {
        client = opened(note);
        CHECK(parlor_wait_online(client, 20 * SECOND) == PARLOR_OK);
        parlor_free(client);
        _exit(7);
    }
    CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* `exit` with a client that is open: neither hangs nor crashes. */
static void exits(void)
{
    parlor_client *client = opened(note);
    CHECK(parlor_wait_online(client, 20 * SECOND) == PARLOR_OK);
    puts("ok");
    exit(0);
}

static parlor_client *g_own;

static void free_within(void *p_user, const parlor_event *p_event)
{
    note(p_user, p_event);
    if (p_event->p_kind == PARLOR_EVENT_STATE && p_event->p_state == PARLOR_STATE_ONLINE) {
        int64_t begun = now();
        parlor_free(g_own);
        CHECK(now() - begun < SECOND / 20);
        CHECK(parlor_state(g_own) == PARLOR_E_FREED);
    }
}

/* A client that is freed by its own function: nothing is told any more, the data is dropped once, the thread ends. */
static void freed_within(void)
{
    parlor_config config = configured();
    int before = threads(), tries;
    config.p_on_event = free_within;
    config.p_drop = on_drop;
    CHECK(parlor_open(&config, &g_own) == PARLOR_OK);
    wait_for(&g_dropped, 1);
    for (tries = 0; threads() != before && tries < 1000; tries++)
        usleep(1000);
    CHECK(threads() == before && g_dropped == 1 && g_ended == 0 && g_events_behind == 0);
}

static parlor_client *g_pair[2];
static int g_freeing;

static void free_the_other(void *p_user, const parlor_event *p_event)
{
    note(p_user, p_event);
    if (p_event->p_kind == PARLOR_EVENT_ANSWER) {
        /* Both are within their functions. */
        count(&g_freeing);
        while (__atomic_load_n(&g_freeing, __ATOMIC_SEQ_CST) < 2)
            usleep(1000);
        parlor_free(p_user == &g_pair[0] ? g_pair[1] : g_pair[0]);
    }
}

/* Two clients whose functions free each other, at once: neither waits for the other. */
static void free_each_other(void)
{
    int at, before = threads(), tries;
    for (at = 0; at < 2; at++) {
        parlor_config config = configured();
        config.p_on_event = free_the_other;
        config.p_drop = on_drop;
        config.p_user = &g_pair[at];
        CHECK(parlor_open(&config, &g_pair[at]) == PARLOR_OK);
    }
    CHECK(parlor_join(g_pair[0], parlor_text("tea"), NULL) == PARLOR_OK);
    CHECK(parlor_join(g_pair[1], parlor_text("tea"), NULL) == PARLOR_OK);
    for (tries = 0; g_dropped < 2 && tries < 10000; tries++)
        usleep(1000);
    CHECK(g_dropped == 2 && g_ended == 0 && g_events_behind == 0);
    for (tries = 0; threads() != before && tries < 1000; tries++)
        usleep(1000);
    CHECK(threads() == before);
    CHECK(parlor_state(g_pair[0]) == PARLOR_E_FREED && parlor_state(g_pair[1]) == PARLOR_E_FREED);
}

/* Times that are longer than any. */
static void long_times(void)
{
    parlor_client *client = opened(NULL);
    parlor_event *event;
    CHECK(parlor_wait_online(client, INT64_MAX) == PARLOR_OK);
    CHECK(parlor_next(client, INT64_MAX, &event) == PARLOR_OK);
    parlor_event_free(event);
    CHECK(parlor_stop(client, INT64_MAX) == PARLOR_OK && parlor_stop(client, INT64_MIN) == PARLOR_OK);
    while (parlor_next(client, INT64_MAX, &event) == PARLOR_OK)
        parlor_event_free(event);
    CHECK(parlor_next(client, INT64_MIN, &event) == PARLOR_E_CLOSED);
    parlor_free(client);
}

/* A program that asks for ever and takes nothing is refused; and goes on when it has taken something. */
static void untaken(void)
{
    parlor_config config = configured();
    parlor_client *client;
    parlor_event *event;
    parlor_rc rc;
    int asked = 0, taken;
    config.p_url = parlor_text("ws://127.0.0.1:1/");
    CHECK(parlor_open(&config, &client) == PARLOR_OK);
    while ((rc = parlor_request(client, parlor_text("info"), parlor_text("{}"), 0, NULL)) == PARLOR_OK && asked < 20000)
        asked++;
    CHECK(rc == PARLOR_E_FULL && asked > 10000);
    CHECK(parlor_join(client, parlor_text("tea"), NULL) == PARLOR_E_FULL);
    CHECK(parlor_send_text(client, parlor_text("tea"), parlor_text("x"), NULL) == PARLOR_E_FULL);
    for (taken = 0; taken < 100; taken++) {
        CHECK(parlor_next(client, 0, &event) == PARLOR_OK);
        parlor_event_free(event);
    }
    CHECK(parlor_join(client, parlor_text("tea"), NULL) == PARLOR_OK);
    CHECK(parlor_send_text(client, parlor_text("tea"), parlor_text("x"), NULL) == PARLOR_OK);
    parlor_free(client);
}

static void *send_always(void *p_client)
{
    parlor_rc rc;
    do
        rc = parlor_send_text(p_client, parlor_text("tea"), parlor_text("x"), NULL);
    while (rc == PARLOR_OK || rc == PARLOR_E_FULL);
    return (void *)(intptr_t)rc;
}

/* Eight threads send while one frees: no call touches what is not there. */
static void senders(void)
{
    pthread_t sending[8];
    void *said;
    int at;
    parlor_client *client = opened(note);
    wait_for(&g_online, 1);
    for (at = 0; at < 8; at++)
        pthread_create(&sending[at], NULL, send_always, client);
    usleep(50000);
    parlor_free(client);
    for (at = 0; at < 8; at++) {
        pthread_join(sending[at], &said);
        CHECK((intptr_t)said == PARLOR_E_FREED || (intptr_t)said == PARLOR_E_CLOSED);
    }
    CHECK(g_ended == 1 && g_dropped == 1 && g_events_behind == 0);
}

/* Freeing takes less than 50 ms, and less than 1 ms behind the last event. */
static void ends(void)
{
    int round;
    for (round = 0; round < 5; round++) {
        int64_t begun;
        parlor_client *client;
        g_online = g_ended = g_dropped = 0;
        client = opened(note);
        wait_for(&g_online, 1);
        begun = now();
        CHECK(parlor_stop(client, 5 * SECOND) == PARLOR_OK && parlor_stop(client, 0) == PARLOR_OK);
        CHECK(now() - begun < SECOND / 100);
        wait_for(&g_ended, 1);
        CHECK(now() - begun < SECOND / 20);
        usleep(5000);
        begun = now();
        parlor_free(client);
        CHECK(now() - begun < SECOND / 1000 || round < 4);
        CHECK(g_ended == 1 && g_dropped == 1);
        if (now() - begun < SECOND / 1000)
            return;
    }
}

/* Nothing is there before, and nothing behind. */
static void leaves_nothing(void)
{
    int before = threads(), files = dup(0), again, round;
    close(files);
    for (round = 0; round < 100; round++) {
        parlor_client *client = opened(round % 2 ? note : NULL);
        if (round % 3)
            CHECK(parlor_wait_online(client, 20 * SECOND) == PARLOR_OK);
        if (round % 2 == 0)
            CHECK(parlor_wait_handle(client) >= 0);
        parlor_free(client);
    }
    again = dup(0);
    CHECK(again == files && threads() == before && g_dropped == 100);
}

int main(int p_count, char **p_arguments)
{
    static const trap TRAPS[] = {
        {"arguments", arguments}, {"signals", signals}, {"forks", forks}, {"exits", exits},
        {"freed_within", freed_within}, {"senders", senders}, {"ends", ends}, {"leaves_nothing", leaves_nothing},
        {"free_each_other", free_each_other}, {"long_times", long_times}, {"untaken", untaken},
    };
    CHECK(p_count == 3);
    g_url = p_arguments[2];
    errno = 77;
    return try_one(TRAPS, sizeof TRAPS / sizeof TRAPS[0], p_arguments[1]);
}
