import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { PrismError } from "../../../../src/core/errors.ts";
import { readFormFile } from "../../../../src/features/notifications/sounds/upload.ts";

const TYPE = 'multipart/form-data; boundary="x-y"';

function form(head: string, content: string | Buffer = "abc", end = "\r\n--x-y--\r\n"): Buffer {
  return Buffer.concat([Buffer.from(`--x-y\r\n${head}\r\n\r\n`), Buffer.from(content), Buffer.from(end)]);
}

const FILE = 'Content-Disposition: form-data; name="file"; filename="a.mp3"';

test("a form with one file gives its name and bytes", async () => {
  const request = new Request("http://x", { method: "POST", body: formData("bell ring.wav", "\r\n--x\0\xff") });
  const body = Buffer.from(await request.clone().arrayBuffer());
  const read = readFormFile(request.headers.get("content-type") ?? "", body, "file");
  assert.deepEqual([read.filename, read.bytes.toString()], ["bell ring.wav", "\r\n--x\0\xff"]);
  assert.deepEqual(readFormFile(TYPE, form(`${FILE}\r\nContent-Type: audio/mpeg`), "file").bytes.toString(), "abc");
  assert.equal(readFormFile("multipart/form-data;boundary=x-y", form(FILE, "", "\r\n--x-y--"), "file").bytes.length, 0);
});

test("a boundary within a line of the file is content", () => {
  // uWS.getParts ends the file here.
  const content = "some --x-y bytes";
  assert.equal(readFormFile(TYPE, form(FILE, content), "file").bytes.toString(), content);
});

function formData(filename: string, content: string): FormData {
  const data = new FormData();
  data.append("file", new Blob([content]), filename);
  return data;
}

test("a form that is anything else is refused", async (t) => {
  const second = `\r\n--x-y\r\n${FILE}\r\n\r\nmore\r\n--x-y--\r\n`;
  for (const { name, type = TYPE, body } of [
    { name: "no boundary", type: "multipart/form-data", body: form(FILE) },
    {
      name: "a boundary of characters that none may have",
      type: "multipart/form-data; boundary=x{y",
      body: form(FILE),
    },
    { name: "a boundary of 71 characters", type: `multipart/form-data; boundary=${"a".repeat(71)}`, body: form(FILE) },
    { name: "another boundary than it names", type: "multipart/form-data; boundary=other", body: form(FILE) },
    { name: "text before the first boundary", body: Buffer.concat([Buffer.from("hello\r\n"), form(FILE)]) },
    { name: "no end", body: form(FILE, "abc", "") },
    { name: "a second part", body: form(FILE, "abc", second) },
    { name: "text after the end", body: form(FILE, "abc", "\r\n--x-y--\r\nmore") },
    { name: "a part of another name", body: form('Content-Disposition: form-data; name="other"; filename="a.mp3"') },
    { name: "a part that is not a file", body: form('Content-Disposition: form-data; name="file"') },
    { name: "a part without a disposition", body: form("Content-Type: audio/mpeg") },
    { name: "two dispositions", body: form(`${FILE}\r\n${FILE}`) },
    { name: "an attachment", body: form('Content-Disposition: attachment; name="file"; filename="a.mp3"') },
    { name: "base64", body: form(`${FILE}\r\nContent-Transfer-Encoding: base64`) },
    { name: "a head without an end", body: Buffer.from(`--x-y\r\n${"a".repeat(5000)}`) },
    { name: "nothing", body: Buffer.from("{}") },
  ])
    await t.test(name, () => assert.throws(() => readFormFile(type, body, "file"), { code: "VALIDATION_FAILED" }));
});

test("any file comes out as it went in, and no body ends in another error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (content) => {
      const bytes = Buffer.from(content);
      fc.pre(!bytes.includes("\r\n--x-y"));
      assert.ok(readFormFile(TYPE, form(FILE, bytes), "file").bytes.equals(bytes));
    }),
  );
  const pieces = fc.constantFrom("--x-y", "\r\n", "--", FILE, "\r\n\r\n", "name=", '"', ";", "abc", "filename*=", "\0");
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 20 }), (parts) => {
      try {
        readFormFile(TYPE, Buffer.from(parts.join("")), "file");
      } catch (error) {
        assert.ok(error instanceof PrismError && error.code === "VALIDATION_FAILED");
      }
    }),
  );
});
