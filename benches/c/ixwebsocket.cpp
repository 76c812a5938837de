#include "peer.hpp"

#include <ixwebsocket/IXWebSocket.h>

class IxPeer : public Peer {
public:
    IxPeer(const std::string &p_url, const std::string &p_authorities, Told p_told)
    {
        m_socket.setUrl(p_url);
        m_socket.disablePerMessageDeflate();
        m_socket.setMinWaitBetweenReconnectionRetries(1000);
        m_socket.setMaxWaitBetweenReconnectionRetries(4000);
        if (!p_authorities.empty()) {
            ix::SocketTLSOptions tls;
            tls.caFile = p_authorities;
            m_socket.setTLSOptions(tls);
        }
        m_socket.setOnMessageCallback([p_told](const ix::WebSocketMessagePtr &p_message) {
            if (p_message->type == ix::WebSocketMessageType::Open)
                p_told.m_opened();
            else if (p_message->type == ix::WebSocketMessageType::Message)
                p_told.m_text(p_message->str.data(), p_message->str.size());
        });
        m_socket.start();
    }
    ~IxPeer() override { m_socket.stop(); }
    bool send(const std::string &p_text) override { return m_socket.sendText(p_text).success; }

private:
    ix::WebSocket m_socket;
};

std::unique_ptr<Peer> open_peer(const std::string &p_url, const std::string &p_authorities, Told p_told)
{
    return std::unique_ptr<Peer>(new IxPeer(p_url, p_authorities, std::move(p_told)));
}
