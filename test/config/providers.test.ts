import assert from "node:assert/strict";
import test from "node:test";
import { ConfigRefused } from "../../src/config/load.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { GOOD_SECRETS, load } from "./support/load.ts";

const S3 = {
  PRISM_STORAGE_KIND: "s3",
  S3_BUCKET: "bells",
  AWS_REGION: "eu-central-1",
  AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
  AWS_SECRET_ACCESS_KEY: "s3cr3t",
};
const PUSHER = { PUSHER_APP_ID: "42", PUSHER_KEY: "k", PUSHER_SECRET: "s3cr3t", PUSHER_CLUSTER: "eu" };

test("S2-84: PUSHER_ variables are the app, embedded as remote", (t) => {
  keepsPromise(t, "S2-84");
  const { config, warnings } = load(t, { environment: PUSHER });
  const { mode, appId, key, secret, cluster } = config.pusher;
  assert.deepEqual([mode, appId, key, secret, cluster], ["embedded", "42", "k", "s3cr3t", "eu"]);
  assert.equal(warnings.length, 1, "the cluster, which the embedded server does not use");
  const remote = load(t, { environment: { ...PUSHER, PRISM_PUSHER_MODE: "remote" } });
  assert.equal(remote.config.pusher.mode, "remote");
});

test("S2-89: S3_, AWS_ and CDN_URL variables say where sounds are", (t) => {
  keepsPromise(t, "S2-89");
  const { config, warnings } = load(t, { environment: { ...S3, CDN_URL: "https://cdn.example.org/" } });
  const { kind, s3, cdnUrl, signTtlMs } = config.storage;
  assert.deepEqual([kind, cdnUrl, signTtlMs], ["s3", "https://cdn.example.org", 3_600_000]);
  const { endpoint, ...bucket } = s3;
  assert.deepEqual(bucket, {
    bucket: "bells",
    region: "eu-central-1",
    accessKeyId: "AKIDEXAMPLE",
    secretAccessKey: "s3cr3t",
  });
  assert.deepEqual([endpoint, warnings], [undefined, []]);
  const own = { S3_REGION: "us-east-1", S3_ENDPOINT: "https://minio.example.org", S3_ACCESS_KEY_ID: "a" };
  const other = load(t, { environment: { ...S3, ...own } }).config.storage.s3;
  assert.deepEqual([other.region, other.endpoint, other.accessKeyId], ["us-east-1", "https://minio.example.org", "a"]);
});

test("a bucket that nothing is put into is noted", (t) => {
  const { PRISM_STORAGE_KIND: _, ...environment } = S3;
  const { config, warnings } = load(t, { environment });
  assert.equal(config.storage.kind, "local");
  assert.match(warnings.join(), /^storage\.s3\.bucket .* is not used while storage\.kind is local/);
});

test("a cluster of Pusher that the embedded server does not use is noted", (t) => {
  const app = { PUSHER_APP_ID: "1", PUSHER_KEY: "k".repeat(20), PUSHER_SECRET: "s".repeat(20), PUSHER_CLUSTER: "eu" };
  const { config, warnings } = load(t, { environment: app });
  assert.equal(config.pusher.mode, "embedded");
  assert.match(warnings.join(), /^pusher\.cluster \(PUSHER_CLUSTER\) is not used .*PRISM_PUSHER_MODE=remote/);
  assert.deepEqual(load(t, { environment: { ...app, PRISM_PUSHER_MODE: "remote" } }).warnings, []);
});

test("what belongs together must be there together", async (t) => {
  for (const { name, environment, problem } of [
    {
      name: "S3 without a bucket",
      environment: { PRISM_STORAGE_KIND: "s3" },
      problem: /storage\.s3\.bucket, .*storage\.s3\.secretAccessKey must be set with storage\.kind s3/,
    },
    {
      name: "remote Pusher without an app",
      environment: { PRISM_PUSHER_MODE: "remote" },
      problem: /pusher\.appId, pusher\.key, pusher\.secret must be set with pusher\.mode remote/,
    },
    {
      name: "remote Pusher without a cluster",
      environment: { ...PUSHER, PUSHER_CLUSTER: "", PRISM_PUSHER_MODE: "remote" },
      problem: /pusher\.cluster must be set/,
    },
    {
      name: "a key without its secret",
      environment: { PUSHER_KEY: "k" },
      problem: /pusher\.appId, pusher\.secret must be set together/,
    },
    {
      name: "http in production",
      environment: { ...GOOD_SECRETS, ...S3, NODE_ENV: "production", S3_ENDPOINT: "http://minio" },
      problem: /storage\.s3\.endpoint must be an https URL in production/,
    },
  ])
    await t.test(name, () =>
      assert.throws(
        () => load(t, { environment }),
        (error) => error instanceof ConfigRefused && problem.test(error.message) && !error.message.includes("s3cr3t"),
      ),
    );
});
