// embed-cpp: a backend with a parlor in it. People, conversations and messages are in its own database, and it decides who
// may say what; the server has the connections, who is online, and the limits.
//
//   embed-cpp [--database FILE] --add PERSON [--admin] [--in CONVERSATION]   prints a key by which they sign in
//   embed-cpp [--database FILE] [--http PORT] [--chat PORT]                  serves
#include "database.hpp"
#include "worker.hpp"

#include <parlor_server.hpp>

#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace {

using parlor::Access;
using parlor::Call;
using parlor::Reply;
using parlor::Text;

// What is asked for, kept until the worker comes to it. JSON is read and written by the database, which can do that.
struct Asked {
    std::string person, data, params;
    std::shared_ptr<Reply> reply;
};

class Backend {
public:
    explicit Backend(const std::string &path) : m_database(path), m_sessions(path) {}
    // What the worker does needs the server.
    ~Backend() { m_worker.end(); }

    bool start(const std::string &http, const std::string &chat)
    {
        parlor::ServerOptions options;
        options.data(":memory:");
        options.set("listeners=[{ address = \"127.0.0.1:" + http + "\", serves = [\"public\", \"admin\"] }, { address = \"127.0.0.1:" + chat + "\", serves = [\"public\", \"admin\"] }]");
        options.on_head([this](const parlor::Head &head, std::string &proof) { return judge(head, proof); });
        options.on_log([](std::int32_t, Text line) { std::fprintf(stderr, "%s\n", std::string(line).c_str()); }, PARLOR_LOG_INFO);
        const bool isRunning = !m_server.start(options) && !m_server.handle("chat:send", Access::users, later(&Backend::send)) &&
                               !m_server.handle("chat:typing", Access::users, later(&Backend::typing)) &&
                               !m_server.path("GET", "/conversations/{id}/messages", Access::users, later(&Backend::messages)) &&
                               !m_server.path("POST", "/tell/{person}", Access::users, later(&Backend::tell)) &&
                               !m_server.path("POST", "/announce", Access::admins, later(&Backend::announce)) &&
                               // Nothing here waits for the disk.
                               !m_server.path("GET", "/online", Access::users, [this](const Call &, Reply reply) { reply.answer(200, s_json, m_server.online()); });
        if (!isRunning)
            std::fprintf(stderr, "%s\n", parlor::server_last_error().c_str());
        return isRunning;
    }

    std::error_code stop() const { return m_server.stop(); }
    std::error_code join() const { return m_server.join(); }

private:
    using Function = void (Backend::*)(const Asked &) const;

    static constexpr const char *s_json = "application/json";

    // Has a function called by the worker.
    parlor::RequestFunction later(Function function)
    {
        return [this, function](const Call &call, Reply reply) {
            const Asked asked{std::string(call.user()), std::string(call.data()), std::string(call.params()), std::make_shared<Reply>(std::move(reply))};
            const bool isAdded = m_worker.add([this, function, asked] {
                try {
                    (this->*function)(asked);
                } catch (const std::exception &caught) {
                    // The reply answers for it.
                    std::fprintf(stderr, "%s\n", caught.what());
                }
            });
            const Text words("Too much waits for the disk.");
            if (!isAdded && asked.reply->refuse("overloaded", words))
                asked.reply->answer(503, "text/plain; charset=utf-8", words);
        };
    }

    // On the server's thread, of a connection that only reads: in this database, writers do not stop readers.
    parlor_rc judge(const parlor::Head &head, std::string &proof) const
    {
        std::string key(head.field("X-Session"));
        // A browser's WebSocket has no fields of its own.
        if (key.empty())
            key = std::string(head.query("session"));
        if (key.empty())
            return PARLOR_OK;
        proof = m_sessions.one("SELECT json_object('user', id, 'admin', json(iif(is_admin, 'true', 'false'))) FROM sessions JOIN people ON id = person WHERE key = ?", {key});
        return proof.empty() ? PARLOR_E_UNAUTHORIZED : PARLOR_OK;
    }

    std::string member(const std::string &json, const char *path) const { return m_database.one("SELECT json_extract(?1, ?2) WHERE json_valid(?1)", {json, path}); }

    bool isMember(const std::string &conversation, const std::string &person) const
    {
        return !m_database.one("SELECT 1 FROM members WHERE conversation = ? AND person = ?", {conversation, person}).empty();
    }

    void sendToMembers(const std::string &conversation, const char *type, const std::string &json) const
    {
        const std::vector<std::string> people = m_database.ask("SELECT person FROM members WHERE conversation = ?", {conversation});
        m_server.send(std::vector<Text>(people.begin(), people.end()), type, json);
    }

