/**
 * Sends what stopped a server in a security test (S1, S7), as fast as it is answered, over 20
 * connections. The argument is an {@link Attack} as JSON; prints the answers by status.
 */
import { gzipSync } from "node:zlib";

export interface Attack {
  readonly url: string;
  /** Of an ordinary user. */
  readonly token: string;
  /** URLs: without a secret, with one, with a costly mapping, with one that repeats the body; and again. */
  readonly receivers: readonly string[];
  /** Requests come from so many addresses, behind a proxy. */
  readonly addresses: number;
  readonly seconds: number;
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

type Send = (attack: Attack, project: number) => Promise<Response>;

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
];

let sent = 0;

function post(url: string, body: Uint8Array | string, headers: Record<string, string>): Promise<Response> {
  const n = sent++ % attack.addresses;
  const address = `10.9.${n >> 8}.${n & 255}`;
  return fetch(url, { method: "POST", body, headers: { ...headers, "x-forwarded-for": address } });
}

const attack = JSON.parse(process.argv[2] ?? "{}") as Attack;
const endsAt = Date.now() + attack.seconds * 1000;
const answers: Record<string, number> = {};
const projects = attack.receivers.length / 4;

async function connection(first: number): Promise<void> {
  for (let i = first; Date.now() < endsAt; i++) {
    const send = SENDS[i % SENDS.length] as Send;
    const status = await send(attack, Math.floor(i / SENDS.length) % projects).then(
      async (reply) => {
        await reply.arrayBuffer();
        return String(reply.status);
      },
      () => "closed",
    );
    answers[status] = (answers[status] ?? 0) + 1;
  }
}

await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => connection(i)));
process.stdout.write(JSON.stringify(answers));
