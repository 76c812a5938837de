// parlor_server.hpp: parlor_server.h for C++11 and later; header only. parlor_server.h says what the functions do.
//
// A server is moved, not copied, and is stopped and freed when it is destroyed. What can fail returns a std::error_code of
// parlor::server_category(). What a program's function throws is logged, and goes no further: a request is answered
// `internal` then. If there is no log, the program ends (std::terminate). What a PollFunction throws says why there are no data.
#ifndef PARLOR_SERVER_HPP
#define PARLOR_SERVER_HPP

#include "parlor_server.h"

#include "parlor_text.hpp"

#include <functional>
#include <initializer_list>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

namespace parlor {

class ServerCategory : public std::error_category {
public:
    const char *name() const noexcept override { return "parlor-server"; }
    std::string message(int p_rc) const override { return parlor_server_rc_text(p_rc); }
};

// That of PARLOR_E_*.
inline const std::error_category &server_category() noexcept
{
    // It is never destroyed: errors are also told where a program's static objects are.
    static const ServerCategory &s_category = *new ServerCategory;
    return s_category;
}

inline std::error_code server_error(parlor_rc p_rc) noexcept
{
    return p_rc == PARLOR_OK ? std::error_code() : std::error_code(p_rc, server_category());
}

// Why the last call of this thread that failed did.
inline std::string server_last_error() { return parlor_server_last_error(); }

// Who may.
enum class Access { everybody = PARLOR_ACCESS_PUBLIC, users = PARLOR_ACCESS_USERS, admins = PARLOR_ACCESS_ADMINS };

// What the program is told: see PARLOR_CALL_*. Its texts are as long valid as it is.
class Call {
public:
    explicit Call(const parlor_call *p_raw) noexcept : m_raw(p_raw) {}
    std::int32_t kind() const noexcept { return m_raw->p_kind; }
    // No error if what was called for is done.
    std::error_code error() const noexcept { return server_error(m_raw->p_rc); }
    std::int32_t code() const noexcept { return m_raw->p_code; }
    bool is_admin() const noexcept { return m_raw->p_is_admin != 0; }
    std::uint64_t connection() const noexcept { return m_raw->p_connection; }
    std::uint64_t seq() const noexcept { return m_raw->p_seq; }
    Micros time() const noexcept { return Micros(m_raw->p_time); }
    Text type() const noexcept { return detail::cooked(m_raw->p_type); }
    Text data() const noexcept { return detail::cooked(m_raw->p_data); }
    // Empty for nobody.
    Text user() const noexcept { return detail::cooked(m_raw->p_user); }
    Text name() const noexcept { return detail::cooked(m_raw->p_name); }
    Text room() const noexcept { return detail::cooked(m_raw->p_room); }
    Text method() const noexcept { return detail::cooked(m_raw->p_method); }
    Text path() const noexcept { return detail::cooked(m_raw->p_path); }
    Text query() const noexcept { return detail::cooked(m_raw->p_query); }
    Text params() const noexcept { return detail::cooked(m_raw->p_params); }
    Text fields() const noexcept { return detail::cooked(m_raw->p_fields); }
    Text address() const noexcept { return detail::cooked(m_raw->p_address); }
    // As "not_member"; empty if all is well.
    Text refusal() const noexcept { return detail::cooked(m_raw->p_error); }
    Text message() const noexcept { return detail::cooked(m_raw->p_message); }
    const parlor_call *raw() const noexcept { return m_raw; }

private:
    const parlor_call *m_raw;
};

// Answers a request, once: at once, or later, from any thread. One that is destroyed without an answer answers `internal`.
class Reply {
public:
    Reply(parlor_server *p_server, std::uint64_t p_number, bool p_is_http) noexcept
        : m_server(p_server), m_number(p_number), m_is_http(p_is_http)
    {
    }
    Reply(const Reply &) = delete;
    Reply &operator=(const Reply &) = delete;
    Reply(Reply &&p_other) noexcept : m_server(p_other.m_server), m_number(p_other.m_number), m_is_http(p_other.m_is_http)
    {
        p_other.m_number = 0;
    }
    Reply &operator=(Reply &&p_other) noexcept
    {
        std::swap(m_server, p_other.m_server);
        std::swap(m_number, p_other.m_number);
        std::swap(m_is_http, p_other.m_is_http);
        return *this;
    }
    ~Reply()
    {
        if (m_number == 0)
            return;
        const Text message("the program has not answered");
        if (m_is_http)
            answer(500, "text/plain; charset=utf-8", message);
        else
            refuse("internal", message);
    }

