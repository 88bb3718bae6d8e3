/**
 * Sends what stopped a server in a security test (S1, S7), as fast as it is answered, over 20
 * connections. The argument is an {@link Attack} as JSON; prints the answers by status.
 */
import { connect } from "node:net";
import { gzipSync } from "node:zlib";

/** What strangers reach in a project besides URLs of receivers. */
export interface Door {
  /** Address of a receiver of mail. */
  readonly mail: string;
  readonly ping: string;
  readonly opsgenieKey: string;
}

export interface Attack {
  readonly url: string;
  /** Of an ordinary user. */
  readonly token: string;
  /** URLs: without a secret, with one, with a costly mapping, with one that repeats the body; and again. */
  readonly receivers: readonly string[];
  /** One of each project. */
  readonly doors: readonly Door[];
  readonly mailPort: number;
  /** Requests come from so many addresses, behind a proxy. */
  readonly addresses: number;
  readonly seconds: number;
  /** Of all connections together; default: as fast as they are answered. */
  readonly perSecond?: number;
  /** A port of this machine that gets the requests instead (`sink.ts`). */
  readonly sink?: number;
}

const CONNECTIONS = 20;
const JSON_TYPE = { "content-type": "application/json" };
const MEMBERS = 80_000;

const wide = Buffer.from(`{${Array.from({ length: MEMBERS }, (_, i) => `"k${i}":1`).join(",")}}`);
const gzipped = gzipSync(wide);
const deep = "[".repeat(1_000_000);
const empties = `{"a":[${"{},".repeat(250_000)}{}]}`;
const boundaries = `--b\r\n${"\r\n--bx".repeat(150_000)}`;
const text = JSON.stringify({ text: "abc".repeat(5000) });
const split = JSON.stringify({ a: Array.from({ length: 1000 }, () => 1), p: "x".repeat(50_000) });
const condition = Array.from({ length: 60 }, (_, i) => `matches(event.t, '(a|b)*x${i % 30}(d|e)*z')`).join(" or ");
const trial = JSON.stringify({ condition, event: { type: "a", payload: { t: "ab".repeat(8000) } } });

const mails = [
  `To: ${"a:".repeat(125_000)}\r\n\r\nlists of groups`,
  `Content-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n\r\n".repeat(30_000)}`,
  `Content-Type: text/plain; ${"a=b; ".repeat(40_000)}\r\n\r\nparameters`,
  `Subject: lines\r\n\r\n${"a line\r\n".repeat(20_000)}`,
];

/** @returns the status of the answer */
type Send = (attack: Attack, project: number) => Promise<number | string>;

const receiver =
  (which: number, body: Uint8Array | string, headers: Record<string, string> = {}): Send =>
  ({ receivers }, project) =>
    post(receivers[4 * project + which] ?? "", body, { ...JSON_TYPE, ...headers });

const SENDS: readonly Send[] = [
  receiver(0, gzipped, { "content-encoding": "gzip" }),
  receiver(1, gzipped, { "content-encoding": "gzip" }),
  receiver(0, empties),
  receiver(2, text),
  receiver(3, split),
  receiver(0, deep),
  receiver(0, boundaries, { "content-type": "multipart/form-data; boundary=b" }),
  ({ url, token }) => post(`${url}/api/v1/rules/test`, trial, { ...JSON_TYPE, authorization: `Bearer ${token}` }),
  ({ mailPort, doors }, project) => mail(mailPort, doors[project]?.mail ?? ""),
  ({ doors }, project) => post(doors[project]?.ping ?? "", text, JSON_TYPE),
  ({ url, doors }, project) =>
    post(`${url}/v2/alerts`, empties, { ...JSON_TYPE, authorization: `GenieKey ${doors[project]?.opsgenieKey}` }),
];

let sent = 0;

async function post(url: string, body: Uint8Array | string, headers: Record<string, string>): Promise<number> {
  const n = sent++ % attack.addresses;
  const address = `10.9.${n >> 8}.${n & 255}`;
  const reply = await fetch(targetOf(url), {
    method: "POST",
    body,
    headers: { ...headers, "x-forwarded-for": address },
  });
  await reply.arrayBuffer();
  return reply.status;
}

function targetOf(url: string): string {
  if (attack.sink === undefined) return url;
  return `http://127.0.0.1:${attack.sink}${new URL(url).pathname}`;
}

/** Sends a mail. @returns the code of the reply to it */
function mail(port: number, to: string): Promise<string> {
  const text = mails[sent++ % mails.length] as string;
  const lines = ["EHLO x", "MAIL FROM:<a@b.c>", `RCPT TO:<${to}>`, "DATA", `${text}\r\n.`];
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", reject);
    socket.once("close", () => reject(new Error("closed")));
    let read = "";
    socket.on("data", (chunk) => {
      read += chunk.toString();
      // The last line of a reply has a space after its code.
      const code = /^(\d{3}) .*\r\n$/m.exec(read)?.[1];
      if (code === undefined) return;
      read = "";
      const next = lines.shift();
      if (next !== undefined && Number(code) < 400) socket.write(`${next}\r\n`);
      else {
        resolve(`mail ${code}`);
        socket.destroy();
      }
    });
  });
}

const attack = JSON.parse(process.argv[2] ?? "{}") as Attack;
const beganAt = Date.now();
const endsAt = beganAt + attack.seconds * 1000;
const answers: Record<string, number> = {};
const projects = attack.receivers.length / 4;

async function connection(first: number): Promise<void> {
  for (let i = first; Date.now() < endsAt; i++) {
    if (attack.perSecond !== undefined) {
      const due = beganAt + ((i - first) * CONNECTIONS * 1000) / attack.perSecond;
      await new Promise((resolve) => setTimeout(resolve, due - Date.now()));
    }
    const send = SENDS[i % SENDS.length] as Send;
    const status = await send(attack, Math.floor(i / SENDS.length) % projects).then(
      (answer) => String(answer),
      () => "closed",
    );
    answers[status] = (answers[status] ?? 0) + 1;
  }
}

await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => connection(i)));
process.stdout.write(JSON.stringify(answers));
