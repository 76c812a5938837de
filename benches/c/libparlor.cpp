#include "peer.hpp"

#include <cstdlib>
#include <parlor.hpp>

class ParlorPeer : public Peer {
public:
    ParlorPeer(const std::string &p_url, const std::string &p_authorities, Told p_told)
    {
        parlor::Options options(p_url);
        options.ca_file(p_authorities).backoff(std::chrono::seconds(1), std::chrono::seconds(4));
        options.on_event([p_told](const parlor::Event &p_event) {
            if (p_event.kind() == PARLOR_EVENT_OPENED)
                p_told.m_opened();
            else if (p_event.kind() == PARLOR_EVENT_TEXT)
                p_told.m_text(p_event.data().data(), p_event.data().size());
        });
        if (m_socket.open(options))
            std::abort();
    }
    bool send(const std::string &p_text) override { return !m_socket.send(p_text); }

private:
    parlor::Socket m_socket;
};

std::unique_ptr<Peer> open_peer(const std::string &p_url, const std::string &p_authorities, Told p_told)
{
    return std::unique_ptr<Peer>(new ParlorPeer(p_url, p_authorities, std::move(p_told)));
}
