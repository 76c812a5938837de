/* parlor_server.h: a parlor within a program, for C99 and C++98. It is a library of its own, libparlor-server, which may
 * be linked beside libparlor.
 *
 * Threads. Every function may be called from every thread, also at once, and from within the program's functions, unless
 * it is said to wait. One thread of the server's own serves (the key threads may say nothing else); the program's
 * functions are called on it, one at a time, and everybody waits for them: slow work belongs on a thread of the
 * program's, which answers later.
 *
 * Results, texts and times are as in parlor.h; parlor_server_last_error has the text. A server that was freed is
 * PARLOR_E_FREED, and nothing is touched. */
#ifndef PARLOR_SERVER_H
#define PARLOR_SERVER_H

#include "parlor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A server. It is a name, not an address: it is never dereferenced. */
typedef struct parlor_server parlor_server;

/* What the program is told: parlor_call.p_kind. Members that are not named are empty or 0. */
#define PARLOR_CALL_REQUEST 1 /* a request of a type of the program's: p_type, p_data (an object of JSON), p_reply, and who
                                 sends it */
#define PARLOR_CALL_PATH 2    /* an HTTP request: p_method, p_path, p_query, p_params (an object of JSON), p_fields ("name:
                                 value", a line each), p_data (the content), p_address, p_reply, and who sends it */
#define PARLOR_CALL_OPENED 3  /* a WebSocket on a path of the program's: p_connection, p_params, p_query, and whose it is */
#define PARLOR_CALL_TEXT 4    /* it has sent a text: p_connection, p_data */
#define PARLOR_CALL_BYTES 5   /* it has sent bytes: p_connection, p_data */
#define PARLOR_CALL_CLOSED 6  /* it is closed: p_connection, p_code (a close code, or 0) */
#define PARLOR_CALL_LIMITED 7 /* a message of its was over its rate, and is lost: p_connection, p_time (the next may come
                                 after it) */
#define PARLOR_CALL_DRAINING 8 /* the server restarts: p_connection, p_time (within which it should come back, at random) */
#define PARLOR_CALL_DONE 9     /* what a function was called for is done: p_data (JSON), p_room, p_seq; or p_rc, p_error (as
                                  "not_member"), p_message */

/* Who sends it: p_user (empty for nobody), p_name, p_is_admin; p_connection (0 over HTTP). */
typedef struct parlor_call {
    size_t p_size; /* of this structure; members may be added at its end */
    int32_t p_kind;
    int32_t p_rc;
    int32_t p_code;
    int32_t p_is_admin;
    uint64_t p_reply;
    uint64_t p_connection;
    uint64_t p_seq;
    int64_t p_time;
    parlor_str p_type;
    parlor_str p_data;
    parlor_str p_user;
    parlor_str p_name;
    parlor_str p_room;
    parlor_str p_method;
    parlor_str p_path;
    parlor_str p_query;
    parlor_str p_params;
    parlor_str p_fields;
    parlor_str p_address;
    parlor_str p_error;
    parlor_str p_message;
} parlor_call;

/* Called on the server's thread; the call is valid until it returns. It may call every function that does not wait, and
 * must neither throw nor jump out: what is thrown ends the program. */
typedef void (*parlor_call_fn)(void *p_user, const parlor_call *p_call);

/* Where a function of the program's puts what it is asked for. */
typedef struct parlor_out parlor_out;

/* The head of a request, for parlor_head_fn. */
typedef struct parlor_head parlor_head;

/* Says who sends a request: puts an object of JSON with user, and perhaps name, admin, publish and subscribe (patterns of
 * streams), expires_in (microseconds), and returns PARLOR_OK. PARLOR_OK with nothing put leaves it to tokens, or to guests;
 * PARLOR_E_UNAUTHORIZED and PARLOR_E_FORBIDDEN refuse it. Called on the server's thread, and must not block. */
typedef parlor_rc (*parlor_head_fn)(void *p_user, const parlor_head *p_head, parlor_out *p_out);

/* Gives the newest data of a stream: puts JSON, or bytes. With another result than PARLOR_OK what is put says why there
 * are none. Called on a thread for it. */
