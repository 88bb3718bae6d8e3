import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import type { Transporter } from "nodemailer";
import type { Config } from "../../../config/load.ts";
import { PrismError } from "../../../core/errors.ts";
import { withoutAddresses } from "../../../core/text/clean-text.ts";
import { CALL_LIMITS, type CallLimits, callLimitsOf, connectTo } from "../../delivery/calls/connect.ts";
import {
  type Accepted,
  type ChannelCalls,
  Deferred,
  NoAnswer,
  ProviderDown,
  TargetGone,
} from "../../delivery/channel.ts";
import { PermanentError } from "../../time/jobs/index.ts";

export interface SmtpOptions {
  readonly host: string;
  readonly port: number;
  readonly user?: string | undefined;
  readonly pass?: string | undefined;
  readonly from: string;
  /** The envelope sender; default: the address of `from`. */
  readonly returnPath?: string | undefined;
  /** TLS from the first byte (port 465); otherwise STARTTLS. */
  readonly secure: boolean;
  /** Permits credentials and mails without TLS. */
  readonly allowPlain: boolean;
  /** Signs every mail (RFC 6376). */
  readonly dkim?: DkimKey | undefined;
  /** For connecting and the greeting. */
  readonly limits?: CallLimits;
  /** Time limit of each answer. */
  readonly timeoutMs?: number;
}

interface DkimKey {
  readonly domain: string;
  readonly selector: string;
  /** RSA, in PEM. */
  readonly keyFile: string;
}

const SMTPS_PORT = 465;

/** @returns null when no mail server is configured. */
export function smtpOptionsOf({ smtp, delivery }: Pick<Config, "smtp" | "delivery">): SmtpOptions | null {
  const { host, port, user, pass, allowPlain, dkim } = smtp;
  const { domain, selector, keyFile } = dkim;
  if (host === undefined) return null;
  return {
    host,
    port,
    user,
    pass,
    allowPlain,
    from: smtp.from ?? `prism@${host}`,
    returnPath: smtp.returnPath,
    secure: smtp.secure ?? port === SMTPS_PORT,
    limits: callLimitsOf({ delivery }),
    ...(domain !== undefined && keyFile !== undefined && { dkim: { domain, selector, keyFile } }),
  };
}

/** The address in `Name <address>`, or the whole text. */
export function addressOf(sender: string): string {
  return /<([^<>]+)>\s*$/.exec(sender)?.[1] ?? sender;
}

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html?: string;
  /** The part before the @ of its Message-ID; default: random. */
  readonly id?: string;
  /** Mails with the same name form a thread: the part before the @ of a Message-ID they refer to. */
  readonly thread?: string;
  /** Further headers, never with text from users. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A notice of an incident: it has connections of its own. */
  readonly isPage?: boolean;
}

/** A server may look at a mail for some time before it answers. */
const TIMEOUT_MS = 30_000;
/** Connections, opened when needed. However many other mails wait, pages find their own. */
const CONNECTIONS = { page: 4, other: 2 } as const;
/** A connection without mails is closed. */
const IDLE_MS = 60_000;
/** A mail whose connection the server closed before any of it was sent goes over another one. */
const REQUEUES = 1;
/** Suppresses automatic replies (RFC 3834 section 5, and Exchange's own header). */
const AUTOMATIC = { "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All" } as const;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

/**
 * Sends mail over SMTP. Requires TLS with a valid certificate (RFC 8314 section 4.1) unless the
 * server is on this machine or the configuration permits otherwise.
 */
export class MailClient implements ChannelCalls<Mail> {
  readonly #read: () => SmtpOptions | null;
  /** The connections, for one text of the options. */
  #open: { readonly of: string; readonly page: Transporter; readonly other: Transporter } | null = null;

  /** @param read the options in use; null when no mail server is configured. */
  constructor(read: () => SmtpOptions | null) {
    this.#read = read;
  }

  get isConfigured(): boolean {
    return this.#read() !== null;
  }

