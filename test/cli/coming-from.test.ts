import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { Command } from "commander";
import { buildProgram } from "../../src/cli/program.ts";
import { ignoredSeedVariables } from "../../src/config/environment.ts";
import { environmentName, flattenOptions } from "../../src/config/option.ts";
import { OPTIONS } from "../../src/config/options.ts";
import { parseQueueName } from "../../src/core/limits/queues.ts";
import { startPrism } from "../helpers/prism.ts";

const root = join(import.meta.dirname, "../..");
const source = readFileSync(join(root, "docs/coming-from.md"), "utf8");
/** What a reader sees: the comments of the source name the test of each sentence. */
const page = source.replaceAll(/ ?<!-- .*? -->/g, "");
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  scripts: Readonly<Record<string, string>>;
};

/** The rows of all tables: what is there, what is here, and what there is to say. */
const rows = [...page.matchAll(/^\| (.+?) \| (.+?) \| (.*?) ?\|$/gm)]
  .map(([, there = "", here = "", note = ""]) => ({ there, here, note }))
  .filter(({ here }) => here !== "here");

/** All code spans of a text. */
const codeIn = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
const here = rows.flatMap((row) => [...codeIn(row.here), ...codeIn(row.note)]);
const VARIABLE = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*$/;

/** What the seeds' own documents promise their clients and operators. */
const PROMISED = {
  S0: "GET /health, GET /dev/token, GET /time/now, GET /time/convert, POST /time/trigger, GET /notifications/:userId, PATCH /notifications/:notificationId/read, DELETE /notifications/:jobId, NODE_ENV, PORT, JWT_SECRET, DATABASE_URL, REDIS_HOST, REDIS_PORT, npm run dev, Socket.IO",
  S1: "POST /auth/register, POST /auth/login, POST /auth/refresh, POST /auth/logout, GET /projects, POST /projects, GET /projects/:id, DELETE /projects/:id, DELETE /projects/:id/events, POST /ingest, GET /events, WS /realtime/:projectId, GET /realtime/:projectId/sse, PORT, HOST, NODE_ENV, DATABASE_URL, JWT_ACCESS_SECRET, JWT_REFRESH_SECRET, JWT_ACCESS_EXPIRES, JWT_REFRESH_EXPIRES, REDIS_URL, SMTP_HOST, SMTP_PORT, SMTP_USER, SMTP_PASS, SMTP_FROM, ALERT_ERROR_THRESHOLD, RETENTION_DAYS, npx prisma migrate dev, npx prisma db seed, npm run dev, npm run build, npm start",
  S2: "POST /api/v1/auth/register, POST /api/v1/auth/login, POST /api/v1/auth/refresh, POST /api/v1/auth/logout, POST /api/v1/rules, GET /api/v1/rules, GET /api/v1/rules/:id, PUT /api/v1/rules/:id, DELETE /api/v1/rules/:id, POST /api/v1/events, GET /api/v1/notifications, GET /api/v1/notifications/:id, PUT /api/v1/notifications/:id/acknowledge, POST /api/v1/notifications/:id/webview-action, GET /api/v1/notifications/unread-count, DELETE /api/v1/notifications/:id, GET /api/v1/users/pending, POST /api/v1/users/:id/approve, GET /api/v1/users/me, PUT /api/v1/users/me, PUT /api/v1/users/me/push-tokens, GET /api/v1/users/me/pusher-auth, POST /api/v1/users/me/pusher-auth, GET /api/v1/roles, POST /api/v1/roles, PUT /api/v1/roles/:id, DELETE /api/v1/roles/:id, GET /api/v1/audit, GET /api/v1/audit/export, GET /api/v1/transfer-buckets, GET /api/v1/transfer-buckets/:id, PUT /api/v1/transfer-buckets/:id/threshold, POST /api/v1/sounds, GET /api/v1/sounds, DELETE /api/v1/sounds/:id, GET /health, GET /api/v1/status, event-processing-queue, Pusher",
  S3: "POST /api/auth/register, POST /api/auth/login, POST /api/auth/logout, GET /api/profile, PUT /api/profile, GET /api/tasks, GET /api/tasks/:id, POST /api/tasks, PUT /api/tasks/:id, DELETE /api/tasks/:id, WS /ws/updates, npx prisma migrate dev, npx prisma db seed, npm run dev, npm start",
  S4: "POST /auth/login, POST /messages, GET /messages, GET /messages/:id/status, GET /health, GET /health/db, GET /health/redis, NODE_ENV, PORT, DATABASE_URL, REDIS_URL, JWT_SECRET, npm run prisma:generate, npm run prisma:migrate:dev, npm run prisma:migrate:deploy, npm run prisma:reset, npm run db:backup, npm run db:restore, npm run db:check, npm run redis:check, npm run queue:status, npm run lint, npm run type-check, npm run test:coverage, npm run deploy:production, DEBUG",
} as const;

