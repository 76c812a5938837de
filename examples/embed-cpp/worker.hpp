// A thread for what waits for the disk: the server's own must not.
#ifndef EMBED_CPP_WORKER_HPP
#define EMBED_CPP_WORKER_HPP

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

// Does one thing after the other, in the order in which they were added.
class Worker {
public:
    Worker() : m_thread([this] { run(); }) {}
    ~Worker() { end(); }
    Worker(const Worker &) = delete;
    Worker &operator=(const Worker &) = delete;

    // From any thread. False if as much waits as may, or it has ended. What is added must not throw.
    bool add(std::function<void()> work)
    {
        {
            const std::lock_guard<std::mutex> lock(m_lock);
            if (m_hasEnded || m_waiting.size() >= s_waitingMax)
                return false;
            m_waiting.push_back(std::move(work));
        }
        m_changed.notify_one();
        return true;
    }

    // Does what waits, and waits for that.
    void end()
    {
        {
            const std::lock_guard<std::mutex> lock(m_lock);
            m_hasEnded = true;
        }
        m_changed.notify_one();
        if (m_thread.joinable())
            m_thread.join();
    }

private:
    static const std::size_t s_waitingMax = 10000;

    void run()
    {
        std::unique_lock<std::mutex> lock(m_lock);
        for (;;) {
            m_changed.wait(lock, [this] { return m_hasEnded || !m_waiting.empty(); });
            if (m_waiting.empty())
                return;
            std::function<void()> work = std::move(m_waiting.front());
            m_waiting.pop_front();
            lock.unlock();
            work();
            work = nullptr;
            lock.lock();
        }
    }

    std::mutex m_lock;
    std::condition_variable m_changed;
    std::deque<std::function<void()>> m_waiting;
    bool m_hasEnded = false;
    // Begins when all else is there.
    std::thread m_thread;
};

#endif