    // With an object of JSON.
    std::error_code ok(Text p_json) noexcept { return done(parlor_server_reply(m_server, m_number, detail::raw(p_json))); }
    std::error_code refuse(Text p_code, Text p_message, Text p_data = Text()) noexcept
    {
        return done(parlor_server_refuse(m_server, m_number, detail::raw(p_code), detail::raw(p_message), detail::raw(p_data)));
    }
    // An HTTP request. More fields are "name: value", a line each.
    std::error_code answer(std::int32_t p_status, Text p_type, Text p_content, Text p_fields = Text()) noexcept
    {
        return done(parlor_server_answer(m_server, m_number, p_status, detail::raw(p_type), detail::raw(p_content), detail::raw(p_fields)));
    }

private:
    std::error_code done(parlor_rc p_rc) noexcept
    {
        // What was wrong with an argument can be put right.
        if (p_rc != PARLOR_E_ARGUMENT && p_rc != PARLOR_E_MODE)
            m_number = 0;
        return server_error(p_rc);
    }

    parlor_server *m_server;
    std::uint64_t m_number;
    bool m_is_http;
};

// The head of a request: see PARLOR_HEAD_*.
class Head {
public:
    explicit Head(const parlor_head *p_raw) noexcept : m_raw(p_raw) {}
    Text method() const noexcept { return get(PARLOR_HEAD_METHOD); }
    Text path() const noexcept { return get(PARLOR_HEAD_PATH); }
    Text address() const noexcept { return get(PARLOR_HEAD_ADDRESS); }
    Text field(Text p_name) const noexcept { return get(PARLOR_HEAD_FIELD, p_name); }
    Text query(Text p_name) const noexcept { return get(PARLOR_HEAD_QUERY, p_name); }

private:
    Text get(std::int32_t p_what, Text p_name = Text()) const noexcept
    {
        return detail::cooked(parlor_server_head(m_raw, p_what, detail::raw(p_name)));
    }

