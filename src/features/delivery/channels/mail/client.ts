import type { Transporter } from "nodemailer";
import type { Config } from "../../../../config/load.ts";
import { PrismError } from "../../../../core/errors.ts";
import { PermanentError, RetryLater } from "../../../jobs/index.ts";
import { type Accepted, type ChannelCalls, ProviderDown, TargetGone } from "../../channel.ts";

export interface SmtpOptions {
  readonly host: string;
  readonly port: number;
  readonly user?: string | undefined;
  readonly pass?: string | undefined;
  readonly from: string;
  /** TLS from the first byte (port 465); otherwise STARTTLS. */
  readonly secure: boolean;
  /** Lets credentials and mails go out without TLS. */
  readonly allowPlain: boolean;
  /** For connecting, the greeting and each answer. */
  readonly timeoutMs?: number;
}

const SMTPS_PORT = 465;

/** @returns null where no mail server is configured. */
export function smtpOptionsOf({ smtp }: Config): SmtpOptions | null {
  const { host, port, user, pass, allowPlain } = smtp;
  if (host === undefined) return null;
  return {
    host,
    port,
    user,
    pass,
    allowPlain,
    from: smtp.from ?? `prism@${host}`,
    secure: smtp.secure ?? port === SMTPS_PORT,
  };
}

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html?: string;
  /** What comes before the @ of its Message-ID; by default one is made up. */
  readonly id?: string;
  /** Further headers, never with text of users. */
  readonly headers?: Readonly<Record<string, string>>;
}

const TIMEOUT_MS = 30_000;
/** So that no holiday answer comes back: RFC 3834 section 5, and Exchange's own header. */
const AUTOMATIC = { "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All" } as const;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

/**
 * Sends mail over SMTP. TLS with a valid certificate is required (RFC 8314 section 4.1) unless the
 * server is on this machine or the configuration says otherwise.
 */
export class MailClient implements ChannelCalls<Mail> {
  readonly #options: SmtpOptions | null;
  #transport: Transporter | null = null;

  /** @param options null: no mail server is configured. */
  constructor(options: SmtpOptions | null) {
    this.#options = options;
  }

  get isConfigured(): boolean {
    return this.#options !== null;
  }

  /** The server's 250 means that it has taken responsibility (RFC 5321 section 4.2.5). */
  async call(mail: Mail): Promise<Accepted> {
    try {
      return { providerId: await this.send(mail) };
    } catch (error) {
      throw mailFailure(error);
    }
  }

  /**
   * Resolves when the server has taken the mail, to its Message-ID. @throws NOT_CONFIGURED, and
   * what SMTP says
   */
  async send({ id, to: address, ...mail }: Mail): Promise<string> {
    const transport = await this.#connect();
    // Given whole: as text it would be read as a list, and a comma in it would add a recipient.
    const to = { name: "", address };
    const messageId = id === undefined ? {} : { messageId: `<${id}@${this.#domain}>` };
    // A line break in a subject would begin a header of its own; no library's habit is relied on.
    const subject = mail.subject.replaceAll(/\s+/g, " ").trim();
    const headers = { ...AUTOMATIC, ...mail.headers };
    const from = this.#options?.from;
    const sent = (await transport.sendMail({ ...mail, ...messageId, headers, subject, to, from })) as {
      messageId: string;
    };
    return sent.messageId;
  }

  /** The right side of our Message-IDs: the sender's domain. */
  get #domain(): string {
    return /@([\w.-]+)>?\s*$/.exec(this.#options?.from ?? "")?.[1] ?? "prism";
  }

  /**
   * Whether the server can be reached and takes our credentials. @throws NOT_CONFIGURED, and what
   * SMTP says
   */
  async check(): Promise<void> {
    await (await this.#connect()).verify();
  }

  close(): void {
    this.#transport?.close();
    this.#transport = null;
  }

  async #connect(): Promise<Transporter> {
    if (!this.#options) throw new PrismError("NOT_CONFIGURED", "No mail server is configured (smtp.host)");
    const { host, port, user, pass, secure, allowPlain, timeoutMs = TIMEOUT_MS } = this.#options;
    // Loaded with the first mail: most servers send none for hours.
    const { createTransport } = await import("nodemailer");
    const isOnThisMachine = LOOPBACK.test(host);
    this.#transport ??= createTransport({
      pool: true,
      maxConnections: 2,
      host,
      port,
      secure,
      requireTLS: !secure && !allowPlain && !isOnThisMachine,
      // Mail servers on the same machine mostly offer TLS with a certificate of their own making,
      // which proves nothing and protects nothing there.
      ...(isOnThisMachine ? { tls: { rejectUnauthorized: false } } : {}),
      ...(user === undefined ? {} : { auth: { user, pass: pass ?? "" } }),
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    return this.#transport;
  }
}

/** What nodemailer says of an SMTP session that failed. */
interface SmtpError extends Error {
  readonly code?: string;
  readonly responseCode?: number;
  readonly command?: string;
}

/** After a 4xx; the backoff of the queue may be longer. */
const TRY_AGAIN_MS = 60_000;

/**
 * What a failed mail means (RFC 5321 section 4.2.1: 4xx may be tried again, 5xx may not). A refused
 * recipient or text is the message's own; a refused login or sender concerns every mail. Anything
 * else did not get as far as an answer and is tried again.
 */
export function mailFailure(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const { code, responseCode = 0, command = "", message } = error as SmtpError;
  const options = { cause: error };
  if (code === "EAUTH" || code === "ENOAUTH" || code === "ETLS") return new ProviderDown(message, options);
  const isPermanent = responseCode >= 500 && responseCode < 600;
  if (responseCode === 421) return error;
  if (responseCode >= 400 && !isPermanent) return new RetryLater(message, TRY_AGAIN_MS, options);
  if (!isPermanent) return error;
  if (command === "RCPT TO") return new TargetGone(message, options);
  if (command === "DATA") return new PermanentError(message, options);
  return new ProviderDown(message, options);
}
