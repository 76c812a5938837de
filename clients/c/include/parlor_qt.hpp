// parlor_qt.hpp: a client in Qt's event loop (Qt 6), and a room as a model for views; for C++17.
//
// Both are of the thread that has made them. A slot of the client's signals may delete it; one of a room's model, as of
// rowsInserted, calls deleteLater() for that. moc must see this header: with CMake one links parlor::qt and sets AUTOMOC.
#ifndef PARLOR_QT_HPP
#define PARLOR_QT_HPP

#include "parlor.hpp"

#include <QAbstractListModel>
#include <QDateTime>
#include <QHash>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QPointer>
#include <QSocketNotifier>
#include <QStringList>
#include <QUuid>
#include <QVariantMap>
#include <QVector>

#include <algorithm>
#include <utility>

namespace parlor {

namespace detail {

inline QString qt(Text p_text) { return QString::fromUtf8(p_text.data(), static_cast<qsizetype>(p_text.size())); }

inline QJsonDocument qtJson(Text p_text)
{
    return QJsonDocument::fromJson(QByteArray::fromRawData(p_text.data(), static_cast<qsizetype>(p_text.size())));
}

// As Text, for as long as it lives.
class Utf8 {
public:
    explicit Utf8(const QString &p_text) : m_bytes(p_text.toUtf8()) {}
    Text text() const { return Text(m_bytes.constData(), static_cast<std::size_t>(m_bytes.size())); }

private:
    QByteArray m_bytes;
};

} // namespace detail

class QtRoom;

// A client of a parlor.
class QtClient : public QObject {
    Q_OBJECT
    // What it does about its connection: "idle", "connecting", "authenticating", "online", "waiting", "paused", "closed",
    // "failed".
    Q_PROPERTY(QString state READ state NOTIFY stateChanged)
    Q_PROPERTY(bool online READ isOnline NOTIFY stateChanged)
    // Why it is not online, in a sentence.
    Q_PROPERTY(QString reason READ reason NOTIFY stateChanged)
    // When it tries again; invalid if it does not wait.
    Q_PROPERTY(QDateTime retryAt READ retryAt NOTIFY stateChanged)
    // Who this is, once the server has said so.
    Q_PROPERTY(QString user READ user NOTIFY stateChanged)
    // Who is online: names by user. See watchPresence.
    Q_PROPERTY(QVariantMap people READ people NOTIFY peopleChanged)
    Q_PROPERTY(qulonglong peopleCount READ peopleCount NOTIFY peopleChanged)

public:
    explicit QtClient(QObject *p_parent = nullptr) : QObject(p_parent) {}
    ~QtClient() override;

    // Opens it, once: PARLOR_E_MODE if it was; else last_error() has the text. Options without on_event. Rooms may be
    // made before.
    [[nodiscard]] std::error_code open(const Options &p_options)
    {
        if (m_client)
            return error(PARLOR_E_MODE);
        if (const std::error_code failed = m_client.open(p_options))
            return failed;
        const std::intptr_t descriptor = m_client.wait_handle();
        if (descriptor < 0) {
            m_client = Client();
            return error(PARLOR_E_MODE);
        }
        m_feed = std::make_shared<detail::Feed>(m_client, [this](const Event &p_event) { see(p_event); });
        m_notifier = new QSocketNotifier(static_cast<qintptr>(descriptor), QSocketNotifier::Read, this);
        connect(m_notifier, &QSocketNotifier::activated, this, [feed = m_feed, notifier = QPointer<QSocketNotifier>(m_notifier)] {
            detail::Feed::drain(feed);
            if (feed->is_over() && notifier)
                notifier->setEnabled(false);
        });
        enterRooms();
        return std::error_code();
    }

    // For all that it has no function for.
    const Client &client() const { return m_client; }

    QString state() const { return m_state; }
    bool isOnline() const { return m_state == QLatin1String("online"); }
    QString reason() const { return m_reason; }
    QDateTime retryAt() const { return m_retry_at; }
    QString user() const { return m_user; }
    QVariantMap people() const { return m_people; }
    qulonglong peopleCount() const { return m_people_count; }

