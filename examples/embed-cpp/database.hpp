// The program's own tables: people, sessions, conversations and what was said in them.
#ifndef EMBED_CPP_DATABASE_HPP
#define EMBED_CPP_DATABASE_HPP

#include <initializer_list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

struct sqlite3;

// From any thread; one at a time.
class Database {
public:
    // Throws std::runtime_error if it cannot be opened.
    explicit Database(const std::string &path);
    ~Database();
    Database(const Database &) = delete;
    Database &operator=(const Database &) = delete;

    // Runs one statement with these values; gives the first column of each row. Throws std::runtime_error.
    std::vector<std::string> ask(const char *sql, std::initializer_list<std::string> values = {}) const;

    // The same, of one row at most: empty if there is none.
    std::string one(const char *sql, std::initializer_list<std::string> values = {}) const;

private:
    sqlite3 *m_raw;
    mutable std::mutex m_lock;
};

#endif
