// Two clients in one io_context, with a timer: `asio URL`.
#include "parlor_asio.hpp"

#if defined(PARLOR_BOOST_ASIO)
#include <boost/asio/steady_timer.hpp>
#else
#include <asio/steady_timer.hpp>
#endif

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>

int main(int p_count, char **p_arguments)
{
    if (p_count != 2)
        return 2;
    const std::string url = p_arguments[1];
    parlor::asio_ns::io_context context;
    const std::thread::id own = std::this_thread::get_id();
    parlor::Client ada, bob;
    if (ada.open(parlor::Options(url + "?user=ada")) || bob.open(parlor::Options(url + "?user=bob")))
        return 3;
    ada.join("tea");
    bob.join("tea");
    parlor::asio_ns::steady_timer deadline(context, std::chrono::seconds(20));
    deadline.async_wait([](const parlor::AsioError &p_error) {
        if (!p_error)
            std::exit(4);
    });
    std::unique_ptr<parlor::AsioEvents> ofAda;
    ofAda.reset(new parlor::AsioEvents(context, ada, [&](const parlor::Event &p_event) {
        if (std::this_thread::get_id() != own)
            std::exit(5);
        if (p_event.kind() == PARLOR_EVENT_ENTRY && p_event.type() == parlor::Text("chat:message")) {
            std::printf("ada hears: %s\n", std::string(p_event.text()).c_str());
            bob.stop(std::chrono::seconds(5));
            // Within its own function: nothing more is called, and what there is left is let go of.
            ofAda.reset();
        }
    }));
    parlor::AsioEvents ofBob(context, bob, [&](const parlor::Event &p_event) {
        if (p_event.kind() == PARLOR_EVENT_STATE && p_event.state() == PARLOR_STATE_ONLINE) {
            bob.send("tea", "good evening");
            throw std::runtime_error("it does not like that");
        }
        if (p_event.kind() == PARLOR_EVENT_ENDED) {
            std::puts("bob has ended");
            deadline.cancel();
        }
    });
    if (!ofAda->is_waiting() || !ofBob.is_waiting())
        return 6;
    // It ends when nothing is left to do. What a function throws comes here, and the other events after it.
    for (bool has_ended = false; !has_ended;) {
        try {
            context.run();
            has_ended = true;
        } catch (const std::runtime_error &caught) {
            std::printf("caught: %s\n", caught.what());
        }
    }
    if (ofBob.is_waiting() || ofAda)
        return 7;
    std::puts("done");
    return 0;
}