typedef parlor_rc (*parlor_poll_fn)(void *p_user, parlor_str p_stream, parlor_out *p_out);

/* Puts what is asked for; the last counts. */
void parlor_server_put(parlor_out *p_out, parlor_str p_data);

#define PARLOR_HEAD_METHOD 0
#define PARLOR_HEAD_PATH 1    /* without its query, as it came */
#define PARLOR_HEAD_FIELD 2   /* the first of a name, in any case */
#define PARLOR_HEAD_QUERY 3   /* the first parameter of a name, decoded */
#define PARLOR_HEAD_ADDRESS 4 /* the peer's; with a proxy, the proxy's */

/* Something of a head; valid as long as it is. */
parlor_str parlor_server_head(const parlor_head *p_head, int32_t p_what, parlor_str p_name);

/* How a server behaves. parlor_server_config_init fills it. */
typedef struct parlor_server_config {
    size_t p_size; /* of this structure, as the program was compiled with it */

    void *p_user;                   /* handed to the functions below */
    parlor_head_fn p_on_head;       /* NULL: tokens say who sends a request */
    parlor_log_fn p_on_log;         /* NULL: nothing is logged; of several servers, the last that runs has all lines.
                                       Called on any thread of the server's; it must not throw, and calls no function of
                                       this header. */
    parlor_drop_fn p_drop;          /* NULL: nothing is called; also called if parlor_server_start fails, but for a wrong
                                       p_size */

    parlor_str p_file;     /* a file of configuration (TOML); empty for none. No environment variable is read. */
    parlor_str p_settings; /* keys of docs/configuration.md, as "limits.burst=100", a line each; they come after the file */
    parlor_str p_listen;   /* as "127.0.0.1:8080"; port 0 is one that is free */
    parlor_str p_data;     /* a folder for the data, or ":memory:"; required, here or in the file */

    int32_t p_log_level; /* PARLOR_LOG_* */
    int32_t p_reserved;
} parlor_server_config;

/* --- The library --- */

/* As "0.1.0". */
const char *parlor_server_version(void);

/* A text that ends with a zero; NULL is empty. */
parlor_str parlor_server_text(const char *p_text);

/* What a result means, in English. */
const char *parlor_server_rc_text(parlor_rc p_rc);

/* Why the last call of this thread that did not return PARLOR_OK did not; valid until its next call. */
const char *parlor_server_last_error(void);

/* --- A server's life --- */

/* Fills a configuration with defaults; p_size is sizeof(parlor_server_config). */
void parlor_server_config_init(parlor_server_config *p_config, size_t p_size);

/* Starts a server: it listens when this returns. Waits for the disk. PARLOR_E_CONFIG with all faults of the configuration,
 * PARLOR_E_SYSTEM if an address or the data cannot be had. */
parlor_rc parlor_server_start(const parlor_server_config *p_config, parlor_server **p_server);

/* The port of its first listener; or PARLOR_E_*. */
int32_t parlor_server_port(parlor_server *p_server);

/* Changes settings of the running server ("key=value", a line each; empty: none), and reads its keys and certificates
 * again: all or nothing. p_done (may be NULL) is called before this returns, with an object of JSON: taken, and waiting
 * (what needs a restart), each with key and what. Waits for the disk. */
parlor_rc parlor_server_reload(parlor_server *p_server, parlor_str p_settings, parlor_call_fn p_done, void *p_user);

/* Begins to stop; never waits. What was called before is carried out; all is on the disk within five seconds. */
parlor_rc parlor_server_stop(parlor_server *p_server);

/* The same for another to take its place: everybody is told to come back, and closed with 1012. */
parlor_rc parlor_server_restart(parlor_server *p_server);

/* Waits until it has stopped. PARLOR_E_SYSTEM if a fault has ended it, PARLOR_E_MODE from within a function of the
 * program's. */
parlor_rc parlor_server_join(parlor_server *p_server);

/* Stops a server, waits until it has, and frees it; requests that the program has not answered are. From within a function
 * of the program's, also p_drop, it does not wait. It waits for no function of parlor_server_poll either: a p_drop tells when
 * that has ended. NULL is allowed. */
