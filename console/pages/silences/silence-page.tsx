import { Copy, Pencil } from "lucide";
import type { SilenceDetail, SilencePreview } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { CronText } from "../../app/cron-text.tsx";
import { useStream } from "../../app/live.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { LabelChips, MatcherChips } from "../../app/matcher-field.tsx";
import { canInProject } from "../../app/memberships.ts";
import { navigate } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { Creator } from "../../app/person-name.tsx";
import { usePreview } from "../../app/preview.ts";
import { useGet } from "../../app/query.ts";
import { IDLE_MS, useRefresh } from "../../app/refresh.ts";
import { me } from "../../app/session.ts";
import {
  Badge,
  Button,
  Card,
  type Column,
  DataTable,
  DescriptionList,
  EmptyState,
  formatInstant,
  formatLeft,
  formatRelative,
  Menu,
  Page,
  plural,
  Time,
  UserText,
} from "../../ui/index.ts";
import { PreviewView, SpanList } from "./preview.tsx";
import { expire, timeEntries } from "./silence-actions.ts";
import { nameOf, STATES, spanOf } from "./silence-types.ts";

export default function SilencePage({ params }: PageProps) {
  const query = useGet<SilenceDetail>(`/silences/${encodeURIComponent(params["id"] ?? "")}`);
  const refreshSoon = useRefresh(query.reload, 1000, IDLE_MS);
  useStream(query.data ? `project:${query.data.projectId}` : null, refreshSoon, refreshSoon);
  return (
    <LoadedPage title="Silence" query={query}>
      {(silence) => <Shown silence={silence} />}
    </LoadedPage>
  );
}

type Withheld = SilenceDetail["withheld"][number];

const COLUMNS: readonly Column<Withheld>[] = [
  {
    label: "Alert",
    width: "wide",
    card: "title",
    cell: ({ labels }) => (labels ? <LabelChips labels={labels} /> : <span class="muted">no longer kept</span>),
  },
  { label: "Silenced", card: "aside", align: "end", cell: ({ at }) => <Time at={at} /> },
];

function Shown({ silence }: { readonly silence: SilenceDetail }) {
  const { state, matchers, hits, recurrence, window } = silence;
  const isLive = state !== "expired";
  const times = recurrence ? { recurrence, ...(silence.endsAt ? { endsAt: silence.endsAt } : {}) } : {};
  const preview = usePreview<SilencePreview>(
    "/silences/preview",
    isLive ? { projectId: silence.projectId, matchers, ...times } : null,
  );
  return (
    <Page
      title={nameOf(silence)}
      breadcrumb={[{ label: "Silences", href: href("/silences") }]}
      badge={<Badge {...STATES[state]} />}
      subtitle={`${whenText(silence)} It has silenced ${plural(hits, "alert")}.`}
      actions={
        canInProject("silences:write") ? (
          <Actions silence={silence} />
        ) : silence.createdBy === me.value?.id && isLive ? (
          <Button onClick={() => expire(silence)}>End now</Button>
        ) : undefined
      }
    >
      <div class="two">
        <div class="stack">
          <Card title="What it matches">
            <MatcherChips matchers={matchers} />
          </Card>
          <Card title="Silenced alerts" flush>
            <DataTable<Withheld>
              bare
              label="Silenced alerts"
              rows={silence.withheld}
              rowKey={({ alertId, incidentId }) => `${alertId} ${incidentId}`}
              rowHref={({ incidentId }) => href(`/incidents/${incidentId}`)}
              columns={COLUMNS}
              empty={
                <EmptyState
                  small
                  title="It has silenced nothing yet"
                  text="An alert appears here when it would have notified people."
                />
              }
            />
          </Card>
        </div>
        <div class="stack">
          <Card title="When">
            <DescriptionList
              items={[
                { label: "Start", value: <Time at={silence.startsAt} mode="full" /> },
                { label: "End", value: <Time at={silence.endsAt} mode="full" empty="open" /> },
                ...(recurrence
                  ? [{ label: "Windows", value: <CronText cron={recurrence.cron} more={spanOf(recurrence)} /> }]
                  : []),
                ...(window && recurrence
                  ? [
                      {
                        label: state === "active" ? "This window" : "Next window",
                        value: <SpanList spans={[window]} />,
                      },
                    ]
                  : []),
                { label: "By", value: <Creator name={silence.createdBy} /> },
                { label: "Created", value: <Time at={silence.createdAt} /> },
                { label: "Last hit", value: <Time at={silence.lastHitAt} empty="never" /> },
              ]}
            />
          </Card>
          {silence.comment.includes("\n") && (
            <Card title="Comment">
              <UserText>{silence.comment}</UserText>
            </Card>
          )}
          {isLive && (
            <Card title="What it hits now">
              <PreviewView preview={preview} />
            </Card>
          )}
        </div>
      </div>
    </Page>
  );
}

function whenText({ state, window, endsAt, recurrence }: SilenceDetail): string {
  if (state === "expired") return `It ended ${endsAt ? formatRelative(endsAt) : ""}.`;
  const what = recurrence ? "The window" : "It";
  if (!window) return state === "active" ? "It is active." : "It is not active.";
  const { startsAt, endsAt: end } = window;
  return state === "active"
    ? `${what} lasts until ${formatInstant(end, "short")}, ${formatLeft(end)}.`
    : `${what} starts ${formatRelative(startsAt)}, ${formatInstant(startsAt, "short")}.`;
}

function Actions({ silence }: { readonly silence: SilenceDetail }) {
  const edit = `/silences/${silence.id}/edit`;
  const again = `/silences/new?copy=${silence.id}`;
  if (silence.state === "expired")
    return (
      <Button variant="primary" icon={Copy} onClick={() => navigate(again)}>
        Silence again
      </Button>
    );
  return (
    <>
      <Button icon={Pencil} onClick={() => navigate(edit)}>
        Change
      </Button>
      <Button variant="danger" onClick={() => expire(silence)}>
        End now
      </Button>
      <Menu
        label="More actions"
        items={[
          ...timeEntries(silence),
          { label: "Copy as a new silence", icon: Copy, onSelect: () => navigate(again) },
        ]}
      />
    </>
  );
}
