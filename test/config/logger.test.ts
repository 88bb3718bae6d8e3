import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { buildSync } from "esbuild";
import { createLogger, type LoggerOptions, type ReloadableLogger } from "../../src/config/logger.ts";
import type { Logger } from "../../src/core/log.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";

interface Written {
  readonly log: ReloadableLogger;
  /** The lines since the last call. */
  take(): Record<string, unknown>[];
  text(): string;
}

function write(options: Omit<LoggerOptions, "destination">): Written {
  let lines: string[] = [];
  let all = "";
  const destination = {
    write(line: string) {
      lines.push(line);
      all += line;
    },
  };
  return {
    log: createLogger({ ...options, destination }),
    take() {
      const taken = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      lines = [];
      return taken;
    },
    text: () => all,
  };
}

test("S2-102: a line is one JSON object with time, level, namespace and message first", () => {
  const { log, text, take } = write({ level: "info" });
  log.namespace("http").info({ route: "/events", status: 202 }, "request");
  assert.match(text(), /^\{"level":"info","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","ns":"prism:http",.*\}\n$/);
  const [line] = take();
  assert.deepEqual([line?.["route"], line?.["status"], line?.["msg"]], ["/events", 202, "request"]);
});

test("S2-103, S4-32: there are four levels, and the least severe that is written is a setting", (t) => {
  keepsPromise(t, ["S2-103", "S4-32"]);
  const levels = ["error", "warn", "info", "debug"] as const;
  for (const [i, level] of levels.entries()) {
    const { log, take } = write({ level });
    for (const each of levels) log[each]({}, each);
    assert.deepEqual(
      take().map(({ level }) => level),
      levels.slice(0, i + 1),
    );
  }
});

test("S4-45: DEBUG selects namespaces, whatever the level", (t) => {
  keepsPromise(t, "S4-45");
  const names = ["", "http", "jobs", "http:sub"];
  for (const [debug, selected] of [
    ["prism:*", ["prism", "prism:http", "prism:jobs", "prism:http:sub"]],
    ["dms:*", ["prism", "prism:http", "prism:jobs", "prism:http:sub"]],
    ["*", ["prism", "prism:http", "prism:jobs", "prism:http:sub"]],
    ["prism:http", ["prism:http"]],
    ["prism:http:*", ["prism:http", "prism:http:sub"]],
    ["prism", ["prism"]],
    ["prism:http,prism:jobs", ["prism:http", "prism:jobs"]],
    ["prism:http prism:jobs", ["prism:http", "prism:jobs"]],
    ["prism:*,-prism:http", ["prism", "prism:jobs", "prism:http:sub"]],
    ["prism:*,-prism:http*", ["prism", "prism:jobs"]],
    ["dms:jobs", ["prism:jobs"]],
    ["express:*", []],
    ["prism:htt.", []],
    ["", []],
  ] as const) {
    const { log, take } = write({ level: "warn", debug });
    for (const name of names) {
      const logger = name.split(":").reduce<Logger>((each, part) => (part === "" ? each : each.namespace(part)), log);
      logger.debug({}, "detail");
      assert.equal(logger.isDebug(), (selected as readonly string[]).includes(name === "" ? "prism" : `prism:${name}`));
    }
    assert.deepEqual(
      take().map(({ ns }) => ns),
      selected,
      debug,
    );
  }
});

test("a reload takes effect at once, in namespaces that are in use, too", () => {
  const { log, take } = write({ level: "error" });
  const http = log.namespace("http");
  http.info({}, "unwritten");
  log.reload({ level: "info", debug: "prism:http" });
  http.debug({}, "written");
  log.debug({}, "unwritten");
  log.info({}, "written");
  log.reload({ level: "error", debug: undefined });
  http.debug({}, "unwritten");
  assert.deepEqual(
    take().map(({ msg }) => msg),
    ["written", "written"],
  );
});

test("fields that are named like secrets are masked at any depth, in errors, too", () => {
  const { log, take, text } = write({ level: "info" });
  const error = Object.assign(new Error("refused"), { config: { headers: { Authorization: "word-1" } } });
  log.error({ err: error, apiKey: "word-2", refresh_token: "word-3", list: [{ "Set-Cookie": "word-4" }] }, "failed");
  log.info({ password: "", token: null, keyId: "k1", tokenId: "t1", tokens: 3 }, "not secret");
  const [failed, plain] = take();
  assert.doesNotMatch(text(), /word-\d/);
  assert.deepEqual([failed?.["apiKey"], failed?.["refresh_token"]], ["***", "***"]);
  assert.match(JSON.stringify(failed?.["err"]), /"message":"refused"/);
  assert.deepEqual(
    [plain?.["password"], plain?.["token"], plain?.["keyId"], plain?.["tokenId"], plain?.["tokens"]],
    ["", null, "k1", "t1", 3],
  );
});

