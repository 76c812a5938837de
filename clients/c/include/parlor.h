/* parlor.h: a client of parlor, and WebSockets of any server (RFC 6455), for C99 and C++98.
 *
 * Threads. Every function may be called from every thread, also at once, and from within p_on_event, unless it is said
 * to wait. A client has one thread of its own. Nothing of the library runs before parlor_open; nothing of a client runs
 * after its parlor_free has returned, but for the thread of a lookup that the system does not end: it calls nothing of the
 * program's (parlor_threads_left counts them). A thread that waits in a function here must not be cancelled (pthread_cancel).
 *
 * Results. A function that returns parlor_rc returns PARLOR_OK or one of PARLOR_E_*; parlor_last_error has the text, until
 * the thread's next call: not in the arguments of the call itself. A client that was freed is PARLOR_E_FREED, and nothing is touched.
 *
 * Text is UTF-8, with its length and without a zero at the end. What a function is given it copies. A pointer that is
 * NULL with a length of 0 is an empty text.
 *
 * Times are in microseconds; points in time since 1970-01-01 UTC. */
#ifndef PARLOR_H
#define PARLOR_H

#include <stddef.h>
#include <stdint.h>

#define PARLOR_ABI 0

#ifdef __cplusplus
extern "C" {
#endif

/* --- Results --- */

typedef int32_t parlor_rc;

#define PARLOR_OK 0
/* An argument is NULL, no UTF-8, or out of its range; or an option is set that this library does not know. */
#define PARLOR_E_ARGUMENT (-1)
/* The URL is none, or not ws:// or wss:// (http:// and https:// mean the same). */
#define PARLOR_E_URL (-2)
/* Nobody is there to trust: the file of authorities cannot be read, or the system has none. */
#define PARLOR_E_TRUST (-3)
/* The system does not give what it needs: a thread, a descriptor, or for a server a port. */
#define PARLOR_E_SYSTEM (-4)
/* The folder of the outbox cannot be used. */
#define PARLOR_E_OUTBOX (-5)
/* Too much waits to be sent. */
#define PARLOR_E_FULL (-6)
/* The WebSocket is not open now (PARLOR_MODE_SOCKET). */
#define PARLOR_E_NOT_OPEN (-7)
/* The client has ended. Until then it takes what it is given, also while it stops: that has PARLOR_EVENT_SENT, or
 * PARLOR_EVENT_ANSWER, before the last event. */
#define PARLOR_E_CLOSED (-8)
/* Nothing came in time. */
#define PARLOR_E_TIMEOUT (-9)
/* The function is not for this mode, or not for this kind of delivery; or it waits, and was called by p_on_event. */
#define PARLOR_E_MODE (-10)
/* This process is a child of the one that opened clients, by fork. Only parlor_open of a program that it executes
 * helps. */
#define PARLOR_E_FORK (-11)
/* There is no such client, or server: it was freed, or never opened. */
#define PARLOR_E_FREED (-12)
/* A fault of the library's; p_on_log has more. The client may be in disorder: free it. */
#define PARLOR_E_INTERNAL (-13)
/* There is no such request. */
#define PARLOR_E_REQUEST (-14)
/* The configuration is wrong (parlor_server.h). */
#define PARLOR_E_CONFIG (-15)
/* The server refuses it (parlor_server.h). */
#define PARLOR_E_REFUSED (-16)
/* Nobody has said who sends it; it is not theirs to do (parlor_server.h). */
#define PARLOR_E_UNAUTHORIZED (-17)
#define PARLOR_E_FORBIDDEN (-18)

/* --- Values --- */

/* A client. It is a name, not an address: it is never dereferenced. */
typedef struct parlor_client parlor_client;

/* A text, or bytes. */
typedef struct parlor_str {
    size_t p_size;
    const char *p_data;
} parlor_str;

/* What a client is for: parlor_config.p_mode. */
#define PARLOR_MODE_CHAT 0   /* a parlor: rooms, streams, presence, requests */
#define PARLOR_MODE_SOCKET 1 /* any server of WebSockets: texts and bytes */

/* What a client does about its connection. */
#define PARLOR_STATE_IDLE 0
#define PARLOR_STATE_CONNECTING 1
#define PARLOR_STATE_AUTHENTICATING 2
#define PARLOR_STATE_ONLINE 3
#define PARLOR_STATE_WAITING 4 /* it comes back at p_time */
#define PARLOR_STATE_PAUSED 5
#define PARLOR_STATE_CLOSED 6
#define PARLOR_STATE_FAILED 7 /* it does not come back by itself */

/* What is told: parlor_event.p_kind. Members that are not named are empty or 0. With p_error come p_message, p_code (the
 * close code, if that was one) and p_time (after which it may succeed). */
#define PARLOR_EVENT_STATE 1 /* p_state, p_code (a close code), p_count (the next attempt), p_time (when), p_message;
                                with PARLOR_STATE_FAILED p_code, or p_error ("attempts", "token", "url") */
#define PARLOR_EVENT_ENTRY 2 /* an entry of a room: p_room, p_seq, p_time, p_user, p_type (as "chat:message"), p_text,
                                p_id, p_target, p_count (1 if a reaction is added), p_data (the message that pushes it, as
                                JSON) */
#define PARLOR_EVENT_GAP 3   /* a part of a room that cannot be had: p_room, p_seq (the last before), p_target (the first
                                behind), p_message */
