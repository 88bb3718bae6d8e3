import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { chanceOf } from "../../helpers/chance.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { factsOf, IncidentWorld, type MadeIncident, Maker, MINUTE } from "./support.ts";

const KEYS = 40;
const HOUR = 60 * MINUTE;
const ENDS = ["alerts", "timeout", "auto", "policy", "moved", "person"] as const;
const RESPONSES = ["acknowledged", "snoozed", "reassigned"] as const;

interface Expected {
  readonly number: number;
  readonly key: string;
  readonly openedAt: number;
  readonly resolvedAt: number;
  readonly pagedAt: number | null;
  readonly firstAckAt: number | null;
  readonly pages: number;
  readonly [column: string]: unknown;
}

/** Stores random incidents, and compares their facts and days with a recount of timeline and pages. */
export async function recount(t: TestContext, count: number): Promise<void> {
  const world = await IncidentWorld.start(t);
  const people = [await world.member("ann"), await world.member("bob")].map(({ id }) => id);
  const maker = await Maker.of(world);
  const chance = chanceOf(t);
  const below = (most: number): number => chance.integer(0, most - 1);
  const happens = (share: number): boolean => below(1000) < share * 1000;
  const pick = <T>(of: readonly T[]): T => of[below(of.length)] as T;
  const start = world.clock.now() - 80 * 24 * HOUR;
  const made: MadeIncident[] = [];
  const expected: Expected[] = [];
  for (let n = 0; n < count; n += 1) {
    const openedAt = start + below(79 * 24 * HOUR);
    const resolvedAt = openedAt + (happens(0.3) ? below(5 * MINUTE) : below(6 * HOUR)) + 1;
    const by = pick(ENDS);
    const person = pick(people);
    const forPeople = happens(0.95) ? 1 : 0;
    const key = below(KEYS);
    const groupLabels = JSON.stringify({ alertname: `A${key}`, zone: "z", host: `h${key % 7}`, app: "x" });
    const notifiedAt = happens(0.9) ? openedAt + below(MINUTE) : null;
    const severity = pick(["critical", "warning", null] as const);
    const incident = maker.incident({
      ...{ openedAt, resolvedAt, notifiedAt, groupLabels, forPeople, severity, urgency: "high" },
      ...{ resolvedBy: by === "person" ? person : by, title: `A${key}`, alerts: 1 + below(9) },
    });
    const id = String(incident["id"]);
    const log: { at: number; kind: string; actor: string | null }[] = [];
    if (notifiedAt !== null) log.push({ at: notifiedAt, kind: "notified", actor: null });
    for (let each = below(4); each > 0; each -= 1)
      log.push({
        at: openedAt + below(resolvedAt - openedAt),
        kind: pick([...RESPONSES, "note", "ack-expired"]),
        actor: pick(people),
      });
    log.push({ at: resolvedAt, kind: "resolved", actor: by === "person" ? person : null });
    log.sort((a, b) => a.at - b.at);
    const pages = Array.from({ length: notifiedAt === null ? 0 : below(4) }, (_, step) =>
      maker.page({
        ...{ incidentId: id, projectId: world.projectId, step, userId: happens(0.8) ? pick(people) : null },
        ...{ outcome: pick(["delivered", "delivered", "failed", "skipped"]), isEnd: happens(0.1) ? 1 : 0 },
        ...{ createdAt: (notifiedAt ?? 0) + step * MINUTE, deliveredAt: (notifiedAt ?? 0) + step * MINUTE + 900 },
        kind: happens(0.1) ? "webhook" : "delivery",
      }),
    );
    const rows = log.map((line, at) => ({ incidentId: id, seq: at + 1, data: "{}", ...line }));
    made.push({ incident, log: rows, pages });
    if (by === "moved" || forPeople === 0) continue;
    const response = log.find(
      ({ kind, actor }) => actor !== null && [...RESPONSES, "resolved"].includes(kind as never),
    );
    const told = pages.filter((page) => page["isEnd"] === 0 && page["kind"] !== "webhook");
    const tried = told.filter((page) => page["outcome"] !== "skipped").map((page) => Number(page["createdAt"]));
    const arrived = told.filter((page) => page["outcome"] === "delivered");
    expected.push({
      ...{ number: Number(incident["number"]), key: `A${key} app=x host=h${key % 7}`, openedAt, resolvedAt },
      ...{ severity: severity ?? "critical", end: by, pagedAt: tried.length > 0 ? Math.min(...tried) : notifiedAt },
      ...{ firstAckAt: response?.at ?? null, firstAckBy: response?.actor ?? null },
      ...{ pages: arrived.length, people: new Set(arrived.flatMap((page) => page["userId"] ?? [])).size },
      steps: Math.max(0, ...told.map((page) => Number(page["step"]) + 1)),
      isReassigned: log.some(({ kind }) => kind === "reassigned") ? 1 : 0,
    });
  }
  await maker.store(made);
  await world.prism.parts.offers.reports.collect();
  const ends = Map.groupBy(expected, ({ key }) => key);
  const isAgain = ({ key, openedAt, resolvedAt }: Expected) =>
    ends
      .get(key)
      ?.some(
        (each) =>
          each.resolvedAt < resolvedAt && openedAt - each.resolvedAt >= 0 && openedAt - each.resolvedAt <= 30 * MINUTE,
      );
  const wanted: readonly (Expected & { readonly reopened: number })[] = expected.map((each) => ({
    ...each,
    reopened: isAgain(each) ? 1 : 0,
  }));
  const names = Object.keys(wanted[0] ?? {});
  const facts = factsOf(world).map((row) => Object.fromEntries(names.map((name) => [name, row[name]])));
  assert.equal(facts.length, wanted.length);
  assert.deepEqual(facts, wanted);

  const [days] = rowsOf<Record<string, number>>(world.prism, SUMS);
  const acked = expected.filter(({ pagedAt, firstAckAt }) => pagedAt !== null && firstAckAt !== null);
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  assert.deepEqual(days, {
    ...{ incidents: wanted.length, paged: wanted.filter(({ pagedAt }) => pagedAt !== null).length },
    ...{ acknowledged: acked.length, reopened: sum(wanted.map(({ reopened }) => reopened)) },
    pages: sum(wanted.map(({ pages }) => Number(pages))),
    ackMs: sum(acked.map(({ pagedAt, firstAckAt }) => Math.max(0, Number(firstAckAt) - Number(pagedAt)))),
    resolveMs: sum(wanted.map(({ openedAt, resolvedAt }) => resolvedAt - openedAt)),
    ...{ inBuckets: acked.length, ends: wanted.length },
  });

  // A second run adds nothing, and finds what was left out before only until it is old.
  await world.prism.parts.offers.reports.collect();
  assert.equal(factsOf(world).length, wanted.length);
}

const SUMS = `select sum(incidents) incidents, sum(paged) paged, sum(acknowledged) acknowledged, sum(reopened) reopened,
  sum(pages) pages, sum(ackMs) ackMs, sum(resolveMs) resolveMs,
  sum((select sum(b.value) from json_each(acks) b where b.key <> 'none')) inBuckets,
  sum((select sum(b.value) from json_each(resolves) b)) ends from incident_days`;
