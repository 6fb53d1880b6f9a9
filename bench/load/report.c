/* bench/load/report.c - what a load prints on standard output, for bench/load.py */
#include "bench/load/report.h"

#include <stdio.h>

static void print_line(const char *word)
{
    puts(word);
    fflush(stdout);
}

void report_counting(void)
{
    print_line("counting");
}

static void print_amount(const char *name, uint64_t n)
{
    printf(", \"%s\": %llu", name, (unsigned long long)n);
}

/* The word is printed first, because sorting a million latencies takes a while. */
void report_counted(const struct tally *t, uint64_t took_ns)
{
    struct samples sorted = t->latencies;

    print_line("counted");
    samples_sort(&sorted);
    printf("{\"seconds\": %.6f", (double)took_ns / 1e9);
    print_amount("requests", t->requests);
    print_amount("body_in", t->body_in);
    print_amount("body_out", t->body_out);
    print_amount("moved_in", t->moved_in);
    print_amount("moved_out", t->moved_out);
    print_amount("p50_us", samples_percentile(&sorted, 50));
    print_amount("p90_us", samples_percentile(&sorted, 90));
    print_amount("p99_us", samples_percentile(&sorted, 99));
    print_amount("max_us", samples_percentile(&sorted, 100));
#define X(NAME, name) print_amount(#name, t->failures[FAIL_##NAME]);
    FAILURES(X)
#undef X
    print_line("}");
}
