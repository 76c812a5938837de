// parlor_asio.hpp: a client in an io_context of asio's; for C++11. With PARLOR_BOOST_ASIO defined it is Boost's asio.
#ifndef PARLOR_ASIO_HPP
#define PARLOR_ASIO_HPP

#include "parlor.hpp"

#if defined(PARLOR_BOOST_ASIO)
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#else
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#endif

#include <fcntl.h>

namespace parlor {

#if defined(PARLOR_BOOST_ASIO)
namespace asio_ns = boost::asio;
using AsioError = boost::system::error_code;
#else
namespace asio_ns = ::asio;
using AsioError = ::asio::error_code;
#endif

// Has a function called with each event of a client by an io_context, in which it counts as work until the last event.
// When this is destroyed, by that function, on a thread of the io_context or while that does not run, nothing is called
// any more. One thread runs the io_context, or the executor is a strand. What the function throws leaves run(), as with any
// handler.
class AsioEvents {
public:
    // Nothing is called if the client has none to take, as with on_event: is_waiting() is false then.
    AsioEvents(asio_ns::io_context &p_context, const Handle &p_handle, EventFunction p_see)
        : m_state(std::make_shared<State>(p_context, p_handle, std::move(p_see)))
    {
        const std::intptr_t own = p_handle.wait_handle();
        const int descriptor = own < 0 ? -1 : ::fcntl(static_cast<int>(own), F_DUPFD_CLOEXEC, 0);
        if (descriptor >= 0) {
            m_state->m_descriptor.assign(descriptor);
            wait(m_state);
        }
    }
    AsioEvents(const AsioEvents &) = delete;
    AsioEvents &operator=(const AsioEvents &) = delete;
    ~AsioEvents() { m_state->end(); }

    bool is_waiting() const { return m_state->m_descriptor.is_open(); }

private:
    struct State {
        State(asio_ns::io_context &p_context, const Handle &p_handle, EventFunction p_see)
            : m_descriptor(p_context), m_feed(std::make_shared<detail::Feed>(p_handle, std::move(p_see)))
        {
        }

        void end()
        {
            AsioError ignored;
            m_feed->end();
            m_descriptor.close(ignored);
        }

        asio_ns::posix::stream_descriptor m_descriptor;
        std::shared_ptr<detail::Feed> m_feed;
    };

    // Goes on behind each event that was told, also of one whose function has thrown.
    struct Going {
        const std::shared_ptr<State> &m_state;
        ~Going()
        {
            if (m_state->m_feed->is_over())
                m_state->end();
            else
                wait(m_state);
        }
    };

    static void wait(const std::shared_ptr<State> &p_state)
    {
        p_state->m_descriptor.async_wait(asio_ns::posix::stream_descriptor::wait_read, [p_state](const AsioError &p_error) {
            if (p_error || p_state->m_feed->is_over())
                return;
            const Going going = {p_state};
            detail::Feed::drain(p_state->m_feed);
        });
    }

    std::shared_ptr<State> m_state;
};

} // namespace parlor

#endif
