/* serve/exchange_result.h - what an exchange that is over means for its client's connection */
#pragma once

#include <stdbool.h>

struct exchange_result {
    bool keep;   /* another request may follow */
    bool reset;  /* its end would look like the end of a response that is not complete */
    bool unread; /* the client may still be sending the rest of the request */
    bool paired; /* the pod may have authenticated the connection, not the request */
    bool connected; /* a CONNECT was answered with 200: exchange_take_connected */
    bool hello;     /* likewise, and a ClientHello follows that is for this process */
};
