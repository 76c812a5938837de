#include "database.hpp"

#include <sqlite3.h>

#include <memory>

namespace {

const char *const g_tables = R"(
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS people (id TEXT PRIMARY KEY, is_admin INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS sessions (key TEXT PRIMARY KEY, person TEXT NOT NULL REFERENCES people);
CREATE TABLE IF NOT EXISTS members (conversation TEXT NOT NULL, person TEXT NOT NULL, PRIMARY KEY (conversation, person));
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, conversation TEXT NOT NULL, person TEXT NOT NULL, text TEXT NOT NULL,
    at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)));
CREATE INDEX IF NOT EXISTS of_conversation ON messages (conversation, id);
)";

} // namespace

Database::Database(const std::string &path) : m_raw(nullptr)
{
    // Another process, as one that adds somebody, may be writing.
    const int patienceMs = 5000;
    if (sqlite3_open(path.c_str(), &m_raw) != SQLITE_OK || sqlite3_busy_timeout(m_raw, patienceMs) != SQLITE_OK || sqlite3_exec(m_raw, g_tables, nullptr, nullptr, nullptr) != SQLITE_OK) {
        const std::string why = sqlite3_errmsg(m_raw);
        sqlite3_close(m_raw);
        throw std::runtime_error(path + ": " + why);
    }
}

Database::~Database() { sqlite3_close(m_raw); }

std::vector<std::string> Database::ask(const char *sql, std::initializer_list<std::string> values) const
{
    const std::lock_guard<std::mutex> lock(m_lock);
    sqlite3_stmt *made = nullptr;
    sqlite3_prepare_v2(m_raw, sql, -1, &made, nullptr);
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt *)> statement(made, sqlite3_finalize);
    int at = 0;
    for (const std::string &value : values)
        sqlite3_bind_text(made, ++at, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
    std::vector<std::string> rows;
    int step;
    while ((step = sqlite3_step(made)) == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(made, 0);
        rows.emplace_back(text ? reinterpret_cast<const char *>(text) : "");
    }
    if (step != SQLITE_DONE)
        throw std::runtime_error(sqlite3_errmsg(m_raw));
    return rows;
}

std::string Database::one(const char *sql, std::initializer_list<std::string> values) const
{
    const std::vector<std::string> rows = ask(sql, values);
    return rows.empty() ? std::string() : rows.front();
}