  /** A 250 reply means that the server has taken responsibility (RFC 5321 section 4.2.5). */
  async call(mail: Mail, signal?: AbortSignal): Promise<Accepted> {
    try {
      return { providerId: await this.send(mail, signal) };
    } catch (error) {
      signal?.throwIfAborted();
      throw mailFailure(error, mail.to);
    }
  }

  /** Sends a mail and resolves to its Message-ID. @throws NOT_CONFIGURED, and SMTP errors */
  async send({ id, thread, to: address, isPage = false, ...mail }: Mail, signal?: AbortSignal): Promise<string> {
    const transport = (await this.#connect())[isPage ? "page" : "other"];
    // As an object: a text would be parsed as a list, and a comma would add a recipient.
    const to = { name: "", address };
    const messageId = id === undefined ? {} : { messageId: `<${id}@${this.#domain}>` };
    const root = thread === undefined ? undefined : `<${thread}@${this.#domain}>`;
    const reference = root === undefined ? {} : { inReplyTo: root, references: root };
    // A line break in a subject would start another header; do not rely on the library here.
    const subject = mail.subject.replaceAll(/\s+/g, " ").trim();
    const headers = { ...AUTOMATIC, ...mail.headers };
    const { from, returnPath } = this.#read() ?? {};
    const envelope = returnPath === undefined ? {} : { envelope: { from: returnPath, to: [to] } };
    const whole = {
      ...mail,
      ...messageId,
      ...reference,
      headers,
      subject,
      to,
      from,
      ...envelope,
      ...(signal && { signal }),
    };
    const sent = (await transport.sendMail(whole)) as { messageId: string };
    return sent.messageId;
  }

  /** Domain of our Message-IDs: the sender's. */
  get #domain(): string {
    return /@([\w.-]+)>?\s*$/.exec(this.#read()?.from ?? "")?.[1] ?? "prism";
  }

  /** Checks that the server is reachable and accepts the credentials. @throws also SMTP errors */
  async check(): Promise<void> {
    await (await this.#connect()).other.verify();
  }

  close(): void {
    this.#open?.page.close();
    this.#open?.other.close();
    this.#open = null;
  }

  async #connect() {
    // Loaded with the first mail: most servers send none for hours.
    const { createTransport } = await import("nodemailer");
    const options = this.#read();
    if (!options) throw new PrismError("NOT_CONFIGURED", "No mail server is configured (smtp.host)");
    const of = JSON.stringify(options);
    // The settings have changed. Mails on their way keep their connections; queued ones are retried.
    if (this.#open && this.#open.of !== of) this.close();
    const shared = { ...transportOptions(options), ...dkimOptions(options), idleTimeout: IDLE_MS };
    const pool = (maxConnections: number): Transporter =>
      createTransport({ pool: true, maxConnections, maxRequeues: REQUEUES, ...shared });
    this.#open ??= { of, page: pool(CONNECTIONS.page), other: pool(CONNECTIONS.other) };
    return this.#open;
  }
}

/** The options of nodemailer for a mail server. */
export function transportOptions({ limits = CALL_LIMITS, timeoutMs = TIMEOUT_MS, ...options }: SmtpOptions) {
  const { host, port, user, pass, secure, allowPlain } = options;
  const isOnThisMachine = LOOPBACK.test(host);
  const tls = { rejectUnauthorized: !isOnThisMachine };
  const url = new URL(`${secure ? "smtps" : "smtp"}://${host.includes(":") ? `[${host}]` : host}:${port}`);
  return {
    /** Opens the connection, with TLS from the first byte where that is set. */
    getSocket: (
      _options: unknown,
      done: (error: unknown, opened?: { connection: Socket; secured: boolean }) => void,
    ) => {
      connectTo(url, limits, { tls }).then(
        (connection) => done(null, { connection, secured: secure }),
        (error: unknown) => done(error),
      );
    },
    host,
    port,
    secure,
    requireTLS: !secure && !allowPlain && !isOnThisMachine,
    // Local mail servers usually have a self-signed certificate, and no attacker is in between.
    ...(isOnThisMachine ? { tls: { rejectUnauthorized: false } } : {}),
    ...(user === undefined ? {} : { auth: { user, pass: pass ?? "" } }),
    greetingTimeout: Math.min(limits.answerMs, timeoutMs),
    socketTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** Both headers of one-click unsubscription must be signed (RFC 8058 section 4). */
const SIGNED_HEADERS =
  "From:Reply-To:Subject:Date:Message-ID:To:MIME-Version:Content-Type:Content-Transfer-Encoding:In-Reply-To:" +
  "References:List-Unsubscribe:List-Unsubscribe-Post:Auto-Submitted";

/** Reads the key at each call. @throws ProviderDown if it cannot be used */
export function dkimOptions({ dkim }: SmtpOptions) {
  if (!dkim) return {};
  const { domain, selector, keyFile } = dkim;
  let privateKey: string;
  try {
    privateKey = readFileSync(keyFile, "utf8");
    const { asymmetricKeyType } = createPrivateKey(privateKey);
    if (asymmetricKeyType !== "rsa") throw new Error(`it is a key of the type ${asymmetricKeyType}, not rsa`);
  } catch (error) {
    const message = (error as Error).message.replaceAll(keyFile, "…");
    throw new ProviderDown(`smtp.dkim.keyFile cannot be used: ${message}`, { cause: error });
  }
  return { dkim: { domainName: domain, keySelector: selector, privateKey, headerFieldNames: SIGNED_HEADERS } };
}

/** nodemailer's error of a failed SMTP session. */
interface SmtpError extends Error {
  readonly code?: string;
  readonly responseCode?: number;
  readonly command?: string;
}

/** RFC 5321 section 3.8. */
const SHUTS_DOWN = 421;
/** After a 4xx; the backoff of the queue may be longer. */
const TRY_AGAIN_MS = 60_000;

/** Commands whose answer is about one message. */
const OF_MESSAGE: ReadonlySet<string> = new Set(["RCPT TO", "DATA"]);

/**
 * Classifies a failed mail (RFC 5321 section 4.2.1: 4xx may be retried, 5xx may not). A refused
 * recipient or text concerns this message; a refused login or sender concerns every mail. A server
 * that closes (421) or asks to come back before it knows the recipient, and errors of the
 * connection, are no answer. Messages have no mail addresses, since they are stored and shown; the
 * cause has the server's words. @param to the recipient, whose name is left out too
 */
export function mailFailure(error: unknown, to = ""): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const { code, responseCode = 0, command = "" } = error as SmtpError;
  const message = shownOf(error.message, to);
  const options = { cause: error };
  const isLater = responseCode >= 400 && responseCode < 500;
  if (isLater && responseCode !== SHUTS_DOWN && OF_MESSAGE.has(command))
    return new Deferred(message, TRY_AGAIN_MS, options);
  if (!isLater && /^(EAUTH|ENOAUTH|ETLS)$/.test(code ?? "")) return new ProviderDown(message, options);
  if (responseCode >= 500 && responseCode < 600) return refusalOf(error, command, message);
  const isNetwork = isLater || /^E[A-Z]+$/.test(code ?? "");
  if (!isNetwork) return error;
  return new NoAnswer(message, { phase: "answer", timedOut: code === "ETIMEDOUT", ...options });
}

/** The mailbox does not exist, has moved, or its domain takes no mail (RFC 3463 section 3.2, RFC 7505). */
const NO_MAILBOX = /\b5\.1\.(1|6|10)\b/;

/** Servers also name a mailbox without its domain, such as `no such user here: viv`. */
function shownOf(text: string, to: string): string {
  const name = to.slice(0, Math.max(0, to.lastIndexOf("@")));
  const shown = withoutAddresses(text);
  if (name === "") return shown;
  const pattern = name.replaceAll(/[^\p{L}\p{N}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
  return shown.replaceAll(new RegExp(`(?<![\\p{L}\\p{N}])${pattern}(?![\\p{L}\\p{N}])`, "giu"), "…");
}

function refusalOf(cause: Error, command: string, message: string): Error {
  if (command === "RCPT TO" && NO_MAILBOX.test(cause.message)) return new TargetGone(message, { cause });
  if (command === "RCPT TO" || command === "DATA") return new PermanentError(message, { cause });
  return new ProviderDown(message, { cause });
}
