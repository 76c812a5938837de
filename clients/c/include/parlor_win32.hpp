// parlor_win32.hpp: a client in a thread's message loop on Windows; for C++11.
//
// It compiles with mingw-w64. It was never run: the library itself was not tried on Windows.
#ifndef PARLOR_WIN32_HPP
#define PARLOR_WIN32_HPP

#include "parlor.hpp"

#include <windows.h>

namespace parlor {

// Has a message posted to a window while events of a client wait. The window's procedure calls handle() for it.
class WindowEvents {
public:
    WindowEvents(HWND p_window, UINT p_message, const Handle &p_handle, EventFunction p_see)
        : m_window(p_window), m_message(p_message), m_event(nullptr), m_wait(nullptr),
          m_feed(std::make_shared<detail::Feed>(p_handle, std::move(p_see)))
    {
        const std::intptr_t handle = p_handle.wait_handle();
        if (handle != -1)
            m_event = reinterpret_cast<HANDLE>(handle);
        wait();
    }
    WindowEvents(const WindowEvents &) = delete;
    WindowEvents &operator=(const WindowEvents &) = delete;
    ~WindowEvents()
    {
        m_feed->end();
        stop();
    }

    bool is_waiting() const noexcept { return m_wait != nullptr; }

    // Hands over events that wait. Its function must not destroy this.
    void handle()
    {
        stop();
        // Also if its function throws.
        const Going going = {this};
        if (!m_feed->is_over())
            detail::Feed::drain(m_feed);
    }

private:
    struct Going {
        WindowEvents *m_events;
        ~Going()
        {
            if (!m_events->m_feed->is_over())
                m_events->wait();
        }
    };

    void wait()
    {
        // Once: it is signaled until the events were taken.
        if (m_event && !RegisterWaitForSingleObject(&m_wait, m_event, &WindowEvents::post, this, INFINITE, WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD))
            m_wait = nullptr;
    }

    // Waits for a call of post that runs: this must be there until it returns.
    void stop()
    {
        if (m_wait)
            UnregisterWaitEx(m_wait, INVALID_HANDLE_VALUE);
        m_wait = nullptr;
    }

    static void CALLBACK post(void *p_this, BOOLEAN) noexcept
    {
        const WindowEvents *events = static_cast<const WindowEvents *>(p_this);
        PostMessageW(events->m_window, events->m_message, 0, 0);
    }

    HWND m_window;
    UINT m_message;
    HANDLE m_event;
    HANDLE m_wait;
    std::shared_ptr<detail::Feed> m_feed;
};

} // namespace parlor

#endif