    const parlor_head *m_raw;
};

using RequestFunction = std::function<void(const Call &, Reply)>;
using CallFunction = std::function<void(const Call &)>;
// Puts who it is, as JSON, in its last argument; PARLOR_E_UNAUTHORIZED or PARLOR_E_FORBIDDEN refuse it.
using HeadFunction = std::function<parlor_rc(const Head &, std::string &)>;
// Gives the data of a stream; what it throws says why there are none.
using PollFunction = std::function<std::string(Text)>;

namespace detail {

using Log = std::shared_ptr<const LogFunction>;

// Runs a function of the program's: what it throws goes to its log.
template <class Function> void guarded(const Log &p_log, Function &&p_function) noexcept
{
    if (!p_log || !*p_log)
        return p_function();
    try {
        p_function();
    } catch (const std::exception &caught) {
        (*p_log)(PARLOR_LOG_ERROR, caught.what());
    } catch (...) {
        (*p_log)(PARLOR_LOG_ERROR, "a function of the program's has thrown something");
    }
}

template <class Function> struct Logged {
    Function m_function;
    Log m_log;
};

struct ServerFunctions {
    HeadFunction m_on_head;
    Log m_log;
};

extern "C" {

inline parlor_rc parlor_hpp_head(void *p_user, const parlor_head *p_head, parlor_out *p_out) noexcept
{
    const ServerFunctions *functions = static_cast<const ServerFunctions *>(p_user);
    // Nobody is let in by a fault.
    parlor_rc rc = PARLOR_E_UNAUTHORIZED;
    guarded(functions->m_log, [&] {
        std::string proof;
        const parlor_rc said = functions->m_on_head(Head(p_head), proof);
        if (!proof.empty())
            parlor_server_put(p_out, raw(proof));
        rc = said;
    });
    return rc;
}

inline void parlor_hpp_server_log(void *p_user, std::int32_t p_level, parlor_str p_line) noexcept
{
    (*static_cast<const ServerFunctions *>(p_user)->m_log)(p_level, cooked(p_line));
}

inline void parlor_hpp_server_drop(void *p_user) noexcept { delete static_cast<ServerFunctions *>(p_user); }

inline void parlor_hpp_request(void *p_user, const parlor_call *p_call) noexcept
{
    using Own = std::pair<parlor_server *, Logged<RequestFunction>>;
    const Own *own = static_cast<const Own *>(p_user);
    Reply reply(own->first, p_call->p_reply, p_call->p_kind == PARLOR_CALL_PATH);
    guarded(own->second.m_log, [&] { own->second.m_function(Call(p_call), std::move(reply)); });
}

inline void parlor_hpp_request_drop(void *p_user) noexcept
{
    delete static_cast<std::pair<parlor_server *, Logged<RequestFunction>> *>(p_user);
}

inline void parlor_hpp_call(void *p_user, const parlor_call *p_call) noexcept
{
    const Logged<CallFunction> *own = static_cast<const Logged<CallFunction> *>(p_user);
    guarded(own->m_log, [&] { own->m_function(Call(p_call)); });
}

inline void parlor_hpp_call_drop(void *p_user) noexcept { delete static_cast<Logged<CallFunction> *>(p_user); }

// Once.
inline void parlor_hpp_done(void *p_user, const parlor_call *p_call) noexcept
{
    const std::unique_ptr<Logged<CallFunction>> own(static_cast<Logged<CallFunction> *>(p_user));
    parlor_hpp_call(own.get(), p_call);
}

inline parlor_rc parlor_hpp_poll(void *p_user, parlor_str p_stream, parlor_out *p_out) noexcept
{
    const PollFunction *own = static_cast<const PollFunction *>(p_user);
    try {
        parlor_server_put(p_out, raw((*own)(cooked(p_stream))));
        return PARLOR_OK;
    } catch (const std::exception &caught) {
        parlor_server_put(p_out, raw(caught.what()));
    } catch (...) {
    }
    return PARLOR_E_INTERNAL;
}

inline void parlor_hpp_poll_drop(void *p_user) noexcept { delete static_cast<PollFunction *>(p_user); }
}

} // namespace detail

// How a server behaves: see parlor_server_config.
class ServerOptions {
public:
    ServerOptions() { parlor_server_config_init(&m_raw, sizeof m_raw); }

    ServerOptions &file(Text p_path) { return put(m_file, p_path); }
    ServerOptions &listen(Text p_address) { return put(m_listen, p_address); }
    ServerOptions &data(Text p_folder) { return put(m_data, p_folder); }
    // As "limits.burst=100".
    ServerOptions &set(Text p_setting)
    {
        m_settings += std::string(p_setting) + "\n";
        return *this;
    }
    ServerOptions &on_head(HeadFunction p_function)
    {
        m_on_head = std::move(p_function);
        return *this;
    }
    ServerOptions &on_log(LogFunction p_function, std::int32_t p_level = PARLOR_LOG_WARN)
    {
        m_log = std::make_shared<const LogFunction>(std::move(p_function));
        m_raw.p_log_level = p_level;
        return *this;
    }

private:
    friend class Server;

    ServerOptions &put(std::string &p_place, Text p_text)
    {
        p_place = std::string(p_text);
        return *this;
    }

    parlor_server_config m_raw;
    HeadFunction m_on_head;
    detail::Log m_log;
    std::string m_file, m_settings, m_listen, m_data;
};

// A server. The functions `done` are called once, unless the call itself fails; they may be empty.
class Server {
public:
    Server() noexcept : m_raw(nullptr) {}
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;
    Server(Server &&p_other) noexcept : m_raw(p_other.m_raw), m_log(std::move(p_other.m_log)) { p_other.m_raw = nullptr; }
    Server &operator=(Server &&p_other) noexcept
    {
        std::swap(m_raw, p_other.m_raw);
        std::swap(m_log, p_other.m_log);
        return *this;
    }
    ~Server() { parlor_server_free(m_raw); }

    explicit operator bool() const noexcept { return m_raw != nullptr; }
    parlor_server *raw() const noexcept { return m_raw; }

