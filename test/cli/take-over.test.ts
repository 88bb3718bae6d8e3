import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { Command } from "commander";
import { buildProgram } from "../../src/cli/program.ts";
import { CONTROL_SOCKET } from "../../src/core/listening.ts";
import { ServerClient } from "../../src/remote/server-client.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { RunningCli, runCli } from "./run-cli.ts";

/** A change that reached the server twice: the first answer was lost, the second one was read. */
interface Change {
  readonly what: string;
  readonly first: string;
  second?: string;
}

interface Answered {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

function forward(to: string, req: IncomingMessage, body: Buffer): Promise<Answered> {
  const { method, url, headers } = req;
  return new Promise((resolve, reject) => {
    const options = { socketPath: join(to, CONTROL_SOCKET), method, path: url, headers, agent: false as const };
    const sent = request(options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.once("end", () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
      );
    });
    sent.once("error", reject);
    sent.end(body);
  });
}

/** The control socket of a server that loses the first answer to each change, after it was carried out. */
async function losing(t: TestContext, prism: TestPrism) {
  const dir = temporaryDir(t);
  const changes = new Map<string, Change>();
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.once("end", () => {
      void forward(prism.dir, req, Buffer.concat(chunks)).then(({ status, headers, body }) => {
        const key = String(req.headers["idempotency-key"] ?? "");
        const text = `${status} ${body}`;
        const before = changes.get(key);
        if (key !== "" && before === undefined) {
          changes.set(key, { what: `${req.method} ${req.url}`, first: text });
          req.socket.destroy();
          return;
        }
        if (before) before.second = text;
        res.writeHead(status, headers).end(body);
      });
    });
  });
  server.listen(join(dir, CONTROL_SOCKET));
  await once(server, "listening");
  t.after(() => server.close());
  return { dir, changes };
}

type Words = readonly string[];
type Made = (text: string) => string;
/** A command that changes something: its words, from the output of earlier ones. */
type Case = readonly [name: string, words: Words | ((made: Made) => Words), input?: string];

const ROUTES = { route: { policy: "Shop", groupBy: ["alertname"], groupWaitMs: 0 } };
const POLICIES = [{ name: "Shop", steps: [{ type: "notify", users: ["ann"] }] }];
const RULE = { name: "Paid", condition: "event.amount > 1", targetUsers: ["ann"] };
const DUTY = {
  ...{ name: "Duty", timezone: "UTC" },
  shifts: [
    {
      name: "All",
      start: "2026-01-05T09:00:00",
      durationMs: 604_800_000,
      recurrence: { frequency: "weekly" },
      turns: [["ann"]],
    },
  ],
};
const ALERTMANAGER = { route: { receiver: "none" }, receivers: [{ name: "none" }] };
/** Nothing is sent there. */
const HOOK = "http://127.0.0.1/hook";
const split = (text: string): Words => text.split(" ");

