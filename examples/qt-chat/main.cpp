// qt-chat: a window that chats with a parlor.
//
//   qt-chat URL [ROOM] [--token-file FILE] [--ca FILE] [--outbox FOLDER]
#include "window.hpp"

#include <QApplication>
#include <QCommandLineParser>
#include <QFile>

int main(int p_count, char **p_arguments)
{
    QApplication application(p_count, p_arguments);
    QCommandLineParser parser;
    parser.setApplicationDescription(QStringLiteral("A window that chats with a parlor."));
    parser.addHelpOption();
    parser.addPositionalArgument(QStringLiteral("URL"), QStringLiteral("as wss://chat.example/ws"));
    parser.addPositionalArgument(QStringLiteral("ROOM"), QStringLiteral("a room to join"), QStringLiteral("[ROOM]"));
    const QCommandLineOption token(QStringLiteral("token-file"), QStringLiteral("A file with the token that says who you are."), QStringLiteral("FILE"));
    const QCommandLineOption ca(QStringLiteral("ca"), QStringLiteral("A file of authorities in place of the system's."), QStringLiteral("FILE"));
    const QCommandLineOption outbox(QStringLiteral("outbox"), QStringLiteral("A folder in which messages wait that are not stored."), QStringLiteral("FOLDER"));
    parser.addOptions({token, ca, outbox});
    parser.process(application);
    if (parser.positionalArguments().isEmpty() || parser.positionalArguments().size() > 2)
        parser.showHelp(2);

    parlor::Options options(parser.positionalArguments().first().toStdString());
    options.ca_file(parser.value(ca).toStdString()).outbox(parser.value(outbox).toStdString());
    if (parser.isSet(token)) {
        QFile file(parser.value(token));
        if (!file.open(QFile::ReadOnly)) {
            qCritical("%s: %s", qPrintable(file.fileName()), qPrintable(file.errorString()));
            return 1;
        }
        options.token(file.read(65'536).trimmed().toStdString());
    }
    parlor::QtClient client;
    if (client.open(options)) {
        qCritical("%s", parlor::last_error().c_str());
        return 1;
    }
    Window window(client);
    if (parser.positionalArguments().size() == 2)
        window.openRoom(parser.positionalArguments().at(1));
    window.show();
    return QApplication::exec();
}
