/* A server that does what its standard input says, a line each, with tabs between the words: `server [--head]
 * [--listen=ADDRESS] [--data=PLACE] [SETTING ...]`. It prints what comes of it. */
#include "parlor_server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 12

static parlor_server *g_server;
static int g_dropped;
static parlor_str (*const text)(const char *) = parlor_server_text;

static int is(parlor_str p_one, const char *p_other)
{
    return p_one.p_size == strlen(p_other) && memcmp(p_one.p_data, p_other, p_one.p_size) == 0;
}

static int size(parlor_str p_text) { return (int)p_text.p_size; }

static const char *data(parlor_str p_text) { return p_text.p_data ? p_text.p_data : ""; }

static void on_drop(void *p_user)
{
    (void)p_user;
    g_dropped++;
}

static void on_log(void *p_user, int32_t p_level, parlor_str p_line)
{
    (void)p_user;
    fprintf(stderr, "log %d %.*s\n", p_level, size(p_line), data(p_line));
}

/* Whoever has the key is who it says; `let me in` is an admin; `go away` may not. */
static parlor_rc on_head(void *p_user, const parlor_head *p_head, parlor_out *p_out)
{
    char proof[300];
    const parlor_str key = parlor_server_head(p_head, PARLOR_HEAD_FIELD, text("X-Key"));
    const parlor_str name = parlor_server_head(p_head, PARLOR_HEAD_QUERY, text("as"));
    const parlor_str path = parlor_server_head(p_head, PARLOR_HEAD_PATH, text(NULL));
    const parlor_str method = parlor_server_head(p_head, PARLOR_HEAD_METHOD, text(NULL));
    const parlor_str address = parlor_server_head(p_head, PARLOR_HEAD_ADDRESS, text(NULL));
    (void)p_user;
    printf("head %.*s %.*s %.*s\n", size(method), data(method), size(path), data(path), size(address), data(address));
    if (is(key, "go away"))
        return PARLOR_E_FORBIDDEN;
    if (is(key, "nonsense")) {
        parlor_server_put(p_out, text("{\"user\":\"ada\",\"amdin\":true}"));
        return PARLOR_OK;
    }
    if (name.p_size == 0)
        return key.p_size ? PARLOR_E_UNAUTHORIZED : PARLOR_OK;
    snprintf(proof, sizeof proof, "{\"user\":\"%.*s\",\"name\":\"The %.*s\",\"admin\":%s}", size(name), data(name), size(name), data(name),
             is(key, "let me in") ? "true" : "false");
    parlor_server_put(p_out, text(proof));
    return PARLOR_OK;
}

static void on_done(void *p_user, const parlor_call *p_call)
{
    printf("done %s %d %.*s %.*s %.*s %llu\n", (const char *)p_user, p_call->p_rc, size(p_call->p_error), data(p_call->p_error),
           size(p_call->p_data), data(p_call->p_data), size(p_call->p_room), data(p_call->p_room), (unsigned long long)p_call->p_seq);
}

/* Says what came; "now" is answered at once, all else waits for a line of standard input. */
static void on_request(void *p_user, const parlor_call *p_call)
{
    (void)p_user;
    printf("request %llu %.*s %.*s %.*s/%.*s/%d %llu\n", (unsigned long long)p_call->p_reply, size(p_call->p_type), data(p_call->p_type),
           size(p_call->p_data), data(p_call->p_data), size(p_call->p_user), data(p_call->p_user), size(p_call->p_name),
           data(p_call->p_name), p_call->p_is_admin, (unsigned long long)p_call->p_connection);
    if (is(p_call->p_type, "app:now"))
        parlor_server_reply(g_server, p_call->p_reply, text("{\"is\":\"now\"}"));
    if (is(p_call->p_type, "app:free"))
        parlor_server_free(g_server);
    if (is(p_call->p_type, "app:wait"))
        printf("join %d\n", parlor_server_join(g_server));
}

static void on_path(void *p_user, const parlor_call *p_call)
{
    (void)p_user;
    printf("path %llu %.*s %.*s %.*s %.*s %.*s %.*s %s\n", (unsigned long long)p_call->p_reply, size(p_call->p_method), data(p_call->p_method),
           size(p_call->p_path), data(p_call->p_path), size(p_call->p_query), data(p_call->p_query), size(p_call->p_params),
           data(p_call->p_params), size(p_call->p_data), data(p_call->p_data), size(p_call->p_address), data(p_call->p_address),
           strstr(data(p_call->p_fields), "x-own: yes\n") ? "own" : "-");
}

