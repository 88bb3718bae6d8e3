import { type Accepted, type Caller, DeadTarget, ProviderDown } from "../../sender.ts";
import type { PushClient, PushMessage } from "./push-client.ts";

/** Hands messages to one push provider. */
export class PushCaller implements Caller<PushMessage> {
  readonly #channel: "fcm" | "apns";
  readonly #client: PushClient | null;

  /** @param client null: the provider is not configured. */
  constructor(channel: "fcm" | "apns", client: PushClient | null) {
    this.#channel = channel;
    this.#client = client;
  }

  get isConfigured(): boolean {
    return this.#client !== null;
  }

  async call(message: PushMessage, signal: AbortSignal): Promise<Accepted> {
    const answer = await this.#configured().send(message, signal);
    if (answer.kind === "accepted") return answer.providerId === undefined ? {} : { providerId: answer.providerId };
    throw new DeadTarget(answer.reason, answer.since === undefined ? {} : { since: answer.since });
  }

  check(): Promise<void> {
    return this.#configured().check();
  }

  close(): void {
    this.#client?.close();
  }

  #configured(): PushClient {
    if (!this.#client) throw new ProviderDown(`${this.#channel} is not configured`);
    return this.#client;
  }
}
