// The window: who is on the air, who waits, what happened, and a line in which one registers.
#ifndef PILEUP_WINDOW_HPP
#define PILEUP_WINDOW_HPP

#include <parlor_qt.hpp>

#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPushButton>
#include <QTimer>
#include <QWidget>

class Window : public QWidget {
    Q_OBJECT

public:
    explicit Window(parlor::QtClient &p_client);

private:
    void showState();
    void showPileup(const QJsonObject &p_pileup);
    void showEvent(const QJsonObject &p_event, const QDateTime &p_when);
    void see(const parlor::Event &p_event);
    void registerCaller();

    parlor::QtClient &m_client;
    qulonglong m_registering = 0;

    QLabel *m_state;
    QPushButton *m_retry;
    QLabel *m_tuned;
    QLabel *m_current;
    QListWidget *m_waiting;
    QLineEdit *m_callsign;
    QPushButton *m_register;
    QLabel *m_told;
    QListWidget *m_events;
    QTimer m_clock;
};

#endif
