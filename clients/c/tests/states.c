/* `states URL STATE HOW...`: opens a client, lets it come to its state, and prints how many µs its end takes, by
 * parlor_free and by parlor_stop. HOW: `callback` or `poll`; `socket`; `full` fills the outbox, `pause` pauses, `left` looks
 * whether the thread of a lookup is counted that the system does not end. */
#include "parlor.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)
#define OUTBOX_MAX 10000

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec / 1000;
}

static void fail(const char *p_what)
{
    fprintf(stderr, "%s: %s\n", p_what, parlor_last_error());
    exit(1);
}

static void ignore(void *p_user, const parlor_event *p_event)
{
    (void)p_user;
    (void)p_event;
}

static int has(int p_count, char **p_words, const char *p_word)
{
    int at;
    for (at = 3; at < p_count; at++)
        if (strcmp(p_words[at], p_word) == 0)
            return 1;
    return 0;
}

int main(int p_count, char **p_words)
{
    int round;
    if (p_count < 4)
        return 2;
    for (round = 0; round < 2; round++) {
        parlor_config config;
        parlor_client *client = NULL;
        int32_t wanted = atoi(p_words[2]);
        int64_t begun, deadline = now() + 20 * SECOND;
        uint64_t request = 0;
        int sent;
        parlor_config_init(&config, sizeof config);
        config.p_url = parlor_text(p_words[1]);
        config.p_on_event = has(p_count, p_words, "callback") ? ignore : NULL;
        config.p_mode = has(p_count, p_words, "socket") ? PARLOR_MODE_SOCKET : PARLOR_MODE_CHAT;
        config.p_ca_file = parlor_text(getenv("CA_FILE"));
        config.p_backoff_min = config.p_backoff_max = 60 * SECOND;
        config.p_jitter = 0;
        if (parlor_open(&config, &client) != PARLOR_OK)
            fail("open");
        if (has(p_count, p_words, "pause") && parlor_pause(client) != PARLOR_OK)
            fail("pause");
        if (has(p_count, p_words, "full")) {
            for (sent = 0; parlor_send_text(client, parlor_text("tea"), parlor_text("x"), &request) == PARLOR_OK; sent++)
                ;
            if (sent != OUTBOX_MAX)
                fail("the outbox");
        }
        while (parlor_state(client) != wanted && now() < deadline)
            usleep(1000);
        usleep(100000);
        if (parlor_state(client) != wanted)
            fail("it does not come to its state");
        begun = now();
        if (round && parlor_stop(client, 0) != PARLOR_OK)
            fail("stop");
        if (round)
            printf("%lld ", (long long)(now() - begun));
        begun = now();
        parlor_free(client);
        printf("%lld%s", (long long)(now() - begun), round ? "\n" : " ");
        if (parlor_threads_left() != (has(p_count, p_words, "left") ? (uint32_t)round + 1 : 0))
            fail("the threads that are left");
    }
    return 0;
}
