import type { TestContext } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { RawConnection, requestText } from "../../http/support/raw-connection.ts";

/**
 * What a WebSocket upgrade asks for (RFC 6455 section 4.1); the credential is the caller's to add.
 */
export const HANDSHAKE: readonly string[] = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
];

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameOptions {
  readonly opcode?: number;
  readonly isLast?: boolean;
  /** The three reserved bits; the first marks a compressed message. */
  readonly reserved?: number;
  readonly isMasked?: boolean;
  /** The payload length in the head, if it differs from the real one. */
  readonly saidLength?: number;
}

/**
 * A frame as a client sends it (RFC 6455 section 5.2), masked with zeros; whatever is wrong about
 * it is the caller's wish.
 */
export function frame(payload: string | Buffer = "", options: FrameOptions = {}): Buffer {
  const { opcode = OPCODE.text, isLast = true, reserved = 0, isMasked = true } = options;
  const bytes = Buffer.from(payload);
  const length = options.saidLength ?? bytes.length;
  const first = (isLast ? 0x80 : 0) | (reserved << 4) | opcode;
  const mask = isMasked ? 0x80 : 0;
  const head = length < 126 ? [first, mask | length] : [first, mask | (length < 65_536 ? 126 : 127)];
  const extended = Buffer.alloc(length < 126 ? 0 : length < 65_536 ? 2 : 8);
  if (extended.length === 2) extended.writeUInt16BE(length);
  else if (extended.length === 8) extended.writeBigUInt64BE(BigInt(length));
  return Buffer.concat([Buffer.from(head), extended, Buffer.alloc(isMasked ? 4 : 0), bytes]);
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: string | Buffer = ""): Buffer {
  const bytes = Buffer.from([code >> 8, code & 0xff]);
  return Buffer.concat([bytes, Buffer.from(reason)]);
}

/** One frame of the server's. */
export interface ServerFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/**
 * A WebSocket over a TCP connection without a library: it answers no ping, closes nothing, and
 * sends the given bytes.
 */
export class RawSocket {
  readonly connection: RawConnection;
  readonly #frames: ServerFrame[] = [];
  /** Bytes of the connection that have been taken apart. */
  #taken = 0;
  /** Where the upgrade's answer ends. */
  #headLength = -1;

  private constructor(connection: RawConnection) {
    this.connection = connection;
  }

  /** @param headers lines beside those of the handshake. @throws when the answer is not 101. */
  static async open(t: TestContext, port: number, path: string, headers: readonly string[] = []): Promise<RawSocket> {
    const socket = new RawSocket(await RawConnection.open(t, port));
    socket.connection.send(requestText("GET", path, [...HANDSHAKE, ...headers]));
    await eventually("the upgrade", () => socket.#isUpgraded() || socket.connection.isClosed);
    if (!socket.connection.unread.startsWith("HTTP/1.1 101 ")) throw new Error(socket.connection.unread);
    return socket;
  }

  get frames(): readonly ServerFrame[] {
    if (this.#isUpgraded()) this.#takeFrames();
    return this.#frames;
  }

  get texts(): string[] {
    return this.frames.filter(({ opcode }) => opcode === OPCODE.text).map(({ payload }) => payload.toString());
  }

  /**
   * The code that the server closed with; 1005 when it named none, 1006 when the connection ended
   * without a word, null while it is open.
   */
  get closeCode(): number | null {
    const close = this.frames.find(({ opcode }) => opcode === OPCODE.close);
    if (close) return close.payload.length < 2 ? 1005 : close.payload.readUInt16BE();
    return this.connection.isClosed ? 1006 : null;
  }

  send(...frames: readonly Buffer[]): void {
    this.connection.send(Buffer.concat(frames));
  }

  async expectText(part: string): Promise<void> {
    await eventually(`${part} in ${this.texts.length} messages; closed with ${this.closeCode}`, () =>
      this.texts.some((text) => text.includes(part)),
    );
  }

  /** Waits until the server has closed it. @returns the code. */
  async closed(timeoutMs?: number): Promise<number> {
    await eventually("the close of the socket", () => this.closeCode !== null, timeoutMs);
    return this.closeCode ?? 0;
  }

  #isUpgraded(): boolean {
    if (this.#headLength < 0) {
      const end = this.connection.unreadBytes.indexOf("\r\n\r\n");
      if (end >= 0) this.#taken = this.#headLength = end + 4;
    }
    return this.#headLength >= 0;
  }

  #takeFrames(): void {
    const bytes = this.connection.unreadBytes;
    for (;;) {
      const at = this.#taken;
      if (bytes.length < at + 2) return;
      const [first = 0, second = 0] = bytes.subarray(at);
      const extra = second < 126 ? 0 : second === 126 ? 2 : 8;
      if (bytes.length < at + 2 + extra) return;
      const length =
        extra === 0 ? second : extra === 2 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
      const begin = at + 2 + extra;
      if (bytes.length < begin + length) return;
      this.#frames.push({ opcode: first & 0x0f, payload: bytes.subarray(begin, begin + length) });
      this.#taken = begin + length;
    }
  }
}
