// A client and a server in one program.
#include "parlor.hpp"
#include "parlor_server.hpp"

#include <cstdio>
#include <string>

int main()
{
    parlor::Server server;
    parlor::Client ada;
    if (server.start(parlor::ServerOptions().listen("127.0.0.1:0").data(":memory:")))
        return 1;
    if (ada.open(parlor::Options("ws://127.0.0.1:" + std::to_string(server.port()) + "/ws?user=ada")) || ada.wait_online(std::chrono::seconds(20)))
        return 2;
    // One call that needs another waits for it.
    const auto publish = [&](const parlor::Call &p_done) {
        if (!p_done.error())
            server.publish("tea", "bob", "good evening");
    };
    if (server.create("tea", "bob", "", true, {"ada"}, publish) || ada.join("tea"))
        return 3;
    bool is_heard = false;
    while (!is_heard) {
        const std::error_code code = ada.next(std::chrono::seconds(20), [&](const parlor::Event &p_event) {
            is_heard = p_event.kind() == PARLOR_EVENT_ENTRY && p_event.type() == parlor::Text("chat:message");
            if (is_heard)
                std::printf("ada hears: %s\n", std::string(p_event.text()).c_str());
        });
        if (code)
            return 4;
    }
    std::puts("done");
    return 0;
}
