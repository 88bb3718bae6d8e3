import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { SoundPage as Page } from "../../../../src/client/api-types.gen.ts";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { wavFile } from "../../../helpers/audio.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";
import { follow, type Sound, upload } from "./support/upload.ts";

test("S2-74: GET /sounds lists the sounds newest first, each with a link", async (t) => {
  keepsPromise(t, "S2-74");
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  for (const name of ["a.wav", "b.wav", "c.wav"]) {
    await upload(prism, name, wavFile());
    clock.advance(1);
  }
  const { body: first } = await prism.get<Page>("/api/v1/sounds?limit=2&ttlMs=60000");
  assert.deepEqual(valuesOf(first.data, "filename"), ["c.wav", "b.wav"]);
  assert.equal(first.data[0]?.urlExpiresAt, new Date(clock.now() + 60_000).toISOString());
  const { body: second } = await prism.get<Page>(`/api/v1/sounds?limit=2&cursor=${first.nextCursor}`);
  assert.deepEqual([second.data.map(({ filename }) => filename), second.nextCursor], [["a.wav"], null]);
  assert.equal((await prism.get<Page>("/api/v1/sounds?page=1")).body.total, 3);
  const [{ id = "", url = "" } = {}] = second.data;
  assert.equal((await follow(prism, url)).status, 200);
  assert.equal((await prism.get<Sound>(`/api/v1/sounds/${id}`)).body.filename, "a.wav");
  assert.equal((await prism.get<Sound>(`/api/v1/sounds/${uuidv7()}`)).body.error?.code, "SOUND_NOT_FOUND");
});

test("S2-75: DELETE /sounds/:id removes the sound and its file, and is recorded", async (t) => {
  keepsPromise(t, "S2-75");
  const prism = await startPrism(t);
  const { body: sound } = await upload(prism, "bell.wav", wavFile());
  const file = join(prism.dir, "sounds", sound.id);
  assert.equal((await prism.delete(`/api/v1/sounds/${sound.id}`)).status, 204);
  assert.equal((await prism.delete<Sound>(`/api/v1/sounds/${sound.id}`)).body.error?.code, "SOUND_NOT_FOUND");
  await eventually("the file is removed", () => !existsSync(file));
  const { body: audit } = await prism.get<{ data: { resourceId: string }[] }>("/api/v1/audit?action=sound.delete");
  assert.deepEqual(valuesOf(audit.data, "resourceId"), [sound.id]);
});

test("a sound that rules use stays, unless it is to go all the same; the rules are silent then", async (t) => {
  const prism = await startPrism(t);
  const { body: sound } = await upload(prism, "Bell.wav", wavFile());
  const { body: rule } = await makeRule(prism, "bell.WAV");
  assert.equal(rule.sound, "Bell.wav");
  const listed = await prism.get<{ data: { rules: number }[] }>("/api/v1/sounds");
  assert.deepEqual(valuesOf(listed.body.data, "rules"), [1]);
  const using = await prism.get<{ data: { id: string }[] }>("/api/v1/rules?sound=BELL.wav");
  assert.deepEqual(valuesOf(using.body.data, "id"), [rule.id]);
  const refused = await prism.delete<Sound>(`/api/v1/sounds/${sound.id}`);
  assert.deepEqual([refused.status, refused.body.error?.code], [409, "SOUND_IN_USE"]);
  assert.deepEqual(
    refused.body.error?.details?.map(({ ruleId }) => ruleId),
    [rule.id],
  );
  assert.equal((await prism.delete(`/api/v1/sounds/${sound.id}?force=true`)).status, 204);
  const { body: silent } = await prism.get<RuleBody>(`/api/v1/rules/${rule.id}`);
  assert.deepEqual([silent.sound, silent.soundUrl], ["Bell.wav", null]);
  const { body: again } = await upload(prism, "bell.wav", wavFile());
  await prism.delete(`/api/v1/rules/${rule.id}`);
  assert.equal((await prism.delete(`/api/v1/sounds/${again.id}`)).status, 204);
});

interface RuleBody {
  readonly id: string;
  readonly sound: string | null;
  readonly soundUrl: string | null;
}

function makeRule(prism: TestPrism, sound: string) {
  const rule = { name: "r", condition: "event.type == 'door'", targetRoles: ["Admin"], sound };
  return prism.post<RuleBody>("/api/v1/rules", rule);
}

test("what a rule sounds with is named by its notifications, with a link, in lists and live streams alike", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  await upload(prism, "bell.wav", wavFile());
  const { body: rule, headers } = await makeRule(prism, "bell.wav");
  assert.equal((await follow(prism, rule.soundUrl ?? "")).status, 200);
  const made = await prism.get<RuleBody>(`/api/v1/rules/${rule.id}`);
  const same = await prism.get(`/api/v1/rules/${rule.id}`, {
    headers: { "If-None-Match": made.headers.get("etag") ?? "" },
  });
  assert.equal(same.status, 304);
  // The answer to its creation has the tag of a first read: the link is part of both.
  assert.equal(headers.get("etag"), made.headers.get("etag"));
  const live = await WebSocketClient.welcomed(t, prism.wsUrl, prism.adminToken);
  await live.ask({ op: "subscribe", id: "live", stream: "user:me" });
  await prism.post("/api/v1/events", { type: "door", payload: {} });
  const { body: list } = await prism.get<{ data: RuleBody[] }>("/api/v1/notifications");
  assert.deepEqual(valuesOf(list.data, "sound"), ["bell.wav"]);
  assert.equal((await follow(prism, list.data[0]?.soundUrl ?? "")).status, 200);
  const again = await WebSocketClient.welcomed(t, prism.wsUrl, prism.adminToken);
  await again.ask({ op: "subscribe", id: "again", stream: "user:me", from: 0 });
  for (const client of [live, again]) {
    const { data } = await client.expect({ op: "event", type: "notification" });
    assert.equal((data as RuleBody).soundUrl, list.data[0]?.soundUrl);
  }
  const sent = { userId: "me", title: "t", message: "m", sound: "BELL.wav" };
  const { body: direct } = await prism.post<RuleBody>("/api/v1/notifications", sent);
  assert.deepEqual([direct.sound, direct.soundUrl === null], ["bell.wav", false]);
  const { body: later } = await prism.post<{ action?: unknown; error?: unknown }>("/api/v1/time/trigger", {
    label: "l",
    delayMs: 60_000,
    action: { type: "notify", payload: { userId: "me", title: "t", body: "b", sound: "none.wav" } },
  });
  assert.equal((later.error as { code?: string })?.code, "SOUND_NOT_FOUND");
  // A link that is shown again and again is replaced before it ends.
  clock.advance(3_600_000);
  await prism.restart();
  const renewed = await prism.get<RuleBody>(`/api/v1/rules/${rule.id}`, {
    headers: { "If-None-Match": made.headers.get("etag") ?? "" },
  });
  assert.equal(renewed.status, 200);
  assert.equal((await follow(prism, renewed.body.soundUrl ?? "")).status, 200);
});

test("halves of files that a crash has left go at the next start, and nothing else", async (t) => {
  const prism = await startPrism(t);
  const { body: sound } = await upload(prism, "bell.wav", wavFile());
  const dir = join(prism.dir, "sounds");
  const half = join(dir, `${uuidv7()}.partial`);
  writeFileSync(half, "RIFF");
  writeFileSync(join(dir, "notes.partial"), "mine");
  await prism.restart();
  assert.deepEqual(
    [existsSync(half), existsSync(join(dir, sound.id)), existsSync(join(dir, "notes.partial"))],
    [false, true, true],
  );
});
