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

/** @returns why each message is refused, by its place; tries again until Prism has answered */
async function send(messages) {
  const body = messages.map((message) => JSON.stringify(eventOf(message))).join("\n");
  for (;;) {
    const headers = { "Content-Type": "application/x-ndjson", "X-API-Key": PRISM_API_KEY };
    const reply = await fetch(`${PRISM_URL}/api/v1/events?results=errors`, { method: "POST", headers, body }).catch(
      (error) => ({ status: 0, headers: new Headers(), text: async () => String(error.cause ?? error) }),
    );
    const text = await reply.text();
    if (reply.status === 202)
      return new Map(JSON.parse(text).results.map(({ index, error }) => [index, error.message]));
    // None of them can be stored.
    if (reply.status === 422) return new Map(messages.map((_, index) => [index, text.slice(0, 200)]));
    say(`Prism answered ${reply.status || "nothing"}: ${text.slice(0, 200)}`);
    if (reply.status === 401 || reply.status === 403) process.exit(1);
    for (const message of messages) message.working();
    const seconds = Number(reply.headers.get("retry-after") ?? 0) || WAIT_MS / 1000;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
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
  for (const [index, message] of messages.entries()) {
    const reason = refused.get(index);
    if (reason === undefined) message.ack();
    else {
      say(`message ${message.seq} (${message.subject}) is left out: ${reason}`);
      message.term(reason);
    }
  }
}
await connection.drain();
