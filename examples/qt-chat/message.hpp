// How a message looks in the list.
#ifndef QT_CHAT_MESSAGE_HPP
#define QT_CHAT_MESSAGE_HPP

#include <QStyledItemDelegate>

class MessageDelegate : public QStyledItemDelegate {
    Q_OBJECT

public:
    using QStyledItemDelegate::QStyledItemDelegate;
    void paint(QPainter *p_painter, const QStyleOptionViewItem &p_option, const QModelIndex &p_index) const override;
    QSize sizeHint(const QStyleOptionViewItem &p_option, const QModelIndex &p_index) const override;
};

#endif
