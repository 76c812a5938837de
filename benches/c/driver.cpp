// Measures the client that it is linked with. Times are in microseconds.
//
//   driver rate URL AUTHORITIES COUNT BYTES WINDOW   prints: messages a second, and processor time for each
//   driver stay URL AUTHORITIES                      says "ready" once it is open, and stops at the end of its input
//   driver stop URL AUTHORITIES WAIT                 prints how long stopping takes after it has tried for so long
#include "peer.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <thread>

namespace {

std::mutex g_lock;
std::condition_variable g_changed;
bool g_is_open, g_is_done;

using Clock = std::chrono::steady_clock;

long long micros_since(Clock::time_point p_begun)
{
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - p_begun).count();
}

void tell(bool &p_place)
{
    const std::lock_guard<std::mutex> lock(g_lock);
    p_place = true;
    g_changed.notify_all();
}

void wait_for(const bool &p_place)
{
    std::unique_lock<std::mutex> lock(g_lock);
    if (!g_changed.wait_for(lock, std::chrono::seconds(60), [&] { return p_place; }))
        std::exit(3);
}

int rate(const std::string &p_url, const std::string &p_authorities, long p_count, std::size_t p_bytes, long p_window)
{
    const std::string text(p_bytes, 'x');
    std::unique_ptr<Peer> peer;
    long sent = p_window, heard = 0;
    Told told;
    told.m_opened = [] { tell(g_is_open); };
    // Each that comes back sends the next: so many are on their way.
    told.m_text = [&](const char *, std::size_t p_size) {
        if (p_size != p_bytes)
            std::exit(4);
        if (sent < p_count && peer->send(text))
            ++sent;
        if (++heard == p_count)
            tell(g_is_done);
    };
    peer = open_peer(p_url, p_authorities, told);
    wait_for(g_is_open);
    const Clock::time_point begun = Clock::now();
    const std::clock_t processor = std::clock();
    for (long at = 0; at < p_window; ++at)
        if (!peer->send(text))
            return 5;
    wait_for(g_is_done);
    const double took = static_cast<double>(micros_since(begun));
    const double worked = static_cast<double>(std::clock() - processor) * 1e6 / CLOCKS_PER_SEC;
    std::printf("%.0f %.3f\n", static_cast<double>(p_count) * 1e6 / took, worked / static_cast<double>(p_count));
    return 0;
}

} // namespace

int main(int p_count, char **p_arguments)
{
    if (p_count < 4)
        return 2;
    const std::string what = p_arguments[1], url = p_arguments[2], authorities = p_arguments[3];
    if (what == "rate" && p_count == 7)
        return rate(url, authorities, std::atol(p_arguments[4]), static_cast<std::size_t>(std::atol(p_arguments[5])), std::atol(p_arguments[6]));
    Told told;
    told.m_opened = [] { tell(g_is_open); };
    told.m_text = [](const char *, std::size_t) {};
    std::unique_ptr<Peer> peer = open_peer(url, authorities, told);
    if (what == "stay") {
        wait_for(g_is_open);
        std::puts("ready");
        std::fflush(stdout);
        while (std::getchar() != EOF) {
        }
    } else if (what == "stop" && p_count == 5) {
        std::this_thread::sleep_for(std::chrono::microseconds(std::atol(p_arguments[4])));
    } else {
        return 2;
    }
    const Clock::time_point begun = Clock::now();
    peer.reset();
    std::printf("%lld\n", micros_since(begun));
    return 0;
}
