import type { SilencePreview } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { LabelChips } from "../../app/matcher-field.tsx";
import type { Labels } from "../../app/matchers.ts";
import type { Preview } from "../../app/preview.ts";
import { can } from "../../app/session.ts";
import { Badge, Banner, ErrorState, formatInstant, Link, plural, Skeleton, Time, UserText } from "../../ui/index.ts";
import type { Span } from "./silence-types.ts";

const SHOWN = 8;

/** Counts, warnings, alerts, incidents and windows. */
export function PreviewView({ preview }: { readonly preview: Preview<SilencePreview> }) {
  const { data, error } = preview;
  if (error !== undefined) return <ErrorState small error={error} />;
  if (!data)
    return preview.isLoading ? <Skeleton kind="text" /> : <p class="muted">Add a matcher to see what it hits.</p>;
  const { hits, alerts, incidents, windows, warnings, needs } = data;
  return (
    <div class="stack" aria-busy={preview.isLoading}>
      <p class="strong" role="status">
        {hits === 0
          ? "No firing alert matches now."
          : `${plural(hits, "firing alert")} in ${plural(incidents.length, "incident")} now.`}
      </p>
      {warnings
        .filter(({ code }) => code !== "NO_HITS")
        .map(({ code, message }) => (
          <Banner key={code} tone="warn">
            {message}.
          </Banner>
        ))}
      {needs !== null && !can(needs) && <Banner tone="bad">It needs the permission {needs}.</Banner>}
      {incidents.length > 0 && (
        <ul class="plain-list stack s2" aria-label="Incidents">
          {incidents.slice(0, SHOWN).map(({ id, number, title, state }) => (
            <li key={id} class="spread">
              <Link href={href(`/incidents/${id}`)}>
                <UserText lines={1}>{`#${number} ${title}`}</UserText>
              </Link>
              <Badge tone={state === "open" ? "bad" : "plain"}>{state}</Badge>
            </li>
          ))}
        </ul>
      )}
      {alerts.length > 0 && (
        <ul class="plain-list stack s2" aria-label="Alerts">
          {alerts.slice(0, SHOWN).map(({ id, labels }) => (
            <li key={id}>
              <LabelChips labels={differing(labels, data)} />
            </li>
          ))}
          {hits > SHOWN && <li class="muted small">and {plural(hits - SHOWN, "other alert", "other alerts")}</li>}
        </ul>
      )}
      {windows.length > 1 && (
        <section class="section">
          <h3>Next windows</h3>
          <SpanList spans={windows} />
        </section>
      )}
    </div>
  );
}

/** The labels that the matchers do not state already. */
function differing(labels: Labels, { matchers }: SilencePreview): Labels {
  const isStated = (name: string) => matchers.some((each) => each.name === name && each.operator === "=");
  const rest = Object.entries(labels).filter(([name]) => !isStated(name));
  return rest.length === 0 ? labels : Object.fromEntries(rest);
}

export function SpanList({ spans }: { readonly spans: readonly Span[] }) {
  return (
    <ol class="plain-list stack s2">
      {spans.map(({ startsAt, endsAt }) => (
        <li key={startsAt} class="spread">
          <span class="num">
            {formatInstant(startsAt, "full")} – {formatInstant(endsAt, "clock")}
          </span>
          <span class="muted small nowrap">
            <Time at={startsAt} />
          </span>
        </li>
      ))}
    </ol>
  );
}
