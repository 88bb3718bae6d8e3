import { Badge, Time } from "../../ui/index.ts";
import { DST, type NextRun } from "./schedule-types.ts";

/** The next runs, with marks where the clock changes. */
export function NextRuns({ runs }: { readonly runs: readonly NextRun[] }) {
  if (runs.length === 0) return <p class="muted">It does not run.</p>;
  return (
    <ol class="stack s2 plain-list">
      {runs.map(({ at, local, dst }) => (
        <li key={at} class="spread">
          <span class="num nowrap">{local.slice(0, 16).replace("T", " ")}</span>
          <span class="inline">
            {dst && (
              <Badge tone="warn" title={DST[dst]}>
                {dst}
              </Badge>
            )}
            <span class="muted small">
              <Time at={at} />
            </span>
          </span>
        </li>
      ))}
    </ol>
  );
}
