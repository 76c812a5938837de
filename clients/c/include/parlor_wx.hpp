// parlor_wx.hpp: a client in an event loop of wxWidgets' (3.2, on Unix); for C++11.
#ifndef PARLOR_WX_HPP
#define PARLOR_WX_HPP

#include "parlor.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <wx/evtloop.h>
#include <wx/evtloopsrc.h>

namespace parlor {

// Has a function called with each event of a client by an event loop, on the main thread. One makes it where the loop runs,
// as in wxApp::OnEventLoopEnter, and destroys it before the loop, as in OnEventLoopExit; also within its function, which
// may call ExitMainLoop.
class WxEvents : private wxEventLoopSourceHandler {
public:
    // Nothing is called if the client has none to take, as with on_event: is_waiting() is false then.
    WxEvents(wxEventLoopBase &p_loop, const Handle &p_handle, EventFunction p_see)
        : m_feed(std::make_shared<detail::Feed>(p_handle, std::move(p_see)))
    {
        // The loop's own, which it has until this is destroyed, also if the client was freed before.
        m_descriptor = fcntl(static_cast<int>(p_handle.wait_handle()), F_DUPFD_CLOEXEC, 0);
        if (m_descriptor >= 0)
            m_source.reset(p_loop.AddSourceForFD(m_descriptor, this, wxEVENT_SOURCE_INPUT));
    }
    WxEvents(const WxEvents &) = delete;
    WxEvents &operator=(const WxEvents &) = delete;
    ~WxEvents() override
    {
        m_feed->end();
        m_source.reset();
        if (m_descriptor >= 0)
            close(m_descriptor);
        if (m_is_gone)
            *m_is_gone = true;
    }

    bool is_waiting() const noexcept { return m_source != nullptr; }

private:
    void OnReadWaiting() override
    {
        bool is_gone = false;
        m_is_gone = &is_gone;
        try {
            detail::Feed::drain(m_feed);
        } catch (...) {
            if (!is_gone)
                m_is_gone = nullptr;
            throw;
        }
        if (is_gone)
            return;
        m_is_gone = nullptr;
        if (m_feed->is_over())
            m_source.reset();
    }
    void OnWriteWaiting() override {}
    void OnExceptionWaiting() override {}

    std::shared_ptr<detail::Feed> m_feed;
    std::unique_ptr<wxEventLoopSource> m_source;
    int m_descriptor = -1;
    // What is to be told if this is destroyed while its function runs.
    bool *m_is_gone = nullptr;
};

} // namespace parlor

#endif
