import { DurationInput } from "../../app/duration-input.tsx";
import { choices, Field, Input, RadioGroup, Segmented, Select, Switch } from "../../ui/index.ts";
import { NotifyFields } from "./notify-fields.tsx";
import type { DraftStep, Names } from "./policy-types.ts";

interface FieldsProps {
  readonly step: DraftStep;
  readonly onChange: (step: DraftStep) => void;
  readonly names: Names;
  readonly intervals: readonly string[];
  readonly projectId: string;
  readonly readOnly: boolean;
}

/** What a step of a policy takes. */
export function StepFields({ step, onChange, names, intervals, projectId, readOnly }: FieldsProps) {
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
