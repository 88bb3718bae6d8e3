import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { RunningCli, runCli } from "../cli/run-cli.ts";
import { GOOD_SECRETS } from "../config/support/load.ts";
import { makeAccount, startAccounts } from "../features/access/sessions/support/auth-client.ts";
import { ModuleDir, moduleText, startWith, stateOf } from "../features/plugins/support/module-dir.ts";
import { S0_MODULE } from "../features/plugins/support/s0-module.ts";
import { ChildOutput } from "../helpers/child-output.ts";
import { eventually } from "../helpers/eventually.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { makeProject } from "../helpers/people.ts";
import { type Reply, startPrism, type TestPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";

const root = join(import.meta.dirname, "../..");

/** What docs/coming-from.md says of first steps and no other test drives. */
const codeOf = ({ status, body }: Reply<unknown>): string =>
  `${status} ${(body as { error?: { code: string } }).error?.code ?? ""}`.trimEnd();

async function tokenOf(prism: TestPrism, user: string): Promise<string> {
  return (await prism.get<{ token: string }>(`/dev/token?user=${user}`, { token: null })).body.token;
}

const timer = (action: object) => ({ label: "first", delayMs: 60_000, action });
const notify = (userId: string) =>
  timer({ type: "notify", payload: { userId, title: "Hello!", body: "Timer fired." } });

/** The .env files as the READMEs give them; the port is chosen by the test. */
const ENV_FILES = {
  S0: "NODE_ENV=development\nPORT=3000\nJWT_SECRET=dev-secret-change-me\nDATABASE_URL=postgresql://u:p@db:5432/x\nREDIS_HOST=redis\nREDIS_PORT=6379\n",
  S1: `PORT=3000
HOST=127.0.0.1
NODE_ENV=development

DATABASE_URL="postgresql://pulseboard:pulseboard@localhost:5432/pulseboard"

JWT_ACCESS_SECRET=change-me-in-production
JWT_REFRESH_SECRET=change-me-in-production
JWT_ACCESS_EXPIRES=15m
JWT_REFRESH_EXPIRES=7d

REDIS_URL=redis://localhost:6379

SMTP_HOST=sandbox.smtp.mailtrap.io
SMTP_PORT=2525
SMTP_USER=your-mailtrap-user
SMTP_PASS=your-mailtrap-password
SMTP_FROM=noreply@pulseboard.dev

ALERT_ERROR_THRESHOLD=10
RETENTION_DAYS=30
`,
  S4: `NODE_ENV=production
PORT=3000
DATABASE_URL=postgresql://u:p@localhost/x
REDIS_URL=redis://localhost
JWT_SECRET=${GOOD_SECRETS.JWT_SECRET}
PRISM_ENCRYPTION_KEY=${GOOD_SECRETS.PRISM_ENCRYPTION_KEY}
HOST=127.0.0.1
`,
} as const;

test("S4-07: the .env file of each README starts a server, S4's with the key that production needs", async (t) => {
  keepsPromise(t, "S4-07");
  for (const [seed, text] of Object.entries(ENV_FILES)) {
    const cwd = temporaryDir(t);
    writeFileSync(join(cwd, ".env"), text);
    const server = new RunningCli(t, ["serve", "--port", "0"], { cwd });
    const [, base] = await server.until(/Prism is ready: (\S+)/);
    const { status, db } = (await (await fetch(`${base}/health`)).json()) as Record<string, unknown>;
    assert.deepEqual([status, db], ["ok", "ok"], seed);
    await server.until(/points at postgresql: and is ignored/);
    await server.until(/REDIS_\w+(, REDIS_PORT)? (is|are) ignored/);
    server.signal("SIGTERM");
    assert.equal(await server.ended(), 0, seed);
  }
});

test("S0: reading is the recipient's, and the history of a user who is not known is 404", async (t) => {
  const prism = await startPrism(t);
  const sent = { recipients: ["user-id"], title: "Hello!", body: "Timer fired." };
  const { status, body } = await prism.post<{ id: string }>("/api/v1/notifications", sent);
  assert.equal(status, 201);
  const path = `/notifications/${body.id}/read`;
  assert.equal(codeOf(await prism.patch(path)), "404 NOTIFICATION_NOT_FOUND");
  assert.equal((await prism.patch(path, undefined, { token: await tokenOf(prism, "user-id") })).status, 200);
  assert.equal((await prism.get("/notifications/user-id")).status, 200);
  assert.equal(codeOf(await prism.get("/notifications/nobody-told")), "404 USER_NOT_FOUND");
});

test("S0: in production recipients must be known, unless unknown ones are to be made", async (t) => {
  for (const [unknownRecipient, status] of [
    ["reject", 422],
    ["provision", 201],
  ] as const) {
    const prism = await startPrism(t, { settings: { "notifications.unknownRecipient": unknownRecipient } });
    const payload = { userId: "1", title: "Bus!", body: "From timer." };
    for (const body of [notify("user-id"), timer({ type: "event", event: "notify", payload })]) {
      const reply = await prism.post("/time/trigger", body);
      assert.equal(reply.status, status, reply.text);
      if (status === 422) assert.equal(codeOf(reply), "422 RECIPIENT_NOT_FOUND");
    }
  }
});

test("S0: a user whom a notification made needs a role to make timers", async (t) => {
  const prism = await startPrism(t);
  assert.equal((await prism.post("/time/trigger", notify("user-id"))).status, 201);
  const token = await tokenOf(prism, "user-id");
  assert.equal(codeOf(await prism.post("/time/trigger", notify("me"), { token })), "403 UNAUTHORIZED_ROLE");
  const { body } = await prism.get<{ data: { id: string; externalId: string | null }[] }>("/api/v1/users");
  const id = body.data.find(({ externalId }) => externalId === "user-id")?.id;
  assert.equal((await prism.patch(`/api/v1/users/${id}`, { roles: ["User"] })).status, 200);
  assert.equal((await prism.post("/time/trigger", notify("me"), { token })).status, 201);
});

test("S0: a datetime needs a zone, and its user must be known", async (t) => {
  const prism = await startPrism(t);
  for (const [query, is] of [
    ["datetime=2026-01-15T08:00:00Z&userId=dev", "200"],
    ["datetime=2026-01-15T08:00:00&userId=dev", "200"],
    ["datetime=2026-01-15&userId=dev", "400 VALIDATION_FAILED"],
    ["datetime=2026-01-15T08:00:00Z&userId=nobody", "404 USER_NOT_FOUND"],
  ])
    assert.equal(codeOf(await prism.get(`/time/convert?${query}`)), is, query);
});

test("S0: what a Fastify module cannot do here is refused, or has another form", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("hooks", moduleText("hooks", `server.addHook("onRequest", async () => {});`));
  modules.put("schemas", moduleText("schemas", `server.get("/schemas", { schema: {} }, async () => ({}));`));
  modules.put("queues", moduleText("queues", `await services.scheduler.add("my-queue", "work", {});`));
  modules.put(
    "replies",
    moduleText(
      "replies",
      `server.post("/replies/:id", async (req, reply) => {
        const { params, query, body } = req;
        return req.reply(201, { hasReply: reply !== undefined, params, query, body });
      });`,
    ),
  );
  const prism = await startWith(t, modules);
  for (const name of ["hooks", "schemas", "queues"]) assert.equal((await stateOf(prism, name))?.state, "failed", name);
  const { status, body } = await prism.post("/replies/7?a=b", { c: 1 });
  assert.deepEqual([status, body], [201, { hasReply: false, params: { id: "7" }, query: { a: "b" }, body: { c: 1 } }]);
});

