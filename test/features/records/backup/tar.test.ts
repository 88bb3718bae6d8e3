import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import {
  paddingOf,
  readTarHeader,
  TAR_BLOCK,
  TAR_END_BYTES,
  TarRefused,
  tarHeader,
  tarSpace,
} from "../../../../src/features/records/backup/archive.ts";
import { temporaryDir } from "../../../helpers/store.ts";

const AT = Date.UTC(2026, 0, 31, 8);

/** A header with some bytes changed, and a checksum that fits. */
function changed(change: (header: Buffer) => void): Buffer {
  const header = tarHeader({ name: "a.txt", bytes: 3 }, AT);
  change(header);
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

test("a header that was written is read back, sizes beyond 8 GiB included", () =>
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z][a-z0-9./_-]{0,99}$/),
      fc.oneof(fc.nat(), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
      (name, bytes) => assert.deepEqual(readTarHeader(tarHeader({ name, bytes }, AT)), { name, bytes }),
    ),
  ));

test("an archive of such members is one that tar lists and unpacks", (t) => {
  const dir = temporaryDir(t);
  const contents = [
    Buffer.alloc(0),
    Buffer.from("three"),
    Buffer.alloc(TAR_BLOCK, "x"),
    Buffer.alloc(TAR_BLOCK + 1, "y"),
  ];
  const parts = contents.flatMap((content, n) => [
    tarHeader({ name: `member-${n}`, bytes: content.length }, AT),
    content,
    Buffer.alloc(paddingOf(content.length)),
  ]);
  const archive = Buffer.concat([...parts, Buffer.alloc(TAR_END_BYTES)]);
  const total = contents.reduce((sum, { length }) => sum + tarSpace(length), TAR_END_BYTES);
  assert.equal(archive.length, total);
  const file = join(dir, "a.tar");
  writeFileSync(file, archive);
  const listed = execFileSync("tar", ["-tvf", file], { encoding: "utf8", env: { ...process.env, TZ: "UTC" } });
  assert.equal(listed.match(/^-rw------- .* 2026-01-31 08:00 member-\d$/gm)?.length, contents.length, listed);
  for (const [n, content] of contents.entries())
    assert.deepEqual(execFileSync("tar", ["-xOf", file, `member-${n}`]), content);
});

test("an entry that is not a plain file of such an archive is refused", async (t) => {
  for (const [name, block] of [
    ["a hard link", changed((header) => header.write("1", 156))],
    ["a symbolic link", changed((header) => header.write("2", 156))],
    ["a character device", changed((header) => header.write("3", 156))],
    ["a block device", changed((header) => header.write("4", 156))],
    ["a directory", changed((header) => header.write("5", 156))],
    ["a pipe", changed((header) => header.write("6", 156))],
    ["an extended header", changed((header) => header.write("x", 156))],
    ["a long name of GNU", changed((header) => header.write("L", 156))],
    ["a link that is called a file", changed((header) => header.write("/etc/passwd", 157))],
    ["a name that goes on in the prefix", changed((header) => header.write("../../..", 345))],
    ["a size that is no number", changed((header) => header.write("00000000oo3\0", 124))],
    ["a negative size", changed((header) => header.fill(0xff, 124, 136))],
    ["a size beyond all numbers", changed((header) => header.fill(0x80, 124, 136))],
    ["another magic", changed((header) => header.write("ustar  ", 257))],
    ["a wrong checksum", Buffer.from(tarHeader({ name: "a.txt", bytes: 3 }, AT)).fill("b", 0, 1)],
    ["no header at all", Buffer.alloc(TAR_BLOCK, "z")],
  ] as const)
    await t.test(name, () => assert.throws(() => readTarHeader(block), TarRefused));
});

test("an empty block is the end, and a name too long for a header a mistake of ours", () => {
  assert.equal(readTarHeader(Buffer.alloc(TAR_BLOCK)), null);
  assert.throws(() => tarHeader({ name: "n".repeat(101), bytes: 0 }, AT), TypeError);
});
