import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { environmentName } from "../../src/config/option.ts";
import { pusherPeer } from "../features/delivery/support/pusher-peer.ts";
import { fakeS3 } from "../features/notifications/sounds/support/fake-s3.ts";
import { temporaryDir } from "../helpers/store.ts";
import { runCli } from "./run-cli.ts";

type Settings = Readonly<Record<string, string>>;

/** What doctor says of the bucket and of Pusher. */
async function providerChecks(t: TestContext, settings: Settings, ...args: string[]): Promise<Record<string, string>> {
  const env = Object.fromEntries(Object.entries(settings).map(([key, value]) => [environmentName(key), value]));
  const options = { cwd: temporaryDir(t), env: { PORT: "0", ...env } };
  const { stdout, stderr } = await runCli(["doctor", "--json", ...args], options);
  assert.notEqual(stdout, "", stderr);
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
  return Object.fromEntries(
    checks
      .filter(({ name }) => ["s3", "pusher", "providers"].includes(name))
      .map(({ name, status, message }) => [name, `${status} ${message}`]),
  );
}

test("doctor --deep uses the bucket and asks Pusher, leaves nothing there, and says nothing of what is not configured", async (t) => {
  const [s3, pusher] = await Promise.all([fakeS3(t), pusherPeer(t)]);
  const settings = { ...s3.settings, ...pusher.settings };
  assert.deepEqual(await providerChecks(t, {}, "--deep"), {});
  assert.deepEqual(await providerChecks(t, settings, "--deep"), {
    s3: "PASS the bucket sounds-of-ours accepts and removes sounds",
    pusher: "PASS the app 42 accepts the signature",
  });
  assert.deepEqual([s3.objects.size, s3.calls.length, pusher.seen], [0, 2, []]);
  const wrong = { ...settings, "storage.s3.secretAccessKey": "wrong-one", "pusher.secret": "wrong-one" };
  const broken = await providerChecks(t, wrong, "--deep");
  assert.match(broken["s3"] ?? "", /^FAIL the bucket sounds-of-ours: .*S3 answered 403 \(SignatureDoesNotMatch\)/);
  assert.match(broken["pusher"] ?? "", /^FAIL Pusher answered 401: /);
  assert.doesNotMatch(JSON.stringify(broken), /wrong-one/);
});
