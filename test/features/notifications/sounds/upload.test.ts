import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { mp3File, oggFile, taggedMp3File, wavFile } from "../../../helpers/audio.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { follow, type Sound, upload } from "./support/upload.ts";

test("S2-73: POST /sounds stores a sound in the data directory under an id, for its owner alone", async (t) => {
  keepsPromise(t, "S2-73");
  const prism = await startPrism(t);
  const { status, body } = await upload(prism, "Door Bell.wav", wavFile(), {
    headers: { "Content-Type": "audio/x-wav" },
  });
  assert.equal(status, 201);
  const { id, url, urlExpiresAt, createdAt, createdBy, ...facts } = body;
  const sha256 = createHash("sha256").update(wavFile()).digest("hex");
  assert.deepEqual(facts, {
    filename: "Door Bell.wav",
    mime: "audio/wav",
    bytes: wavFile().length,
    sha256,
    rules: 0,
  });
  assert.ok(Date.parse(urlExpiresAt) > Date.parse(createdAt));
  const dir = join(prism.dir, "sounds");
  assert.deepEqual(readdirSync(dir), [id]);
  assert.equal(statSync(join(dir, id)).mode & 0o777, 0o600);
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  assert.ok(readFileSync(join(dir, id)).equals(wavFile()));
  const reply = await follow(prism, url);
  assert.ok(Buffer.from(await reply.arrayBuffer()).equals(wavFile()));
  const { body: audit } = await prism.get<{ data: { action: string; resourceId: string; userId: string }[] }>(
    "/api/v1/audit?action=sound.create",
  );
  assert.deepEqual(rowsWith(audit.data, "resourceId", "userId"), [[id, createdBy]]);
});

test("a sound comes as the file of a form, too", async (t) => {
  const prism = await startPrism(t);
  const send = async (name: string, bytes: Buffer, query = ""): Promise<{ status: number; body: Sound }> => {
    const form = new FormData();
    form.append("file", new Blob([new Uint8Array(bytes)], { type: "audio/ogg" }), name);
    const headers = { Authorization: `Bearer ${prism.adminToken}` };
    const reply = await fetch(`${prism.url}/api/v1/sounds${query}`, { method: "POST", body: form, headers });
    return { status: reply.status, body: (await reply.json()) as Sound };
  };
  const sent = await send("chime.ogg", oggFile());
  assert.deepEqual([sent.status, sent.body.filename, sent.body.mime], [201, "chime.ogg", "audio/ogg"]);
  assert.equal((await send("x.mp3", taggedMp3File(), "?filename=other.mp3")).body.filename, "other.mp3");
  assert.equal((await send("größe.mp3", mp3File())).body.error?.code, "VALIDATION_FAILED");
  const large = await send("large.wav", Buffer.concat([wavFile(), Buffer.alloc(5_242_880 - wavFile().length)]));
  assert.equal(large.body.bytes, 5_242_880);
});

test("S2-72: a file that is not MP3, Ogg or WAV, or does not match its name, is refused and leaves nothing", async (t) => {
  keepsPromise(t, "S2-72");
  const prism = await startPrism(t);
  const page = Buffer.from("<script>alert(1)</script>".padEnd(64));
  for (const { name, filename, bytes, type = "application/octet-stream", status, code } of [
    { name: "a page that is called a sound", filename: "a.mp3", bytes: page, status: 415, code: "INVALID_AUDIO" },
    { name: "a WAV that is called MP3", filename: "a.mp3", bytes: wavFile(), status: 415, code: "INVALID_AUDIO" },
    { name: "a sound without an extension", filename: "wav", bytes: wavFile(), status: 415, code: "INVALID_AUDIO" },
    { name: "no bytes", filename: "a.wav", bytes: Buffer.alloc(0), status: 415, code: "INVALID_AUDIO" },
    { name: "a path", filename: "../a.wav", bytes: wavFile(), status: 400, code: "VALIDATION_FAILED" },
    { name: "a name with a line end", filename: "a\n.wav", bytes: wavFile(), status: 400, code: "VALIDATION_FAILED" },
    {
      name: "a name of 129 characters",
      filename: `${"a".repeat(125)}.wav`,
      bytes: wavFile(),
      status: 400,
      code: "VALIDATION_FAILED",
    },
    {
      name: "a page by its type",
      filename: "a.wav",
      bytes: wavFile(),
      type: "text/html",
      status: 415,
      code: "UNSUPPORTED_MEDIA_TYPE",
    },
    {
      name: "a form without a boundary",
      filename: "a.wav",
      bytes: wavFile(),
      type: "multipart/form-data",
      status: 400,
      code: "VALIDATION_FAILED",
    },
    {
      name: "more than 5 MiB",
      filename: "a.wav",
      bytes: Buffer.concat([wavFile(), Buffer.alloc(5_242_880)]),
      status: 413,
      code: "PAYLOAD_TOO_LARGE",
    },
    { name: "much more", filename: "a.wav", bytes: Buffer.alloc(6_000_000), status: 413, code: "PAYLOAD_TOO_LARGE" },
  ])
    await t.test(name, async () => {
      const reply = await upload(prism, filename, bytes, { headers: { "Content-Type": type } });
      assert.deepEqual([reply.status, reply.body.error?.code], [status, code]);
    });
  const nameless = await prism.post<Sound>("/api/v1/sounds", wavFile(), { headers: { "Content-Type": "audio/wav" } });
  assert.equal(nameless.body.error?.code, "VALIDATION_FAILED");
  assert.deepEqual((await prism.get<{ data: unknown[] }>("/api/v1/sounds")).body.data, []);
});

test("a name is unique in any case; after a deletion it is free", async (t) => {
  const prism = await startPrism(t);
  const { body } = await upload(prism, "bell.wav", wavFile());
  const second = await upload(prism, "BELL.wav", wavFile(8));
  assert.deepEqual([second.status, second.body.error?.code], [409, "NAME_TAKEN"]);
  const [first, other] = await Promise.all([
    upload(prism, "race.wav", wavFile()),
    upload(prism, "Race.WAV", wavFile(9)),
  ]);
  assert.deepEqual([first.status, other.status].sort(), [201, 409]);
  assert.equal(readdirSync(join(prism.dir, "sounds")).length, 2);
  assert.equal((await prism.delete(`/api/v1/sounds/${body.id}`)).status, 204);
  assert.equal((await upload(prism, "Bell.wav", wavFile())).status, 201);
});

test("a user uploads 30 sounds a minute; others are not kept waiting by that", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const editor = await makeUser(prism, "editor", ["RuleManager"]);
  for (let i = 0; i < 30; i++) assert.equal((await upload(prism, `s${i}.wav`, wavFile())).status, 201);
  const refused = await upload(prism, "more.wav", wavFile());
  assert.deepEqual([refused.status, refused.body.error?.code], [429, "RATE_LIMITED"]);
  assert.ok(Number(refused.headers.get("retry-after")) >= 1);
  assert.equal((await upload(prism, "more.wav", wavFile(), { token: editor.token })).status, 201);
  clock.advance(60_000);
  assert.equal((await upload(prism, "again.wav", wavFile())).status, 201);
});
