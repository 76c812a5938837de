#include "wss.hpp"

#include <parlor.hpp>

struct Wss::Inside {
    parlor::Socket m_socket;
    MessageFunction m_onMessage;
    std::mutex m_lock;
    std::condition_variable m_changed;
    bool m_hasEnded = false;

    Inside() { LogInfo("wss: created"); }
    ~Inside() { LogInfo("wss: destroyed"); }

    void See(const parlor::Event &event)
    {
        switch (event.kind()) {
        case PARLOR_EVENT_OPENED:
            LogInfo("wss: open");
            break;
        case PARLOR_EVENT_TEXT:
            if (m_onMessage)
                m_onMessage(std::string(event.data()));
            break;
        case PARLOR_EVENT_LOST:
            if (event.code() == 1000)
                LogInfo("wss: closed");
            else
                LogError("wss: %s", std::string(event.message()).c_str());
            break;
        case PARLOR_EVENT_ENDED:
            End();
            break;
        default:
            break;
        }
    }

    void End()
    {
        LogInfo("wss: ended");
        const std::lock_guard<std::mutex> lock(m_lock);
        m_hasEnded = true;
        m_changed.notify_all();
    }
};

Wss::Wss() : m_inside(new Inside) {}

Wss::~Wss() { Stop(); }

void Wss::OnMessage(MessageFunction function) { m_inside->m_onMessage = std::move(function); }

bool Wss::Start(const std::string &url, const std::string &caBundle)
{
    using std::chrono::seconds;
    Stop();
    m_inside->m_hasEnded = false;
    parlor::Options options(url);
    options.thread_name("NetworkThread").ca_file(caBundle).backoff(seconds(1), seconds(4), 2, false).ping(seconds(20), seconds(10));
    // It is there until the socket has ended: Stop waits for that.
    Inside *inside = m_inside.get();
    options.on_event([inside](const parlor::Event &event) { inside->See(event); });
    options.on_log([](std::int32_t level, parlor::Text line) {
        (level == PARLOR_LOG_ERROR ? LogError : LogInfo)("wss: %s", std::string(line).c_str());
    });
    if (m_inside->m_socket.open(options)) {
        LogError("wss: %s", parlor::last_error().c_str());
        return false;
    }
    return true;
}

bool Wss::Send(const std::string &text) { return !m_inside->m_socket.send(text); }

void Wss::Stop()
{
    if (!m_inside->m_socket)
        return;
    m_inside->m_socket.close(1000, "", std::chrono::seconds(1));
    {
        std::unique_lock<std::mutex> lock(m_inside->m_lock);
        m_inside->m_changed.wait(lock, [this] { return m_inside->m_hasEnded; });
    }
    m_inside->m_socket = parlor::Socket();
}
