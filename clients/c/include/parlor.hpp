// parlor.hpp: parlor.h for C++11 and later; header only. parlor.h says what the functions do.
//
// A client is moved, not copied, and is freed when it is destroyed. No function throws but for memory; what can fail
// returns a std::error_code of parlor::category(). What Options::on_event's function throws is logged, and goes no further;
// if there is no log, the program ends (std::terminate). What a function that is given to next(), to drain() or to a loop
// throws, whoever called gets: that event was told, and the others wait. A log function must not throw.
#ifndef PARLOR_HPP
#define PARLOR_HPP

#include "parlor_text.hpp"

#include <exception>
#include <functional>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>

#if __cplusplus >= 201703L
#define PARLOR_NODISCARD [[nodiscard]]
#else
#define PARLOR_NODISCARD
#endif

namespace parlor {

// --- Errors ---

class Category : public std::error_category {
public:
    const char *name() const noexcept override { return "parlor"; }
    std::string message(int p_rc) const override { return parlor_rc_text(p_rc); }
};

// That of PARLOR_E_*.
inline const std::error_category &category() noexcept
{
    // It is never destroyed: errors are also told where a program's static objects are.
    static const Category &s_category = *new Category;
    return s_category;
}

inline std::error_code error(parlor_rc p_rc) noexcept
{
    return p_rc == PARLOR_OK ? std::error_code() : std::error_code(p_rc, category());
}

// Why the last call of this thread that failed did.
inline std::string last_error() { return parlor_last_error(); }

// See parlor_threads_left.
inline std::uint32_t threads_left() noexcept { return parlor_threads_left(); }

// What is told: see PARLOR_EVENT_*. Its texts are as long valid as it is.
class Event {
public:
    explicit Event(const parlor_event *p_raw) noexcept : m_raw(p_raw) {}
    std::int32_t kind() const noexcept { return m_raw->p_kind; }
    std::int32_t state() const noexcept { return m_raw->p_state; }
    std::int32_t code() const noexcept { return m_raw->p_code; }
    std::uint64_t request() const noexcept { return m_raw->p_request; }
    std::uint64_t seq() const noexcept { return m_raw->p_seq; }
    std::uint64_t target() const noexcept { return m_raw->p_target; }
    std::uint64_t count() const noexcept { return m_raw->p_count; }
    Micros time() const noexcept { return Micros(m_raw->p_time); }
    Text room() const noexcept { return detail::cooked(m_raw->p_room); }
    Text stream() const noexcept { return detail::cooked(m_raw->p_stream); }
    Text user() const noexcept { return detail::cooked(m_raw->p_user); }
    Text type() const noexcept { return detail::cooked(m_raw->p_type); }
    Text id() const noexcept { return detail::cooked(m_raw->p_id); }
    Text text() const noexcept { return detail::cooked(m_raw->p_text); }
    Text data() const noexcept { return detail::cooked(m_raw->p_data); }
    // As "not_member"; empty if all is well.
    Text refusal() const noexcept { return detail::cooked(m_raw->p_error); }
    Text message() const noexcept { return detail::cooked(m_raw->p_message); }
    const parlor_event *raw() const noexcept { return m_raw; }

private:
    const parlor_event *m_raw;
};

using EventFunction = std::function<void(const Event &)>;

namespace detail {

// What the library hands to the functions below, until it drops it.
struct Functions {
    EventFunction m_on_event;
    LogFunction m_on_log;
};

extern "C" {

inline void parlor_hpp_event(void *p_user, const parlor_event *p_event) noexcept
{
    Functions *functions = static_cast<Functions *>(p_user);
    if (!functions->m_on_log)
        return functions->m_on_event(Event(p_event));
    try {
        functions->m_on_event(Event(p_event));
    } catch (const std::exception &caught) {
        functions->m_on_log(PARLOR_LOG_ERROR, caught.what());
    } catch (...) {
        functions->m_on_log(PARLOR_LOG_ERROR, "a function of the program's has thrown something");
    }
}

inline void parlor_hpp_log(void *p_user, std::int32_t p_level, parlor_str p_line) noexcept
{
    static_cast<Functions *>(p_user)->m_on_log(p_level, cooked(p_line));
}

inline void parlor_hpp_drop(void *p_user) noexcept { delete static_cast<Functions *>(p_user); }
}

} // namespace detail

namespace detail {

// What drain() calls, and what that has thrown.
template <class Function> struct Seeing {
    Function *m_function;
    std::exception_ptr m_thrown;

    static void see(void *p_own, const parlor_event *p_event) noexcept
    {
        Seeing *own = static_cast<Seeing *>(p_own);
        try {
            (*own->m_function)(Event(p_event));
        } catch (...) {
            own->m_thrown = std::current_exception();
        }
    }
};

// As parlor_drain, one by one: what was not told when the function throws still waits.
template <class Function> parlor_rc drain(parlor_client *p_client, Function &p_function, std::uint32_t p_most)
{
    Seeing<Function> seeing = {&p_function, nullptr};
    for (std::uint32_t done = 0; done < p_most; ++done) {
        const parlor_rc rc = parlor_drain(p_client, 1, &Seeing<Function>::see, &seeing);
        if (seeing.m_thrown)
            std::rethrow_exception(seeing.m_thrown);
        if (rc != PARLOR_OK)
            return rc;
    }
    return PARLOR_OK;
}

} // namespace detail

// How a client behaves: see parlor_config.
class Options {
public:
    explicit Options(Text p_url) : m_url(p_url) { parlor_config_init(&m_raw, sizeof m_raw); }

