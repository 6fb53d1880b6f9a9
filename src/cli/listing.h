/* cli/listing.h - lists the services that can be reached, from the API server */
#pragma once

struct config;

/* COLUMNS fit the terminal, or have a fixed maximum width in a pipe; WIDE omits nothing;
 * JSON is an array of objects; NAME is SERVICE.NAMESPACE, one per line. */
enum list_output { LIST_COLUMNS, LIST_WIDE, LIST_JSON, LIST_NAME };

/* Prints the services that can be reached and their URLs.  Returns the exit status. */
int list_services(const struct config *config, enum list_output output);