    // Starts it; one that ran is stopped.
    std::error_code start(const ServerOptions &p_options)
    {
        parlor_server_free(m_raw);
        m_raw = nullptr;
        m_log = p_options.m_log;
        parlor_server_config config = p_options.m_raw;
        config.p_file = detail::raw(p_options.m_file);
        config.p_settings = detail::raw(p_options.m_settings);
        config.p_listen = detail::raw(p_options.m_listen);
        config.p_data = detail::raw(p_options.m_data);
        config.p_on_head = p_options.m_on_head ? detail::parlor_hpp_head : nullptr;
        config.p_on_log = m_log && *m_log ? detail::parlor_hpp_server_log : nullptr;
        config.p_drop = detail::parlor_hpp_server_drop;
        // The library's from here on, also if it does not start.
        config.p_user = new detail::ServerFunctions{p_options.m_on_head, m_log};
        return server_error(parlor_server_start(&config, &m_raw));
    }

    std::int32_t port() const noexcept { return parlor_server_port(m_raw); }
    std::error_code stop() const noexcept { return server_error(parlor_server_stop(m_raw)); }
    std::error_code restart() const noexcept { return server_error(parlor_server_restart(m_raw)); }
    std::error_code join() const noexcept { return server_error(parlor_server_join(m_raw)); }
    std::error_code reload(Text p_settings, CallFunction p_done = CallFunction()) const
    {
        return with(std::move(p_done), [&](parlor_call_fn p_see, void *p_user) {
            return parlor_server_reload(m_raw, detail::raw(p_settings), p_see, p_user);
        });
    }

    // --- The program's own requests, paths and WebSockets ---

    std::error_code handle(Text p_type, Access p_access, RequestFunction p_function) const
    {
        return server_error(parlor_server_handle(m_raw, detail::raw(p_type), static_cast<std::int32_t>(p_access), detail::parlor_hpp_request,
                                                 own(std::move(p_function)), detail::parlor_hpp_request_drop));
    }
    std::error_code path(Text p_method, Text p_path, Access p_access, RequestFunction p_function) const
    {
        return server_error(parlor_server_path(m_raw, detail::raw(p_method), detail::raw(p_path), static_cast<std::int32_t>(p_access),
                                               detail::parlor_hpp_request, own(std::move(p_function)), detail::parlor_hpp_request_drop));
    }
    std::error_code socket_path(Text p_path, Access p_access, CallFunction p_function, Text p_protocol = Text(), std::uint64_t p_bytes = 0) const
    {
        return server_error(parlor_server_socket_path(m_raw, detail::raw(p_path), static_cast<std::int32_t>(p_access), detail::raw(p_protocol),
                                                      p_bytes, detail::parlor_hpp_call,
                                                      new detail::Logged<CallFunction>{std::move(p_function), m_log}, detail::parlor_hpp_call_drop));
    }
    std::error_code socket_text(std::uint64_t p_connection, Text p_text) const noexcept
    {
        return server_error(parlor_server_socket_text(m_raw, p_connection, detail::raw(p_text)));
    }
    std::error_code socket_bytes(std::uint64_t p_connection, const void *p_data, std::size_t p_size) const noexcept
    {
        return server_error(parlor_server_socket_bytes(m_raw, p_connection, p_data, p_size));
    }
    std::error_code sockets_text(const std::vector<std::uint64_t> &p_connections, Text p_text) const noexcept
    {
        return server_error(parlor_server_sockets_text(m_raw, p_connections.data(), p_connections.size(), detail::raw(p_text)));
    }
    std::error_code sockets_bytes(const std::vector<std::uint64_t> &p_connections, const void *p_data, std::size_t p_size) const noexcept
    {
        return server_error(parlor_server_sockets_bytes(m_raw, p_connections.data(), p_connections.size(), p_data, p_size));
    }

    // --- Messages of the program's own types ---

