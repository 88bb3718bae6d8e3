import { readFileSync } from "node:fs";
import type { SMTPServer, SMTPServerDataStream, SMTPServerSession } from "smtp-server";
import type { Config } from "../../../config/load.ts";
import { ConfigRefused } from "../../../config/option.ts";
import { type ErrorCode, PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { within } from "../../../core/promises.ts";
import { SURE_BYTES } from "../../../http/limits/work-budget.ts";
import { addressGroup, canonicalAddress } from "../../../http/server/headers.ts";
import type { Uses } from "../../../module/feature.ts";
import type { MailBounces } from "../../delivery/index.ts";
import { acceptMail, type MailContext, mailReceiver } from "../receivers/index.ts";
import { readBounce } from "./read-bounce.ts";
import { type ReadMail, readMail, workOf } from "./read-mail.ts";

interface ListenerParts extends MailContext, Uses<"log" | "metrics"> {
  readonly bounces: MailBounces;
  /** @throws STORAGE_FULL */
  requireSpace(): void;
  /** Follows the configuration. */
  readonly config: () => Pick<Config, "mailIn" | "publicUrl">;
}

const MAX_MAIL_BYTES = 10_485_760;
/** Bytes of all mails that are being received. */
const MAX_BUFFERED_BYTES = 67_108_864;
const MAX_CONNECTIONS = 100;
/** Limit of an IPv4 address or the /64 of an IPv6 one. */
const MAX_CONNECTIONS_PER_ADDRESS = 20;
const MAX_RECIPIENTS = 10;
/** Commands of a connection since its last stored mail; a mail takes about five. */
const MAX_COMMANDS = 200;
/** Unknown recipients of a connection before it is closed. */
const MAX_UNKNOWN = 5;
const IDLE_MS = 60_000;
/** A client that sends a byte now and then is never idle. */
const MAX_SESSION_MS = 600_000;
/** Sample commands of the library, and logins: the address is the credential. */
const DISABLED = ["AUTH", "VRFY", "EXPN", "WIZ", "SHELL", "KILL"];

/** The connection ended within a mail. */
const ABORTED: ReadonlySet<string> = new Set(["ECONNECTION", "ERR_STREAM_PREMATURE_CLOSE"]);

/** An SMTP reply other than success. */
class Refusal extends Error {
  override readonly name = "Refusal";
  readonly responseCode: number;

  constructor(responseCode: number, message: string) {
    super(message);
    this.responseCode = responseCode;
  }
}

/** Replies by error. Others are 451: the sender tries again (RFC 5321 section 4.2.1). */
const REPLIES: Readonly<Partial<Record<ErrorCode, number>>> = {
  NOT_FOUND: 550,
  // A paused receiver takes the mail when it is resumed meanwhile.
  FORBIDDEN: 450,
  RATE_LIMITED: 450,
  WORK_LIMITED: 450,
  STORAGE_FULL: 452,
  STORAGE_LIMIT_REACHED: 452,
  // The same mail is refused again.
  VALIDATION_FAILED: 550,
  PAYLOAD_TOO_LARGE: 552,
  SHUTTING_DOWN: 421,
};

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is taken",
  EACCES: "this user may not listen on that port (below 1024 it takes CAP_NET_BIND_SERVICE)",
  EADDRNOTAVAIL: "this machine has no such address",
};

type Outcome = "accepted" | "bounced" | "replayed" | "ignored" | "unmapped" | "refused" | "deferred" | "aborted";

interface Peer {
  readonly timer: NodeJS.Timeout;
  readonly address: string;
  unknown: number;
  commands: number;
}

/**
 * The SMTP listener of receivers: mail to `<token>@<domain>` or `<name>+<token>@<domain>` is a
 * request of the receiver with this token. It relays nothing and sends no mail. 250 is answered
 * after the commit; before it, the sender keeps the mail and sends it again.
 */
