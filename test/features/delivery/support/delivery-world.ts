import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { DeliveryItem as DeliveryRow } from "../../../../src/client/api-types.gen.ts";
import type { OutsideChannel } from "../../../../src/store/schema.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, type PrismOptions, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { steadyJitter } from "../../../helpers/steady-jitter.ts";
import { rowsOf } from "../../../helpers/tables.ts";

export type { DeliveryItem as DeliveryRow } from "../../../../src/client/api-types.gen.ts";

/** A machine that does much else at once is slow. */
const PATIENCE_MS = 60_000;

/** A server with channels that lead out, on a clock of its own, and people to tell. */
export class DeliveryWorld {
  readonly prism: TestPrism;
  readonly clock: FakeClock;

  private constructor(prism: TestPrism, clock: FakeClock) {
    this.prism = prism;
    this.clock = clock;
  }

  /** Access tokens that outlast what a test lets pass, and back-offs without chance. */
  static async open(
    t: TestContext,
    { settings, clock = new FakeClock(), ...options }: PrismOptions & { clock?: FakeClock } = {},
  ): Promise<DeliveryWorld> {
    steadyJitter(t);
    const prism = await startPrism(t, {
      ...options,
      clock,
      settings: { "auth.accessExpires": "86400000", ...settings },
    });
    return new DeliveryWorld(prism, clock);
  }

  /** A user with a mail address, `<name>@example.com`. */
  async person(name: string, prefs: object = {}, timezone = "UTC"): Promise<{ id: string; token: string }> {
    const person = await makeUser(this.prism, name, ["User"]);
    const changes = { email: `${name}@example.com`, prefs: JSON.stringify(prefs), timezone };
    await this.prism.services.db.write((trx) =>
      trx.updateTable("users").set(changes).where("id", "=", person.id).execute(),
    );
    return person;
  }

  /** @returns the notification's id. */
  async notify(recipients: readonly string[], channels: readonly string[], body: object = {}): Promise<string> {
    const notification = { recipients, channels, title: "Door open", message: "The door is open", ...body };
    const { body: made } = await answered(201, this.prism.post("/api/v1/notifications", notification));
    return String(made["id"]);
  }

  deliveries(notificationId: string): DeliveryRow[] {
    const rows = rowsOf<DeliveryRow>(
      this.prism,
      "select * from deliveries where notificationId = ? order by id",
      notificationId,
    );
    return rows;
  }

  /** Waits until this many deliveries of a notification, all of them, are in a state. */
  async until(notificationId: string, state: string, count = 1): Promise<DeliveryRow[]> {
    let last: DeliveryRow[] = [];
    const ask = (): DeliveryRow[] | null => {
      last = this.deliveries(notificationId);
      return last.length === count && last.every((row) => row.state === state) ? last : null;
    };
    return eventually(`${count} deliveries are ${state}`, ask, PATIENCE_MS).catch((error: Error) => {
      throw new Error(`${error.message}; they are ${JSON.stringify(last)}`, { cause: error });
    });
  }

  async only(notificationId: string, state: string): Promise<DeliveryRow> {
    const [row] = await this.until(notificationId, state);
    assert.ok(row);
    return row;
  }

  /** Waits until a delivery is to be tried again: with backoff, or at the time that the provider named. */
  async putOff(notificationId: string): Promise<DeliveryRow> {
    return eventually("a delivery is put off", () =>
      this.deliveries(notificationId).find(({ state, reason }) => state === "failed" || reason === "asked to wait"),
    );
  }

  /** Waits until a delivery is held for a reason, its job with it. */
  async untilHeld(notificationId: string, reason: string): Promise<DeliveryRow> {
    return eventually(
      `a delivery waits: ${reason}`,
      () =>
        this.deliveries(notificationId).find(
          (row) => row.state === "queued" && row.reason === reason && this.dueAt(row.id) !== undefined,
        ),
      PATIENCE_MS,
    );
  }

  /** When the job of a delivery that waits is due. */
  dueAt(deliveryId: string): number | undefined {
    const [job] = rowsOf<{ runAt: number }>(
      this.prism,
      "select runAt from jobs where id = ? and state in ('scheduled', 'retrying')",
      deliveryId,
    );
    return job?.runAt;
  }

  /** Time passes, and what has become due begins. */
  pass(ms: number): void {
    this.clock.advance(ms);
    this.prism.parts.offers.runner.enqueued([]);
  }

  /** Goes to the time of the next attempt at a delivery. */
  async passToAttempt(deliveryId: string): Promise<void> {
    const dueAt = await eventually("an attempt waits", () => this.dueAt(deliveryId), PATIENCE_MS);
    this.pass(Math.max(0, dueAt - this.clock.now()));
  }

  /** Audit rows of a notification by a channel, oldest first. */
  audit(notificationId: string, channel: OutsideChannel): { action: string; metadata: object }[] {
    const rows = rowsOf<{ action: string; metadata: string }>(
      this.prism,
      "select action, metadata from audit_log where resourceId = ? order by seq",
      notificationId,
    );
    return rows
      .map(({ action, metadata }) => ({ action, metadata: JSON.parse(metadata) as { channel?: string } }))
      .filter(({ metadata }) => metadata.channel === channel);
  }
}