#define PARLOR_EVENT_MEMBERSHIP 4 /* what the user is in a room: p_room, p_text ("member", "left" …), p_error, p_message */
#define PARLOR_EVENT_READ 5       /* somebody has read so far: p_room, p_user, p_seq */
#define PARLOR_EVENT_DELIVERED 6  /* somebody's client has received so far: p_room, p_user, p_seq */
#define PARLOR_EVENT_TYPING 7     /* p_room, p_user, p_count (1 if they type, 0 if no more) */
#define PARLOR_EVENT_PRESENCE 8   /* who is online: p_count, p_data (JSON: names by user, or null if only counted) */
#define PARLOR_EVENT_STREAM 9     /* an event of a stream: p_stream, p_seq, p_time, p_data (JSON or bytes), p_count (1 if
                                     some before it were left out) */
#define PARLOR_EVENT_STREAM_GAP 10     /* events that are not kept any more: p_stream, p_seq (the newest before),
                                          p_message */
#define PARLOR_EVENT_STREAM_STALE 11   /* nothing is heard of it: p_stream, p_time (since when; 0 if it is again) */
#define PARLOR_EVENT_STREAM_REFUSED 12 /* p_stream, p_error, p_message */
#define PARLOR_EVENT_QUALITY 13 /* p_text ("excellent" … "lost"), p_time (the round trip) */
#define PARLOR_EVENT_ANSWER 14  /* to a request: p_request, p_data (JSON); or p_error */
#define PARLOR_EVENT_SENT 15    /* a message of this program is on the server's disk: p_request, p_id, p_seq, p_time; or
                                   it will not be: p_error. "closed": the client has ended before that was known; an
                                   outbox has it still. Not of what an earlier process has left there */
#define PARLOR_EVENT_TOKEN 16   /* parlor_token is wanted: p_request, p_text ("first", "expiring", "rejected") */
#define PARLOR_EVENT_ERROR 17   /* a refusal that answers no request: p_error, p_message */
#define PARLOR_EVENT_PUSH 18    /* any other message of the server's: p_type, p_data (JSON) */
#define PARLOR_EVENT_LEFT_OUT 19 /* p_count events were left out, as the program took none: of those that say nothing of
                                    a room's log */
#define PARLOR_EVENT_OPENED 20 /* PARLOR_MODE_SOCKET: it is open; p_text (the subprotocol) */
#define PARLOR_EVENT_TEXT 21   /* PARLOR_MODE_SOCKET: a text message; p_data */
#define PARLOR_EVENT_BYTES 22  /* PARLOR_MODE_SOCKET: a message of bytes; p_data */
#define PARLOR_EVENT_LOST 23   /* PARLOR_MODE_SOCKET: it could not be opened, or has ended; p_code, p_message */
#define PARLOR_EVENT_ENDED 24  /* the last one, once: nothing more comes */

/* What is told. The texts are as long valid as the event is. */
typedef struct parlor_event {
    size_t p_size; /* of this structure; members may be added at its end */
    int32_t p_kind;
    int32_t p_state;
    int32_t p_code;
    int32_t p_reserved;
    uint64_t p_request;
    uint64_t p_seq;
    uint64_t p_target;
    uint64_t p_count;
    int64_t p_time;
    parlor_str p_room;
    parlor_str p_stream;
    parlor_str p_user;
    parlor_str p_type;
    parlor_str p_id;
    parlor_str p_text;
    parlor_str p_data;
    parlor_str p_error;
    parlor_str p_message;
} parlor_event;

