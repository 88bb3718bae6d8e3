import assert from "node:assert/strict";
import { follow, type Sound, upload } from "../../features/notifications/sounds/support/upload.ts";
import { wavFile } from "../../helpers/audio.ts";
import type { TestPrism } from "../../helpers/prism.ts";

const PATH = "/api/v1/sounds";

/** Uses every route of sounds, and a rule and a notification that name one. */
export async function useSounds(prism: TestPrism): Promise<void> {
  const { body: sound } = await upload(prism, "plan.wav", wavFile());
  const cursor = Buffer.from(JSON.stringify([prism.parts.base.clock.now(), sound.id])).toString("base64url");
  for (const query of ["", "limit=1", "page=1", "offset=1", "page=2000", `cursor=${cursor}`]) {
    const { status, text } = await prism.get(`${PATH}?${query}`);
    assert.equal(status, 200, text);
  }
  assert.equal((await prism.get(`${PATH}/${sound.id}`)).status, 200);
  assert.equal((await follow(prism, sound.url)).status, 200);
  const rule = { name: "loud", condition: "event.type == 'loud'", targetUsers: ["me"], sound: "plan.wav" };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  const note = { userId: "me", title: "t", message: "m", sound: "plan.wav" };
  assert.equal((await prism.post("/api/v1/notifications", note)).status, 201);
  assert.equal((await prism.delete<Sound>(`${PATH}/${sound.id}`)).status, 409);
  assert.equal((await prism.delete(`${PATH}/${sound.id}?force=true`)).status, 204);
}
