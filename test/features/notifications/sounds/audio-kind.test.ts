import assert from "node:assert/strict";
import test from "node:test";
import { audioKindOf } from "../../../../src/features/notifications/sounds/upload.ts";
import { mp3File, oggFile, taggedMp3File, wavFile } from "../../../helpers/audio.ts";

test("audio is known by its content", async (t) => {
  const avi = Buffer.concat([Buffer.from("RIFF\x00\x00\x00\x00AVI LIST", "latin1"), Buffer.alloc(40)]);
  const layer2 = Buffer.concat([Buffer.from([0xff, 0xfd, 0x90, 0x00]), Buffer.alloc(60)]);
  const noBitRate = Buffer.concat([Buffer.from([0xff, 0xfb, 0xf0, 0x00]), Buffer.alloc(60)]);
  const badTag = Buffer.concat([Buffer.from("ID3\x04\x00\x00\xff\x00\x00\x00", "latin1"), Buffer.alloc(60)]);
  for (const [name, bytes, extension] of [
    ["WAV", wavFile(), "wav"],
    ["MP3", mp3File(), "mp3"],
    ["MP3 after a tag", taggedMp3File(), "mp3"],
    ["Ogg with Opus", oggFile(), "ogg"],
    ["Ogg with Vorbis", oggFile("\x01vorbis"), "ogg"],
    ["Ogg with video", oggFile("\x80theora"), undefined],
    ["RIFF with video", avi, undefined],
    ["MPEG layer II", layer2, undefined],
    ["a frame without a bit rate", noBitRate, undefined],
    ["a tag with an invalid size", badTag, undefined],
    ["a page", Buffer.from("<!doctype html><script>alert(1)</script>".padEnd(100)), undefined],
    ["nothing", Buffer.alloc(0), undefined],
    ["the beginning of a file and no more", wavFile().subarray(0, 12), undefined],
  ] as const)
    await t.test(name, () => assert.equal(audioKindOf(bytes)?.extension, extension));
});
