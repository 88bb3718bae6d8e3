import { can } from "../../app/session.ts";
import { Checkbox, choices, Field, MultiCombobox, Segmented, Select, Switch } from "../../ui/index.ts";
import { findPeople } from "../rules/people.ts";
import type { DraftStep, Names, ScheduleTarget } from "./policy-types.ts";

type Notify = Extract<DraftStep, { type: "notify" }>;

interface NotifyProps {
  readonly step: Notify;
  readonly onChange: (step: DraftStep) => void;
  readonly names: Names;
  readonly projectId: string;
  readonly readOnly: boolean;
}

const WHO = choices({ current: "on call now", next: "next on call", both: "now and next" });

/** Whom a step notifies. */
export function NotifyFields({ step, onChange, names, projectId, readOnly }: NotifyProps) {
  const change = (part: Partial<Notify>) => onChange({ ...step, ...part });
  const { users = [], roles = [], schedules = [] } = step;
  const byId = (map: ReadonlyMap<string, string>) => [...map].map(([value, label]) => ({ value, label }));
  const setSchedules = (ids: readonly string[]) =>
    change({ schedules: ids.map((id) => schedules.find((each) => each.id === id) ?? { id, who: "current" as const }) });
  return (
    <div class="stack s2">
      <Checkbox
        checked={step.members ?? false}
        onChange={(members) => change({ members })}
        label="All members of the project"
        disabled={readOnly}
      />
      <Field label="On-call schedules">
        <MultiCombobox
          values={schedules.map(({ id }) => id)}
          onChange={setSchedules}
          options={byId(names.schedules)}
          disabled={readOnly}
        />
      </Field>
      {schedules.map((each) => (
        <Select
          key={each.id}
          small
          label={`Who of ${names.schedules.get(each.id) ?? "the schedule"}`}
          value={each.who ?? "current"}
          onChange={(who) =>
            change({
              schedules: schedules.map((other) =>
                other === each ? { ...other, who: who as NonNullable<ScheduleTarget["who"]> } : other,
              ),
            })
          }
          options={WHO.map(({ value, label }) => ({
            value,
            label: `${names.schedules.get(each.id) ?? "Schedule"}: ${label}`,
          }))}
        />
      ))}
      <div class="grid2">
        <Field label="People">
          <MultiCombobox
            values={users}
            onChange={(next) => change({ users: next })}
            options={byId(names.users)}
            load={(text) => findPeople(text, projectId)}
            disabled={readOnly}
          />
        </Field>
        <Field label="Roles">
          <MultiCombobox
            values={roles}
            onChange={(next) => change({ roles: next })}
            options={[...names.roles.values()].map((value) => ({ value, label: value }))}
            custom={!can("roles:read")}
            disabled={readOnly}
          />
        </Field>
      </div>
      <Segmented
        small
        label="Urgency"
        value={step.urgency ?? "high"}
        onChange={(urgency) => change({ urgency: urgency as "high" | "low" })}
        options={choices({ high: "High urgency", low: "Low urgency" })}
      />
      <Switch
        checked={step.roundRobin ?? false}
        onChange={(roundRobin) => change({ roundRobin })}
        label="One of them, another with each incident"
        disabled={readOnly}
      />
    </div>
  );
}
