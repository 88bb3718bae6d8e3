import assert from "node:assert/strict";
import test from "node:test";
import { audioKindOf } from "../../../src/features/sounds/upload.ts";
import { mp3File, oggFile, taggedMp3File, wavFile } from "../../helpers/audio.ts";

test("audio is known by its content", async (t) => {
  const avi = Buffer.concat([Buffer.from("RIFF\x00\x00\x00\x00AVI LIST", "latin1"), Buffer.alloc(40)]);
  const layer2 = Buffer.concat([Buffer.from([0xff, 0xfd, 0x90, 0x00]), Buffer.alloc(60)]);
  const noBitRate = Buffer.concat([Buffer.from([0xff, 0xfb, 0xf0, 0x00]), Buffer.alloc(60)]);
  const badTag = Buffer.concat([Buffer.from("ID3\x04\x00\x00\xff\x00\x00\x00", "latin1"), Buffer.alloc(60)]);
  for (const { name, bytes, extension } of [
    { name: "WAV", bytes: wavFile(), extension: "wav" },
    { name: "MP3", bytes: mp3File(), extension: "mp3" },
    { name: "MP3 after a tag", bytes: taggedMp3File(), extension: "mp3" },
    { name: "Ogg with Opus", bytes: oggFile(), extension: "ogg" },
    { name: "Ogg with Vorbis", bytes: oggFile("\x01vorbis"), extension: "ogg" },
    { name: "Ogg with video", bytes: oggFile("\x80theora"), extension: undefined },
    { name: "RIFF with video", bytes: avi, extension: undefined },
    { name: "MPEG layer II", bytes: layer2, extension: undefined },
    { name: "a frame without a bit rate", bytes: noBitRate, extension: undefined },
    { name: "a tag with an invalid size", bytes: badTag, extension: undefined },
    {
      name: "a page",
      bytes: Buffer.from("<!doctype html><script>alert(1)</script>".padEnd(100)),
      extension: undefined,
    },
    { name: "nothing", bytes: Buffer.alloc(0), extension: undefined },
    { name: "the beginning of a file and no more", bytes: wavFile().subarray(0, 12), extension: undefined },
  ])
    await t.test(name, () => assert.equal(audioKindOf(bytes)?.extension, extension));
});
