import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { errorCodeOf, RawConnection, requestText } from "../http/support/raw-connection.ts";
import { databaseIn, jsonLines, RunningCli } from "./run-cli.ts";

interface Line {
  readonly level: string;
  readonly ns: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

interface Served {
  readonly server: RunningCli;
  readonly cwd: string;
  readonly port: number;
  readonly token: string;
}

async function serve(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<Served> {
  const cwd = temporaryDir(t);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  const [, base = ""] = await server.until(/Prism is ready: (\S+)/);
  const { token } = (await (await fetch(`${base}/dev/token`)).json()) as { token: string };
  return { server, cwd, port: Number(new URL(base).port), token };
}

/**
 * An ingest whose body has not come whole: it is under way until {@link rest} is sent. The server
 * has its beginning when this returns.
 */
async function beginIngest(
  t: TestContext,
  { port, token }: Served,
): Promise<{ connection: RawConnection; rest: string }> {
  const body = '{"type":"order.paid","amount":12}';
  const connection = await RawConnection.open(t, port);
  const headers = [
    `Authorization: Bearer ${token}`,
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
  ];
  await connection.sendAlone(requestText("POST", "/events", headers, body.slice(0, 9)));
  await fetch(`http://127.0.0.1:${port}/health/live`);
  return { connection, rest: body.slice(9) };
}

test("S2-121: SIGTERM: readiness ends, what is under way is answered and on disk, the head of the audit chain is noted, exit 0", async (t) => {
  keepsPromise(t, "S2-121");
  const served = await serve(t, { PRISM_SHUTDOWN_MS: "2m" });
  const { server, cwd, port } = served;
  const probe = await RawConnection.open(t, port);
  const { connection, rest } = await beginIngest(t, served);
  probe.send(requestText("GET", "/health/ready"));
  assert.equal((await probe.reply()).status, 200);

  server.signal("SIGTERM");
  await server.until(/"msg":"stopping"/);
  probe.send(requestText("GET", "/health/ready"));
  assert.equal((await probe.reply()).status, 503);
  probe.send(requestText("GET", "/api/v1/rules"));
  const refused = await probe.reply();
  assert.deepEqual([refused.status, errorCodeOf(refused)], [503, "SHUTTING_DOWN"]);
  await assert.rejects(RawConnection.open(t, port), /ECONNREFUSED/);

  connection.send(rest);
  const accepted = await connection.reply();
  assert.equal(accepted.status, 202);
  assert.equal(await server.ended(), 0);

  const { id } = JSON.parse(accepted.body) as { id: string };
  const db = new SqliteDatabase(databaseIn(join(cwd, "data")), { readonly: true });
  assert.deepEqual(db.prepare("select id from events").pluck().all(), [id]);
  const head = db.prepare("select seq || ':' || hash from audit_log order by seq desc limit 1").pluck().get();
  db.close();
  const lines = jsonLines<Line>(server.stdout);
  const stopping = lines.findIndex(({ msg }) => msg === "stopping");
  const noted = lines.slice(stopping).find(({ ns, msg }) => ns === "prism:audit" && msg === "head of the audit chain");
  assert.equal(`${noted?.["seq"]}:${noted?.["hash"]}`, head);
  assert.equal(readFileSync(join(cwd, "data/audit.head"), "utf8").split(":", 2).join(":"), head);
  assert.equal(lines.at(-1)?.msg, "stopped");
});

test("what never ends is waited for as long as shutdownMs says, and no longer", async (t) => {
  const served = await serve(t, { PRISM_SHUTDOWN_MS: "300" });
  const { connection } = await beginIngest(t, served);
  served.server.signal("SIGINT");
  assert.equal(await served.server.ended(), 0);
  await connection.closed();
});

test("a second signal ends at once with 1", async (t) => {
  const served = await serve(t, { PRISM_SHUTDOWN_MS: "10m" });
  await beginIngest(t, served);
  served.server.signal("SIGTERM");
  await served.server.until(/"msg":"stopping"/);
  served.server.signal("SIGINT");
  assert.equal(await served.server.ended(), 1);
});

test("SIGHUP: levels, namespaces, request limits and origins are in force at once", async (t) => {
  const { server, cwd, port, token } = await serve(t, { PRISM_PROT: "3001" });
  const url = `http://127.0.0.1:${port}`;
  await t.test("what the configuration warns of is in the log and in /status", async () => {
    const warning = "PRISM_PROT is not a setting of Prism and is ignored; did you mean PRISM_PORT?";
    assert.ok(jsonLines<Line>(server.stdout).some(({ level, msg }) => level === "warn" && msg === warning));
    const headers = { Authorization: `Bearer ${token}` };
    const status = (await (await fetch(`${url}/api/v1/status`, { headers })).json()) as { warnings: string[] };
    // The Node.js of the machine may be past its end of support, which is a warning too.
    const found = status.warnings.filter((text) => !/includes Node\.js/.test(text));
    assert.deepEqual(found, [warning]);
  });
  const origin = "https://app.example.org";
  const ask = (): Promise<Response> =>
    fetch(`${url}/api/v1/users/me`, { headers: { Authorization: `Bearer ${token}`, Origin: origin } });
  assert.equal((await ask()).headers.get("access-control-allow-origin"), null);

  const file = join(cwd, "prism.config.json");
  const changed = {
    debug: "prism:http",
    cors: { origins: [origin] },
    rateLimit: { user: 2 },
    queues: { timers: { concurrency: 3 } },
  };
  writeFileSync(file, JSON.stringify(changed));
  server.signal("SIGHUP");
  const [, inForce = ""] = await server.until(/"inForce":(\[[^\]]*\]),"msg":"configuration reloaded"/);
  assert.deepEqual(JSON.parse(inForce), ["debug", "cors.origins", "rateLimit.user", "queues.timers.concurrency"]);
  const replies = [await ask(), await ask(), await ask(), await ask()];
  assert.ok(replies.every(({ headers }) => headers.get("access-control-allow-origin") === origin));
  assert.equal(replies.at(-1)?.status, 429, "the new limit holds");
  await fetch(`${url}/health/live`);
  await server.until(/"level":"debug".*"ns":"prism:http".*"route":"\/health\/live"/);

  writeFileSync(file, JSON.stringify({ ...changed, rateLimit: { enabled: false } }));
  server.signal("SIGHUP");
  await server.until(/"inForce":\[[^\]]*"rateLimit\.enabled"[^\]]*\],"msg":"configuration reloaded"/);
  assert.equal((await ask()).status, 200);
});
