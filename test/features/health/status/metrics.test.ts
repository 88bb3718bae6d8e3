// needs: promtool
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test, { after, before } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { startPrism, TestPrism } from "../../../helpers/prism.ts";
import { backUp } from "../../records/backup/support/running.ts";

let prism: TestPrism;
before(async () => {
  prism = await TestPrism.start();
});
after(() => prism.stop());

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Exposition {
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
}

/** Parses text format 0.0.4 as strictly as Prometheus does. @throws on the first invalid line */
function parseExposition(text: string): Exposition {
  assert.ok(text.endsWith("\n"));
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.trimEnd().split("\n")) {
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram)$/.exec(line);
    if (type) {
      assert.ok(!types.has(type[1] ?? ""), `${line} stands twice`);
      types.set(type[1] ?? "", type[2] ?? "");
    } else if (!/^# HELP [a-zA-Z_:][\w:]* \S/.test(line)) {
      const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?[\d.]+(?:e[+-]?\d+)?|[+-]Inf|NaN)$/.exec(line);
      assert.ok(sample, `no line of the format: ${line}`);
      const labels = [...(sample[2] ?? "").matchAll(/([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/g)];
      assert.equal(labels.map(([all]) => all).join(""), sample[2] ?? "", line);
      const value = Number(sample[3]?.replace("Inf", "Infinity"));
      const name = sample[1] ?? "";
      assert.ok(
        types.has(name) || types.has(name.replace(/_(bucket|sum|count)$/, "")),
        `${name} has no TYPE before it`,
      );
      samples.push({ name, labels: Object.fromEntries(labels.map(([, key, value]) => [key, value])), value });
    }
  }
  return { types, samples };
}

