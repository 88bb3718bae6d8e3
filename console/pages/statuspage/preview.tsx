import type { StatusPage as StatusPageView } from "../../../src/client/api-types.gen.ts";
import { SERVER_URL } from "../../app/base.ts";
import { useQuery } from "../../app/query.ts";
import { Badge, Card, type DayOfStrip, DayStrip, formatPercent, UserText } from "../../ui/index.ts";
import { type Component, type Document, STATES, type State } from "./status-types.ts";

interface HistoryDay {
  readonly date: string;
  readonly state: State | null;
  readonly uptime: number | null;
}

interface ComponentHistory {
  readonly id: string;
  readonly uptime: number | null;
  readonly days: readonly HistoryDay[];
}

interface History {
  readonly components: readonly ComponentHistory[];
}

const TONES = { operational: "ok", maintenance: "info", degraded: "warn", partial: "warn", outage: "bad" } as const;
const LEGEND = { ok: "operational", info: "maintenance", warn: "degraded", bad: "outage", none: "no data" };

/** What visitors get; null while the page is off. */
function useHistory(address: string | null) {
  return useQuery<History>(address === null ? null : `${address} history`, async () => {
    const response = await fetch(`${address}/history.json`, { credentials: "omit" });
    return response.ok ? ((await response.json()) as History) : { components: [] };
  });
}

function dayOf({ date, state, uptime }: HistoryDay): DayOfStrip {
  if (state === null) return { day: date, tone: "none", text: "no data" };
  const share = uptime === null ? "" : `, ${formatPercent(uptime)} up`;
  return { day: date, tone: TONES[state], text: `${STATES[state].text}${share}` };
}

interface Props {
  readonly view: StatusPageView;
  readonly draft: Document;
  /** Slug of the project. */
  readonly slug: string;
}

/** The draft with the current states and the history that visitors see. */
export function Preview({ view, draft, slug }: Props) {
  const { data } = useHistory(view.enabled ? `${SERVER_URL}/status/${slug}` : null);
  const historyOf = (id: string | undefined) => data?.components.find((each) => each.id === id);
  return (
    <Card title="Preview" sub="As visitors see it, with the current states">
      <div class="stack">
        <div class="sp-preview">
          <strong>
            <UserText>{draft.title}</UserText>
          </strong>
          {draft.description !== "" && <UserText>{draft.description}</UserText>}
        </div>
        {draft.groups.map((group, g) => (
          <div class="stack s2" key={g}>
            {group.name !== "" && (
              <span class="strong">
                <UserText>{group.name}</UserText>
              </span>
            )}
            {group.components.map((component, c) => (
              <ComponentPreview
                key={component.id ?? c}
                component={component}
                state={view.states[component.id ?? ""] ?? "operational"}
                history={historyOf(component.id)}
                days={draft.historyDays}
              />
            ))}
          </div>
        ))}
        {draft.groups.length === 0 && <span class="muted">No components yet.</span>}
      </div>
    </Card>
  );
}

interface ComponentProps {
  readonly component: Component;
  readonly state: State;
  readonly history: ComponentHistory | undefined;
  /** How many the draft shows. */
  readonly days: number;
}

function ComponentPreview({ component: { name, description = "" }, state, history, days }: ComponentProps) {
  const { text, tone } = STATES[state];
  const shown = history?.days.slice(-days).map(dayOf) ?? [];
  return (
    <div class="sp-preview">
      <div class="spread">
        <UserText>{name}</UserText>
        <Badge tone={tone}>{text}</Badge>
      </div>
      {description !== "" && (
        <span class="muted small">
          <UserText>{description}</UserText>
        </span>
      )}
      {shown.length > 0 && <DayStrip label={`The last ${shown.length} days of ${name}`} days={shown} legend={LEGEND} />}
    </div>
  );
}
