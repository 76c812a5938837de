// The host's own class for a secure WebSocket. Whoever uses it sees nothing of what is underneath.
#ifndef TALLY_WSS_HPP
#define TALLY_WSS_HPP

class Wss {
public:
    using MessageFunction = std::function<void(const std::string &text)>;

    Wss();
    ~Wss();
    Wss(const Wss &) = delete;
    Wss &operator=(const Wss &) = delete;

    // Called with each message, on a thread of the socket's own. Before Start.
    void OnMessage(MessageFunction function);

    // Begins to connect, and goes on for ever: after 1, 2, 4, 4 … seconds. The server's certificate is judged by the
    // authorities in the file caBundle alone; without one, by the system's. It does not wait for the network. What was begun
    // before stops first.
    bool Start(const std::string &url, const std::string &caBundle);

    // From any thread, also from OnMessage. False if the socket is not open, or too much waits.
    bool Send(const std::string &text);

    // Says goodbye, for at most a second, and ends: nothing is called any more when it returns. Once, or more often.
    void Stop();

private:
    struct Inside;
    std::unique_ptr<Inside> m_inside;
};

#endif
