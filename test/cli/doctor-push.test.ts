import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { ApnsServer, keyFile } from "../features/delivery/support/apns-server.ts";
import { credentialsFile, FcmServer, fcmError } from "../features/delivery/support/fcm-server.ts";
import { temporaryDir } from "../helpers/store.ts";
import { valuesOf } from "../helpers/values.ts";
import { runCli } from "./run-cli.ts";

type Environment = Readonly<Record<string, string>>;

/** What doctor says of push, by provider. */
async function pushChecks(t: TestContext, env: Environment, ...args: string[]): Promise<Record<string, string>> {
  const options = { cwd: temporaryDir(t), env: { PORT: "0", ...env } };
  const { stdout, stderr } = await runCli(["doctor", "--json", ...args], options);
  assert.notEqual(stdout, "", stderr);
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
  return Object.fromEntries(
    checks
      .filter(({ name }) => ["fcm", "apns", "push"].includes(name))
      .map(({ name, status, message }) => [name, `${status} ${message}`]),
  );
}

function apnsEnvironment(key: string): Environment {
  return {
    APNS_KEY_FILE: key,
    APNS_KEY_ID: "KEY4567890",
    APNS_TEAM_ID: "TEAM567890",
    APNS_BUNDLE_ID: "org.example.prism",
  };
}

test("S2-85: doctor reads the keys for push, and says nothing where there are none", async (t) => {
  const [google, apple] = [credentialsFile(t), keyFile(t)];
  const good = { GOOGLE_APPLICATION_CREDENTIALS: google, ...apnsEnvironment(apple) };
  const bad = { GOOGLE_APPLICATION_CREDENTIALS: "/nowhere.json", ...apnsEnvironment(keyFile(t, "no key")) };
  const [none, fine, broken] = await Promise.all([pushChecks(t, {}), pushChecks(t, good), pushChecks(t, bad)]);
  assert.deepEqual(none, {});
  assert.deepEqual(fine, {
    fcm: `PASS ${google} holds a key; --deep checks it with the provider`,
    apns: `PASS ${apple} holds a key; --deep checks it with the provider`,
  });
  assert.match(broken["fcm"] ?? "", /^FAIL fcm\.credentials \(\/nowhere\.json\) cannot be read: ENOENT/);
  assert.match(broken["apns"] ?? "", /^FAIL apns\.keyFile \(.*\) is not an Apple key/);
  chmodSync(google, 0o644);
  assert.match((await pushChecks(t, good))["fcm"] ?? "", /^WARN .* has mode 0644: others can read the key/);
});

test("doctor --deep checks the keys at the providers, and notifies no device", async (t) => {
  const [fcm, apns] = [await FcmServer.start(t), await ApnsServer.start(t)];
  const ca = join(temporaryDir(t), "ca.pem");
  writeFileSync(ca, apns.ca);
  const env = {
    GOOGLE_APPLICATION_CREDENTIALS: fcm.options.credentials,
    PRISM_FCM_ENDPOINT: fcm.options.endpoint ?? "",
    PRISM_FCM_TOKEN_ENDPOINT: fcm.options.tokenEndpoint ?? "",
    ...apnsEnvironment(apns.options.keyFile),
    PRISM_APNS_ENDPOINT: apns.options.endpoint,
    NODE_EXTRA_CA_CERTS: ca,
  };
  assert.deepEqual(await pushChecks(t, env, "--deep"), {
    fcm: "PASS the provider accepts the key",
    apns: "PASS the provider accepts the key",
  });
  assert.deepEqual(valuesOf(fcm.requests, "isTrial"), [true]);
  assert.deepEqual(valuesOf(apns.pushes, "token"), ["0".repeat(64)]);
  fcm.next(fcmError(403, "PERMISSION_DENIED", "The API is not enabled"));
  apns.next({ status: 403, json: { reason: "InvalidProviderToken" } });
  assert.deepEqual(await pushChecks(t, env, "--deep"), {
    fcm: "FAIL FCM answered 403 PERMISSION_DENIED: The API is not enabled",
    apns: "FAIL APNs answered 403 InvalidProviderToken",
  });
});
