import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { createTransport, type SendMailOptions } from "nodemailer";
import type { PrismOptions } from "../../../helpers/prism.ts";
import { ReceiverTest } from "../receivers/support.ts";

export const DOMAIN = "in.example";

export interface MailReceiver {
  readonly id: string;
  readonly token: string;
  readonly address: string;
}

/** A server that receives mail. */
export class MailInTest extends ReceiverTest {
  static override async start(t: TestContext, { settings, ...options }: PrismOptions = {}): Promise<MailInTest> {
    const mailIn = { "mailIn.port": "0", "mailIn.domain": DOMAIN };
    const { prism } = await ReceiverTest.start(t, { ...options, settings: { ...mailIn, ...settings } });
    return new MailInTest(prism);
  }

  get port(): number {
    return this.prism.parts.offers.mailIn.port;
  }

  async receiver(body: Record<string, unknown> = {}): Promise<MailReceiver> {
    const { id, url, mailAddress } = await this.make({ name: "Mailbox", preset: "mail", ...body });
    const token = url.slice(url.lastIndexOf("/") + 1);
    assert.equal(mailAddress, `${token}@${DOMAIN}`);
    return { id, token, address: mailAddress };
  }

  /** Sends a mail as a mail program does. @returns the server's reply, also of a refusal */
  async mail(mail: SendMailOptions, options: Record<string, unknown> = {}): Promise<string> {
    const transport = createTransport({ host: "127.0.0.1", port: this.port, ignoreTLS: true, ...options });
    try {
      const sent = (await transport.sendMail({ from: "Cron <cron@db-1.example>", text: "text", ...mail })) as {
        readonly response: string;
      };
      return sent.response;
    } catch (error) {
      return (error as { readonly response?: string }).response ?? String(error);
    } finally {
      transport.close();
    }
  }

  /** A connection that sends bytes as they are. */
  connect(t: TestContext): Promise<RawSmtp> {
    return RawSmtp.open(t, this.port);
  }
}

export class RawSmtp {
  readonly socket: Socket;
  #text = "";
  #isClosed = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.#text += chunk.toString("latin1");
      this.#wake();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  /** With the greeting read. */
  static async open(t: TestContext, port: number): Promise<RawSmtp> {
    const raw = new RawSmtp(connect(port, "127.0.0.1"));
    t.after(() => raw.socket.destroy());
    await raw.reply();
    return raw;
  }

  /** The next reply, all its lines. @returns "" once the connection has ended */
  async reply(): Promise<string> {
    for (;;) {
      const match = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/.exec(this.#text);
      if (match) {
        this.#text = this.#text.slice(match[0].length);
        return match[0].trim();
      }
      if (this.#isClosed) return "";
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async say(line: string | Uint8Array): Promise<string> {
    this.socket.write(typeof line === "string" ? `${line}\r\n` : line);
    return this.reply();
  }

  /** The commands up to the content. */
  async begin(address: string, sender = "a@b.example"): Promise<void> {
    for (const line of ["EHLO client.example", `MAIL FROM:<${sender}>`, `RCPT TO:<${address}>`])
      assert.match(await this.say(line), /^250/);
    assert.match(await this.say("DATA"), /^354/);
  }

  /** A whole mail, in latin1. @returns the reply to its end */
  async deliver(address: string, content: string | Buffer, sender?: string): Promise<string> {
    await this.begin(address, sender);
    this.socket.write(typeof content === "string" ? Buffer.from(content, "latin1") : content);
    return this.say("\r\n.");
  }

  async closed(): Promise<void> {
    while (!this.#isClosed) await this.reply();
  }
}
