#include "message.hpp"

#include <parlor_qt.hpp>

#include <QPainter>

namespace {

constexpr int g_margin = 8;

// A message of this length is cut, so that the list stays quick; its tool tip has more.
constexpr int g_characters = 4'000;

struct Shown {
    explicit Shown(const QModelIndex &p_index)
    {
        using parlor::QtRoom;
        const QString error = p_index.data(QtRoom::ErrorRole).toString();
        m_head = p_index.data(QtRoom::UserRole).toString();
        m_text = p_index.data(QtRoom::TextRole).toString().left(g_characters);
        m_is_faint = p_index.data(QtRoom::PendingRole).toBool();
        if (p_index.data(QtRoom::DeletedRole).toBool()) {
            m_text = QObject::tr("This message was deleted.");
            m_is_faint = true;
        }
        if (!error.isEmpty())
            m_note = QObject::tr("not sent: %1. Double-click to try again.").arg(error);
        else if (p_index.data(QtRoom::PendingRole).toBool())
            m_note = QObject::tr("waits");
        else
            m_note = p_index.data(QtRoom::TimeRole).toDateTime().toString(QStringLiteral("hh:mm"));
        if (p_index.data(QtRoom::EditedRole).toBool())
            m_note += QObject::tr(", edited");
    }

    QString m_head, m_note, m_text;
    bool m_is_faint = false;
};

QRect inside(const QRect &p_rect) { return p_rect.adjusted(g_margin, g_margin / 2, -g_margin, -g_margin / 2); }

QFont bold(QFont p_font)
{
    p_font.setBold(true);
    return p_font;
}

constexpr int g_flags = Qt::TextWrapAnywhere | Qt::AlignLeft | Qt::AlignTop | Qt::TextExpandTabs;

} // namespace

void MessageDelegate::paint(QPainter *p_painter, const QStyleOptionViewItem &p_option, const QModelIndex &p_index) const
{
    const Shown shown(p_index);
    const QRect rect = inside(p_option.rect);
    const int line = QFontMetrics(bold(p_option.font)).height();
    p_painter->save();
    p_painter->setFont(bold(p_option.font));
    p_painter->setPen(p_option.palette.color(QPalette::Text));
    const QString head = QFontMetrics(bold(p_option.font)).elidedText(shown.m_head, Qt::ElideRight, rect.width() / 2);
    p_painter->drawText(rect, Qt::AlignLeft | Qt::AlignTop, head);
    const int behind = QFontMetrics(bold(p_option.font)).horizontalAdvance(head) + g_margin;
    p_painter->setFont(p_option.font);
    p_painter->setPen(p_option.palette.color(QPalette::PlaceholderText));
    p_painter->drawText(rect.adjusted(behind, 0, 0, 0), Qt::AlignLeft | Qt::AlignTop, shown.m_note);
    if (!shown.m_is_faint)
        p_painter->setPen(p_option.palette.color(QPalette::Text));
    p_painter->drawText(rect.adjusted(0, line, 0, 0), g_flags, shown.m_text);
    p_painter->restore();
}

QSize MessageDelegate::sizeHint(const QStyleOptionViewItem &p_option, const QModelIndex &p_index) const
{
    const Shown shown(p_index);
    const int width = p_option.rect.width() - 2 * g_margin;
    const QRect text = p_option.fontMetrics.boundingRect(QRect(0, 0, width > 0 ? width : 1, INT_MAX / 2), g_flags, shown.m_text);
    return QSize(width, QFontMetrics(bold(p_option.font)).height() + text.height() + g_margin);
}
