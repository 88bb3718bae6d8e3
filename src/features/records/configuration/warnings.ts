import { PrismError } from "../../../core/errors.ts";
import { inZone, toRfc3339 } from "../../../core/time/clock.ts";
import type { PlannedWarning, Spec } from "../../../module/config-kind.ts";
import type { Trx } from "../../../store/database.ts";
import type { Compared } from "./compare.ts";
import { kindIn, type ReadRequest, storedAs, type Wanted } from "./reading.ts";
import type { KeptTurn, PlanWarning } from "./schema.ts";

/* Warnings of a plan: of what it changes only. Nothing is refused because of them. */

/** Turns that a request moves, and the request without such moves. */
export interface MovedTurns {
  readonly reading: ReadRequest;
  readonly warnings: readonly PlanWarning[];
  readonly kept: readonly KeptTurn[];
}

/** Whose turn changed schedules would move. @param isKept the turns of now are kept, by anchors */
export function turnsOf(reading: ReadRequest, isKept: boolean): MovedTurns {
  const warnings: PlanWarning[] = [];
  const kept: KeptTurn[] = [];
  const wanted = reading.wanted.map((each): Wanted => {
    const { kind, projectId, name, renamedFrom, given } = each;
    const stored = storedAs(reading.lists, kind, projectId, [name, renamedFrom]);
    if (!stored || !kind.turned) return each;
    const turned = attempt(() => kind.turned?.(stored, each.spec));
    if (!turned) return each;
    const nameOf = (id: string) => reading.names.of(projectId, []).nameOf("people", id)?.name ?? id;
    const where = { kind: kind.kind, noun: kind.noun, project: given.project ?? null, name, at: given.at ?? null };
    for (const { shift, isNow, at, before, after, anchor } of turned.turns) {
      const line = anchor && { on: anchor.on, turn: anchor.turn.map(nameOf) };
      if (line && isKept) {
        kept.push({ ...where, shift, anchor: line });
        continue;
      }
      const [from, to] = [before, after].map((users) => users.map(nameOf).join(", "));
      const when = isNow ? "on call now is" : `on call from ${inZone(toRfc3339(at), zoneOf(each.spec))} is`;
      const hint = line
        ? `write anchor: { on: ${line.on}, turn: [${line.turn.join(", ")}] } at it, or use --keep-now`
        : `none of its turns is that of ${from}`;
      warnings.push({ ...where, code: "turn-moved", message: `${shift}: ${when} ${to} in place of ${from}; ${hint}` });
    }
    return isKept ? { ...each, spec: turned.kept } : each;
  });
  return { reading: { ...reading, wanted }, warnings, kept };
}

/** Of a schedule. */
export function zoneOf({ timezone }: Spec): string {
  return typeof timezone === "string" ? timezone : "UTC";
}

/** What is not valid is a problem of its own. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof PrismError) return undefined;
    throw error;
  }
}

/** Ways that lead nowhere, in the transaction that has made the changes. */
export async function deadWays(trx: Trx, reading: ReadRequest, { steps }: Compared): Promise<PlanWarning[]> {
  const found: PlanWarning[] = [];
  for (const projectId of new Set(steps.flatMap((step) => step.projectId ?? []))) {
    const own = steps.filter((step) => step.projectId === projectId);
    const changes = own.map(({ kind, id, name, wanted, spec, stored }) => ({
      ...{ kind: kind.kind, id, name, spec: wanted && spec, stored },
      alerts: (wanted && kind.alertLabels?.(spec)) ?? null,
    }));
    for (const kind of reading.kinds)
      for (const each of (await kind.warnings?.(trx, projectId, changes)) ?? [])
        found.push(placed(reading, projectId, each));
  }
  return found;
}

function placed(reading: ReadRequest, projectId: string, { kind, name, code, message }: PlannedWarning): PlanWarning {
  const given = reading.wanted.find(
    (each) => each.kind.kind === kind && each.projectId === projectId && each.name === name,
  )?.given;
  const project = reading.slugs.get(projectId) ?? given?.project ?? null;
  const { noun = kind } = kindIn(reading.kinds, kind, projectId) ?? {};
  return { kind, noun, project, name, at: given?.at ?? null, code, message };
}
