// Two clients and a socket, as talk.c has them. `talk URL throw` throws in its function, `talk URL race` has a race.
#include "parlor.hpp"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace {

std::mutex g_lock;
std::condition_variable g_changed;
int g_heard, g_dropped, g_logged;
// Only the client's thread has it, but where a race is what is wanted.
int g_unguarded;

void check(std::error_code p_code, const char *p_what)
{
    if (p_code) {
        std::fprintf(stderr, "%s: %s: %s\n", p_what, p_code.message().c_str(), parlor::last_error().c_str());
        std::exit(1);
    }
}

void count(int &p_place)
{
    const std::lock_guard<std::mutex> lock(g_lock);
    p_place += 1;
    g_changed.notify_all();
}

void wait_for(const int &p_place, int p_count)
{
    std::unique_lock<std::mutex> lock(g_lock);
    if (!g_changed.wait_for(lock, std::chrono::seconds(20), [&] { return p_place >= p_count; }))
        std::exit(3);
}

// Counts when the library lets it go.
struct Owned {
    ~Owned() { count(g_dropped); }
};

void socket(const std::string &p_url)
{
    parlor::Socket socket;
    check(socket.open(parlor::Options(p_url + "?user=cy")), "socket");
    check(socket.wait_online(std::chrono::seconds(20)), "socket online");
    check(socket.send("{\"type\":\"ping\",\"id\":7}"), "ping");
    bool is_answered = false;
    while (!is_answered) {
        check(socket.next(std::chrono::seconds(20),
                          [&](const parlor::Event &p_event) {
                              is_answered = p_event.kind() == PARLOR_EVENT_TEXT &&
                                            std::string(p_event.data()).find("\"id\":7") != std::string::npos;
                          }),
              "answer");
    }
    check(socket.close(1000, "done", std::chrono::seconds(5)), "close");
    while (socket.next(std::chrono::seconds(20), [](const parlor::Event &) {}) == std::error_code())
        ;
}

} // namespace

int main(int p_count, char **p_arguments)
{
    if (p_count < 2)
        return 2;
    const std::string url = p_arguments[1];
    const std::string how = p_count > 2 ? p_arguments[2] : "";
    const bool throws = how == "throw";
    const std::shared_ptr<Owned> owned = std::make_shared<Owned>();
    {
        parlor::Client ada, bob;
        parlor::Options options(url + "?user=ada");
        std::shared_ptr<Owned> kept = owned;
        options.thread_name("NetworkThread").on_event([kept, throws](const parlor::Event &p_event) {
            if (p_event.kind() == PARLOR_EVENT_ENTRY && p_event.type() == parlor::Text("chat:message")) {
                std::printf("ada hears %s: %s\n", std::string(p_event.user()).c_str(), std::string(p_event.text()).c_str());
                g_unguarded++;
                count(g_heard);
                if (throws)
                    throw std::runtime_error("it does not like that");
            }
        });
        options.on_log([](std::int32_t, parlor::Text p_line) {
            std::printf("log: %s\n", std::string(p_line).c_str());
            count(g_logged);
        });
        check(ada.open(options), "ada");
        check(ada.join("tea"), "join");
        check(ada.wait_online(std::chrono::seconds(20)), "online");
        check(bob.open(parlor::Options(url + "?user=bob")), "bob");
        check(bob.join("tea"), "join");
        std::uint64_t sent = 0;
        check(bob.send("tea", "good evening", &sent), "send");
        bool is_stored = false;
        while (!is_stored) {
            check(bob.next(std::chrono::seconds(20),
                           [&](const parlor::Event &p_event) {
                               is_stored = p_event.kind() == PARLOR_EVENT_SENT && p_event.request() == sent && p_event.refusal().empty();
                           }),
                  "stored");
        }
        if (how == "race")
            std::printf("%d\n", g_unguarded++);
        wait_for(g_heard, 1);
        if (throws)
            wait_for(g_logged, 1);
        if (bob.about(PARLOR_ABOUT_HELLO).find("\"user\":\"bob\"") == std::string::npos)
            return 4;
        parlor::Client moved(std::move(bob));
        if (bob || !moved || moved.state() != PARLOR_STATE_ONLINE || bob.state() != PARLOR_E_FREED)
            return 5;
        if (bob.drain([](const parlor::Event &) {}) != parlor::error(PARLOR_E_FREED) || bob.stop() != parlor::error(PARLOR_E_FREED))
            return 6;
        // All that waits at once, and none more than it was asked for.
        std::uint64_t joining = 0;
        check(moved.join("den", &joining), "join");
        bool is_answered = false;
        for (int looks = 0; !is_answered; looks++) {
            if (looks == 20000)
                return 8;
            unsigned seen = 0;
            const std::error_code drained = moved.drain(
                [&](const parlor::Event &p_event) {
                    seen++;
                    is_answered = is_answered || (p_event.kind() == PARLOR_EVENT_ANSWER && p_event.request() == joining);
                },
                2);
            // Either there may be more, or there are none.
            if (drained != (seen == 2 ? std::error_code() : parlor::error(PARLOR_E_TIMEOUT)))
                return 9;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        // What is thrown comes to whoever has asked, and what waits behind that event is told later.
        check(moved.join("attic", &joining), "join");
        check(moved.stop(std::chrono::seconds(5)), "stop");
        bool was_thrown = false, is_over = false;
        for (int looks = 0; !is_over && looks < 20000; looks++) {
            try {
                const auto see = [&](const parlor::Event &p_event) {
                    is_over = p_event.kind() == PARLOR_EVENT_ENDED;
                    if (!was_thrown)
                        throw 7;
                };
                static_cast<void>(moved.drain(see));
            } catch (int) {
                was_thrown = true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        if (!was_thrown || !is_over)
            return 10;
    }
    socket(url);
    // The options are gone, and the client: this is the last.
    if (owned.use_count() != 1)
        return 7;
    std::puts("done");
    return 0;
}
