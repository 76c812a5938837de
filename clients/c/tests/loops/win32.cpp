// A window whose procedure hands over a client's events. It is compiled only.
#include "parlor_win32.hpp"

static const UINT g_message = WM_APP + 1;
static parlor::WindowEvents *g_events;

static LRESULT CALLBACK handle(HWND p_window, UINT p_message, WPARAM p_first, LPARAM p_second)
{
    if (p_message == g_message && g_events) {
        g_events->handle();
        return 0;
    }
    return DefWindowProcW(p_window, p_message, p_first, p_second);
}

int WINAPI WinMain(HINSTANCE p_instance, HINSTANCE, LPSTR, int)
{
    WNDCLASSW kind = WNDCLASSW();
    kind.lpfnWndProc = handle;
    kind.hInstance = p_instance;
    kind.lpszClassName = L"parlor";
    RegisterClassW(&kind);
    const HWND window = CreateWindowW(L"parlor", L"", 0, 0, 0, 0, 0, HWND_MESSAGE, nullptr, p_instance, nullptr);
    parlor::Client client;
    if (client.open(parlor::Options("wss://localhost/ws")))
        return 1;
    parlor::WindowEvents events(window, g_message, client, [](const parlor::Event &p_event) {
        if (p_event.kind() == PARLOR_EVENT_ENDED)
            PostQuitMessage(0);
    });
    g_events = &events;
    MSG message;
    while (GetMessageW(&message, nullptr, 0, 0) > 0)
        DispatchMessageW(&message);
    g_events = nullptr;
    return 0;
}
