// A client in wxWidgets' event loop, without a window: `wx URL`.
#include "parlor_wx.hpp"

#include <wx/app.h>
#include <wx/timer.h>

#include <cstdio>

class App : public wxAppConsole {
public:
    bool OnInit() override { return argc == 2 && open(); }

    void OnEventLoopEnter(wxEventLoopBase *p_loop) override
    {
        if (m_events || m_has_ended)
            return;
        m_deadline.Start(20000, wxTIMER_ONE_SHOT);
        begin(*p_loop);
    }

    // Within the function of the last event, which ends the loop.
    void OnEventLoopExit(wxEventLoopBase *) override { m_events.reset(); }

    int OnExit() override
    {
        std::puts(m_has_ended && !m_events && wxIsMainThread() ? "done" : "not done");
        return 0;
    }

private:
    bool open() { return !m_client.open(parlor::Options(argv[1].ToStdString())); }

    void begin(wxEventLoopBase &p_loop)
    {
        m_events.reset(new parlor::WxEvents(p_loop, m_client, [this](const parlor::Event &p_event) { see(p_event); }));
        m_client.join("tea");
        m_client.send("tea", "good evening");
    }

    void see(const parlor::Event &p_event)
    {
        if (!wxIsMainThread())
            return;
        if (p_event.kind() == PARLOR_EVENT_ENTRY && p_event.type() == parlor::Text("chat:message")) {
            std::printf("heard: %s\n", std::string(p_event.text()).c_str());
            m_client.stop();
        }
        if (p_event.kind() == PARLOR_EVENT_ENDED && ++m_rounds == 1) {
            // Another one, which may get the descriptor of this; what takes its events is made before the other goes.
            if (open())
                begin(*wxEventLoopBase::GetActive());
        } else if (p_event.kind() == PARLOR_EVENT_ENDED) {
            m_has_ended = true;
            ExitMainLoop();
        }
    }

    struct Deadline : wxTimer {
        void Notify() override { wxTheApp->ExitMainLoop(); }
    };

    parlor::Client m_client;
    std::unique_ptr<parlor::WxEvents> m_events;
    Deadline m_deadline;
    int m_rounds = 0;
    bool m_has_ended = false;
};

wxIMPLEMENT_APP_CONSOLE(App);