/* Called on the client's thread with each event, which is valid until it returns. It may call every function of this
 * header but those that wait, also parlor_free. It must neither throw nor jump out: what is thrown ends the program. */
typedef void (*parlor_event_fn)(void *p_user, const parlor_event *p_event);

/* Called with a line for a log, from any thread that the library runs on; it may call every function that does not
 * wait. It must not throw. */
typedef void (*parlor_log_fn)(void *p_user, int32_t p_level, parlor_str p_line);

/* Called once, as the last one with this p_user. */
typedef void (*parlor_drop_fn)(void *p_user);

#define PARLOR_LOG_OFF 0
#define PARLOR_LOG_ERROR 1
#define PARLOR_LOG_WARN 2
#define PARLOR_LOG_INFO 3
#define PARLOR_LOG_DEBUG 4
#define PARLOR_LOG_TRACE 5

/* How a client behaves. parlor_config_init fills it. */
typedef struct parlor_config {
    size_t p_size; /* of this structure, as the program was compiled with it */

    void *p_user;               /* handed to the functions below */
    parlor_event_fn p_on_event; /* NULL: the program takes events with parlor_next */
    parlor_log_fn p_on_log;     /* NULL: nothing is logged */
    parlor_drop_fn p_drop;      /* NULL: nothing is called; also called if parlor_open fails, but for a wrong p_size */

    parlor_str p_url;         /* wss://host/ws; required */
    parlor_str p_token;       /* who this is; empty: nobody says so, unless p_asks_token */
    parlor_str p_name;        /* as whom the server knows this client, if the program knows that before */
    parlor_str p_thread_name; /* of the client's thread, as debuggers show it; at most 15 bytes are shown */
    parlor_str p_ca_file;     /* a file of authorities (PEM) that replaces the system's */
    parlor_str p_proxy;       /* http://host:port or socks5://host:port; none is taken from the environment */
    parlor_str p_outbox;      /* a folder in which messages are kept until they are on the server's disk, by p_name: what
                                 an earlier process has left is sent, too (PARLOR_ABOUT_UNSENT) */
    parlor_str p_fields;      /* fields of the opening request, as "Name: value", a line each */
    parlor_str p_protocols;   /* PARLOR_MODE_SOCKET: subprotocols, with commas between them */

    int32_t p_mode;       /* PARLOR_MODE_* */
    int32_t p_log_level;  /* PARLOR_LOG_* */
    int32_t p_asks_token; /* 1: PARLOR_EVENT_TOKEN asks for a token */
    int32_t p_jitter;     /* 1: waits are a random part of what is given below; 0: exactly that */

    int64_t p_backoff_min;    /* the first wait between two attempts, at least 1 ms; 1 s */
    int64_t p_backoff_max;    /* the longest, not less than that; 30 s */
    uint32_t p_backoff_factor; /* how much longer each is than the one before; 2 */
    int32_t p_attempts;       /* how many there are at most after the first; -1: no end */
    int64_t p_stable;         /* a connection that has lasted so long has waits begin anew; 30 s */

    int64_t p_ping_interval; /* the server is asked so often whether it is there; 0: not; -1: 5 s, PARLOR_MODE_SOCKET 20 s */
    int64_t p_ping_timeout;  /* and left if it does not answer in this time; 10 s */
    int64_t p_timeout;       /* for an answer, PARLOR_MODE_SOCKET for connecting; -1: 20 s, PARLOR_MODE_SOCKET 15 s */

    uint32_t p_queue;   /* how many events wait for parlor_next at most; 4,096 */
    uint32_t p_deflate; /* 1: offers permessage-deflate (RFC 7692) */
} parlor_config;

/* --- The library --- */

/* As "0.1.0". */
const char *parlor_version(void);

/* What a result means, in English. */
const char *parlor_rc_text(parlor_rc p_rc);

/* Why the last call of this thread that did not return PARLOR_OK did not; valid until its next call. */
const char *parlor_last_error(void);

/* The text of a string that ends with a zero; empty for NULL. */
parlor_str parlor_text(const char *p_text);

/* How many threads of clients that were freed still look a name up, as the system has not ended that. With 64 no other
 * lookup is begun in this process; those that run then may come on top. */
uint32_t parlor_threads_left(void);

/* --- A client's life --- */

/* Fills a configuration with defaults; p_size is sizeof(parlor_config). A program that was compiled with an older or a
 * newer header goes on working: what this library does not know must be zero. */