test("S0: a module in TypeScript is named in the log with the command that compiles it", async (t) => {
  const modules = new ModuleDir(t);
  modules.put("typed", { "index.ts": "export default {};" });
  const log = new LogLines();
  await startWith(t, modules, { log });
  assert.ok(log.lines.some(({ level, message }) => level === "warn" && /compile it: npx esbuild/.test(message)));
});

test("S0: npm run dev loads src/modules/<name>/index.ts, and loads it again when it changes", async (t) => {
  keepsPromise(t, "S0-34");
  const cwd = temporaryDir(t);
  const file = join(cwd, "src/modules/my-module/index.ts");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, S0_MODULE);
  // The script's command, with a working directory and data of the test's own.
  const child = spawn(
    process.execPath,
    ["--watch", "--import", import.meta.resolve("tsx"), join(root, "bin/prism.ts"), "serve", "--dev", "--port", "0"],
    {
      cwd,
      env: { PATH: process.env["PATH"], PRISM_MIN_FREE_BYTES: "0" },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    },
  );
  const output = new ChildOutput(child);
  t.after(async () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
    await output.ended;
  });
  const ready = (): string | undefined => [...output.all.matchAll(/Prism is ready: (\S+)/g)].at(-1)?.[1];
  await output.until("ready", ready, 120_000);
  const answer = async (): Promise<string> => {
    const { token } = (await (await fetch(`${ready()}/dev/token`)).json()) as { token: string };
    return (await fetch(`${ready()}/my-route`, { headers: { authorization: `Bearer ${token}` } })).text();
  };
  assert.equal(await answer(), '{"hello":"world"}');
  writeFileSync(file, S0_MODULE.replace("'world'", "'again'"));
  await eventually("the changed module answers", async () => (await answer().catch(() => "")) === '{"hello":"again"}');
});

