import type { OnCallSchedule, UpdateOnCallSchedule } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { LockedForm, ManagedNotice } from "../../app/managed.tsx";
import { canInProject } from "../../app/memberships.ts";
import { navigate } from "../../app/navigate.ts";
import { invalidate } from "../../app/query.ts";
import { Facts } from "../../forms/facts.tsx";
import { type FieldOf, Fields, ResourceForm } from "../../forms/fields.tsx";
import { onCallSchedule as described } from "../../forms/on-call-schedule.gen.ts";
import { editedOf, useResource } from "../../forms/use-resource.ts";
import { Banner, Button, Card, Select, Time, toast } from "../../ui/index.ts";
import { CalendarLink } from "./my-shifts.tsx";
import { schedulePath } from "./oncall-types.ts";

const LEADS = [
  { value: "", label: "Never" },
  { value: "0", label: "When it starts" },
  { value: "900000", label: "15 minutes before" },
  { value: "3600000", label: "1 hour before" },
  { value: "86400000", label: "1 day before" },
];

export function Settings({ schedule }: { readonly schedule: OnCallSchedule }) {
  const isWriter = canInProject("oncall:write") === true;
  if (!isWriter)
    return (
      <Card title="Settings">
        <Facts of={schedule} show={["timezone", { name: "description", empty: "—" }, "reportsGaps"]} />
      </Card>
    );
  return (
    <div class="stack">
      <ManagedNotice kind="oncall" id={schedule.id} />
      <div class="two">
        <LockedForm kind="oncall" id={schedule.id}>
          <General schedule={schedule} />
        </LockedForm>
        <div class="stack">
          <Card title="Calendar link" sub="For calendar programs: the shifts from 15 days ago to 180 days ahead.">
            <CalendarLink
              path={`${schedulePath(schedule.id)}/calendar-link`}
              has={schedule.hasCalendarLink}
              onChanged={() => invalidate(schedulePath(schedule.id))}
            />
          </Card>
          <LockedForm kind="oncall" id={schedule.id}>
            <Import schedule={schedule} />
          </LockedForm>
          <Card title="Delete" tone="bad">
            <Button variant="danger" onClick={() => remove(schedule)}>
              Delete the schedule
            </Button>
          </Card>
        </div>
      </div>
    </div>
  );
}

async function remove({ id, name }: OnCallSchedule): Promise<void> {
  const { data } = await api.get<{ data: readonly object[] }>(`${schedulePath(id)}/shifts`, { limit: 100 });
  const text = `Its ${data.length} shifts, its overrides, swaps and past are deleted.`;
  const inUse = { code: "ON_CALL_SCHEDULE_IN_USE", text: "Their steps then notify without it." };
  await confirmDelete(schedulePath(id), { title: `Delete ${name}?`, text, typed: name, inUse }, () =>
    navigate("/oncall"),
  );
}

function General({ schedule }: { readonly schedule: OnCallSchedule }) {
  const form = useResource<UpdateOnCallSchedule, OnCallSchedule>(described, { stored: schedule });
  const toggle = async (change: Partial<UpdateOnCallSchedule>) => {
    await api.put(schedulePath(schedule.id), change);
    invalidate(schedulePath(schedule.id));
  };
  const known = String(schedule.handoverLeadMs ?? "");
  const leads = LEADS.some(({ value }) => value === known)
    ? LEADS
    : [...LEADS, { value: known, label: `${Number(known) / 60_000} minutes before` }];
  const lead: FieldOf<UpdateOnCallSchedule> = {
    name: "handoverLeadMs",
    label: "Users are notified of their shift",
    hint: "Users may choose another time for themselves.",
    required: true,
    as: (value, change) => (
      <Select value={String(value ?? "")} onChange={(ms) => change(ms === "" ? null : Number(ms))} options={leads} />
    ),
  };
  return (
    <Card title="Schedule">
      <ResourceForm of={form} label="Schedule">
        <Fields of={form} show={["name", { name: "description", rows: 2 }, "timezone", lead]} />
      </ResourceForm>
      <div class="stack section">
        <Fields of={editedOf(described, schedule, toggle)} show={["notifiesOff", "reportsGaps"]} />
      </div>
    </Card>
  );
}

function Import({ schedule }: { readonly schedule: OnCallSchedule }) {
  const { calendar } = schedule;
  const form = useResource<UpdateOnCallSchedule, OnCallSchedule>(described, { stored: schedule });
  const told = ({ calendarUrl }: OnCallSchedule) =>
    toast.ok(calendarUrl === null ? "The calendar is no longer imported." : "The calendar is read within ten minutes.");
  return (
    <Card
      title="Imported calendar"
      sub="An iCalendar file whose events are shifts: users in the title, such as “[L1] ada, grace”."
    >
      <div class="stack">
        {calendar !== null && calendar.error !== null && (
          <Banner tone="bad" title="The calendar cannot be read">
            {calendar.error}
          </Banner>
        )}
        <ResourceForm of={form} label="Imported calendar" onSaved={told}>
          <Fields of={form} show={[{ name: "calendarUrl", label: "URL", placeholder: "https://… or webcal://…" }]} />
        </ResourceForm>
        {calendar && (
          <span class="muted small">
            read <Time at={calendar.checkedAt} empty="not yet" />
          </span>
        )}
      </div>
    </Card>
  );
}
