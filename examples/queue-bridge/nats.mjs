// Messages of a JetStream stream become events of Prism: each is stored once, however often this program, Prism or
// NATS is restarted. README.md says how to use it.
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const { NATS_URL = "nats://127.0.0.1:4222", STREAM, PRISM_URL = "http://127.0.0.1:3000", PRISM_API_KEY } = process.env;
if (!STREAM || !PRISM_API_KEY) throw new Error("set STREAM and PRISM_API_KEY");

const BATCH = 500;
/** What a bridge has not acknowledged by then goes to another one. */
const ACK_SECONDS = Number(process.env.ACK_SECONDS ?? 30);
const WAIT_MS = 1000;
const connection = await connect({ servers: NATS_URL, maxReconnectAttempts: -1 });
const manager = await jetstreamManager(connection);
await manager.consumers.add(STREAM, {
  durable_name: "prism",
  ack_policy: AckPolicy.Explicit,
  ack_wait: ACK_SECONDS * 1e9,
});
const consumer = await jetstream(connection).consumers.get(STREAM, "prism");

const say = (text) => process.stderr.write(`${text}\n`);

/** The last part of the subject is the type, unless the message is an event with a type of its own. */
function eventOf(message) {
  let value;
  try {
    value = JSON.parse(message.string());
  } catch {
    value = message.string();
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const event = isObject && typeof value.type === "string" ? value : { payload: isObject ? value : { message: value } };
  // The same after a second delivery: Prism stores an event with a known key once.
  const dedupeKey = `${STREAM}:${message.seq}`;
  return { type: message.subject.split(".").at(-1), source: message.subject.slice(0, 100), ...event, dedupeKey };
}

async function post(messages) {
  const body = messages.map((message) => JSON.stringify(eventOf(message))).join("\n");
  const headers = { "Content-Type": "application/x-ndjson", "X-API-Key": PRISM_API_KEY };
  try {
    const reply = await fetch(`${PRISM_URL}/api/v1/events?results=errors`, { method: "POST", headers, body });
    return {
      status: reply.status,
      text: await reply.text(),
      retryAfter: Number(reply.headers.get("retry-after") ?? 0),
    };
  } catch (error) {
    return { status: 0, text: String(error.cause ?? error), retryAfter: 0 };
  }
}

/** @returns why messages are refused, by their numbers; tries again until Prism has answered */
async function send(messages) {
  const all = (reason) => new Map(messages.map(({ seq }) => [seq, reason.slice(0, 200)]));
  for (;;) {
    const { status, text, retryAfter } = await post(messages);
    if (status === 202)
      return new Map(JSON.parse(text).results.map((each) => [messages[each.index].seq, each.error.message]));
    if (status === 422 && text.includes("BATCH_REJECTED")) return all(text);
    // The request is too large or not readable: smaller ones tell which message it is.
    if (status === 400 || status === 413) {
      if (messages.length === 1) return all(text);
      const half = Math.ceil(messages.length / 2);
      return new Map([...(await send(messages.slice(0, half))), ...(await send(messages.slice(half)))]);
    }
    say(`Prism answered ${status || "nothing"}: ${text.slice(0, 200)}`);
    if (status === 401 || status === 403) process.exit(1);
    for (const message of messages) message.working();
    await new Promise((resolve) => setTimeout(resolve, retryAfter * 1000 || WAIT_MS));
  }
}

let isEnding = false;
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => (isEnding = true));
say(`${STREAM} of ${NATS_URL} goes to ${PRISM_URL}`);
while (!isEnding) {
  const messages = [];
  for await (const message of await consumer.fetch({ max_messages: BATCH, expires: WAIT_MS })) messages.push(message);
  if (messages.length === 0) continue;
  const refused = await send(messages);
  for (const message of messages) {
    const reason = refused.get(message.seq);
    if (reason === undefined) message.ack();
    else {
      say(`message ${message.seq} (${message.subject}) is left out: ${reason}`);
      message.term(reason);
    }
  }
}
await connection.drain();
