import { hkdfSync, randomBytes } from "node:crypto";
import { deserialize, serialize } from "node:v8";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { SealedBox } from "../../core/crypto/sealed-box.ts";
import type { RecordedChange } from "./recorder.ts";

/** Statements of one commit, each text once. */
export interface Statements {
  readonly texts: readonly string[];
  /** Index of the text, number of rows ({@link RecordedChange.count}), parameters. */
  readonly calls: readonly (readonly [number, number | null, readonly unknown[]])[];
}

/** What a record is about. */
export type RecordContent =
  | { readonly kind: "statements"; readonly statements: Statements }
  /** From now on `node` leads. */
  | { readonly kind: "leader" }
  /** The leader is idle, and alive. */
  | { readonly kind: "beat" }
  /** The leader has ended its work: the next one may begin at once, `successor` before others. */
  | { readonly kind: "resign"; readonly successor: string | null };

/** An entry of the log. */
export interface ClusterRecord {
  /** Random, 16 hexadecimal digits. */
  readonly id: string;
  /** Id of the record before; empty: it is the first one. */
  readonly previous: string;
  /** Counts the leaders, from 1. */
  readonly term: number;
  /** Name of the node that wrote it. */
  readonly node: string;
  /** Clock of that node, in epoch ms. */
  readonly at: number;
  readonly content: RecordContent;
}

/** A record that this program cannot read: it is of a newer one, or was sealed with another secret. */
export class UnreadableRecord extends Error {
  override readonly name = "UnreadableRecord";
}

/**
 * Changes with every change of the format. An older program stops at a newer record; a newer one
 * reads all older formats, because followers are upgraded first.
 */
export const RECORD_FORMAT = 1;
/** Larger records are compressed: a deflated record costs servers and network half. */
const DEFLATE_FROM = 2048;
const DEFLATED = 1;
/** Payload of a message; servers refuse 1 MiB and more by default. */
const PART_BYTES = 524_288;
/** Format, id of the record, index of the part, number of parts. */
const HEADER_BYTES = 1 + 8 + 2 + 2;
const CONTEXT = "prism cluster record";

/** @param secrets the first one seals, each of them opens: so they can be replaced one after the other */
export function recordBox(secrets: readonly [string, ...string[]]): SealedBox {
  const keyOf = (secret: string): Uint8Array =>
    new Uint8Array(hkdfSync("sha256", secret, "", "prism cluster records", 32));
  const [first, ...others] = secrets;
  return new SealedBox([keyOf(first), ...others.map(keyOf)]);
}

export function newRecordId(): string {
  return randomBytes(8).toString("hex");
}

export function statementsOf(changes: readonly RecordedChange[]): Statements {
  const indexes = new Map<string, number>();
  const calls = changes.map(({ text, parameters, count }) => {
    const index = indexes.get(text) ?? indexes.size;
    indexes.set(text, index);
    return [index, count, parameters] as const;
  });
  return { texts: [...indexes.keys()], calls };
}

/** The messages of a record: one, or parts of 512 KiB of a large one. */
export function encodeRecord(record: ClusterRecord, box: SealedBox): Buffer[] {
  const { id, previous, term, node, at, content } = record;
  const plain = serialize([previous, term, node, at, content]);
  const isLarge = plain.length > DEFLATE_FROM;
  const packed = isLarge ? deflateRawSync(plain, { level: 1 }) : plain;
  // What is sealed names its id, so that parts of different records do not make one.
  const sealed = box.seal(`${CONTEXT} ${id}`, Buffer.concat([Buffer.from([isLarge ? DEFLATED : 0]), packed]));
  const count = Math.ceil(sealed.length / PART_BYTES);
  return Array.from({ length: count }, (_, index) => {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt8(RECORD_FORMAT, 0);
    header.write(id, 1, "hex");
    header.writeUInt16BE(index, 9);
    header.writeUInt16BE(count, 11);
    return Buffer.concat([header, sealed.subarray(index * PART_BYTES, (index + 1) * PART_BYTES)]);
  });
}

interface Header {
  readonly id: string;
  readonly index: number;
  readonly count: number;
}

function headerOf(message: Uint8Array): Header {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const format = bytes[0];
  if (format === undefined || format > RECORD_FORMAT)
    throw new UnreadableRecord(
      `a record has the format ${format}, and this program reads ${RECORD_FORMAT}: upgrade it`,
    );
  if (format === 0 || bytes.length < HEADER_BYTES)
    throw new UnreadableRecord("a message of the log is no record of Prism");
  return { id: bytes.toString("hex", 1, 9), index: bytes.readUInt16BE(9), count: bytes.readUInt16BE(11) };
}

/** Makes records of messages. Parts without their last one are dropped at the next record. */
export class RecordReader {
  readonly #box: SealedBox;
  #id = "";
  #parts: Uint8Array[] = [];

  constructor(box: SealedBox) {
    this.#box = box;
  }

  /** @returns null for a part that others follow. @throws UnreadableRecord */
  read(message: Uint8Array): ClusterRecord | null {
    const { id, index, count } = headerOf(message);
    if (id !== this.#id || index === 0) this.#parts = [];
    this.#id = id;
    // The begin of these parts was lost with a leader that wrote no more of them.
    if (index !== this.#parts.length) return null;
    this.#parts.push(message.subarray(HEADER_BYTES));
    if (index + 1 < count) return null;
    const sealed = Buffer.concat(this.#parts);
    this.#parts = [];
    return this.#open(id, sealed);
  }

  #open(id: string, sealed: Buffer): ClusterRecord {
    try {
      const packed = this.#box.open(`${CONTEXT} ${id}`, sealed);
      const plain = packed[0] === DEFLATED ? inflateRawSync(packed.subarray(1)) : packed.subarray(1);
      const [previous, term, node, at, content] = deserialize(plain) as [string, number, string, number, RecordContent];
      return { id, previous, term, node, at, content };
    } catch (cause) {
      throw new UnreadableRecord("a record cannot be opened: the nodes have different values of cluster.secret", {
        cause,
      });
    }
  }
}