export class MailListener {
  readonly #parts: ListenerParts;
  readonly #mails;
  readonly #peers = new Map<string, Peer>();
  readonly #running = new Set<Promise<void>>();
  #server: SMTPServer | null = null;
  #port = 0;
  #bufferedBytes = 0;
  #isStopping = false;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
    this.#mails = parts.metrics.counter("prism_mail_in_total", "Mails received by SMTP, by result");
    parts.metrics.gauge("prism_mail_in_connections", "Open SMTP connections", () => this.#peers.size);
  }

  /** The port it listens on; 0 while it does not. */
  get port(): number {
    return this.#port;
  }

  /** Listens if `mailIn.port` is set. @throws ConfigRefused */
  async start(): Promise<void> {
    const { host, port } = this.#parts.config().mailIn;
    if (port === undefined) return;
    // Loaded only where mail is received.
    const { SMTPServer } = await import("smtp-server");
    const server = new SMTPServer(this.#options());
    this.#server = server;
    // Clients that break off.
    server.on("error", (error) => this.#parts.log.debug({ err: error }, "SMTP connection failed"));
    await new Promise<void>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void =>
        reject(
          new ConfigRefused([
            `mailIn.port: cannot listen on ${host}:${port}: ${REASONS[error.code ?? ""] ?? error.message}`,
          ]),
        );
      server.server.once("error", failed);
      server.listen(port, host, () => {
        server.server.off("error", failed);
        resolve();
      });
    });
    this.#port = (server.server.address() as { readonly port: number }).port;
    this.#parts.log.info({ host, port: this.#port, domain: this.#domain }, "receiving mail");
  }