test("S0: a program that is compiled names the command for each module of src/modules", async (t) => {
  const cwd = temporaryDir(t);
  mkdirSync(join(cwd, "src/modules/my-module"), { recursive: true });
  writeFileSync(join(cwd, "src/modules/my-module/index.ts"), S0_MODULE);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd });
  const [, command = ""] = await server.until(
    /compile it: (npx esbuild src\/modules\/my-module\/index\.ts .*?--outfile=\S+\/data\/modules\/my-module\/index\.mjs)/,
  );
  // From then on the modules directory is watched.
  const [, base] = await server.until(/Prism is ready: (\S+)/);
  const [, , ...args] = command.split(" ");
  const built = spawnSync(join(root, "node_modules/.bin/esbuild"), args, { cwd });
  assert.equal(built.status, 0, String(built.stderr));
  await eventually("the compiled module answers", async () => (await fetch(`${base}/my-route`)).status === 401);
});

test("S1: an account sees the default project among its own where projects.defaultOpen says so", async (t) => {
  for (const isOpen of [true, false]) {
    const prism = await startAccounts(t, { settings: { "projects.defaultOpen": String(isOpen) } });
    await makeAccount(prism, { username: "ann" });
    const token = await tokenOf(prism, "ann");
    const { body } = await prism.get<{ data: { slug: string; role: string }[] }>("/projects", { token });
    assert.deepEqual(
      body.data.map(({ slug, role }) => [slug, role]),
      isOpen ? [["default", "viewer"]] : [],
    );
    assert.equal((await prism.get("/events?projectId=default", { token })).status, isOpen ? 200 : 403);
    assert.equal((await prism.get("/events?projectId=*", { token })).status, 200);
  }
});

test("S1: an event without a type is refused", async (t) => {
  const prism = await startPrism(t);
  const { apiKey } = await makeProject(prism);
  assert.equal(codeOf(await prism.post("/ingest", { message: "no type" }, { apiKey })), "400 VALIDATION_FAILED");
});

test("S2: what expr-eval has beyond the operators that S2 names is refused with its position", async (t) => {
  const prism = await startPrism(t);
  const rule = { name: "From S2", targetRoles: ["User"] };
  for (const condition of [
    "event.a ^ 2 > 3",
    "sqrt(event.a) > 1",
    "pow(event.a, 2) > 1",
    "length event.a > 1",
    "a = 1",
  ]) {
    const reply = await prism.post("/api/v1/rules", { ...rule, condition });
    assert.equal(codeOf(reply), "422 INVALID_CONDITION", condition);
    assert.match(reply.text, /"position":\d+/, condition);
  }
  const missing = { condition: "not (event.x == 1)", event: { type: "a" } };
  const { body } = await prism.post<{ matched: boolean }>("/api/v1/rules/test", missing);
  assert.equal(body.matched, true);
});

test("S4: db:restore needs the archive and says so", async (t) => {
  const { status, stderr } = await runCli(["restore"], { cwd: temporaryDir(t) });
  assert.equal(status, 2);
  assert.match(stderr, /missing required argument 'file'/);
});

test("what the page calls absent is absent", async (t) => {
  const root = join(import.meta.dirname, "../..");
  for (const name of ["Dockerfile", "docker-compose.yml", "compose.yaml", "prisma"])
    assert.ok(!existsSync(join(root, name)), name);
  const prism = await startPrism(t);
  for (const path of ["/admin/queues", "/queues"]) assert.equal((await prism.get(path)).status, 404, path);
});
