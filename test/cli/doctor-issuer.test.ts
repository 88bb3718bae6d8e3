import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { IssuerKey, KeyServer } from "../features/access/authenticate/support/issuer.ts";
import { temporaryDir } from "../helpers/store.ts";
import { runCli } from "./run-cli.ts";

async function issuerCheck(t: TestContext, url: string): Promise<string> {
  const env = {
    PORT: "0",
    PRISM_AUTH_TRUSTED_JWKS_URL: url,
    PRISM_AUTH_TRUSTED_ISSUER: "https://login.example.org",
    PRISM_AUTH_TRUSTED_AUDIENCE: "prism",
  };
  const { stdout } = await runCli(["doctor", "--json"], { cwd: temporaryDir(t), env });
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
  const found = checks.find(({ name }) => name === "issuer");
  return `${found?.status} ${found?.message}`;
}

test("doctor says whether the keys of a token issuer are there", async (t) => {
  const issuer = await KeyServer.start(t, await IssuerKey.make("k1", "ES256"), await IssuerKey.make("k2", "RS256"));
  assert.equal(await issuerCheck(t, issuer.url), `PASS ${issuer.url} publishes 2 keys: EC P-256, RSA`);
  issuer.publish();
  assert.match(await issuerCheck(t, issuer.url), /^FAIL .* publishes no key/);
  issuer.status = 404;
  assert.match(await issuerCheck(t, issuer.url), /^FAIL .*: the issuer answered 404$/);
});