    void send(const Asked &asked) const
    {
        const std::string conversation = member(asked.data, "$.conversation"), words = member(asked.data, "$.text");
        if (!isMember(conversation, asked.person)) {
            asked.reply->refuse("not_member", "You are not in this conversation.");
            return;
        }
        if (words.empty() || words.size() > 4000) {
            asked.reply->refuse("bad_text", "A message has 1 to 4,000 bytes.");
            return;
        }
        // It is stored before anybody is told.
        const std::string id = m_database.one("INSERT INTO messages (conversation, person, text) VALUES (?, ?, ?) RETURNING id", {conversation, asked.person, words});
        const std::string message = m_database.one("SELECT json_object('id', id, 'conversation', conversation, 'person', person, 'text', text, 'at', at) FROM messages WHERE id = ?", {id});
        sendToMembers(conversation, "chat:message", message);
        asked.reply->ok(message);
    }

    void typing(const Asked &asked) const
    {
        const std::string conversation = member(asked.data, "$.conversation");
        if (!isMember(conversation, asked.person)) {
            asked.reply->refuse("not_member", "You are not in this conversation.");
            return;
        }
        sendToMembers(conversation, "chat:typing", m_database.one("SELECT json_object('conversation', ?, 'person', ?)", {conversation, asked.person}));
        asked.reply->ok("{}");
    }

    void messages(const Asked &asked) const
    {
        const std::string conversation = member(asked.params, "$.id");
        if (!isMember(conversation, asked.person)) {
            asked.reply->answer(403, s_json, "{\"error\":\"You are not in this conversation.\"}");
            return;
        }
        asked.reply->answer(200, s_json, m_database.one("SELECT json_group_array(json_object('id', id, 'person', person, 'text', text, 'at', at)) FROM (SELECT * FROM messages WHERE conversation = ? ORDER BY id DESC LIMIT 100)", {conversation}));
    }

    // To one person, on all of their connections.
    void tell(const Asked &asked) const
    {
        const std::string person = member(asked.params, "$.person"), json = m_database.one("SELECT json_object('from', ?, 'text', ?)", {asked.person, asked.data});
        std::uint64_t reached = 0;
        if (m_server.send({person}, "app:told", json, &reached)) {
            asked.reply->answer(400, "text/plain; charset=utf-8", parlor::server_last_error());
            return;
        }
        asked.reply->answer(200, s_json, "{\"reached\":" + std::to_string(reached) + "}");
    }

    // To everybody.
    void announce(const Asked &asked) const
    {
        std::uint64_t reached = 0;
        m_server.broadcast("app:announced", m_database.one("SELECT json_object('text', ?)", {asked.data}), &reached);
        asked.reply->answer(200, s_json, "{\"reached\":" + std::to_string(reached) + "}");
    }

    // In the order in which the others need them.
    Database m_database, m_sessions;
    Worker m_worker;
    parlor::Server m_server;
};

constexpr const char *Backend::s_json;

int add(const std::string &path, const std::string &person, bool isAdmin, const std::string &conversation)
{
    const Database database(path);
    std::random_device chance;
    std::string key;
    while (key.size() < 32)
        key += "0123456789abcdef"[chance() % 16];
    database.ask("INSERT INTO people VALUES (?1, ?2) ON CONFLICT DO UPDATE SET is_admin = excluded.is_admin", {person, isAdmin ? "1" : "0"});
    database.ask("INSERT INTO sessions VALUES (?, ?)", {key, person});
    if (!conversation.empty())
        database.ask("INSERT OR IGNORE INTO members VALUES (?, ?)", {conversation, person});
    std::printf("%s\n", key.c_str());
    return 0;
}

} // namespace

int main(int count, char **arguments)
{
    std::string http = "8080", chat = "8081", path = "embed-cpp.db", person, conversation;
    bool isAdmin = false;
    for (int at = 1; at < count; at++) {
        const std::string argument = arguments[at];
        std::string *const place = argument == "--http"       ? &http
                                   : argument == "--chat"     ? &chat
                                   : argument == "--database" ? &path
                                   : argument == "--add"      ? &person
                                   : argument == "--in"       ? &conversation
                                                              : nullptr;
        if (argument == "--admin") {
            isAdmin = true;
            continue;
        }
        if (!place || at + 1 == count) {
            std::fputs("usage: embed-cpp [--database FILE] --add PERSON [--admin] [--in CONVERSATION]\n"
                       "       embed-cpp [--database FILE] [--http PORT] [--chat PORT]\n",
                       stderr);
            return 2;
        }
        *place = arguments[++at];
    }
    try {
        if (!person.empty())
            return add(path, person, isAdmin, conversation);
        Backend backend(path);
        if (!backend.start(http, chat))
            return 1;
        std::printf("http://127.0.0.1:%s/online, ws://127.0.0.1:%s/ws?session=KEY; ends with the end of standard input\n", http.c_str(), chat.c_str());
        std::fflush(stdout);
        while (std::getchar() != EOF)
            ;
        backend.stop();
        return backend.join() ? 1 : 0;
    } catch (const std::exception &caught) {
        std::fprintf(stderr, "%s\n", caught.what());
        return 1;
    }
}