static void on_socket(void *p_user, const parlor_call *p_call)
{
    (void)p_user;
    printf("socket %d %llu %.*s %.*s %.*s %d\n", p_call->p_kind, (unsigned long long)p_call->p_connection, size(p_call->p_params),
           data(p_call->p_params), size(p_call->p_query), data(p_call->p_query), size(p_call->p_data), data(p_call->p_data), p_call->p_code);
    if (p_call->p_kind == PARLOR_CALL_BYTES)
        parlor_server_socket_bytes(g_server, p_call->p_connection, p_call->p_data.p_data, p_call->p_data.p_size);
}

static parlor_rc on_poll(void *p_user, parlor_str p_stream, parlor_out *p_out)
{
    static int asked;
    char json[100];
    (void)p_user;
    if (is(p_stream, "broken")) {
        parlor_server_put(p_out, text("the sensor is away"));
        return PARLOR_E_INTERNAL;
    }
    snprintf(json, sizeof json, "{\"asked\":%d}", ++asked);
    parlor_server_put(p_out, text(json));
    return PARLOR_OK;
}

static unsigned long long number(const char *p_word) { return strtoull(p_word, NULL, 10); }

/* Splits a word at commas. */
static size_t list(char *p_word, parlor_str *p_all, size_t p_most)
{
    size_t count = 0;
    char *one = strtok(p_word, ",");
    for (; one && count < p_most; one = strtok(NULL, ","))
        p_all[count++] = text(one);
    return count;
}

static int does(char **p_words, const char *p_name) { return strcmp(p_words[0], p_name) == 0; }

static parlor_rc act(char **w)
{
    uint64_t reached = 99, both[8];
    parlor_str many[8], title;
    size_t count;
    parlor_rc rc;
    if (does(w, "reply"))
        return parlor_server_reply(g_server, number(w[1]), text(w[2]));
    if (does(w, "refuse"))
        return parlor_server_refuse(g_server, number(w[1]), text(w[2]), text(w[3]), text(w[4]));
    if (does(w, "answer"))
        return parlor_server_answer(g_server, number(w[1]), (int32_t)number(w[2]), text(w[3]), text(w[4]), text(w[5]));
    if (does(w, "socket"))
        return parlor_server_socket_text(g_server, number(w[1]), text(w[2]));
    if (does(w, "sockets")) {
        for (count = 0; count < 8 && w[2 + count]; count++)
            both[count] = number(w[2 + count]);
        rc = parlor_server_sockets_bytes(g_server, both, count, "\x01", 1);
        return rc == PARLOR_OK ? parlor_server_sockets_text(g_server, both, count, text(w[1])) : rc;
    }
    if (does(w, "send")) {
        count = list(w[1], many, 8);
        rc = parlor_server_send(g_server, many, count, text(w[2]), text(w[3]), &reached);
        printf("reached %llu\n", (unsigned long long)reached);
        return rc;
    }
    if (does(w, "broadcast")) {
        rc = parlor_server_broadcast(g_server, text(w[1]), text(w[2]), &reached);
        printf("reached %llu\n", (unsigned long long)reached);
        return rc;
    }
    if (does(w, "sendto"))
        return parlor_server_send_to(g_server, number(w[1]), text(w[2]), text(w[3]), on_done, "sendto");
    if (does(w, "close"))
        return parlor_server_close(g_server, number(w[1]), (int32_t)number(w[2]), text(w[3]), on_done, "close");
    if (does(w, "isonline")) {
        printf("isonline %d\n", parlor_server_is_online(g_server, text(w[1])));
        return PARLOR_OK;
    }
    if (does(w, "online"))
        return parlor_server_online(g_server, on_done, "online");
    if (does(w, "publish"))
        return parlor_server_publish(g_server, text(w[1]), text(w[2]), text(w[3]), text(w[4]), on_done, "publish");
    if (does(w, "create")) {
        count = w[5] ? list(w[5], many, 8) : 0;
        return parlor_server_create(g_server, text(w[1]), text(w[2]), text(w[3]), (int32_t)number(w[4]), many, count, on_done, "create");
    }
    if (does(w, "update")) {
        title = text(w[2]);
        return parlor_server_update(g_server, text(w[1]), title.p_size ? &title : NULL, w[3] ? atoi(w[3]) : -1, text(w[4]), on_done, "update");
    }
    if (does(w, "member"))
        return parlor_server_member(g_server, (int32_t)number(w[1]), text(w[2]), text(w[3]), text(w[4]), on_done, "member");
    if (does(w, "end"))
        return parlor_server_end(g_server, text(w[1]), on_done, "end");
    if (does(w, "members"))
        return parlor_server_members(g_server, text(w[1]), text(w[2]), on_done, "members");
    if (does(w, "history"))
        return parlor_server_history(g_server, text(w[1]), number(w[2]), number(w[3]), on_done, "history");
    if (does(w, "unread"))
        return parlor_server_unread(g_server, text(w[1]), text(w[2]), on_done, "unread");
    if (does(w, "event"))
        return parlor_server_event(g_server, text(w[1]), text(w[2]), text(w[3]));
    if (does(w, "bytes"))
        return parlor_server_event_bytes(g_server, text(w[1]), w[2], strlen(w[2]));
    if (does(w, "poll"))
        return parlor_server_poll(g_server, text(w[1]), 0, INT64_C(100000), on_poll, NULL, on_drop);
    if (does(w, "handle"))
        return parlor_server_handle(g_server, text(w[1]), (int32_t)number(w[2]), on_request, NULL, on_drop);
    if (does(w, "path"))
        return parlor_server_path(g_server, text(w[1]), text(w[2]), PARLOR_ACCESS_PUBLIC, on_path, NULL, on_drop);
    if (does(w, "socketpath"))
        return parlor_server_socket_path(g_server, text(w[1]), PARLOR_ACCESS_PUBLIC, text(w[2]), 0, on_socket, NULL, on_drop);
    if (does(w, "reload"))
        return parlor_server_reload(g_server, text(w[1]), on_done, "reload");
    if (does(w, "stop"))
        return parlor_server_stop(g_server);
    if (does(w, "restart"))
        return parlor_server_restart(g_server);
    if (does(w, "join"))
        return parlor_server_join(g_server);
    printf("no such word: %s\n", w[0]);
    exit(2);
}

