import assert from "node:assert/strict";
import test from "node:test";
import { Metrics } from "../../src/core/metrics.ts";

const linesOf = (metrics: Metrics): string[] => metrics.render().trimEnd().split("\n");

test("a counter has one series per set of labels", () => {
  const metrics = new Metrics();
  const requests = metrics.counter("prism_requests_total", "Requests");
  requests({ route: "/a", status: "200" }).add();
  requests({ route: "/a", status: "200" }).add(2);
  requests({ route: "/b", status: "404" }).add();
  assert.equal(requests({ route: "/a", status: "200" }).value, 3);
  assert.deepEqual(linesOf(metrics), [
    "# HELP prism_requests_total Requests",
    "# TYPE prism_requests_total counter",
    'prism_requests_total{route="/a",status="200"} 3',
    'prism_requests_total{route="/b",status="404"} 1',
  ]);
});

test("a histogram counts into cumulative buckets whose bounds belong to them", () => {
  const metrics = new Metrics();
  const seconds = metrics.histogram("prism_seconds", "Time", [0.1, 1]);
  for (const value of [0.05, 0.1, 0.5, 1, 7]) seconds().observe(value);
  seconds({ route: "/a" }).observe(2);
  assert.deepEqual(linesOf(metrics), [
    "# HELP prism_seconds Time",
    "# TYPE prism_seconds histogram",
    'prism_seconds_bucket{le="0.1"} 2',
    'prism_seconds_bucket{le="1"} 4',
    'prism_seconds_bucket{le="+Inf"} 5',
    "prism_seconds_sum 8.65",
    "prism_seconds_count 5",
    'prism_seconds_bucket{route="/a",le="0.1"} 0',
    'prism_seconds_bucket{route="/a",le="1"} 0',
    'prism_seconds_bucket{route="/a",le="+Inf"} 1',
    'prism_seconds_sum{route="/a"} 2',
    'prism_seconds_count{route="/a"} 1',
  ]);
});

test("gauges and external counts are read on request", () => {
  const metrics = new Metrics();
  let reads = 0;
  metrics.gauge("prism_up", "Up", () => ++reads);
  metrics.counterOf("prism_hits_total", "Hits", () => [
    [{ cache: "rules" }, 3],
    [{ cache: "users" }, 4],
  ]);
  assert.equal(reads, 0);
  assert.deepEqual(linesOf(metrics), [
    "# HELP prism_up Up",
    "# TYPE prism_up gauge",
    "prism_up 1",
    "# HELP prism_hits_total Hits",
    "# TYPE prism_hits_total counter",
    'prism_hits_total{cache="rules"} 3',
    'prism_hits_total{cache="users"} 4',
  ]);
});

test("the value of a label is escaped", () => {
  const metrics = new Metrics();
  metrics.counter("prism_odd_total", "Odd")({ name: 'a"b\\c\nd' }).add();
  assert.ok(linesOf(metrics).includes('prism_odd_total{name="a\\"b\\\\c\\nd"} 1'));
});

test("values that are no finite number are written as Prometheus reads them", () => {
  const metrics = new Metrics();
  metrics.gauge("prism_a", "A", () => Number.POSITIVE_INFINITY);
  metrics.gauge("prism_b", "B", () => Number.NEGATIVE_INFINITY);
  metrics.gauge("prism_c", "C", () => Number.NaN);
  assert.deepEqual(
    linesOf(metrics).filter((line) => !line.startsWith("#")),
    ["prism_a +Inf", "prism_b -Inf", "prism_c NaN"],
  );
});

test("a name is given once", () => {
  const metrics = new Metrics();
  metrics.counter("prism_a_total", "A");
  assert.throws(() => metrics.gauge("prism_a_total", "A", () => 1), TypeError);
});
