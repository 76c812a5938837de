// What the client of each library does in the same way: it opens a WebSocket, comes back after 1, 2, 4, 4 … seconds when it
// was lost, sends from any thread, and stops where it is destroyed.
#ifndef PEER_HPP
#define PEER_HPP

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

struct Told {
    std::function<void()> m_opened;
    std::function<void(const char *, std::size_t)> m_text;
};

class Peer {
public:
    virtual ~Peer() = default;
    virtual bool send(const std::string &p_text) = 0;
};

std::unique_ptr<Peer> open_peer(const std::string &p_url, const std::string &p_authorities, Told p_told);

#endif
