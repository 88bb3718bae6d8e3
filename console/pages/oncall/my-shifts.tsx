import { useState } from "preact/hooks";
import type { OnCallConflict, OnCallOwnShifts, OnCallSchedule } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useGet } from "../../app/query.ts";
import {
  Badge,
  Button,
  Card,
  type Column,
  confirm,
  DataTable,
  Duration,
  displayZone,
  EmptyState,
  Field,
  formatRelative,
  Late,
  openDialog,
  Page,
  Secret,
  Select,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";
import { AskForSwap } from "./ask-for-swap.tsx";
import { AwayBadge } from "./away-badge.tsx";
import { ConflictsCard } from "./conflicts-card.tsx";
import { DaysOffCard } from "./days-off.tsx";
import { useOnCallLive } from "./live.ts";
import { schedulePath } from "./oncall-types.ts";
import { SpanText } from "./span-text.tsx";
import { OnCallTabs } from "./tabs.tsx";

type OwnShift = OnCallOwnShifts["data"][number];

/** A time for which a substitute is asked. */
type Given = Pick<OwnShift, "scheduleId" | "projectId" | "start" | "end">;

const DAYS = 90;
const DAY_MS = 86_400_000;

/** When the user is on call, on all schedules. */
export default function MyShifts() {
  const [to] = useState(() => new Date(Date.now() + DAYS * DAY_MS).toISOString());
  const query = useGet<{ data: readonly OwnShift[] }>("/oncall/shifts", { to });
  const conflicts = useGet<{ data: readonly OnCallConflict[] }>("/oncall/conflicts", { userId: "me", to });
  useOnCallLive();
  const shifts = query.data?.data;
  const columns: readonly Column<OwnShift>[] = [
    {
      label: "Schedule",
      cell: ({ name, away, swapId }) => (
        <span class="inline">
          <UserText>{name}</UserText>
          <AwayBadge away={away} isShort />
          {swapId !== null && <Badge tone="warn">swap asked</Badge>}
        </span>
      ),
      card: "title",
    },
    {
      label: "When",
      cell: (row) => <SpanText span={row} zone={displayZone.value} />,
    },
    {
      label: "Length",
      cell: ({ start, end }) => <Duration ms={Date.parse(end) - Date.parse(start)} />,
      align: "end",
      priority: 2,
    },
    { label: "Starts", cell: ({ start }) => <Time at={start} />, align: "end", card: "aside" },
  ];
  return (
    <Page title="My shifts" subtitle={subtitleOf(shifts)} tabs={<OnCallTabs value="mine" />} documentTitle="My shifts">
      <div class="two">
        <div class="stack">
          <Late query={conflicts}>
            {({ data }) => (
              <ConflictsCard conflicts={data} days={DAYS} zone={displayZone.value} onSwap={askForSubstitute} isOwn />
            )}
          </Late>
          <Card title={`The next ${DAYS} days`} sub={`Times in ${displayZone.value}.`} flush>
            <DataTable<OwnShift>
              bare
              label="My shifts"
              list={query}
              rowKey={({ scheduleId, start }) => `${scheduleId} ${start}`}
              columns={columns}
              rowHref={({ scheduleId }) => href(`/oncall/${scheduleId}`)}
              rowActions={(shift) =>
                shift.swapId === null ? [{ label: "Ask for a swap", onSelect: () => askForSubstitute(shift) }] : null
              }
              empty={
                <EmptyState
                  small
                  title="You are not on call"
                  text="Shifts of all schedules that name you appear here."
                />
              }
            />
          </Card>
        </div>
        <OwnSettings />
      </div>
    </Page>
  );
}

function subtitleOf(shifts: readonly OwnShift[] | undefined): string {
  const [first] = shifts ?? [];
  if (!first) return shifts ? `You have no shift within ${DAYS} days.` : "When you are on call.";
  if (Date.parse(first.start) <= Date.now()) return `You are on call now: ${first.name}.`;
  return `Your next shift, ${first.name}, starts ${formatRelative(first.start)}.`;
}

const askForSubstitute = (shift: Given) => openDialog(<SwapOf shift={shift} />);

function SwapOf({ shift }: { readonly shift: Given }) {
  const { scheduleId: id, projectId } = shift;
  const { timezone = displayZone.value } = useGet<OnCallSchedule>(schedulePath(id)).data ?? {};
  return <AskForSwap schedule={{ id, projectId, timezone }} people={[]} span={shift} />;
}

const LEADS = [
  { value: "", label: "As the schedule says" },
  { value: "0", label: "When it starts" },
  { value: "900000", label: "15 minutes before" },
  { value: "3600000", label: "1 hour before" },
  { value: "86400000", label: "1 day before" },
];

/** Notices and the calendar link of the user. */
function OwnSettings() {
  const query = useGet<{ handoverLeadMs: number | null; hasCalendarLink: boolean }>("/oncall/preferences");
  const { handoverLeadMs = null, hasCalendarLink = false } = query.data ?? {};
  const lead = handoverLeadMs === null ? "" : String(handoverLeadMs);
  const leads = LEADS.some(({ value }) => value === lead)
    ? LEADS
    : [...LEADS, { value: lead, label: `${Number(lead) / 60_000} minutes before` }];
  const save = async (value: string) => {
    await api.put("/oncall/preferences", { handoverLeadMs: value === "" ? null : Number(value) });
    toast.ok("Saved.");
    query.reload();
  };
  return (
    <div class="stack">
      <DaysOffCard />
      <Card title="Notices">
        <Field label="Before my shift">
          <Select value={lead} onChange={(value) => save(value).catch(toast.error)} options={leads} />
        </Field>
      </Card>
      <Card title="My calendar" sub="A link for calendar programs, with your shifts on all schedules.">
        <CalendarLink path="/oncall/preferences/calendar-link" has={hasCalendarLink} onChanged={query.reload} />
      </Card>
    </div>
  );
}

interface LinkProps {
  readonly path: string;
  readonly has: boolean;
  readonly onChanged: () => void;
}

/** A calendar link, which is shown once. */
export function CalendarLink({ path, has, onChanged }: LinkProps) {
  const [url, setUrl] = useState("");
  const make = async () => {
    const text = "Calendar programs that use the earlier link get no more changes.";
    if (has && !(await confirm({ title: "Replace the link?", text, action: "Replace", danger: true }))) return;
    setUrl((await api.post<{ url: string }>(path)).url);
    onChanged();
  };
  const revoke = async () => {
    const text = "Calendar programs that use it get no more changes.";
    await confirmDelete(path, { title: "End the link?", text, action: "End the link" }, () => {
      setUrl("");
      onChanged();
    });
  };
  return (
    <div class="stack s2">
      {url !== "" && (
        <Secret
          label="Calendar link"
          value={url}
          hint="Everyone with the link can read the calendar. It is shown only now."
          onStored={() => setUrl("")}
        />
      )}
      {url === "" && <span class="muted small">{has ? "A link exists." : "There is no link."}</span>}
      <div class="inline">
        <Button onClick={make}>{has ? "Replace the link" : "Create a link"}</Button>
        {has && (
          <Button variant="quiet" onClick={revoke}>
            End the link
          </Button>
        )}
      </div>
    </div>
  );
}
