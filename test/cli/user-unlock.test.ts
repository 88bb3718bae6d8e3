import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { makeDatabase, RunningCli, runCli } from "./run-cli.ts";

const PASSWORD = "a long enough password";

test("prism user unlock lets an address that tried too often log in at once, limits of requests included", async (t) => {
  const cwd = temporaryDir(t);
  // One attempt per minute: more of them could take so long that the limit forgets the first.
  const env = { PRISM_AUTH_BCRYPT_COST: "4", PRISM_RATE_LIMIT_AUTH: "1" };
  await makeDatabase({ cwd, env });
  const made = await runCli(["user", "create", "--username", "ann", "--role", "Admin", "--password", "--stdin"], {
    cwd,
    env,
    input: PASSWORD,
  });
  assert.equal(made.status, 0, made.stderr);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  const [, url = ""] = await server.until(/Prism is ready: (http:\/\/[^:]+:\d+)/);
  const login = async (name: string, password: string): Promise<number> => {
    const body = JSON.stringify({ login: name, password });
    const headers = { "Content-Type": "application/json" };
    return (await fetch(`${url}/api/v1/auth/login`, { method: "POST", headers, body })).status;
  };
  // As clients of a proxy that is not in trustedProxies look: one address, several names.
  assert.equal(await login("name", "wrong"), 401);
  assert.equal(await login("ann", PASSWORD), 429);
  const unlocked = await runCli(["user", "unlock"], { cwd, env });
  assert.equal(unlocked.status, 0, unlocked.stderr);
  await eventually("the login", async () => (await login("ann", PASSWORD)) === 200);
});