    // A room, which it joins; it is the client's.
    Q_INVOKABLE parlor::QtRoom *room(const QString &p_name);

    // Sends a request; answered() has its number. 0 if it was refused here: last_error().
    Q_INVOKABLE qulonglong request(const QString &p_type, const QJsonObject &p_payload)
    {
        std::uint64_t number = 0;
        const QByteArray json = QJsonDocument(p_payload).toJson(QJsonDocument::Compact);
        const Text text(json.constData(), static_cast<std::size_t>(json.size()));
        return m_client.request(detail::Utf8(p_type).text(), text, &number) ? 0 : number;
    }

    Q_INVOKABLE void watchPresence() { m_client.watch_presence(); }
    Q_INVOKABLE void retryNow() { parlor_retry_now(m_client.raw()); }
    Q_INVOKABLE void pause() { m_client.pause(); }
    // Begins to stop: ended() comes when messages are stored, or in this time.
    Q_INVOKABLE void stop(int p_drain_ms = 0) { m_client.stop(std::chrono::milliseconds(p_drain_ms)); }

Q_SIGNALS:
    // Each event, before those below. It is valid until the slot returns: a direct connection.
    void told(const parlor::Event &p_event);
    void stateChanged();
    void peopleChanged();
    // p_error is empty if all is well, or as "not_member".
    void answered(qulonglong p_request, const QJsonObject &p_answer, const QString &p_error, const QString &p_message);
    // p_request is wanted of a token: client().token(…).
    void tokenWanted(qulonglong p_request, const QString &p_reason);
    // Nothing more comes.
    void ended();

private:
    friend class QtRoom;

    void see(const Event &p_event);

    void seeState(const Event &p_event)
    {
        static const char *const names[] = {"idle", "connecting", "authenticating", "online", "waiting", "paused", "closed", "failed"};
        const std::size_t number = static_cast<std::size_t>(p_event.state());
        m_state = QLatin1String(number < sizeof names / sizeof *names ? names[number] : "");
        m_reason = detail::qt(p_event.message());
        const bool waits = p_event.state() == PARLOR_STATE_WAITING;
        m_retry_at = waits ? QDateTime::fromMSecsSinceEpoch(p_event.time().count() / 1000) : QDateTime();
        if (isOnline()) {
            const std::string hello = m_client.about(PARLOR_ABOUT_HELLO);
            m_user = detail::qtJson(hello).object().value(QLatin1String("user")).toString();
            goOn();
        }
        Q_EMIT stateChanged();
    }

    // Rooms that were made before it was open.
    void enterRooms();

    // Rooms ask once more for what was not answered.
    void goOn();

    Client m_client;
    std::shared_ptr<detail::Feed> m_feed;
    QSocketNotifier *m_notifier = nullptr;
    QHash<QString, QtRoom *> m_rooms;
    // What rooms have asked for.
    QHash<qulonglong, QPointer<QtRoom>> m_asked;
    QString m_state = QStringLiteral("idle");
    QString m_reason, m_user;
    QDateTime m_retry_at;
    QVariantMap m_people;
    qulonglong m_people_count = 0;
};

// The messages of a room, oldest first; those of this program that are not stored stand at the end.
class QtRoom : public QAbstractListModel {
    Q_OBJECT
    Q_PROPERTY(QString name READ name CONSTANT)
    // "member", "left", "refused" …, as parlor.h has it.
    Q_PROPERTY(QString membership READ membership NOTIFY changed)
    Q_PROPERTY(QString title READ title NOTIFY changed)
    Q_PROPERTY(int unread READ unread NOTIFY changed)
    Q_PROPERTY(QStringList typists READ typists NOTIFY changed)
    // Whether fetchOlder would load something.
    Q_PROPERTY(bool hasOlder READ hasOlder NOTIFY changed)
    // How many messages it keeps, 10,000 unless it is set. The oldest go for those that come, 50 at a time; fetchOlder loads
    // them again while there is room.
    Q_PROPERTY(int maxRows READ maxRows WRITE setMaxRows)

public:
    enum Role {
        SeqRole = Qt::UserRole + 1, // its number in the room; 0 until it is stored
        UserRole,
        TextRole,
        TimeRole,    // QDateTime; invalid until it is stored
        EditedRole,  // bool
        DeletedRole, // bool
        PendingRole, // bool: it is not stored
        ErrorRole    // why it will not be; empty if it may
    };
    Q_ENUM(Role)

