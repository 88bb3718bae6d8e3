import type { RecognizedString, TemplatedApp } from "uWebSockets.js";
import type { SessionChannel } from "./session-channel.ts";

/**
 * Topics of all sessions, whatever they are carried by: those with a WebSocket follow topics of uWebSockets in the main namespace, each app its own (a
 * new certificate makes another app beside the old one); those that poll, and other namespaces, are written to one by one.
 */
export class SocketIoTopics implements Pick<TemplatedApp, "publish"> {
  readonly #apps: TemplatedApp[] = [];
  readonly #direct = new Map<string, Set<SessionChannel>>();

  add(app: TemplatedApp): void {
    this.#apps.push(app);
  }

  join(topic: string, channel: SessionChannel): void {
    const channels = this.#direct.get(topic);
    if (channels) channels.add(channel);
    else this.#direct.set(topic, new Set([channel]));
  }

  leave(topic: string, channel: SessionChannel): void {
    const channels = this.#direct.get(topic);
    if (channels?.delete(channel) && channels.size === 0) this.#direct.delete(topic);
  }

  publish(topic: RecognizedString, message: RecognizedString, isBinary = false, isCompressed = false): boolean {
    for (const app of this.#apps) app.publish(topic, message, isBinary, isCompressed);
    this.#sendDirectly(String(topic), message, isCompressed);
    return true;
  }

  #sendDirectly(topic: string, message: RecognizedString, isCompressed: boolean): void {
    const channels = this.#direct.get(topic);
    if (!channels) return;
    const text = typeof message === "string" ? message : Buffer.from(message as Uint8Array).toString();
    for (const channel of channels) channel.send(text, false, isCompressed);
  }
}
