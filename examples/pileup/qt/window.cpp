#include "window.hpp"

#include <QHBoxLayout>
#include <QVBoxLayout>

namespace {

constexpr int EVENTS_SHOWN = 100;

QLabel *label(const char *p_name)
{
    QLabel *made = new QLabel;
    // What others have written is no markup.
    made->setTextFormat(Qt::PlainText);
    made->setWordWrap(true);
    made->setObjectName(QLatin1String(p_name));
    return made;
}

QString callsign(const QJsonObject &p_caller) { return p_caller.value(QLatin1String("callsign")).toString(); }

} // namespace

Window::Window(parlor::QtClient &p_client)
    : m_client(p_client), m_state(label("state")), m_retry(new QPushButton(tr("&Retry now"))), m_tuned(label("tuned")), m_current(label("current")),
      m_waiting(new QListWidget), m_callsign(new QLineEdit), m_register(new QPushButton(tr("&Call"))), m_told(label("told")), m_events(new QListWidget)
{
    setWindowTitle(tr("Pileup"));
    resize(760, 460);
    QFont large = m_current->font();
    large.setPointSize(2 * large.pointSize());
    large.setBold(true);
    m_current->setFont(large);
    m_current->setText(QStringLiteral("–"));
    m_waiting->setObjectName(QStringLiteral("waiting"));
    m_waiting->setAccessibleName(tr("Who waits"));
    m_events->setObjectName(QStringLiteral("events"));
    m_events->setAccessibleName(tr("What happened"));
    m_callsign->setObjectName(QStringLiteral("callsign"));
    m_callsign->setPlaceholderText(tr("Your call sign"));
    m_callsign->setMaxLength(16);

    QHBoxLayout *top = new QHBoxLayout;
    top->addWidget(m_state, 1);
    top->addWidget(m_retry);
    QHBoxLayout *line = new QHBoxLayout;
    line->addWidget(m_callsign, 1);
    line->addWidget(m_register);
    QVBoxLayout *left = new QVBoxLayout;
    left->addWidget(m_tuned);
    left->addWidget(m_current);
    left->addWidget(m_waiting, 1);
    left->addLayout(line);
    left->addWidget(m_told);
    QHBoxLayout *both = new QHBoxLayout;
    both->addLayout(left, 1);
    both->addWidget(m_events, 1);
    QVBoxLayout *all = new QVBoxLayout(this);
    all->addLayout(top);
    all->addLayout(both, 1);

    connect(&m_client, &parlor::QtClient::stateChanged, this, &Window::showState);
    connect(&m_clock, &QTimer::timeout, this, &Window::showState);
    connect(m_retry, &QPushButton::clicked, &m_client, &parlor::QtClient::retryNow);
    connect(&m_client, &parlor::QtClient::told, this, &Window::see);
    connect(&m_client, &parlor::QtClient::answered, this,
            [this](qulonglong p_request, const QJsonObject &p_answer, const QString &p_error, const QString &p_message) {
                if (p_request != m_registering)
                    return;
                m_register->setEnabled(true);
                const int place = p_answer.value(QLatin1String("place")).toInt();
                m_told->setText(p_error.isEmpty() ? tr("%1 waits, number %2").arg(callsign(p_answer)).arg(place) : p_message.isEmpty() ? p_error : p_message);
                if (p_error.isEmpty())
                    m_callsign->clear();
            });
    connect(m_callsign, &QLineEdit::returnPressed, this, &Window::registerCaller);
    connect(m_register, &QPushButton::clicked, this, &Window::registerCaller);
    // They go on after each loss.
    m_client.client().watch("pileup");
    m_client.client().watch("events");
    showState();
}

void Window::registerCaller()
{
    if (m_callsign->text().trimmed().isEmpty() || !m_register->isEnabled())
        return;
    m_registering = m_client.request(QStringLiteral("pileup.register"), {{QLatin1String("callsign"), m_callsign->text()}});
    m_register->setEnabled(m_registering == 0);
    m_told->setText(m_registering == 0 ? QString::fromStdString(parlor::last_error()) : QString());
}

void Window::see(const parlor::Event &p_event)
{
    if (p_event.kind() != PARLOR_EVENT_STREAM)
        return;
    const QJsonObject data = parlor::detail::qtJson(p_event.data()).object();
    if (p_event.stream() == parlor::Text("pileup"))
        showPileup(data);
    else
        showEvent(data, p_event.time().count() > 0 ? QDateTime::fromMSecsSinceEpoch(p_event.time().count() / 1000) : QDateTime());
}

void Window::showState()
{
    QString told;
    if (m_client.isOnline())
        told = tr("Live");
    else if (m_client.retryAt().isValid()) {
        const qint64 left = (QDateTime::currentDateTime().msecsTo(m_client.retryAt()) + 999) / 1000;
        told = tr("Not connected: %1. Tries again in %2 s.").arg(m_client.reason()).arg(left > 0 ? left : 0);
    } else if (!m_client.reason().isEmpty())
        told = tr("Not connected: %1").arg(m_client.reason());
    else
        told = tr("Connecting …");
    m_state->setText(told);
    m_retry->setVisible(m_client.retryAt().isValid() || m_client.state() == QLatin1String("failed"));
    // What is shown is as it was.
    m_current->setEnabled(m_client.isOnline());
    m_waiting->setEnabled(m_client.isOnline());
    // The seconds go down.
    if (m_client.retryAt().isValid())
        m_clock.start(250);
    else
        m_clock.stop();
}

void Window::showPileup(const QJsonObject &p_pileup)
{
    const QJsonObject current = p_pileup.value(QLatin1String("current")).toObject();
    m_current->setText(current.isEmpty() ? QStringLiteral("–") : callsign(current));
    m_waiting->clear();
    for (const QJsonValue caller : p_pileup.value(QLatin1String("waiting")).toArray())
        m_waiting->addItem(callsign(caller.toObject()));
    QStringList tuned;
    if (!p_pileup.value(QLatin1String("open")).toBool())
        tuned += tr("closed");
    if (p_pileup.value(QLatin1String("frequency_khz")).isDouble())
        tuned += tr("%1 kHz").arg(p_pileup.value(QLatin1String("frequency_khz")).toDouble());
    if (p_pileup.value(QLatin1String("split")).isString())
        tuned += tr("split %1").arg(p_pileup.value(QLatin1String("split")).toString());
    m_tuned->setText(tuned.isEmpty() ? tr("On the air") : tr("On the air: %1").arg(tuned.join(QStringLiteral(", "))));
}

void Window::showEvent(const QJsonObject &p_event, const QDateTime &p_when)
{
    const QString who = callsign(p_event.value(QLatin1String("data")).toObject().value(QLatin1String("caller")).toObject());
    const QString what = p_event.value(QLatin1String("event")).toString();
    const QString when = p_when.isValid() ? p_when.toString(QStringLiteral("hh:mm:ss ")) : QString();
    m_events->insertItem(0, when + (who.isEmpty() ? what : QStringLiteral("%1: %2").arg(what, who)));
    while (m_events->count() > EVENTS_SHOWN)
        delete m_events->takeItem(m_events->count() - 1);
}
