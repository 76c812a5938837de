// A server that does what its requests are called: `server [SETTING ...]`, until standard input ends.
#include "parlor_server.hpp"

#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

std::atomic<int> g_owned(0);

// Counts the functions that there are.
struct Owned {
    Owned() { ++g_owned; }
    Owned(const Owned &) { ++g_owned; }
    ~Owned() { --g_owned; }
};

using parlor::Access;
using parlor::Call;
using parlor::Reply;

void check(std::error_code p_code, const char *p_what)
{
    if (p_code) {
        std::printf("%s: %s: %s\n", p_what, p_code.message().c_str(), parlor::server_last_error().c_str());
        std::exit(1);
    }
}

// A reply that a function may be copied with, as std::function wants it.
using Kept = std::shared_ptr<Reply>;

Kept kept(Reply p_reply) { return std::make_shared<Reply>(std::move(p_reply)); }

} // namespace

int main(int p_count, char **p_arguments)
{
    {
        const Owned owned;
        parlor::ServerOptions options;
        options.listen("127.0.0.1:0").data(":memory:").set("streams={ polled = { program = true } }");
        for (int at = 1; at < p_count; at++)
            options.set(p_arguments[at]);
        options.on_log([owned](std::int32_t p_level, parlor::Text p_line) { std::fprintf(stderr, "log %d %s\n", p_level, std::string(p_line).c_str()); });
        parlor::Server first;
        check(first.start(options), "start");
        parlor::Server server(std::move(first));
        if (first || !server || first.stop() != parlor::server_error(PARLOR_E_FREED))
            return 3;

        check(server.handle("app:now", Access::users,
                            [owned](const Call &p_call, Reply p_reply) {
                                p_reply.ok("{\"was\":" + std::string(p_call.data()) + ",\"user\":\"" + std::string(p_call.user()) + "\"}");
                            }),
              "handle");
        check(server.handle("app:later", Access::users,
                            [owned](const Call &, Reply p_reply) {
                                const Kept reply = kept(std::move(p_reply));
                                std::thread([reply] { reply->ok("{\"is\":\"later\"}"); }).detach();
                            }),
              "handle");
        check(server.handle("app:refuse", Access::users, [owned](const Call &, Reply p_reply) { p_reply.refuse("not_today", "Come back tomorrow."); }), "handle");
        check(server.handle("app:throw", Access::users, [owned](const Call &, Reply) { throw std::runtime_error("it does not like that"); }), "handle");
        check(server.handle("app:forget", Access::users, [owned](const Call &, Reply) {}), "handle");
        check(server.handle("app:rooms", Access::users,
                            [owned, &server](const Call &p_call, Reply p_reply) {
                                const Kept reply = kept(std::move(p_reply));
                                const std::string user(p_call.user());
                                const auto read = [owned, reply](const Call &p_done) { reply->ok(p_done.data()); };
                                const auto publish = [owned, &server, user, read](const Call &) {
                                    server.publish("den", user, "good evening", "m-1", [owned, &server, read](const Call &) { server.history("den", 0, 0, read); });
                                };
                                server.create("den", user, "The den", true, {}, publish);
                            }),
              "handle");
        check(server.handle("app:refused", Access::users,
                            [owned, &server](const Call &, Reply p_reply) {
                                const Kept reply = kept(std::move(p_reply));
                                server.end("nowhere", [owned, reply](const Call &p_done) { reply->ok("{\"refusal\":\"" + std::string(p_done.refusal()) + "\"}"); });
                            }),
              "handle");
        check(server.handle("app:online", Access::users, [owned, &server](const Call &, Reply p_reply) { p_reply.ok("{\"online\":" + server.online() + "}"); }), "handle");
        check(server.path("GET", "/hello/{name}", Access::everybody,
                          [owned](const Call &p_call, Reply p_reply) { p_reply.answer(200, "application/json", p_call.params(), "X-Own: yes"); }),
              "path");
        check(server.path("GET", "/forget", Access::everybody, [owned](const Call &, Reply) {}), "path");
        check(server.socket_path("/ws/own", Access::everybody,
                                 [owned, &server](const Call &p_call) {
                                     if (p_call.kind() == PARLOR_CALL_TEXT)
                                         server.socket_text(p_call.connection(), std::string(p_call.data()) + ", too");
                                 }),
              "socket path");
        int asked = 0;
        check(server.poll("polled", false, std::chrono::milliseconds(100),
                          [owned, asked](parlor::Text p_stream) mutable {
                              return "{\"stream\":\"" + std::string(p_stream) + "\",\"asked\":" + std::to_string(++asked) + "}";
                          }),
              "poll");
        std::printf("port %d\n", server.port());
        std::fflush(stdout);
        while (std::getchar() != EOF)
            ;
        check(server.stop(), "stop");
        check(server.join(), "join");
    }
    std::printf("left %d\n", g_owned.load());
    return 0;
}
