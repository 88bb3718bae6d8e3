import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { wavFile } from "../../../helpers/audio.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { fakeS3 } from "./support/fake-s3.ts";
import { follow, type Sound, upload } from "./support/upload.ts";

test("S2-70, S2-89: with storage.kind s3 sounds are in a bucket, and links lead there through this server", async (t) => {
  keepsPromise(t, "S2-70");
  const s3 = await fakeS3(t);
  const prism = await startPrism(t, { settings: s3.settings });
  const { body: sound } = await answered(201, upload(prism, "bell.wav", wavFile(1000)));
  const path = `/sounds-of-ours/sounds/${sound.id}`;
  assert.deepEqual([...s3.objects.keys()], [path]);
  assert.equal(s3.objects.get(path)?.type, "audio/wav");
  assert.ok(s3.objects.get(path)?.bytes.equals(wavFile(1000)));
  assert.equal(existsSync(join(prism.dir, "sounds", sound.id)), false);
  const whole = await follow(prism, sound.url);
  assert.ok(Buffer.from(await whole.arrayBuffer()).equals(wavFile(1000)));
  const part = await follow(prism, sound.url, { Range: "bytes=44-53" });
  assert.deepEqual([part.status, part.headers.get("content-range")], [206, "bytes 44-53/1044"]);
  assert.ok(Buffer.from(await part.arrayBuffer()).equals(wavFile(1000).subarray(44, 54)));
  assert.equal((await prism.delete(`/api/v1/sounds/${sound.id}`)).status, 204);
  await eventually("the object is removed", () => s3.objects.size === 0);
});

test("a bucket that does not answer fails the request and leaves no rows; a removal is retried", async (t) => {
  const s3 = await fakeS3(t);
  const settings = { ...s3.settings, "queues.retention.backoffBaseMs": "1" };
  const prism = await startPrism(t, { settings });
  s3.fail(500);
  const refused = await upload(prism, "bell.wav", wavFile());
  assert.deepEqual([refused.status, refused.body.error?.code], [503, "OVERLOADED"]);
  assert.doesNotMatch(refused.text, /SlowDown|127\.0\.0\.1/);
  assert.deepEqual((await prism.get<{ data: Sound[] }>("/api/v1/sounds")).body.data, []);
  const { body: sound } = await upload(prism, "bell.wav", wavFile());
  s3.fail(503);
  assert.equal((await follow(prism, sound.url)).status, 503);
  s3.fail(503, 500);
  await prism.delete(`/api/v1/sounds/${sound.id}`);
  await eventually("the object is removed", () => s3.objects.size === 0);
});

test("sounds stay where they were put when the storage changes", async (t) => {
  const s3 = await fakeS3(t);
  const prism = await startPrism(t);
  const { body: local } = await upload(prism, "local.wav", wavFile());
  await prism.stop();
  const moved = await startPrism(t, { dir: prism.dir, settings: s3.settings });
  const { body: remote } = await upload(moved, "remote.wav", wavFile(9));
  assert.equal((await follow(moved, local.url)).status, 200);
  assert.equal((await follow(moved, remote.url)).status, 200);
  await moved.stop();
  await prism.restart();
  const reply = await follow(prism, remote.url);
  assert.deepEqual([reply.status, ((await reply.json()) as Sound).error?.code], [501, "NOT_CONFIGURED"]);
});

test("a bucket at a private address is not called unless the operator allows it", async (t) => {
  const s3 = await fakeS3(t);
  const { "webhooks.allowPrivateCidrs": _, ...settings } = s3.settings;
  const prism = await startPrism(t, { settings });
  assert.equal((await upload(prism, "bell.wav", wavFile())).body.error?.code, "OVERLOADED");
  assert.deepEqual(s3.calls, []);
});
