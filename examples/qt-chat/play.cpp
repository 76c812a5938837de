// Plays the window as a person would, beside another client: `play URL FOLDER`. It asks on standard output for the server
// to be stopped and started, and writes pictures into the folder.
#include "window.hpp"

#include <QApplication>
#include <QSignalSpy>
#include <QTest>

#include <cstdio>
#include <cstdlib>

using parlor::QtClient;
using parlor::QtRoom;

namespace {

void check(bool p_is, const char *p_what)
{
    if (p_is)
        return;
    std::fprintf(stderr, "not so: %s (%s)\n", p_what, parlor::last_error().c_str());
    std::exit(1);
}

template <class Condition> void wait(Condition &&p_condition, const char *p_what) { check(QTest::qWaitFor(p_condition, 20'000), p_what); }

void say(const char *p_line)
{
    std::puts(p_line);
    std::fflush(stdout);
}

QString text(const QtRoom *p_room, int p_row, int p_role = QtRoom::TextRole)
{
    return p_room->data(p_room->index(p_row), p_role).toString();
}

} // namespace

int main(int p_count, char **p_arguments)
{
    QApplication application(p_count, p_arguments);
    if (p_count != 3)
        return 2;
    const QString url = QString::fromLocal8Bit(p_arguments[1]), folder = QString::fromLocal8Bit(p_arguments[2]);
    const auto options = [&](const char *p_user) {
        parlor::Options made((url + QStringLiteral("?user=") + QLatin1String(p_user)).toStdString());
        made.backoff(std::chrono::seconds(2), std::chrono::seconds(2), 2, false);
        return made;
    };

    QtClient bob;
    // A room may be made before.
    QtRoom *const bobs = bob.room(QStringLiteral("tea"));
    check(!bob.open(options("bob")), "bob opens");
    for (int number = 1; number <= 120; number++)
        bobs->send(QStringLiteral("line %1").arg(number));
    wait([&] { return bobs->rowCount() == 120 && !bobs->data(bobs->index(119), QtRoom::PendingRole).toBool(); }, "bob's 120 messages are stored");

    // --- It opens, and shows what there is. ---
    QtClient client;
    check(!client.open(options("ada")), "ada opens");
    check(bool(client.open(options("ada"))), "once");
    Window window(client);
    window.show();
    window.activateWindow();
    check(QTest::qWaitForWindowExposed(&window), "the window is shown");
    const auto label = [&](const char *p_name) { return window.findChild<QLabel *>(QLatin1String(p_name))->text(); };
    QLineEdit *const join = window.findChild<QLineEdit *>(QStringLiteral("join"));
    QLineEdit *const input = window.findChild<QLineEdit *>(QStringLiteral("input"));
    QListWidget *const rooms = window.findChild<QListWidget *>(QStringLiteral("rooms"));
    QListWidget *const people = window.findChild<QListWidget *>(QStringLiteral("people"));
    QPushButton *const older = window.findChild<QPushButton *>(QStringLiteral("older"));
    wait([&] { return label("state") == QStringLiteral("Online as ada"); }, "it says who is online");
    check(!input->isEnabled() && !older->isVisible(), "there is no room yet");
    QTest::keyClicks(join, QStringLiteral("tea"));
    QTest::keyClick(join, Qt::Key_Return);
    QtRoom *const room = client.room(QStringLiteral("tea"));
    wait([&] { return room->rowCount() == 50 - 1; }, "the newest page is there"); // one entry says who has joined
    check(text(room, room->rowCount() - 1) == QStringLiteral("line 120"), "the newest is last");
    wait([&] { return people->count() == 2; }, "both are online");

    // --- What is older. ---
    wait([&] { return older->isVisible(); }, "there are older ones");
    for (int page = 0; older->isVisible(); page++) {
        check(page < 4, "it ends");
        const int before = room->rowCount();
        QTest::mouseClick(older, Qt::LeftButton);
        wait([&] { return room->rowCount() > before || !older->isVisible(); }, "an older page comes");
    }
    check(room->rowCount() == 120, "all are there");
    for (int row = 0; row < 120; row++)
        check(text(room, row) == QStringLiteral("line %1").arg(row + 1), "they are in order");

    // --- One talks. ---
    QTest::keyClicks(input, QStringLiteral("good evening"));
    wait([&] { return bobs->typists() == QStringList(QStringLiteral("ada")); }, "bob sees that ada types");
    QTest::keyClick(input, Qt::Key_Return);
    check(input->text().isEmpty() && text(room, 120) == QStringLiteral("good evening"), "it is there at once");
    wait([&] { return bobs->rowCount() == 121 && text(bobs, 120) == QStringLiteral("good evening"); }, "bob hears it");
    wait([&] { return text(room, 120, QtRoom::PendingRole) == QStringLiteral("false"); }, "it is stored");
    check(room->rowCount() == 121, "and there once");
    bobs->setTyping(true);
    wait([&] { return label("typists") == QStringLiteral("bob typing …"); }, "ada sees that bob types");
    bobs->send(QStringLiteral("and to you"));
    wait([&] { return room->rowCount() == 122; }, "ada hears it");
    const qulonglong seq = room->data(room->index(121), QtRoom::SeqRole).toULongLong();
    bob.request(QStringLiteral("chat:edit"), {{QStringLiteral("room"), QStringLiteral("tea")}, {QStringLiteral("seq"), qint64(seq)}, {QStringLiteral("text"), QStringLiteral("and to you, ada")}});
    wait([&] { return text(room, 121) == QStringLiteral("and to you, ada") && text(room, 121, QtRoom::EditedRole) == QStringLiteral("true"); }, "it is edited");
    const qulonglong first = bobs->data(bobs->index(118), QtRoom::SeqRole).toULongLong();
    bob.request(QStringLiteral("chat:delete"), {{QStringLiteral("room"), QStringLiteral("tea")}, {QStringLiteral("seq"), qint64(first)}});
    wait([&] { return text(room, 118, QtRoom::DeletedRole) == QStringLiteral("true") && text(room, 118).isEmpty(); }, "another is deleted");
    QSignalSpy answers(&bob, &QtClient::answered);
    const qulonglong asked = bob.request(QStringLiteral("chat:delete"), {{QStringLiteral("room"), QStringLiteral("nowhere")}, {QStringLiteral("seq"), 1}});
    wait([&] { return answers.count() == 1; }, "a refusal is told");
    check(answers.at(0).at(0).toULongLong() == asked && !answers.at(0).at(2).toString().isEmpty(), "with its request");

    // --- What is not read. ---
    QTest::keyClicks(join, QStringLiteral("den"));
    QTest::keyClick(join, Qt::Key_Return);
    QtRoom *const den = client.room(QStringLiteral("den"));
    wait([&] { return den->membership() == QStringLiteral("member"); }, "ada is in a second room");
    const auto item = [&](const QString &p_text) { return rooms->findItems(p_text, Qt::MatchExactly); };
    bobs->send(QStringLiteral("are you there?"));
    wait([&] { return item(QStringLiteral("tea (1)")).size() == 1; }, "one is unread in the first");
    QTest::mouseClick(rooms->viewport(), Qt::LeftButton, {}, rooms->visualItemRect(item(QStringLiteral("tea (1)")).first()).center());
    window.activateWindow();
    check(QTest::qWaitForWindowActive(&window), "the window is active");
    wait([&] { return item(QStringLiteral("tea")).size() == 1; }, "and is read when it is shown");
    check(room->unread() == 0, "nothing is unread");
    check(window.grab().save(folder + QStringLiteral("/online.png")), "a picture");

    // --- The server goes, and comes back. ---
    say("stop");
    wait([&] { return label("state").contains(QStringLiteral("Tries again in")); }, "it says that it tries again");
    QTest::keyClicks(input, QStringLiteral("is anybody there?"));
    QTest::keyClick(input, Qt::Key_Return);
    check(text(room, room->rowCount() - 1, QtRoom::PendingRole) == QStringLiteral("true"), "what is written waits");
    QTest::qWait(100);
    check(window.grab().save(folder + QStringLiteral("/away.png")), "a picture");
    say("start");
    wait([&] { return client.isOnline() && bob.isOnline(); }, "both come back");
    const auto waits = [&] { return text(room, room->rowCount() - 1, QtRoom::PendingRole) == QStringLiteral("true"); };
    wait([&] { return !waits() && text(bobs, bobs->rowCount() - 1) == QStringLiteral("is anybody there?"); }, "it is stored then");
    check(room->rowCount() == 124 && bobs->rowCount() == 124, "nothing is doubled, nothing is lost");

    // --- It keeps as many messages as it is told. ---
    check(bobs->maxRows() == 10'000, "as many as is said");
    bobs->setMaxRows(100);
    check(bobs->rowCount() == 50 && bobs->hasOlder(), "the oldest are gone");
    bobs->fetchOlder();
    wait([&] { return bobs->rowCount() > 50; }, "and are loaded again");
    const auto is_as_adas = [&] {
        const int gone = room->rowCount() - bobs->rowCount();
        for (int row = 0; row < bobs->rowCount(); row++) {
            if (bobs->data(bobs->index(row), QtRoom::SeqRole) != room->data(room->index(row + gone), QtRoom::SeqRole))
                return false;
        }
        return true;
    };
    check(is_as_adas(), "without a hole");
    bool was_full = false;
    for (int number = 1; number <= 60; number++) {
        room->send(QStringLiteral("more %1").arg(number));
        wait([&] { return text(bobs, bobs->rowCount() - 1) == QStringLiteral("more %1").arg(number); }, "bob hears of more");
        check(bobs->rowCount() <= 100, "there are not more than it keeps");
        was_full = was_full || !bobs->hasOlder();
    }
    check(was_full && room->rowCount() == 184, "it was full, and ada's keeps all");
    wait([&] { return text(room, 183, QtRoom::PendingRole) == QStringLiteral("false"); }, "the last is stored");
    check(is_as_adas(), "without a hole");

    // --- And ends. ---
    QSignalSpy ends(&client, &QtClient::ended);
    client.stop();
    wait([&] { return ends.count() == 1; }, "it ends");
    wait([&] { return label("state").startsWith(QStringLiteral("Not connected")) || client.state() == QStringLiteral("closed"); }, "and says so");
    say("done");
    return 0;
}