    int rowCount(const QModelIndex &p_parent = QModelIndex()) const override { return p_parent.isValid() ? 0 : static_cast<int>(m_rows.size()); }

    QVariant data(const QModelIndex &p_index, int p_role) const override
    {
        if (!checkIndex(p_index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid))
            return QVariant();
        const Row &row = m_rows.at(p_index.row());
        switch (p_role) {
        case Qt::DisplayRole:
            return row.m_user + QLatin1String(": ") + row.m_text;
        case SeqRole:
            return QVariant::fromValue<qulonglong>(row.m_seq);
        case UserRole:
            return row.m_user;
        case TextRole:
            return row.m_text;
        case TimeRole:
            return row.m_time;
        case EditedRole:
            return row.m_edited != 0;
        case DeletedRole:
            return row.m_is_deleted;
        case PendingRole:
            return row.m_seq == 0;
        case ErrorRole:
            return row.m_error;
        default:
            return QVariant();
        }
    }

    QHash<int, QByteArray> roleNames() const override
    {
        return {{SeqRole, "seq"},       {UserRole, "user"},       {TextRole, "text"},       {TimeRole, "time"},
                {EditedRole, "edited"}, {DeletedRole, "deleted"}, {PendingRole, "pending"}, {ErrorRole, "error"}};
    }

    QString name() const { return m_name; }
    QString membership() const { return m_membership; }
    QString title() const { return m_title; }
    int unread() const { return m_unread; }
    QStringList typists() const { return m_typists; }
    bool hasOlder() const { return m_has_older && m_rows.size() < m_max_rows; }
    int maxRows() const { return m_max_rows; }
    // Fewer than 100 are kept as 100.
    void setMaxRows(int p_rows)
    {
        m_max_rows = std::max(p_rows, 2 * s_page);
        shorten();
        // Whether there is room for older ones may have changed.
        refreshSoon();
    }

    // Sends a message: a row of its own until it is stored.
    Q_INVOKABLE void send(const QString &p_text)
    {
        Row row;
        row.m_id = QUuid::createUuid().toString(QUuid::WithoutBraces);
        row.m_user = m_client.user();
        row.m_text = p_text;
        const detail::Utf8 name(m_name), text(p_text), id(row.m_id);
        parlor_message message = parlor_message();
        message.p_size = sizeof message;
        message.p_room = detail::raw(name.text());
        message.p_text = detail::raw(text.text());
        message.p_id = detail::raw(id.text());
        if (m_client.m_client.send(message, &row.m_request))
            row.m_error = QString::fromStdString(last_error());
        append(row);
    }

    // Sends a row again whose error says that it was refused.
    Q_INVOKABLE void retry(int p_row)
    {
        if (p_row < 0 || p_row >= m_rows.size() || m_rows.at(p_row).m_error.isEmpty())
            return;
        Row &row = m_rows[p_row];
        const bool is_known = row.m_request != 0 && !m_client.m_client.retry(row.m_request);
        if (is_known) {
            row.m_error.clear();
            show(p_row);
            return;
        }
        // It was refused before it was on its way.
        const QString text = row.m_text;
        beginRemoveRows(QModelIndex(), p_row, p_row);
        m_rows.removeAt(p_row);
        endRemoveRows();
        send(text);
    }

