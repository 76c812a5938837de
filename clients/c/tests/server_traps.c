/* What must not happen to a program with a server in it: `server_traps NAME` tries one of these, and prints `ok`. */
#include "parlor_server.h"
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAST_ERROR parlor_server_last_error
#include "trap.h"

static int g_dropped, g_done, g_logged, g_within;
static parlor_server *g_own;
static parlor_str (*const text)(const char *) = parlor_server_text;

static void on_drop(void *p_user)
{
    (void)p_user;
    count(&g_dropped);
}

static void on_done(void *p_user, const parlor_call *p_call)
{
    (void)p_user;
    (void)p_call;
    count(&g_done);
}

static void see(void *p_user, const parlor_call *p_call)
{
    (void)p_user;
    (void)p_call;
}

static parlor_server_config configured(void)
{
    parlor_server_config config;
    parlor_server_config_init(&config, sizeof config);
    config.p_listen = text("127.0.0.1:0");
    config.p_data = text(":memory:");
    config.p_drop = on_drop;
    return config;
}

static parlor_server *started(void)
{
    const parlor_server_config config = configured();
    parlor_server *server = NULL;
    CHECK(parlor_server_start(&config, &server) == PARLOR_OK);
    return server;
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

/* A connection that says this. */
static int connected(parlor_server *p_server, const char *p_says)
{
    struct sockaddr_in address;
    int to = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)parlor_server_port(p_server));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(to, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(write(to, p_says, strlen(p_says)) == (ssize_t)strlen(p_says));
    return to;
}

/* --- */

static void arguments(void)
{
    const parlor_str bad = {2, "\xff\xfe"}, none = {0, NULL}, lies = {5, NULL};
    parlor_server_config config = configured();
    parlor_server *server = (parlor_server *)1;
    char bytes[sizeof(parlor_server_config) + 64];
    uint64_t numbers[2] = {1, 2};
    CHECK(parlor_server_start(NULL, &server) == PARLOR_E_ARGUMENT);
    CHECK(parlor_server_start(&config, NULL) == PARLOR_E_ARGUMENT && g_dropped == 1);
    config.p_listen = bad;
    CHECK(parlor_server_start(&config, &server) == PARLOR_E_ARGUMENT && strstr(parlor_server_last_error(), "p_listen") && g_dropped == 2);
    config = configured();
    config.p_size = (size_t)1 << 40;
    CHECK(parlor_server_start(&config, &server) == PARLOR_E_ARGUMENT && g_dropped == 2);
    /* An older program's: it ends before p_log_level. A newer one's: what it adds is not used, or it is. */
    parlor_server_config_init((parlor_server_config *)(void *)bytes, offsetof(parlor_server_config, p_log_level));
    config = configured();
    memcpy(bytes + sizeof(size_t), (char *)&config + sizeof(size_t), offsetof(parlor_server_config, p_log_level) - sizeof(size_t));
    CHECK(parlor_server_start((parlor_server_config *)(void *)bytes, &server) == PARLOR_OK);
    parlor_server_free(server);
    parlor_server_config_init((parlor_server_config *)(void *)bytes, sizeof bytes);
    memcpy(bytes + sizeof(size_t), (char *)&config + sizeof(size_t), sizeof config - sizeof(size_t));
    CHECK(parlor_server_start((parlor_server_config *)(void *)bytes, &server) == PARLOR_OK);
    bytes[sizeof bytes - 1] = 1;
    CHECK(parlor_server_start((parlor_server_config *)(void *)bytes, &g_own) == PARLOR_E_ARGUMENT);
    g_dropped = 0;
    CHECK(parlor_server_handle(server, none, PARLOR_ACCESS_USERS, see, NULL, on_drop) == PARLOR_E_ARGUMENT && g_dropped == 1);
    CHECK(parlor_server_handle(server, text("app:a"), 9, see, NULL, on_drop) == PARLOR_E_ARGUMENT && g_dropped == 2);
    CHECK(parlor_server_handle(server, text("app:a"), PARLOR_ACCESS_USERS, NULL, NULL, on_drop) == PARLOR_E_ARGUMENT && g_dropped == 3);
    CHECK(parlor_server_path(server, text("BREW"), text("/a"), 0, see, NULL, on_drop) == PARLOR_E_ARGUMENT && g_dropped == 4);
    CHECK(parlor_server_poll(server, text("a"), 0, 0, NULL, NULL, on_drop) == PARLOR_E_ARGUMENT && g_dropped == 5);
    CHECK(parlor_server_broadcast(server, text("app:a"), lies, NULL) == PARLOR_E_ARGUMENT);
    CHECK(parlor_server_broadcast(server, text("app:a"), text("[]"), NULL) == PARLOR_E_ARGUMENT);
    CHECK(parlor_server_send(server, NULL, 3, text("app:a"), text("{}"), NULL) == PARLOR_E_ARGUMENT);
    CHECK(parlor_server_send(server, NULL, 0, text("app:a"), text("{}"), NULL) == PARLOR_OK);
    CHECK(parlor_server_sockets_text(server, NULL, 2, none) == PARLOR_E_ARGUMENT);
    CHECK(parlor_server_sockets_text(server, numbers, 2, none) == PARLOR_OK);
    CHECK(parlor_server_socket_text(server, 1, none) == PARLOR_E_REQUEST);
    CHECK(parlor_server_reply(server, 7, text("{}")) == PARLOR_E_REQUEST);
    CHECK(parlor_server_close(server, 1, 70000, none, NULL, NULL) == PARLOR_E_ARGUMENT);
    CHECK(parlor_server_publish(server, bad, none, none, none, on_done, NULL) == PARLOR_E_ARGUMENT && g_done == 0);
    CHECK(parlor_server_port((parlor_server *)12345) == PARLOR_E_FREED);
    parlor_server_free(server);
    parlor_server_free(server);
    parlor_server_free(NULL);
    parlor_server_put(NULL, none);
    CHECK(parlor_server_head(NULL, 0, none).p_size == 0);
    CHECK(strcmp(parlor_server_rc_text(PARLOR_E_CONFIG), "") != 0 && strcmp(parlor_server_rc_text(-99), parlor_server_rc_text(99)) == 0);
}

