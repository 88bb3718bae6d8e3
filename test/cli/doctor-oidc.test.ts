import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { FakeProvider } from "../features/access/oidc/support/fake-provider.ts";
import { temporaryDir } from "../helpers/store.ts";
import { runCli } from "./run-cli.ts";

async function oidcChecks(t: TestContext, providers: readonly object[]): Promise<string[]> {
  const env = { PORT: "0", PRISM_PUBLIC_URL: "https://prism.example.com", PRISM_AUTH_OIDC: JSON.stringify(providers) };
  const { stdout } = await runCli(["doctor", "--json"], { cwd: temporaryDir(t), env });
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
  return checks.filter(({ name }) => name === "oidc").map(({ status, message }) => `${status} ${message}`);
}

test("doctor says which OpenID providers are reached, and the redirect URI of each", async (t) => {
  const provider = await FakeProvider.start(t);
  const other = { ...provider.settings(), name: "other", issuer: `${provider.url}/elsewhere` };
  const { clientSecret: _, ...open } = provider.settings();
  const found = await oidcChecks(t, [provider.settings(), other, { ...open, name: "open" }]);
  assert.equal(
    found[0],
    `PASS company: ${provider.url} is reached; its redirect URI is https://prism.example.com/auth/oidc/company/callback`,
  );
  assert.match(found[1] ?? "", /^FAIL other: .*\/elsewhere: /);
  assert.match(found[2] ?? "", /^PASS open: .*; it signs in as a public client, without clientSecret$/);
  assert.deepEqual(await oidcChecks(t, []), []);
});