    // Loads the page before the oldest message.
    Q_INVOKABLE void fetchOlder()
    {
        if (hasOlder() && !m_is_fetching)
            fetch(m_first);
    }

    // All that came is read.
    Q_INVOKABLE void markRead()
    {
        m_client.m_client.mark_read(detail::Utf8(m_name).text());
        refreshSoon();
    }
    Q_INVOKABLE void setTyping(bool p_types) { m_client.m_client.typing(detail::Utf8(m_name).text(), p_types); }

Q_SIGNALS:
    void changed();
    // A part of the log that cannot be had any more, behind and before these.
    void gap(qulonglong p_after, qulonglong p_before);

private:
    friend class QtClient;

    struct Row {
        std::uint64_t m_seq = 0, m_edited = 0, m_request = 0;
        QString m_id, m_user, m_text, m_error;
        QDateTime m_time;
        bool m_is_deleted = false;
    };

    static constexpr int s_page = 50;

    QtRoom(QtClient &p_client, const QString &p_name) : QAbstractListModel(&p_client), m_client(p_client), m_name(p_name)
    {
        if (p_client.m_client)
            enter();
    }

    void enter()
    {
        // What an earlier process has left in an outbox.
        const std::string unsent = m_client.m_client.about(PARLOR_ABOUT_UNSENT);
        for (const QJsonValue value : detail::qtJson(unsent).array()) {
            const QJsonObject message = value.toObject();
            if (message.value(QLatin1String("room")).toString() != m_name)
                continue;
            Row row;
            row.m_id = message.value(QLatin1String("id")).toString();
            row.m_user = message.value(QLatin1String("user")).toString();
            row.m_text = message.value(QLatin1String("text")).toString();
            row.m_error = message.value(QLatin1String("failed")).toString();
            append(row);
        }
        std::uint64_t joining = 0;
        if (!m_client.m_client.join(detail::Utf8(m_name).text(), &joining))
            m_client.m_asked.insert(joining, this);
    }

    // What comes now, comes by itself: what lies before is asked for, once.
    void begin()
    {
        if (!m_has_page && !m_is_fetching)
            fetch(0);
    }

    void fetch(std::uint64_t p_before)
    {
        QJsonObject page{{QLatin1String("room"), m_name}, {QLatin1String("limit"), s_page}};
        if (p_before != 0)
            page.insert(QLatin1String("before"), static_cast<qint64>(p_before));
        m_fetching = m_client.request(QStringLiteral("chat:history"), page);
        m_is_fetching = m_fetching != 0;
        if (m_is_fetching)
            m_client.m_asked.insert(m_fetching, this);
    }

    void seeAnswer(const Event &p_event)
    {
        if (p_event.request() != m_fetching) {
            if (p_event.refusal().empty())
                begin();
            return refreshSoon();
        }
        m_is_fetching = false;
        if (p_event.refusal().empty()) {
            const QJsonObject page = detail::qtJson(p_event.data()).object();
            for (const QJsonValue value : page.value(QLatin1String("entries")).toArray()) {
                const QJsonObject entry = value.toObject();
                seeHistory(entry.value(QLatin1String("type")).toString(), entry.value(QLatin1String("payload")).toObject());
            }
            m_has_older = page.value(QLatin1String("more")).toBool();
            m_has_page = true;
        }
        refreshSoon();
    }

    void seeHistory(const QString &p_type, const QJsonObject &p_entry)
    {
        const auto number = [&](const char *p_name) { return static_cast<std::uint64_t>(p_entry.value(QLatin1String(p_name)).toInteger()); };
        const std::uint64_t seq = number("seq");
        m_first = m_first == 0 || seq < m_first ? seq : m_first;
        if (p_type != QLatin1String("chat:message"))
            return;
        Row row;
        row.m_seq = seq;
        row.m_id = p_entry.value(QLatin1String("cid")).toString();
        row.m_user = p_entry.value(QLatin1String("from")).toString();
        row.m_text = p_entry.value(QLatin1String("text")).toString();
        row.m_edited = number("edited");
        row.m_is_deleted = p_entry.value(QLatin1String("deleted")).toBool();
        row.m_time = QDateTime::fromMSecsSinceEpoch(p_entry.value(QLatin1String("ts")).toInteger());
        insert(row);
    }

