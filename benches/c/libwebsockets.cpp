#include "peer.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <libwebsockets.h>
#include <mutex>
#include <thread>

class LwsPeer : public Peer {
public:
    LwsPeer(const std::string &p_url, const std::string &p_authorities, Told p_told) : m_url(p_url), m_told(std::move(p_told))
    {
        const char *scheme, *address, *path;
        int port;
        lws_set_log_level(0, nullptr);
        if (lws_parse_uri(&m_url[0], &scheme, &address, &port, &path))
            std::abort();
        m_address = address;
        m_path = std::string("/") + path;
        m_port = port;
        m_is_secure = std::strcmp(scheme, "wss") == 0;
        lws_context_creation_info info;
        std::memset(&info, 0, sizeof info);
        info.port = CONTEXT_PORT_NO_LISTEN;
        info.protocols = s_protocols;
        info.user = this;
        info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.fd_limit_per_thread = 4;
        if (!p_authorities.empty())
            info.client_ssl_ca_filepath = p_authorities.c_str();
        m_context = lws_create_context(&info);
        if (!m_context)
            std::abort();
        m_thread = std::thread([this] { run(); });
    }
    ~LwsPeer() override
    {
        m_stops = true;
        lws_cancel_service(m_context);
        m_thread.join();
        lws_context_destroy(m_context);
    }
    bool send(const std::string &p_text) override
    {
        {
            const std::lock_guard<std::mutex> lock(m_lock);
            if (!m_is_open)
                return false;
            m_waiting.push_back(std::string(LWS_PRE, '\0') + p_text);
        }
        if (std::this_thread::get_id() == m_thread.get_id())
            lws_callback_on_writable(m_wsi);
        else
            lws_cancel_service(m_context);
        return true;
    }

private:
    struct Retry {
        lws_sorted_usec_list_t m_timer;
        LwsPeer *m_peer;
    };

    void run()
    {
        m_retry.m_peer = this;
        std::memset(&m_retry.m_timer, 0, sizeof m_retry.m_timer);
        lws_sul_schedule(m_context, 0, &m_retry.m_timer, &LwsPeer::connect, 1);
        while (!m_stops && lws_service(m_context, 0) >= 0) {
        }
        lws_sul_schedule(m_context, 0, &m_retry.m_timer, &LwsPeer::connect, LWS_SET_TIMER_USEC_CANCEL);
    }

    static void connect(lws_sorted_usec_list_t *p_timer)
    {
        LwsPeer *self = lws_container_of(p_timer, Retry, m_timer)->m_peer;
        lws_client_connect_info info;
        std::memset(&info, 0, sizeof info);
        info.context = self->m_context;
        info.address = info.host = info.origin = self->m_address.c_str();
        info.port = self->m_port;
        info.path = self->m_path.c_str();
        info.ssl_connection = self->m_is_secure ? LCCSCF_USE_SSL : 0;
        info.local_protocol_name = "peer";
        info.pwsi = &self->m_wsi;
        if (!lws_client_connect_via_info(&info))
            self->again();
    }

    void again()
    {
        {
            const std::lock_guard<std::mutex> lock(m_lock);
            m_is_open = false;
            m_waiting.clear();
        }
        m_wsi = nullptr;
        lws_sul_schedule(m_context, 0, &m_retry.m_timer, &LwsPeer::connect, m_wait * LWS_US_PER_SEC);
        m_wait = m_wait < 4 ? m_wait * 2 : 4;
    }

    static int see(lws *p_wsi, lws_callback_reasons p_reason, void *, void *p_data, std::size_t p_size)
    {
        LwsPeer *self = static_cast<LwsPeer *>(lws_context_user(lws_get_context(p_wsi)));
        switch (p_reason) {
        case LWS_CALLBACK_CLIENT_ESTABLISHED: {
            {
                const std::lock_guard<std::mutex> lock(self->m_lock);
                self->m_is_open = true;
            }
            self->m_wait = 1;
            self->m_told.m_opened();
            break;
        }
        case LWS_CALLBACK_CLIENT_RECEIVE:
            self->m_message.append(static_cast<const char *>(p_data), p_size);
            if (lws_is_final_fragment(p_wsi) && lws_remaining_packet_payload(p_wsi) == 0) {
                self->m_told.m_text(self->m_message.data(), self->m_message.size());
                self->m_message.clear();
            }
            break;
        case LWS_CALLBACK_CLIENT_WRITEABLE: {
            std::string next;
            bool has_more = false;
            {
                const std::lock_guard<std::mutex> lock(self->m_lock);
                if (self->m_waiting.empty())
                    break;
                next.swap(self->m_waiting.front());
                self->m_waiting.pop_front();
                has_more = !self->m_waiting.empty();
            }
            unsigned char *text = reinterpret_cast<unsigned char *>(&next[LWS_PRE]);
            if (lws_write(p_wsi, text, next.size() - LWS_PRE, LWS_WRITE_TEXT) < 0)
                return -1;
            if (has_more)
                lws_callback_on_writable(p_wsi);
            break;
        }
        case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
            if (self && self->m_wsi && self->m_is_open)
                lws_callback_on_writable(self->m_wsi);
            break;
        case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        case LWS_CALLBACK_CLIENT_CLOSED:
            self->again();
            break;
        default:
            break;
        }
        return 0;
    }

    static const lws_protocols s_protocols[];

    std::string m_url, m_address, m_path, m_message;
    int m_port = 0;
    bool m_is_secure = false;
    Told m_told;
    lws_context *m_context = nullptr;
    lws *m_wsi = nullptr;
    Retry m_retry;
    lws_usec_t m_wait = 1;
    std::mutex m_lock;
    std::deque<std::string> m_waiting;
    bool m_is_open = false;
    std::atomic<bool> m_stops{false};
    std::thread m_thread;
};

const lws_protocols LwsPeer::s_protocols[] = {{"peer", &LwsPeer::see, 0, 65536, 0, nullptr, 0}, {nullptr, nullptr, 0, 0, 0, nullptr, 0}};

std::unique_ptr<Peer> open_peer(const std::string &p_url, const std::string &p_authorities, Told p_told)
{
    return std::unique_ptr<Peer>(new LwsPeer(p_url, p_authorities, std::move(p_told)));
}