/** In an order in which each finds what it needs. */
const CHANGES: readonly Case[] = [
  ["user create", split("--username ann --email ann@example.org --role User")],
  ["user create", split("--username ben --status pending")],
  ["user approve", ["ben"]],
  ["user disable", ["ben"]],
  ["user enable", ["ben"]],
  ["user role", split("ben --add Viewer")],
  ["user passwd", split("ben --stdin"), "correct horse battery staple"],
  ["user name", ["ben", "Ben B."]],
  ["user unlock", []],
  ["user sign-in-link", ["ben"]],
  ["user identities link", split("ann --provider company --subject 1")],
  ["user identities unlink", split("ann --provider company --subject 1")],
  ["user import", ["users.csv"]],
  ["projects create", split("Shop --slug shop")],
  ["projects rename", ["shop", "Shop two"]],
  ["projects storage", split("shop --limit 100000000")],
  ["projects add-member", split("shop ann --role editor")],
  ["projects add-member", split("shop ben --role viewer")],
  ["projects remove-member", split("shop ben")],
  ["token create", split("--user ann --json")],
  ["token revoke", (made) => [made("token create")]],
  ["key create", split("--project shop --json")],
  ["key rotate", (made) => [made("key create"), "--json"]],
  ["key revoke", (made) => [made("key rotate")]],
  ["key create", split("--project shop --kind opsgenie --json")],
  ["key rotate", (made) => [made("key create"), "--kind", "opsgenie", "--json"]],
  ["key revoke", (made) => [made("key create"), "--kind", "opsgenie"]],
  ["ntfy access", split("ann news rw")],
  ["rules import", ["-"], JSON.stringify(RULE)],
  ["rules disable", ["Paid"]],
  ["rules enable", ["Paid"]],
  ["rules edit", split("Paid --file -"), '{"cooldownMs":60000}'],
  ["send", split("--type paid hello")],
  ["send", split("--to ann hello --json")],
  ["notifications ack", (made) => [made("send"), "--user", "ann"]],
  ["notifications read", split("--all --user ann")],
  ["rules delete", split("Paid --yes")],
  ["channels create", split(`http --project shop --name hook --field url=${HOOK}`)],
  ["channels update", split("hook --disable")],
  ["channels delete", split("hook --yes")],
  ["webhooks create", split(`${HOOK} --project shop`)],
  ["webhooks disable", [HOOK]],
  ["webhooks enable", [HOOK]],
  ["webhooks delete", split(`${HOOK} --yes`)],
  ["policies import", split("- --project shop"), JSON.stringify(POLICIES)],
  ["routes set", split("- --project shop"), JSON.stringify(ROUTES)],
  ["alerts fire", split("alertname=Down severity=critical --project shop --key down")],
  ["page", ["ann", "Please look"]],
  ["incidents note", ["1", "Seen", "--project", "shop"]],
  ["incidents snooze", split("1 --for 1h --project shop")],
  ["incidents unsnooze", split("1 --project shop")],
  ["incidents add-responder", split("1 ann --project shop")],
  ["incidents reassign", split("1 ann --project shop")],
  ["incidents ack", split("1 --project shop")],
  ["incidents unack", split("1 --project shop")],
  ["incidents escalate", split("1 --project shop")],
  ["incidents resolve", split("1 --project shop")],
  ["alerts fire", split("alertname=Other --key other")],
  ["alerts resolve", ["Other"]],
  ["drill", ["ann"]],
  ["silences add", ['team="db"', "--for", "2h", "--comment", "Disks"]],
  ["silences expire", ["Disks"]],
  ["oncall create", split("Database --users ann")],
  ["oncall add-rotation", split("Database --users ann --level 1 --name Nights")],
  ["oncall import", ["-"], JSON.stringify(DUTY)],
  ["oncall import", ["-"], JSON.stringify(DUTY)],
  ["oncall override", split("Database --user ann --to 8h")],
  ["oncall add-days-off", split("2035-12-24 --user ann")],
  ["oncall change-days-off", split("2035-12-24 --last 2035-12-26 --user ann")],
  ["oncall delete-days-off", split("2035-12-24 --user ann")],
  ["oncall delete", split("Database --yes")],
  ["heartbeats create", split("Nightly --every 1h")],
  ["heartbeats pause", ["Nightly"]],
  ["heartbeats resume", ["Nightly"]],
  ["heartbeats delete", split("Nightly --yes")],
  ["receivers create", ["Backups"]],
  ["receivers update", split("Backups --notify none")],
  ["receivers rotate", ["Backups"]],
  ["receivers pause", ["Backups"]],
  ["receivers resume", ["Backups"]],
  ["receivers delete", split("Backups --yes")],
  ["import tokens", ["tokens.ndjson"]],
  ["import alertmanager", split("alertmanager.yml --project shop --replace")],
  ["integrations claims open", split("--for 1h")],
  ["integrations claims close", []],
  ["trigger", split("tea --delay 10h --notify ann --title Tea --body Now --json")],
  ["timers cancel", ["tea"]],
  ["queue pause", split("--queue timers")],
  ["queue resume", split("--queue timers")],
  ["queue drain", split("--queue timers --yes")],
  ["api", ["createProject", "--name", "Another"]],
  ["projects delete", split("shop --yes")],
  ["user delete", split("ben --yes")],
];

/** Commands that store nothing on a server, or do more than that: with files, processes or other servers. */
const OTHERS =
  /^(serve|migrate|seed|backup|restore|vacuum|cluster .*|doctor|config|status|version|health|service .*|tail|export( config)?|explain|worker|docs|help|completion|man|integrations|check|import (?!alertmanager|tokens).+)$/;
/** They only ask, also by POST. */
const READS =
  /^(.* (list|show|export|presets|requests|status|members|dead|preview|explain|now|next|schedules|shifts|gaps|days-off|conflicts)|(rules|routes|channels|receivers|webhooks) test|mirror report|report (week|month|range)|rules backtest|key pusher|user passkeys|plan|managed|seal)$/;
/** They need what this server does not have: a second factor, a system beside it, a dead job, a job of a module, a kept request, a claim, members of an earlier version. */
const UNTRIED = [
  "user reset-second-factor",
  "user remove-passkey",
  "queue retry",
  "queue cancel",
  "schedules run",
  "schedules pause",
  "schedules resume",
  "schedules cancel",
  "receivers replay",
  "integrations claims assign",
  "integrations claims discard",
  "drill preferences",
  "mirror pull",
  "apply",
];
/** A GET, which may be repeated. */
const BY_GET = ["heartbeats ping"];

function leaves(command: Command, prefix = ""): string[] {
  return command.commands.flatMap((each) => {
    const name = `${prefix}${each.name()}`;
    const isLeaf = each.commands.length === 0 || each.registeredArguments.length > 0;
    return [...(isLeaf ? [name] : []), ...leaves(each, `${name} `)];
  });
}

