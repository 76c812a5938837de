#include "selftest.hpp"

#include <parlor.hpp>

namespace {

std::mutex g_lock;
std::condition_variable g_changed;
int g_running;

void CountRunning(int by)
{
    const std::lock_guard<std::mutex> lock(g_lock);
    g_running += by;
    g_changed.notify_all();
}

// One of them. Its socket's function owns it, and so it ends with its socket, for which nobody waits.
struct SelfTest {
    parlor::Socket m_socket;
    std::chrono::steady_clock::time_point m_begun = std::chrono::steady_clock::now();
    std::string m_fault = "the server said nothing";
    bool m_isOpen = false;

    SelfTest() { CountRunning(1); }
    ~SelfTest() { CountRunning(-1); }

    void See(const parlor::Event &event)
    {
        switch (event.kind()) {
        case PARLOR_EVENT_OPENED:
            m_isOpen = true;
            m_socket.send("self-test");
            break;
        case PARLOR_EVENT_TEXT:
            m_fault.clear();
            m_socket.close(1000, "", std::chrono::seconds(1));
            break;
        case PARLOR_EVENT_LOST:
            if (!m_isOpen)
                m_fault = std::string(event.message());
            // It is not tried again.
            m_socket.stop();
            break;
        case PARLOR_EVENT_ENDED:
            Report();
            // Nothing has it but its socket's function: with this it is destroyed when that has returned.
            m_socket = parlor::Socket();
            break;
        default:
            break;
        }
    }

    void Report() const
    {
        using std::chrono::milliseconds;
        const auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - m_begun);
        if (m_fault.empty())
            LogInfo("self-test: passed in %d ms", static_cast<int>(took.count()));
        else
            LogError("self-test: failed: %s", m_fault.c_str());
    }
};

} // namespace

void BeginSelfTest(const std::string &url, const std::string &caBundle)
{
    using std::chrono::seconds;
    const auto test = std::make_shared<SelfTest>();
    parlor::Options options(url);
    options.thread_name("SelfTest").ca_file(caBundle).attempts(0).timeout(seconds(5));
    options.ping(seconds(2), seconds(2));
    options.on_event([test](const parlor::Event &event) { test->See(event); });
    if (test->m_socket.open(options))
        LogError("self-test: failed: %s", parlor::last_error().c_str());
}

void WaitForSelfTests()
{
    std::unique_lock<std::mutex> lock(g_lock);
    g_changed.wait(lock, [] { return g_running == 0; });
}