    void seeEntry(const Event &p_event)
    {
        m_first = m_first == 0 ? p_event.seq() : m_first;
        if (p_event.type() == Text("chat:message")) {
            Row row;
            row.m_seq = p_event.seq();
            row.m_id = detail::qt(p_event.id());
            row.m_user = detail::qt(p_event.user());
            row.m_text = detail::qt(p_event.text());
            row.m_time = QDateTime::fromMSecsSinceEpoch(p_event.time().count() / 1000);
            insert(row);
            shorten();
        } else if (p_event.type() == Text("chat:edited") || p_event.type() == Text("chat:deleted")) {
            const int at = find(p_event.target());
            if (at >= m_rows.size() || m_rows.at(at).m_seq != p_event.target())
                return;
            Row &row = m_rows[at];
            if (p_event.type() == Text("chat:deleted")) {
                row.m_is_deleted = true;
                row.m_text.clear();
            } else if (p_event.seq() > row.m_edited && !row.m_is_deleted) {
                row.m_edited = p_event.seq();
                row.m_text = detail::qt(p_event.text());
            }
            show(at);
        }
    }

    // What has become of one of this program's messages.
    void seeSent(const Event &p_event)
    {
        const QString id = detail::qt(p_event.id());
        for (int at = static_cast<int>(m_rows.size()); at-- > 0 && m_rows.at(at).m_seq == 0;) {
            Row &row = m_rows[at];
            if (row.m_id != id)
                continue;
            if (p_event.refusal().empty())
                return;
            row.m_error = detail::qt(p_event.message().empty() ? p_event.refusal() : p_event.message());
            return show(at);
        }
    }

    // The place of this number: behind all that are less.
    int find(std::uint64_t p_seq) const
    {
        const auto is_less = [](const Row &p_row, std::uint64_t p_other) { return p_row.m_seq != 0 && p_row.m_seq < p_other; };
        return static_cast<int>(std::lower_bound(m_rows.begin(), m_rows.end(), p_seq, is_less) - m_rows.begin());
    }

    void insert(const Row &p_row)
    {
        const int at = find(p_row.m_seq);
        if (at < m_rows.size() && m_rows.at(at).m_seq == p_row.m_seq) {
            m_rows[at] = p_row;
            return show(at);
        }
        // It has waited here.
        for (int waits = static_cast<int>(m_rows.size()); !p_row.m_id.isEmpty() && waits-- > 0 && m_rows.at(waits).m_seq == 0;) {
            if (m_rows.at(waits).m_id != p_row.m_id)
                continue;
            beginRemoveRows(QModelIndex(), waits, waits);
            m_rows.removeAt(waits);
            endRemoveRows();
            break;
        }
        beginInsertRows(QModelIndex(), at, at);
        m_rows.insert(at, p_row);
        endInsertRows();
    }

    // The oldest go.
    void shorten()
    {
        if (m_rows.size() <= m_max_rows)
            return;
        const int most = m_max_rows - s_page;
        int gone = 0;
        while (m_rows.size() - gone > most && m_rows.at(gone).m_seq != 0)
            gone++;
        if (gone == 0)
            return;
        beginRemoveRows(QModelIndex(), 0, gone - 1);
        m_rows.remove(0, gone);
        endRemoveRows();
        m_has_older = true;
        m_first = m_rows.at(0).m_seq;
        // A page that is on its way lies before those that have gone.
        m_fetching = 0;
        m_is_fetching = false;
        refreshSoon();
    }

    void append(const Row &p_row)
    {
        const int at = static_cast<int>(m_rows.size());
        beginInsertRows(QModelIndex(), at, at);
        m_rows.append(p_row);
        endInsertRows();
    }

