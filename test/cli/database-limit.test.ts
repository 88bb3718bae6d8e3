import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { makeDatabase, RunningCli, runCli } from "./run-cli.ts";

interface Health {
  readonly status: string;
  readonly checks: { readonly storage: string };
}

const PASSWORD = "a long enough password";

test("at maxDbBytes only ingest is refused: reads, logins and deletes go on, health and doctor report it, and a delete reopens it", async (t) => {
  const cwd = temporaryDir(t);
  const env = { PRISM_MAX_DB_BYTES: "8000000", PRISM_AUTH_BCRYPT_COST: "4", PRISM_RATE_LIMIT_ENABLED: "false" };
  await makeDatabase({ cwd, env });
  const made = await runCli(["user", "create", "--username", "ann", "--role", "Admin", "--stdin"], {
    cwd,
    env,
    input: PASSWORD,
  });
  assert.equal(made.status, 0, made.stderr);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  const [, base = ""] = await server.until(/Prism is ready: (http:\/\/[^:]+:\d+)/);
  const call = (method: string, path: string, token: string | null, body?: unknown): Promise<Response> =>
    fetch(base + path, {
      method,
      headers: { "Content-Type": "application/json", ...(token === null ? {} : { Authorization: `Bearer ${token}` }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const login = async (): Promise<string> => {
    const response = await call("POST", "/api/v1/auth/login", null, { login: "ann", password: PASSWORD });
    assert.equal(response.status, 200);
    return ((await response.json()) as { accessToken: string }).accessToken;
  };
  const token = await login();
  const events = Array.from({ length: 50 }, () => ({ type: "a", payload: { text: "x".repeat(4000) } }));
  await eventually("507", async () => (await call("POST", "/api/v1/events", token, events)).status === 507);

  for (let n = 0; n < 15; n++) await login();
  assert.equal((await call("GET", "/api/v1/events", token)).status, 200);
  const health = async (): Promise<Health> => (await (await call("GET", "/health", null)).json()) as Health;
  await eventually("degraded", async () => (await health()).status === "degraded");
  assert.equal((await health()).checks.storage, "full");
  assert.equal((await call("GET", "/health/ready", null)).status, 200);
  const full = await runCli(["doctor", "--db"], { cwd, env });
  assert.equal(full.status, 8);
  assert.match(full.stdout, /FAIL {2}size limit .*events are refused at 6\.7 MiB of maxDbBytes 7\.6 MiB/);

  assert.equal((await call("DELETE", "/api/v1/projects/default/events", token)).status, 200);
  await eventually("recovery", async () => (await health()).status === "ok");
  assert.equal((await call("POST", "/api/v1/events", token, events)).status, 202);
  const roomy = await runCli(["doctor", "--db"], { cwd, env });
  assert.match(roomy.stdout, /PASS {2}size limit /);
  assert.equal(roomy.status, 0, roomy.stdout);
});
