import { leave, PusherJs } from "../pusher-client.ts";
import { type Follower, type FollowerKind, type FollowTarget, Ledger } from "./ledger.ts";

interface Told {
  readonly offset: number;
  readonly title: string;
}

const TRY_AGAIN_MS = 50;
/**
 * The library retries a refused connection after 15 s, then 30 s, then 60 s; an application that
 * cannot wait reconnects itself.
 */
const UNAVAILABLE_AFTER_MS = 700;

/**
 * `pusher-js`, which connects again by itself, and reads over HTTP what it missed before it
 * believes what comes live.
 */
class PusherFollower implements Follower {
  readonly ledger = new Ledger();
  readonly #target: FollowTarget;
  readonly #pusher: InstanceType<typeof PusherJs>;
  /** What came live while the missed ones are being read; null: nothing is being read. */
  #early: Told[] | null = [];
  /** Counts subscriptions: what was being read for an earlier one is of no interest. */
  #turn = 0;

  constructor(target: FollowTarget) {
    this.#target = target;
    const { hostname, port } = new URL(target.url);
    this.#pusher = new PusherJs(target.pusherKey, {
      cluster: "",
      wsHost: hostname,
      wsPort: Number(port),
      forceTLS: false,
      enabledTransports: ["ws"],
      unavailableTimeout: UNAVAILABLE_AFTER_MS,
      channelAuthorization: {
        transport: "ajax",
        endpoint: `${target.url}/pusher/auth`,
        headers: { Authorization: `Bearer ${target.token}` },
      },
    });
    this.#pusher.connection.bind("unavailable", () => setImmediate(() => this.#beginAnew()));
    const channel = this.#pusher.subscribe(`private-user-${target.userId}`);
    channel.bind("pusher:subscription_succeeded", () => {
      this.ledger.connections++;
      void this.#catchUp();
    });
    channel.bind("notification", (told: Told) => {
      if (this.#early) this.#early.push(told);
      else this.#take(told);
    });
  }

  close(): void {
    this.#turn = Number.NaN;
    leave(this.#pusher);
  }

  #beginAnew(): void {
    if (Number.isNaN(this.#turn)) return;
    this.#pusher.disconnect();
    this.#pusher.connect();
  }

  async #catchUp(): Promise<void> {
    const turn = ++this.#turn;
    this.#early = [];
    const since = this.ledger.offset ?? 0;
    let cursor: string | null = "";
    while (cursor !== null && turn === this.#turn) {
      const page = await this.#missed(since, cursor);
      if (page && turn === this.#turn) for (const told of page.data) this.#take(told);
      if (page) cursor = page.nextCursor;
      else await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS));
    }
    if (turn !== this.#turn) return;
    for (const told of this.#early) this.#take(told);
    this.#early = null;
  }

  async #missed(since: number, cursor: string): Promise<{ data: Told[]; nextCursor: string | null } | null> {
    const { url, token } = this.#target;
    const query = new URLSearchParams({ since: String(since), limit: "100", ...(cursor ? { cursor } : {}) });
    const headers = { Authorization: `Bearer ${token}` };
    try {
      const reply = await fetch(`${url}/api/v1/notifications/missed?${query}`, { headers });
      if (reply.ok) return (await reply.json()) as { data: Told[]; nextCursor: string | null };
      this.ledger.fault(`missed answered ${reply.status}: ${await reply.text()}`);
    } catch {
      // The server is gone; the connection notices as well.
    }
    return null;
  }

  #take({ offset, title }: Told): void {
    this.ledger.take(offset, Number(title));
  }
}

export const PUSHER_FOLLOWER: FollowerKind = {
  name: "pusher-js",
  follows: "notifications",
  follow: (target) => new PusherFollower(target),
};
