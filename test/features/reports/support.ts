import type { TestContext } from "node:test";
import { uuidv7 } from "../../../src/core/ids.ts";
import { answered, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";

export { IncidentWorld, MINUTE };
export const DAY = 86_400_000;

type Row = Readonly<Record<string, string | number | null>>;

/** An ended incident with its timeline and pages, as they would be stored. */
export interface MadeIncident {
  readonly incident: Row;
  readonly log: readonly Row[];
  readonly pages: readonly Row[];
}

/** Rows like those of a real incident, with other values. */
export class Maker {
  readonly #prism: TestPrism;
  readonly #incident: Row;
  #number = 1000;

  private constructor(prism: TestPrism, incident: Row) {
    this.#prism = prism;
    this.#incident = incident;
  }

  /** @param incident a row of a real one */
  static from(prism: TestPrism, incident: Row): Maker {
    return new Maker(prism, { ...incident, state: "resolved", severity: null });
  }

  static async of(world: IncidentWorld): Promise<Maker> {
    await world.fire("template");
    await world.pass(MINUTE);
    await world.resolveAlert("template");
    await world.pass(10 * MINUTE);
    const { prism } = world;
    const [incident] = rowsOf<Row>(prism, "select * from incidents");
    if (!incident) throw new Error("no incident");
    await world.db.write((trx) => trx.deleteFrom("incident_alerts").execute());
    await world.db.write((trx) => trx.deleteFrom("incidents").execute());
    return Maker.from(prism, incident);
  }

  incident(values: Row): Row {
    const id = uuidv7();
    const row = { ...this.#incident, id, number: this.#number++, groupKey: id, ...values };
    return { ...row, policyVersion: 0, forPeople: values["forPeople"] ?? 1 };
  }

  page(values: Row): Row {
    return { ...PAGE, id: uuidv7(), ...values };
  }

  async store(made: readonly MadeIncident[]): Promise<void> {
    await this.#insert(
      "incidents",
      made.map(({ incident }) => incident),
    );
    await this.#insert(
      "incident_log",
      made.flatMap(({ log }) => log),
    );
    await this.#insert(
      "pages",
      made.flatMap(({ pages }) => pages),
    );
  }

  async #insert(table: "incidents" | "incident_log" | "pages", rows: readonly Row[]): Promise<void> {
    const [first] = rows;
    if (!first) return;
    const names = Object.keys(first);
    const picked = names.map((name) => `value ->> '$.${name}'`).join(", ");
    const sql = `insert into ${table} (${names.map((name) => `"${name}"`).join(", ")}) select ${picked} from json_each(?)`;
    const { later } = await import("../../../src/store/database.ts");
    for (let at = 0; at < rows.length; at += 2000)
      await this.#prism.services.db.write(async (trx) => later(trx, sql, [JSON.stringify(rows.slice(at, at + 2000))]));
  }
}

const PAGE: Row = {
  ...{ kind: "delivery", way: "w", target: "t", provider: "p", owner: "o", channel: null, step: 0 },
  ...{ notificationId: null, reason: "step", urgency: "high", severity: 3, isEnd: 0, content: "{}" },
  ...{ outcome: "delivered", note: null, attempts: 1, rings: 0, lostAnswers: 0, updatedAt: 0, endedAt: 1 },
};

export function factsOf(world: IncidentWorld) {
  return rowsOf<Record<string, unknown>>(world.prism, "select * from incident_facts order by number");
}

export const HOUR = 60 * MINUTE;
export const LONG = { "auth.accessExpires": "30d", "rateLimit.enabled": "false" };

export interface Given {
  readonly name: string;
  readonly at: number;
  readonly lastsMs: number;
  readonly ack?: readonly [userId: string, afterMs: number];
  readonly pages?: readonly string[];
  readonly by?: string;
  readonly projectId?: string;
}

/** A server with a past. */
export class ReportWorld {
  readonly world: IncidentWorld;
  readonly maker: Maker;

  private constructor(world: IncidentWorld, maker: Maker) {
    this.world = world;
    this.maker = maker;
  }

  static async start(t: TestContext, settings: Record<string, string> = {}): Promise<ReportWorld> {
    const world = await IncidentWorld.start(t, { ...LONG, ...settings });
    return new ReportWorld(world, await Maker.of(world));
  }

  /** Ended incidents, some hours ago. */
  async happened(given: readonly Given[]): Promise<void> {
    const made = given.map(
      ({ name, at, lastsMs, ack, pages = [], by = "alerts", projectId = this.world.projectId }): MadeIncident => {
        const openedAt = this.world.clock.now() - at;
        const incident = this.maker.incident({
          ...{ projectId, openedAt, notifiedAt: openedAt + MINUTE, resolvedAt: openedAt + lastsMs, resolvedBy: by },
          ...{ groupLabels: JSON.stringify({ alertname: name, env: "prod" }), title: name },
        });
        const incidentId = String(incident["id"]);
        const line = { incidentId, seq: 1, data: "{}", kind: "acknowledged" };
        const log = ack ? [{ ...line, actor: ack[0], at: openedAt + ack[1] }] : [];
        const page = { incidentId, projectId, createdAt: openedAt + MINUTE, deliveredAt: openedAt + MINUTE };
        return { incident, log, pages: pages.map((userId) => this.maker.page({ ...page, userId })) };
      },
    );
    await this.maker.store(made);
    await this.world.prism.parts.offers.reports.collect();
  }

  async get<T>(path: string, token?: string): Promise<T> {
    const options = token === undefined ? {} : { token };
    return (await answered(200, this.world.prism.get<T>(`/api/v1/reports/${path}`, options))).body;
  }
}
