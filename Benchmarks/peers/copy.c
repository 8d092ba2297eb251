// The yardstick for bulk transfer: COPY in binary form with plain libpq, nothing around it.
//
//   copy out CONNINFO "COPY (SELECT …) TO STDOUT (FORMAT binary)"
//   copy in3 CONNINFO TABLE ROWS      rows of (integer, timestamptz, double precision)
//   copy points CONNINFO TABLE SERIES HORIZON QUANTILES
//                                     rows shaped like forecast.forecast_point
//
// Prints one JSON object: rows, seconds, peak resident memory in MB.
#include <arpa/inet.h>
#include <endian.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(PGconn *c, const char *what) {
  fprintf(stderr, "%s: %s", what, PQerrorMessage(c));
  exit(1);
}

static void report(long rows, double begin) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  printf("{\"rows\": %ld, \"seconds\": %.3f, \"rss_mb\": %.1f}\n", rows, now() - begin, u.ru_maxrss / 1024.0);
}

static char buffer[1 << 17];
static size_t used;

static void p16(uint16_t v) { v = htobe16(v); memcpy(buffer + used, &v, 2); used += 2; }
static void p32(uint32_t v) { v = htobe32(v); memcpy(buffer + used, &v, 4); used += 4; }
static void p64(uint64_t v) { v = htobe64(v); memcpy(buffer + used, &v, 8); used += 8; }
static void pf(double d) { uint64_t v; memcpy(&v, &d, 8); p64(v); }

static void header(void) {
  memcpy(buffer, "PGCOPY\n\377\r\n\0", 11);
  memset(buffer + 11, 0, 8);
  used = 19;
}

static void flush_if(PGconn *c, size_t limit) {
  if (used >= limit) {
    if (PQputCopyData(c, buffer, (int)used) != 1) die(c, "COPY");
    used = 0;
  }
}

static void finish(PGconn *c) {
  p16((uint16_t)-1);
  flush_if(c, 0);
  if (PQputCopyEnd(c, NULL) != 1) die(c, "COPY");
  PGresult *r = PQgetResult(c);
  if (PQresultStatus(r) != PGRES_COMMAND_OK) die(c, "COPY");
  PQclear(r);
  while ((r = PQgetResult(c))) PQclear(r);
}

static void begin_copy(PGconn *c, const char *sql) {
  PGresult *r = PQexec(c, sql);
  if (PQresultStatus(r) != PGRES_COPY_IN && PQresultStatus(r) != PGRES_COPY_OUT) die(c, sql);
  PQclear(r);
}

int main(int argc, char **argv) {
  if (argc < 4) return 64;
  PGconn *c = PQconnectdb(argv[2]);
  if (PQstatus(c) != CONNECTION_OK) die(c, "connect");
  char sql[1024];
  double begin = now();
  if (!strcmp(argv[1], "out")) {
    begin_copy(c, argv[3]);
    char *row;
    long rows = 0;
    int n, first = 1;
    double sum = 0;
    while ((n = PQgetCopyData(c, &row, 0)) > 0) {
      const char *p = row + (first ? 19 : 0);
      uint16_t fields;
      memcpy(&fields, p, 2);
      fields = be16toh(fields);
      if (fields != 0xFFFF) {
        p += 2;
        for (int f = 0; f < fields; f++) {
          uint32_t length;
          memcpy(&length, p, 4);
          length = be32toh(length);
          p += 4;
          if (length == 0xFFFFFFFF) continue;
          if (length == 8) {
            uint64_t v;
            memcpy(&v, p, 8);
            v = be64toh(v);
            double d;
            memcpy(&d, &v, 8);
            if (f == fields - 1) sum += d;
          }
          p += length;
        }
        rows++;
      }
      first = 0;
      PQfreemem(row);
    }
    if (n == -2) die(c, "COPY");
    fprintf(stderr, "sum %g\n", sum);
    report(rows, begin);
  } else if (!strcmp(argv[1], "in3")) {
    long rows = atol(argv[4]);
    snprintf(sql, sizeof sql, "COPY %s FROM STDIN (FORMAT binary)", argv[3]);
    begin_copy(c, sql);
    header();
    for (long i = 0; i < rows; i++) {
      p16(3);
      p32(4); p32((uint32_t)(i / 1000));
      p32(8); p64((uint64_t)(i % 1000) * 3600000000ULL);
      p32(8); pf((double)i);
      flush_if(c, 65536);
    }
    finish(c);
    report(rows, begin);
  } else if (!strcmp(argv[1], "points")) {
    long series = atol(argv[4]), horizon = atol(argv[5]);
    int q = atoi(argv[6]);
    snprintf(sql, sizeof sql, "COPY %s (run_id, series_id, issued_at, target_at, target_index, mean, step, quantiles) FROM STDIN (FORMAT binary)", argv[3]);
    begin_copy(c, sql);
    header();
    for (long s = 1; s <= series; s++)
      for (long h = 1; h <= horizon; h++) {
        p16(8);
        p32(8); p64(1);
        p32(8); p64((uint64_t)s);
        p32(8); p64(840000000000000ULL);
        p32(8); p64(840000000000000ULL + (uint64_t)h * 3600000000ULL);
        p32((uint32_t)-1);
        p32(8); pf((double)s + h);
        p32(4); p32((uint32_t)h);
        p32((uint32_t)(20 + q * 12)); p32(1); p32(0); p32(701); p32((uint32_t)q); p32(1);
        for (int k = 0; k < q; k++) { p32(8); pf((double)s + h + k); }
        flush_if(c, 65536);
      }
    finish(c);
    report(series * horizon, begin);
  } else {
    return 64;
  }
  PQfinish(c);
  return 0;
}