    std::error_code send(std::initializer_list<Text> p_users, Text p_type, Text p_json, std::uint64_t *p_reached = nullptr) const
    {
        return send(std::vector<Text>(p_users), p_type, p_json, p_reached);
    }
    std::error_code send(const std::vector<Text> &p_users, Text p_type, Text p_json, std::uint64_t *p_reached = nullptr) const
    {
        const std::vector<parlor_str> users = raws(p_users);
        return server_error(parlor_server_send(m_raw, users.data(), users.size(), detail::raw(p_type), detail::raw(p_json), p_reached));
    }
    std::error_code broadcast(Text p_type, Text p_json, std::uint64_t *p_reached = nullptr) const noexcept
    {
        return server_error(parlor_server_broadcast(m_raw, detail::raw(p_type), detail::raw(p_json), p_reached));
    }
    std::error_code send_to(std::uint64_t p_connection, Text p_type, Text p_json, CallFunction p_done = CallFunction()) const
    {
        return with(std::move(p_done), [&](parlor_call_fn p_see, void *p_user) {
            return parlor_server_send_to(m_raw, p_connection, detail::raw(p_type), detail::raw(p_json), p_see, p_user);
        });
    }
    std::error_code close(std::uint64_t p_connection, std::int32_t p_code, Text p_reason, CallFunction p_done = CallFunction()) const
    {
        return with(std::move(p_done), [&](parlor_call_fn p_see, void *p_user) {
            return parlor_server_close(m_raw, p_connection, p_code, detail::raw(p_reason), p_see, p_user);
        });
    }
    // 1 or 0, or PARLOR_E_*.
    std::int32_t is_online(Text p_user) const noexcept { return parlor_server_is_online(m_raw, detail::raw(p_user)); }
    // An array of JSON; empty if there is an error.
    std::string online() const
    {
        std::string users;
        with([&](const Call &p_call) { users = std::string(p_call.data()); },
             [&](parlor_call_fn p_see, void *p_user) { return parlor_server_online(m_raw, p_see, p_user); });
        return users;
    }

    // --- Rooms ---

    std::error_code publish(Text p_room, Text p_user, Text p_text, Text p_id = Text(), CallFunction p_done = CallFunction()) const
    {
        return with(std::move(p_done), [&](parlor_call_fn p_see, void *p_own) {
            return parlor_server_publish(m_raw, detail::raw(p_room), detail::raw(p_user), detail::raw(p_text), detail::raw(p_id), p_see, p_own);
        });
    }
    std::error_code create(Text p_room, Text p_owner, Text p_title, bool p_is_open, const std::vector<Text> &p_members = std::vector<Text>(),
                           CallFunction p_done = CallFunction()) const
    {
        const std::vector<parlor_str> members = raws(p_members);
        return with(std::move(p_done), [&](parlor_call_fn p_see, void *p_user) {
            return parlor_server_create(m_raw, detail::raw(p_room), detail::raw(p_owner), detail::raw(p_title), p_is_open, members.data(),
                                        members.size(), p_see, p_user);
        });
    }
    std::error_code title(Text p_room, Text p_title, CallFunction p_done = CallFunction()) const
    {
        const parlor_str title = detail::raw(p_title);
        return update(p_room, &title, -1, Text(), std::move(p_done));
    }
    std::error_code open(Text p_room, bool p_is, CallFunction p_done = CallFunction()) const
    {
        return update(p_room, nullptr, p_is, Text(), std::move(p_done));
    }
    std::error_code owner(Text p_room, Text p_owner, CallFunction p_done = CallFunction()) const
    {
        return update(p_room, nullptr, -1, p_owner, std::move(p_done));
    }
    std::error_code join(Text p_room, Text p_user, CallFunction p_done = CallFunction()) const
    {
        return member(PARLOR_MEMBER_JOIN, p_room, p_user, Text(), std::move(p_done));
    }
    std::error_code invite(Text p_room, Text p_user, Text p_by, CallFunction p_done = CallFunction()) const
    {
        return member(PARLOR_MEMBER_INVITE, p_room, p_user, p_by, std::move(p_done));
    }
    std::error_code remove(Text p_room, Text p_user, CallFunction p_done = CallFunction()) const
    {
        return member(PARLOR_MEMBER_REMOVE, p_room, p_user, Text(), std::move(p_done));
    }
    std::error_code ban(Text p_room, Text p_user, Text p_by, CallFunction p_done = CallFunction()) const
    {
        return member(PARLOR_MEMBER_BAN, p_room, p_user, p_by, std::move(p_done));
    }
    std::error_code unban(Text p_room, Text p_user, CallFunction p_done = CallFunction()) const
    {
        return member(PARLOR_MEMBER_UNBAN, p_room, p_user, Text(), std::move(p_done));
    }
    std::error_code end(Text p_room, CallFunction p_done = CallFunction()) const
    {
        return with(std::move(p_done), [&](parlor_call_fn p_see, void *p_user) { return parlor_server_end(m_raw, detail::raw(p_room), p_see, p_user); });
    }
    std::error_code members(Text p_room, Text p_after, CallFunction p_done) const
    {
        return with(std::move(p_done), [&](parlor_call_fn p_see, void *p_user) {
            return parlor_server_members(m_raw, detail::raw(p_room), detail::raw(p_after), p_see, p_user);
        });
    }
    std::error_code history(Text p_room, std::uint64_t p_after, std::uint64_t p_before, CallFunction p_done) const
    {
        return with(std::move(p_done), [&](parlor_call_fn p_see, void *p_user) {
            return parlor_server_history(m_raw, detail::raw(p_room), p_after, p_before, p_see, p_user);
        });
    }
    std::error_code unread(Text p_room, Text p_user, CallFunction p_done) const
    {
        return with(std::move(p_done), [&](parlor_call_fn p_see, void *p_own) {
            return parlor_server_unread(m_raw, detail::raw(p_room), detail::raw(p_user), p_see, p_own);
        });
    }

