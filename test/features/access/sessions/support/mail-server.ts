import type { TestContext } from "node:test";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { eventually } from "../../../../helpers/eventually.ts";

export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  /** As it came over the wire. */
  readonly raw: string;
  readonly text: string;
  /** Whether TLS was spoken. */
  readonly isSecure: boolean;
  /** Whom the client logged in as; absent where it did not. */
  readonly user: string | undefined;
}

/** A real SMTP server on a free port that keeps what it is given. */
export class MailServer {
  readonly mails: readonly ReceivedMail[];
  /** Names and passwords that clients have shown. */
  readonly logins: readonly string[];
  readonly port: number;

  private constructor(port: number, mails: readonly ReceivedMail[], logins: readonly string[]) {
    this.port = port;
    this.mails = mails;
    this.logins = logins;
  }

  /** By default it wants no login, and speaks TLS only where the options say so. */
  static async start(t: TestContext, options: SMTPServerOptions = {}): Promise<MailServer> {
    const received: ReceivedMail[] = [];
    const logins: string[] = [];
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ["STARTTLS"],
      allowInsecureAuth: true,
      logger: false,
      // Clients are closed after their server: the hooks of a test run in the order they were made.
      closeTimeout: 1,
      onAuth({ username = "", password = "" }, _session, callback) {
        logins.push(`${username}:${password}`);
        if (password === "right") callback(null, { user: username });
        else callback(new Error("535 Authentication failed"));
      },
      onData(stream, session, callback) {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", () => {
          const raw = Buffer.concat(chunks).toString();
          const { mailFrom, rcptTo } = session.envelope;
          received.push({
            from: mailFrom === false ? "" : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
            raw,
            text: bodyOf(raw),
            isSecure: session.secure,
            user: typeof session.user === "string" ? session.user : undefined,
          });
          callback();
        });
      },
      ...options,
    });
    // A client that breaks off is part of what is tested.
    server.on("error", () => undefined);
    const port = await new Promise<number>((resolve) => {
      const listening = server.listen(0, "127.0.0.1", () => resolve((listening.address() as { port: number }).port));
    });
    t.after(() => new Promise<void>((resolve) => server.close(resolve)));
    return new MailServer(port, received, logins);
  }

  /** The first mail to an address, when it has come. */
  async mailTo(address: string, nth = 1): Promise<ReceivedMail> {
    return eventually(`mail ${nth} to ${address}`, () => this.mails.filter(({ to }) => to.includes(address))[nth - 1]);
  }

  /** The token of the link in a mail. */
  async tokenTo(address: string, nth = 1): Promise<string> {
    const { text } = await this.mailTo(address, nth);
    const token = /#token=([\w-]+)/.exec(text)?.[1];
    if (token === undefined) throw new Error(`no link in ${text}`);
    return token;
  }

  /** Settings of a Prism that sends its mail here. */
  get settings(): Record<string, string> {
    return { "smtp.host": "127.0.0.1", "smtp.port": String(this.port), "smtp.from": "prism@example.com" };
  }
}

/** The plain text of a mail: its first part, decoded (RFC 2045 section 6). */
function bodyOf(raw: string): string {
  const [head = "", ...rest] = raw.split("\r\n\r\n");
  const body = rest.join("\r\n\r\n");
  const boundary = /^content-type: multipart\/alternative;\s+boundary="([^"]+)"/im.exec(head)?.[1];
  if (boundary !== undefined) return bodyOf(body.split(`--${boundary}`)[1]?.trimStart() ?? "");
  if (/^content-transfer-encoding: base64$/im.test(head)) return Buffer.from(body, "base64").toString();
  if (!/^content-transfer-encoding: quoted-printable$/im.test(head)) return body;
  const bytes = body
    .replaceAll("=\r\n", "")
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString();
}
