import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { FEATURES } from "../../src/app/feature-list.ts";
import { FINDING_CODES, LAST_RESORT_CODES } from "../../src/core/finding.ts";
import { storedFindings } from "../../src/module/findings.ts";
import { runJson } from "../cli/run-cli.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";

const root = join(import.meta.dirname, "../..");
const docs = ["operating", "alerts", "who-watches-prism"].map((name) =>
  readFileSync(join(root, `docs/${name}.md`), "utf8"),
);
/** Where problems may be found, as scripts/one-place.mjs says; the reasons that raise themselves come last. */
const FOUND_IN =
  /(?:^|\/)(?:findings|doctor)\.ts$|^cli\/commands\/doctor\/|http\/server\/tls|running-server|ways\/warnings|down-time|without-leader/;

test("each code of a finding is found in a place that may, and said in the docs", () => {
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => FOUND_IN.test(file) && file !== "module/findings.ts")
    .map((file) => readFileSync(join(root, "src", file), "utf8"));
  const isFound = (code: string): boolean =>
    sources.some((text) => text.includes(`"${code}"`) || new RegExp(`^ +${code}: \\(`, "m").test(text));
  assert.deepEqual(
    FINDING_CODES.filter((code) => !isFound(code)),
    [],
  );
  assert.deepEqual(
    FINDING_CODES.filter((code) => !docs.some((text) => text.includes(`\`${code}\``))),
    [],
  );
  assert.equal(new Set(FINDING_CODES).size, FINDING_CODES.length);
});

test("features look for each reason of emergency, but for an event of the start and the time without a leader", () => {
  const looks = FEATURES.flatMap(({ findings }) => Object.keys(findings?.lastResort ?? {}));
  assert.deepEqual(
    [...looks, "server-was-down", "no-leader"].sort(),
    LAST_RESORT_CODES.toSorted(),
    "each is looked for once",
  );
});

test("what doctor looks for is declared by features, each in one place", async () => {
  const stored = await storedFindings(FEATURES);
  assert.ok(stored.length >= 9, String(stored.length));
  for (const part of ["machine", "database", "last", "services"] as const) {
    const codes = stored.flatMap((each) => Object.keys(each[part] ?? {}));
    assert.deepEqual([...new Set(codes)], codes, part);
  }
});

test("one problem is a line of doctor, a line of the overview, a figure of metrics and known in memory", async (t) => {
  const dir = temporaryDir(t);
  const prism = await startPrism(t, { dir });
  const seen = async () => {
    const { text } = await prism.get("/metrics");
    const { body } = await prism.get<{ items: { key: string }[] }>("/api/v1/attention");
    const { checks } = await runJson<{ checks: { name: string; status: string; message: string }[] }>(
      ["doctor", "--db", "--data-dir", dir],
      { cwd: dir },
    );
    const known = prism.parts.offers.findings.known();
    return {
      known: known.filter(({ code }) => code === "queues").map(({ subject }) => subject),
      warnings: Number(/^prism_findings\{severity="warning"\} (\d+)/m.exec(text)?.[1]),
      overview: body.items.filter(({ key }) => key.startsWith("queue:")).map(({ key }) => key),
      doctor: checks.filter(({ name }) => name === "queues").map(({ status, message }) => `${status} ${message}`),
    };
  };
  const before = await seen();
  assert.deepEqual([before.known, before.overview], [[], []]);
  assert.equal((await prism.post("/api/v1/queues/retention/pause")).status, 200);
  const { warnings, ...paused } = await seen();
  assert.deepEqual(paused, {
    known: ["retention"],
    overview: ["queue:retention"],
    doctor: ["WARN paused: retention"],
  });
  assert.equal(warnings, before.warnings + 1);
  assert.equal((await prism.post("/api/v1/queues/retention/resume")).status, 200);
  assert.deepEqual(await seen(), before);
});
