import { ArrowDown, ArrowUp, X } from "lucide";
import { useLayoutEffect, useRef } from "preact/hooks";
import { DurationInput } from "../../app/duration-input.tsx";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Checkbox,
  choices,
  Field,
  IconButton,
  Input,
  isTyping,
  Menu,
  MultiCombobox,
  RadioGroup,
  Segmented,
  Select,
  Switch,
} from "../../ui/index.ts";
import { findPeople } from "../rules/people.ts";
import { useTargetNames } from "./names.ts";
import {
  type DraftStep,
  moved,
  type Names,
  NEW_STEPS,
  type ScheduleTarget,
  STEP_WORDS,
  type StepType,
} from "./policy-types.ts";
import type { Routing } from "./routing-types.ts";

interface Props {
  readonly steps: readonly DraftStep[];
  readonly onChange: (steps: readonly DraftStep[]) => void;
  readonly projectId: string;
  readonly readOnly: boolean;
}

/** Steps in order. Alt and an arrow key move the step that has the focus. */
export function StepsEditor({ steps, onChange, projectId, readOnly }: Props) {
  const names = useTargetNames(projectId, steps);
  const routing = useGet<Routing>("/routes", { projectId });
  const intervals = (routing.data?.timeIntervals ?? []).map(({ name }) => name);
  const list = useRef<HTMLOListElement>(null);
  const focusAt = useRef<number | undefined>(undefined);
  useLayoutEffect(() => {
    if (focusAt.current !== undefined) (list.current?.children[focusAt.current] as HTMLElement | undefined)?.focus();
    focusAt.current = undefined;
  });
  const move = (from: number, to: number) => {
    if (to < 0 || to >= steps.length) return;
    focusAt.current = to;
    onChange(moved(steps, from, to));
  };
  const replace = (at: number, step: DraftStep) => onChange(steps.map((each, index) => (index === at ? step : each)));
  const onKey = (event: KeyboardEvent, at: number) => {
    const by = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : 0;
    if (by === 0 || !event.altKey || readOnly || isTyping(event.target)) return;
    event.preventDefault();
    move(at, at + by);
  };
  return (
    <div class="stack">
      <ol class="steps" ref={list} aria-label="Steps">
        {steps.map((step, at) => (
          // A step has no identity but its position.
          <li
            key={`${at} ${step.type}`}
            class="step"
            tabIndex={-1}
            aria-label={`Step ${at + 1}: ${STEP_WORDS[step.type].label}`}
            onKeyDown={(event) => onKey(event, at)}
          >
            <div class="spread">
              <strong>
                {at + 1}. {STEP_WORDS[step.type].label}
              </strong>
              {!readOnly && (
                <span class="inline">
                  <IconButton
                    small
                    icon={ArrowUp}
                    label={`Move step ${at + 1} up`}
                    disabled={at === 0}
                    onClick={() => move(at, at - 1)}
                  />
                  <IconButton
                    small
                    icon={ArrowDown}
                    label={`Move step ${at + 1} down`}
                    disabled={at === steps.length - 1}
                    onClick={() => move(at, at + 1)}
                  />
                  <IconButton
                    small
                    icon={X}
                    label={`Remove step ${at + 1}`}
                    onClick={() => onChange(steps.filter((_, index) => index !== at))}
                  />
                </span>
              )}
            </div>
            <StepFields
              step={step}
              onChange={(next) => replace(at, next)}
              {...{ names, intervals, projectId, readOnly }}
            />
          </li>
        ))}
      </ol>
      {!readOnly && (
        <div>
          <Menu
            label="Add a step"
            text="Add a step"
            variant="default"
            align="start"
            items={(Object.keys(STEP_WORDS) as StepType[]).map((type) => ({
              ...STEP_WORDS[type],
              onSelect: () => onChange([...steps, NEW_STEPS[type]]),
            }))}
          />
        </div>
      )}
    </div>
  );
}

interface FieldsProps {
  readonly step: DraftStep;
  readonly onChange: (step: DraftStep) => void;
  readonly names: Names;
  readonly intervals: readonly string[];
  readonly projectId: string;
  readonly readOnly: boolean;
}

function StepFields({ step, onChange, names, intervals, projectId, readOnly }: FieldsProps) {
  switch (step.type) {
    case "notify":
      return <NotifyFields step={step} onChange={onChange} names={names} projectId={projectId} readOnly={readOnly} />;
    case "wait":
      return <DurationInput label="Wait" value={step.ms} onChange={(ms) => onChange({ ...step, ms: ms ?? 0 })} />;
    case "onlyIn":
      return (
        <div class="stack s2">
          <Field
            label="Time interval"
            hint={intervals.length === 0 ? "The routes of the project have none yet." : undefined}
          >
            <Select
              value={step.interval}
              onChange={(interval) => onChange({ ...step, interval })}
              options={[...new Set([...intervals, step.interval])]
                .filter((name) => name !== "")
                .map((value) => ({ value, label: value }))}
              placeholder="Choose"
            />
          </Field>
          <RadioGroup
            label="Outside of it"
            value={step.otherwise ?? "skip"}
            onChange={(otherwise) => onChange({ ...step, otherwise: otherwise as "skip" | "hold" })}
            options={choices({ skip: "Skip the next step", hold: "Wait until it opens" })}
          />
        </div>
      );
    case "ifCount":
      return (
        <div class="grid2">
          <Field label="Alerts">
            <Input
              type="number"
              min={1}
              value={String(step.alerts)}
              onChange={(text) => onChange({ ...step, alerts: Math.max(1, Math.round(Number(text))) })}
            />
          </Field>
          <Field label="Within">
            <DurationInput
              label="Within"
              value={step.windowMs}
              onChange={(ms) => onChange({ ...step, windowMs: ms ?? 60_000 })}
            />
          </Field>
        </div>
      );
    case "webhook":
      return (
        <div class="stack s2">
          <Field label="Address">
            <Input type="url" value={step.url} onChange={(url) => onChange({ ...step, url })} mono />
          </Field>
          <Segmented
            label="Format"
            value={step.format ?? "prism"}
            onChange={(format) => onChange({ ...step, format: format as "prism" | "alertmanager" })}
            options={choices({ prism: "Prism", alertmanager: "Alertmanager" })}
          />
          <Field label="Alerts in one call" hint="0: all of them">
            <Input
              type="number"
              min={0}
              value={String(step.maxAlerts ?? 0)}
              onChange={(text) => onChange({ ...step, maxAlerts: Math.max(0, Math.round(Number(text))) })}
            />
          </Field>
          <Switch
            checked={step.sendResolved ?? true}
            onChange={(sendResolved) => onChange({ ...step, sendResolved })}
            label="Tell it of the end"
          />
        </div>
      );
    case "channel":
      return (
        <Field
          label="Channel"
          hint={names.channels.size === 0 ? "The project has no channels yet: Connect, Send." : undefined}
        >
          <Select
            value={step.id}
            onChange={(id) => onChange({ ...step, id })}
            options={[...names.channels].map(([value, label]) => ({ value, label }))}
            placeholder="Choose"
            disabled={readOnly}
          />
        </Field>
      );
    case "resolve":
      return null;
  }
}

type Notify = Extract<DraftStep, { type: "notify" }>;

interface NotifyProps extends Omit<FieldsProps, "step" | "intervals"> {
  readonly step: Notify;
}

const WHO = choices({ current: "on call now", next: "next on call", both: "now and next" });

function NotifyFields({ step, onChange, names, projectId, readOnly }: NotifyProps) {
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
