import type { Config } from "../../../config/load.ts";
import { WAYS, type WayName } from "./call-file.ts";
import { callUrl, nameOf } from "./call-url.ts";
import type { EmergencyMessage } from "./message.ts";

/* The ways of `emergency`. They share nothing with the channels: what is broken there must not
 * break these. Loaded at the first call. */

export type EmergencyOptions = Config["emergency"] & Partial<Pick<Config, "proxy">>;

/** Delivers a message. Resolves with the other side's answer. @throws Error with a text without secrets */
type Send = (options: EmergencyOptions, message: EmergencyMessage, limitMs: number) => Promise<string>;

/** For the whole call of a webhook or command, and for each step of a mail. */
const LIMIT_MS = 10_000;

const SEND: Readonly<Record<WayName, Send>> = { webhook: callWebhook, smtp: sendMail, command: runCommand };

/** The ways that are configured. */
export function configuredWays({ webhook, smtp, command }: EmergencyOptions): WayName[] {
  const isSet = { webhook: webhook !== undefined, smtp: smtp.host !== undefined, command: command !== undefined };
  return WAYS.filter((way) => isSet[way]);
}

/** @returns the answer of the other side. @throws Error with a text without secrets */
export function sendBy(
  way: WayName,
  options: EmergencyOptions,
  message: EmergencyMessage,
  limitMs = LIMIT_MS,
): Promise<string> {
  return SEND[way](options, message, limitMs);
}

function callWebhook(
  { webhook = "", proxy }: EmergencyOptions,
  { id, body }: EmergencyMessage,
  limitMs: number,
): Promise<string> {
  const headers = { "Content-Type": "application/json", "webhook-id": id };
  return callUrl(webhook, { content: Buffer.from(JSON.stringify(body)), headers, proxy }, limitMs);
}

const SMTPS_PORT = 465;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

async function sendMail(
  { smtp }: EmergencyOptions,
  { id, subject, text }: EmergencyMessage,
  limitMs: number,
): Promise<string> {
  const { createTransport } = await import("nodemailer");
  const { host = "", port, user, pass = "", to, allowPlain } = smtp;
  const secure = smtp.secure ?? port === SMTPS_PORT;
  const isHere = LOOPBACK.test(host);
  const transport = createTransport({
    ...{ host, port, secure, requireTLS: !secure && !allowPlain && !isHere },
    // Local mail servers usually have a self-signed certificate, and no attacker is in between.
    ...(isHere ? { tls: { rejectUnauthorized: false } } : {}),
    ...(user === undefined ? {} : { auth: { user, pass } }),
    ...{ connectionTimeout: limitMs, greetingTimeout: limitMs, socketTimeout: limitMs, dnsTimeout: limitMs },
    ...{ disableFileAccess: true, disableUrlAccess: true },
  });
  const from = smtp.from ?? `prism@${host}`;
  const messageId = `<${id}@${/@([\w.-]+)>?\s*$/.exec(from)?.[1] ?? "prism"}>`;
  const headers = { "X-Priority": "1", Importance: "high", "Auto-Submitted": "auto-generated" };
  // As objects: a text would be parsed as a list.
  const recipients = to.map((address) => ({ name: "", address }));
  try {
    const sent = await transport.sendMail({ from, to: recipients, messageId, subject, text, headers });
    const refused = sent.rejected.length;
    if (refused > 0) return `${host} accepted the mail for ${to.length - refused} of ${to.length} addresses`;
    return `${host} accepted the mail: ${sent.response}`;
  } catch (error) {
    throw new Error(`${host} did not accept the mail: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    transport.close();
  }
}

/** One command runs at a time. */
let running: Promise<unknown> = Promise.resolve();

function runCommand({ command = [] }: EmergencyOptions, message: EmergencyMessage, limitMs: number): Promise<string> {
  const run = running.then(() => runOne(command, message, limitMs));
  running = run.catch(() => undefined);
  return run;
}

function runOne(
  [program = "", ...parameters]: readonly string[],
  { id, body, text }: EmergencyMessage,
  limitMs: number,
): Promise<string> {
  const { PATH, HOME, LANG, TZ } = process.env;
  // Not the server's environment, which holds its secrets.
  const env = { PATH, HOME, LANG, TZ, PRISM_EMERGENCY_REASON: String(body["reason"]), PRISM_EMERGENCY_ID: id };
  return new Promise((resolve, reject) => {
    // A group of its own, so that its children end with it.
    const { spawn } = process.getBuiltinModule("node:child_process");
    const child = spawn(program, parameters, { env, detached: true, stdio: ["pipe", "ignore", "ignore"] });
    let isLate = false;
    const end = setTimeout(() => {
      isLate = true;
      endGroup(child.pid);
    }, limitMs);
    child.on("error", (error) => {
      clearTimeout(end);
      reject(new Error(`the command could not be run (${nameOf(error)})`));
    });
    child.on("close", (code, signal) => {
      clearTimeout(end);
      if (isLate) reject(new Error(`the command was ended after ${limitMs / 1000} s`));
      else if (code === 0) resolve("the command ended with exit code 0");
      else reject(new Error(`the command ended with ${signal ?? `exit code ${code}`}`));
    });
    // A command need not read its input.
    child.stdin.on("error", () => undefined);
    child.stdin.end(`${text}\n`);
  });
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}