async function read(server: TestPrism = prism): Promise<Exposition> {
  const { status, text, headers } = await server.get("/metrics");
  assert.equal(status, 200);
  assert.equal(headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  return parseExposition(text);
}

function totalOf({ samples }: Exposition, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const found = samples.filter(
    (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  return found.reduce((sum, { value }) => sum + value, 0);
}

test("/metrics is Prometheus text with every figure of this version", async () => {
  const { types } = await read();
  for (const [name, type] of [
    ["prism_http_requests_total", "counter"],
    ["prism_http_duration_seconds", "histogram"],
    ["prism_ingest_events_total", "counter"],
    ["prism_commit_duration_seconds", "histogram"],
    ["prism_commit_batch_size", "histogram"],
    ["prism_consumer_lag", "gauge"],
    ["prism_rule_eval_seconds", "histogram"],
    ["prism_rule_matches_total", "counter"],
    ["prism_rule_slices_total", "counter"],
    ["prism_rule_errors_total", "counter"],
    ["prism_notifications_total", "counter"],
    ["prism_jobs", "gauge"],
    ["prism_queue_paused", "gauge"],
    ["prism_job_attempts_total", "counter"],
    ["prism_job_duration_seconds", "histogram"],
    ["prism_job_lateness_seconds", "histogram"],
    ["prism_ws_connections", "gauge"],
    ["prism_ws_slow_closed_total", "counter"],
    ["prism_cache_hits_total", "counter"],
    ["prism_db_size_bytes", "gauge"],
    ["prism_wal_bytes", "gauge"],
    ["prism_pending_bytes", "gauge"],
    ["prism_eventloop_lag_seconds", "gauge"],
    ["process_resident_memory_bytes", "gauge"],
    ["process_cpu_seconds_total", "counter"],
    ["process_start_time_seconds", "gauge"],
    ["process_open_fds", "gauge"],
    ["process_max_fds", "gauge"],
    ["prism_build_info", "gauge"],
    ["prism_suppressed_total", "counter"],
    ["prism_disk_free_bytes", "gauge"],
    ["prism_db_used_bytes", "gauge"],
    ["prism_db_limit_bytes", "gauge"],
    ["prism_last_backup_timestamp_seconds", "gauge"],
    ["prism_certificate_expiry_timestamp_seconds", "gauge"],
    ["prism_untrusted_forwarded_total", "counter"],
    ["nodejs_heap_size_used_bytes", "gauge"],
    ["nodejs_gc_duration_seconds", "histogram"],
  ] as const)
    assert.equal(types.get(name), type, name);
});

test("promtool accepts /metrics without a remark", async () => {
  await prism.post("/events", { type: "seen" });
  const { text } = await prism.get("/metrics");
  const { status, stdout, stderr, error } = spawnSync("promtool", ["check", "metrics"], {
    input: text,
    encoding: "utf8",
  });
  assert.equal(error, undefined, "promtool is not installed: apt-get install prometheus");
  assert.deepEqual([status, stdout + stderr], [0, ""]);
});

test("free disk, size limit, last backup and certificate are figures where they exist, and have no sample otherwise", async (t) => {
  const settings = { maxDbBytes: "8000000" };
  const server = await startPrism(t, { settings });
  const before = await read(server);
  const samplesOf = (exposition: Exposition, name: string) => exposition.samples.filter((each) => each.name === name);
  assert.ok(totalOf(before, "prism_disk_free_bytes") > 0);
  const used = totalOf(before, "prism_db_used_bytes");
  assert.ok(used > 100_000 && used < 8_000_000);
  assert.equal(totalOf(before, "prism_db_limit_bytes"), 8_000_000);
  assert.deepEqual(samplesOf(before, "prism_last_backup_timestamp_seconds"), []);
  assert.deepEqual(samplesOf(before, "prism_certificate_expiry_timestamp_seconds"), []);
  assert.deepEqual(samplesOf(await read(), "prism_db_limit_bytes"), []);

  const startedAt = Date.now();
  await backUp(t, server);
  const madeAt = totalOf(await read(server), "prism_last_backup_timestamp_seconds") * 1000;
  assert.ok(madeAt >= startedAt && madeAt <= Date.now());
});

test("events, matches and notifications are counted when they are stored, and refused ones as refused", async () => {
  const { apiKey } = await makeProject(prism, "counted");
  await prism.post("/api/v1/rules", {
    name: "counted",
    condition: "event.type == 'metrics.seen' && number(event.n) > 0",
    targetUsers: ["me"],
  });
  const before = await read();
  const event = { type: "metrics.seen", n: 1, dedupeKey: "once" };
  assert.equal((await prism.post("/events", event)).status, 202);
  assert.equal((await prism.post("/events", event)).status, 202);
  assert.equal((await prism.post("/events", { payload: {} })).status, 400);
  const batch = [{ type: "other" }, { type: 7 }, { type: "other" }];
  assert.equal((await prism.post("/events", batch, { apiKey })).status, 202);
  const after = await read();
  const grown = (name: string, labels?: Readonly<Record<string, string>>): number =>
    totalOf(after, name, labels) - totalOf(before, name, labels);
  assert.deepEqual(
    {
      accepted: grown("prism_ingest_events_total", { result: "accepted" }),
      duplicate: grown("prism_ingest_events_total", { result: "duplicate" }),
      rejected: grown("prism_ingest_events_total", { result: "rejected" }),
      failed: grown("prism_ingest_events_total", { result: "failed" }),
      matches: grown("prism_rule_matches_total"),
      notifications: grown("prism_notifications_total"),
      answered: grown("prism_http_requests_total", { route: "/events", method: "POST", status: "202" }),
    },
    { accepted: 3, duplicate: 1, rejected: 2, failed: 0, matches: 1, notifications: 1, answered: 3 },
  );
  assert.ok(grown("prism_commit_duration_seconds_count") >= 2);
  assert.ok(grown("prism_rule_eval_seconds_count") >= 2);
});

test("jobs are counted by queue and state, and their time by queue", async () => {
  const action = { type: "event", event: "metrics.timer" };
  await prism.post("/time/trigger", { label: "later", delayMs: 3_600_000, action });
  const scheduled = { queue: "timers", state: "scheduled" };
  await eventually("it is counted", async () => totalOf(await read(), "prism_jobs", scheduled) === 1);
  await prism.post("/time/trigger", { label: "now", delayMs: 0, action });
  const done = { queue: "timers", outcome: "succeeded" };
  const after = await eventually("one has run", async () => {
    const exposition = await read();
    return totalOf(exposition, "prism_job_attempts_total", done) === 1 ? exposition : null;
  });
  for (const name of ["prism_job_duration_seconds_count", "prism_job_lateness_seconds_count"])
    assert.equal(totalOf(after, name, { queue: "timers" }), 1, name);
});

test("a paused queue is 1 until it is resumed, every other 0", async () => {
  const paused = async (): Promise<readonly string[]> =>
    (await read()).samples
      .filter(({ name, value }) => name === "prism_queue_paused" && value === 1)
      .map(({ labels }) => labels["queue"] ?? "");
  assert.deepEqual(await paused(), []);
  await prism.post("/api/v1/queues/digest/pause");
  assert.deepEqual(await paused(), ["digest"]);
  await prism.post("/api/v1/queues/digest/resume");
  assert.deepEqual(await paused(), []);
});

test("jobs are counted once for all who ask within two seconds", async (t) => {
  const clock = new FakeClock();
  const server = await startPrism(t, { clock });
  const count = async () => totalOf(await read(server), "prism_jobs", { queue: "digest" });
  const add = () =>
    server.parts.offers.jobs.enqueue({ queue: "digest", kind: "test", payload: {}, runAt: clock.now() + 60_000 });
  await add();
  assert.equal(await count(), 1);
  await add();
  assert.equal(await count(), 1);
  clock.advance(2000);
  assert.equal(await count(), 2);
});

test("every histogram is cumulative and ends in +Inf, which is its count", async () => {
  const { types, samples } = await read();
  for (const [name, type] of types) {
    if (type !== "histogram") continue;
    const series = new Map<string, number[]>();
    for (const { name: each, labels, value } of samples) {
      if (each !== `${name}_bucket`) continue;
      const { le: _le, ...rest } = labels;
      const key = JSON.stringify(rest);
      series.set(key, [...(series.get(key) ?? []), value]);
    }
    for (const [key, values] of series) {
      const sorted = values.toSorted((a, b) => a - b);
      assert.deepEqual(values, sorted, `${name}${key}`);
      const labels = JSON.parse(key) as Record<string, string>;
      assert.equal(values.at(-1), totalOf({ types, samples }, `${name}_count`, labels), `${name}${key}`);
    }
  }
});

test("labels are bounded: neither paths, nor ids, nor methods of strangers become series", async () => {
  await read();
  const before = (await read()).samples.length;
  for (let i = 0; i < 30; i++) {
    await prism.get(`/nowhere/${i}`);
    await prism.get(`/api/v1/notifications/nothing-${i}?q=${i}`);
    await prism.request(`METHOD${i}`, `/api/v1/${i}`);
    await prism.post(`/api/v1/projects/p${i}/events`, {});
  }
  const { samples } = await read();
  assert.ok(samples.length < before + 200, `${samples.length - before} new series`);
  for (const { labels } of samples)
    for (const value of Object.values(labels)) assert.doesNotMatch(value, /nothing-\d|nowhere|METHOD|p\d\d/);
  assert.ok(
    totalOf({ types: new Map(), samples }, "prism_http_requests_total", { route: "none", status: "404" }) >= 30,
  );
});

test("with a metrics token: only that token, or system:status", async (t) => {
  const metricsToken = "a-token-for-prometheus-alone";
  const guarded = await startPrism(t, { settings: { metricsToken } });
  const { token } = await makeUser(guarded, "ursula", ["User"]);
  for (const [name, options, status] of [
    ["the metrics token", { token: metricsToken }, 200],
    ["an administrator", {}, 200],
    ["a user", { token }, 403],
    ["a wrong token", { token: `${metricsToken}x` }, 401],
    ["the token as an API key", { apiKey: metricsToken }, 401],
  ] as const)
    assert.equal((await guarded.get("/metrics", options)).status, status, name);
  const { status } = await guarded.get("/api/v1/status", { token: metricsToken });
  assert.equal(status, 401, "it opens nothing else");
});

test("without credentials: open to this machine in development, without a proxy; closed otherwise", async () => {
  assert.equal((await prism.get("/metrics", { token: null })).status, 200);
  const forwarded = { token: null, headers: { "X-Forwarded-For": "203.0.113.7" } };
  assert.equal((await prism.get("/metrics", forwarded)).status, 401);
});