test("every command that changes something is listed here", () => {
  const tried = new Set([...CHANGES.map(([name]) => name), ...UNTRIED, ...BY_GET]);
  const all = leaves(buildProgram()).filter((name) => !OTHERS.test(name) && !READS.test(name));
  assert.deepEqual(all.sort(), [...tried].sort());
});

test("a command whose first answer is lost, after it was carried out, succeeds and does nothing twice", async (t) => {
  const prism = await startPrism(t, {
    settings: {
      "rateLimit.enabled": "false",
      "webhooks.allowPrivateCidrs": "127.0.0.0/8",
      "auth.oidc": '[{"name":"company","issuer":"https://login.example.org","clientId":"prism"}]',
    },
  });
  const { dir, changes } = await losing(t, prism);
  const cwd = temporaryDir(t);
  writeFileSync(join(cwd, "users.csv"), "username,email\ncleo,cleo@example.org\n");
  const tokens = JSON.stringify({ kind: "ntfyToken", user: "ann", token: "tk_of_another_server" });
  writeFileSync(join(cwd, "tokens.ndjson"), tokens);
  writeFileSync(join(cwd, "alertmanager.yml"), JSON.stringify(ALERTMANAGER));
  const made = new Map<string, string>();
  for (const [name, words, input] of CHANGES) {
    const given = typeof words === "function" ? words((of) => made.get(of) ?? "") : words;
    const args = [...name.split(" "), ...given];
    changes.clear();
    await t.test(`prism ${args.join(" ")}`, async () => {
      const options = { cwd, env: { PRISM_DATA_DIR: dir }, ...(input === undefined ? {} : { input }) };
      const { status, stdout, stderr } = await runCli(args, options);
      assert.equal(status, 0, stderr);
      assert.ok(changes.size > 0, "it changes something");
      assert.match(stderr, /trying again for 15 s/);
      for (const { what, first, second } of changes.values()) assert.equal(second, first, what);
      const { id } = stdout.startsWith("{") ? (JSON.parse(stdout) as { readonly id?: string }) : {};
      if (id !== undefined) made.set(name, id);
    });
  }
});

test("a command waits for a server that is started again, and says so; one that only asks ends at once", async (t) => {
  const port = await lastingPort();
  const cwd = temporaryDir(t);
  const env = { PRISM_URL: `http://127.0.0.1:${port}`, PRISM_TOKEN: "prt_x" };
  const asks = await runCli(["silences", "list"], { cwd, env });
  assert.deepEqual([asks.status, /trying again/.test(asks.stderr)], [4, false]);
  const waits = new RunningCli(t, ["silences", "expire", "Disks", "--json"], { cwd, env });
  await waits.until(/^cannot reach http:\/\/127\.0\.0\.1:\d+: nothing listens there; trying again for 15 s$/m);
  let asked = 0;
  const late = createServer((req, res) => {
    const silence = { id: "0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60", comment: "Disks", text: "" };
    asked++;
    if (asked === 1) res.writeHead(503, { "Retry-After": "1" }).end(NO_LEADER);
    else res.end(JSON.stringify(req.method === "GET" ? { data: [silence], nextCursor: null } : silence));
  });
  t.after(() => late.close());
  late.listen(port, "127.0.0.1");
  assert.equal(await waits.ended(), 0, waits.stderr);
  assert.match(waits.stdout, /"expired":true/);
  assert.equal(asked, 3);
});

test("a change of all open incidents waits for the server from its first request on", async (t) => {
  const cwd = temporaryDir(t);
  const asked: string[] = [];
  const server = createServer((req, res) => {
    asked.push(String(req.url));
    if (asked.length === 1) res.writeHead(503, { "Retry-After": "1" }).end(NO_LEADER);
    else res.end('{"data":[],"nextCursor":null}');
  });
  server.listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const env = { PRISM_URL: `http://127.0.0.1:${port}`, PRISM_TOKEN: "prt_x" };
  const { status, stdout, stderr } = await runCli("incidents ack --all-open --yes".split(" "), { cwd, env });
  assert.deepEqual([status, stdout], [0, "0 incidents changed\n"], stderr);
  assert.equal(asked.length, 2);
});

test("a command waits 15 seconds from the first failure on, however long the request took before", async (t) => {
  let now = 0;
  t.mock.method(performance, "now", () => now);
  let asked = 0;
  const server = createServer((_req, res) => {
    asked++;
    now += 60_000;
    if (asked === 1) res.writeHead(503, { "Retry-After": "1" }).end(NO_LEADER);
    else res.end('{"done":true}');
  });
  server.listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const notes: string[] = [];
  const client = new ServerClient(
    { base: `http://127.0.0.1:${port}`, token: "prt_x" },
    {
      progress: () => ({ update: () => undefined, end: () => undefined }),
      trace: () => undefined,
      note: (text) => notes.push(text),
    },
  );
  assert.deepEqual(await client.post("/api/v1/page", {}), { done: true });
  assert.equal(notes.length, 1);
});

/** What a node answers in a take-over. */
const NO_LEADER = '{"error":{"code":"NO_LEADER","message":"No node leads"}}';