void parlor_server_free(parlor_server *p_server);

/* --- The program's own requests, paths and WebSockets --- */

/* Who may: PARLOR_ACCESS_*. */
#define PARLOR_ACCESS_PUBLIC 0
#define PARLOR_ACCESS_USERS 1
#define PARLOR_ACCESS_ADMINS 2

/* Has a function called for each request of a type. It may be one of the server's own, as "chat:send". Another function
 * takes the place of the one before. p_drop (may be NULL) is called once, as the last with this p_user. */
parlor_rc parlor_server_handle(parlor_server *p_server, parlor_str p_type, int32_t p_access, parlor_call_fn p_see, void *p_user,
                               parlor_drop_fn p_drop);

/* The same for HTTP requests of a method ("GET", "POST", "PUT", "PATCH", "DELETE") on a path, as "/queue/{id}". */
parlor_rc parlor_server_path(parlor_server *p_server, parlor_str p_method, parlor_str p_path, int32_t p_access,
                             parlor_call_fn p_see, void *p_user, parlor_drop_fn p_drop);

/* The same for WebSockets on a path, which speak the program's own protocol. p_protocol is the subprotocol that is agreed
 * to (empty for none), p_bytes what a message may have if that is more than limits.message_bytes. */
parlor_rc parlor_server_socket_path(parlor_server *p_server, parlor_str p_path, int32_t p_access, parlor_str p_protocol,
                                    uint64_t p_bytes, parlor_call_fn p_see, void *p_user, parlor_drop_fn p_drop);

/* Answers PARLOR_CALL_REQUEST with an object of JSON, now or later. PARLOR_E_REQUEST if it was answered. */
parlor_rc parlor_server_reply(parlor_server *p_server, uint64_t p_reply, parlor_str p_json);

/* Refuses it: with a code for programs (a-z, 0-9, _), a sentence for people, and data (JSON; empty for none). */
parlor_rc parlor_server_refuse(parlor_server *p_server, uint64_t p_reply, parlor_str p_code, parlor_str p_message,
                               parlor_str p_data);

/* Answers PARLOR_CALL_PATH: with a status, as 200, a content and its type, and more fields ("name: value", a line each). */
parlor_rc parlor_server_answer(parlor_server *p_server, uint64_t p_reply, int32_t p_status, parlor_str p_type, parlor_str p_content,
                               parlor_str p_fields);

/* Sends to a WebSocket of the program's. PARLOR_E_REQUEST if it is closed. */
parlor_rc parlor_server_socket_text(parlor_server *p_server, uint64_t p_connection, parlor_str p_text);
parlor_rc parlor_server_socket_bytes(parlor_server *p_server, uint64_t p_connection, const void *p_data, size_t p_size);

/* The same to many, for which it is made once. Those that are closed are left out. */
parlor_rc parlor_server_sockets_text(parlor_server *p_server, const uint64_t *p_connections, size_t p_count, parlor_str p_text);
parlor_rc parlor_server_sockets_bytes(parlor_server *p_server, const uint64_t *p_connections, size_t p_count, const void *p_data,
                                      size_t p_size);

/* --- Messages of the program's own types --- */

/* Sends one to all connections of some users, of everybody, or to one connection. *p_reached (may be NULL) is the number of
 * connections, without those of guests. p_done may be NULL. */
parlor_rc parlor_server_send(parlor_server *p_server, const parlor_str *p_users, size_t p_count, parlor_str p_type, parlor_str p_json,
                             uint64_t *p_reached);
parlor_rc parlor_server_broadcast(parlor_server *p_server, parlor_str p_type, parlor_str p_json, uint64_t *p_reached);
parlor_rc parlor_server_send_to(parlor_server *p_server, uint64_t p_connection, parlor_str p_type, parlor_str p_json,
                                parlor_call_fn p_done, void *p_user);

/* Closes a connection with a close code (RFC 6455 §7.4) and a reason. */
parlor_rc parlor_server_close(parlor_server *p_server, uint64_t p_connection, int32_t p_code, parlor_str p_reason,
                              parlor_call_fn p_done, void *p_user);