static void handler(int p_number)
{
    (void)p_number;
    CHECK(!"a handler of the program's ran on the library's thread");
}

/* The program's signals are its own, and who goes away kills nobody with SIGPIPE. */
static void signals(void)
{
    sigset_t before, after, all, one;
    parlor_server *server;
    int number, caught, round;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    signal(SIGTERM, handler);
    server = started();
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (number = 1; number < 32; number++)
        CHECK(sigismember(&after, number) == sigismember(&before, number));
    for (round = 0; round < 20; round++) {
        struct linger at_once = {1, 0};
        int to = connected(server, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        setsockopt(to, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(to);
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    kill(getpid(), SIGTERM);
    usleep(100000);
    sigemptyset(&one);
    sigaddset(&one, SIGTERM);
    CHECK(sigwait(&one, &caught) == 0 && caught == SIGTERM);
    CHECK(parlor_server_broadcast(server, text("app:a"), text("{}"), NULL) == PARLOR_OK);
    parlor_server_free(server);
}

static void forks(void)
{
    int status;
    parlor_server *server = started(), *another = NULL;
    if (fork() == 0) {
        const parlor_server_config config = configured();
        int is_refused = parlor_server_stop(server) == PARLOR_E_FORK && parlor_server_port(server) == PARLOR_E_FORK &&
                         parlor_server_start(&config, &another) == PARLOR_E_FORK;
        parlor_server_free(server);
        _exit(is_refused ? 7 : 8);
    }
    CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(parlor_server_port(server) > 0);
    g_dropped = 0;
    parlor_server_free(server);
    CHECK(g_dropped == 1);
    if (fork() == 0) {
        parlor_server_free(started());
        _exit(7);
    }
    CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void exits(void)
{
    close(connected(started(), "GET / HTTP/1.1\r\n"));
    puts("ok");
    exit(0);
}

static void log_and_join(void *p_user, int32_t p_level, parlor_str p_line)
{
    (void)p_user;
    (void)p_level;
    (void)p_line;
    count(&g_logged);
    if (g_own && parlor_server_join(g_own) == PARLOR_E_MODE)
        count(&g_within);
}

/* Who logs on the server's thread is refused, and does not wait for itself. */
static void log_within(void)
{
    parlor_server_config config = configured();
    config.p_on_log = log_and_join;
    config.p_log_level = PARLOR_LOG_INFO;
    CHECK(parlor_server_start(&config, &g_own) == PARLOR_OK);
    /* It says so, on its own thread. */
    CHECK(parlor_server_stop(g_own) == PARLOR_OK);
    wait_for(&g_within, 1);
    parlor_server_free(g_own);
    CHECK(g_dropped == 1 && g_logged > 0);
}

static void *call_always(void *p_server)
{
    const parlor_str tea = text("tea"), ada = text("ada"), json = text("{}");
    parlor_rc rc;
    do {
        rc = parlor_server_publish(p_server, tea, ada, tea, text(NULL), on_done, NULL);
        if (rc == PARLOR_OK || rc == PARLOR_E_FULL)
            rc = parlor_server_broadcast(p_server, text("app:a"), json, NULL);
    } while (rc == PARLOR_OK || rc == PARLOR_E_FULL);
    return (void *)(intptr_t)rc;
}

/* Eight threads call while one frees: no call touches what is not there. */
static void callers(void)
{
    pthread_t calling[8];
    void *said;
    int at;
    parlor_server *server = started();
    CHECK(parlor_server_create(server, text("tea"), text("ada"), text(NULL), 1, NULL, 0, on_done, NULL) == PARLOR_OK);
    wait_for(&g_done, 1);
    for (at = 0; at < 8; at++)
        pthread_create(&calling[at], NULL, call_always, server);
    usleep(200000);
    parlor_server_free(server);
    for (at = 0; at < 8; at++) {
        pthread_join(calling[at], &said);
        CHECK((intptr_t)said == PARLOR_E_FREED || (intptr_t)said == PARLOR_E_CLOSED);
    }
    CHECK(g_dropped == 1 && g_done > 8);
}

/* Nothing is there before, and nothing behind; and errno is the program's. */
static void leaves_nothing(void)
{
    int before = threads(), files, again, round;
    /* What the process has once, as a source of random numbers, is there from the first on. */
    parlor_server_free(started());
    files = dup(0);
    close(files);
    for (round = 0; round < 20; round++) {
        parlor_server *server = started();
        errno = 77;
        CHECK(parlor_server_stop(server) == PARLOR_OK && parlor_server_stop(server) == PARLOR_OK);
        if (round % 2)
            CHECK(parlor_server_join(server) == PARLOR_OK);
        parlor_server_free(server);
        CHECK(errno == 77);
    }
    again = dup(0);
    CHECK(again == files && threads() == before && g_dropped == 21);
}

static void count_lines(void *p_place, int32_t p_level, parlor_str p_line)
{
    (void)p_level;
    (void)p_line;
    count((int *)p_place);
}

/* Of several servers the last that runs has the lines: also if one could not be started, or has ended. */
static void logs(void)
{
    static int lines[3];
    parlor_server *servers[3] = {NULL, NULL, NULL};
    parlor_server_config config;
    char listen[32];
    int at, before;
    for (at = 0; at < 3; ++at) {
        config = configured();
        config.p_on_log = count_lines;
        config.p_log_level = PARLOR_LOG_INFO;
        config.p_user = &lines[at];
        if (at == 1) {
            snprintf(listen, sizeof listen, "127.0.0.1:%d", (int)parlor_server_port(servers[0]));
            config.p_listen = text(listen);
        }
        CHECK(parlor_server_start(&config, &servers[at]) == (at == 1 ? PARLOR_E_SYSTEM : PARLOR_OK));
        /* That it has started it says on a thread of its own. */
        if (at != 1)
            wait_for(&lines[at], 1);
    }
    before = lines[2];
    parlor_server_free(servers[2]);
    CHECK(lines[2] > before);
    before = lines[0];
    parlor_server_free(servers[0]);
    CHECK(lines[0] > before && g_dropped == 3);
}

static void free_own(void *p_user)
{
    (void)p_user;
    parlor_server_free(g_own);
    count(&g_within);
}

/* An object of the program's that owns the server, and that the server owns. */
static void freed_in_drop(void)
{
    int round;
    for (round = 0; round < 2; ++round) {
        g_own = started();
        CHECK(parlor_server_handle(g_own, text("app:a"), PARLOR_ACCESS_USERS, see, NULL, free_own) == PARLOR_OK);
        if (round == 0)
            CHECK(parlor_server_handle(g_own, text("app:a"), PARLOR_ACCESS_USERS, see, NULL, NULL) == PARLOR_OK);
        else
            CHECK(parlor_server_stop(g_own) == PARLOR_OK);
        wait_for(&g_within, round + 1);
        wait_for(&g_dropped, round + 1);
        CHECK(parlor_server_stop(g_own) == PARLOR_E_FREED);
    }
}

int main(int p_count, char **p_arguments)
{
    static const trap TRAPS[] = {
        {"arguments", arguments}, {"signals", signals}, {"forks", forks}, {"exits", exits},
        {"log_within", log_within}, {"callers", callers}, {"leaves_nothing", leaves_nothing},
        {"logs", logs}, {"freed_in_drop", freed_in_drop},
    };
    CHECK(p_count == 2);
    return try_one(TRAPS, sizeof TRAPS / sizeof TRAPS[0], p_arguments[1]);
}
