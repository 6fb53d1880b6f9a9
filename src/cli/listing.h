/* cli/listing.h - the services that can be reached, from the API server */
#pragma once

struct config;

/* COLUMNS fit the terminal, or have a sane width in a pipe; WIDE leaves nothing out; JSON is
 * an array of objects; NAME is SERVICE.NAMESPACE, one in a line. */
enum list_output { LIST_COLUMNS, LIST_WIDE, LIST_JSON, LIST_NAME };

/* Print the services that can be reached and their URLs.  The exit status. */
int list_services(const struct config *config, enum list_output output);
