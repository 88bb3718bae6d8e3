import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { wavFile } from "../../../helpers/audio.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { follow, pathOf, type Sound, upload } from "./support/upload.ts";

test("a link serves the sound without credentials, as a file in which nothing runs", async (t) => {
  const prism = await startPrism(t);
  const { body: sound } = await upload(prism, "bell.wav", wavFile());
  const reply = await follow(prism, sound.url);
  assert.equal(reply.status, 200);
  const header = (name: string): string | null => reply.headers.get(name);
  assert.equal(header("content-type"), "audio/wav");
  assert.equal(header("content-length"), String(wavFile().length));
  assert.equal(header("content-disposition"), 'inline; filename="bell.wav"');
  assert.equal(header("x-content-type-options"), "nosniff");
  assert.equal(header("content-security-policy"), "sandbox");
  assert.equal(header("accept-ranges"), "bytes");
  assert.match(header("cache-control") ?? "", /^private, max-age=3[56]\d\d$/);
  assert.ok(Buffer.from(await reply.arrayBuffer()).equals(wavFile()));
  const head = await fetch(prism.url + pathOf(sound.url), { method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("content-length")], [200, String(wavFile().length)]);
  const known = await follow(prism, sound.url, { "If-None-Match": header("etag") ?? "" });
  assert.equal(known.status, 304);
});

test("a large sound arrives whole, and parts of it as they are asked for", async (t) => {
  const prism = await startPrism(t);
  const file = wavFile(3_000_000);
  const { body: sound } = await upload(prism, "long.wav", file);
  const whole = await follow(prism, sound.url);
  assert.ok(Buffer.from(await whole.arrayBuffer()).equals(file));
  const etag = whole.headers.get("etag") ?? "";
  const last = file.length - 1;
  for (const { name, headers, status, range, from = 0, to = last } of [
    {
      name: "the first bytes",
      headers: { Range: "bytes=0-43" },
      status: 206,
      range: `bytes 0-43/${file.length}`,
      to: 43,
    },
    {
      name: "the rest",
      headers: { Range: "bytes=1000000-" },
      status: 206,
      range: `bytes 1000000-${last}/${file.length}`,
      from: 1_000_000,
    },
    {
      name: "the end",
      headers: { Range: "bytes=-5" },
      status: 206,
      range: `bytes ${last - 4}-${last}/${file.length}`,
      from: last - 4,
    },
    {
      name: "a part of this version",
      headers: { Range: "bytes=0-9", "If-Range": etag },
      status: 206,
      range: `bytes 0-9/${file.length}`,
      to: 9,
    },
    { name: "a part of another version", headers: { Range: "bytes=0-9", "If-Range": '"x"' }, status: 200, range: null },
    { name: "two parts", headers: { Range: "bytes=0-9,20-29" }, status: 200, range: null },
    { name: "an invalid range", headers: { Range: "lines=1-2" }, status: 200, range: null },
  ] as const)
    await t.test(name, async () => {
      const reply = await follow(prism, sound.url, headers as unknown as Record<string, string>);
      assert.deepEqual([reply.status, reply.headers.get("content-range")], [status, range]);
      const bytes = Buffer.from(await reply.arrayBuffer());
      assert.ok(bytes.equals(file.subarray(from, to + 1)));
      assert.equal(reply.headers.get("content-length"), String(bytes.length));
    });
  const behind = await follow(prism, sound.url, { Range: `bytes=${file.length}-` });
  assert.deepEqual([behind.status, behind.headers.get("content-range")], [416, `bytes */${file.length}`]);
  assert.equal(await behind.text(), "");
});

test("S2-71: a link is good until its time is over, for its sound and nothing else", async (t) => {
  keepsPromise(t, "S2-71");
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { body: bell } = await upload(prism, "bell.wav", wavFile());
  const { body: other } = await upload(prism, "other.wav", wavFile(9));
  const { body: short } = await prism.get<Sound>(`/api/v1/sounds/${bell.id}?ttlMs=60000`);
  const code = async (path: string): Promise<unknown[]> => {
    const reply = await fetch(prism.url + path);
    return [reply.status, ((await reply.json()) as Sound).error?.code];
  };
  const INVALID = [401, "SIGNATURE_INVALID"];
  const path = pathOf(short.url);
  assert.deepEqual(await code(path.replace(bell.id, other.id)), INVALID);
  assert.deepEqual(await code(path.replace(/exp=\d+/, "exp=99999999999999")), INVALID);
  assert.deepEqual(await code(path.replace(/sig=.*/, "sig=x")), INVALID);
  assert.deepEqual(await code(path.replace(/\?.*/, "")), INVALID);
  assert.deepEqual(await code(path.replace(bell.id, uuidv7())), INVALID);
  clock.advance(59_999);
  assert.equal((await follow(prism, short.url)).status, 200);
  clock.advance(1);
  assert.deepEqual(await code(path), [410, "LINK_EXPIRED"]);
  assert.equal((await follow(prism, bell.url)).status, 200);
  await prism.restart();
  assert.equal((await follow(prism, bell.url)).status, 200);
  await prism.delete(`/api/v1/sounds/${bell.id}`);
  assert.deepEqual(await code(pathOf(bell.url)), [404, "SOUND_NOT_FOUND"]);
  for (const ttlMs of [59_999, 86_400_001])
    assert.equal((await prism.get(`/api/v1/sounds/${other.id}?ttlMs=${ttlMs}`)).status, 400);
});

test("a sound whose file is gone is not found; one that is damaged cuts the connection", async (t) => {
  const prism = await startPrism(t);
  const { body: sound } = await upload(prism, "bell.wav", wavFile());
  const file = join(prism.dir, "sounds", sound.id);
  writeFileSync(file, wavFile().subarray(0, 50));
  const damaged = await follow(prism, sound.url);
  assert.equal(damaged.status, 200);
  await assert.rejects(damaged.arrayBuffer());
  rmSync(file);
  assert.equal((await follow(prism, sound.url)).status, 404);
});

test("with a CDN links begin with its URL, and others may keep what they lead to", async (t) => {
  const prism = await startPrism(t, { settings: { "storage.cdnUrl": "https://cdn.example.org/prism" } });
  const { body: sound } = await upload(prism, "bell.wav", wavFile());
  assert.match(sound.url, /^https:\/\/cdn\.example\.org\/prism\/media\/sounds\//);
  const reply = await fetch(prism.url + pathOf(sound.url).replace("/prism", ""));
  assert.match(reply.headers.get("cache-control") ?? "", /^public, max-age=/);
});