int main(int p_count, char **p_arguments)
{
    static char line[100000], settings[4000];
    parlor_server_config config;
    parlor_rc rc;
    int at;
    setvbuf(stdout, NULL, _IOLBF, 0);
    parlor_server_config_init(&config, sizeof config);
    config.p_listen = text("127.0.0.1:0");
    config.p_data = text(":memory:");
    config.p_on_log = on_log;
    config.p_log_level = PARLOR_LOG_INFO;
    config.p_drop = on_drop;
    for (at = 1; at < p_count; at++) {
        if (strcmp(p_arguments[at], "--head") == 0)
            config.p_on_head = on_head;
        else if (strncmp(p_arguments[at], "--listen=", 9) == 0)
            config.p_listen = text(p_arguments[at] + 9);
        else if (strncmp(p_arguments[at], "--data=", 7) == 0)
            config.p_data = text(p_arguments[at] + 7);
        else {
            strcat(settings, p_arguments[at]);
            strcat(settings, "\n");
        }
    }
    config.p_settings = text(settings);
    rc = parlor_server_start(&config, &g_server);
    if (rc != PARLOR_OK) {
        printf("start %d %s %d\n", rc, parlor_server_last_error(), g_dropped);
        return 1;
    }
    printf("port %d\n", parlor_server_port(g_server));
    while (fgets(line, sizeof line, stdin)) {
        char *words[WORDS] = {NULL}, *rest = line;
        line[strcspn(line, "\n")] = 0;
        for (at = 0; at < WORDS - 1 && rest; at++) {
            words[at] = rest;
            rest = strchr(rest, '\t');
            if (rest)
                *rest++ = 0;
        }
        rc = act(words);
        printf("rc %s %d %s\n", words[0], rc, rc == PARLOR_OK ? "" : parlor_server_last_error());
    }
    parlor_server_free(g_server);
    printf("freed %d %d\n", g_dropped, parlor_server_stop(g_server));
    return 0;
}