    // --- Streams ---

    std::error_code event(Text p_stream, Text p_json, Text p_id = Text()) const noexcept
    {
        return server_error(parlor_server_event(m_raw, detail::raw(p_stream), detail::raw(p_json), detail::raw(p_id)));
    }
    std::error_code event_bytes(Text p_stream, const void *p_data, std::size_t p_size) const noexcept
    {
        return server_error(parlor_server_event_bytes(m_raw, detail::raw(p_stream), p_data, p_size));
    }
    std::error_code poll(Text p_stream, bool p_is_bytes, Micros p_every, PollFunction p_give) const
    {
        return server_error(parlor_server_poll(m_raw, detail::raw(p_stream), p_is_bytes, p_every.count(), detail::parlor_hpp_poll,
                                               new PollFunction(std::move(p_give)), detail::parlor_hpp_poll_drop));
    }

private:
    void *own(RequestFunction p_function) const
    {
        return new std::pair<parlor_server *, detail::Logged<RequestFunction>>(m_raw, {std::move(p_function), m_log});
    }

    static std::vector<parlor_str> raws(const std::vector<Text> &p_texts)
    {
        std::vector<parlor_str> raws;
        raws.reserve(p_texts.size());
        for (const Text &text : p_texts)
            raws.push_back(detail::raw(text));
        return raws;
    }

    // Calls a function of the header with what is to be called when it is done.
    template <class Function> std::error_code with(CallFunction p_done, Function &&p_function) const
    {
        if (!p_done)
            return server_error(p_function(nullptr, nullptr));
        std::unique_ptr<detail::Logged<CallFunction>> done(new detail::Logged<CallFunction>{std::move(p_done), m_log});
        // It may be called, and so destroyed, before this returns.
        void *const given = done.release();
        const parlor_rc rc = p_function(detail::parlor_hpp_done, given);
        if (rc != PARLOR_OK)
            delete static_cast<detail::Logged<CallFunction> *>(given);
        return server_error(rc);
    }

    std::error_code update(Text p_room, const parlor_str *p_title, std::int32_t p_is_open, Text p_owner, CallFunction p_done) const
    {
        return with(std::move(p_done), [&](parlor_call_fn p_see, void *p_user) {
            return parlor_server_update(m_raw, detail::raw(p_room), p_title, p_is_open, detail::raw(p_owner), p_see, p_user);
        });
    }
    std::error_code member(std::int32_t p_do, Text p_room, Text p_user, Text p_by, CallFunction p_done) const
    {
        return with(std::move(p_done), [&](parlor_call_fn p_see, void *p_own) {
            return parlor_server_member(m_raw, p_do, detail::raw(p_room), detail::raw(p_user), detail::raw(p_by), p_see, p_own);
        });
    }

    parlor_server *m_raw;
    detail::Log m_log;
};

} // namespace parlor

#endif