test("errors that are none to the engine keep their text, stack and code, and those of their causes", () => {
  const { log, take } = write({ level: "info" });
  const db = new SqliteDatabase(":memory:");
  let sqlite: unknown;
  try {
    db.prepare("select * from nothing_here");
  } catch (error) {
    sqlite = error;
  }
  const made = { message: "made by hand", stack: "Made: made by hand\n    at x", name: "Made" };
  for (const err of [sqlite, AbortSignal.abort().reason, new Error("outer", { cause: sqlite }), made])
    log.error({ err }, "failed");
  const [fromSqlite, aborted, outer, byHand] = take().map(({ err }) => err as Record<string, unknown>);
  assert.deepEqual([fromSqlite?.["code"], fromSqlite?.["message"]], ["SQLITE_ERROR", "no such table: nothing_here"]);
  assert.match(String(fromSqlite?.["stack"]), /SqliteError: no such table[\s\S]*at /);
  const { stack, ...said } = aborted ?? {};
  assert.deepEqual(said, { type: "AbortError", message: "This operation was aborted", code: 20 });
  assert.match(String(stack), /AbortError[\s\S]*at /);
  assert.equal(outer?.["message"], "outer: no such table: nothing_here");
  assert.deepEqual(outer?.["causeCodes"], ["SQLITE_ERROR"]);
  assert.match(String(outer?.["stack"]), /outer[\s\S]*caused by: SqliteError/);
  assert.deepEqual([byHand?.["message"], byHand?.["stack"]], [made.message, made.stack]);
});

test("what looks like a secret is masked in messages and in quoted text", () => {
  const { log, text } = write({ level: "info" });
  const body = "A".repeat(43);
  for (const secret of [
    `prr_${body}`,
    `prk_${body}`,
    `prs_${body}`,
    "https://prism.example.org/account/invite#token=abcdefgh12345678",
    `prt_${body}`,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLWl0",
    "Bearer abcdefgh12345678",
    "ApiKey abcdefgh12345678",
    "postgres://prism:abcdefgh@db/prism",
    "/ws?token=abcdefgh12345678&from=3",
    "/x?ticket=abcdefgh12345678",
    "https://hooks.example.org/?access_token=abcdefgh",
  ])
    log.info({ said: secret }, `refused ${secret}`);
  assert.doesNotMatch(text(), /abcdefgh|AAAAAAAAAA|eyJhbGci/);
  assert.match(text(), /&from=3/);
});

test("values that JSON cannot hold do not break a line: circles, depth, bytes, bigints", () => {
  const { log, take } = write({ level: "info" });
  const circle: Record<string, unknown> = { name: "circle" };
  circle["self"] = circle;
  log.info({ circle, bytes: Buffer.alloc(5), deep: JSON.parse("[".repeat(50) + "]".repeat(50)) }, "odd");
  const [line] = take();
  assert.equal(line?.["bytes"], "[5 bytes]");
  assert.match(JSON.stringify(line), /\[deep\]/);
});

test("errors keep their names in minified code, as the executable is", (t) => {
  const file = join(temporaryDir(t), "minified.cjs");
  buildSync({
    stdin: {
      contents: `
        import SqliteError from "./node_modules/better-sqlite3/lib/sqlite-error.js";
        import { redactFields } from "./src/config/logger.ts";
        import { PrismError } from "./src/core/errors.ts";
        class Local extends PrismError { name = "Local" }
        const errors = [new PrismError("NOT_FOUND", "x"), new SqliteError("x", "SQLITE_FULL"), new Local("NOT_FOUND", "x"),
          new TypeError("x"), new AggregateError([new Local("NOT_FOUND", "y")], "x")];
        console.log(JSON.stringify(errors.map((err) => redactFields({ err }).err)));`,
      resolveDir: join(import.meta.dirname, "../.."),
      loader: "ts",
    },
    outfile: file,
    bundle: true,
    minify: true,
    platform: "node",
    logLevel: "error",
  });
  const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: "utf8" });
  assert.equal(stderr, "");
  const errors = JSON.parse(stdout) as { type: string; aggregateErrors?: { type: string }[] }[];
  assert.deepEqual(
    errors.map(({ type }) => type),
    ["PrismError", "SqliteError", "Local", "TypeError", "AggregateError"],
  );
  assert.equal(errors[4]?.aggregateErrors?.[0]?.type, "Local");
});
