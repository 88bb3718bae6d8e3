import assert from "node:assert/strict";
import test from "node:test";
import * as v from "valibot";
import { addressOf, tlsFor } from "../../src/cluster/log/nats-log.ts";
import { CLUSTER_OPTIONS } from "../../src/config/cluster-options.ts";
import * as k from "../../src/config/kinds.ts";
import { nearestName } from "../../src/config/nearest.ts";
import { environmentName, flagName } from "../../src/config/option.ts";

/** What a kind makes of the text of a flag or variable; undefined when it refuses it. */
function parse<T>(kind: k.Kind<T>, text: string): T | undefined {
  const result = v.safeParse(kind.schema, kind.fromText(text));
  return result.success ? result.output : undefined;
}

test("a key has one name as a variable and one as a flag", () => {
  for (const [key, variable, flag] of [
    ["port", "PRISM_PORT", "--port"],
    ["dataDir", "PRISM_DATA_DIR", "--data-dir"],
    ["ingest.maxBatch", "PRISM_INGEST_MAX_BATCH", "--ingest-max-batch"],
    ["queues.event-processing.maxAttempts", "PRISM_QUEUES_EVENT_PROCESSING_MAX_ATTEMPTS", undefined],
    ["auth.devTokenCidrs", "PRISM_AUTH_DEV_TOKEN_CIDRS", undefined],
  ] as const) {
    assert.equal(environmentName(key), variable);
    if (flag !== undefined) assert.equal(flagName(key), flag);
  }
});

test("durations have a unit or are milliseconds", () => {
  for (const [text, ms] of [
    ["15m", 900_000],
    ["7d", 604_800_000],
    ["90s", 90_000],
    ["1.5h", 5_400_000],
    ["250ms", 250],
    ["250 ms", 250],
    [" 250 ", 250],
    ["0", 0],
  ] as const)
    assert.equal(k.parseDuration(text), ms, text);
  for (const text of ["", "soon", "-1s", "1w", "1 m 2 s", "1e3", "١٥m", "15M", "Infinity"])
    assert.equal(k.parseDuration(text), undefined, text);
});

test("a duration outside its range is refused, in whatever unit it is written; a number in the file is milliseconds", () => {
  const kind = k.duration(1000, 60_000);
  assert.deepEqual(
    ["1s", "1m", "1000", "59.5s"].map((text) => parse(kind, text)),
    [1000, 60_000, 1000, 59_500],
  );
  for (const text of ["999ms", "61s", "2h", "x"]) assert.equal(parse(kind, text), undefined, text);
  assert.equal(v.parse(kind.schema, 5000), 5000);
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1500.5, null, {}, true])
    assert.equal(v.safeParse(kind.schema, value).success, false);
});

test("sizes and counts are whole numbers within a range, in decimal digits", () => {
  const kind = k.integer(1024, 16_777_216);
  assert.deepEqual(
    ["1024", " 262144 ", "16777216"].map((text) => parse(kind, text)),
    [1024, 262_144, 16_777_216],
  );
  for (const text of ["1023", "16777217", "1e5", "256KiB", "", "+2048", "2048.0", "0x800"])
    assert.equal(parse(kind, text), undefined, text);
});

test("address ranges are addresses or CIDR of both families", () => {
  const kind = k.list(k.cidr);
  assert.deepEqual(parse(kind, "10.0.0.0/8, fd00::/8,192.0.2.1 , ::1"), ["10.0.0.0/8", "fd00::/8", "192.0.2.1", "::1"]);
  assert.deepEqual(parse(kind, ""), []);
  assert.deepEqual(parse(kind, ","), []);
  // As in the file and in its default, which is shown as [].
  assert.deepEqual(parse(kind, ' ["127.0.0.0/8", "::1"] '), ["127.0.0.0/8", "::1"]);
  assert.deepEqual(parse(kind, "[]"), []);
  assert.deepEqual(parse(k.list(k.portItem), "[8080,8081]"), [8080, 8081]);
  for (const text of ["[", '["10.0.0.0/8"', "[127.0.0.0/8]", '[["::1"]]', "[1]"])
    assert.equal(parse(kind, text), undefined, text);
  for (const text of ["10.0.0.0/33", "fd00::/129", "10.0.0", "localhost", "10.0.0.0/-1", "10.0.0.0/", "::1/x"])
    assert.equal(parse(kind, text), undefined, text);
});

