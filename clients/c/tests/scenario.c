/* A client that plays a scenario (clients/scenarios): `scenario URL ATTEMPTS JITTER ASKS_TOKEN`. It does what lines of
 * standard input say, and prints what it is told, a line each; their fields stand between bytes of the value 31. */
#include "parlor.h"
#include "parlor_poll.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIELDS 8

static parlor_client *g_client;
static uint64_t g_token;
/* The numbers of messages by the places of their ids, in the order in which they were sent. */
static char g_ids[16][32];
static uint64_t g_numbers[16];
static int g_sent;

static uint64_t number_of(const char *p_id)
{
    int at;
    for (at = g_sent; at-- > 0;)
        if (strcmp(g_ids[at], p_id) == 0)
            return g_numbers[at];
    return 0;
}

static void put(parlor_str p_text) { printf("\037%.*s", (int)p_text.p_size, p_text.p_size ? p_text.p_data : ""); }

static void see(void *p_user, const parlor_event *p_event)
{
    (void)p_user;
    if (p_event->p_kind == PARLOR_EVENT_TOKEN)
        g_token = p_event->p_request;
    printf("%" PRId32 "\037%" PRId32 "\037%" PRId32 "\037%" PRIu64 "\037%" PRIu64 "\037%" PRIu64 "\037%" PRIu64, p_event->p_kind, p_event->p_state,
           p_event->p_code, p_event->p_request, p_event->p_seq, p_event->p_target, p_event->p_count);
    put(p_event->p_room);
    put(p_event->p_stream);
    put(p_event->p_user);
    put(p_event->p_type);
    put(p_event->p_id);
    put(p_event->p_text);
    put(p_event->p_data);
    put(p_event->p_error);
    put(p_event->p_message);
    putchar('\n');
    fflush(stdout);
}

static parlor_rc act(char *p_fields[FIELDS])
{
    const char *const what = p_fields[0];
    const parlor_str first = parlor_text(p_fields[1]), second = parlor_text(p_fields[2]), third = parlor_text(p_fields[3]);
    uint64_t number = 0;
    parlor_rc rc;
    if (strcmp(what, "send") == 0) {
        parlor_message message;
        memset(&message, 0, sizeof message);
        message.p_size = sizeof message;
        message.p_room = first;
        message.p_text = second;
        message.p_id = third;
        message.p_data = parlor_text(p_fields[4]);
        message.p_reply_to = strtoull(p_fields[5], NULL, 10);
        rc = parlor_send(g_client, &message, &number);
        snprintf(g_ids[g_sent], sizeof g_ids[0], "%s", p_fields[3]);
        g_numbers[g_sent++] = number;
        return rc;
    }
    if (strcmp(what, "cancel") == 0) {
        /* One that may be on the disk is not taken back; what is no more cannot be. */
        rc = parlor_cancel(g_client, number_of(p_fields[1]));
        return rc == PARLOR_E_REQUEST ? PARLOR_OK : rc;
    }
    if (strcmp(what, "retry") == 0)
        return parlor_retry(g_client, number_of(p_fields[1]));
    if (strcmp(what, "token") == 0)
        return parlor_token(g_client, g_token, first, second, 1);
    if (strcmp(what, "join") == 0)
        return parlor_join(g_client, first, NULL);
    if (strcmp(what, "request") == 0) {
        rc = parlor_request(g_client, first, second, 0, &number);
        printf("request\037%s\037%" PRIu64 "\n", p_fields[3], number);
        fflush(stdout);
        return rc;
    }
    if (strcmp(what, "watch") == 0)
        return parlor_watch(g_client, first, second, (uint32_t)strtoul(p_fields[3], NULL, 10));
    if (strcmp(what, "watch_presence") == 0)
        return parlor_watch_presence(g_client);
    if (strcmp(what, "mark_read") == 0)
        return parlor_mark_read(g_client, first, strtoull(p_fields[2], NULL, 10));
    if (strcmp(what, "retry_now") == 0)
        return parlor_retry_now(g_client);
    return PARLOR_E_ARGUMENT;
}

int main(int p_count, char **p_arguments)
{
    static char line[65536];
    parlor_config config;
    struct pollfd waits[2];
    if (p_count != 5)
        return 2;
    parlor_config_init(&config, sizeof config);
    config.p_url = parlor_text(p_arguments[1]);
    config.p_attempts = atoi(p_arguments[2]);
    config.p_jitter = atoi(p_arguments[3]);
    config.p_asks_token = atoi(p_arguments[4]);
    config.p_ping_interval = 0;
    if (parlor_open(&config, &g_client) != PARLOR_OK)
        return 1;
    waits[0] = parlor_pollfd(g_client);
    waits[1].fd = STDIN_FILENO;
    waits[1].events = POLLIN;
    /* Unbuffered: a line that was read already is nothing that poll(2) hears of. */
    setvbuf(stdin, NULL, _IONBF, 0);
    while (poll(waits, 2, -1) >= 0) {
        if (waits[0].revents)
            parlor_drain(g_client, 64, see, NULL);
        if (waits[1].revents) {
            char *fields[FIELDS], *next = line;
            int at;
            parlor_rc rc;
            if (!fgets(line, sizeof line, stdin))
                break;
            line[strcspn(line, "\n")] = 0;
            for (at = 0; at < FIELDS; ++at) {
                fields[at] = next;
                next += strcspn(next, "\037");
                if (*next)
                    *next++ = 0;
            }
            rc = act(fields);
            if (rc != PARLOR_OK)
                printf("refused\037%s\037%s\n", fields[0], parlor_last_error());
            fflush(stdout);
        }
    }
    parlor_free(g_client);
    return 0;
}
