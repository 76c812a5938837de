// pileup: the queue of callers in a window, as a guest.
//
//   pileup [URL] [--ca FILE]
#include "window.hpp"

#include <QApplication>
#include <QCommandLineParser>

int main(int p_count, char **p_arguments)
{
    QApplication application(p_count, p_arguments);
    QCommandLineParser parser;
    parser.setApplicationDescription(QStringLiteral("The queue of callers in a window."));
    parser.addHelpOption();
    parser.addPositionalArgument(QStringLiteral("URL"), QStringLiteral("of parlor, by default ws://127.0.0.1:8080/ws"), QStringLiteral("[URL]"));
    const QCommandLineOption ca(QStringLiteral("ca"), QStringLiteral("A file of authorities in place of the system's."), QStringLiteral("FILE"));
    parser.addOption(ca);
    parser.process(application);
    if (parser.positionalArguments().size() > 1)
        parser.showHelp(2);
    const QString url = parser.positionalArguments().value(0, QStringLiteral("ws://127.0.0.1:8080/ws"));
    parlor::Options options((url + QStringLiteral("?anonymous=1")).toStdString());
    options.ca_file(parser.value(ca).toStdString());
    parlor::QtClient client;
    if (client.open(options)) {
        qCritical("%s", parlor::last_error().c_str());
        return 1;
    }
    Window window(client);
    window.show();
    return QApplication::exec();
}
