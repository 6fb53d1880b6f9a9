/* upstream/surveyed.h - what a survey looks at; private to upstream/ */
#pragma once

#include "base/str.h"

struct leasing_parts;
struct route;
struct survey;
struct task;

struct survey *survey_create(struct leasing_parts *parts, const struct route *route,
                             struct str client, struct task *wake);
