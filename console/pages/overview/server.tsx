import type { AttentionItem, Stats } from "../../../src/client/api-types.gen.ts";
import { AttentionItems, type AttentionState } from "./attention.tsx";
import { DeliveryChart, JobChart, ServerCards } from "./figures.tsx";
import { HealthLine } from "./health-line.tsx";
import type { Range } from "./overview-types.ts";

const OF_SERVER: ReadonlySet<AttentionItem["kind"]> = new Set([
  ...(["jobs", "queue", "module", "events", "watch", "storage", "audit", "config"] as const),
]);

/** What is for those who operate the server; what endangers notifications is for everyone who may see it. */
export function isOfServer({ kind, severity }: AttentionItem): boolean {
  return OF_SERVER.has(kind) && severity !== "critical";
}

interface Props {
  readonly attention: AttentionState;
  readonly stats: Stats | undefined;
  readonly range: Range;
}

/** For who operates the server: its health, deliveries and jobs. */
export function Server({ attention, stats, range }: Props) {
  const items = (attention.items ?? []).filter(isOfServer);
  return (
    <section class="section" aria-label="Server">
      <h2>Server</h2>
      <HealthLine />
      {items.length > 0 && <AttentionItems items={items} done={attention.done} />}
      <ServerCards stats={stats} range={range} />
      <div class="grid2">
        <DeliveryChart stats={stats} range={range} />
        <JobChart stats={stats} range={range} />
      </div>
    </section>
  );
}