/**
 * Table rows, items of lists and paragraphs that state something; a table of two columns belongs to
 * the paragraph before it.
 */
function statements(): string[] {
  const blocks = source.split(/\n(?=\n|- |\| )/).map((block) => block.trim());
  return blocks.filter((block) => {
    const isState =
      block !== "" && !/^(#|\*\*Not there|\|---|\| (there|variable there|route there|setting there) )/.test(block);
    return isState && !/^\| [^|]+ \| [^|]+ \|$/.test(block.split("\n", 1)[0] ?? "");
  });
}

test("every row and sentence of docs/coming-from.md names a test, and that test exists", () => {
  const said = statements();
  assert.ok(said.length > 140, String(said.length));
  for (const statement of said) {
    const links = [...statement.matchAll(/<!-- test (\S+?)#(.+?) -->/g)];
    assert.ok(links.length > 0, `no test: ${statement}`);
    for (const [, path = "", title = ""] of links) requireTest(path, title, statement);
  }
});

/** Fails unless a test file has a test with these words or this id in its title. */
function requireTest(path: string, title: string, where: string): void {
  const file = join(root, `test/${path}.test.ts`);
  assert.ok(existsSync(file), `${path}: ${where}`);
  const text = readFileSync(file, "utf8");
  const titles = [...text.matchAll(/(?:\b(?:test|step|eachCase)\(\s*(?:t, )?|\bname: )(["`])(.*?)\1,/gs)].map(
    ([, , each = ""]) => each,
  );
  const isId = /^S\d-\d+$/.test(title);
  assert.ok(
    titles.some((each) => (isId ? new RegExp(`\\b${title}\\b`).test(each) : each.includes(title))),
    `${path} has no test of the title: ${title}`,
  );
}

/** How many promises each of the replaced programs makes. */
const PROMISES = { S0: 52, S1: 45, S2: 135, S3: 39, S4: 45 } as const;

test("docs/promises.md has every promise once, with a test that exists or a reason why there is none", () => {
  const [kept = "", others = ""] = readFileSync(join(root, "docs/promises.md"), "utf8").split("## Without a test");
  const tested = [...kept.matchAll(/^\| (S\d-\d+) \| (.+?) \| (.+) \|$/gm)];
  const untested = [...others.matchAll(/^\| (S\d-\d+) \| (.+?) \| (.{10,}) \|$/gm)];
  const expected = Object.entries(PROMISES).flatMap(([seed, count]) =>
    Array.from({ length: count }, (_, index) => `${seed}-${String(index + 1).padStart(2, "0")}`),
  );
  const listed = [...tested, ...untested].map(([, id = ""]) => id);
  assert.deepEqual(listed.sort(), expected.sort());
  for (const [, id = "", , tests = ""] of tested) {
    const links = [...tests.matchAll(/`([^`#]+)#([^`]+)`/g)];
    assert.ok(links.length > 0, id);
    for (const [, path = "", shown = ""] of links) {
      assert.equal(shown, id, `${id}: name a test of its own`);
      requirePromise(path, id);
    }
  }
});

/** Fails unless a test file says that it shows the promise; that it ran is checked by scripts/test.mjs. */
function requirePromise(path: string, id: string): void {
  const text = readFileSync(join(root, `test/${path}.test.ts`), "utf8");
  const wrapped = [...text.matchAll(/\bkeepsPromise\(\w+,\s*(\[[^\]]*\]|"[^"]*")/g)].flatMap(
    ([, ids = ""]) => ids.match(/S\d-\d+/g) ?? [],
  );
  // Tables of cases take the ids from their names.
  const ofNames = /\bkeepsPromise\(\w+, \[\.\.\.name\.matchAll/.test(text)
    ? (text.match(/name: "[^"]*"/g) ?? []).join(" ")
    : "";
  assert.ok(wrapped.includes(id) || new RegExp(`\\b${id}\\b`).test(ofNames), `${path} has no keepsPromise(t, "${id}")`);
}

test("docs/coming-from.md has a row for every route, variable and command of the seeds", () => {
  for (const [seed, promised] of Object.entries(PROMISED)) {
    const section = page.split(/^## /m).find((part) => part.startsWith(seed)) ?? "";
    for (const name of promised.split(", ")) assert.ok(section.includes(name), `${seed}: ${name}`);
  }
});

test("every route that docs/coming-from.md says is here is one of the router's, every socket opens", async (t) => {
  const prism = await startPrism(t);
  const mounts = new Set(prism.parts.core.router.mounts.map(({ route, path }) => shapeOf(`${route.method} ${path}`)));
  const routes = here.filter((code) => /^(GET|POST|PUT|PATCH|DELETE) \//.test(code));
  assert.ok(routes.length > 70, String(routes.length));
  for (const name of routes) assert.ok(mounts.has(shapeOf(name)), name);
  const sockets = here.filter((code) => code.startsWith("WS /"));
  for (const name of new Set(sockets)) {
    const reply = await prism.get<{ error?: { code: string } }>(
      name.slice("WS ".length).replace(":projectId", "default"),
    );
    assert.deepEqual([reply.status, reply.body.error?.code], [426, "UPGRADE_REQUIRED"], name);
  }
});

/** A route without the names of its parameters, which differ from seed to seed. */
function shapeOf(route: string): string {
  return route.replaceAll(/:\w+/g, ":");
}

test("every variable that docs/coming-from.md says is here is a setting, or is said to be ignored and is", () => {
  const settings = new Set(flattenOptions(OPTIONS).flatMap(([key, { seed }]) => [environmentName(key), ...seed]));
  let seen = 0;
  for (const row of rows) {
    for (const name of [...codeIn(row.here), ...codeIn(row.note)]) {
      if (!VARIABLE.test(name) || /^(GAP|PING|AUTH|AUTH_EXPIRING|PRISM_TOKEN)$/.test(name)) continue;
      seen++;
      const isIgnored = /^ignored/.test(row.note) && ignoredSeedVariables({ [name]: "set" }).length === 1;
      assert.ok(settings.has(name) || isIgnored, name);
    }
  }
  assert.ok(seen > 40, String(seen));
  for (const [name] of page.matchAll(/PRISM_[A-Z_]+/g)) assert.ok(settings.has(name) || name === "PRISM_TOKEN", name);
});

test("every command, script and queue that docs/coming-from.md says is here exists", () => {
  const program = buildProgram();
  for (const [, line = ""] of page.matchAll(/`prism ([^`]+)`/g)) {
    let command: Command | undefined = program;
    for (const word of line
      .split(" ")
      .filter((each) => /^[a-z]+$/.test(each))
      .slice(0, 2)) {
      const found: Command | undefined = command?.commands.find((each) => each.name() === word);
      // Another word after a command may be its argument.
      const takesWords = command?.commands.length === 0 || (command?.registeredArguments.length ?? 0) > 0;
      if (!found && command !== program && takesWords) break;
      command = found;
    }
    assert.ok(command && command !== program, line);
  }
  const called = here.flatMap((code) => /^npm (?:run )?(\S+)$/.exec(code)?.[1] ?? []);
  assert.ok(called.length > 20, String(called.length));
  for (const name of called) assert.ok(name === "install" || scripts[name], name);
  for (const queue of ["alert", "digest", "retention", "messages", "messages-retry", "messages-dead-letter"]) {
    assert.ok(here.includes(queue), queue);
    assert.ok(parseQueueName(queue), queue);
  }
});

test("docs/coming-from.md leaves clients of Socket.IO with it, and it answers", async (t) => {
  const prism = await startPrism(t);
  assert.equal((await prism.get("/socket.io/?EIO=4&transport=polling")).status, 200);
  const said = rows.filter(({ there }) => there.startsWith("Socket.IO"));
  assert.equal(said.length, 3);
  for (const { there, note } of said) assert.doesNotMatch(note, /not yet/, there);
});
