#include "window.hpp"

#include "message.hpp"

#include <QEvent>
#include <QHBoxLayout>
#include <QScrollBar>
#include <QVBoxLayout>

using parlor::QtRoom;

namespace {

QLabel *heading(const QString &p_text)
{
    QLabel *label = new QLabel(p_text);
    QFont font = label->font();
    font.setBold(true);
    label->setFont(font);
    label->setTextFormat(Qt::PlainText);
    return label;
}

} // namespace

Window::Window(parlor::QtClient &p_client)
    : m_client(p_client), m_state(new QLabel), m_retry(new QPushButton(tr("&Retry now"))), m_rooms(new QListWidget), m_join(new QLineEdit),
      m_people(new QListWidget), m_people_count(heading(tr("Online"))), m_title(heading(QString())), m_older(new QPushButton(tr("&Older messages"))),
      m_messages(new QListView), m_typists(new QLabel), m_input(new QLineEdit)
{
    setWindowTitle(tr("parlor"));
    resize(800, 560);
    m_state->setTextFormat(Qt::PlainText);
    m_state->setWordWrap(true);
    m_state->setObjectName(QStringLiteral("state"));
    m_rooms->setObjectName(QStringLiteral("rooms"));
    m_rooms->setAccessibleName(tr("Rooms"));
    m_people->setAccessibleName(tr("Who is online"));
    m_people->setObjectName(QStringLiteral("people"));
    m_people->setFocusPolicy(Qt::NoFocus);
    m_join->setPlaceholderText(tr("Join a room"));
    m_join->setObjectName(QStringLiteral("join"));
    m_older->setObjectName(QStringLiteral("older"));
    m_typists->setTextFormat(Qt::PlainText);
    m_typists->setObjectName(QStringLiteral("typists"));
    m_input->setPlaceholderText(tr("Write a message"));
    m_input->setObjectName(QStringLiteral("input"));
    // At three bytes for each of QString's units, less than a server takes (`limits.text_bytes`, 16 KiB).
    m_input->setMaxLength(5'000);
    m_messages->setObjectName(QStringLiteral("messages"));
    m_messages->setAccessibleName(tr("Messages"));
    m_messages->setItemDelegate(new MessageDelegate(m_messages));
    m_messages->setResizeMode(QListView::Adjust);
    m_messages->setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
    m_messages->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_messages->setSelectionMode(QAbstractItemView::NoSelection);

    QVBoxLayout *left = new QVBoxLayout;
    left->addWidget(heading(tr("Rooms")));
    left->addWidget(m_rooms, 1);
    left->addWidget(m_join);
    left->addWidget(m_people_count);
    left->addWidget(m_people, 1);
    QVBoxLayout *right = new QVBoxLayout;
    right->addWidget(m_title);
    right->addWidget(m_older);
    right->addWidget(m_messages, 1);
    right->addWidget(m_typists);
    right->addWidget(m_input);
    QHBoxLayout *both = new QHBoxLayout;
    both->addLayout(left, 1);
    both->addLayout(right, 3);
    QHBoxLayout *top = new QHBoxLayout;
    top->addWidget(m_state, 1);
    top->addWidget(m_retry);
    QVBoxLayout *all = new QVBoxLayout(this);
    all->addLayout(top);
    all->addLayout(both, 1);

    connect(&m_client, &parlor::QtClient::stateChanged, this, [this] {
        showState();
        // What is shown of them is as it was.
        m_people->setEnabled(m_client.isOnline());
        m_people_count->setEnabled(m_client.isOnline());
        if (m_client.isOnline())
            listRooms();
    });
    connect(&m_client, &parlor::QtClient::peopleChanged, this, &Window::showPeople);
    connect(&m_clock, &QTimer::timeout, this, &Window::showState);
    connect(m_retry, &QPushButton::clicked, &m_client, &parlor::QtClient::retryNow);
    connect(m_rooms, &QListWidget::currentItemChanged, this, [this](QListWidgetItem *p_item) {
        if (p_item)
            openRoom(p_item->data(Qt::UserRole).toString());
    });
    connect(m_join, &QLineEdit::returnPressed, this, [this] {
        const QString name = m_join->text().trimmed();
        m_join->clear();
        if (!name.isEmpty())
            openRoom(name);
    });
    connect(m_older, &QPushButton::clicked, this, [this] {
        if (m_room)
            m_room->fetchOlder();
    });
    connect(m_messages, &QListView::doubleClicked, this, [this](const QModelIndex &p_index) {
        if (m_room)
            m_room->retry(p_index.row());
    });
    connect(m_messages->verticalScrollBar(), &QScrollBar::valueChanged, this, &Window::read);
    connect(m_input, &QLineEdit::returnPressed, this, &Window::send);
    connect(m_input, &QLineEdit::textEdited, this, [this](const QString &p_text) {
        if (m_room)
            m_room->setTyping(!p_text.isEmpty());
    });
    m_client.watchPresence();
    showState();
    showRoom();
}

void Window::openRoom(const QString &p_name)
{
    QtRoom *const room = m_client.room(p_name);
    if (room == m_room)
        return;
    if (m_room)
        m_room->disconnect(this);
    m_room = room;
    m_messages->setModel(room);
    connect(room, &QtRoom::changed, this, &Window::showRoom);
    connect(room, &QtRoom::rowsInserted, this, [this](const QModelIndex &, int p_first, int) {
        // Whoever reads further up stays there; what was loaded before moves them down.
        if (isAtEnd() || p_first == m_room->rowCount() - 1)
            QMetaObject::invokeMethod(this, [this] { toEnd(); }, Qt::QueuedConnection);
    });
    showRooms();
    showRoom();
    QMetaObject::invokeMethod(this, [this] { toEnd(); }, Qt::QueuedConnection);
    m_input->setFocus();
}

void Window::showState()
{
    QString told;
    if (m_client.isOnline())
        told = tr("Online as %1").arg(m_client.user());
    else if (m_client.retryAt().isValid()) {
        const qint64 left = (QDateTime::currentDateTime().msecsTo(m_client.retryAt()) + 999) / 1000;
        told = tr("Not connected: %1. Tries again in %n s.", nullptr, static_cast<int>(left > 0 ? left : 0)).arg(m_client.reason());
    } else if (!m_client.reason().isEmpty())
        told = tr("Not connected: %1").arg(m_client.reason());
    else
        told = tr("Connecting …");
    m_state->setText(told);
    m_retry->setVisible(m_client.retryAt().isValid() || m_client.state() == QLatin1String("failed"));
    // The seconds go down.
    if (m_client.retryAt().isValid())
        m_clock.start(250);
    else
        m_clock.stop();
}

void Window::showPeople()
{
    m_people_count->setText(tr("Online: %1").arg(m_client.peopleCount()));
    m_people->clear();
    for (const QVariant &name : m_client.people())
        m_people->addItem(name.toString());
}

// The rooms of which the client knows: those of the user, and those that were joined.
void Window::listRooms()
{
    const std::string told = m_client.client().about(PARLOR_ABOUT_ROOMS);
    for (const QJsonValue value : QJsonDocument::fromJson(QByteArray::fromStdString(told)).array())
        m_client.room(value.toObject().value(QLatin1String("room")).toString());
    showRooms();
    if (!m_room && m_rooms->count() > 0)
        m_rooms->setCurrentRow(0);
}

void Window::showRooms()
{
    const QList<QtRoom *> rooms = m_client.findChildren<QtRoom *>();
    for (QtRoom *room : rooms) {
        QListWidgetItem *&item = m_items[room->name()];
        if (!item) {
            item = new QListWidgetItem(m_rooms);
            item->setData(Qt::UserRole, room->name());
            connect(room, &QtRoom::changed, m_rooms, [this] { showRooms(); });
        }
        const QString title = room->title().isEmpty() ? room->name() : room->title();
        item->setText(room->unread() > 0 ? tr("%1 (%2)").arg(title).arg(room->unread()) : title);
        if (room == m_room)
            m_rooms->setCurrentItem(item);
    }
}

void Window::showRoom()
{
    m_input->setEnabled(m_room != nullptr);
    m_older->setVisible(m_room && m_room->hasOlder());
    if (!m_room) {
        m_title->setText(tr("Join a room on the left, or wait to be invited."));
        return;
    }
    const QString title = m_room->title().isEmpty() ? m_room->name() : m_room->title();
    const bool is_member = m_room->membership() == QLatin1String("member");
    m_title->setText(is_member || m_room->membership().isEmpty() ? title : tr("%1 (%2)").arg(title, m_room->membership()));
    const QStringList typists = m_room->typists();
    m_typists->setText(typists.isEmpty() ? QString() : tr("%1 typing …").arg(typists.join(QStringLiteral(", "))));
    read();
}

void Window::send()
{
    const QString text = m_input->text();
    if (!m_room || text.trimmed().isEmpty())
        return;
    m_input->clear();
    m_room->setTyping(false);
    m_room->send(text);
}

bool Window::isAtEnd() const
{
    const QScrollBar *bar = m_messages->verticalScrollBar();
    return bar->value() >= bar->maximum() - 4;
}

void Window::toEnd()
{
    m_messages->scrollToBottom();
    read();
}

// Read is what somebody has before their eyes.
void Window::read()
{
    if (m_room && m_room->unread() > 0 && isActiveWindow() && isAtEnd())
        m_room->markRead();
}

bool Window::event(QEvent *p_event)
{
    if (p_event->type() == QEvent::WindowActivate)
        read();
    return QWidget::event(p_event);
}
