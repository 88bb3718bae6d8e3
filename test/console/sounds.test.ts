import assert from "node:assert/strict";
import test from "node:test";
import { wavFile } from "../helpers/audio.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

test("a sound is uploaded, chosen by a rule, listed with it, and deleted after a question", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  const page = await console.open("/sounds");
  await page.getByText("No sounds yet: every notification has the device's own sound.").waitFor();
  const file = { name: "Türklingel.wav", mimeType: "audio/wav", buffer: wavFile() };
  await page.locator("input[type=file]").setInputFiles(file);
  await page.getByText("1 sound, 0 used by rules.").waitFor();
  // The server takes letters from A to Z only.
  await page.getByRole("button", { name: "Play Turklingel.wav" }).waitFor();
  await assertAccessible(page, "sounds");

  const rule = { name: "Loud", condition: "event.level == 'fatal'", targetRoles: ["Admin"], sound: "turklingel.wav" };
  assert.equal((await console.prism.post("/api/v1/rules", rule)).status, 201);
  await page.reload();
  await page.getByRole("link", { name: "1 rule" }).click();
  await page.getByRole("button", { name: "Sound Turklingel.wav" }).waitFor();
  await page.getByRole("link", { name: /Loud/ }).waitFor();

  await page.goBack();
  await page.getByRole("button", { name: "Delete Turklingel.wav" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("1 rule uses it: notifications will have the device's own sound.").waitFor();
  await dialog.getByRole("button", { name: "Delete sound" }).click();
  await page.getByText("No sounds yet: every notification has the device's own sound.").waitFor();
  console.assertClean();
});

test("a file that is no sound is refused with its reason; a viewer sees the sounds without actions", async (t) => {
  const console = await startConsole(t);
  if (!console) return;
  console.expected.push(/status of 422|status of 400|status of 415/);
  const page = await console.open("/sounds", { width: 360, theme: "dark" });
  await page
    .locator("input[type=file]")
    .setInputFiles({ name: "song.mp3", mimeType: "audio/mpeg", buffer: Buffer.from("no sound") });
  await page.getByText("The file is not an MP3, Ogg or WAV file").waitFor();
  await assertAccessible(page, "sounds on a phone");
  await console.person("vera", ["Viewer"]);
  const viewer = await console.open("/sounds", { as: "vera" });
  await viewer.getByText("No sounds yet", { exact: true }).waitFor();
  assert.equal(await viewer.locator("input[type=file]").count(), 0);
  console.assertClean();
});
