/* parlor_poll.h: a client in a loop of poll(2)'s; for C99 and C++98.
 *
 *     struct pollfd waits[2] = {parlor_pollfd(client), {0, POLLIN, 0}};
 *     while (poll(waits, 2, -1) >= 0)
 *         if (waits[0].revents && parlor_drain(client, 64, see, NULL) == PARLOR_E_CLOSED)
 *             break;
 */
#ifndef PARLOR_POLL_H
#define PARLOR_POLL_H

#include "parlor.h"

#include <poll.h>

/* What poll(2) is to wait for. Its descriptor is -1, which poll(2) leaves out, if there is none. */
static inline struct pollfd parlor_pollfd(parlor_client *p_client)
{
    struct pollfd wait;
#ifdef __cplusplus
    wait.fd = static_cast<int>(parlor_wait_handle(p_client));
#else
    wait.fd = (int)parlor_wait_handle(p_client);
#endif
    wait.events = POLLIN;
    wait.revents = 0;
    return wait;
}

#endif
