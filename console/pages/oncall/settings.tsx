import type { OnCallSchedule } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { controlsOf } from "../../app/controls.ts";
import { useEdits } from "../../app/edits.ts";
import { canInProject } from "../../app/memberships.ts";
import { navigate } from "../../app/navigate.ts";
import { invalidate } from "../../app/query.ts";
import { SubmitButton } from "../../app/submit-button.tsx";
import { ZONES } from "../../app/zones.ts";
import {
  Banner,
  Button,
  Card,
  Combobox,
  DescriptionList,
  Field,
  Form,
  Input,
  Select,
  Switch,
  Textarea,
  Time,
  toast,
} from "../../ui/index.ts";
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
  if (!isWriter) return <Facts schedule={schedule} />;
  return (
    <div class="two">
      <General schedule={schedule} />
      <div class="stack">
        <Card title="Calendar link" sub="For calendar programs: the shifts from 15 days ago to 180 days ahead.">
          <CalendarLink
            path={`${schedulePath(schedule.id)}/calendar-link`}
            has={schedule.hasCalendarLink}
            onChanged={() => invalidate(schedulePath(schedule.id))}
          />
        </Card>
        <Import schedule={schedule} />
        <Card title="Delete" tone="bad">
          <Button variant="danger" onClick={() => remove(schedule)}>
            Delete the schedule
          </Button>
        </Card>
      </div>
    </div>
  );
}

function Facts({ schedule }: { readonly schedule: OnCallSchedule }) {
  return (
    <Card title="Settings">
      <DescriptionList
        items={[
          { label: "Time zone", value: schedule.timezone },
          { label: "Description", value: schedule.description || "—" },
          { label: "Reports gaps", value: schedule.reportsGaps ? "yes" : "no" },
        ]}
      />
    </Card>
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
  const known = schedule.handoverLeadMs === null ? "" : String(schedule.handoverLeadMs);
  const { name, description, timezone } = schedule;
  const { values, change } = useEdits({ name, description, timezone, lead: known });
  const { bind } = controlsOf(values, change);
  const save = async () => {
    const { lead, ...others } = values;
    const handoverLeadMs = lead === "" ? null : Number(lead);
    await api.put(schedulePath(schedule.id), { ...others, handoverLeadMs });
    invalidate("/oncall");
    toast.ok("Saved.");
  };
  const toggle = (member: "notifiesOff" | "reportsGaps") => async (value: boolean) => {
    await api.put(schedulePath(schedule.id), { [member]: value });
    invalidate(schedulePath(schedule.id));
  };
  const leads = LEADS.some(({ value }) => value === known)
    ? LEADS
    : [...LEADS, { value: known, label: `${Number(known) / 60_000} minutes before` }];
  return (
    <Card title="Schedule">
      <Form onSubmit={save} label="Schedule">
        <Field label="Name" required>
          <Input {...bind("name")} maxLength={100} />
        </Field>
        <Field label="Description" optional>
          <Textarea {...bind("description")} rows={2} maxLength={4000} />
        </Field>
        <Field label="Time zone" hint="Of new shifts and of the calendar.">
          <Combobox {...bind("timezone")} options={ZONES} />
        </Field>
        <Field label="Users are notified of their shift" hint="Users may choose another time for themselves.">
          <Select {...bind("lead")} options={leads} />
        </Field>
        <SubmitButton>Save</SubmitButton>
      </Form>
      <div class="stack section">
        <Switch
          label="Notify users when their shift ends"
          checked={schedule.notifiesOff}
          onChange={toggle("notifiesOff")}
        />
        <Switch
          label="Report gaps of the next 14 days"
          checked={schedule.reportsGaps}
          onChange={toggle("reportsGaps")}
        />
      </div>
    </Card>
  );
}

function Import({ schedule: { id, calendarUrl, calendar } }: { readonly schedule: OnCallSchedule }) {
  const { values, change, saved } = useEdits({ url: calendarUrl ?? "" });
  const { url } = values;
  const save = async () => {
    const answer = await api.put<OnCallSchedule>(schedulePath(id), { calendarUrl: url === "" ? null : url });
    saved({ url: answer.calendarUrl ?? "" });
    invalidate("/oncall");
    toast.ok(url === "" ? "The calendar is no longer imported." : "The calendar is read within ten minutes.");
  };
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
        <Form onSubmit={save} label="Imported calendar">
          <Field label="URL" hint="It is read every 10 minutes. Empty: none." optional>
            <Input
              {...controlsOf(values, change).bind("url")}
              type="text"
              inputMode="url"
              placeholder="https://… or webcal://…"
            />
          </Field>
          <div class="inline">
            <Button type="submit">Save</Button>
            {calendar && (
              <span class="muted small">
                read <Time at={calendar.checkedAt} empty="not yet" />
              </span>
            )}
          </div>
        </Form>
      </div>
    </Card>
  );
}