/* Whether a user is online: 1 or 0, or PARLOR_E_*. */
int32_t parlor_server_is_online(parlor_server *p_server, parlor_str p_name);

/* Who is: p_done is called before this returns, with an array of JSON. */
parlor_rc parlor_server_online(parlor_server *p_server, parlor_call_fn p_done, void *p_user);

/* --- Rooms --- */

/* What these are called for is done later, and has every right. p_done (may be NULL) is called once unless the function
 * itself fails: on the server's thread, or on this one; also when the server stops. What needs another waits for that one's
 * p_done: a room that is being created is not there yet. */

/* Publishes a message in the name of a member. A repeat with the same p_id (may be empty) is harmless. */
parlor_rc parlor_server_publish(parlor_server *p_server, parlor_str p_room, parlor_str p_name, parlor_str p_text, parlor_str p_id,
                                parlor_call_fn p_done, void *p_user);

/* Creates a room with an owner and members; p_is_open: anybody may join. */
parlor_rc parlor_server_create(parlor_server *p_server, parlor_str p_room, parlor_str p_owner, parlor_str p_title, int32_t p_is_open,
                               const parlor_str *p_members, size_t p_count, parlor_call_fn p_done, void *p_user);

/* Changes what is given: a title (NULL: not), whether anybody may join (-1: not), the owner (empty: not). */
parlor_rc parlor_server_update(parlor_server *p_server, parlor_str p_room, const parlor_str *p_title, int32_t p_is_open,
                               parlor_str p_owner, parlor_call_fn p_done, void *p_user);

#define PARLOR_MEMBER_JOIN 0   /* makes the user a member */
#define PARLOR_MEMBER_INVITE 1 /* invites them, in the name of p_by */
#define PARLOR_MEMBER_REMOVE 2 /* ends their membership, or takes back an invitation */
#define PARLOR_MEMBER_BAN 3    /* ends it, and keeps them from joining, in the name of p_by */
#define PARLOR_MEMBER_UNBAN 4  /* lets them join again */

/* Does one of these. */
parlor_rc parlor_server_member(parlor_server *p_server, int32_t p_do, parlor_str p_room, parlor_str p_name, parlor_str p_by,
                               parlor_call_fn p_done, void *p_user);

/* Ends a room: its log is removed, its name stays taken. */
parlor_rc parlor_server_end(parlor_server *p_server, parlor_str p_room, parlor_call_fn p_done, void *p_user);

/* Members in the order of their ids, behind p_after (may be empty): an object with members and more. */
parlor_rc parlor_server_members(parlor_server *p_server, parlor_str p_room, parlor_str p_after, parlor_call_fn p_done, void *p_user);

/* A page of a log: the newest, or what lies next behind p_after, or next before p_before (0: not): an object with entries,
 * as they are pushed, head and more. */
parlor_rc parlor_server_history(parlor_server *p_server, parlor_str p_room, uint64_t p_after, uint64_t p_before, parlor_call_fn p_done,
                                void *p_user);

/* How far a member has read: an object with read and unread. */
parlor_rc parlor_server_unread(parlor_server *p_server, parlor_str p_room, parlor_str p_name, parlor_call_fn p_done, void *p_user);

/* --- Streams --- */

/* Publishes to a stream that is declared with program. An event with a p_id (may be empty) that is still kept is not
 * published again. */
parlor_rc parlor_server_event(parlor_server *p_server, parlor_str p_stream, parlor_str p_json, parlor_str p_id);
parlor_rc parlor_server_event_bytes(parlor_server *p_server, parlor_str p_stream, const void *p_data, size_t p_size);

/* Has a function asked for the data of a stream (p_is_bytes: it is one of bytes), or of each stream of a family that
 * somebody watches: at once, and then every p_every, on a thread of its own; after a failure as the server's own sources
 * are (docs/streams.md). Data that have changed are published. */
parlor_rc parlor_server_poll(parlor_server *p_server, parlor_str p_stream, int32_t p_is_bytes, int64_t p_every, parlor_poll_fn p_give,
                             void *p_user, parlor_drop_fn p_drop);

#ifdef __cplusplus
}
#endif

#endif