test("words count in upper case, too: the seeds write LOG_LEVEL=INFO", () => {
  const kind = k.oneOf("error", "warn", "info", "debug");
  for (const text of ["INFO", "info", " Info "]) assert.equal(parse(kind, text), "info");
  assert.equal(parse(kind, "verbose"), undefined);
});

test("true and false have four spellings", () => {
  const kind = k.boolean();
  assert.deepEqual(
    ["true", "1", "FALSE", "0"].map((text) => parse(kind, text)),
    [true, true, false, false],
  );
  for (const text of ["yes", "on", "", "2"]) assert.equal(parse(kind, text), undefined, text);
});

test("an encryption key is 32 bytes in base64, base64url or hex", () => {
  const bytes = Buffer.from(Array.from({ length: 32 }, (_, i) => 255 - i));
  for (const encoding of ["base64", "base64url", "hex"] as const)
    assert.deepEqual(Buffer.from(parse(k.key32(), bytes.toString(encoding)) ?? []), bytes, encoding);
  for (const text of [bytes.toString("hex").slice(2), `${bytes.toString("base64")}A`, "", "key", "é".repeat(32)])
    assert.equal(parse(k.key32(), text), undefined, text);
});

test("a time zone is an IANA name, also as systems write TZ", () => {
  for (const text of ["Europe/Berlin", ":Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin", " Europe/Berlin "])
    assert.equal(parse(k.timezone(), text), "Europe/Berlin", text);
  for (const text of ["Mars/Olympus", "", "CET-1CEST,M3.5.0,M10.5.0/3"])
    assert.equal(parse(k.timezone(), text), undefined, text);
});

test("origins are exact: no path, no port that is the default, no star", () => {
  const kind = k.list(k.origin);
  assert.deepEqual(parse(kind, "https://app.example.org,http://localhost:5173"), [
    "https://app.example.org",
    "http://localhost:5173",
  ]);
  for (const text of ["*", "https://app.example.org/", "https://app.example.org:443", "app.example.org", "null"])
    assert.equal(parse(kind, text), undefined, text);
});

test("a public URL loses the slash at its end", () => {
  assert.equal(parse(k.httpUrl(), "https://prism.example.org/"), "https://prism.example.org");
  for (const text of ["prism.example.org", "ftp://x", "javascript:alert(1)"])
    assert.equal(parse(k.httpUrl(), text), undefined, text);
});

test("the suggested name is similar, or there is no suggestion", () => {
  const names = ["port", "host", "ingest.maxBatch", "log.level"];
  for (const [wrong, nearest] of [
    ["prot", "port"],
    ["HOST", "host"],
    ["ports", "port"],
    ["ingest.maxbatches", "ingest.maxBatch"],
    ["something", undefined],
    ["", undefined],
  ] as const)
    assert.equal(nearestName(wrong, names), nearest, wrong);
});

test("servers of a cluster are host:port or URLs as clients of NATS take them", () => {
  const { kind } = CLUSTER_OPTIONS.servers;
  assert.deepEqual(parse(kind, "a.example:4222, nats://b.example:4223,NATS://c.example/,tls://d.example,e.example"), [
    "a.example:4222",
    "b.example:4223",
    "c.example:4222",
    "tls://d.example:4222",
    "e.example:4222",
  ]);
  for (const text of ["http://a:4222", "nats://ann:secret@a:4222", "a:b", "nats://", "ws://a", "a b"])
    assert.equal(parse(kind, text), undefined, text);
  assert.deepEqual([addressOf("tls://d:4222"), addressOf("a:4222")], ["d:4222", "a:4222"]);
  assert.deepEqual(tlsFor(["a:4222"], undefined), {});
  assert.deepEqual(tlsFor(["a:4222", "tls://d:4222"], undefined), { tls: {} });
  assert.equal((tlsFor(["a:4222"], "ca.pem").tls as { caFile?: string }).caFile, "ca.pem");
});
