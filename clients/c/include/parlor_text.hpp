// parlor_text.hpp: what parlor.hpp and parlor_server.hpp have in common: texts and times.
#ifndef PARLOR_TEXT_HPP
#define PARLOR_TEXT_HPP

#include "parlor.h"

#include <chrono>
#include <cstring>
#include <exception>
#include <functional>
#include <iosfwd>
#include <string>

#if __cplusplus >= 201703L
#include <string_view>
#endif

namespace parlor {

using Micros = std::chrono::microseconds;

// A text that lies somewhere else, as std::string_view, to and from which it converts by itself from C++17 on. It is the same
// class in each standard: parts of one program may be compiled by different ones.
class Text {
public:
    Text() noexcept : m_data(nullptr), m_size(0) {}
    Text(const char *p_text) noexcept : m_data(p_text), m_size(p_text ? std::strlen(p_text) : 0) {}
    Text(const char *p_data, std::size_t p_size) noexcept : m_data(p_data), m_size(p_size) {}
    Text(const std::string &p_text) noexcept : m_data(p_text.data()), m_size(p_text.size()) {}
#if __cplusplus >= 201703L
    Text(std::string_view p_text) noexcept : m_data(p_text.data()), m_size(p_text.size()) {}
    operator std::string_view() const noexcept { return std::string_view(m_data, m_size); }
#else
    explicit operator std::string() const { return m_size ? std::string(m_data, m_size) : std::string(); }
#endif
    const char *data() const noexcept { return m_data; }
    std::size_t size() const noexcept { return m_size; }
    bool empty() const noexcept { return m_size == 0; }
    const char *begin() const noexcept { return m_data; }
    const char *end() const noexcept { return m_data + m_size; }
    friend bool operator==(const Text &p_one, const Text &p_other) noexcept
    {
        return p_one.m_size == p_other.m_size && (!p_one.m_size || !std::memcmp(p_one.m_data, p_other.m_data, p_one.m_size));
    }
    friend bool operator!=(const Text &p_one, const Text &p_other) noexcept { return !(p_one == p_other); }
    template <class Traits>
    friend std::basic_ostream<char, Traits> &operator<<(std::basic_ostream<char, Traits> &p_out, const Text &p_text)
    {
        return p_out.write(p_text.m_data, static_cast<std::streamsize>(p_text.m_size));
    }

private:
    const char *m_data;
    std::size_t m_size;
};

namespace detail {

inline parlor_str raw(Text p_text) noexcept
{
    parlor_str text;
    text.p_size = p_text.size();
    text.p_data = p_text.data();
    return text;
}

inline Text cooked(parlor_str p_text) noexcept { return Text(p_text.p_data, p_text.p_size); }

} // namespace detail

using LogFunction = std::function<void(std::int32_t, Text)>;

} // namespace parlor

#endif
