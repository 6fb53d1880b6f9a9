/* cli/ask.h - commands that ask a running kube-tunnel
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "cli/command.h"

/* Sends a request to the kube-tunnel of --name; `body` is taken over.  EXIT_OK: *ret is the
 * answer, for the caller to json_decref.  EXIT_FAILED after printing the error. */
MUST_CHECK int ask(const struct args *a, const char *method, const char *path,
                   json_t *body, json_t **ret);
/* Name of the kube-tunnel that the settings choose; owned.  EXIT_OK or EXIT_USAGE. */
MUST_CHECK int asked_name(const struct args *a, char **ret);
/* Prints an error and returns EXIT_FAILED. */
int print_failure(const char *format, ...) PRINTF_LIKE(1, 2);

enum output { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_NAME };
/* Reads --output.  EXIT_OK or, after printing the error, EXIT_USAGE. */
MUST_CHECK int read_output_flag(const struct args *a, enum output *ret);
/* Prints it as JSON with ASCII only, or as YAML. */
void print_json(const json_t *json, FILE *to);
void print_yaml(const json_t *json, FILE *to);

/* Of an object: a text, "" if it has none; a number, 0 if it has none. */
const char *text_of(const json_t *object, const char *key);
long long number_of(const json_t *object, const char *key);
/* Prints a line for each change that a reload made, or would make. */
void print_changes(const json_t *changes);
/* "shop/web-0" of an event; owned by the caller; NULL: it has no pod. */
char *event_pod(const json_t *event);
/* "5m", "2h", "3d"; `room` is the caller's. */
const char *age_text(uint64_t ms, char room[static 32]);
