// The window: rooms and people on the left, the messages of a room on the right.
#ifndef QT_CHAT_WINDOW_HPP
#define QT_CHAT_WINDOW_HPP

#include <parlor_qt.hpp>

#include <QLabel>
#include <QLineEdit>
#include <QListView>
#include <QListWidget>
#include <QPushButton>
#include <QTimer>
#include <QWidget>

class Window : public QWidget {
    Q_OBJECT

public:
    explicit Window(parlor::QtClient &p_client);

    // Opens a room, and joins it if need be.
    void openRoom(const QString &p_name);

private:
    void showState();
    void showPeople();
    void showRoom();
    void showRooms();
    void listRooms();
    void send();
    bool isAtEnd() const;
    void toEnd();
    void read();
    bool event(QEvent *p_event) override;

    parlor::QtClient &m_client;
    parlor::QtRoom *m_room = nullptr;
    QHash<QString, QListWidgetItem *> m_items;

    QLabel *m_state;
    QPushButton *m_retry;
    QListWidget *m_rooms;
    QLineEdit *m_join;
    QListWidget *m_people;
    QLabel *m_people_count;
    QLabel *m_title;
    QPushButton *m_older;
    QListView *m_messages;
    QLabel *m_typists;
    QLineEdit *m_input;
    QTimer m_clock;
};

#endif
