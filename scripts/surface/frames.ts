// What each live protocol sends, to the same subscriptions and the same script of publications: one
// file for each connection, its frames in their order.
import { createHmac } from "node:crypto";
import type { Context } from "./lib/context.ts";
import { at } from "./lib/wire/json.ts";
import { type Live, openStream, openWebSocket } from "./lib/wire/live.ts";
import { PUBLICATIONS, PUBLICATIONS_OF_TOPICS } from "./lib/wire/stories/live.ts";
import { tell, type Values } from "./lib/wire/story.ts";
import { Transcript } from "./lib/wire/transcript.ts";
import { makeWorld, nameWorld, PASSWORD, PUSHER, type World } from "./lib/wire/world.ts";

const BASIC = { Authorization: `Basic ${Buffer.from(`user:${PASSWORD}`).toString("base64")}` };

export async function record(context: Context): Promise<void> {
  const world = await makeWorld(context, "frames");
  const values: Values = {};
  const begun = transcriptOf(context, world);
  await world.talk.usual(begun);
  await tell(world, begun, "Before anybody listens", PUBLICATIONS_OF_TOPICS, values);
  nameTokens(begun, values);
  const lives = await connectAll(context, world, values);
  await tell(world, begun, "While they listen", PUBLICATIONS, values);
  await world.talk.settle();
  for (const live of lives) await live.quiet();
  for (const live of lives) live.mark("the server stops");
  await world.close();
  for (const live of lives) {
    await live.ended;
    live.save();
  }
  begun.save("publications.txt");
  await recordSystem(context);
}

/** Notices for operators are gathered over time: of each type the first one, whatever its offset. */
async function recordSystem(context: Context): Promise<void> {
  const world = await makeWorld(context, "system");
  const transcript = new Transcript(context, { connectionId: "<connection>", offset: "<offset>", queues: "<queues>" });
  nameWorld(transcript, world);
  const headers = { Authorization: `Bearer ${world.talk.adminToken}` };
  const file = { name: "native-system", transcript, isOncePerType: true };
  const live = await openWebSocket(file, world.server.url.replace("http", "ws"), "/ws", headers);
  await live.say(JSON.stringify({ op: "subscribe", stream: "system" }));
  for (const act of ["pause", "resume"]) {
    await world.talk.made("POST", `/api/v1/queues/timers/${act}`, {});
    await live.quiet();
  }
  const timer = {
    label: "soon",
    delayMs: 1000,
    action: { type: "notify", payload: { userId: "me", title: "t", message: "m" } },
  };
  await world.talk.made("POST", "/api/v1/time/trigger", timer);
  await live.quiet();
  await world.close();
  await live.ended;
  live.save();
}

function nameTokens(transcript: Transcript, values: Values): void {
  for (const name of ["client", "application"]) transcript.name(values[name] ?? "none", `token of ${name}`);
}

/** Names of secrets are the same in each file. */
function transcriptOf(context: Context, world: World): Transcript {
  const transcript = new Transcript(context, { connectionId: "<connection>", sid: "<session>", ts: "<now>" });
  nameWorld(transcript, world);
  return transcript;
}