    Options &token(Text p_token) { return put(m_token, p_token); }
    Options &name(Text p_name) { return put(m_name, p_name); }
    Options &thread_name(Text p_name) { return put(m_thread_name, p_name); }
    Options &ca_file(Text p_path) { return put(m_ca_file, p_path); }
    Options &proxy(Text p_url) { return put(m_proxy, p_url); }
    Options &outbox(Text p_folder) { return put(m_outbox, p_folder); }
    Options &protocols(Text p_names) { return put(m_protocols, p_names); }
    Options &field(Text p_name, Text p_value)
    {
        m_fields += std::string(p_name) + ": " + std::string(p_value) + "\n";
        return *this;
    }
    Options &backoff(Micros p_least, Micros p_most, std::uint32_t p_factor = 2, bool p_jitter = true)
    {
        m_raw.p_backoff_min = p_least.count();
        m_raw.p_backoff_max = p_most.count();
        m_raw.p_backoff_factor = p_factor;
        m_raw.p_jitter = p_jitter;
        return *this;
    }
    Options &attempts(std::int32_t p_count) { return set(m_raw.p_attempts, p_count); }
    Options &stable(Micros p_time) { return set(m_raw.p_stable, p_time.count()); }
    Options &ping(Micros p_interval, Micros p_timeout)
    {
        m_raw.p_ping_interval = p_interval.count();
        m_raw.p_ping_timeout = p_timeout.count();
        return *this;
    }
    Options &timeout(Micros p_time) { return set(m_raw.p_timeout, p_time.count()); }
    Options &queue(std::uint32_t p_events) { return set(m_raw.p_queue, p_events); }
    Options &deflate(bool p_is) { return set(m_raw.p_deflate, p_is); }
    Options &asks_token(bool p_is) { return set(m_raw.p_asks_token, p_is); }
    // Without it, the program takes events with next() or drain().
    Options &on_event(EventFunction p_function)
    {
        m_functions.m_on_event = std::move(p_function);
        return *this;
    }
    Options &on_log(LogFunction p_function, std::int32_t p_level = PARLOR_LOG_WARN)
    {
        m_functions.m_on_log = std::move(p_function);
        m_raw.p_log_level = p_level;
        return *this;
    }

private:
    friend class Handle;

    template <class Number, class Given> Options &set(Number &p_place, Given p_value)
    {
        p_place = p_value;
        return *this;
    }

    Options &put(std::string &p_place, Text p_text)
    {
        p_place = std::string(p_text);
        return *this;
    }

    std::error_code open(std::int32_t p_mode, parlor_client **p_client) const
    {
        parlor_config config = m_raw;
        config.p_mode = p_mode;
        config.p_url = detail::raw(m_url);
        config.p_token = detail::raw(m_token);
        config.p_name = detail::raw(m_name);
        config.p_thread_name = detail::raw(m_thread_name);
        config.p_ca_file = detail::raw(m_ca_file);
        config.p_proxy = detail::raw(m_proxy);
        config.p_outbox = detail::raw(m_outbox);
        config.p_fields = detail::raw(m_fields);
        config.p_protocols = detail::raw(m_protocols);
        config.p_on_event = m_functions.m_on_event ? detail::parlor_hpp_event : nullptr;
        config.p_on_log = m_functions.m_on_log ? detail::parlor_hpp_log : nullptr;
        config.p_drop = detail::parlor_hpp_drop;
        // The library's from here on, also if it does not open.
        config.p_user = new detail::Functions(m_functions);
        return error(parlor_open(&config, p_client));
    }