void parlor_config_init(parlor_config *p_config, size_t p_size);

/* Opens a client, which begins to connect. It does not wait for the network. */
parlor_rc parlor_open(const parlor_config *p_config, parlor_client **p_client);

/* Begins to stop: when all messages are on the server's disk (PARLOR_MODE_SOCKET: when the closing handshake is done),
 * at the latest after p_drain, the client closes for good; PARLOR_EVENT_ENDED is the last event. It never waits. The
 * sooner of several calls counts. */
parlor_rc parlor_stop(parlor_client *p_client, int64_t p_drain);

/* Stops at once, waits until the client's thread has ended, and frees the client. Of all that would still be told only
 * PARLOR_EVENT_ENDED is. Messages that are neither on the server's disk nor in an outbox are lost: parlor_stop and
 * parlor_wait_ended before this give them time. Called by p_on_event, of this client or
 * another, it does not wait for one that has p_on_event, too: what this does already it goes on with, nothing more is
 * told, and p_drop is called when it has ended. One that somebody else frees, or has freed, it leaves alone, and does not
 * wait. NULL is allowed. */
void parlor_free(parlor_client *p_client);

/* The next event; waits at most so long for it. The program frees it. PARLOR_E_TIMEOUT if none came, PARLOR_E_CLOSED
 * behind PARLOR_EVENT_ENDED, PARLOR_E_MODE if there is p_on_event, or if it would wait in that of another client. */
parlor_rc parlor_next(parlor_client *p_client, int64_t p_wait, parlor_event **p_event);

/* Frees an event of parlor_next. NULL is allowed. */
void parlor_event_free(parlor_event *p_event);

/* Calls a function with each event that waits, at most p_most; it never waits itself. The function may do what p_on_event
 * may, also free the client. PARLOR_OK if more may wait, PARLOR_E_TIMEOUT if none do, PARLOR_E_CLOSED behind
 * PARLOR_EVENT_ENDED. */
parlor_rc parlor_drain(parlor_client *p_client, uint32_t p_most, parlor_event_fn p_see, void *p_user);

/* A descriptor that is readable while events wait for parlor_next, and once nothing more comes: for the program's own
 * loop. It is the client's: the program neither reads nor closes it. -1 if there is none. */
intptr_t parlor_wait_handle(parlor_client *p_client);

/* What the client does about its connection: PARLOR_STATE_*; or PARLOR_E_*. */
int32_t parlor_state(parlor_client *p_client);

/* Waits at most so long until the client is online. PARLOR_E_CLOSED if it does not try any more. */
parlor_rc parlor_wait_online(parlor_client *p_client, int64_t p_wait);

/* Waits at most so long until the client has ended, which parlor_stop begins: PARLOR_EVENT_ENDED was told, or with
 * parlor_next waits to be taken. PARLOR_E_TIMEOUT if it has not. */
parlor_rc parlor_wait_ended(parlor_client *p_client, int64_t p_wait);

/* Connects now, whatever was planned; also after it was paused, and after it has failed. */
parlor_rc parlor_retry_now(parlor_client *p_client);

/* Lets go of the connection until parlor_retry_now. Not in PARLOR_MODE_SOCKET. */
parlor_rc parlor_pause(parlor_client *p_client);

#define PARLOR_HINT_ONLINE 0
#define PARLOR_HINT_OFFLINE 1
#define PARLOR_HINT_SLEEP 2
#define PARLOR_HINT_WAKE 3

/* Says what the program knows of the network or the machine. Not in PARLOR_MODE_SOCKET. */
parlor_rc parlor_hint(parlor_client *p_client, int32_t p_hint);

/* Answers PARLOR_EVENT_TOKEN: with a token, or an empty one for a guest; or says in p_failure why there is none.
 * p_is_final is 1 if there will be none: the client fails then. */
parlor_rc parlor_token(parlor_client *p_client, uint64_t p_request, parlor_str p_token, parlor_str p_failure,
                       int32_t p_is_final);

#define PARLOR_ABOUT_WHY 0    /* the last changes of the state, each with its cause and what is done about it */
#define PARLOR_ABOUT_HELLO 1  /* what the server says of itself and of the user; null before it has */
#define PARLOR_ABOUT_ROOMS 2  /* the rooms of which something is known */
#define PARLOR_ABOUT_ROOM 3   /* what is known of the room p_name; null if nothing is */
#define PARLOR_ABOUT_UNSENT 4 /* messages that are not on the server's disk */

