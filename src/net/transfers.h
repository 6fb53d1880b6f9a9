/* net/transfers.h - what the transfers of one loop share: a curl multi handle */
#pragma once

struct loop;
struct transfers;

struct transfers *transfers_create(struct loop *l);
void transfers_destroy(struct transfers *t); /* after each transfer was closed */