    parlor_config m_raw;
    detail::Functions m_functions;
    std::string m_url, m_token, m_name, m_thread_name, m_ca_file, m_proxy, m_outbox, m_fields, m_protocols;
};

// What clients and sockets have in common.
class Handle {
public:
    Handle(const Handle &) = delete;
    Handle &operator=(const Handle &) = delete;
    Handle(Handle &&p_other) noexcept : m_raw(p_other.m_raw) { p_other.m_raw = nullptr; }
    Handle &operator=(Handle &&p_other) noexcept
    {
        std::swap(m_raw, p_other.m_raw);
        return *this;
    }
    ~Handle() { parlor_free(m_raw); }

    // Whether there is a client; it is for the functions of parlor.h.
    explicit operator bool() const noexcept { return m_raw != nullptr; }
    parlor_client *raw() const noexcept { return m_raw; }

    std::error_code stop(Micros p_drain = Micros(0)) const noexcept { return error(parlor_stop(m_raw, p_drain.count())); }
    std::int32_t state() const noexcept { return parlor_state(m_raw); }
    std::error_code wait_online(Micros p_wait) const noexcept { return error(parlor_wait_online(m_raw, p_wait.count())); }
    std::error_code wait_ended(Micros p_wait) const noexcept { return error(parlor_wait_ended(m_raw, p_wait.count())); }
    std::error_code retry_now() const noexcept { return error(parlor_retry_now(m_raw)); }
    std::intptr_t wait_handle() const noexcept { return parlor_wait_handle(m_raw); }

    // Calls a function with the next event; waits at most so long for it.
    template <class Function> std::error_code next(Micros p_wait, Function &&p_function) const
    {
        parlor_event *event = nullptr;
        const parlor_rc rc = parlor_next(m_raw, p_wait.count(), &event);
        if (rc == PARLOR_OK) {
            const std::unique_ptr<parlor_event, void (*)(parlor_event *)> owner(event, parlor_event_free);
            p_function(Event(event));
        }
        return error(rc);
    }

    // Calls it with the events that wait, and with at most so many. No error if more may wait, that of PARLOR_E_TIMEOUT if
    // none do, of PARLOR_E_CLOSED if none will.
    template <class Function> std::error_code drain(Function &&p_function, std::uint32_t p_most = 1000) const
    {
        return error(detail::drain(m_raw, p_function, p_most));
    }

protected:
    Handle() noexcept : m_raw(nullptr) {}

    std::error_code open(std::int32_t p_mode, const Options &p_options)
    {
        parlor_free(m_raw);
        m_raw = nullptr;
        return p_options.open(p_mode, &m_raw);
    }

    parlor_client *m_raw;
};

namespace detail {

// What an event loop has of a client. It may be let go of within its own function.
class Feed {
public:
    Feed(const Handle &p_handle, EventFunction p_see) : m_client(p_handle.raw()), m_see(std::move(p_see)), m_is_over(false) {}

    bool is_over() const noexcept { return m_is_over; }
    void end() noexcept { m_is_over = true; }

    // Hands over some of the events that wait, so that the loop comes to something else, too.
    static void drain(const std::shared_ptr<Feed> &p_feed)
    {
        const std::shared_ptr<Feed> kept = p_feed;
        const auto see = [&kept](const Event &p_event) {
            if (!kept->m_is_over)
                kept->m_see(p_event);
        };
        const parlor_rc rc = detail::drain(kept->m_client, see, 64);
        if (rc != PARLOR_OK && rc != PARLOR_E_TIMEOUT)
            kept->end();
    }

private:
    parlor_client *m_client;
    EventFunction m_see;
    bool m_is_over;
};

} // namespace detail

// A client of a parlor.
class Client : public Handle {
public:
    Client() noexcept {}

    // Opens it; one that was open is freed.
    PARLOR_NODISCARD std::error_code open(const Options &p_options) { return Handle::open(PARLOR_MODE_CHAT, p_options); }