async function connectAll(context: Context, world: World, values: Values): Promise<Live[]> {
  const { url } = world.server;
  const ws = url.replace("http", "ws");
  const admin = { Authorization: `Bearer ${world.talk.adminToken}` };
  const files = (name: string) => {
    const transcript = transcriptOf(context, world);
    nameTokens(transcript, values);
    return { name, transcript };
  };
  const socket = (name: string, path: string, headers: Record<string, string> = {}): Promise<Live> =>
    openWebSocket(files(name), ws, path, headers);
  const stream = (name: string, path: string, headers: Record<string, string> = {}): Promise<Live> =>
    openStream(files(name), url, path, headers);
  const subscriptions = [
    ...["project:{shop}", "user:me", "channel:news", "tasks:me", "messages:me", "project:none", "nothing"],
  ].map((name, index) => ({ op: "subscribe", id: String(index), stream: name.replace("{shop}", world.shop) }));
  const native = await socket("native", "/ws", admin);
  for (const message of [
    ...subscriptions,
    { op: "subscribe", id: "f", stream: "channel:other", filter: { types: ["a"] } },
    { op: "unsubscribe", id: "u", stream: "channel:other" },
    { op: "ack", id: "a", stream: "user:me", offset: 0 },
    { op: "ping", id: "p" },
    { op: "nothing", id: "n" },
    { op: "subscribe" },
  ])
    await native.say(JSON.stringify(message));
  const broken = await socket("native-no-json", "/ws", admin);
  await broken.say("no JSON");
  const early = await socket("native-from-earliest", "/ws", admin);
  await early.say(JSON.stringify({ op: "subscribe", stream: "user:me", from: "earliest" }));
  await early.say(JSON.stringify({ op: "subscribe", stream: `project:${world.shop}`, from: "earliest" }));
  const key = await socket("native-by-key", "/ws", { "X-API-Key": world.keys["all"] ?? "" });
  await key.say(JSON.stringify({ op: "subscribe", stream: `project:${world.shop}` }));
  await key.say(JSON.stringify({ op: "subscribe", stream: "user:me" }));
  const tasks = await socket("tasks", `/ws/updates?token=${world.talk.adminToken}`);
  for (const message of [{ type: "SUBSCRIBE_TASKS" }, { type: "PING" }, { type: "NOTHING" }])
    await tasks.say(JSON.stringify(message));
  return [
    native,
    broken,
    early,
    key,
    tasks,
    await socket("refused-without-credential", "/ws"),
    await socket("refused-project", "/realtime/none", admin),
    await socket("refused-viewer", `/realtime/${world.shop}`, { Authorization: `Bearer ${world.tokens["Viewer"]}` }),
    await socket("pulseboard", `/realtime/${world.shop}`, admin),
    await stream("sse", `/realtime/${world.shop}/sse`, admin),
    await stream("sse-from-start", `/realtime/${world.shop}/sse?lastEventId=0`, admin),
    await stream("sse-refused", `/realtime/${world.shop}/sse`),
    await stream("sse-notifications", "/api/v1/notifications/stream?changes=true", admin),
    ...(await socketIo(socket, world)),
    ...(await pusher(socket, world)),
    ...(await Promise.all(
      ["json", "sse", "raw"].map((form) => stream(`ntfy-${form}`, `/ntfy/disks,deploys/${form}?since=all`, BASIC)),
    )),
    await socket("ntfy-ws", "/ntfy/disks/ws", BASIC),
    await socket("ntfy-ws-refused", "/ntfy/disks/ws"),
    await socket("gotify", `/gotify/stream?token=${values["client"]}`),
    await socket("gotify-refused", "/gotify/stream?token=wrong"),
  ];
}

type Open = (name: string, path: string, headers?: Record<string, string>) => Promise<Live>;

async function socketIo(open: Open, world: World): Promise<Live[]> {
  const path = "/socket.io/?EIO=4&transport=websocket";
  const live = await open("socketio", path);
  await live.say(`40${JSON.stringify({ token: world.talk.adminToken })}`);
  const streams = [`project:${world.shop}`, "channel:news", "tasks:me", "messages:me", "project:none"];
  for (const [index, stream] of streams.entries())
    await live.say(`42${index}${JSON.stringify(["subscribe", { stream }])}`);
  await live.say(`429${JSON.stringify(["unsubscribe", { stream: "messages:me" }])}`);
  await live.tell(`42${JSON.stringify(["nothing", {}])}`);
  const refused = await open("socketio-refused", path);
  await refused.say(`40${JSON.stringify({ token: "wrong" })}`);
  return [live, refused];
}

async function pusher(open: Open, world: World): Promise<Live[]> {
  const path = `/app/${PUSHER.key}?protocol=7&client=js&version=8.0.0`;
  const live = await open("pusher", path);
  const socketId = String(at(JSON.parse(String(at(live.last, "data"))), "socket_id"));
  const subscribe = async (channel: string): Promise<void> => {
    const data = (await world.talk.made("POST", "/pusher/auth", {
      socket_id: socketId,
      channel_name: channel,
    })) as object;
    await live.say(JSON.stringify({ event: "pusher:subscribe", data: { channel, ...data } }));
  };
  await live.say(JSON.stringify({ event: "pusher:subscribe", data: { channel: "news" } }));
  await subscribe(`private-project-${world.shop}`);
  await subscribe(`private-user-${world.adminId}`);
  await subscribe("presence-lobby");
  await live.say(JSON.stringify({ event: "pusher:subscribe", data: { channel: "private-a", auth: "wrong:1" } }));
  await live.tell(JSON.stringify({ event: "client-typing", channel: "presence-lobby", data: "{}" }));
  await live.say(JSON.stringify({ event: "pusher:ping", data: {} }));
  await live.say(JSON.stringify({ event: "pusher:nothing", data: {} }));
  const other = await open("pusher-other", path);
  const otherId = String(at(JSON.parse(String(at(other.last, "data"))), "socket_id"));
  const data = JSON.stringify({ user_id: "2" });
  const auth = `${PUSHER.key}:${createHmac("sha256", PUSHER.secret).update(`${otherId}:presence-lobby:${data}`).digest("hex")}`;
  await other.say(
    JSON.stringify({ event: "pusher:subscribe", data: { channel: "presence-lobby", auth, channel_data: data } }),
  );
  await other.tell(JSON.stringify({ event: "pusher:unsubscribe", data: { channel: "presence-lobby" } }));
  return [live, other, await open("pusher-wrong-key", "/app/none?protocol=7")];
}
