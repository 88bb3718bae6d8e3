import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { csvRecords } from "../../src/core/text/csv.ts";
import { ChildOutput } from "../helpers/child-output.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { rowsWith, valuesOf } from "../helpers/values.ts";
import { commandLine, jsonLines, runCli, runJson } from "./run-cli.ts";

type Row = Readonly<Record<string, unknown>>;

async function csv(text: string): Promise<Record<string, string>[]> {
  const records: string[][] = [];
  for await (const record of csvRecords(
    (async function* () {
      yield text;
    })(),
  )) {
    records.push(record);
  }
  const [header = [], ...rows] = records;
  return rows.map((row) => Object.fromEntries(header.map((name, at) => [name, row[at] ?? ""])));
}

test("export, from the data directory and from the server, gives the same rows", async (t) => {
  const prism = await startPrism(t);
  const cwd = prism.dir;
  const here = { cwd };
  const dir = ["--data-dir", prism.dir];
  const there = { cwd, env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken } };
  const { apiKey } = await makeProject(prism, "shop");
  await makeUser(prism, "ann", ["Operator"]);
  const uma = await makeUser(prism, "uma", ["User"]);
  const asUma = { ...there, env: { ...there.env, PRISM_TOKEN: uma.token } };
  await prism.post("/events", '{"type":"order.paid","payload":{"n":1,"big":12345678901234567}}');
  await prism.post("/events", [
    { type: "order.failed", level: "error", source: "=cmd()", payload: { text: 'a "quoted", text\nin two lines' } },
  ]);
  await prism.post("/events", { type: "of.shop" }, { apiKey });
  await prism.post("/api/v1/rules", { name: 'r, "1"', condition: "event.n == 1", targetRoles: ["Operator"] });
  await prism.post("/api/v1/notifications", { userId: "me", title: "Hello", message: "there" });

  await t.test("events as NDJSON, of all projects, oldest first, with the count on stderr", async () => {
    const [offline, online] = await Promise.all([
      runCli(["export", "events", ...dir], here),
      runCli(["export", "events", "--quiet"], there),
    ]);
    assert.deepEqual([offline.status, online.status], [0, 0], online.stderr);
    assert.equal(offline.stderr, "3 rows of events\n");
    assert.equal(online.stderr, "");
    assert.deepEqual(valuesOf(jsonLines<Row>(offline.stdout), "type"), ["order.paid", "order.failed", "of.shop"]);
    assert.equal(online.stdout, offline.stdout, "in the order of the offsets, whatever the project");
    assert.match(offline.stdout, /"big":12345678901234567\b/, "numbers keep every digit");
  });

  await t.test("events as CSV: quoted by RFC 4180, formulas disarmed", async () => {
    const [offline, online] = await Promise.all([
      runCli(["export", "events", "--format", "csv", "--project", "default", ...dir], here),
      runCli(["export", "events", "--format", "csv", "--project", "default"], there),
    ]);
    assert.equal(offline.stdout, online.stdout);
    const rows = await csv(offline.stdout);
    assert.deepEqual(valuesOf(rows, "type"), ["order.paid", "order.failed"]);
    assert.equal(rows[1]?.["source"], "'=cmd()");
    assert.deepEqual(JSON.parse(rows[1]?.["payload"] ?? ""), { text: 'a "quoted", text\nin two lines' });
    assert.ok(offline.stdout.startsWith("seq,id,projectId,type,level,source,"));
  });

  await t.test("a JSON export is one array; a time and a project select", async () => {
    const [all, shop, none] = await Promise.all([
      runCli(["export", "events", "--format", "json", ...dir], here),
      runCli(["export", "events", "--format", "json", "--project", "shop", "--from", "1h"], there),
      runCli(["export", "events", "--format", "json", "--to", "2020-01-01", ...dir], here),
    ]);
    assert.equal((JSON.parse(all.stdout) as Row[]).length, 3);
    assert.deepEqual(valuesOf(JSON.parse(shop.stdout) as Row[], "type"), ["of.shop"]);
    assert.deepEqual([none.stdout, none.stderr], ["[]\n", "0 rows of events\n"]);
  });

  await t.test("S2-54: the audit trail; exporting it is recorded in it", async () => {
    const online = await runCli(["export", "audit", "--format", "ndjson"], there);
    const offline = await runCli(["export", "audit", "--format", "ndjson", ...dir], here);
    const [fromServer, fromDisk] = [jsonLines<Row>(online.stdout), jsonLines<Row>(offline.stdout)];
    assert.deepEqual(fromServer, fromDisk.slice(0, fromServer.length));
    const exports = fromDisk.filter(({ action }) => action === "audit.export");
    const types = exports.map(({ actor }) => (actor as { type: string }).type);
    assert.deepEqual(types, ["user", "operator"]);
    const asCsv = await csv((await runCli(["export", "audit", ...dir], here)).stdout);
    assert.equal(asCsv.length, fromDisk.length + 1);
    assert.equal(asCsv[0]?.["action"], fromDisk[0]?.["action"]);
  });

  await t.test("rules and notifications are what the API shows", async () => {
    const [rulesHere, rulesThere, inboxHere, inboxThere] = await Promise.all([
      runCli(["export", "rules", ...dir], here),
      runCli(["export", "rules"], there),
      runCli(["export", "notifications", "--format", "csv", ...dir], here),
      runCli(["export", "notifications", "--format", "csv"], there),
    ]);
    assert.deepEqual(jsonLines(rulesHere.stdout), jsonLines(rulesThere.stdout));
    assert.deepEqual(rowsWith(jsonLines<Row>(rulesHere.stdout), "name", "targetRoles"), [['r, "1"', ["Operator"]]]);
    assert.equal(inboxHere.stdout, inboxThere.stdout);
    assert.deepEqual(rowsWith(await csv(inboxHere.stdout), "title", "readAt"), [["Hello", ""]]);
    const ofUma = await runCli(["export", "notifications"], asUma);
    assert.deepEqual([ofUma.status, ofUma.stdout], [0, ""], "a token that reads its own notifications only");
  });

  await t.test("users carry no hash and no secret", async () => {
    const { stdout } = await runCli(["export", "users", ...dir], here);
    const users = jsonLines<Row>(stdout);
    assert.deepEqual(rowsWith(users, "username", "roles"), [
      ["dev", ["Admin"]],
      ["ann", ["Operator"]],
      ["uma", ["User"]],
    ]);
    assert.doesNotMatch(stdout, /hash|secret|token/i);
    const online = await runCli(["export", "users"], there);
    assert.deepEqual([online.status, online.stdout], [0, stdout]);
    const refused = await runCli(["export", "users"], asUma);
    assert.deepEqual([refused.status, refused.stdout], [5, ""]);
  });

  await t.test("--out writes a file of its owner's, whole or not at all; --gzip compresses it", async () => {
    const out = join(cwd, "events.ndjson.gz");
    const { status, stdout } = await runCli(["export", "events", "--gzip", "--out", out, "--json", ...dir], here);
    assert.equal(status, 0);
    assert.deepEqual(JSON.parse(stdout), { kind: "events", format: "ndjson", rows: 3, file: out });
    assert.equal(jsonLines(gunzipSync(readFileSync(out)).toString()).length, 3);
    assert.equal(statSync(out).mode & 0o777, 0o600);
    const refused = join(cwd, "refused.csv");
    const { status: notFound } = await runCli(["export", "events", "--project", "nix", "--out", refused], there);
    assert.deepEqual([notFound, existsSync(refused), existsSync(`${refused}.partial`)], [6, false, false]);
    const nowhere = await runCli(["export", "events", "--out", join(cwd, "no/such/dir"), ...dir], here);
    assert.deepEqual([nowhere.status, /cannot be written: ENOENT/.test(nowhere.stderr)], [1, true], nowhere.stderr);
  });

  await t.test("--out does not replace a file with content unless --force is given", async () => {
    const out = join(cwd, "kept.ndjson");
    writeFileSync(out, "kept");
    const url = { ...here, env: { PRISM_URL: "http://127.0.0.1:1" } };
    for (const [args, options] of [
      [["export", "events", "--out", out, ...dir], here],
      [["export", "events", "--out", out], url],
      [["rules", "export", "--out", out, ...dir], here],
    ] as const) {
      const { status, stderr } = await runCli(args, options);
      assert.deepEqual([status, stderr], [7, `prism: ${out} exists; --force replaces it\n`]);
    }
    assert.equal(readFileSync(out, "utf8"), "kept");
    await runJson(["export", "events", "--out", out, "--force", ...dir], here);
    assert.equal(jsonLines(readFileSync(out, "utf8")).length, 3);
    await runJson(["rules", "export", "--out", out, "--force", ...dir], here);
    assert.match(readFileSync(out, "utf8"), /"rules"/);
    writeFileSync(out, "");
    await runJson(["export", "events", "--out", out, ...dir], here);
    assert.equal(jsonLines(readFileSync(out, "utf8")).length, 3);
  });

  await t.test("--out through a link keeps the link, and into a pipe or device leaves it what it is", async () => {
    const [real, link, pipe] = ["real.ndjson", "link.ndjson", "pipe"].map((name) => join(cwd, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(real, "old");
    symlinkSync(real, link);
    await runJson(["export", "events", "--out", link, "--force", ...dir], here);
    assert.equal(lstatSync(link).isSymbolicLink(), true);
    assert.equal(jsonLines(readFileSync(real, "utf8")).length, 3);
    execFileSync("mkfifo", [pipe]);
    const [read] = await Promise.all([
      readFile(pipe, "utf8"),
      runJson(["export", "events", "--out", pipe, ...dir], here),
    ]);
    assert.deepEqual([jsonLines(read).length, statSync(pipe).isFIFO()], [3, true]);
    const folder = await runCli(["export", "events", "--out", cwd, ...dir], here);
    assert.deepEqual([folder.status, /cannot be written: EISDIR/.test(folder.stderr)], [1, true], folder.stderr);
    const found = readdirSync(cwd).filter((name) => name.endsWith(".partial"));
    assert.deepEqual(found, []);
  });

  await t.test("without a server the same rows come from the data directory", async (t) => {
    const cwd = temporaryDir(t);
    const lone = await TestPrism.start({ dir: cwd });
    await lone.post("/events", [{ type: "first" }, { type: "second" }]);
    await lone.post("/api/v1/notifications", { userId: "me", title: "Hello", message: "there" });
    const kinds = ["events", "notifications", "rules", "users"];
    const args = ["--data-dir", cwd];
    const served = await Promise.all(kinds.map((kind) => runCli(["export", kind, ...args], { cwd })));
    await lone.stop();
    for (const [at, kind] of kinds.entries()) {
      const { status, stdout, stderr } = await runCli(["export", kind, ...args], { cwd });
      assert.deepEqual([status, stdout, stderr], [0, served[at]?.stdout, served[at]?.stderr], kind);
    }
  });

  await t.test("a reader who has seen enough ends it quietly", async () => {
    const events = Array.from({ length: 2000 }, (_, n) => ({ type: "filler", payload: { n, text: "x".repeat(200) } }));
    await prism.post("/events", events);
    const [program, args] = commandLine(["export", "events", "--data-dir", prism.dir]);
    const shell = new ChildOutput(spawn("sh", ["-c", '"$0" "$@" | head -n 1', program, ...args], { cwd }));
    await shell.ended;
    const { stdout, stderr } = shell;
    assert.equal(jsonLines(stdout).length, 1);
    assert.equal(stderr, "");
  });
});

test("export from a directory without a database ends with 4, and makes none", async (t) => {
  const cwd = temporaryDir(t);
  const { status, stderr } = await runCli(["export", "events"], { cwd });
  assert.equal(status, 4);
  assert.match(stderr, /there is no database at .*data\/prism\.db/);
  assert.equal(existsSync(join(cwd, "data")), false);
});
