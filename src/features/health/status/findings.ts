import type { Finding } from "../../../core/finding.ts";
import { withinOr } from "../../../core/promises.ts";
import type { Uses } from "../../../module/feature.ts";
import type { FeatureFindings } from "../../../module/findings.ts";
import { PROBLEM_TEXT } from "../../../store/write-health.ts";

/** A write that takes longer counts as refused. */
const WRITE_LIMIT_MS = 10_000;

type Parts = Uses<"storage" | "store" | "ownWarnings">;

/** What is below the features: room to store, and the settings in use. */
export const serverFindings: FeatureFindings<Parts> = {
  known: ({ storage, ownWarnings }) => [
    ...(storage.problem === null ? [] : [noRoom(storage.problem, storage.freeBytes)]),
    ...ownWarnings().map(ofSettings),
  ],
  lastResort: { "store-refuses-writes": refusedWrites },
};

function noRoom(problem: "disk" | "limit", freeBytes: number): Finding {
  return {
    ...{ code: problem === "disk" ? "disk" : "size limit", severity: "critical" },
    text: problem === "disk" ? "The disk is almost full" : "The database has reached its limit",
    shown: {
      ...{ kind: "storage", key: "storage", link: "/settings" },
      detail: "New data is refused until there is room",
    },
    entries: { key: "storage", began: ["storage.low", { freeBytes }], ended: ["storage.recovered", {}] },
  };
}

function ofSettings(text: string): Finding {
  const shown = { kind: "config", key: `config:${text}`, detail: "", link: "/settings" } as const;
  return { code: "server", severity: "info", subject: text, text, shown };
}

async function refusedWrites({ store, storage }: Parts): Promise<Finding | null> {
  const problem = (await withinOr(WRITE_LIMIT_MS, store.health.check(), () => "blocked" as const)) ?? storage.problem;
  if (problem === null) return null;
  return { code: "store-refuses-writes", severity: "critical", pages: "last resort", text: PROBLEM_TEXT[problem] };
}
