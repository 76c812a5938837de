// Plays the window as a person would: `play URL PICTURE`. It asks on standard output for what the operator, and whoever runs
// the servers, does meanwhile.
#include "window.hpp"

#include <QApplication>
#include <QTest>

#include <cstdio>
#include <cstdlib>

namespace {

void check(bool p_is, const char *p_what)
{
    if (p_is)
        return;
    std::fprintf(stderr, "not so: %s\n", p_what);
    std::exit(1);
}

template <class Condition> void wait(Condition &&p_condition, const char *p_what) { check(QTest::qWaitFor(p_condition, 20'000), p_what); }

void say(const char *p_line)
{
    std::puts(p_line);
    std::fflush(stdout);
}

} // namespace

int main(int p_count, char **p_arguments)
{
    QApplication application(p_count, p_arguments);
    check(p_count == 3, "it has two arguments");
    parlor::QtClient client;
    check(!client.open(parlor::Options(std::string(p_arguments[1]) + "?anonymous=1")), "it opens");
    Window window(client);
    window.show();
    QLabel *const state = window.findChild<QLabel *>(QStringLiteral("state")), *const current = window.findChild<QLabel *>(QStringLiteral("current")),
                  *const told = window.findChild<QLabel *>(QStringLiteral("told")), *const tuned = window.findChild<QLabel *>(QStringLiteral("tuned"));
    QListWidget *const waiting = window.findChild<QListWidget *>(QStringLiteral("waiting")), *const events = window.findChild<QListWidget *>(QStringLiteral("events"));
    QLineEdit *const callsign = window.findChild<QLineEdit *>(QStringLiteral("callsign"));
    wait([&] { return state->text() == QLatin1String("Live"); }, "it is live");

    QTest::keyClicks(callsign, QStringLiteral("dl1abc"));
    QTest::keyClick(callsign, Qt::Key_Return);
    wait([&] { return told->text() == QLatin1String("DL1ABC waits, number 1"); }, "one is registered");
    wait([&] { return waiting->count() == 1 && waiting->item(0)->text() == QLatin1String("DL1ABC"); }, "and waits");
    check(callsign->text().isEmpty(), "the line is empty");
    QTest::keyClicks(callsign, QStringLiteral("DL1ABC"));
    QTest::keyClick(callsign, Qt::Key_Return);
    wait([&] { return told->text() == QLatin1String("DL1ABC waits already"); }, "a refusal is told in words");
    check(callsign->text() == QLatin1String("DL1ABC"), "what was refused stays");

    say("next");
    wait([&] { return current->text() == QLatin1String("DL1ABC") && waiting->count() == 0; }, "one is called");
    wait([&] { return tuned->text() == QLatin1String("On the air: 14250 kHz, split up 5"); }, "the frequency is shown");
    wait([&] { return events->count() >= 4; }, "all events are shown");
    window.grab().save(QString::fromLocal8Bit(p_arguments[2]));
    // Guests may ask twice a second.
    QTest::qWait(2'000);

    say("stop");
    wait([&] { return state->text().startsWith(QLatin1String("Not connected: ")); }, "a loss is told");
    check(!current->isEnabled(), "what is shown is as it was");
    say("start");
    wait([&] { return state->text() == QLatin1String("Live"); }, "it comes back");
    say("complete");
    wait([&] { return current->text() == QStringLiteral("–"); }, "and goes on");
    say("done");
    return 0;
}