/* Something about the client, as JSON. Writes at most p_size bytes, and how many there are to *p_needed: if these are
 * more, PARLOR_E_FULL, and nothing is written. */
parlor_rc parlor_about(parlor_client *p_client, int32_t p_what, parlor_str p_name, char *p_buffer, size_t p_size,
                       size_t *p_needed);

/* --- PARLOR_MODE_CHAT --- */

/* A message of this program: parlor_send. */
typedef struct parlor_message {
    size_t p_size; /* of this structure */
    parlor_str p_room;
    parlor_str p_text;
    parlor_str p_data;   /* any JSON that goes with it; empty for none */
    parlor_str p_id;     /* an id of the program's own; empty: one is made. A repeat of the same message is that message:
                            it is stored once, and has the number of the first while that waits; another message with
                            the id of one that waits, or was refused, is PARLOR_E_ARGUMENT until parlor_cancel */
    uint64_t p_reply_to; /* the entry to which it replies; 0 for none */
} parlor_message;

/* Sends a message; it never waits for the network. With an outbox the message is on this machine's disk when it
 * returns. PARLOR_EVENT_SENT tells what becomes of it, with the number in *p_request (may be NULL). PARLOR_E_FULL if
 * 10,000 wait. */
parlor_rc parlor_send(parlor_client *p_client, const parlor_message *p_message, uint64_t *p_request);

/* The same for a text alone. */
parlor_rc parlor_send_text(parlor_client *p_client, parlor_str p_room, parlor_str p_text, uint64_t *p_request);

/* Takes back a message that was not sent yet. */
parlor_rc parlor_cancel(parlor_client *p_client, uint64_t p_request);

/* Sends a message again that was refused; sending it with the same p_id does that, too. */
parlor_rc parlor_retry(parlor_client *p_client, uint64_t p_request);

/* Sends a request of any type, also of the application's own, with an object of JSON. PARLOR_EVENT_ANSWER has the
 * answer, with the number in *p_request (may be NULL). p_timeout of 0 is that of the configuration. PARLOR_E_FULL, here
 * and wherever a request is made, while 10,000 answers wait for parlor_next. */
parlor_rc parlor_request(parlor_client *p_client, parlor_str p_type, parlor_str p_json, int64_t p_timeout,
                         uint64_t *p_request);

/* Says something that wants no answer, now or never. */
parlor_rc parlor_say(parlor_client *p_client, parlor_str p_type, parlor_str p_json);

/* Joins a room, leaves it. PARLOR_EVENT_ANSWER has the answer. */
parlor_rc parlor_join(parlor_client *p_client, parlor_str p_room, uint64_t *p_request);
parlor_rc parlor_leave(parlor_client *p_client, parlor_str p_room, uint64_t *p_request);

/* Wants all entries of a room behind this one: the last that the program has seen. */
parlor_rc parlor_go_on_from(parlor_client *p_client, parlor_str p_room, uint64_t p_seq);

/* The user has read up to this entry, or with 0 all that came. */
parlor_rc parlor_mark_read(parlor_client *p_client, parlor_str p_room, uint64_t p_seq);

/* The user types (1), or does no more (0). */
parlor_rc parlor_typing(parlor_client *p_client, parlor_str p_room, int32_t p_types);

/* Watches a stream, or watches it in another way: with a filter (an object of JSON; empty for none) and at most so many
 * events a second (0 for no bound). */
parlor_rc parlor_watch(parlor_client *p_client, parlor_str p_stream, parlor_str p_filter, uint32_t p_rate);
parlor_rc parlor_unwatch(parlor_client *p_client, parlor_str p_stream);

/* Wants to be told who is online. */
parlor_rc parlor_watch_presence(parlor_client *p_client);

/* --- PARLOR_MODE_SOCKET --- */

/* Sends a message; it never waits. PARLOR_E_NOT_OPEN while the WebSocket is not open, PARLOR_E_FULL while 16 MiB
 * wait. */
parlor_rc parlor_socket_text(parlor_client *p_client, parlor_str p_text);
parlor_rc parlor_socket_bytes(parlor_client *p_client, const void *p_data, size_t p_size);

/* As parlor_stop, with a close code that a Close may have, and a reason, of which 123 bytes are sent (RFC 6455 §7.4). */
parlor_rc parlor_socket_close(parlor_client *p_client, int32_t p_code, parlor_str p_reason, int64_t p_drain);

#ifdef __cplusplus
}
#endif

#endif