    void show(int p_row) { Q_EMIT dataChanged(index(p_row), index(p_row)); }

    // Once, when all that waits now was told.
    void refreshSoon()
    {
        if (!m_is_refreshing)
            QMetaObject::invokeMethod(this, [this] { refresh(); }, Qt::QueuedConnection);
        m_is_refreshing = true;
    }

    void refresh()
    {
        m_is_refreshing = false;
        const std::string told = m_client.m_client.about(PARLOR_ABOUT_ROOM, detail::Utf8(m_name).text());
        const QJsonObject room = detail::qtJson(told).object();
        m_membership = room.value(QLatin1String("membership")).toString();
        m_title = room.value(QLatin1String("title")).toString();
        m_unread = static_cast<int>(room.value(QLatin1String("unread")).toInteger());
        m_typists = room.value(QLatin1String("typists")).toVariant().toStringList();
        Q_EMIT changed();
    }

    QtClient &m_client;
    const QString m_name;
    QVector<Row> m_rows;
    QString m_membership, m_title;
    QStringList m_typists;
    int m_unread = 0, m_max_rows = 10'000;
    // The oldest entry that was loaded.
    std::uint64_t m_first = 0;
    qulonglong m_fetching = 0;
    bool m_is_fetching = false, m_is_refreshing = false, m_has_page = false, m_has_older = false;
};

inline QtClient::~QtClient()
{
    if (m_feed)
        m_feed->end();
    // It is the client's descriptor.
    delete m_notifier;
    // They ask the client.
    qDeleteAll(m_rooms);
}

inline QtRoom *QtClient::room(const QString &p_name)
{
    QtRoom *&room = m_rooms[p_name];
    if (!room)
        room = new QtRoom(*this, p_name);
    return room;
}

inline void QtClient::enterRooms()
{
    for (QtRoom *one : std::as_const(m_rooms))
        one->enter();
}

inline void QtClient::goOn()
{
    for (QtRoom *one : std::as_const(m_rooms)) {
        if (one->m_membership == QLatin1String("member"))
            one->begin();
    }
}

inline void QtClient::see(const Event &p_event)
{
    const QPointer<QtClient> is_there(this);
    Q_EMIT told(p_event);
    if (!is_there)
        return;
    QtRoom *const room = p_event.room().empty() ? nullptr : m_rooms.value(detail::qt(p_event.room()));
    switch (p_event.kind()) {
    case PARLOR_EVENT_STATE:
        return seeState(p_event);
    case PARLOR_EVENT_PRESENCE:
        m_people = detail::qtJson(p_event.data()).object().toVariantMap();
        m_people_count = p_event.count();
        Q_EMIT peopleChanged();
        return;
    case PARLOR_EVENT_ANSWER:
        if (const QPointer<QtRoom> asked = m_asked.take(p_event.request()))
            return asked->seeAnswer(p_event);
        Q_EMIT answered(p_event.request(), detail::qtJson(p_event.data()).object(), detail::qt(p_event.refusal()), detail::qt(p_event.message()));
        return;
    case PARLOR_EVENT_SENT:
        for (QtRoom *one : std::as_const(m_rooms))
            one->seeSent(p_event);
        return;
    case PARLOR_EVENT_TOKEN:
        Q_EMIT tokenWanted(p_event.request(), detail::qt(p_event.text()));
        return;
    case PARLOR_EVENT_ENDED:
        Q_EMIT ended();
        return;
    default:
        break;
    }
    if (!room)
        return;
    if (p_event.kind() == PARLOR_EVENT_ENTRY)
        room->seeEntry(p_event);
    if (p_event.kind() == PARLOR_EVENT_MEMBERSHIP && p_event.text() == Text("member"))
        room->begin();
    if (p_event.kind() == PARLOR_EVENT_GAP)
        Q_EMIT room->gap(p_event.seq(), p_event.target());
    room->refreshSoon();
}

} // namespace parlor

#endif