  /** Uses renewed certificates for further connections. */
  reload(): void {
    const tls = this.#certificate();
    if (this.#server && tls) this.#server.updateSecureContext(tls);
  }

  /** Mails that are being received are answered; everything else gets 421. */
  async stop(limitMs: number): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#isStopping = true;
    this.#server = null;
    const closed = new Promise<void>((resolve) => server.close(resolve));
    const closeIdle = (): void => {
      for (const connection of [...server.connections]) {
        connection.send(421, "The server is stopping");
        connection.close();
      }
    };
    if (this.#running.size === 0) closeIdle();
    await within(limitMs, Promise.allSettled([...this.#running]));
    closeIdle();
    await within(limitMs, closed);
    this.#port = 0;
  }

  /** The domain of addresses; null if no mail is received. */
  get domain(): string | null {
    return this.#parts.config().mailIn.port === undefined ? null : this.#domain;
  }

  get #domain(): string {
    const { mailIn, publicUrl } = this.#parts.config();
    return (mailIn.domain ?? (publicUrl === undefined ? "localhost" : new URL(publicUrl).hostname)).toLowerCase();
  }

  #certificate(): { readonly cert: string; readonly key: string } | null {
    const { certFile, keyFile } = this.#parts.config().mailIn;
    if (certFile === undefined || keyFile === undefined) return null;
    return { cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
  }

  #options(): ConstructorParameters<typeof SMTPServer>[0] {
    const tls = this.#certificate();
    return {
      ...tls,
      name: this.#domain,
      banner: "Prism",
      logger: this.#commandCounter(),
      size: MAX_MAIL_BYTES,
      maxClients: MAX_CONNECTIONS,
      maxRecipients: MAX_RECIPIENTS,
      socketTimeout: IDLE_MS,
      disableReverseLookup: true,
      authOptional: true,
      hideENHANCEDSTATUSCODES: false,
      disabledCommands: tls ? DISABLED : [...DISABLED, "STARTTLS"],
      onConnect: (session, callback) => callback(this.#admit(session)),
      onClose: (session) => this.#forget(session),
      onMailFrom: (_address, _session, callback) => callback(this.#isStopping ? stopping() : null),
      onRcptTo: ({ address }, session, callback) => callback(this.#checkRecipient(address, session)),
      onData: (stream, session, callback) => {
        const running = this.#receive(stream, session).then(
          () => {
            const peer = this.#peers.get(session.id);
            if (peer) peer.commands = 0;
            callback(null, "OK: stored");
          },
          (error: unknown) => callback(this.#refusal(error)),
        );
        this.#running.add(running);
        void running.finally(() => this.#running.delete(running));
      },
    };
  }

  #admit({ id, remoteAddress }: SMTPServerSession): Refusal | null {
    if (this.#isStopping) return stopping();
    const address = addressOf(remoteAddress);
    const group = addressGroup(address);
    let open = 0;
    for (const peer of this.#peers.values()) if (addressGroup(peer.address) === group) open++;
    if (open >= MAX_CONNECTIONS_PER_ADDRESS) return new Refusal(421, "Too many connections of this address");
    const timer = setTimeout(() => this.#close(id, "The session takes too long"), MAX_SESSION_MS);
    timer.unref();
    this.#peers.set(id, { timer, address, unknown: 0, commands: 0 });
    return null;
  }

  #forget({ id }: SMTPServerSession): void {
    clearTimeout(this.#peers.get(id)?.timer);
    this.#peers.delete(id);
  }

  /** smtp-server reports commands that do nothing, such as NOOP and RSET, only through its logger. */
  #commandCounter() {
    const ignore = (): void => undefined;
    const count = ({ tnx, cid }: { readonly tnx?: unknown; readonly cid?: unknown }): void => {
      const peer = tnx === "command" ? this.#peers.get(String(cid)) : undefined;
      if (peer && ++peer.commands > MAX_COMMANDS) this.#close(String(cid), "Too many commands without a mail");
    };
    return { trace: ignore, debug: count, info: ignore, warn: ignore, error: ignore, fatal: ignore };
  }

  #close(id: string, reason: string): void {
    for (const connection of [...(this.#server?.connections ?? [])])
      if (connection.session.id === id) {
        connection.send(421, reason);
        connection.close();
      }
  }

  /** The only recipients are receivers, and the return path for bounces: nothing is relayed. */
  #checkRecipient(address: string, { id, envelope }: SMTPServerSession): Refusal | null {
    if (this.#isStopping) return stopping();
    // RFC 3464 section 2: reports have the null sender.
    if (this.#isReturnPath(address) && senderOf(envelope) === "") return null;
    const token = this.#tokenOf(address);
    if (token !== null && mailReceiver(this.#parts.receivers, token)) return null;
    const peer = this.#peers.get(id);
    if (peer && ++peer.unknown > MAX_UNKNOWN) return new Refusal(421, "Too many unknown recipients");
    return new Refusal(550, "No such receiver");
  }

  #tokenOf(address: string): string | null {
    const at = address.lastIndexOf("@");
    if (at < 0 || address.slice(at + 1).toLowerCase() !== this.#domain) return null;
    const local = address.slice(0, at);
    return local.slice(local.lastIndexOf("+") + 1);
  }

  /** @throws Refusal, PrismError */
  async #receive(stream: SMTPServerDataStream, { envelope, ...session }: SMTPServerSession): Promise<void> {
    const remoteAddress = addressOf(session.remoteAddress);
    const raw = await this.#collect(stream);
    const isReturnPath = (address: string): boolean => this.#isReturnPath(address);
    if (stream.sizeExceeded) throw new Refusal(552, `A mail has at most ${MAX_MAIL_BYTES} bytes`);
    this.#parts.requireSpace();
    const sender = senderOf(envelope);
    const recipients = envelope.rcptTo.map(({ address }) => address);
    // Mails that arrive together are read one after the other, with turns for other requests.
    await this.#parts.work.turns.run(remoteAddress, () => this.#charge(raw, recipients, remoteAddress));
    if (sender === "" && recipients.some(isReturnPath)) await this.#bounced(raw);
    const others = recipients.filter((address) => sender !== "" || !isReturnPath(address));
    if (others.length === 0) return;
    const mail = await this.#read(raw, sender);
    // One after the other: a failure leaves the rest to the sender's next attempt, in which those
    // that are stored are repetitions.
    for (const address of others) {
      const result = await acceptMail(this.#parts, { token: this.#tokenOf(address) ?? "", from: remoteAddress }, mail);
      this.#count(result === "handshake" ? "accepted" : result);
    }
  }

  /** Reading a mail is charged to its address and the receivers' projects. @throws WORK_LIMITED */
  #charge(raw: Buffer, recipients: readonly string[], address: string): void {
    const { work, receivers } = this.#parts;
    const rows = recipients.flatMap((each) => mailReceiver(receivers, this.#tokenOf(each) ?? "") ?? []);
    const payers = rows.map(({ projectId, id }) => work.ofProject(projectId, { address, url: `receiver:${id}` }));
    const payer = payers[0] ?? work.ofAddress(address, "mail");
    // A small one is not refused for what others sent.
    for (const each of [payer, ...payers.slice(1)]) work.require(each, raw.length <= SURE_BYTES);
    work.charge(payer, workOf(raw));
  }

  #isReturnPath(address: string): boolean {
    const own = this.#parts.bounces.address();
    return own?.endsWith(`@${this.#domain}`) === true && address.toLowerCase() === own;
  }

  /** A report that a mail of this server did not arrive. @throws Refusal if it comes too early */
  async #bounced(raw: Buffer): Promise<void> {
    const bounce = await readBounce(raw).catch(() => null);
    const result = bounce === null ? "unknown" : await this.#parts.bounces.note(bounce);
    if (result === "early") throw new Refusal(451, "The mail is still being delivered; send the report again later");
    this.#count(result === "failed" ? "bounced" : result === "repeated" ? "replayed" : "ignored");
  }

  /** @throws Refusal, and an error if the connection ends within the mail */
  async #collect(stream: SMTPServerDataStream): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let held = 0;
    let isDropped = false;
    try {
      // All of it is read: the client sees the answer only after its last byte.
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        if (stream.sizeExceeded || this.#bufferedBytes + chunk.length > MAX_BUFFERED_BYTES) isDropped = true;
        if (isDropped) {
          chunks.length = 0;
          continue;
        }
        chunks.push(chunk);
        held += chunk.length;
        this.#bufferedBytes += chunk.length;
      }
    } finally {
      this.#bufferedBytes -= held;
    }
    if (isDropped && !stream.sizeExceeded) throw new Refusal(451, "Too many mails at once");
    return Buffer.concat(chunks);
  }

  async #read(raw: Buffer, sender: string): Promise<ReadMail> {
    let mail: ReadMail;
    try {
      mail = await readMail(raw, { sender });
    } catch (error) {
      throw new Refusal(554, `The mail cannot be read: ${(error as Error).message}`);
    }
    return (await this.#isOwn(mail)) ? { ...mail, body: { ...mail.body, automatic: "loop" } } : mail;
  }

  /** Mails of this server have the ids of its deliveries. */
  async #isOwn({ body }: ReadMail): Promise<boolean> {
    const [id = ""] = (body.messageId ?? "").split("@", 1);
    if (!isUuid(id)) return false;
    const { db } = this.#parts;
    const delivery = await db.read.selectFrom("deliveries").select("id").where("id", "=", id).executeTakeFirst();
    return delivery !== undefined;
  }

  #refusal(error: unknown): Error {
    const refusal = refusalOf(error);
    const isAborted = ABORTED.has((error as { readonly code?: string }).code ?? "");
    this.#count(isAborted ? "aborted" : refusal.responseCode < 500 ? "deferred" : "refused");
    if (!isAborted && !(error instanceof Refusal) && !(error instanceof PrismError))
      this.#parts.log.error({ err: error }, "cannot store a mail");
    return refusal;
  }

  #count(result: Outcome): void {
    this.#mails({ result }).add(1);
  }
}

/** Empty for the null sender. */
function senderOf({ mailFrom }: SMTPServerSession["envelope"]): string {
  return mailFrom === false ? "" : mailFrom.address;
}

function stopping(): Refusal {
  return new Refusal(421, "The server is stopping");
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof PrismError) return new Refusal(REPLIES[error.code] ?? 451, error.message);
  return new Refusal(451, "The mail could not be stored");
}

/** In one spelling, so that a budget or limit counts it once. */
function addressOf(remoteAddress: string): string {
  return canonicalAddress(remoteAddress) ?? remoteAddress;
}
