import type { TestContext } from "node:test";
import Pusher from "pusher";
import type { TestPrism } from "../../helpers/prism.ts";
import { type Message, type SocketOptions, WebSocketClient } from "./web-socket-client.ts";

/** A bare socket of `/app/:key`, once it knows its id. */
export interface RawPusher {
  readonly client: WebSocketClient;
  readonly socketId: string;
}

/** @param path default: the app's own, with protocol 7 */
export function openRaw(
  t: TestContext,
  prism: TestPrism,
  path = `/app/${prism.parts.offers.pusher.key}?protocol=7`,
  options: SocketOptions = {},
): Promise<WebSocketClient> {
  return WebSocketClient.openFor(t, prism.wsUrl + path, options);
}

export async function establish(t: TestContext, prism: TestPrism, options?: SocketOptions): Promise<RawPusher> {
  const client = await openRaw(t, prism, undefined, options);
  const { socket_id } = dataOf<{ socket_id: string }>(await client.expect({ event: "pusher:connection_established" }));
  return { client, socketId: socket_id };
}

/** What a message carries: JSON in a string, as of every message of the server. */
export function dataOf<T = Record<string, unknown>>({ data }: Message): T {
  if (typeof data !== "string") throw new Error(`the data are no string: ${JSON.stringify(data)}`);
  return JSON.parse(data) as T;
}

/**
 * A signature by Pusher's own server library: that of another backend which has the app's secret.
 */
export function signByLibrary(
  prism: TestPrism,
  socketId: string,
  channel: string,
  member?: { readonly user_id: string; readonly user_info?: Record<string, unknown> },
): { auth: string; channel_data?: string } {
  const library = new Pusher({ ...prism.parts.offers.pusher, host: "127.0.0.1" });
  return library.authorizeChannel(socketId, channel, member);
}

/** Subscribes. @returns the outcome */
export async function subscribe(
  { client }: RawPusher,
  channel: string,
  signed: { readonly auth?: string; readonly channel_data?: string } = {},
): Promise<Message> {
  const before = client.messages.length;
  client.send({ event: "pusher:subscribe", data: { channel, ...signed } });
  for (;;) {
    const isAnswer = (message: Message): boolean =>
      message["channel"] === channel && /:subscription_(succeeded|error)$/.test(String(message["event"]));
    const answer = client.messages.slice(before).find(isAnswer);
    if (answer) return answer;
    if (client.socket.readyState !== client.socket.OPEN) throw new Error(`closed; came: ${client.texts.join("\n")}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The code of a connection's last words, and of its close frame. */
export async function endOf(client: WebSocketClient): Promise<[said: unknown, closed: number]> {
  const { code } = await client.end;
  const last = client.messages.at(-1);
  return [last?.["event"] === "pusher:error" ? dataOf(last)["code"] : last, code];
}
