import assert from "node:assert/strict";
import test from "node:test";
import { temporaryDir } from "../helpers/store.ts";
import { makeDatabase, runCli, runJson } from "./run-cli.ts";

test("prism user identities links an account of a provider before its owner comes, lists and unlinks it", async (t) => {
  const cwd = temporaryDir(t);
  const provider = { name: "company", issuer: "https://login.example.org", clientId: "prism" };
  const env = { PRISM_AUTH_OIDC: JSON.stringify([provider]) };
  await makeDatabase({ cwd });
  const run = (...args: string[]) => runCli(["user", ...args], { cwd, env });
  assert.equal((await run("create", "--username", "ann")).status, 0);
  const linked = ["--provider", "company", "--subject", "248289761001"];
  const link = await run("identities", "link", "ann", ...linked);
  assert.deepEqual([link.status, link.stdout.trim()], [0, "linked"], link.stderr);
  assert.equal((await run("identities", "list", "ann")).stdout.trim(), "company  248289761001");
  const { identities } = await runJson<{ identities: { issuer: string }[] }>(["user", "identities", "list", "ann"], {
    ...{ cwd, env },
  });
  assert.deepEqual(
    identities.map(({ issuer }) => issuer),
    [provider.issuer],
  );

  assert.equal((await run("create", "--username", "bob")).status, 0);
  assert.equal((await run("identities", "link", "bob", ...linked)).status, 7);
  assert.equal((await run("identities", "link", "ann", "--provider", "none", "--subject", "1")).status, 6);
  assert.equal((await run("identities", "link", "ann", "--provider", "company")).status, 2);
  assert.equal((await run("identities", "unlink", "bob", ...linked)).status, 6);

  assert.equal((await run("identities", "unlink", "ann", ...linked)).status, 0);
  assert.equal((await run("identities", "list", "ann")).stdout.trim(), "no identities");
});
