// tally: counts what a server says, and tells it what is typed.
//
//   tally URL [--ca FILE] [--log FILE] [--self-test]
#include "selftest.hpp"
#include "wss.hpp"

namespace {

int Usage()
{
    std::cerr << "usage: tally URL [--ca FILE] [--log FILE] [--self-test]\n"
                 "Each line of standard input is sent; `again` closes and opens anew; `quit`, or its end, ends the program.\n";
    return 2;
}

} // namespace

int main(int count, char **arguments)
{
    std::string url, caBundle, log;
    bool tests = false;
    for (int at = 1; at < count; at++) {
        const std::string argument = arguments[at];
        if (argument == "--self-test")
            tests = true;
        else if ((argument == "--ca" || argument == "--log") && at + 1 < count)
            (argument == "--ca" ? caBundle : log) = arguments[++at];
        else if (url.empty() && argument.compare(0, 2, "--") != 0)
            url = argument;
        else
            return Usage();
    }
    if (url.empty())
        return Usage();
    if (!log.empty())
        LogToFile(log);
    if (tests) {
        BeginSelfTest(url, caBundle);
        LogInfo("tally: goes on while it tests itself");
    }

    Wss wss;
    std::atomic<int> heard(0);
    wss.OnMessage([&](const std::string &text) {
        const int number = ++heard;
        std::printf("%d %s\n", number, text.c_str());
        std::fflush(stdout);
    });
    if (!wss.Start(url, caBundle))
        return 1;
    std::string line;
    while (std::getline(std::cin, line) && line != "quit") {
        if (line == "again") {
            if (!wss.Start(url, caBundle))
                break;
            continue;
        }
        // On a thread that is not the one on which the socket was begun.
        std::thread([&] {
            if (!wss.Send(line))
                LogError("tally: not sent: %s", line.c_str());
        }).join();
    }
    wss.Stop();
    WaitForSelfTests();
    LogInfo("tally: %d messages", heard.load());
    return 0;
}
