import { format } from "node:util";
import { withinOr } from "../../../core/promises.ts";
import { NoAnswer } from "../../delivery/channel.ts";
import { dkimOptions, type SmtpOptions, transportOptions } from "./client.ts";

export const MAIL_TEST_RESULTS = [
  "accepted",
  "not_configured",
  "unknown_host",
  "unreachable",
  "timeout",
  "tls",
  "login",
  "sender",
  "recipient",
  "refused",
  "dkim",
] as const;

/** The result of a test mail, for the operator. */
export interface MailTest {
  /** The mail server has taken responsibility for the mail (RFC 5321 section 4.2.5). */
  readonly ok: boolean;
  readonly result: (typeof MAIL_TEST_RESULTS)[number];
  /** Result and next step, in one or two sentences. */
  readonly message: string;
  /** The lines of both sides, without the login. */
  readonly transcript: readonly string[];
}

const WHOLE_MS = 30_000;
const MAX_LINES = 60;
const MAX_LINE_LENGTH = 300;

const TEXT = "This is a test mail from Prism. The mail settings work.\n";

/** Sends a test mail on a connection of its own. @param options null when no mail server is configured. */
export async function testMail(options: SmtpOptions | null, to: string): Promise<MailTest> {
  if (!options)
    return { ok: false, result: "not_configured", message: "No mail server is set (smtp.host).", transcript: [] };
  const { createTransport } = await import("nodemailer");
  const conversation = new Conversation(options);
  let signing: ReturnType<typeof dkimOptions>;
  try {
    signing = dkimOptions(options);
  } catch (error) {
    return { ok: false, result: "dkim", message: `${(error as Error).message}.`, transcript: [] };
  }
  const transport = createTransport({
    ...transportOptions(options),
    ...signing,
    debug: true,
    logger: conversation.logger,
  } as Parameters<typeof createTransport>[0]);
  const server = `${options.host}:${options.port}`;
  const mail = { from: options.from, to: { name: "", address: to }, subject: "Test mail from Prism", text: TEXT };
  const sending = transport.sendMail(mail).then(
    (): Omit<MailTest, "transcript"> => ({ ok: true, result: "accepted", message: `${server} accepted the mail.` }),
    (error: unknown) => ({ ok: false, ...explained(error, server, options) }),
  );
  const late = { ok: false, result: "timeout", message: `${server} did not finish within 30 seconds.` } as const;
  const result = await withinOr<Omit<MailTest, "transcript">>(WHOLE_MS, sending, () => late);
  transport.close();
  return { ...result, message: conversation.masked(result.message), transcript: conversation.lines };
}

/** Collects the lines of a session. The library replaces credentials; an echo of them is masked here. */
class Conversation {
  readonly lines: string[] = [];
  readonly #secrets: readonly string[];

  constructor({ user = "", pass = "" }: SmtpOptions) {
    const login = [pass, `\u0000${user}\u0000${pass}`].map((text) => Buffer.from(text).toString("base64"));
    this.#secrets = pass === "" ? [] : [pass, ...login];
  }

  readonly logger = Object.fromEntries(
    ["trace", "debug", "info", "warn", "error", "fatal", "level"].map((level) => [
      level,
      (entry: { readonly tnx?: string } | undefined, message: string, ...values: unknown[]) =>
        this.#add(entry?.tnx, format(message, ...values)),
    ]),
  );

  masked(text: string): string {
    return this.#secrets.reduce((masked, secret) => masked.replaceAll(secret, "***"), text);
  }

  #add(side: string | undefined, text: string): void {
    if (side !== "server" && side !== "client") return;
    for (const line of text.split(/\r?\n/)) {
      if (line === "" || this.lines.length >= MAX_LINES) continue;
      this.lines.push(`${side === "server" ? "S" : "C"}: ${this.masked(line).slice(0, MAX_LINE_LENGTH)}`);
    }
  }
}

/** nodemailer's error of a failed SMTP session. */
interface SmtpError extends Error {
  readonly code?: string;
  readonly command?: string;
  readonly response?: string;
}

function explained(
  error: unknown,
  server: string,
  { port, secure }: SmtpOptions,
): Pick<MailTest, "result" | "message"> {
  const { code = "", command = "", response, message } = error as SmtpError;
  const said = response ?? message;
  const { phase, timedOut } = error instanceof NoAnswer ? error : {};
  if (phase === "dns" || /ENOTFOUND|EAI_AGAIN|EDNS/.test(`${code} ${message}`))
    return { result: "unknown_host", message: `The name of ${server} cannot be resolved. Check smtp.host.` };
  if (code === "EAUTH" || code === "ENOAUTH")
    return { result: "login", message: `${server} refused the login: ${said}. Check smtp.user and smtp.pass.` };
  if (phase === "tls" || code === "ETLS" || /certificate|SSL|TLS|self.signed/i.test(message))
    return {
      result: "tls",
      message: `There is no secure connection to ${server}: ${message}. ${tlsHint(port, secure)}`,
    };
  if (timedOut || code === "ETIMEDOUT" || /timeout/i.test(message))
    return { result: "timeout", message: `${server} did not answer in time. Check smtp.port and the firewall.` };
  if (command === "MAIL FROM")
    return { result: "sender", message: `${server} refused the sender: ${said}. Check smtp.from.` };
  if (command === "RCPT TO") return { result: "recipient", message: `${server} refused the recipient: ${said}.` };
  if (response !== undefined) return { result: "refused", message: `${server} refused the mail: ${said}.` };
  return { result: "unreachable", message: `${server} cannot be reached: ${message}. Check smtp.host and smtp.port.` };
}

function tlsHint(port: number, secure: boolean): string {
  if (secure && port !== 465) return "smtp.secure starts with TLS; most servers do so on port 465 only.";
  return "The server must offer TLS with a valid certificate for this name.";
}
