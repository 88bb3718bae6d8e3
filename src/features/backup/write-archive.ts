import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { paddingOf, TAR_END_BYTES, tarHeader } from "../../core/tar.ts";
import { ArchiveRefused } from "./archive-refused.ts";
import { MANIFEST_MEMBER } from "./manifest.ts";

const CHUNK_BYTES = 1_048_576;

/** What goes into an archive: bytes, or a file that is read when its turn comes. */
export interface ArchiveSource {
  readonly name: string;
  readonly content: Buffer | { readonly file: string };
}

/** A source with its size and hash, as the manifest names it. */
export interface MeasuredSource extends ArchiveSource {
  readonly bytes: number;
  readonly sha256: string;
}

export interface WrittenArchive {
  readonly bytes: number;
  readonly sha256: string;
}

/** Reads a source once, for the manifest, which stands before it. */
export async function measure(source: ArchiveSource): Promise<MeasuredSource> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of chunksOf(source)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { ...source, bytes, sha256: hash.digest("hex") };
}

/**
 * Writes manifest and members to a new file and waits until they are on disk. @param at epoch ms, for the members' times.
 * @throws ArchiveRefused when a file has changed since it was measured
 */
export async function writeArchive(
  file: string,
  manifest: Buffer,
  members: readonly MeasuredSource[],
  at: number,
  onBytes: (bytes: number) => void,
): Promise<WrittenArchive> {
  const handle = await open(file, "wx", 0o600);
  try {
    const whole = createHash("sha256");
    let bytes = 0;
    const write = async (chunk: Buffer): Promise<void> => {
      whole.update(chunk);
      bytes += chunk.length;
      await handle.writeFile(chunk);
    };
    await write(tarHeader({ name: MANIFEST_MEMBER, bytes: manifest.length }, at));
    await write(manifest);
    await write(Buffer.alloc(paddingOf(manifest.length)));
    for (const member of members) {
      await write(tarHeader(member, at));
      const hash = createHash("sha256");
      for await (const chunk of chunksOf(member)) {
        hash.update(chunk);
        await write(chunk);
        onBytes(chunk.length);
      }
      if (hash.digest("hex") !== member.sha256)
        throw new ArchiveRefused("damaged", `${member.name} has changed while it was being copied; try again`);
      await write(Buffer.alloc(paddingOf(member.bytes)));
    }
    await write(Buffer.alloc(TAR_END_BYTES));
    await handle.sync();
    return { bytes, sha256: whole.digest("hex") };
  } finally {
    await handle.close();
  }
}

function chunksOf({ content }: ArchiveSource): AsyncIterable<Buffer> | Iterable<Buffer> {
  if (Buffer.isBuffer(content)) return [content];
  return createReadStream(content.file, { highWaterMark: CHUNK_BYTES });
}
