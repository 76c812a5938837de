// Half of a program whose halves are compiled by different standards: `HALF` is which.
#include "parlor.hpp"

#include <cstdio>
#include <cstring>

std::size_t message_size(const parlor::Event &p_event);
void configure(parlor::Options &p_options);

#if HALF == 1
int main()
{
    parlor::Options options("ws://127.0.0.1:1/");
    configure(options);
    parlor::Client client;
    if (client.open(options))
        return 1;
    for (int told = 0; told < 4; ++told) {
        const auto see = [](const parlor::Event &p_event) {
            const std::string message(p_event.message());
            if (message.size() != message_size(p_event) || message.size() > 200)
                std::exit(2);
            std::printf("%d %s\n", p_event.kind(), message.c_str());
        };
        if (client.next(std::chrono::seconds(10), see))
            return 3;
    }
}
#else
std::size_t message_size(const parlor::Event &p_event)
{
    const parlor::Text text = p_event.message();
    return text.size();
}

void configure(parlor::Options &p_options)
{
    p_options.backoff(std::chrono::milliseconds(1), std::chrono::milliseconds(1)).name("ada");
    p_options.on_log([](std::int32_t, parlor::Text p_line) { std::fprintf(stderr, "%s\n", std::string(p_line).c_str()); }, PARLOR_LOG_TRACE);
}
#endif