    // Those with a request: its number is that of PARLOR_EVENT_ANSWER, or PARLOR_EVENT_SENT.
    std::error_code send(Text p_room, Text p_text, std::uint64_t *p_request = nullptr) const noexcept
    {
        return error(parlor_send_text(m_raw, detail::raw(p_room), detail::raw(p_text), p_request));
    }
    std::error_code send(const parlor_message &p_message, std::uint64_t *p_request = nullptr) const noexcept
    {
        return error(parlor_send(m_raw, &p_message, p_request));
    }
    std::error_code cancel(std::uint64_t p_request) const noexcept { return error(parlor_cancel(m_raw, p_request)); }
    std::error_code retry(std::uint64_t p_request) const noexcept { return error(parlor_retry(m_raw, p_request)); }
    std::error_code request(Text p_type, Text p_json, std::uint64_t *p_request = nullptr, Micros p_timeout = Micros(0)) const noexcept
    {
        return error(parlor_request(m_raw, detail::raw(p_type), detail::raw(p_json), p_timeout.count(), p_request));
    }
    std::error_code say(Text p_type, Text p_json) const noexcept
    {
        return error(parlor_say(m_raw, detail::raw(p_type), detail::raw(p_json)));
    }
    std::error_code join(Text p_room, std::uint64_t *p_request = nullptr) const noexcept
    {
        return error(parlor_join(m_raw, detail::raw(p_room), p_request));
    }
    std::error_code leave(Text p_room, std::uint64_t *p_request = nullptr) const noexcept
    {
        return error(parlor_leave(m_raw, detail::raw(p_room), p_request));
    }
    std::error_code go_on_from(Text p_room, std::uint64_t p_seq) const noexcept
    {
        return error(parlor_go_on_from(m_raw, detail::raw(p_room), p_seq));
    }
    std::error_code mark_read(Text p_room, std::uint64_t p_seq = 0) const noexcept
    {
        return error(parlor_mark_read(m_raw, detail::raw(p_room), p_seq));
    }
    std::error_code typing(Text p_room, bool p_types) const noexcept
    {
        return error(parlor_typing(m_raw, detail::raw(p_room), p_types));
    }
    std::error_code watch(Text p_stream, Text p_filter = Text(), std::uint32_t p_rate = 0) const noexcept
    {
        return error(parlor_watch(m_raw, detail::raw(p_stream), detail::raw(p_filter), p_rate));
    }
    std::error_code unwatch(Text p_stream) const noexcept { return error(parlor_unwatch(m_raw, detail::raw(p_stream))); }
    std::error_code watch_presence() const noexcept { return error(parlor_watch_presence(m_raw)); }
    std::error_code pause() const noexcept { return error(parlor_pause(m_raw)); }
    std::error_code hint(std::int32_t p_hint) const noexcept { return error(parlor_hint(m_raw, p_hint)); }
    std::error_code token(std::uint64_t p_request, Text p_token) const noexcept
    {
        return error(parlor_token(m_raw, p_request, detail::raw(p_token), detail::raw(Text()), 0));
    }
    std::error_code no_token(std::uint64_t p_request, Text p_why, bool p_is_final) const noexcept
    {
        return error(parlor_token(m_raw, p_request, detail::raw(Text()), detail::raw(p_why), p_is_final));
    }

    // Something about the client, as JSON (PARLOR_ABOUT_*); empty if there is an error.
    std::string about(std::int32_t p_what, Text p_name = Text()) const
    {
        std::string told;
        std::size_t needed = 0;
        // What is told may grow between two calls.
        while (parlor_about(m_raw, p_what, detail::raw(p_name), told.empty() ? nullptr : &told[0], told.size(), &needed) ==
               PARLOR_E_FULL)
            told.resize(needed);
        told.resize(needed < told.size() ? needed : told.size());
        return told;
    }
};

// A WebSocket of any server.
class Socket : public Handle {
public:
    Socket() noexcept {}

    // Opens it; one that was open is freed.
    PARLOR_NODISCARD std::error_code open(const Options &p_options) { return Handle::open(PARLOR_MODE_SOCKET, p_options); }

    std::error_code send(Text p_text) const noexcept { return error(parlor_socket_text(m_raw, detail::raw(p_text))); }
    std::error_code send_bytes(const void *p_data, std::size_t p_size) const noexcept
    {
        return error(parlor_socket_bytes(m_raw, p_data, p_size));
    }
    std::error_code close(std::int32_t p_code, Text p_reason, Micros p_drain) const noexcept
    {
        return error(parlor_socket_close(m_raw, p_code, detail::raw(p_reason), p_drain.count()));
    }
};

} // namespace parlor

#undef PARLOR_NODISCARD

#endif
